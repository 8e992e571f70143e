//! A stack of layer indexes as one file system: lookups and links, without a disk.

use super::{IndexEntry, LayerIndex, NodeKind};
use crate::error::lossy;
use crate::layer::path;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Links on one path before it counts as a loop; the number of the kernel.
const MAX_LINKS: usize = 40;

/// A merged view of layers, bottom first.
///
/// Entries below a symbolic link to a directory go where the link leads, as when the layers are
/// applied to one directory. A clone shares all that is not changed in it, so that many images on
/// one base cost little more than the base.
#[derive(Clone, Debug)]
pub struct FsView {
    root: Arc<Node>,
    /// Layers so far.
    layers: usize,
}

#[derive(Clone, Debug)]
struct Node {
    entry: IndexEntry,
    children: BTreeMap<Vec<u8>, Arc<Node>>,
    /// The layer that has it, and its path there where that is another one: the content of a hard
    /// link is under its first name.
    layer: usize,
    path: Option<Box<[u8]>>,
}

/// Where the content of a file is. Names of one file have one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin<'a> {
    /// The layer, counted from the bottom.
    pub layer: usize,
    /// The path of the entry in the list of that layer.
    pub path: &'a [u8],
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
        let mut view = FsView { root: Arc::new(Node::dir(Vec::new())), layers: 0 };
        layers.into_iter().for_each(|layer| view.push(layer));
        view
    }

    /// Puts one more layer on top.
    pub fn push(&mut self, layer: LayerIndex) {
        let number = self.layers;
        self.layers += 1;
        let (markers, entries): (Vec<_>, Vec<_>) = layer
            .entries
            .into_iter()
            .partition(|e| matches!(e.kind, NodeKind::Whiteout | NodeKind::Opaque));
        markers.iter().for_each(|marker| self.remove(marker));
        let is_link = |e: &IndexEntry| e.kind == NodeKind::File && !e.target.is_empty();
        // What a hard link names has to be there before it.
        let (links, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_link);
        entries.into_iter().for_each(|entry| self.insert(entry, number, None));
        links.into_iter().for_each(|entry| self.insert_link(entry, number));
    }

    /// Tells where the content of a path is; none for a path that is not there. No link is
    /// followed.
    pub fn origin(&self, path: &[u8]) -> Option<Origin<'_>> {
        let node = self.find(path)?;
        Some(Origin { layer: node.layer, path: node.path.as_deref().unwrap_or(&node.entry.path) })
    }

    /// Looks a path up; no link is followed.
    pub fn lookup(&self, path: &[u8]) -> Option<&IndexEntry> {
        self.find(path).map(|node| &node.entry)
    }

    fn find(&self, path: &[u8]) -> Option<&Node> {
        let mut at = &*self.root;
        for part in path::components(path) {
            at = at.children.get(part)?;
        }
        Some(at)
    }

    /// Follows every link of a path, inside the root. What does not exist is taken as it is
    /// written, so that the path of something still to be made can be had.
    ///
    /// Fails when links form a loop or the path goes through what is no directory.
    pub fn resolve(&self, path: &[u8]) -> Result<Resolved<'_>> {
        let place = self.walk(path, true)?;
        Ok(Resolved { entry: place.node.map(|n| &n.entry), path: place.path })
    }

    /// Follows every link of a path but a last one; else as [`FsView::resolve`].
    pub fn resolve_parent(&self, path: &[u8]) -> Result<Resolved<'_>> {
        let place = self.walk(path, false)?;
        Ok(Resolved { entry: place.node.map(|n| &n.entry), path: place.path })
    }

    /// Tells whether a path leads to a directory, links followed.
    pub fn is_dir(&self, path: &[u8]) -> bool {
        self.resolve(path).is_ok_and(|r| r.entry.is_some_and(|e| e.kind == NodeKind::Dir))
    }

    /// Returns the names in a directory, sorted, links followed; nothing for what is none.
    pub fn children(&self, dir: &[u8]) -> impl Iterator<Item = (&[u8], &IndexEntry)> {
        let node = self.walk(dir, true).ok().and_then(|place| place.node);
        node.into_iter()
            .flat_map(|n| n.children.iter().map(|(name, c)| (name.as_slice(), &c.entry)))
    }

    /// Returns every entry, parents first, names sorted.
    pub fn iter(&self) -> impl Iterator<Item = &IndexEntry> {
        self.below(b"")
    }

    /// Returns the entry of a path and every one below it, parents first, names sorted; nothing
    /// for what is not there. No link is followed.
    pub fn below(&self, path: &[u8]) -> impl Iterator<Item = &IndexEntry> {
        let mut stack: Vec<&Node> = self.find(path).into_iter().collect();
        std::iter::from_fn(move || {
            let node = stack.pop()?;
            stack.extend(node.children.values().rev().map(|child| &**child));
            Some(&node.entry)
        })
    }

    fn remove(&mut self, marker: &IndexEntry) {
        if marker.kind == NodeKind::Opaque {
            let Ok(Place { path, node: Some(_) }) = self.walk(&marker.path, false) else { return };
            self.change(&path).children.clear();
            return;
        }
        let (parent, name) = path::split(&marker.path);
        let Ok(Place { path, node: Some(parent) }) = self.walk(parent, true) else { return };
        if parent.children.contains_key(name) {
            self.change(&path).children.remove(name);
        }
    }

    /// Puts a hard link: it is the file that it names, whichever layer that is from.
    fn insert_link(&mut self, mut entry: IndexEntry, layer: usize) {
        let target = std::mem::take(&mut entry.target);
        let found = self.walk(&target, false).ok().and_then(|place| place.node);
        let Some(file) = found else { return self.insert(entry, layer, None) };
        (entry.size, entry.digest) = (file.entry.size, file.entry.digest);
        let origin = file.path.clone().unwrap_or_else(|| file.entry.path.as_slice().into());
        let layer = file.layer;
        self.insert(entry, layer, Some(origin));
    }

    fn insert(&mut self, mut entry: IndexEntry, layer: usize, origin: Option<Box<[u8]>>) {
        let (parent, name) = path::split(&entry.path);
        if name.is_empty() {
            Arc::make_mut(&mut self.root).entry = entry;
            return;
        }
        let name = name.to_vec();
        // Entries follow each other by folder, and most folders are there without a link.
        let is_plain = self.find(parent).is_some_and(|node| node.entry.kind == NodeKind::Dir);
        let real = match is_plain {
            true => parent.to_vec(),
            false => self.walk(parent, true).map_or_else(|_| parent.to_vec(), |place| place.path),
        };
        let parent = self.change(&real);
        let real = path::join(&parent.entry.path, &name);
        let listed = std::mem::replace(&mut entry.path, real);
        let path = origin.or_else(|| (listed != entry.path).then(|| listed.into_boxed_slice()));
        match parent.children.get_mut(&name).map(Arc::make_mut) {
            Some(node) => {
                if entry.kind != NodeKind::Dir || node.entry.kind != NodeKind::Dir {
                    node.children.clear();
                }
                (node.entry, node.layer, node.path) = (entry, layer, path);
            }
            None => {
                let node = Node { entry, children: BTreeMap::new(), layer, path };
                parent.children.insert(name, Arc::new(node));
            }
        }
    }

    /// Gives a directory to be changed, and makes what is missing of it; what is no directory
    /// gives way. The path has no links in it.
    fn change(&mut self, dir: &[u8]) -> &mut Node {
        let mut at = Arc::make_mut(&mut self.root);
        for part in path::components(dir) {
            let path = path::join(&at.entry.path, part);
            let next = at.children.entry(part.to_vec());
            at = Arc::make_mut(next.or_insert_with(|| Arc::new(Node::dir(path.clone()))));
            if at.entry.kind != NodeKind::Dir {
                *at = Node::dir(path);
            }
        }
        at
    }

    fn walk(&self, path: &[u8], follow_last: bool) -> Result<Place<'_>> {
        let mut todo: Vec<Vec<u8>> = path::components(path).rev().map(<[u8]>::to_vec).collect();
        // Directories from the root down; the path is that of the last, then `missing`.
        let mut trail: Vec<&Node> = vec![&self.root];
        let mut missing: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let at = trail.last().copied().unwrap_or(&self.root);
            if part == b".." {
                if missing.pop().is_none() {
                    must_be_dir(at, path)?;
                    trail.truncate((trail.len() - 1).max(1));
                }
                continue;
            }
            let next = match at.children.get(&part) {
                Some(next) if missing.is_empty() => &**next,
                _ => {
                    must_be_dir(at, path)?;
                    missing.push(part);
                    continue;
                }
            };
            let entry = &next.entry;
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
            todo.extend(path::components(&entry.target).rev().map(<[u8]>::to_vec));
        }
        let last = trail.last().copied().unwrap_or(&self.root);
        let mut out = last.entry.path.clone();
        for part in &missing {
            out = path::join(&out, part);
        }
        Ok(Place { path: out, node: missing.is_empty().then_some(last) })
    }
}

struct Place<'a> {
    path: Vec<u8>,
    node: Option<&'a Node>,
}

impl Node {
    fn dir(path: Vec<u8>) -> Self {
        let entry = IndexEntry::dir(path);
        Node { entry, children: BTreeMap::new(), layer: 0, path: None }
    }
}

/// Deep trees are taken apart one by one: the depth of a hostile layer must not be that of the
/// stack.
impl Drop for Node {
    fn drop(&mut self) {
        let mut open: Vec<Arc<Node>> = std::mem::take(&mut self.children).into_values().collect();
        while let Some(node) = open.pop() {
            if let Ok(mut node) = Arc::try_unwrap(node) {
                open.extend(std::mem::take(&mut node.children).into_values());
            }
        }
    }
}

fn must_be_dir(at: &Node, path: &[u8]) -> Result<()> {
    let entry = &at.entry;
    if entry.kind == NodeKind::Dir {
        return Ok(());
    }
    Err(problem(path, &format!("{:?} on its way is no directory", lossy(&entry.path))))
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
    fn contents_are_found_where_they_are() {
        let hard = |path: &str, target: &str| {
            Entry::new(path, EntryKind::Hardlink { target: target.into() })
        };
        let view = view(&[
            &[dir("usr"), dir("usr/lib"), link("lib", "usr/lib"), Entry::file("usr/lib/a", "one")],
            &[hard("early", "lib/b"), Entry::file("lib/b", "four"), hard("below", "usr/lib/a")],
            &[Entry::file("usr/lib/a", "three")],
        ]);
        let origin = |path: &str| {
            let origin = view.origin(path.as_bytes()).unwrap();
            format!("{} {}", origin.layer, lossy(origin.path))
        };
        assert_eq!(origin("usr/lib/b"), "1 lib/b");
        assert_eq!(origin("early"), "1 lib/b");
        // The other name keeps the file that the upper layer replaced.
        assert_eq!(origin("below"), "0 usr/lib/a");
        assert_eq!(origin("usr/lib/a"), "2 usr/lib/a");
        let below = view.lookup(b"below").unwrap();
        assert_eq!((below.size, below.digest), (3, Some(*blake3::hash(b"one").as_bytes())));
        assert!(view.origin(b"none").is_none());
        let names: Vec<String> = view.below(b"usr/lib").map(|e| lossy(&e.path)).collect();
        assert_eq!(names, ["usr/lib", "usr/lib/a", "usr/lib/b"]);
        assert_eq!(view.below(b"none").count(), 0);
    }

    #[test]
    fn a_clone_that_is_changed_leaves_the_other_as_it_was() {
        let below = view(&[&[dir("d"), Entry::file("d/a", ""), dir("e"), Entry::file("e/x", "")]]);
        let mut above = below.clone();
        above.push(LayerIndex::from_entries(&[
            Entry::new("d/a", EntryKind::Whiteout),
            Entry::file("d/b", ""),
            Entry::new("e", EntryKind::Opaque),
        ]));
        assert_eq!(all(&below), ["d", "d/a", "e", "e/x"]);
        assert_eq!(all(&above), ["d", "d/b", "e"]);
        assert_eq!(above.origin(b"d/b").unwrap().layer, 1);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = vec!["d"; 4_000].join("/");
        let view = view(&[&[Entry::file(deep.clone(), "")]]);
        assert!(view.lookup(deep.as_bytes()).is_some());
        drop(view);
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
