//! Packages of a Debian archive: pinned to the versions that a signed release vouches for.
//!
//! The way of trust: keyring → signature of `InRelease` → sha256 of the package index → sha256 of
//! each package. A release that is older than one that was seen before is refused. What was
//! resolved is noted under the digest of the release, so a run without news parses nothing.

mod archive;
mod index;
mod once;

use std::sync::Arc;

use mabuild_distro::debian::PackageIndex;
use mabuild_distro::debian::extract::closure;
use serde::{Deserialize, Serialize};

use super::{Answer, Tracker};
use crate::facts::{DebianAsk, FactError, PackagePin, Pin};
use crate::track::local::blocking;
use crate::track::{Shared, wrong};
use archive::{Archive, Seen};
use once::Once;

/// Form of the notes of resolved packages.
const FORM: u32 = 1;

/// Packages as the file asks for them.
pub(super) struct Debian {
    /// The question.
    pub ask: DebianAsk,
}

impl Tracker for Debian {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move { Ok(Pin::Debian(pins(shared, &self.ask).await?)) })
    }
}

/// What several questions of a run have in common.
#[derive(Default)]
pub(in crate::track) struct DebianRun {
    releases: Once<Arc<Seen>>,
    indexes: Once<Arc<PackageIndex>>,
}

/// A package as it is noted.
#[derive(Serialize, Deserialize)]
struct Noted {
    name: String,
    version: String,
    arch: String,
    sha256: String,
    size: u64,
    filename: String,
}

/// Packages that were resolved.
#[derive(Serialize, Deserialize)]
struct Resolved {
    form: u32,
    packages: Vec<Noted>,
}

/// Pins the packages of a question, sorted by name.
pub(super) async fn pins(
    shared: &Arc<Shared>,
    ask: &DebianAsk,
) -> Result<Vec<PackagePin>, FactError> {
    let archive = Archive::of(shared, ask).await?;
    let seen = shared.debian.releases.get(archive.id(), archive.seen(shared)).await?;
    let note = note_of(ask, &seen);
    let known = shared.store.memo("debian-packages", &note);
    let known = known.and_then(|text| serde_json::from_str::<Resolved>(&text).ok());
    if let Some(resolved) = known.filter(|resolved| resolved.form == FORM) {
        return Ok(located(&archive, resolved));
    }
    let key = format!("{} {} {}", archive.id(), ask.components.join(","), ask.arch);
    let index = shared.debian.indexes.get(key, index::index(shared, &archive, &seen, ask)).await?;
    let (include, what) = (ask.include.clone(), archive.shown());
    let resolved = blocking(move || resolve(&index, &include, &what)).await?;
    let text = serde_json::to_string(&resolved).map_err(|e| wrong(e.to_string()))?;
    shared.store.put_memo("debian-packages", &note, &text).map_err(|e| wrong(e.to_string()))?;
    Ok(located(&archive, resolved))
}

/// Everything that decides which packages are meant.
fn note_of(ask: &DebianAsk, seen: &Seen) -> String {
    let mut hasher = blake3::Hasher::new();
    let lists = [&ask.components, &ask.include];
    let words = lists.iter().flat_map(|list| {
        [list.len().to_string()].into_iter().chain(list.iter().cloned()).collect::<Vec<_>>()
    });
    for word in [seen.digest.clone(), ask.arch.clone()].into_iter().chain(words) {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn resolve(index: &PackageIndex, include: &[String], what: &str) -> Result<Resolved, FactError> {
    let names: Vec<&str> = include.iter().map(String::as_str).collect();
    let mut chosen = closure(index, &names).map_err(|e| wrong(format!("{what}: {e}")))?;
    chosen.sort_by(|a, b| a.name.cmp(b.name));
    let noted = chosen.iter().map(|package| Noted {
        name: package.name.to_owned(),
        version: package.version.to_owned(),
        arch: package.architecture.to_owned(),
        sha256: package.sha256.to_owned(),
        size: package.size,
        filename: package.filename.to_owned(),
    });
    Ok(Resolved { form: FORM, packages: noted.collect() })
}

fn located(archive: &Archive, resolved: Resolved) -> Vec<PackagePin> {
    let pin = |noted: Noted| PackagePin {
        location: format!("{}/{}", archive.mirror, noted.filename),
        name: noted.name,
        version: noted.version,
        arch: noted.arch,
        sha256: noted.sha256,
        size: noted.size,
    };
    resolved.packages.into_iter().map(pin).collect()
}
