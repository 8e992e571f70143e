//! The signed release of a suite, as its mirror serves it now.

use std::sync::{Arc, OnceLock};

use mabuild_distro::debian::{Keyring, Release, ReleaseError, verify_detached, verify_inrelease};
use serde::{Deserialize, Serialize};

use super::super::{Current, memory};
use super::archive::Archive;
use crate::facts::FactError;
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, wrong};

/// The largest release file that is read.
const LARGEST: u64 = 32 << 20;
/// The largest signature beside a release that is read.
const LARGEST_SIGNATURE: u64 = 256 << 10;
/// Form of the notes of releases.
const FORM: u32 = 1;

/// The release that a mirror serves now; it was verified, in this run or an earlier one.
#[derive(Clone)]
pub(super) struct Seen {
    /// The suite.
    pub archive: Arc<Archive>,
    /// `sha256:…` of `InRelease` or `Release`.
    pub digest: String,
    /// When it was made, in seconds since 1970.
    pub date: i64,
    text: Arc<[u8]>,
    /// What signs it, when that is a file of its own.
    signature: Option<Arc<[u8]>>,
    release: Arc<OnceLock<Arc<Release>>>,
}

/// The files of a release.
struct Served {
    text: Current,
    /// `Release.gpg`, where there is no `InRelease`.
    signature: Option<Current>,
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

impl Seen {
    /// Gets the release and verifies it unless that was done before.
    pub async fn get(shared: &Arc<Shared>, archive: &Arc<Archive>) -> Result<Self, FactError> {
        let served = Served::get(shared, archive).await?;
        let mut seen = Self {
            archive: archive.clone(),
            digest: served.text.digest.clone(),
            date: 0,
            text: served.text.bytes.as_slice().into(),
            signature: served.signature.as_ref().map(|file| file.bytes.as_slice().into()),
            release: Arc::default(),
        };
        let place = archive.place();
        let mark = shared.store.memo("debian-release", &place);
        let mark: Option<Mark> = mark.and_then(|text| serde_json::from_str(&text).ok());
        let (now, keyring) = (shared.options.now, archive.keys.id());
        let verified = mark.as_ref().is_some_and(|mark| {
            // Without the network an expired copy is the best there is, and it was asked for.
            let in_time = mark.valid_until.is_none_or(|until| now <= until);
            let same = mark.form == FORM && mark.digest == seen.digest && mark.keyring == keyring;
            same && (in_time || shared.client.is_offline())
        });
        if let Some(mark) = mark.as_ref().filter(|_| verified) {
            seen.date = mark.date;
            return Ok(seen);
        }
        let release = seen.release(shared).await?;
        seen.date = release.date;
        if let Some(mark) = mark.filter(|mark| release.date < mark.date) {
            return Err(doubtful(format!(
                "{}: the release is of {}, older than the one of {} that was seen before; the \
                 mirror is behind, or somebody holds back updates: take another mirror, or a new \
                 store when this is intended",
                archive.shown(),
                shown_time(release.date),
                shown_time(mark.date)
            )));
        }
        served.remember(shared, archive).await?;
        let mark = Mark {
            form: FORM,
            digest: seen.digest.clone(),
            date: release.date,
            valid_until: release.valid_until,
            keyring,
        };
        let text = serde_json::to_string(&mark).map_err(|e| wrong(e.to_string()))?;
        shared.store.put_memo("debian-release", &place, &text).map_err(|e| wrong(e.to_string()))?;
        Ok(seen)
    }

    /// Refuses a release that is older than what was chosen from before.
    pub fn at_least(&self, date: Option<i64>) -> Result<(), FactError> {
        match date.filter(|date| self.date < *date) {
            None => Ok(()),
            Some(date) => Err(doubtful(format!(
                "{}: the release is of {}, older than the one of {} that mabuild.lock was made \
                 from; the mirror is behind, or somebody holds back updates: take another mirror, \
                 or take the lines of that release out of mabuild.lock when this is intended",
                self.archive.shown(),
                shown_time(self.date),
                shown_time(date)
            ))),
        }
    }

    /// The release as it reads, its signature checked.
    pub async fn release(&self, shared: &Shared) -> Result<Arc<Release>, FactError> {
        if let Some(release) = self.release.get() {
            return Ok(release.clone());
        }
        let (text, signature) = (self.text.clone(), self.signature.clone());
        let (archive, now) = (self.archive.clone(), shared.options.now);
        let release = blocking(move || {
            let keys: Keyring = archive.keys.parse()?;
            let release = match signature {
                None => verify_inrelease(&text, &keys, now),
                Some(signature) => verify_detached(&text, &signature, &keys, now),
            };
            let release = release.map_err(|e| refused(&archive, &e))?;
            let suite = archive.suite.as_str();
            if release.suite != suite && release.codename != suite {
                return Err(doubtful(format!(
                    "{}: the mirror serves the release of {} ({}) in its place",
                    archive.shown(),
                    release.suite,
                    release.codename
                )));
            }
            Ok(Arc::new(release))
        });
        let release = release.await?;
        Ok(self.release.get_or_init(|| release).clone())
    }
}

impl Served {
    /// Gets the files: the release with its signature in one, or both apart.
    async fn get(shared: &Arc<Shared>, archive: &Archive) -> Result<Self, FactError> {
        let offline = shared.client.is_offline();
        let address = archive.address("InRelease");
        let missing = match memory::current(shared, "inrelease", &address, LARGEST).await {
            Ok(text) => return Ok(Self { text, signature: None }),
            // Some archives are stores of objects, which say so of what is not there.
            Err(e) if offline || matches!(e.status, Some(403 | 404 | 410)) => e,
            Err(e) => return Err(e.into()),
        };
        let address = archive.address("Release");
        let text = match memory::current(shared, "release", &address, LARGEST).await {
            Ok(text) => text,
            Err(_) if offline => return Err(missing.into()),
            Err(e) if e.status.is_some() => {
                return Err(wrong(format!(
                    "{}: there is no such suite: {}, and no Release; check the name of the suite \
                     and the address of the archive",
                    archive.shown(),
                    missing.message
                )));
            }
            Err(e) => return Err(e.into()),
        };
        let address = archive.address("Release.gpg");
        let signature = memory::current(shared, "release-gpg", &address, LARGEST_SIGNATURE);
        match signature.await {
            Ok(signature) => Ok(Self { text, signature: Some(signature) }),
            Err(e) if matches!(e.status, Some(404 | 410)) => Err(doubtful(format!(
                "{}: the release is not signed: there is neither InRelease nor Release.gpg; what \
                 nobody vouches for is not used",
                archive.shown()
            ))),
            Err(e) => Err(e.into()),
        }
    }

    /// Keeps the verified files for the next run.
    async fn remember(&self, shared: &Arc<Shared>, archive: &Archive) -> Result<(), FactError> {
        let Some(signature) = &self.signature else {
            let address = archive.address("InRelease");
            return memory::remember(shared, "inrelease", &address, &self.text).await;
        };
        memory::remember(shared, "release", &archive.address("Release"), &self.text).await?;
        memory::remember(shared, "release-gpg", &archive.address("Release.gpg"), signature).await
    }
}

/// The error with what a person can do who knows where the keys come from.
fn refused(archive: &Archive, error: &ReleaseError) -> FactError {
    let help = match (error, archive.keys.are_debians()) {
        (ReleaseError::Untrusted { .. }, true) => {
            "; an archive that is not Debian's needs its keys named with `signed-by`"
        }
        (ReleaseError::Untrusted { .. }, false) => {
            "; the file of `signed-by` has to hold the key that signs now"
        }
        _ => "",
    };
    doubtful(format!("{}: {error}{help}", archive.shown()))
}

fn shown_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}
