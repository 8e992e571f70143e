use super::*;
use mabuild_oci::layer::LayerIndex;

fn below() -> FsView {
    let entries = [
        Entry::new("etc", EntryKind::Dir).with_mode(0o700).with_owner(3, 4),
        Entry::new("bin", EntryKind::Symlink { target: b"usr/bin".to_vec() }),
        Entry::new("usr", EntryKind::Dir),
        Entry::new("usr/bin", EntryKind::Dir),
        Entry::file("usr/bin/sh", ""),
        Entry::new("up", EntryKind::Symlink { target: b"../../usr/../bin".to_vec() }),
        Entry::new("loop", EntryKind::Symlink { target: b"/loop".to_vec() }),
        Entry::file("file", "x"),
    ];
    FsView::new(vec![LayerIndex::from_entries(&entries)])
}

const WISH: Wish = Wish { owner: (0, 0), owned: false, mode: None, date: 5 };

fn made(fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>) -> Vec<String> {
    let view = below();
    let mut layering = Layering::new(&view, &[]);
    fill(&mut layering).unwrap();
    let show = |i: Item| {
        let Entry { path, kind, mode, uid, gid, .. } = i.entry;
        let mark = match kind {
            EntryKind::Whiteout => "-",
            EntryKind::Opaque => "=",
            _ => "",
        };
        format!("{mark}{} {mode:o} {uid}:{gid}", String::from_utf8(path).unwrap())
    };
    layering.items().into_iter().map(show).collect()
}

fn refused(fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>) -> String {
    fill(&mut Layering::new(&below(), &[])).unwrap_err().message
}

#[test]
fn only_missing_directories_are_made_and_the_mode_is_the_last_ones() {
    let wish = Wish { mode: Some(0o750), owner: (7, 8), owned: true, ..WISH };
    assert_eq!(made(|l| l.mkdir("/etc/a/b", wish)), ["etc/a 755 0:0", "etc/a/b 750 7:8"]);
    assert_eq!(made(|l| l.mkdir("/usr/bin", WISH)), [""; 0]);
}

#[test]
fn a_directory_that_is_there_takes_what_is_written_of_it() {
    let wish = Wish { mode: Some(0o1777), ..WISH };
    assert_eq!(made(|l| l.mkdir("/etc", wish)), ["etc 1777 3:4"]);
    let wish = Wish { owner: (0, 0), owned: true, ..WISH };
    assert_eq!(made(|l| l.mkdir("/etc", wish)), ["etc 700 0:0"]);
}

#[test]
fn every_directory_on_the_way_to_a_working_directory_is_the_users() {
    let wish = Wish { owner: (7, 8), ..WISH };
    assert_eq!(made(|l| l.workdir("/bin/a/b", wish)), ["usr/bin/a 755 7:8", "usr/bin/a/b 755 7:8"]);
    assert_eq!(made(|l| l.workdir("/etc", wish)), [""; 0]);
    assert!(refused(|l| l.workdir("/file", wish)).contains("/file is in the way"));
}

#[test]
fn links_on_the_way_are_followed() {
    assert_eq!(made(|l| l.file("/bin/x", "y", WISH)), ["usr/bin/x 644 0:0"]);
    assert_eq!(made(|l| l.file("/up/x", "y", WISH)), ["usr/bin/x 644 0:0"]);
    assert_eq!(made(|l| l.symlink("x", "/bin/y", 0)), ["usr/bin/y 777 0:0"]);
    assert_eq!(made(|l| l.remove("/bin")), ["-bin 0 0:0"]);
    assert!(refused(|l| l.file("/loop/x", "", WISH)).contains("too many symbolic links"));
}

#[test]
fn what_is_in_the_way_is_named() {
    assert!(refused(|l| l.file("/etc", "x", WISH)).contains("/etc is a directory"));
    assert!(refused(|l| l.mkdir("/file/a", WISH)).contains("/file"));
    assert!(refused(|l| l.remove("/none")).contains("/none"));
    assert!(refused(|l| l.file("/", "x", WISH)).contains("root directory"));
    assert!(refused(|l| l.remove("/")).contains("root directory"));
}

#[test]
fn what_was_removed_is_gone_for_what_follows() {
    let steps = |l: &mut Layering<'_>| {
        l.remove("/usr")?;
        assert!(l.lstat(b"usr/bin").is_none() && l.lstat(b"usr").is_none());
        l.mkdir("/usr/lib", WISH)?;
        assert!(l.lstat(b"usr/bin").is_none());
        l.file("/usr/lib/x", "", WISH)
    };
    assert_eq!(made(steps), ["usr 755 0:0", "usr/lib 755 0:0", "usr/lib/x 644 0:0", "=usr 0 0:0"]);
}

#[test]
fn a_file_that_goes_leaves_its_content_to_its_other_names() {
    let view = FsView::new(Vec::new());
    let mut layering = Layering::new(&view, &[]);
    let link = |path: &str, to: &str| {
        Item::plain(Entry::new(path, EntryKind::Hardlink { target: to.into() }))
    };
    layering.put(Item::plain(Entry::file("a", "one"))).unwrap();
    layering.put(link("b", "a")).unwrap();
    layering.put(link("c", "a")).unwrap();
    layering.put(Item::plain(Entry::file("a", "two"))).unwrap();
    let shown: Vec<String> = layering
        .items()
        .into_iter()
        .map(|item| match item.entry.kind {
            EntryKind::Hardlink { target } => format!("->{}", String::from_utf8(target).unwrap()),
            _ => (item.id == *blake3::hash(b"one").as_bytes()).to_string(),
        })
        .collect();
    assert_eq!(shown, ["false", "true", "->b"]);
}
