//! One repository for one architecture: where it is, whose keys count, and its index as it is served
//! now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_distro::alpine::index::IndexError;
use mabuild_distro::alpine::signature::SignatureError;
use mabuild_distro::alpine::{Index, Keys};
use mabuild_oci::Digest;
use serde::{Deserialize, Serialize};

use super::super::memory;
use crate::facts::{ALPINE_MIRROR, AlpineArchive, ArchiveKeys, FactError};
use crate::track::http::{FetchError, mask};
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, keys, wrong};

/// The largest index that is read, in bytes; the largest of Alpine has some three million.
const LARGEST: u64 = 64 << 20;
/// Form of the notes of indexes.
const FORM: u32 = 1;

/// A repository, for one architecture.
pub(super) struct Repository {
    /// The repository as it is asked for.
    pub asked: AlpineArchive,
    /// Address without the architecture.
    pub address: String,
    /// Architecture as Alpine calls it.
    pub arch: String,
    /// Name and text of the keys; none for Alpine's own.
    given: Option<Vec<(String, Arc<[u8]>)>>,
}

/// The index that a repository serves now; it was verified, in this run or an earlier one.
#[derive(Clone)]
pub(super) struct Seen {
    /// The repository.
    pub repository: Arc<Repository>,
    /// `sha256:…` of `APKINDEX.tar.gz`.
    pub digest: String,
    /// When the newest of its packages was built, in seconds since 1970.
    pub date: i64,
    bytes: Arc<[u8]>,
}

/// What is noted of the newest index that was seen.
#[derive(Serialize, Deserialize)]
struct Mark {
    form: u32,
    digest: String,
    date: i64,
    keys: String,
}

/// The oldest dates that indexes may have, by the address of the repository.
#[derive(Default)]
pub(super) struct Floors(Mutex<HashMap<String, i64>>);

impl Floors {
    /// Refuses an index that is older than what was chosen from before.
    pub fn check(&self, seen: &Seen) -> Result<(), FactError> {
        let floors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match floors.get(&seen.repository.address).filter(|floor| seen.date < **floor) {
            None => Ok(()),
            Some(floor) => Err(doubtful(format!(
                "{}: the newest package of the index is of {}, older than the one of {} that \
                 mabuild.lock was made from; the mirror is behind, or somebody holds back updates: \
                 take another mirror, or take the lines of that repository out of mabuild.lock \
                 when this is intended",
                seen.repository.shown(),
                shown_time(seen.date),
                shown_time(*floor)
            ))),
        }
    }
}

/// Refuses indexes of a repository that are older than `date`. The newest package is not of the
/// same day on all architectures, so that only what is older than all of them is refused.
pub(in crate::track::upstream) fn expect_at_least(
    shared: &Shared,
    archive: &AlpineArchive,
    date: i64,
) {
    let mut floors = shared.alpine.floors.0.lock().unwrap_or_else(PoisonError::into_inner);
    let floor = floors.entry(base(shared, archive)).or_insert(date);
    *floor = date.min(*floor);
}

/// The address of a file below a repository.
pub(in crate::track::upstream) fn address(
    shared: &Shared,
    archive: &AlpineArchive,
    path: &str,
) -> String {
    format!("{}/{path}", base(shared, archive))
}

/// The address of a repository for this machine, without a slash at its end.
fn base(shared: &Shared, archive: &AlpineArchive) -> String {
    let AlpineArchive { uri, path, .. } = archive;
    if let Some(uri) = uri {
        return uri.trim_end_matches('/').to_owned();
    }
    let mirror = shared.env("ALPINE_MIRROR").unwrap_or(ALPINE_MIRROR);
    format!("{}/{}", mirror.trim_end_matches('/'), path.trim_matches('/'))
}

impl Repository {
    /// The repository that a question means.
    pub async fn of(
        shared: &Arc<Shared>,
        asked: AlpineArchive,
        arch: String,
    ) -> Result<Self, FactError> {
        let is_plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+~".contains(&b))
        };
        let path = asked.path.trim_matches('/');
        if !is_plain(&arch) || !(path.is_empty() || path.split('/').all(is_plain)) {
            return Err(wrong(format!("`{path}` for `{arch}` is no path of an Alpine repository")));
        }
        let given = match &asked.keys {
            ArchiveKeys::Distribution => None,
            ArchiveKeys::Given(files) => Some(files.clone()),
            ArchiveKeys::File(path) => {
                let path = path.clone();
                Some(blocking(move || keys::read(&path)).await?)
            }
        };
        let address = base(shared, &asked);
        Ok(Self { asked, address, arch, given })
    }

    /// Tells repositories of a run apart, whatever their tag.
    pub fn id(&self) -> String {
        format!("{} {} {}", self.address, self.arch, self.keys_id())
    }

    /// The repository as it is pinned: its keys as they are.
    pub fn pinned(&self) -> AlpineArchive {
        let keys = self.given.clone().map_or(ArchiveKeys::Distribution, ArchiveKeys::Given);
        AlpineArchive { keys, ..self.asked.clone() }
    }

    /// The repository for a message.
    pub fn shown(&self) -> String {
        format!("Alpine repository {} for {}", mask(&self.address), self.arch)
    }

    fn keys_id(&self) -> String {
        let Some(given) = &self.given else {
            // Alpine's own come with the program.
            return concat!("embedded-", env!("CARGO_PKG_VERSION")).to_owned();
        };
        let ids = given.iter().map(|(name, key)| format!("{name}={}", Digest::sha256(key).hex()));
        ids.collect::<Vec<_>>().join(" ")
    }

    fn keys(&self) -> Result<Keys, FactError> {
        let Some(given) = &self.given else {
            return Ok(Keys::alpine(&self.arch));
        };
        let mut keys = Keys::new();
        for (name, key) in given {
            let text = String::from_utf8_lossy(key);
            keys.add(name, &text).map_err(|e| wrong(format!("{}: {e}", self.shown())))?;
        }
        Ok(keys)
    }

    fn unfetched(&self, error: FetchError) -> FactError {
        match error.status {
            Some(404 | 410) => wrong(format!(
                "{} has no architecture {}, or there is no such repository ({})",
                mask(&self.address),
                self.arch,
                error.message
            )),
            _ => error.into(),
        }
    }

    fn refused(&self, error: &IndexError) -> FactError {
        let help = match (error, &self.given) {
            (IndexError::Signature(SignatureError::UnknownKeys { .. }), None) => {
                "; a repository that is not Alpine's needs its keys named with `signed-by`"
            }
            (IndexError::Signature(SignatureError::UnknownKeys { .. }), Some(_)) => {
                "; what `signed-by` names has to have the key that signs now, under the name of \
                 its file"
            }
            _ => "",
        };
        doubtful(format!("{}: {error}{help}", self.shown()))
    }
}

impl Seen {
    /// Gets the index and verifies it unless that was done before.
    pub async fn get(
        shared: &Arc<Shared>,
        repository: &Arc<Repository>,
    ) -> Result<Self, FactError> {
        let url = format!("{}/{}/APKINDEX.tar.gz", repository.address, repository.arch);
        let current = memory::current(shared, "apk-index", &url, LARGEST).await;
        let current = current.map_err(|e| repository.unfetched(e))?;
        let mut seen = Self {
            repository: repository.clone(),
            digest: current.digest.clone(),
            date: 0,
            bytes: current.bytes.as_slice().into(),
        };
        let mark = shared.store.memo("apk-mark", &url);
        let mark: Option<Mark> = mark.and_then(|text| serde_json::from_str(&text).ok());
        let keys = repository.keys_id();
        let same =
            |mark: &&Mark| mark.form == FORM && mark.digest == seen.digest && mark.keys == keys;
        if let Some(mark) = mark.as_ref().filter(same) {
            seen.date = mark.date;
            return Ok(seen);
        }
        let read = seen.clone();
        let index = blocking(move || read.index()).await?;
        let newest = index.packages.iter().filter_map(|package| package.build_time).max();
        seen.date = newest.and_then(|date| date.try_into().ok()).unwrap_or(0);
        if let Some(mark) = mark.filter(|mark| seen.date < mark.date) {
            return Err(doubtful(format!(
                "{}: the newest package of the index is of {}, older than the one of {} that was \
                 seen before; the mirror is behind, or somebody holds back updates: take another \
                 mirror, or a new store when this is intended",
                repository.shown(),
                shown_time(seen.date),
                shown_time(mark.date)
            )));
        }
        memory::remember(shared, "apk-index", &url, &current).await?;
        let mark = Mark { form: FORM, digest: seen.digest.clone(), date: seen.date, keys };
        let text = serde_json::to_string(&mark).map_err(|e| wrong(e.to_string()))?;
        shared.store.put_memo("apk-mark", &url, &text).map_err(|e| wrong(e.to_string()))?;
        Ok(seen)
    }

    /// The same for a repository of the same place.
    pub fn of(self, repository: Arc<Repository>) -> Self {
        Self { repository, ..self }
    }

    /// Reads the index, its signature checked.
    pub fn index(&self) -> Result<Index, FactError> {
        let keys = self.repository.keys()?;
        let index = Index::open(&self.bytes, &keys).map_err(|e| self.repository.refused(&e))?;
        Ok(Index { tag: self.repository.asked.tag.clone(), ..index })
    }
}

fn shown_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}
