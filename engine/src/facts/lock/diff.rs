//! What moved between two locks, as people want to hear it.

use std::collections::BTreeMap;

use super::{At, Lock, Package, Slot, Target, pins};

/// What the slots of files and of what is watched are called.
const ADD: &str = "add";
const WATCH: &str = "watch";

/// Something that moved, on one or more platforms of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What moved.
    pub what: Change,
    /// Node, or variant of one.
    pub node: String,
    /// Which upstream of the node; `add` for files and commits, `watch` for what is watched.
    pub slot: String,
    /// The platforms in normal form, sorted.
    pub platforms: Vec<String>,
}

/// What moved. `from` is none for what is new, `to` for what is gone. Digests that are others on
/// each platform are those of the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A root file system archive: its version, or its digest where the version is the same or not
    /// known.
    Archive {
        /// What it was.
        from: Option<String>,
        /// What it is.
        to: Option<String>,
    },
    /// An image of a registry.
    Manifest {
        /// Digest that it had.
        from: Option<String>,
        /// Digest that it has.
        to: Option<String>,
        /// Complete reference that it is pulled by, or was where it is gone.
        reference: String,
    },
    /// A release of an archive of packages.
    Release {
        /// Suite, or path or address of a repository.
        archive: String,
        /// When the former was made, in seconds since 1970.
        from: Option<i64>,
        /// When this one was made, in seconds since 1970.
        to: Option<i64>,
    },
    /// A package.
    Package {
        /// Its name.
        name: String,
        /// Version that it had.
        from: Option<String>,
        /// Version that it has; the same one where only the file is another.
        to: Option<String>,
        /// Whether the new one comes from an archive of security updates.
        security: bool,
    },
    /// A file that is added.
    File {
        /// Its address.
        address: String,
        /// Digest that it had.
        from: Option<String>,
        /// Digest that it has.
        to: Option<String>,
    },
    /// A repository that is added.
    Commit {
        /// Its address.
        remote: String,
        /// Branch, tag or commit that was asked for.
        reference: Option<String>,
        /// Commit that it was.
        from: Option<String>,
        /// Commit that it is.
        to: Option<String>,
    },
    /// A package that is watched.
    Watch {
        /// Its name.
        name: String,
        /// Version that it had.
        from: Option<String>,
        /// Version that it has.
        to: Option<String>,
    },
}

impl Lock {
    /// Gives what is another in a newer lock, sorted by node, slot and what it is. The same on
    /// several platforms of a node comes once.
    pub fn diff(&self, newer: &Lock) -> Vec<Moved> {
        let (nothing, no_target, no_slot) = (BTreeMap::new(), Target::default(), Slot::default());
        let mut moved = Vec::new();
        for (node, (old, new)) in joined(&self.nodes, &newer.nodes) {
            let mut found = BTreeMap::new();
            let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
            for (platform, (old, new)) in joined(old, new) {
                let mut finder =
                    Finder { platform, slot: "", no_slot: &no_slot, found: &mut found };
                finder.target(old.unwrap_or(&no_target), new.unwrap_or(&no_target));
            }
            let start = moved.len();
            moved.extend(found.into_iter().map(|((slot, _), (what, platforms))| Moved {
                what,
                node: node.clone(),
                slot: slot.to_owned(),
                platforms,
            }));
            if let Some(of_node) = moved.get_mut(start..) {
                of_node.sort_by(|a, b| (&a.slot, &a.what).cmp(&(&b.slot, &b.what)));
            }
        }
        moved
    }
}

/// All keys of two maps with their values.
fn joined<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> BTreeMap<&'a K, (Option<&'a V>, Option<&'a V>)> {
    let mut all: BTreeMap<&K, (Option<&V>, Option<&V>)> =
        old.iter().map(|(key, value)| (key, (Some(value), None))).collect();
    for (key, value) in new {
        all.entry(key).or_default().1 = Some(value);
    }
    all
}

/// Keys of two maps with other values, with the values.
fn moved<'a, K: Ord, T: Clone + PartialEq>(
    old: &'a BTreeMap<K, At<T>>,
    new: &'a BTreeMap<K, At<T>>,
) -> impl Iterator<Item = (&'a K, Option<T>, Option<T>)> {
    let all = joined(old, new).into_iter().filter(|(_, (old, new))| old != new);
    let value = |at: Option<&At<T>>| at.map(|at| at.value.clone());
    all.map(move |(key, (old, new))| (key, value(old), value(new)))
}

/// What moved, by slot and by what makes it the same on several platforms.
type Found<'a> = BTreeMap<(&'a str, Change), (Change, Vec<String>)>;

/// Looks at one platform of a node.
struct Finder<'a, 'f> {
    platform: &'a str,
    slot: &'a str,
    no_slot: &'a Slot,
    found: &'f mut Found<'a>,
}

impl<'a> Finder<'a, '_> {
    /// Notes a change. `same` is the change without what is another on each platform.
    fn note_as(&mut self, same: Change, change: Change) {
        let (_, platforms) =
            self.found.entry((self.slot, same)).or_insert_with(|| (change, Vec::new()));
        platforms.push(self.platform.to_owned());
    }

    fn note(&mut self, change: Change) {
        self.note_as(change.clone(), change);
    }

    fn target(&mut self, old: &'a Target, new: &'a Target) {
        self.slot = ADD;
        for (address, from, to) in moved(&old.files, &new.files) {
            self.note(Change::File { address: address.clone(), from, to });
        }
        for ((remote, reference), from, to) in moved(&old.commits, &new.commits) {
            let (remote, reference) = (remote.clone(), reference.clone());
            self.note(Change::Commit { remote, reference, from, to });
        }
        self.slot = WATCH;
        for (name, from, to) in moved(&old.watched, &new.watched) {
            self.note(Change::Watch { name: name.clone(), from, to });
        }
        for (slot, (old, new)) in joined(&old.slots, &new.slots) {
            self.slot = slot;
            self.pinned(old.unwrap_or(self.no_slot), new.unwrap_or(self.no_slot));
        }
    }

    fn pinned(&mut self, old: &Slot, new: &Slot) {
        self.archive(old, new);
        if old.manifest != new.manifest {
            let (from, to) = (old.manifest.as_ref(), new.manifest.as_ref());
            let reference =
                |at: Option<&At<super::Located>>| at.map(|at| at.value.location.clone());
            let digest = |at: Option<&At<super::Located>>| at.map(|at| at.value.digest.clone());
            let (was, is) = (reference(from), reference(to));
            let reference = is.clone().or_else(|| was.clone()).unwrap_or_default();
            let same = Change::Manifest { from: was, to: is, reference: String::new() };
            let change = Change::Manifest { from: digest(from), to: digest(to), reference };
            self.note_as(same, change);
        }
        for (name, from, to) in moved(&old.releases, &new.releases) {
            let archive = pins::label(name).to_owned();
            self.note(Change::Release { archive, from, to });
        }
        for (name, (old, new)) in joined(&old.packages, &new.packages) {
            self.package(name, old.map(|at| &at.value), new.map(|at| &at.value));
        }
    }

    fn archive(&mut self, old: &Slot, new: &Slot) {
        let digest = |slot: &Slot| slot.archive.as_ref().map(|at| at.value.digest.clone());
        let version = |slot: &Slot| slot.version.as_ref().map(|at| at.value.clone());
        let (from, to) = (digest(old), digest(new));
        if from == to {
            return;
        }
        match (version(old), version(new)) {
            (was, is) if was != is => {
                let change = Change::Archive { from: was.or(from), to: is.or(to) };
                self.note(change);
            }
            (same, _) => {
                let both = (from.as_ref().and(same.clone()), to.as_ref().and(same));
                let same = Change::Archive { from: both.0, to: both.1 };
                self.note_as(same, Change::Archive { from, to });
            }
        }
    }

    /// Of a package its content counts, not where it is.
    fn package(&mut self, name: &str, old: Option<&Package>, new: Option<&Package>) {
        let content = |package: &Package| {
            let Package { version, arch, sha256, size: _, archive: _, path: _, after: _ } = package;
            (version.clone(), arch.clone(), sha256.clone())
        };
        if old.map(content) == new.map(content) {
            return;
        }
        let version = |package: &Package| package.version.clone();
        self.note(Change::Package {
            name: name.to_owned(),
            from: old.map(version),
            to: new.map(version),
            security: new.is_some_and(|new| pins::label(&new.archive).ends_with("-security")),
        });
    }
}
