//! The files of an image as its programs see them: all layers over each other, without a disk.

use crate::layer::{Entry, EntryKind, Limits, decompress, merge, path, read_tar};
use crate::{Digest, Error, Layout, Platform, Result, media_type};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;

/// Merges the layers of one platform of an image, as they are when they are applied to one
/// directory. `spool` makes a temporary file for the contents of a layer.
///
/// The result has no markers, every hard link leads to an entry of it, and it is sorted by path.
pub fn flatten(
    from: &Layout,
    digest: &Digest,
    platform: Option<&Platform>,
    spool: &dyn Fn() -> Result<File>,
) -> Result<Vec<Entry>> {
    let (_, manifest) = from.manifest_for(digest, platform)?;
    let mut tree = Tree::default();
    for layer in &manifest.layers {
        if !media_type::is_layer(&layer.media_type) {
            let reason = format!("{:?} is no layer", layer.media_type);
            return Err(Error::document(layer.digest.to_string(), reason));
        }
        let (blob, _) = from.open_blob(&layer.digest)?;
        let limits = Limits { whiteouts: true, ..Limits::default() };
        tree.apply(read_tar(decompress(blob)?, spool()?, &limits)?)?;
    }
    Ok(tree.finish())
}

/// Files by path; the names of a hard link have the same number.
#[derive(Default)]
struct Tree {
    names: BTreeMap<Vec<u8>, usize>,
    files: Vec<Entry>,
}

impl Tree {
    fn apply(&mut self, layer: Vec<Entry>) -> Result<()> {
        let (markers, entries): (Vec<_>, Vec<_>) = layer.into_iter().partition(Entry::is_marker);
        for marker in markers {
            let (parent, name) = path::split(&marker.path);
            let path = path::join(&self.resolve(parent, &marker.path)?, name);
            self.remove_below(&path);
            if matches!(marker.kind, EntryKind::Whiteout) {
                self.names.remove(&path);
            }
        }
        let is_link = |entry: &Entry| matches!(entry.kind, EntryKind::Hardlink { .. });
        let (links, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_link);
        for entry in entries.into_iter().chain(links) {
            self.add(entry)?;
        }
        Ok(())
    }

    fn add(&mut self, mut entry: Entry) -> Result<()> {
        let (parent, name) = path::split(&entry.path);
        if name.is_empty() {
            // The root belongs to whoever unpacks the files.
            return Ok(());
        }
        let parent = self.resolve(parent, &entry.path)?;
        self.ensure_dir(&parent, entry.mtime);
        let place = path::join(&parent, name);
        let file = match &entry.kind {
            EntryKind::Hardlink { target } => {
                let (above, name) = path::split(target);
                let target = path::join(&self.resolve(above, target)?, name);
                let found = self.names.get(&target).copied();
                found.ok_or_else(|| {
                    let target = crate::error::lossy(&target);
                    let reason = format!("it is a hard link to {target:?}, which is not there");
                    Error::entry(&entry.path, reason)
                })?
            }
            _ => {
                entry.path.clone_from(&place);
                self.files.push(entry);
                self.files.len() - 1
            }
        };
        let is_dir = |at: usize| self.files.get(at).is_some_and(Entry::is_dir);
        if !is_dir(file) || !self.names.get(&place).is_some_and(|old| is_dir(*old)) {
            self.remove_below(&place);
        }
        self.names.insert(place, file);
        Ok(())
    }

    /// Makes what is missing of a directory whose path has no links; what is none gives way.
    fn ensure_dir(&mut self, dir: &[u8], mtime: i64) {
        let mut at = Vec::new();
        for part in path::components(dir) {
            at = path::join(&at, part);
            let known = self.names.get(&at).and_then(|file| self.files.get(*file));
            if !known.is_some_and(Entry::is_dir) {
                self.files.push(Entry::new(at.clone(), EntryKind::Dir).with_mtime(mtime));
                self.names.insert(at.clone(), self.files.len() - 1);
            }
        }
    }

    fn remove_below(&mut self, path: &[u8]) {
        // `0` follows `/`.
        let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
        let gone: Vec<_> = match path.is_empty() {
            true => self.names.keys().cloned().collect(),
            false => self.names.range(from..to).map(|(path, _)| path.clone()).collect(),
        };
        for path in gone {
            self.names.remove(&path);
        }
    }

    fn resolve(&self, path: &[u8], of: &[u8]) -> Result<Vec<u8>> {
        merge::resolve(path, of, &|path| match &self.files.get(*self.names.get(path)?)?.kind {
            EntryKind::Symlink { target } => Some(target),
            _ => None,
        })
    }

    fn finish(self) -> Vec<Entry> {
        let Self { names, files } = self;
        let mut files: Vec<Option<Entry>> = files.into_iter().map(Some).collect();
        let mut first: HashMap<usize, usize> = HashMap::new();
        let mut out: Vec<Entry> = Vec::with_capacity(names.len());
        for (path, file) in names {
            let entry = match files.get_mut(file).and_then(Option::take) {
                Some(entry) => {
                    first.insert(file, out.len());
                    Entry { path, ..entry }
                }
                // One more name of a file that is there.
                None => match first.get(&file).and_then(|at| out.get(*at)) {
                    Some(like) => {
                        let target = like.path.clone();
                        Entry { path, kind: EntryKind::Hardlink { target }, ..like.clone() }
                    }
                    None => continue,
                },
            };
            out.push(entry);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::content;

    fn dir(path: &str) -> Entry {
        Entry::new(path, EntryKind::Dir)
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry::new(path, EntryKind::Symlink { target: target.into() })
    }

    fn hard(path: &str, target: &str) -> Entry {
        Entry::new(path, EntryKind::Hardlink { target: target.into() })
    }

    fn gone(path: &str) -> Entry {
        Entry::new(path, EntryKind::Whiteout)
    }

    fn flat(layers: &[&[Entry]]) -> Result<Vec<String>> {
        let mut tree = Tree::default();
        for layer in layers {
            tree.apply(layer.to_vec())?;
        }
        let text = |entry: &Entry| {
            let path = crate::error::lossy(&entry.path);
            match &entry.kind {
                EntryKind::Hardlink { target } => {
                    format!("{path}=>{}", crate::error::lossy(target))
                }
                EntryKind::Symlink { target } => format!("{path}->{}", crate::error::lossy(target)),
                EntryKind::Dir => format!("{path}/"),
                _ => format!("{path}={}", crate::error::lossy(&content(entry))),
            }
        };
        Ok(tree.finish().iter().map(text).collect())
    }

    #[test]
    fn markers_take_from_below_and_nothing_from_their_own_layer() {
        let flat = flat(&[
            &[dir("d"), Entry::file("d/a", "1"), Entry::file("d/b", "1"), Entry::file("e/x", "1")],
            &[gone("d/a"), Entry::file("d/c", "2"), Entry::new("e", EntryKind::Opaque)],
            &[gone("d/b"), Entry::file("d/b", "3"), Entry::file("e/y", "3")],
        ]);
        assert_eq!(flat.unwrap(), ["d/", "d/b=3", "d/c=2", "e/", "e/y=3"]);
    }

    #[test]
    fn names_of_a_hard_link_outlive_each_other() {
        let below: &[Entry] =
            &[Entry::file("m", "data"), hard("a", "m"), hard("z", "a"), Entry::file("n", "")];
        assert_eq!(flat(&[below]).unwrap(), ["a=data", "m=>a", "n=", "z=>a"]);
        // The file itself goes, and one of its names becomes another file.
        let above: &[Entry] = &[gone("a"), Entry::file("z", "new"), hard("over", "m")];
        assert_eq!(flat(&[below, above]).unwrap(), ["m=data", "n=", "over=>m", "z=new"]);
        assert!(flat(&[&[hard("a", "none")]]).is_err());
    }

    #[test]
    fn links_are_followed_inside_and_replaced_by_what_is_put_on_them() {
        let below: &[Entry] = &[dir("usr"), dir("usr/lib"), link("lib", "/usr/../usr/lib")];
        let through: &[Entry] = &[Entry::file("lib/x", "1"), hard("y", "lib/x")];
        let all = ["lib->/usr/../usr/lib", "usr/", "usr/lib/", "usr/lib/x=1", "y=>usr/lib/x"];
        assert_eq!(flat(&[below, through]).unwrap(), all);
        let onto: &[Entry] = &[dir("lib"), Entry::file("lib/z", "2")];
        assert_eq!(flat(&[below, onto]).unwrap(), ["lib/", "lib/z=2", "usr/", "usr/lib/"]);
        assert_eq!(
            flat(&[&[link("a", "../../..")], &[Entry::file("a/b", "3")]]).unwrap()[1],
            "b=3"
        );
        let circle: &[Entry] = &[link("a", "b"), link("b", "a")];
        assert!(flat(&[circle, &[Entry::file("a/x", "")]]).is_err());
    }

    #[test]
    fn a_file_and_a_directory_replace_each_other() {
        let flat = flat(&[
            &[dir("d"), Entry::file("d/a", ""), Entry::file("f", "")],
            &[Entry::file("d", "file"), Entry::file("f/x", "dir")],
        ]);
        assert_eq!(flat.unwrap(), ["d=file", "f/", "f/x=dir"]);
    }
}
