//! One suite of one mirror: which mirror that is, and whose keys count for it.

use std::borrow::Cow;
use std::sync::Arc;

use mabuild_distro::debian::Keyring;
use mabuild_distro::debian::sources::{mirror_for, security_mirror_for};
use mabuild_oci::Digest;

use crate::facts::{ArchiveKeys, DEBIAN_MIRROR, DEBIAN_SECURITY_MIRROR, DebianArchive, FactError};
use crate::track::http::mask;
use crate::track::local::blocking;
use crate::track::{Shared, keys, wrong};

/// A suite of a mirror, with the keys that may sign it.
pub(super) struct Archive {
    /// Address without a slash at its end.
    pub mirror: String,
    /// Suite or codename.
    pub suite: String,
    /// Who may sign it.
    pub keys: Arc<Keys>,
}

/// Keys that may sign a release. They are parsed only when something is to be verified: checking
/// the certificates takes longer than a run without news.
pub(super) struct Keys {
    /// Name and content of files; none means Debian's own.
    files: Vec<(String, Arc<[u8]>)>,
}

impl Archive {
    /// The archive that a question means.
    pub async fn of(
        shared: &Arc<Shared>,
        asked: &DebianArchive,
        arch: &str,
    ) -> Result<Arc<Self>, FactError> {
        let parts = std::iter::once(asked.suite.as_str());
        for part in parts.chain(asked.components.iter().map(String::as_str)).chain([arch]) {
            if !is_plain(part) {
                return Err(wrong(format!("`{part}` is no name of a Debian suite or component")));
            }
        }
        let mirror = mirror(shared, asked).trim_end_matches('/').to_owned();
        let given = match (&asked.keys, &shared.options.keys) {
            (ArchiveKeys::Distribution, Some(file)) => ArchiveKeys::File(file.clone()),
            (keys, _) => keys.clone(),
        };
        let keys = Arc::new(blocking(move || Keys::of(given)).await?);
        Ok(Arc::new(Self { mirror, suite: asked.suite.clone(), keys }))
    }

    /// Tells archives of a run apart.
    pub fn id(&self) -> String {
        format!("{} {} {}", self.mirror, self.suite, self.keys.id())
    }

    /// Names the suite, whoever signs it.
    pub fn place(&self) -> String {
        place(&self.mirror, &self.suite)
    }

    /// The archive for a message.
    pub fn shown(&self) -> String {
        format!("Debian suite {} at {}", self.suite, mask(&self.mirror))
    }

    /// The address of a file of the suite.
    pub fn address(&self, path: &str) -> String {
        format!("{}/dists/{}/{path}", self.mirror, self.suite)
    }
}

/// Names a suite of a mirror.
pub(super) fn place(mirror: &str, suite: &str) -> String {
    format!("{} {suite}", mirror.trim_end_matches('/'))
}

/// The address of an archive for this machine.
pub(super) fn mirror<'a>(shared: &'a Shared, archive: &'a DebianArchive) -> Cow<'a, str> {
    let DebianArchive { uri, suite, .. } = archive;
    let security = suite.strip_suffix("-security");
    if let Some(uri) = uri {
        return uri.into();
    }
    if let Some(mirror) = shared.env("DEBIAN_MIRROR") {
        // A mirror keeps the archive for security beside the other.
        match (security, mirror.trim_end_matches('/').strip_suffix("/debian")) {
            (None, _) => return mirror.into(),
            (Some(_), Some(root)) => return format!("{root}/debian-security").into(),
            (Some(_), None) => {}
        }
    }
    match security {
        Some(base) => security_mirror_for(shared.sources(), base)
            .map_or(DEBIAN_SECURITY_MIRROR.into(), Into::into),
        None => mirror_for(shared.sources(), suite).map_or(DEBIAN_MIRROR.into(), Into::into),
    }
}

impl Keys {
    fn of(keys: ArchiveKeys) -> Result<Self, FactError> {
        Ok(match keys {
            ArchiveKeys::Distribution => Self { files: Vec::new() },
            ArchiveKeys::Given(files) => Self { files },
            ArchiveKeys::File(path) => Self { files: keys::read(&path)? },
        })
    }

    /// The keys as they are, to be put into an image; Debian's own are in one of its packages.
    pub fn given(&self) -> ArchiveKeys {
        match self.are_debians() {
            true => ArchiveKeys::Distribution,
            false => ArchiveKeys::Given(self.files.clone()),
        }
    }

    /// Whether only Debian's own keys count.
    pub fn are_debians(&self) -> bool {
        self.files.is_empty()
    }

    /// Names the set of keys.
    pub fn id(&self) -> String {
        if self.files.is_empty() {
            // Debian's own come with the program.
            return concat!("embedded-", env!("CARGO_PKG_VERSION")).to_owned();
        }
        let ids = self.files.iter().map(|(_, bytes)| Digest::sha256(bytes).hex().to_owned());
        format!("file-{}", ids.collect::<Vec<_>>().join("-"))
    }

    /// Reads the keys.
    pub fn parse(&self) -> Result<Keyring, FactError> {
        if self.files.is_empty() {
            return Keyring::embedded().map_err(|e| wrong(e.to_string()));
        }
        let mut ring: Option<Keyring> = None;
        for (name, bytes) in &self.files {
            let read = Keyring::from_bytes(bytes);
            let read = read.map_err(|e| wrong(format!("the keys {name}: {e}")))?;
            match &mut ring {
                Some(ring) => ring.extend(read),
                None => ring = Some(read),
            }
        }
        ring.ok_or_else(|| wrong("there are no keys".to_owned()))
    }
}

/// Whether a text can stand in a path without leading elsewhere.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('/')
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./+~".contains(&b))
}
