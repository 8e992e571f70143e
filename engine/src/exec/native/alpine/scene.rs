//! Packages set up one after another, as apk does it: script before, files, script after; in the
//! end the triggers and the database.

use std::collections::{BTreeSet, HashMap};

use mabuild_distro::alpine::db::FOLDERS;
use mabuild_distro::alpine::package::Script;
use mabuild_distro::alpine::{Database, InstalledPackage};
use mabuild_oci::layer::{Entry, EntryKind};

use super::System;
use super::read::Package;
use super::script::{Call, triggered};

/// Where packages are set up.
pub(super) trait Scene {
    /// Lays files over what is there.
    fn put(&mut self, entries: Vec<Entry>) -> Result<(), String>;
    /// A small file as it is now; none where it is missing.
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, String>;
    /// Runs a script.
    fn run(&mut self, call: &Call<'_>) -> Result<(), String>;
}

/// Files that are laid over each other without running anything.
#[derive(Default)]
pub(super) struct Memory {
    /// The files of each package.
    pub entries: Vec<Vec<Entry>>,
}

impl Scene for Memory {
    fn put(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        self.entries.push(entries);
        Ok(())
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let mut all = self.entries.iter().rev().flatten();
        let Some(entry) = all.find(|entry| entry.path == path.as_bytes()) else { return Ok(None) };
        let EntryKind::File { content, size } = &entry.kind else { return Ok(None) };
        content.read(*size).map(Some).map_err(|e| format!("cannot read {path}: {e}"))
    }

    fn run(&mut self, call: &Call<'_>) -> Result<(), String> {
        Err(format!("{call} cannot run outside of a sandbox"))
    }
}

/// Sets packages up in their order. Times of what no package has are `date`.
pub(super) fn set(
    packages: Vec<Package>,
    system: &System,
    date: i64,
    scene: &mut dyn Scene,
) -> Result<(), String> {
    let mut database = Database::new();
    for package in packages {
        let (fields, scripts) = (package.fields.clone(), package.scripts.clone());
        let call = |script| Call::of(&fields, &scripts, script, vec![fields.version.clone()]);
        if let Some(call) = call(Script::PreInstall) {
            scene.run(&call)?;
        }
        let entries = install(package, &mut database, scene)?;
        scene.put(entries)?;
        if let Some(call) = call(Script::PostInstall) {
            scene.run(&call)?;
        }
    }
    for package in database.packages() {
        let folders = triggered(package, database.packages());
        let call = Call::of(&package.package, &package.scripts, Script::Trigger, folders);
        if let Some(call) = call.filter(|call| !call.args.is_empty()) {
            scene.run(&call)?;
        }
    }
    scene.put(files(&database, system, date)?)
}

/// Enters a package into the database; gives what of its files is written.
fn install(
    package: Package,
    database: &mut Database,
    scene: &mut dyn Scene,
) -> Result<Vec<Entry>, String> {
    let Package { fields, scripts, triggers, mut files, mut entries } = package;
    let is_foreign = |name: &Option<String>| name.as_deref().is_some_and(|name| name != "root");
    if files.iter().any(|file| file.names.iter().any(is_foreign)) {
        let mut table = |path| Ok::<_, String>(ids(&scene.read(path)?.unwrap_or_default()));
        let (users, groups) = (table("etc/passwd")?, table("etc/group")?);
        let mut owners = HashMap::new();
        for file in &mut files {
            let [user, group] = &file.names;
            let id = |table: &HashMap<String, u64>, name: &Option<String>| {
                name.as_ref().and_then(|name| table.get(name)).copied()
            };
            file.access.uid = id(&users, user).unwrap_or(file.access.uid);
            file.access.gid = id(&groups, group).unwrap_or(file.access.gid);
            owners.insert(file.path.as_bytes(), (file.access.uid, file.access.gid));
        }
        for entry in &mut entries {
            if let Some(owner) = owners.get(entry.path.as_slice()) {
                (entry.uid, entry.gid) = *owner;
            }
        }
    }
    let control = fields.clone();
    let installed = InstalledPackage::new(fields, &control, &files, scripts, triggers);
    let changes = database.install(installed).map_err(|e| e.to_string())?;
    let kept: BTreeSet<&[u8]> = changes.kept.iter().map(String::as_bytes).collect();
    entries.retain(|entry| !kept.contains(entry.path.as_slice()));
    Ok(entries)
}

/// Numbers by name, out of a table of users or groups: passwd(5), group(5).
fn ids(table: &[u8]) -> HashMap<String, u64> {
    let text = String::from_utf8_lossy(table);
    let id = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((name, fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(id).collect()
}

/// What apk keeps of a system.
fn files(database: &Database, system: &System, date: i64) -> Result<Vec<Entry>, String> {
    let owned: BTreeSet<String> = database.packages().iter().flat_map(|one| one.paths()).collect();
    let dirs = FOLDERS.iter().map(|path| Entry::new(*path, EntryKind::Dir).with_mtime(date));
    let mut entries: Vec<Entry> = dirs.collect();
    for file in database.files(&system.setup()?) {
        // A package with keys has them as they should be.
        if file.path.starts_with("etc/apk/keys/") && owned.contains(&file.path) {
            continue;
        }
        let entry = Entry::file(file.path, file.bytes);
        entries.push(entry.with_mode(file.mode).with_mtime(date));
    }
    Ok(entries)
}
