//! Reading the database of an image.

use super::super::dependency::{BadDependency, Dependency};
use super::super::files::Access;
use super::super::index::{Checksum, Package, field, shown};
use super::super::package::Script;
use super::super::segment::{FormatError, walk_tar};
use super::{Database, File, Folder, InstalledPackage, USUAL_FILE, USUAL_FOLDER, join_path};
use std::collections::BTreeMap;
use std::io::Read as _;

/// More lines than any image has.
const MAX_LINES: usize = 50_000_000;

/// Largest script; real ones have some kilobytes.
const MAX_SCRIPT_BYTES: u64 = 16 << 20;

/// A database of installed packages that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of lib/apk/db/installed: {detail}")]
pub struct DatabaseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub detail: String,
}

impl Database {
    /// Reads the text of `/lib/apk/db/installed`.
    ///
    /// # Errors
    /// When a line cannot be understood; unknown fields in lower case are left out.
    pub fn read(text: &str) -> Result<Self, DatabaseError> {
        let mut database = Database::new();
        let mut current: Option<InstalledPackage> = None;
        for (at, line) in text.lines().enumerate().take(MAX_LINES) {
            let bad = |detail| DatabaseError { line: at + 1, detail };
            if line.is_empty() {
                database.finish(current.take()).map_err(bad)?;
                continue;
            }
            let (field, value) =
                field(line).ok_or_else(|| bad(format!("this is no field: {}", shown(line))))?;
            let installed = current.get_or_insert_with(|| {
                let none = Package::default();
                InstalledPackage::new(none.clone(), &none, &[], BTreeMap::new(), Vec::new())
            });
            take_field(installed, field, value).map_err(bad)?;
        }
        let detail = |detail| DatabaseError { line: text.lines().count(), detail };
        database.finish(current).map_err(detail)?;
        Ok(database)
    }

    fn finish(&mut self, installed: Option<InstalledPackage>) -> Result<(), String> {
        let Some(installed) = installed else { return Ok(()) };
        let Package { name, version, .. } = &installed.package;
        if name.is_empty() || version.is_empty() {
            return Err("the package before it has no P: or no V: field".into());
        }
        self.owners.extend(installed.paths().map(|path| (path, name.clone())));
        self.packages.push(installed);
        Ok(())
    }

    /// Takes the scripts of the installed packages from `/lib/apk/db/scripts.tar`.
    ///
    /// # Errors
    /// When the archive is damaged. Scripts of packages that are not installed are left out.
    pub fn read_scripts(&mut self, tar: &[u8]) -> Result<(), FormatError> {
        let unpacked;
        let mut tar = tar;
        if tar.starts_with(&[0x1f, 0x8b]) {
            let limit = MAX_SCRIPT_BYTES * 16;
            let mut bytes = Vec::new();
            let mut decoder = flate2::bufread::MultiGzDecoder::new(tar).take(limit + 1);
            if decoder.read_to_end(&mut bytes)? as u64 > limit {
                return Err(FormatError::TooLarge { what: "archive of scripts", limit });
            }
            unpacked = bytes;
            tar = &unpacked;
        }
        walk_tar::<FormatError>(&mut tar, |entry, content| {
            let name = entry.path_lossy();
            // The name is PACKAGE-VERSION.CHECKSUM.SCRIPT.
            let parts = name.rsplit_once('.').and_then(|(rest, script)| {
                let (_, checksum) = rest.rsplit_once('.')?;
                Some((Checksum::parse(checksum)?, Script::from_name(script)?))
            });
            let Some((checksum, script)) = parts else { return Ok(()) };
            let owner = self.packages.iter_mut().find(|one| one.package.checksum == checksum);
            let Some(owner) = owner else { return Ok(()) };
            let mut text = Vec::new();
            if content.take(MAX_SCRIPT_BYTES + 1).read_to_end(&mut text)? as u64 > MAX_SCRIPT_BYTES
            {
                return Err(FormatError::TooLarge { what: "script", limit: MAX_SCRIPT_BYTES });
            }
            owner.scripts.insert(script, text);
            Ok(())
        })
    }

    /// Takes the triggers of the installed packages from `/lib/apk/db/triggers`. Those of
    /// packages that are not installed are left out.
    pub fn read_triggers(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let checksum = words.next().and_then(Checksum::parse);
            let owner = checksum.and_then(|checksum| {
                self.packages.iter_mut().find(|one| one.package.checksum == checksum)
            });
            owner.into_iter().for_each(|one| one.triggers.extend(words.by_ref().map(Into::into)));
        }
    }
}

/// Reads `/etc/apk/world`.
///
/// # Errors
/// When an entry is no dependency.
pub fn read_world(text: &str) -> Result<Vec<Dependency>, BadDependency> {
    Dependency::parse_list(text)
}

fn take_field(installed: &mut InstalledPackage, field: char, value: &str) -> Result<(), String> {
    let misplaced = || format!("the field {field}: stands before what it belongs to");
    match field {
        'F' => {
            let (path, files) = (path_value(value)?, Vec::new());
            installed.folders.push(Folder { path, access: USUAL_FOLDER, files });
        }
        'M' => {
            let folder = installed.folders.last_mut().ok_or_else(misplaced)?;
            folder.access = parse_access(value)?;
        }
        'R' => {
            let folder = installed.folders.last_mut().ok_or_else(misplaced)?;
            let name = path_value(value)?;
            folder.files.push(File { name, access: USUAL_FILE, checksum: None });
        }
        'a' | 'Z' => {
            let folder = installed.folders.last_mut().ok_or_else(misplaced)?;
            let file = folder.files.last_mut().ok_or_else(misplaced)?;
            if field == 'a' {
                file.access = parse_access(value)?;
            } else {
                let sum = Checksum::parse(value);
                file.checksum =
                    Some(sum.ok_or_else(|| format!("Z: is no SHA-1 checksum: {}", shown(value)))?);
            }
        }
        's' => installed.tag = Some(value.to_owned()),
        'f' => installed.flags = Some(value.to_owned()),
        _ => {
            let known = installed.package.set(field, value)?;
            if !known && !field.is_ascii_lowercase() {
                return Err(format!("the field {field}: needs a newer mabuild"));
            }
        }
    }
    Ok(())
}

fn path_value(value: &str) -> Result<String, String> {
    if join_path("", value).split('/').any(|part| part == "..") {
        return Err(format!("{} leaves the root", shown(value)));
    }
    Ok(value.to_owned())
}

/// Reads `UID:GID:MODE` with an octal mode, and a checksum when there are extended attributes.
fn parse_access(value: &str) -> Result<Access, String> {
    let mut parts = value.split(':');
    let access = (|| {
        let uid = parts.next()?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        let mode = u32::from_str_radix(parts.next()?, 8).ok().filter(|mode| *mode <= 0o7777)?;
        let xattrs = match parts.next() {
            Some(sum) => Some(Checksum::parse(sum)?),
            None => None,
        };
        parts.next().is_none().then_some(Access { mode, uid, gid, xattrs })
    })();
    access.ok_or_else(|| format!("these are no owners and mode: {}", shown(value)))
}
