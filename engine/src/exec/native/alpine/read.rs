//! Package files, read: what they say of themselves, and their files.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

use mabuild_distro::alpine::files::{self, Entry as Listed};
use mabuild_distro::alpine::package::Script;
use mabuild_distro::alpine::{Apk, Package as Fields};
use mabuild_oci::layer::{Entry, EntryKind, Limits, read_tar};
use rayon::prelude::*;
use std::collections::BTreeMap;

use super::DebFile;

/// Scripts that run when a package comes new into a system.
const RUN: [Script; 3] = [Script::PreInstall, Script::PostInstall, Script::Trigger];

/// A package that was read; its contents lie in a spool file.
pub(super) struct Package {
    pub fields: Fields,
    pub scripts: BTreeMap<Script, Vec<u8>>,
    pub triggers: Vec<String>,
    /// Its files as the database wants them.
    pub files: Vec<Listed>,
    /// The same as a layer has them.
    pub entries: Vec<Entry>,
}

/// Opens a package whose digest was verified when it came.
pub(super) fn open(file: &DebFile) -> Result<Apk<BufReader<File>>, String> {
    let bad = |e: &dyn std::fmt::Display| {
        format!("the package {} {} cannot be read: {e}", file.name, file.version)
    };
    let reader = BufReader::new(File::open(&file.path).map_err(|e| bad(&e))?);
    let mut apk = Apk::open_known(reader).map_err(|e| bad(&e))?;
    let Fields { name, version, .. } = &apk.package;
    if (name, version) != (&file.name, &file.version) {
        return Err(bad(&format!("it says that it is {name} {version}")));
    }
    // Only an index knows how large the file is.
    apk.package.size = file.size;
    Ok(apk)
}

/// Whether anything is to be run to set packages up.
pub(super) fn have_scripts(packages: &[DebFile]) -> Result<bool, String> {
    for file in packages {
        let apk = open(file)?;
        if RUN.iter().any(|script| apk.scripts.contains_key(script)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads packages side by side; gives them in the order of the files. Contents go to unnamed files
/// in `folder`.
pub(super) fn read(packages: &[DebFile], folder: &Path) -> Result<Vec<Package>, String> {
    packages.par_iter().map(|file| read_one(file, folder)).collect()
}

fn read_one(file: &DebFile, folder: &Path) -> Result<Package, String> {
    let bad = |e: &dyn std::fmt::Display| {
        format!("the package {} {} cannot be unpacked: {e}", file.name, file.version)
    };
    let apk = open(file)?;
    let (fields, scripts, triggers) =
        (apk.package.clone(), apk.scripts.clone(), apk.triggers.clone());
    let spool = || tempfile::tempfile_in(folder);
    // The files are read twice, but uncompressed once.
    let mut tar = spool().map_err(|e| bad(&e))?;
    std::io::copy(&mut apk.data(), &mut tar).map_err(|e| bad(&e))?;
    tar.rewind().map_err(|e| bad(&e))?;
    let files = files::list(&mut BufReader::new(&tar)).map_err(|e| bad(&e))?;
    tar.rewind().map_err(|e| bad(&e))?;
    let limits = Limits { whiteouts: false, ..Limits::default() };
    let contents = spool().map_err(|e| bad(&e))?;
    let mut entries = read_tar(BufReader::new(tar), contents, &limits).map_err(|e| bad(&e))?;
    // The root directory belongs to whoever unpacks the image.
    entries.retain(|entry| !entry.path.is_empty());
    Ok(Package { fields, scripts, triggers, files, entries })
}

/// The date of the newest package or file, in seconds since 1970.
pub(super) fn newest(packages: &[Package]) -> i64 {
    let of_files = packages.iter().flat_map(|package| &package.entries);
    let files = of_files.filter(|e| matches!(e.kind, EntryKind::File { .. })).map(|e| e.mtime);
    let built = packages.iter().filter_map(|package| package.fields.build_time?.try_into().ok());
    files.chain(built).max().unwrap_or(0).max(0)
}
