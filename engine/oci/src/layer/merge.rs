//! Several archives unpacked over each other, as a package manager does, without a file system.

use super::{Entry, EntryKind, path};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Links on one path before it counts as a loop; the number of the kernel.
const MAX_LINKS: usize = 40;

/// Merges archives: for each path the later entry wins.
///
/// A directory over a directory takes the later metadata. A directory over a symbolic link that
/// leads to a directory, or to nothing yet, leaves the link, as dpkg does, and what is below it goes where the
/// link leads. Anything else over a directory, and markers of layers, are errors. The result is sorted by path.
pub fn merge(archives: Vec<Vec<Entry>>) -> Result<Vec<Entry>> {
    let mut tree = Tree::default();
    for entry in archives.into_iter().flatten() {
        tree.add(entry)?;
    }
    Ok(tree.0.into_values().collect())
}

#[derive(Default)]
struct Tree(BTreeMap<Vec<u8>, Entry>);

impl Tree {
    fn add(&mut self, mut entry: Entry) -> Result<()> {
        if entry.is_marker() {
            return Err(Error::entry(&entry.path, "markers of layers cannot be merged"));
        }
        let (parent, name) = path::split(&entry.path);
        let real = path::join(&self.resolve(parent, &entry.path)?, name);
        entry.path = real;
        if let EntryKind::Hardlink { target } = &mut entry.kind {
            let (parent, name) = path::split(target);
            *target = path::join(&self.resolve(parent, target)?, name);
        }
        if let Some(old) = self.0.get(&entry.path) {
            match (&old.kind, &entry.kind) {
                (EntryKind::Dir, EntryKind::Dir) => {}
                (EntryKind::Dir, _) => {
                    let reason = "a directory of an earlier archive stands where it should go";
                    return Err(Error::entry(&entry.path, reason));
                }
                (EntryKind::Symlink { .. }, EntryKind::Dir) => {
                    let end = self.resolve(&entry.path, &entry.path)?;
                    match self.0.get(&end) {
                        Some(other) if !other.is_dir() => {
                            let reason = "a link to a file stands where this directory should go";
                            return Err(Error::entry(&entry.path, reason));
                        }
                        _ => return Ok(()),
                    }
                }
                (_, EntryKind::Hardlink { target }) if *target == entry.path => return Ok(()),
                _ => {}
            }
        }
        self.0.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// Follows the links among the entries so far; what is not there yet is taken as it is.
    fn resolve(&self, path: &[u8], of: &[u8]) -> Result<Vec<u8>> {
        resolve(path, of, &|path| match &self.0.get(path)?.kind {
            EntryKind::Symlink { target } => Some(target),
            _ => None,
        })
    }
}

/// Follows links of a path inside a root. `link` gives the text of what is a link, `of` is whose
/// path it is, for the error about a loop.
pub(crate) fn resolve<'a>(
    path: &[u8],
    of: &[u8],
    link: &dyn Fn(&[u8]) -> Option<&'a Vec<u8>>,
) -> Result<Vec<u8>> {
    let mut todo: Vec<Vec<u8>> = path::components(path).rev().map(<[u8]>::to_vec).collect();
    let mut out = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == b".." {
            out = path::split(&out).0.to_vec();
            continue;
        }
        let next = path::join(&out, &part);
        let Some(target) = link(&next) else {
            out = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Error::entry(of, "its path has a loop of symbolic links"));
        }
        if target.starts_with(b"/") {
            out.clear();
        }
        todo.extend(path::components(target).rev().map(<[u8]>::to_vec));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::*;

    fn dir(path: &str) -> Entry {
        Entry::new(path, EntryKind::Dir)
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry::new(path, EntryKind::Symlink { target: target.into() })
    }

    fn listing(entries: &[Entry]) -> Vec<String> {
        let text = |e: &Entry| {
            let path = String::from_utf8_lossy(&e.path).into_owned();
            match &e.kind {
                EntryKind::File { content: Content::Bytes(b), .. } => {
                    format!("{path}={}", String::from_utf8_lossy(b))
                }
                EntryKind::Symlink { target } => {
                    format!("{path}->{}", String::from_utf8_lossy(target))
                }
                EntryKind::Hardlink { target } => {
                    format!("{path}=>{}", String::from_utf8_lossy(target))
                }
                _ => format!("{path}/"),
            }
        };
        entries.iter().map(text).collect()
    }

    #[test]
    fn the_later_entry_wins() {
        let merged = merge(vec![
            vec![dir("etc"), Entry::file("etc/a", "old"), Entry::file("etc/b", "b")],
            vec![dir("etc").with_mode(0o700), Entry::file("etc/a", "new"), link("etc/b", "a")],
        ])
        .unwrap();
        assert_eq!(listing(&merged), ["etc/", "etc/a=new", "etc/b->a"]);
        assert_eq!(merged[0].mode, 0o700);
    }

    #[test]
    fn a_link_to_a_directory_is_kept_and_followed() {
        let merged = merge(vec![
            vec![
                dir("usr"),
                dir("usr/lib"),
                link("lib", "usr/lib"),
                link("abs", "/usr/../usr/lib"),
            ],
            vec![
                dir("lib"),
                dir("lib/x"),
                Entry::file("lib/x/f", "1"),
                Entry::file("abs/g", "2"),
                Entry::new("h", EntryKind::Hardlink { target: b"lib/x/f".to_vec() }),
            ],
        ])
        .unwrap();
        assert_eq!(
            listing(&merged),
            [
                "abs->/usr/../usr/lib",
                "h=>usr/lib/x/f",
                "lib->usr/lib",
                "usr/",
                "usr/lib/",
                "usr/lib/g=2",
                "usr/lib/x/",
                "usr/lib/x/f=1"
            ]
        );
    }

    #[test]
    fn a_link_may_come_before_what_it_leads_to() {
        let merged =
            merge(vec![vec![link("bin", "usr/bin")], vec![dir("bin"), Entry::file("bin/sh", "")]])
                .unwrap();
        assert_eq!(listing(&merged), ["bin->usr/bin", "usr/bin/sh="]);
    }

    #[test]
    fn conflicts_are_errors() {
        for archives in [
            vec![vec![dir("a")], vec![Entry::file("a", "")]],
            vec![vec![Entry::file("f", ""), link("a", "f")], vec![dir("a")]],
            vec![vec![link("a", "b"), link("b", "a")], vec![Entry::file("a/x", "")]],
            vec![vec![Entry::new("a", EntryKind::Whiteout)]],
        ] {
            assert!(merge(archives.clone()).is_err(), "{archives:?}");
        }
    }
}
