use super::super::testing::lines;
use super::super::{ApplyOptions, Limits, apply};
use super::*;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// Layers on disk as overlayfs leaves them, made without one.
struct World {
    dir: TempDir,
    lowers: Vec<PathBuf>,
}

impl World {
    fn new(lowers: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lowers: Vec<_> = (0..lowers).map(|i| dir.path().join(format!("lower{i}"))).collect();
        lowers.iter().for_each(|l| fs::create_dir(l).unwrap());
        fs::create_dir(dir.path().join("upper")).unwrap();
        World { dir, lowers }
    }

    fn upper(&self) -> PathBuf {
        self.dir.path().join("upper")
    }

    fn recorded(&self, table: OwnerTable, new_owner: (u32, u32)) -> Vec<Entry> {
        let options = DiffOptions { owners: OwnerMode::Recorded, table, new_owner };
        diff_upper(&self.upper(), &self.lowers, &options).unwrap()
    }

    fn diff(&self) -> Vec<String> {
        lines(&self.recorded(OwnerTable::new(), (0, 0)))
    }
}

fn put(root: &Path, entries: &[Entry]) -> OwnerTable {
    let options = ApplyOptions { owners: OwnerMode::Recorded, limits: Limits::default() };
    apply(entries, root, &options).unwrap().owners
}

fn dir(path: &str) -> Entry {
    Entry::new(path, EntryKind::Dir)
}

fn link(path: &str, target: &str) -> Entry {
    Entry::new(path, EntryKind::Symlink { target: target.into() })
}

fn whiteout(root: &Path, at: &str) {
    let path = root.join(at);
    rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

fn attribute(root: &Path, at: &str, key: &str, value: &str) {
    rustix::fs::lsetxattr(root.join(at), key, value.as_bytes(), XattrFlags::empty()).unwrap();
}

fn opaque(root: &Path, at: &str) {
    attribute(root, at, "user.overlay.opaque", "y");
}

#[test]
fn directories_that_only_hold_changes_are_no_entries() {
    let world = World::new(2);
    put(
        &world.lowers[1],
        &[dir("etc"), dir("etc/ssl").with_mode(0o700), Entry::file("etc/a", "1")],
    );
    put(&world.lowers[0], &[dir("etc")]);
    put(
        &world.upper(),
        &[
            dir("etc").with_mtime(99),
            dir("etc/ssl").with_mode(0o711),
            Entry::file("etc/b", "2"),
            dir("new"),
        ],
    );
    assert_eq!(world.diff(), ["etc/b=2 644 0:0 0", "etc/ssl Dir 711 0:0 0", "new Dir 755 0:0 0"]);
}

#[test]
fn whiteouts_are_entries_where_they_hide_something() {
    let world = World::new(2);
    put(
        &world.lowers[1],
        &[dir("d"), Entry::file("d/a", ""), Entry::file("d/b", ""), Entry::file("c", "")],
    );
    put(&world.lowers[0], &[dir("d")]);
    whiteout(&world.lowers[0], "d/b");
    put(&world.upper(), &[dir("d")]);
    for at in ["d/a", "d/b", "d/never", "c"] {
        whiteout(&world.upper(), at);
    }
    assert_eq!(world.diff(), ["c Whiteout 0 0:0 0", "d/a Whiteout 0 0:0 0"]);
}

#[test]
fn attribute_whiteouts_count_as_well() {
    let world = World::new(1);
    put(&world.lowers[0], &[Entry::file("a", "1")]);
    put(&world.upper(), &[Entry::file("a", "")]);
    attribute(&world.upper(), "a", "user.overlay.whiteout", "y");
    assert_eq!(world.diff(), ["a Whiteout 0 0:0 0"]);
}

#[test]
fn opaque_directories_hide_what_is_below() {
    let world = World::new(3);
    put(
        &world.lowers[2],
        &[
            dir("d"),
            Entry::file("d/a", ""),
            dir("d/s"),
            Entry::file("d/s/x", ""),
            dir("e"),
            dir("e/s"),
        ],
    );
    // In the middle `e` is made anew, so its `s` below is out of sight.
    put(&world.lowers[1], &[dir("e")]);
    opaque(&world.lowers[1], "e");
    put(
        &world.upper(),
        &[dir("d"), dir("d/s"), Entry::file("d/s/x", ""), dir("e"), dir("e/s"), dir("n")],
    );
    opaque(&world.upper(), "d");
    opaque(&world.upper(), "n");
    assert_eq!(
        world.diff(),
        [
            "d Dir 755 0:0 0",
            "d Opaque 0 0:0 0",
            "d/s Dir 755 0:0 0",
            "d/s/x= 644 0:0 0",
            "e/s Dir 755 0:0 0",
            "n Dir 755 0:0 0"
        ]
    );
}

#[test]
fn types_may_change_both_ways() {
    let world = World::new(1);
    put(
        &world.lowers[0],
        &[dir("d"), Entry::file("d/x", ""), Entry::file("f", ""), link("l", "d")],
    );
    put(&world.upper(), &[Entry::file("d", ""), dir("f"), dir("l"), Entry::file("l/x", "")]);
    assert_eq!(
        world.diff(),
        ["d= 644 0:0 0", "f Dir 755 0:0 0", "l Dir 755 0:0 0", "l/x= 644 0:0 0"]
    );
}

#[test]
fn a_file_copied_up_and_left_alone_is_no_entry() {
    let world = World::new(1);
    let mut below = vec![
        Entry::file("same", "1").with_mtime(9),
        Entry::file("mode", "1"),
        Entry::file("text", "1"),
        Entry::file("time", "1"),
        Entry::file("xattr", "1"),
        link("l", "a"),
        link("m", "a"),
    ];
    put(&world.lowers[0], &below);
    below[1].mode = 0o600;
    below[2] = Entry::file("text", "2");
    below[3].mtime = 5;
    below[4].xattrs.insert(b"user.k".to_vec(), b"v".to_vec());
    below[6] = link("m", "b");
    put(&world.upper(), &below);
    assert_eq!(
        world.diff(),
        [
            "m->b 777 0:0 0",
            "mode=1 600 0:0 0",
            "text=2 644 0:0 0",
            "time=1 644 0:0 5",
            "xattr=1 644 0:0 0 user.k=v"
        ]
    );
}

#[test]
fn names_of_one_file_stay_together() {
    let world = World::new(1);
    put(&world.lowers[0], &[Entry::file("z", "1")]);
    let hard = EntryKind::Hardlink { target: b"z".to_vec() };
    put(
        &world.upper(),
        &[Entry::file("z", "1"), Entry::new("b", hard.clone()), Entry::new("m", hard)],
    );
    assert_eq!(world.diff(), ["b=1 644 0:0 0", "m=>b 644 0:0 0", "z=>b 644 0:0 0"]);
}

#[test]
fn attributes_of_the_machine_stay_out_and_sockets_too() {
    let world = World::new(1);
    put(&world.lowers[0], &[Entry::file("s", "")]);
    put(&world.upper(), &[dir("d"), Entry::file("f", "")]);
    attribute(&world.upper(), "f", "user.overlay.origin", "x");
    attribute(&world.upper(), "f", "user.keep", "v");
    let _one = std::os::unix::net::UnixListener::bind(world.upper().join("s")).unwrap();
    let _two = std::os::unix::net::UnixListener::bind(world.upper().join("t")).unwrap();
    assert_eq!(world.diff(), ["d Dir 755 0:0 0", "f= 644 0:0 0 user.keep=v", "s Whiteout 0 0:0 0"]);
    attribute(&world.upper(), "f", "user.overlay.metacopy", "");
    let options = DiffOptions { owners: OwnerMode::Recorded, ..DiffOptions::default() };
    let error = diff_upper(&world.upper(), &world.lowers, &options).unwrap_err().to_string();
    assert!(error.contains("metacopy=off"), "{error}");
}

#[test]
fn owners_come_from_the_record_the_table_or_the_default() {
    let world = World::new(2);
    let mut table = put(
        &world.lowers[1],
        &[
            Entry::file("edited", "old").with_owner(3, 4),
            Entry::file("plain", "old"),
            Entry::file("typed", "").with_owner(5, 5),
        ],
    );
    table.extend(put(
        &world.upper(),
        &[Entry::file("own", "").with_owner(1, 2), link("l", "x").with_owner(7, 8)],
    ));
    // Made by a process of the build, which left no record.
    for name in ["edited", "plain", "new"] {
        fs::write(world.upper().join(name), "now").unwrap();
    }
    symlink("t", world.upper().join("typed")).unwrap();
    table.insert(b"new".to_vec(), (66, 66));
    let owners: Vec<_> = world
        .recorded(table, (42, 43))
        .iter()
        .map(|e| format!("{} {}:{}", e.path.escape_ascii(), e.uid, e.gid))
        .collect();
    // The table speaks for links alone: its entry for the file `new` is of something that is gone.
    assert_eq!(owners, ["edited 0:0", "l 7:8", "new 42:43", "own 1:2", "plain 0:0", "typed 42:43"]);
}

#[test]
fn real_owners_are_those_of_the_file_system() {
    let world = World::new(0);
    fs::write(world.upper().join("f"), "").unwrap();
    let me = rustix::process::geteuid().as_raw();
    let entries = diff_upper(&world.upper(), &[], &DiffOptions::default()).unwrap();
    assert_eq!(entries[0].uid, u64::from(me));
}

#[test]
fn recorded_devices_and_modes_come_back() {
    let world = World::new(0);
    fs::write(world.upper().join("null"), "").unwrap();
    attribute(&world.upper(), "null", "user.mabuild.node", "c 1 3");
    attribute(&world.upper(), "null", "user.mabuild.owner", "0:6");
    put(&world.upper(), &[Entry::file("su", "").with_mode(0o755), Entry::file("full", "x")]);
    attribute(&world.upper(), "su", "user.mabuild.mode", "4755");
    attribute(&world.upper(), "su", "user.mabuild.xattr.security.capability", "caps");
    attribute(&world.upper(), "full", "user.mabuild.node", "c 1 3");
    assert_eq!(world.diff()[0], "full=x 644 0:0 0");
    let entries = world.recorded(OwnerTable::new(), (0, 0));
    assert!(matches!(entries[1].kind, EntryKind::CharDev { major: 1, minor: 3 }));
    assert_eq!((entries[1].uid, entries[1].gid), (0, 6));
    assert_eq!(entries[2].mode, 0o4755);
    assert_eq!(entries[2].xattrs[&b"security.capability".to_vec()], b"caps");
}
