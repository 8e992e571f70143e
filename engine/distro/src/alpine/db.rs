//! The database that apk keeps in a root file system: `/lib/apk/db` and `/etc/apk`.
//!
//! Source of the formats: `src/database.c` of apk-tools.

mod read;
mod write;

use super::dependency::Dependency;
use super::files::{Access, Entry, Kind};
use super::index::{Checksum, Package};
use super::keys::Keys;
use super::package::Script;
pub use read::{DatabaseError, read_world};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Mode and owners of a folder that need not be written down.
const USUAL_FOLDER: Access = Access { mode: 0o755, uid: 0, gid: 0, xattrs: None };
/// Mode and owners of a file that need not be written down.
const USUAL_FILE: Access = Access { mode: 0o644, uid: 0, gid: 0, xattrs: None };

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledPackage {
    /// Its fields of the index.
    pub package: Package,
    /// The tag of the repository that it came from.
    pub tag: Option<String>,
    /// The flags of the field `f:`, which tell of an unfinished installation.
    pub flags: Option<String>,
    /// Its folders in the order of the package, with the files in each.
    pub folders: Vec<Folder>,
    /// Its scripts.
    pub scripts: BTreeMap<Script, Vec<u8>>,
    /// The folders whose change runs its trigger script.
    pub triggers: Vec<String>,
}

/// A folder of an installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The path below the root; empty for the root.
    pub path: String,
    /// Mode and owners.
    pub access: Access,
    /// The package's files in it.
    pub files: Vec<File>,
}

/// A file of an installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The name in its folder.
    pub name: String,
    /// Mode and owners.
    pub access: Access,
    /// SHA-1 of the content, or of the target of a symbolic link.
    pub checksum: Option<Checksum>,
}

impl InstalledPackage {
    /// Makes the record of a package that is being installed: its fields from the index, what it
    /// replaces, its files, scripts and triggers from the `.apk` file, as no index has these.
    pub fn new(
        indexed: Package,
        control: &Package,
        entries: &[Entry],
        scripts: BTreeMap<Script, Vec<u8>>,
        triggers: Vec<String>,
    ) -> Self {
        let mut folders: Vec<Folder> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for entry in entries {
            let (parent, name) = match entry.kind {
                Kind::Folder => (entry.path.as_str(), None),
                Kind::File => {
                    let (parent, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
                    (parent, Some(name))
                }
            };
            let place = *places.entry(parent).or_insert_with(|| {
                let (path, files) = (parent.to_owned(), Vec::new());
                folders.push(Folder { path, access: USUAL_FOLDER, files });
                folders.len() - 1
            });
            let Some(folder) = folders.get_mut(place) else { continue };
            match name {
                None => folder.access = entry.access,
                Some(name) => folder.files.push(File {
                    name: name.to_owned(),
                    access: entry.access,
                    checksum: entry.checksum,
                }),
            }
        }
        let package = Package {
            replaces: control.replaces.clone(),
            replaces_priority: control.replaces_priority,
            ..indexed
        };
        InstalledPackage { package, tag: None, flags: None, folders, scripts, triggers }
    }

    /// Gives the paths of its files, without folders.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.folders
            .iter()
            .flat_map(|folder| folder.files.iter().map(|file| join_path(&folder.path, &file.name)))
    }
}

fn join_path(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Folders that must exist for apk to open the database for writing, mode 0755.
pub const FOLDERS: &[&str] = &["var/cache/apk"];

/// Two packages have a file at the same path, and neither replaces the other's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{new} and {owner} both have the file /{path}, and neither says that it replaces the other; \
     leave one of them out"
)]
pub struct FileConflict {
    /// The path.
    pub path: String,
    /// The package that has it already.
    pub owner: String,
    /// The package that comes later.
    pub new: String,
}

/// What the installation of one package does to files that are there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChanges {
    /// Paths of the new package that stay as another package made them: not to be written.
    pub kept: BTreeSet<String>,
    /// Paths of the replaced version that the new one has no more: to be deleted.
    pub removed: BTreeSet<String>,
}

/// Something to be written into a root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFile {
    /// The path below the root.
    pub path: String,
    /// The content.
    pub bytes: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
}

/// What else than packages apk wants to know of a root file system.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The architecture in Alpine's spelling.
    pub arch: String,
    /// What was asked for.
    pub world: Vec<Dependency>,
    /// The lines of `/etc/apk/repositories`.
    pub repositories: Vec<String>,
    /// The keys of `/etc/apk/keys`.
    pub keys: Keys,
}

/// The installed packages of a root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    packages: Vec<InstalledPackage>,
    /// Which package has a path.
    owners: HashMap<String, String>,
}

impl Database {
    /// Makes the database of an empty root file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the installed packages.
    pub fn packages(&self) -> &[InstalledPackage] {
        &self.packages
    }

    fn get(&self, name: &str) -> Option<&InstalledPackage> {
        self.packages.iter().find(|installed| installed.package.name == name)
    }

    /// Adds a package, or puts it in the place of its other version.
    ///
    /// Packages are to be added in the order in which they are installed: a file that two of them
    /// have belongs to the one that `replaces` decides for, and of two from the same source
    /// package to the later one.
    ///
    /// # Errors
    /// When a file belongs to another package and neither replaces the other; the database is
    /// unchanged then.
    pub fn install(&mut self, mut new: InstalledPackage) -> Result<FileChanges, FileConflict> {
        let mut changes = FileChanges::default();
        let mut taken: HashMap<String, BTreeSet<String>> = HashMap::new();
        for path in new.paths() {
            let Some(owner) = self.owners.get(&path).and_then(|name| self.get(name)) else {
                continue;
            };
            match who_wins(&owner.package, &new.package) {
                Winner::Owner => {
                    changes.kept.insert(path);
                }
                Winner::New => {
                    taken.entry(owner.package.name.clone()).or_default().insert(path);
                }
                Winner::Nobody => {
                    let (owner, new) = (owner.package.name.clone(), new.package.name.clone());
                    return Err(FileConflict { path, owner, new });
                }
            }
        }
        drop_files(&mut new, &changes.kept);
        for (name, paths) in &taken {
            let owner = self.packages.iter_mut().find(|other| other.package.name == *name);
            owner.into_iter().for_each(|owner| drop_files(owner, paths));
        }
        let name = new.package.name.clone();
        let old = self.packages.iter().position(|other| other.package.name == name);
        for path in old.and_then(|at| self.packages.get(at)).into_iter().flat_map(|old| old.paths())
        {
            self.owners.remove(&path);
            changes.removed.insert(path);
        }
        for path in new.paths() {
            changes.removed.remove(&path);
            self.owners.insert(path, name.clone());
        }
        match old.and_then(|at| self.packages.get_mut(at)) {
            Some(old) => *old = new,
            None => self.packages.push(new),
        }
        Ok(changes)
    }
}

fn drop_files(package: &mut InstalledPackage, paths: &BTreeSet<String>) {
    for folder in &mut package.folders {
        let path = &folder.path;
        folder.files.retain(|file| !paths.contains(&join_path(path, &file.name)));
    }
}

enum Winner {
    Owner,
    New,
    Nobody,
}

/// Who has a file that is in both packages.
fn who_wins(owner: &Package, new: &Package) -> Winner {
    let same_origin = owner.origin.is_some() && owner.origin == new.origin;
    if owner.name == new.name || same_origin {
        return Winner::New;
    }
    let priority = |a: &Package, b: &Package| {
        let says = |dependency: &Dependency| {
            dependency.name == b.name && dependency.matches(Some(&b.version))
        };
        a.replaces.iter().any(says).then_some(a.replaces_priority)
    };
    match (priority(owner, new), priority(new, owner)) {
        (None, None) => Winner::Nobody,
        (of_owner, of_new) if of_owner > of_new => Winner::Owner,
        _ => Winner::New,
    }
}

#[cfg(test)]
mod tests;
