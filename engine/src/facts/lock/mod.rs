//! The lock: what every upstream was pinned to, as text beside `mabuild.kdl`.
//!
//! One fact a line, words with a blank between them, made for review in a diff and for merges in
//! git. The lines are in the order that `LC_ALL=C sort` gives. A line is
//! `NODE PLATFORM SLOT FACT …`, and the facts of a slot are
//!
//! | fact | what follows |
//! | --- | --- |
//! | `ask` | what the file asked for, as 12 hex digits: another ask makes the slot void |
//! | `archive` | digest and address of a root file system |
//! | `version` | the version that was found |
//! | `manifest` | digest of a manifest and the reference it is pulled by |
//! | `below` | what was installed in the image below: [`super::Distro::digest`] |
//! | `family` | `debian` or `alpine`: what the image below is made by |
//! | `release` | name of an archive and when it was made |
//! | `package` | name, version, architecture, sha256, bytes, archive, path, and, where they are not in the order of their names, `after` with the one before it |
//! | `seen` | something that may be taken later, and when it was first seen |
//!
//! Of a node and platform there are also `add file ADDRESS DIGEST`, `add commit REMOTE#REFERENCE
//! COMMIT`, `watch package NAME VERSION` and `watch moved TIME`.
//!
//! Keys of archives are not in the lock: they are read from the files that the ask names.

mod ask;
mod diff;
mod parse;
mod pins;
mod print;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use ask::{is_file_locked, is_locked};
pub use diff::{Change, Moved};

/// Version of the format.
pub const LOCK_FORMAT: u32 = 1;

/// What every upstream is pinned to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    /// By node, then by platform. There are no empty targets and slots.
    nodes: BTreeMap<String, BTreeMap<String, Target>>,
}

/// Where an upstream is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Node, or variant of one.
    pub node: &'a str,
    /// Platform in normal form.
    pub platform: &'a str,
    /// Which upstream of the node: `base`, `packages`, `packages.2`.
    pub slot: &'a str,
}

/// Why a text is no lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LockError {
    /// The line it is about, from 1.
    pub line: Option<usize>,
    /// Another line that it is about, from 1.
    pub other_line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A value with the line that it was read from, or 0. Where it stands is no part of what it says.
#[derive(Clone, Debug)]
struct At<T> {
    value: T,
    line: u32,
}

/// All facts of a node on a platform.
#[derive(Clone, Debug, Default, PartialEq)]
struct Target {
    slots: BTreeMap<String, Slot>,
    /// Digests of files by their address.
    files: BTreeMap<String, At<String>>,
    /// Commits by repository and reference.
    commits: BTreeMap<(String, Option<String>), At<String>>,
    /// Versions of packages by their name.
    watched: BTreeMap<String, At<String>>,
    /// When what is watched last moved, in seconds since 1970.
    moved: Option<At<i64>>,
}

/// What one upstream is pinned to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    ask: Option<At<String>>,
    archive: Option<At<Located>>,
    version: Option<At<String>>,
    manifest: Option<At<Located>>,
    below: Option<At<String>>,
    family: Option<At<super::Family>>,
    /// Times of archives, in seconds since 1970.
    releases: BTreeMap<String, At<i64>>,
    packages: BTreeMap<String, At<Package>>,
    /// Times in seconds since 1970.
    seen: BTreeMap<String, At<i64>>,
}

/// Content and where it is.
#[derive(Clone, Debug, PartialEq)]
struct Located {
    digest: String,
    location: String,
}

/// A package of a slot.
#[derive(Clone, Debug, PartialEq)]
struct Package {
    version: String,
    arch: String,
    sha256: String,
    size: u64,
    archive: String,
    path: String,
    /// The package that is installed before it, where the order is not that of the names.
    after: Option<String>,
}

impl<T> At<T> {
    /// A value that was not read.
    fn new(value: T) -> Self {
        Self { value, line: 0 }
    }

    fn line(&self) -> Option<usize> {
        (self.line > 0).then_some(self.line as usize)
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Lock {
    /// Reads a lock. Lines in any order and ends of lines of any system are fine.
    ///
    /// # Errors
    /// What is no lock of this format, has marks of a conflict, or says two things of one.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        parse::parse(text)
    }

    /// Gives the text of the lock: the same for the same facts.
    pub fn to_text(&self) -> String {
        print::print(self)
    }

    /// Gives the packages that a node watches and the versions that they had, sorted by name.
    pub fn watched(&self, node: &str, platform: &str) -> Vec<(String, String)> {
        let target = self.target(node, platform);
        let watched = target.into_iter().flat_map(|target| &target.watched);
        watched.map(|(name, version)| (name.clone(), version.value.clone())).collect()
    }

    /// Gives when what a node watches last moved, in seconds since 1970.
    pub fn watch_moved(&self, node: &str, platform: &str) -> Option<i64> {
        Some(self.target(node, platform)?.moved.as_ref()?.value)
    }

    /// Notes the versions of what a node watches. Where they are not what was noted before, it
    /// moved `now`, in seconds since 1970.
    pub fn put_watched(
        &mut self,
        node: &str,
        platform: &str,
        packages: &[(String, String)],
        now: i64,
    ) {
        self.edit(node, platform, |target| {
            let noted = packages.iter().map(|(name, v)| (name.clone(), At::new(v.clone())));
            let noted: BTreeMap<_, _> = noted.collect();
            if noted != target.watched {
                target.watched = noted;
                target.moved = Some(At::new(now));
            }
        });
    }

    /// Gives when something that a place may take later was first seen, in seconds since 1970.
    pub fn seen(&self, place: Place<'_>, id: &str) -> Option<i64> {
        Some(self.slot(place)?.seen.get(id)?.value)
    }

    /// Notes when something was first seen, in seconds since 1970.
    pub fn put_seen(&mut self, place: Place<'_>, id: &str, when: i64) {
        self.edit_slot(place, |slot| {
            slot.seen.insert(id.to_owned(), At::new(when));
        });
    }

    /// Forgets all that was seen for a place.
    pub fn clear_seen(&mut self, place: Place<'_>) {
        self.edit_slot(place, |slot| slot.seen.clear());
    }

    /// Keeps the nodes and platforms that `keep` wants.
    pub fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        self.nodes.retain(|node, platforms| {
            platforms.retain(|platform, _| keep(node, platform));
            !platforms.is_empty()
        });
    }

    /// Gives the nodes with their platforms, sorted.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.targets().map(|(node, platform, _)| (node, platform))
    }

    /// Gives the line that pins a place, or a package of it, in the text that was parsed; from 1.
    pub fn line_of(&self, place: Place<'_>, package: Option<&str>) -> Option<usize> {
        let slot = self.slot(place)?;
        if let Some(name) = package {
            return slot.packages.get(name)?.line();
        }
        let content = slot.archive.as_ref().or(slot.manifest.as_ref()).map(At::line);
        content.or_else(|| slot.ask.as_ref().map(At::line))?
    }

    fn target(&self, node: &str, platform: &str) -> Option<&Target> {
        self.nodes.get(node)?.get(platform)
    }

    fn targets(&self) -> impl Iterator<Item = (&str, &str, &Target)> {
        self.nodes.iter().flat_map(|(node, platforms)| {
            platforms.iter().map(|(platform, target)| (node.as_str(), platform.as_str(), target))
        })
    }

    fn slot(&self, place: Place<'_>) -> Option<&Slot> {
        self.target(place.node, place.platform)?.slots.get(place.slot)
    }

    /// The target of a node and platform, made when it is not there.
    fn target_mut(&mut self, node: &str, platform: &str) -> &mut Target {
        let platforms = self.nodes.entry(node.to_owned()).or_default();
        platforms.entry(platform.to_owned()).or_default()
    }

    /// Changes a target, and drops what is empty after that.
    fn edit(&mut self, node: &str, platform: &str, change: impl FnOnce(&mut Target)) {
        let target = self.target_mut(node, platform);
        change(target);
        target.slots.retain(|_, slot| *slot != Slot::default());
        if *target == Target::default()
            && let Some(platforms) = self.nodes.get_mut(node)
        {
            platforms.remove(platform);
            if platforms.is_empty() {
                self.nodes.remove(node);
            }
        }
    }

    fn edit_slot(&mut self, place: Place<'_>, change: impl FnOnce(&mut Slot)) {
        self.edit(place.node, place.platform, |target| {
            change(target.slots.entry(place.slot.to_owned()).or_default());
        });
    }
}
