//! The one order and form in which a list of entries is packed.

use super::{Entry, EntryKind, path};
use crate::{Error, Result};
use std::collections::HashMap;

/// Sorts entries by path, so that parents come first, makes hard link groups consistent and
/// clamps times to `0..=clamp`.
///
/// The first name of a group carries the content, the others are links to it, and all have the
/// metadata of the file. Fails for unclean and for double paths.
pub(super) fn normalise(mut entries: Vec<Entry>, clamp: i64) -> Result<Vec<Entry>> {
    for entry in &mut entries {
        if !path::is_clean(&entry.path) {
            return Err(Error::entry(&entry.path, "the path is not relative and clean"));
        }
        entry.mtime = entry.mtime.min(clamp).max(0);
        entry.mode &= 0o7777;
    }
    entries.sort_by(|a, b| (&a.path, rank(a)).cmp(&(&b.path, rank(b))));
    for pair in entries.windows(2) {
        if pair[0].path == pair[1].path && rank(&pair[0]) == rank(&pair[1]) {
            return Err(Error::entry(&pair[0].path, "the path is there twice"));
        }
    }
    regroup(&mut entries)?;
    Ok(entries)
}

/// A whiteout stands before what replaces it, an opaque mark after its directory.
fn rank(entry: &Entry) -> u8 {
    match entry.kind {
        EntryKind::Whiteout => 0,
        EntryKind::Opaque => 2,
        _ => 1,
    }
}

fn regroup(entries: &mut [Entry]) -> Result<()> {
    let by_path: HashMap<&[u8], usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, e)| !e.is_marker())
        .map(|(i, e)| (e.path.as_slice(), i))
        .collect();
    let mut first_name: HashMap<usize, usize> = HashMap::new();
    let mut links = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        if !matches!(entry.kind, EntryKind::Hardlink { .. }) {
            continue;
        }
        let Some(file) = follow(entries, &by_path, i)? else { continue };
        first_name.entry(file).and_modify(|f| *f = (*f).min(i)).or_insert(i.min(file));
        links.push((i, file));
    }
    for (link, file) in &links {
        let like = &entries[*file];
        let (mode, uid, gid, mtime) = (like.mode, like.uid, like.gid, like.mtime);
        let xattrs = like.xattrs.clone();
        let entry = &mut entries[*link];
        (entry.mode, entry.uid, entry.gid, entry.mtime) = (mode, uid, gid, mtime);
        entry.xattrs = xattrs;
    }
    for (file, first) in &first_name {
        let target = entries[*first].path.clone();
        let kind = std::mem::replace(&mut entries[*file].kind, EntryKind::Hardlink { target });
        entries[*first].kind = kind;
    }
    for (link, file) in links {
        let first = first_name[&file];
        if link != first {
            let target = entries[first].path.clone();
            entries[link].kind = EntryKind::Hardlink { target };
        }
    }
    Ok(())
}

/// Finds the entry a hard link leads to; `None` when it leads out of the list, to a layer below.
fn follow(
    entries: &[Entry],
    by_path: &HashMap<&[u8], usize>,
    start: usize,
) -> Result<Option<usize>> {
    let mut at = start;
    for _ in 0..=entries.len() {
        let EntryKind::Hardlink { target } = &entries[at].kind else {
            if entries[at].is_dir() {
                return Err(Error::entry(&entries[start].path, "it is a hard link to a directory"));
            }
            return Ok(Some(at));
        };
        match by_path.get(target.as_slice()) {
            Some(next) => at = *next,
            None => return Ok(None),
        }
    }
    Err(Error::entry(&entries[start].path, "it is a hard link to itself"))
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::*;

    fn link(path: &str, target: &str) -> Entry {
        Entry::new(path, EntryKind::Hardlink { target: target.into() })
    }

    fn paths(entries: &[Entry]) -> Vec<String> {
        entries.iter().map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect()
    }

    #[test]
    fn parents_come_before_children_and_marks_around_them() {
        let entries = vec![
            Entry::file("a/b", "x"),
            Entry::new("a", EntryKind::Opaque),
            Entry::file("a-b", ""),
            Entry::new("a", EntryKind::Dir),
            Entry::new("a", EntryKind::Whiteout),
        ];
        let sorted = normalise(entries, 0).unwrap();
        assert_eq!(paths(&sorted), ["a", "a", "a", "a-b", "a/b"]);
        assert!(matches!(sorted[0].kind, EntryKind::Whiteout));
        assert!(sorted[1].is_dir());
        assert!(matches!(sorted[2].kind, EntryKind::Opaque));
    }

    #[test]
    fn the_first_name_of_a_group_is_the_file() {
        let entries = vec![
            Entry::file("m", "data").with_mode(0o755).with_owner(3, 4),
            link("z", "m"),
            link("b", "z"),
        ];
        let sorted = normalise(entries, 0).unwrap();
        assert_eq!(paths(&sorted), ["b", "m", "z"]);
        assert!(
            matches!(&sorted[0].kind, EntryKind::File { content: Content::Bytes(d), size: 4 } if d == b"data")
        );
        for entry in &sorted {
            assert_eq!((entry.mode, entry.uid, entry.gid), (0o755, 3, 4));
        }
        for entry in &sorted[1..] {
            assert!(matches!(&entry.kind, EntryKind::Hardlink { target } if target == b"b"));
        }
    }

    #[test]
    fn a_file_that_is_already_first_stays() {
        let sorted =
            normalise(vec![link("z", "a"), Entry::file("a", "1"), link("m", "a")], 0).unwrap();
        assert!(matches!(sorted[0].kind, EntryKind::File { .. }));
        assert!(matches!(&sorted[2].kind, EntryKind::Hardlink { target } if target == b"a"));
    }

    #[test]
    fn a_link_out_of_the_list_stays_as_it_is() {
        let sorted = normalise(vec![link("z", "below")], 0).unwrap();
        assert!(matches!(&sorted[0].kind, EntryKind::Hardlink { target } if target == b"below"));
    }

    #[test]
    fn bad_lists_are_refused() {
        for entries in [
            vec![Entry::file("a", ""), Entry::file("a", "")],
            vec![Entry::file("../a", "")],
            vec![link("a", "b"), link("b", "a")],
            vec![link("a", "a")],
            vec![Entry::new("d", EntryKind::Dir), link("a", "d")],
        ] {
            assert!(normalise(entries.clone(), 0).is_err(), "{entries:?} was accepted");
        }
    }

    #[test]
    fn times_are_clamped() {
        let entries = [-5, 5, 50].map(|t| Entry::file(format!("f{t}"), "").with_mtime(t));
        let sorted = normalise(entries.to_vec(), 10).unwrap();
        assert_eq!(sorted.iter().map(|e| e.mtime).collect::<Vec<_>>(), [0, 5, 10]);
    }
}
