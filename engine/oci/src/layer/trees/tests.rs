use super::super::testing::{lines, tree};
use super::super::{ApplyOptions, Limits, OwnerMode, apply};
use super::*;
use std::fs;

fn options() -> DiffOptions {
    DiffOptions { owners: OwnerMode::Recorded, ..DiffOptions::default() }
}

fn make(entries: &[Entry]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), entries);
    dir
}

fn put(root: &Path, entries: &[Entry]) {
    let options = ApplyOptions { owners: OwnerMode::Recorded, limits: Limits::default() };
    apply(entries, root, &options).unwrap();
}

fn dir(path: &str) -> Entry {
    Entry::new(path, EntryKind::Dir)
}

fn hard(path: &str, target: &str) -> Entry {
    Entry::new(path, EntryKind::Hardlink { target: target.into() })
}

#[test]
fn only_what_differs_is_an_entry() {
    let lower = make(&[
        dir("d"),
        Entry::file("d/same", "1"),
        Entry::file("d/text", "1"),
        Entry::file("d/gone", ""),
        dir("removed"),
        Entry::file("removed/x", ""),
        Entry::file("mode", ""),
        dir("todo"),
        Entry::file("todo/x", ""),
    ]);
    let upper = make(&[
        dir("d").with_mtime(50),
        Entry::file("d/same", "1"),
        Entry::file("d/text", "2"),
        Entry::file("mode", "").with_mode(0o600),
        Entry::file("todo", ""),
        dir("new"),
        Entry::file("new/f", ""),
    ]);
    let entries = diff_trees(lower.path(), upper.path(), &options()).unwrap();
    assert_eq!(
        lines(&entries),
        [
            "d/gone Whiteout 0 0:0 0",
            "d/text=2 644 0:0 0",
            "mode= 600 0:0 0",
            "new Dir 755 0:0 0",
            "new/f= 644 0:0 0",
            "removed Whiteout 0 0:0 0",
            "todo= 644 0:0 0",
        ]
    );
    // Applied to the lower tree, the difference makes the upper one; times of directories apart.
    put(lower.path(), &entries);
    let without_dirs =
        |root: &Path| tree(root).into_iter().filter(|l| !l.contains("/ ")).collect::<Vec<_>>();
    assert_eq!(without_dirs(lower.path()), without_dirs(upper.path()));
    assert!(diff_trees(upper.path(), upper.path(), &options()).unwrap().is_empty());
}

#[test]
fn a_new_name_brings_all_names_of_the_file() {
    let lower = make(&[Entry::file("a", "1"), Entry::file("x", "1")]);
    let upper = make(&[Entry::file("a", "1"), hard("b", "a"), Entry::file("x", "1")]);
    let entries = diff_trees(lower.path(), upper.path(), &options()).unwrap();
    assert_eq!(lines(&entries), ["a=1 644 0:0 0", "b=>a 644 0:0 0"]);
}

#[test]
fn a_file_linked_into_both_trees_is_the_same() {
    let lower = make(&[Entry::file("a", "1")]);
    let upper = tempfile::tempdir_in(lower.path().parent().unwrap()).unwrap();
    fs::hard_link(lower.path().join("a"), upper.path().join("a")).unwrap();
    assert!(diff_trees(lower.path(), upper.path(), &options()).unwrap().is_empty());
}
