//! A stack of layer indexes as one file system: lookups and links, without a disk.

use super::{IndexEntry, LayerIndex, NodeKind};
use crate::error::lossy;
use crate::layer::path;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Links on one path before it counts as a loop; the number of the kernel.
const MAX_LINKS: usize = 40;
const ROOT: usize = 0;

/// A merged view of layers, bottom first.
///
/// Entries below a symbolic link to a directory go where the link leads, as when the layers are
/// applied to one directory.
#[derive(Clone, Debug)]
pub struct FsView {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    entry: IndexEntry,
    children: BTreeMap<Vec<u8>, usize>,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The path without links on the way, as in [`IndexEntry`].
    pub path: Vec<u8>,
    /// What is there; `None` when the path does not exist.
    pub entry: Option<&'a IndexEntry>,
}

impl FsView {
    /// Stacks layers, bottom first.
    pub fn new(layers: Vec<LayerIndex>) -> Self {
        let mut view = FsView { nodes: vec![Node::dir(Vec::new())] };
        for layer in layers {
            let (markers, entries): (Vec<_>, Vec<_>) = layer
                .entries
                .into_iter()
                .partition(|e| matches!(e.kind, NodeKind::Whiteout | NodeKind::Opaque));
            markers.iter().for_each(|marker| view.remove(marker));
            entries.into_iter().for_each(|entry| view.insert(entry));
        }
        view
    }

    /// Looks a path up; no link is followed.
    pub fn lookup(&self, path: &[u8]) -> Option<&IndexEntry> {
        let mut at = ROOT;
        for part in path::components(path) {
            at = *self.nodes[at].children.get(part)?;
        }
        Some(&self.nodes[at].entry)
    }

    /// Follows every link of a path, inside the root. What does not exist is taken as it is
    /// written, so that the path of something still to be made can be had.
    ///
    /// Fails when links form a loop or the path goes through what is no directory.
    pub fn resolve(&self, path: &[u8]) -> Result<Resolved<'_>> {
        let place = self.walk(path, true)?;
        Ok(Resolved { entry: place.node.map(|n| &self.nodes[n].entry), path: place.path })
    }

    /// Follows every link of a path but a last one; else as [`FsView::resolve`].
    pub fn resolve_parent(&self, path: &[u8]) -> Result<Resolved<'_>> {
        let place = self.walk(path, false)?;
        Ok(Resolved { entry: place.node.map(|n| &self.nodes[n].entry), path: place.path })
    }

    /// Tells whether a path leads to a directory, links followed.
    pub fn is_dir(&self, path: &[u8]) -> bool {
        self.resolve(path).is_ok_and(|r| r.entry.is_some_and(|e| e.kind == NodeKind::Dir))
    }

    /// Returns the names in a directory, sorted, links followed; nothing for what is none.
    pub fn children(&self, dir: &[u8]) -> impl Iterator<Item = (&[u8], &IndexEntry)> {
        let node = self.walk(dir, true).ok().and_then(|place| place.node);
        node.into_iter().flat_map(|n| {
            self.nodes[n].children.iter().map(|(name, c)| (name.as_slice(), &self.nodes[*c].entry))
        })
    }

    /// Returns every entry, parents first, names sorted.
    pub fn iter(&self) -> impl Iterator<Item = &IndexEntry> {
        let mut stack = vec![ROOT];
        std::iter::from_fn(move || {
            let node = &self.nodes[stack.pop()?];
            stack.extend(node.children.values().rev());
            Some(&node.entry)
        })
    }

    fn remove(&mut self, marker: &IndexEntry) {
        if marker.kind == NodeKind::Opaque {
            if let Ok(Place { node: Some(node), .. }) = self.walk(&marker.path, false) {
                self.nodes[node].children.clear();
            }
            return;
        }
        let (parent, name) = path::split(&marker.path);
        if let Ok(Place { node: Some(node), .. }) = self.walk(parent, true) {
            self.nodes[node].children.remove(name);
        }
    }

    fn insert(&mut self, mut entry: IndexEntry) {
        let (parent, name) = path::split(&entry.path);
        if name.is_empty() {
            self.nodes[ROOT].entry = entry;
            return;
        }
        let name = name.to_vec();
        let parent = self.make_dir(parent);
        entry.path = path::join(&self.nodes[parent].entry.path, &name);
        match self.nodes[parent].children.get(&name).copied() {
            Some(old) => {
                let node = &mut self.nodes[old];
                if entry.kind != NodeKind::Dir || node.entry.kind != NodeKind::Dir {
                    node.children.clear();
                }
                node.entry = entry;
            }
            None => {
                let id = self.nodes.len();
                self.nodes.push(Node { entry, children: BTreeMap::new() });
                self.nodes[parent].children.insert(name, id);
            }
        }
    }

    /// Finds a directory and makes what is missing of it; what is no directory gives way.
    fn make_dir(&mut self, dir: &[u8]) -> usize {
        let dir = self.walk(dir, true).map_or_else(|_| dir.to_vec(), |place| place.path);
        let mut at = ROOT;
        for part in path::components(&dir) {
            at = match self.nodes[at].children.get(part) {
                Some(next) => *next,
                None => {
                    let id = self.nodes.len();
                    let path = path::join(&self.nodes[at].entry.path, part);
                    self.nodes.push(Node::dir(path));
                    self.nodes[at].children.insert(part.to_vec(), id);
                    id
                }
            };
            if self.nodes[at].entry.kind != NodeKind::Dir {
                let path = self.nodes[at].entry.path.clone();
                self.nodes[at] = Node::dir(path);
            }
        }
        at
    }

    fn walk(&self, path: &[u8], follow_last: bool) -> Result<Place> {
        let mut todo: Vec<&[u8]> = path::components(path).rev().collect();
        // Directories from the root down; the path is that of the last, then `missing`.
        let mut trail = vec![ROOT];
        let mut missing: Vec<&[u8]> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let at = trail.last().copied().unwrap_or(ROOT);
            if part == b".." {
                if missing.pop().is_none() {
                    self.must_be_dir(at, path)?;
                    trail.truncate((trail.len() - 1).max(1));
                }
                continue;
            }
            let next = match self.nodes[at].children.get(part) {
                Some(next) if missing.is_empty() => *next,
                _ => {
                    self.must_be_dir(at, path)?;
                    missing.push(part);
                    continue;
                }
            };
            let entry = &self.nodes[next].entry;
            if entry.kind != NodeKind::Symlink || (todo.is_empty() && !follow_last) {
                trail.push(next);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(problem(path, "it has a loop of symbolic links"));
            }
            if entry.target.starts_with(b"/") {
                trail.truncate(1);
            }
            todo.extend(path::components(&entry.target).rev());
        }
        let last = trail.last().copied().unwrap_or(ROOT);
        let mut out = self.nodes[last].entry.path.clone();
        for part in &missing {
            out = path::join(&out, part);
        }
        Ok(Place { path: out, node: missing.is_empty().then_some(last) })
    }

    fn must_be_dir(&self, at: usize, path: &[u8]) -> Result<()> {
        let entry = &self.nodes[at].entry;
        if entry.kind == NodeKind::Dir {
            return Ok(());
        }
        Err(problem(path, &format!("{:?} on its way is no directory", lossy(&entry.path))))
    }
}

struct Place {
    path: Vec<u8>,
    node: Option<usize>,
}

impl Node {
    fn dir(path: Vec<u8>) -> Self {
        let entry = IndexEntry {
            path,
            kind: NodeKind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            target: Vec::new(),
        };
        Node { entry, children: BTreeMap::new() }
    }
}

fn problem(path: &[u8], reason: &str) -> Error {
    Error::BadEntry { entry: lossy(path), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Entry, EntryKind};

    fn dir(path: &str) -> Entry {
        Entry::new(path, EntryKind::Dir)
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry::new(path, EntryKind::Symlink { target: target.into() })
    }

    fn view(layers: &[&[Entry]]) -> FsView {
        FsView::new(layers.iter().map(|l| LayerIndex::from_entries(l)).collect())
    }

    fn all(view: &FsView) -> Vec<String> {
        view.iter().skip(1).map(|e| lossy(&e.path)).collect()
    }

    fn resolved(view: &FsView, path: &str) -> String {
        let r = view.resolve(path.as_bytes()).unwrap();
        format!("{}{}", lossy(&r.path), if r.entry.is_some() { "" } else { "?" })
    }

    #[test]
    fn markers_take_away_what_is_below_and_nothing_of_their_own_layer() {
        let bottom = [
            dir("d"),
            Entry::file("d/a", ""),
            Entry::file("d/b", ""),
            dir("e"),
            Entry::file("e/x", ""),
        ];
        let middle = [Entry::new("d/a", EntryKind::Whiteout), Entry::file("d/c", "")];
        let top =
            [dir("e").with_mode(0o700), Entry::file("e/y", ""), Entry::new("e", EntryKind::Opaque)];
        let view = view(&[&bottom, &middle, &top]);
        assert_eq!(all(&view), ["d", "d/b", "d/c", "e", "e/y"]);
        assert_eq!(view.lookup(b"e").unwrap().mode, 0o700);
        assert!(view.lookup(b"d/a").is_none() && view.lookup(b"d/b/none").is_none());
        let names: Vec<_> = view.children(b"d").map(|(n, _)| lossy(n)).collect();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn what_replaces_a_directory_empties_it() {
        let view = view(&[
            &[dir("d"), Entry::file("d/a", "")],
            &[Entry::file("d", "")],
            &[dir("d"), Entry::file("d/b", "")],
        ]);
        assert_eq!(all(&view), ["d", "d/b"]);
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let view = view(&[&[
            dir("usr"),
            dir("usr/bin"),
            Entry::file("usr/bin/sh", ""),
            link("bin", "usr/bin"),
            link("up", "../../../usr"),
            link("abs", "/usr/./bin/../bin"),
            link("sh", "bin/sh"),
            link("gone", "usr/none/x"),
            link("loop", "loop"),
        ]]);
        for (path, end) in [
            ("/bin/sh", "usr/bin/sh"),
            ("up/bin/sh", "usr/bin/sh"),
            ("abs/sh", "usr/bin/sh"),
            ("sh", "usr/bin/sh"),
            ("bin/new/deep", "usr/bin/new/deep?"),
            ("bin/new/../sh2", "usr/bin/sh2?"),
            ("gone", "usr/none/x?"),
            ("..", ""),
            ("/", ""),
        ] {
            assert_eq!(resolved(&view, path), end, "{path}");
        }
        assert_eq!(view.resolve_parent(b"bin").unwrap().path, b"bin");
        assert_eq!(view.resolve_parent(b"up/bin").unwrap().path, b"usr/bin");
        assert!(view.resolve(b"loop/x").is_err());
        assert!(view.resolve(b"usr/bin/sh/x").is_err());
        assert!(view.is_dir(b"bin") && !view.is_dir(b"sh") && !view.is_dir(b"none"));
    }

    #[test]
    fn entries_below_a_link_go_where_it_leads() {
        let view = view(&[
            &[dir("usr"), dir("usr/lib"), link("lib", "usr/lib")],
            &[Entry::file("lib/x", ""), Entry::file("new/deep/y", "")],
            &[Entry::new("lib/x", EntryKind::Whiteout), Entry::file("lib/z", "")],
        ]);
        assert_eq!(
            all(&view),
            ["lib", "new", "new/deep", "new/deep/y", "usr", "usr/lib", "usr/lib/z"]
        );
    }

    #[test]
    fn a_hundred_thousand_entries_are_quick() {
        let entries: Vec<Entry> = (0..100_000)
            .map(|i| Entry::file(format!("d{}/s{}/f{i}", i % 100, i % 7), ""))
            .collect();
        let start = std::time::Instant::now();
        let view = view(&[&entries, &entries]);
        for entry in &entries {
            assert!(view.resolve(&entry.path).unwrap().entry.is_some());
        }
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
