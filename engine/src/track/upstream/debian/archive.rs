//! One suite of one mirror: which mirror that is, and its signed release.

use std::sync::{Arc, OnceLock};

use mabuild_distro::debian::sources::{mirror_for, security_mirror_for};
use mabuild_distro::debian::{Keyring, Release, verify_inrelease};
use mabuild_oci::Digest;
use serde::{Deserialize, Serialize};

use super::super::memory;
use crate::facts::{DebianAsk, FactError};
use crate::track::http::mask;
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, wrong};

/// Where packages come from when neither the file nor the machine says anything.
const DEFAULT_MIRROR: &str = "http://ftp.debian.org/debian";
/// The largest release file that is read.
const LARGEST: u64 = 32 << 20;
/// Form of the notes of releases.
const FORM: u32 = 1;

/// A suite of a mirror, with the keys that may sign it.
pub(super) struct Archive {
    /// Address without a slash at its end.
    pub mirror: String,
    /// Suite or codename.
    pub suite: String,
    keys: Arc<Keys>,
}

/// Keys that may sign a release. They are parsed only when something is to be verified: checking
/// the certificates takes longer than a run without news.
struct Keys {
    /// Path and content of a file; none means Debian's own.
    file: Option<(String, Vec<u8>)>,
}

/// The release that a mirror serves now; it was verified, in this run or an earlier one.
pub(super) struct Seen {
    /// `sha256:…` of `InRelease`.
    pub digest: String,
    bytes: Vec<u8>,
    release: OnceLock<Arc<Release>>,
}

/// What is noted of the newest release that was seen.
#[derive(Serialize, Deserialize)]
struct Mark {
    form: u32,
    digest: String,
    date: i64,
    valid_until: Option<i64>,
    keyring: String,
}

impl Archive {
    /// The archive that a question means.
    pub async fn of(shared: &Arc<Shared>, ask: &DebianAsk) -> Result<Self, FactError> {
        for part in std::iter::once(&ask.suite).chain(&ask.components).chain([&ask.arch]) {
            if !is_plain(part) {
                return Err(wrong(format!("`{part}` is no name of a Debian suite or component")));
            }
        }
        let mirror = mirror(shared, ask).trim_end_matches('/').to_owned();
        let signed_by = ask.signed_by.clone().or_else(|| shared.options.keys.clone());
        let keys = Arc::new(blocking(move || Keys::of(signed_by)).await?);
        Ok(Self { mirror, suite: ask.suite.clone(), keys })
    }

    /// Tells archives of a run apart.
    pub fn id(&self) -> String {
        format!("{} {} {}", self.mirror, self.suite, self.keys.id())
    }

    /// The archive for a message.
    pub fn shown(&self) -> String {
        format!("Debian suite {} at {}", self.suite, mask(&self.mirror))
    }

    /// The address of a file of the suite.
    pub fn address(&self, path: &str) -> String {
        format!("{}/dists/{}/{path}", self.mirror, self.suite)
    }

    /// Gets the release and verifies it unless that was done before.
    pub async fn seen(&self, shared: &Arc<Shared>) -> Result<Arc<Seen>, FactError> {
        let url = self.address("InRelease");
        let current = memory::current(shared, "inrelease", &url, LARGEST).await?;
        let seen = Seen {
            digest: current.digest.clone(),
            bytes: current.bytes.clone(),
            release: OnceLock::new(),
        };
        let place = format!("{} {}", self.mirror, self.suite);
        let mark = shared.store.memo("debian-release", &place);
        let mark: Option<Mark> = mark.and_then(|text| serde_json::from_str(&text).ok());
        let now = shared.options.now;
        let verified = mark.as_ref().is_some_and(|mark| {
            // Without the network an expired copy is the best there is, and it was asked for.
            let in_time = mark.valid_until.is_none_or(|until| now <= until);
            let same = mark.form == FORM && mark.digest == current.digest;
            same && mark.keyring == self.keys.id() && (in_time || shared.client.is_offline())
        });
        if verified {
            return Ok(Arc::new(seen));
        }
        let release = self.release(shared, &seen).await?;
        if let Some(mark) = mark.filter(|mark| release.date < mark.date) {
            return Err(doubtful(format!(
                "{}: the release is of {}, older than the one of {} that was seen before; the \
                 mirror is behind, or somebody holds back updates: take another mirror, or a new \
                 store when this is intended",
                self.shown(),
                shown_time(release.date),
                shown_time(mark.date)
            )));
        }
        memory::remember(shared, "inrelease", &url, &current).await?;
        let mark = Mark {
            form: FORM,
            digest: current.digest,
            date: release.date,
            valid_until: release.valid_until,
            keyring: self.keys.id(),
        };
        let text = serde_json::to_string(&mark).map_err(|e| wrong(e.to_string()))?;
        shared.store.put_memo("debian-release", &place, &text).map_err(|e| wrong(e.to_string()))?;
        Ok(Arc::new(seen))
    }

    /// The release as it reads, its signature checked.
    pub async fn release(
        &self,
        shared: &Arc<Shared>,
        seen: &Seen,
    ) -> Result<Arc<Release>, FactError> {
        if let Some(release) = seen.release.get() {
            return Ok(release.clone());
        }
        let (bytes, keys, now) = (seen.bytes.clone(), self.keys.clone(), shared.options.now);
        let (what, suite) = (self.shown(), self.suite.clone());
        let release = blocking(move || {
            let release = verify_inrelease(&bytes, &keys.parse()?, now)
                .map_err(|e| doubtful(format!("{what}: {e}")))?;
            if release.suite != suite && release.codename != suite {
                return Err(doubtful(format!(
                    "{what}: the mirror serves the release of {} ({}) in its place",
                    release.suite, release.codename
                )));
            }
            Ok(Arc::new(release))
        });
        let release = release.await?;
        Ok(seen.release.get_or_init(|| release).clone())
    }
}

fn mirror<'a>(shared: &'a Shared, ask: &'a DebianAsk) -> std::borrow::Cow<'a, str> {
    if let Some(given) = ask.mirror.as_deref().or_else(|| shared.env("DEBIAN_MIRROR")) {
        return given.into();
    }
    let of_machine = match ask.suite.strip_suffix("-security") {
        Some(base) => security_mirror_for(shared.sources(), base),
        None => mirror_for(shared.sources(), &ask.suite),
    };
    of_machine.map_or(DEFAULT_MIRROR.into(), Into::into)
}

impl Keys {
    /// The keys of a file, or Debian's own.
    fn of(path: Option<String>) -> Result<Self, FactError> {
        let Some(path) = path else { return Ok(Self { file: None }) };
        let bytes = std::fs::read(&path);
        let bytes = bytes.map_err(|e| wrong(format!("cannot read the keys {path}: {e}")))?;
        Ok(Self { file: Some((path, bytes)) })
    }

    /// Names the set of keys.
    fn id(&self) -> String {
        match &self.file {
            // Debian's own come with the program.
            None => concat!("embedded-", env!("CARGO_PKG_VERSION")).to_owned(),
            Some((_, bytes)) => format!("file-{}", Digest::sha256(bytes).hex()),
        }
    }

    fn parse(&self) -> Result<Keyring, FactError> {
        match &self.file {
            None => Keyring::embedded().map_err(|e| wrong(e.to_string())),
            Some((path, bytes)) => {
                Keyring::from_bytes(bytes).map_err(|e| wrong(format!("the keys {path}: {e}")))
            }
        }
    }
}

/// Whether a text can stand in a path without leading elsewhere.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('/')
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./+~".contains(&b))
}

fn shown_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}
