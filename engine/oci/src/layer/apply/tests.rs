use super::super::testing::{archive, raw, raw_link, tree};
use super::super::{Content, FsView, LayerIndex};
use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

fn options(owners: OwnerMode) -> ApplyOptions {
    ApplyOptions { owners, limits: Limits::default() }
}

/// An owner the test itself has, so that it passes for every user.
fn me() -> (u64, u64) {
    (rustix::process::geteuid().as_raw().into(), rustix::process::getegid().as_raw().into())
}

fn mine(mut entries: Vec<Entry>) -> Vec<Entry> {
    for entry in &mut entries {
        (entry.uid, entry.gid) = me();
    }
    entries
}

fn apply_real(entries: Vec<Entry>, root: &Path) -> Result<ApplyStats> {
    apply(&mine(entries), root, &options(OwnerMode::Real))
}

fn dir(path: &str) -> Entry {
    Entry::new(path, EntryKind::Dir)
}

fn link(path: &str, target: &str) -> Entry {
    Entry::new(path, EntryKind::Symlink { target: target.into() })
}

fn hard(path: &str, target: &str) -> Entry {
    Entry::new(path, EntryKind::Hardlink { target: target.into() })
}

fn xattr(path: PathBuf, name: &str) -> Option<Vec<u8>> {
    let mut buffer = [0; 256];
    let n = rustix::fs::lgetxattr(path, name, &mut buffer).ok()?;
    Some(buffer[..n].to_vec())
}

#[test]
fn everything_arrives_with_its_metadata() {
    let root = tempfile::tempdir().unwrap();
    let mut noted = Entry::file("d/f", "data").with_mode(0o4751).with_mtime(77);
    noted.xattrs.insert(b"user.note".to_vec(), b"v\0w".to_vec());
    let entries = vec![
        dir("d").with_mode(0o555).with_mtime(55),
        noted,
        hard("d/h", "d/f"),
        link("d/l", "nowhere").with_mtime(66),
        Entry::new("d/p", EntryKind::Fifo).with_mode(0o640),
        dir("").with_mode(0o711).with_mtime(44),
    ];
    let stats = apply_real(entries, root.path()).unwrap();
    assert_eq!(
        tree(root.path()),
        ["d/ 555 55", "d/f=data 4751 77", "d/h=data 4751 77", "d/l->nowhere 777 66", "d/p| 640 0"]
    );
    assert_eq!((stats.entries, stats.bytes), (6, 4));
    let meta = root.path().metadata().unwrap();
    assert_eq!((meta.permissions().mode() & 0o7777, meta.mtime()), (0o711, 44));
    let (f, h) = (root.path().join("d/f"), root.path().join("d/h"));
    assert_eq!(f.metadata().unwrap().ino(), h.metadata().unwrap().ino());
    assert_eq!(xattr(f, "user.note").unwrap(), b"v\0w");
    fs::set_permissions(root.path().join("d"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn nothing_is_written_through_a_link_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let out = outside.path().to_str().unwrap();
    let deep = format!("../../../../../../../../../..{out}");
    for target in [out, &deep] {
        let root = tempfile::tempdir().unwrap();
        let entries = vec![link("evil", target), Entry::file("evil/pwned", "x")];
        // The link leads to the same path inside the root, where nothing is.
        let error = apply_real(entries, root.path()).unwrap_err().to_string();
        assert!(error.contains("link to nothing"), "{error}");
        let inside = root.path().join(out.trim_start_matches('/'));
        fs::create_dir_all(&inside).unwrap();
        apply_real(vec![Entry::file("evil/pwned", "x")], root.path()).unwrap();
        assert_eq!(fs::read_to_string(inside.join("pwned")).unwrap(), "x");
    }
    let root = tempfile::tempdir().unwrap();
    // The last component is never followed: the link itself is replaced.
    let file = format!("{out}/secret");
    apply_real(vec![link("f", &file)], root.path()).unwrap();
    apply_real(vec![Entry::file("f", "mine")], root.path()).unwrap();
    assert_eq!(fs::read_to_string(root.path().join("f")).unwrap(), "mine");
    // A hard link is made inside the root or not at all.
    assert!(apply_real(vec![hard("h", &file[1..])], root.path()).is_err());
    apply_real(vec![link("s", &file), hard("h", "s")], root.path()).unwrap();
    assert!(root.path().join("h").symlink_metadata().unwrap().is_symlink());
    assert_eq!(tree(outside.path()).len(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
}

#[test]
fn markers_remove_inside_the_root_only() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("keep"), "").unwrap();
    let root = tempfile::tempdir().unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    let marker = |path: &str, kind| Entry::new(path, kind);
    let entries = vec![
        marker("out/keep", EntryKind::Whiteout),
        marker("out", EntryKind::Opaque),
        marker("missing/x", EntryKind::Whiteout),
        marker("missing", EntryKind::Opaque),
    ];
    assert_eq!(apply_real(entries, root.path()).unwrap().removed, 0);
    assert!(outside.path().join("keep").exists());
    apply_real(vec![marker("out", EntryKind::Whiteout)], root.path()).unwrap();
    assert!(outside.path().join("keep").exists());
    assert!(root.path().join("out").symlink_metadata().is_err());
}

#[test]
fn markers_spare_what_their_own_layer_brings() {
    let root = tempfile::tempdir().unwrap();
    let below = vec![
        dir("d"),
        Entry::file("d/old", ""),
        dir("d/sub"),
        Entry::file("d/sub/x", ""),
        dir("e"),
        Entry::file("e/a", ""),
        dir("e/deep"),
        dir("e/deep/er"),
        Entry::file("e/deep/er/f", ""),
    ];
    apply_real(below, root.path()).unwrap();
    let top = vec![
        Entry::file("d/new", ""),
        Entry::new("d", EntryKind::Opaque),
        dir("d"),
        Entry::new("e/deep", EntryKind::Whiteout),
        Entry::new("e/none", EntryKind::Whiteout),
    ];
    let stats = apply_real(top, root.path()).unwrap();
    assert_eq!(stats.removed, 2);
    assert_eq!(tree(root.path()), ["d/ 755 0", "d/new= 644 0", "e/ 755 0", "e/a= 644 0"]);
    apply_real(vec![Entry::new("", EntryKind::Opaque)], root.path()).unwrap();
    assert!(tree(root.path()).is_empty());
}

#[test]
fn what_stands_in_the_way_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let below = vec![
        dir("d"),
        Entry::file("d/x", ""),
        Entry::file("f", "old"),
        link("l", "d"),
        dir("k"),
        Entry::file("k/x", ""),
    ];
    apply_real(below, root.path()).unwrap();
    let top = vec![
        Entry::file("d", "file now"),
        dir("f").with_mtime(5),
        dir("l").with_mtime(6),
        Entry::file("l/y", ""),
        dir("k").with_mode(0o700),
    ];
    apply_real(top, root.path()).unwrap();
    assert_eq!(
        tree(root.path()),
        ["d=file now 644 0", "f/ 755 5", "k/ 700 0", "k/x= 644 0", "l/ 755 6", "l/y= 644 0"]
    );
}

#[test]
fn parents_are_made_and_keep_their_time() {
    let root = tempfile::tempdir().unwrap();
    apply_real(
        vec![dir("a").with_mtime(100), dir("a/b").with_mtime(200), link("l", "a/b")],
        root.path(),
    )
    .unwrap();
    let entries = vec![
        Entry::file("a/b/f", ""),
        Entry::file("l/g", ""),
        Entry::file("new/deep/f", "").with_mtime(7),
        Entry::new("a/none", EntryKind::Whiteout),
    ];
    apply_real(entries, root.path()).unwrap();
    let expected = [
        "a/ 755 100",
        "a/b/ 755 200",
        "a/b/f= 644 0",
        "a/b/g= 644 0",
        "l->a/b 777 0",
        "new/ 755 7",
        "new/deep/ 755 7",
        "new/deep/f= 644 7",
    ];
    assert_eq!(tree(root.path()), expected);
}

#[test]
fn the_later_of_two_entries_counts() {
    let root = tempfile::tempdir().unwrap();
    let entries = vec![
        dir("p"),
        Entry::file("p/f", "one"),
        link("p", "q"),
        Entry::file("x", "1"),
        Entry::file("x", "2"),
    ];
    apply_real(entries, root.path()).unwrap();
    assert_eq!(tree(root.path()), ["p->q 777 0", "x=2 644 0"]);
}

#[test]
fn a_single_id_process_records_what_it_cannot_set() {
    let root = tempfile::tempdir().unwrap();
    let mut entries = vec![
        dir("d").with_owner(5, 6),
        Entry::file("d/f", "x").with_owner(7, 8).with_mode(0o2755),
        Entry::file("d/plain", "x"),
        link("d/l", "f").with_owner(9, 10),
        hard("d/l2", "d/l"),
        Entry::new("d/p", EntryKind::Fifo).with_owner(11, 12),
        link("d/rootlink", "f"),
    ];
    entries[1].xattrs.insert(b"user.overlay.opaque".to_vec(), b"y".to_vec());
    entries[1].xattrs.insert(b"user.mabuild.node".to_vec(), b"c 0 0".to_vec());
    let stats = apply(&entries, root.path(), &options(OwnerMode::Recorded)).unwrap();
    let at = |p: &str| root.path().join(p);
    assert_eq!(xattr(at("d"), "user.mabuild.owner").unwrap(), b"5:6");
    assert_eq!(xattr(at("d/f"), "user.mabuild.owner").unwrap(), b"7:8");
    assert_eq!(xattr(at("d/plain"), "user.mabuild.owner"), None);
    assert_eq!(u64::from(at("d/f").metadata().unwrap().uid()), me().0);
    // What an archive must not say to overlayfs or to a later diff is left out.
    assert_eq!(xattr(at("d/f"), "user.overlay.opaque"), None);
    assert_eq!(xattr(at("d/f"), "user.mabuild.node"), None);
    let table: Vec<_> = stats.owners.iter().map(|(p, o)| (p.as_slice(), *o)).collect();
    assert_eq!(table, [(&b"d/l"[..], (9, 10)), (b"d/l2", (9, 10)), (b"d/p", (11, 12))]);
    // A record of what was there before must not become that of what replaces it.
    apply(&[dir("d"), Entry::file("d/f", "")], root.path(), &options(OwnerMode::Recorded)).unwrap();
    assert_eq!(xattr(at("d"), "user.mabuild.owner").unwrap(), b"0:0");
    assert_eq!(xattr(at("d/f"), "user.mabuild.owner").unwrap(), b"0:0");
}

#[test]
fn a_whiteout_device_and_impossible_owners_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let zero = Entry::new("w", EntryKind::CharDev { major: 0, minor: 0 });
    assert!(apply_real(vec![zero], root.path()).unwrap_err().to_string().contains("whiteout"));
    for id in [u64::from(u32::MAX), 1 << 32] {
        let entry = Entry::file("f", "").with_owner(id, 0);
        for mode in [OwnerMode::Real, OwnerMode::Recorded] {
            let error =
                apply(std::slice::from_ref(&entry), root.path(), &options(mode)).unwrap_err();
            assert!(error.to_string().contains("no owner"), "{error}");
        }
    }
    let unclean = [Entry::file("../x", ""), Entry::file("/x", ""), Entry::file("a//b", "")];
    for entry in unclean {
        assert!(apply_real(vec![entry], root.path()).is_err());
    }
    assert!(apply_real(vec![Entry::new("", EntryKind::Whiteout)], root.path()).is_err());
    assert!(apply_real(vec![hard("h", "none")], root.path()).is_err());
    let limits = Limits { entries: 1, ..Limits::default() };
    let tight = ApplyOptions { owners: OwnerMode::Real, limits };
    assert!(matches!(
        apply(&mine(vec![dir("a"), dir("b")]), root.path(), &tight),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn a_hostile_archive_does_nothing_outside() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    let records = [
        vec![raw_link(b"a", b'2', b".."), raw(b"a/escaped", b'0', 1, b"x")],
        vec![
            raw_link(b"a", b'2', b"/"),
            raw_link(b"b", b'2', b"a/.."),
            raw(b"b/escaped", b'0', 1, b"x"),
        ],
        vec![raw(b"../escaped", b'0', 1, b"x")],
        vec![raw_link(b"h", b'1', b"../victim"), raw(b"h", b'0', 1, b"x")],
        vec![raw(b".wh...", b'0', 0, b"")],
    ];
    fs::write(base.path().join("victim"), "safe").unwrap();
    for records in records {
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).unwrap();
        let bytes = archive(&records);
        let options = options(OwnerMode::Recorded);
        let _ = apply_tar(&bytes[..], tempfile::tempfile().unwrap(), &root, &options);
        let names: Vec<_> =
            fs::read_dir(base.path()).unwrap().map(|i| i.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(fs::read_to_string(base.path().join("victim")).unwrap(), "safe");
    }
}

#[test]
fn a_deep_tree_is_removed_without_recursion() {
    let root = tempfile::tempdir().unwrap();
    let path = vec!["d"; 250].join("/");
    apply_real(vec![Entry::file(format!("{path}/f"), "")], root.path()).unwrap();
    apply_real(vec![Entry::file("d", "")], root.path()).unwrap();
    assert_eq!(tree(root.path()), ["d= 644 0"]);
}

#[test]
fn the_view_of_indexes_shows_what_applying_makes() {
    let root = tempfile::tempdir().unwrap();
    let layers = [
        vec![
            dir("usr"),
            dir("usr/lib"),
            Entry::file("usr/lib/a", ""),
            link("lib", "usr/lib"),
            Entry::file("x", ""),
        ],
        vec![
            Entry::file("lib/b", ""),
            Entry::new("lib/a", EntryKind::Whiteout),
            dir("x"),
            Entry::file("x/y", ""),
        ],
        vec![
            Entry::new("x", EntryKind::Opaque),
            Entry::file("x/z", ""),
            Entry::file("n/m", ""),
            hard("h", "lib/b"),
        ],
    ];
    let mut indexes = Vec::new();
    for layer in layers {
        indexes.push(LayerIndex::from_entries(&layer));
        apply_real(layer, root.path()).unwrap();
    }
    let view = FsView::new(indexes);
    let mut seen: Vec<_> = view.iter().skip(1).map(|e| e.path.clone()).collect();
    seen.sort();
    let mut made = Vec::new();
    let mut todo = vec![root.path().to_owned()];
    while let Some(at) = todo.pop() {
        for item in fs::read_dir(at).unwrap() {
            let path = item.unwrap().path();
            made.push(path.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned());
            if path.symlink_metadata().unwrap().is_dir() {
                todo.push(path);
            }
        }
    }
    made.sort();
    assert_eq!(seen, made.iter().map(|m| m.as_bytes().to_vec()).collect::<Vec<_>>());
}

#[test]
fn contents_come_from_files_too() {
    let root = tempfile::tempdir().unwrap();
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), vec![b'x'; 300_000]).unwrap();
    let kind = EntryKind::File { content: Content::Path(source.path().to_owned()), size: 300_000 };
    let stats = apply_real(vec![Entry::new("big", kind)], root.path()).unwrap();
    assert_eq!(stats.bytes, 300_000);
    assert_eq!(root.path().join("big").metadata().unwrap().len(), 300_000);
}
