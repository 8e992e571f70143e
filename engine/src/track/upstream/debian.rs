//! Packages of Debian archives: pinned to the versions that signed releases vouch for.
//!
//! The way of trust: keyring → signature of the release → sha256 of the package index → sha256 of
//! each package. A release that is older than one that was seen before is refused. What was
//! resolved is noted under the digests of the releases, so a run without news parses nothing.

mod archive;
mod cache;
mod index;
mod newer;
mod release;
mod wish;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Answer, Once, Tracker, remembered};
use crate::facts::{
    Archive as AnyArchive, DebianArchive, DebianAsk, DebianPin, Distro, FactError, PackagePin,
    PackageSet, PackagesAsk, Pin, ReleasePin,
};
use crate::track::local::blocking;
use crate::track::{Shared, wrong};
use archive::Archive;
use cache::Indexes;
use index::Packages;
pub(super) use newer::newer;
use release::Seen;
use wish::Wish;

/// Form of the notes of resolved packages; also moves when others would be chosen.
const FORM: u32 = 4;

/// Packages as the file asks for them.
pub(super) struct Debian {
    /// The question.
    pub ask: DebianAsk,
}

impl Tracker for Debian {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let DebianAsk { variant, ref trim, .. } = self.ask;
            let set = pins(shared, &self.ask).await?;
            Ok(Pin::Debian(DebianPin { variant, trim: trim.clone(), set }))
        })
    }
}

/// What several questions of a run have in common.
#[derive(Default)]
pub(in crate::track) struct DebianRun {
    releases: Once<Seen>,
    indexes: Indexes,
    /// The oldest dates that releases may have, by the place of the suite.
    floors: Mutex<HashMap<String, i64>>,
}

/// A suite that was asked for, and its release.
#[derive(Clone)]
struct Source {
    asked: DebianArchive,
    seen: Seen,
}

/// A package as it is noted.
#[derive(Serialize, Deserialize)]
struct Noted {
    name: String,
    version: String,
    arch: String,
    sha256: String,
    size: u64,
    archive: usize,
    filename: String,
}

/// Pins the packages of a base, sorted by name.
pub(super) async fn pins(shared: &Arc<Shared>, ask: &DebianAsk) -> Result<PackageSet, FactError> {
    resolve(shared, ask.archives.clone(), &ask.arch, Wish::of_base(ask)).await
}

/// Pins what is new or moves when packages are installed on an image, sorted by name.
pub(super) async fn on_top(
    shared: &Arc<Shared>,
    ask: &PackagesAsk,
    below: &Arc<Distro>,
) -> Result<PackageSet, FactError> {
    let archives = archives_of(below);
    if archives.is_empty() {
        return Err(wrong(
            "the image below names no archive to install packages from: it has no sources.list",
        ));
    }
    resolve(shared, archives, &below.arch, Wish::of_step(ask, below)).await
}

/// Refuses releases of an archive that are older.
pub(super) fn expect_at_least(shared: &Shared, archive: &DebianArchive, date: i64) {
    let place = archive::place(&archive::mirror(shared, archive), &archive.suite);
    let mut floors = shared.debian.floors.lock().unwrap_or_else(PoisonError::into_inner);
    let floor = floors.entry(place).or_insert(date);
    *floor = date.max(*floor);
}

/// The address of a file of a package.
pub(super) fn address(shared: &Shared, archive: &DebianArchive, path: &str) -> String {
    format!("{}/{path}", archive::mirror(shared, archive).trim_end_matches('/'))
}

fn archives_of(below: &Distro) -> Vec<DebianArchive> {
    let debian = below.archives.iter().filter_map(|archive| match archive {
        AnyArchive::Debian(archive) => Some(archive.clone()),
        AnyArchive::Alpine(_) => None,
    });
    debian.collect()
}

async fn resolve(
    shared: &Arc<Shared>,
    archives: Vec<DebianArchive>,
    arch: &str,
    wish: Wish,
) -> Result<PackageSet, FactError> {
    let sources = sources(shared, archives, arch).await?;
    let note = note_of(&sources, arch, |list| wish.words(list));
    let noted = remembered(shared, ("debian-packages", FORM), note, async {
        let index = index(shared, &sources, arch).await?;
        let arch = arch.to_owned();
        let what = sources.first().map(|source| source.seen.archive.shown()).unwrap_or_default();
        blocking(move || {
            let chosen = wish.choose(&index.packages, &arch);
            let chosen = chosen.map_err(|e| wrong(format!("{what}: {e}")))?;
            let noted = chosen.iter().map(|package| Noted {
                name: package.name.to_owned(),
                version: package.version.to_owned(),
                arch: package.architecture.to_owned(),
                sha256: package.sha256.to_owned(),
                size: package.size,
                archive: index.archives.get(package.archive).copied().unwrap_or_default(),
                filename: package.filename.to_owned(),
            });
            Ok(noted.collect())
        })
        .await
    });
    Ok(set(&sources, noted.await?))
}

/// The releases of archives, got side by side.
async fn sources(
    shared: &Arc<Shared>,
    archives: Vec<DebianArchive>,
    arch: &str,
) -> Result<Vec<Source>, FactError> {
    let mut tasks = JoinSet::new();
    for (at, asked) in archives.into_iter().enumerate() {
        let (shared, arch) = (shared.clone(), arch.to_owned());
        tasks.spawn(async move { (at, source(&shared, asked, &arch).await) });
    }
    let mut found = tasks.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, source)| source).collect()
}

async fn source(
    shared: &Arc<Shared>,
    asked: DebianArchive,
    arch: &str,
) -> Result<Source, FactError> {
    let archive = Archive::of(shared, &asked, arch).await?;
    let (id, place) = (archive.id(), archive.place());
    let seen = shared.debian.releases.get(id, Seen::get(shared, &archive)).await?;
    let floors = shared.debian.floors.lock().unwrap_or_else(PoisonError::into_inner);
    seen.at_least(floors.get(&place).copied())?;
    drop(floors);
    Ok(Source { asked, seen })
}

/// The packages of archives for one architecture.
async fn index(
    shared: &Arc<Shared>,
    sources: &[Source],
    arch: &str,
) -> Result<Arc<Packages>, FactError> {
    let mut key = arch.to_owned();
    for Source { asked, seen } in sources {
        let components = asked.components.join(" ");
        key.push_str(&format!("\n{} {} {components}", seen.archive.id(), seen.digest));
    }
    shared.debian.indexes.get(key, Packages::get(shared, sources, arch)).await
}

/// Names everything that decides about an answer.
fn note_of(
    sources: &[Source],
    arch: &str,
    question: impl FnOnce(&mut dyn FnMut(&mut dyn Iterator<Item = &str>)),
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut list = |words: &mut dyn Iterator<Item = &str>| {
        let words: Vec<&str> = words.collect();
        hasher.update(&(words.len() as u64).to_le_bytes());
        for word in words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word.as_bytes());
        }
    };
    list(&mut [arch].into_iter());
    for Source { asked, seen } in sources {
        list(&mut [asked.suite.as_str(), seen.digest.as_str()].into_iter());
        list(&mut asked.components.iter().map(String::as_str));
    }
    question(&mut list);
    hasher.finalize().to_hex().to_string()
}

fn set(sources: &[Source], noted: Vec<Noted>) -> PackageSet {
    let mut set = PackageSet::default();
    for Source { asked, seen } in sources {
        let keys = seen.archive.keys.given();
        set.archives.push(AnyArchive::Debian(DebianArchive { keys, ..asked.clone() }));
        set.releases.push(ReleasePin { archive: asked.suite.clone(), date: seen.date });
    }
    let pin = |noted: Noted| PackagePin {
        path: noted.filename,
        name: noted.name,
        version: noted.version,
        arch: noted.arch,
        sha256: noted.sha256,
        size: noted.size,
        archive: noted.archive,
    };
    set.packages = noted.into_iter().map(pin).collect();
    set
}
