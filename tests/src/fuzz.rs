//! Bodies of the fuzz targets: each takes any bytes and fails by a panic when a promise is broken.
//! `tests/fuzz` calls them with what a fuzzer finds, the tests with a corpus and its mutations.

mod recipes;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mabuild_lang::{Files, Vars, format, load, report};
use mabuild_oci::layer::{
    ApplyOptions, Compression, Limits, OwnerMode, PackOptions, apply, decompress, pack, read_tar,
};

pub use recipes::{dockerfile, ignore};

/// One file and no other.
struct One<'a>(&'a [u8]);

impl Files for One<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "mabuild.kdl" => Ok(self.0.to_vec()),
            _ => Err("there is no such file".to_owned()),
        }
    }

    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// Reads bytes as a file of the language. Whatever they are: every diagnostic can be shown; a
/// file without errors can be brought into canonical layout, which is stable and means the same.
pub fn kdl(bytes: &[u8]) {
    let loaded = load("mabuild.kdl", &One(bytes), &Vars::default());
    for diagnostic in loaded.diagnostics.iter().take(50) {
        let shown = report(diagnostic, &loaded.sources);
        assert!(!shown.to_string().is_empty(), "a diagnostic without words");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(loaded.has_errors(), "bytes that are no text were taken");
        return;
    };
    let Ok(canonical) = format("mabuild.kdl", text) else {
        assert!(loaded.has_errors(), "a good file could not be formatted");
        return;
    };
    let again =
        format("mabuild.kdl", &canonical).unwrap_or_else(|_| panic!("not read again: {canonical}"));
    assert_eq!(again, canonical, "the layout is not stable");
    if !loaded.has_errors() {
        let reloaded = load("mabuild.kdl", &One(canonical.as_bytes()), &Vars::default());
        assert!(!reloaded.has_errors(), "the layout changed the meaning: {canonical}");
        assert_eq!(reloaded.config.images.len(), loaded.config.images.len());
        assert_eq!(reloaded.config.bases.len(), loaded.config.bases.len());
    }
}

/// Reads bytes as an archive and unpacks it into a folder of its own. Whatever they are: nothing
/// is written outside, and what was read can be packed and read again.
pub fn tar(bytes: &[u8]) {
    let jail = tempfile::tempdir().expect("a folder");
    let limits = Limits { entries: 1000, bytes: 1 << 20, ..Limits::default() };
    let spool = tempfile::tempfile().expect("a file");
    let Ok(entries) = read_tar(bytes, spool, &limits) else { return };
    let root = jail.path().join("root");
    std::fs::create_dir(&root).expect("own folder");
    std::fs::write(jail.path().join("canary"), "alive").expect("own folder");
    // A refusal is as good as success; what counts is what it leaves behind.
    let options = ApplyOptions { owners: OwnerMode::Recorded, limits };
    apply(&entries, &root, &options).ok();
    let names: Vec<_> = std::fs::read_dir(jail.path()).expect("own folder").flatten().collect();
    assert_eq!(names.len(), 2, "written outside of the root: {names:?}");
    let canary = std::fs::read_to_string(jail.path().join("canary")).expect("still there");
    assert_eq!(canary, "alive", "written outside of the root");
    assert_same_disk(&root);
    let mut packed = Vec::new();
    let options = PackOptions { compression: Compression::Gzip, clamp_mtime: 0, threads: 1 };
    if pack(entries, &options, &mut packed).is_ok() {
        let spool = tempfile::tempfile().expect("a file");
        let plain = decompress(&packed[..]).expect("own archive");
        read_tar(plain, spool, &Limits::default()).expect("what was packed can be read");
    }
}

/// Nothing but plain things of this file system: an archive makes no mount and no device here
/// that belongs to another.
fn assert_same_disk(root: &Path) {
    let disk = std::fs::metadata(root).expect("own folder").dev();
    for path in crate::env::walk(root) {
        let meta = std::fs::symlink_metadata(&path).expect("own file");
        assert_eq!(meta.dev(), disk, "{}", path.display());
    }
}
