//! Packages of Alpine repositories: pinned to the versions that signed indexes vouch for.
//!
//! The way of trust: keys → signature of the index → checksum of the control segment of each
//! package → checksum of its files. An index says nothing of the digest of a whole file, so a package
//! is fetched and verified before it is pinned; its digest is noted. What was resolved is noted
//! under the digests of the indexes, so a run without news parses nothing and fetches no package.

mod distro;
mod files;
mod newer;
mod repository;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_distro::alpine::{Index, InstalledPackage, solve};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::{Answer, Once, Tracker, remembered};
use crate::facts::{
    AlpineArchive, AlpineAsk, AlpinePin, Archive, Distro, FactError, PackagePin, PackageSet,
    PackagesAsk, Pin, ReleasePin,
};
use crate::track::local::blocking;
use crate::track::{Shared, wrong};
pub(in crate::track) use distro::alpine_distro;
pub(super) use newer::newer;
use repository::{Floors, Repository, Seen};
pub(super) use repository::{address, expect_at_least};

/// Form of the notes of resolved packages; also moves when others would be chosen.
const FORM: u32 = 1;
/// Sets of indexes that are held when nobody waits for them; a large one has some ten megabytes.
const HELD: usize = 4;

/// Packages as the file asks for them.
pub(super) struct Alpine {
    /// The question.
    pub ask: AlpineAsk,
}

impl Tracker for Alpine {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let AlpineAsk { arch, archives, world } = &self.ask;
            let set = resolve(shared, archives, arch, world, None).await?;
            Ok(Pin::Alpine(AlpinePin { arch: arch.clone(), world: world.clone(), set }))
        })
    }
}

/// What several questions of a run have in common.
#[derive(Default)]
pub(in crate::track) struct AlpineRun {
    indexes: Once<Seen>,
    /// sha256 of packages, by what they are and where they come from.
    packages: Once<String>,
    parsed: Sets,
    floors: Floors,
}

type Parsed = Arc<OnceCell<Result<Arc<Vec<Index>>, FactError>>>;

/// The latest sets of indexes, the newest last. Each is read once for all who want it.
#[derive(Default)]
struct Sets(Mutex<VecDeque<(String, Parsed)>>);

impl Sets {
    fn slot(&self, name: &str) -> Parsed {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = held.iter().find(|(other, _)| other == name) {
            return slot.clone();
        }
        let slot = Parsed::default();
        held.push_back((name.to_owned(), slot.clone()));
        if held.len() > HELD {
            held.pop_front();
        }
        slot
    }
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
    path: String,
}

/// Pins what is new or moves when packages are installed on an image, in the order in which they
/// are installed.
pub(super) async fn on_top(
    shared: &Arc<Shared>,
    ask: &PackagesAsk,
    below: &Arc<Distro>,
) -> Result<PackageSet, FactError> {
    let archives = archives_of(below)?;
    // Alpine knows no recommendations.
    let PackagesAsk { below: _, names, recommends: _ } = ask;
    resolve(shared, &archives, &below.arch, names, Some(below)).await
}

/// The repositories of an image.
fn archives_of(below: &Distro) -> Result<Vec<AlpineArchive>, FactError> {
    let of_alpine = below.archives.iter().filter_map(|archive| match archive {
        Archive::Alpine(archive) => Some(archive.clone()),
        Archive::Debian(_) => None,
    });
    let archives: Vec<AlpineArchive> = of_alpine.collect();
    if archives.is_empty() {
        return Err(wrong(
            "the image below names no repository to install packages from: its \
             /etc/apk/repositories is empty",
        ));
    }
    Ok(archives)
}

async fn resolve(
    shared: &Arc<Shared>,
    archives: &[AlpineArchive],
    arch: &str,
    world: &[String],
    below: Option<&Arc<Distro>>,
) -> Result<PackageSet, FactError> {
    let seen = seen(shared, archives, arch).await?;
    let note = note_of(&seen, world, below);
    let noted = remembered(shared, ("alpine-packages", FORM), note, async {
        let indexes = indexes(shared, &seen).await?;
        let chosen = choose(&indexes, &seen, world, below).await?;
        files::pinned(shared, &seen, chosen).await
    });
    let mut set = PackageSet::default();
    let noted = noted.await?;
    for Seen { repository, date, .. } in seen {
        let archive = Archive::Alpine(repository.pinned());
        set.releases.push(ReleasePin { archive: archive.label().to_owned(), date });
        set.archives.push(archive);
    }
    let pin = |noted: Noted| {
        let Noted { name, version, arch, sha256, size, archive, path } = noted;
        PackagePin { name, version, arch, sha256, size, archive, path }
    };
    set.packages = noted.into_iter().map(pin).collect();
    Ok(set)
}

/// The indexes of repositories as they are served now, got side by side.
async fn seen(
    shared: &Arc<Shared>,
    archives: &[AlpineArchive],
    arch: &str,
) -> Result<Vec<Seen>, FactError> {
    let mut tasks = JoinSet::new();
    for (at, asked) in archives.iter().enumerate() {
        let (shared, asked, arch) = (shared.clone(), asked.clone(), arch.to_owned());
        tasks.spawn(async move {
            let found = async {
                let repository = Arc::new(Repository::of(&shared, asked, arch).await?);
                let id = repository.id();
                let seen = shared.alpine.indexes.get(id, Seen::get(&shared, &repository)).await?;
                shared.alpine.floors.check(&seen)?;
                // Repositories of one place may have several tags.
                Ok::<Seen, FactError>(seen.of(repository))
            };
            (at, found.await)
        });
    }
    let mut found = tasks.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, seen)| seen).collect()
}

/// The indexes as they read.
async fn indexes(shared: &Arc<Shared>, seen: &[Seen]) -> Result<Arc<Vec<Index>>, FactError> {
    let slot = shared.alpine.parsed.slot(&note_of(seen, &[], None));
    let made = slot.get_or_init(|| async {
        let seen = seen.to_vec();
        blocking(move || seen.iter().map(Seen::index).collect::<Result<Vec<_>, _>>().map(Arc::new))
            .await
    });
    made.await.clone()
}

/// A package that was chosen, and the repository that has it.
struct Chosen {
    package: mabuild_distro::alpine::Package,
    archive: usize,
}

/// Chooses packages, in the order in which they are installed.
async fn choose(
    indexes: &Arc<Vec<Index>>,
    seen: &[Seen],
    world: &[String],
    below: Option<&Arc<Distro>>,
) -> Result<Vec<Chosen>, FactError> {
    let (indexes, world) = (indexes.clone(), world.to_vec());
    let below = below.cloned();
    let what = seen.first().map(|seen| seen.repository.shown()).unwrap_or_default();
    blocking(move || {
        let installed: Vec<InstalledPackage> =
            below.iter().flat_map(|below| distro::installed(&indexes, below)).collect();
        let chosen = solve(&indexes, &world, &installed);
        let chosen = chosen.map_err(|e| wrong(format!("{what}: {e}")))?;
        let new = |one: mabuild_distro::alpine::Chosen<'_>| {
            Some(Chosen { package: one.package.clone(), archive: one.index? })
        };
        Ok(chosen.into_iter().filter_map(new).collect())
    })
    .await
}

/// Names everything that decides about an answer.
fn note_of(seen: &[Seen], world: &[String], below: Option<&Arc<Distro>>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut word = |word: &str| {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word.as_bytes());
    };
    for Seen { repository, digest, .. } in seen {
        word(&repository.id());
        word(repository.asked.tag.as_deref().unwrap_or_default());
        word(digest);
    }
    word("world");
    world.iter().for_each(|text| word(text));
    if let Some(below) = below {
        word("below");
        word(&below.digest());
        below.installed.iter().filter_map(|one| one.provides.as_deref()).for_each(&mut word);
    }
    hasher.finalize().to_hex().to_string()
}
