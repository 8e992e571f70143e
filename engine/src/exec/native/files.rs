//! The entries of one layer, collected over a view of what lies below: nothing is mounted and
//! nothing is unpacked for it. Here is the ground, and `mkdir`, `file`, `symlink`, `remove` and
//! `workdir`; `place` and `unpack` put whole trees on it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mabuild_oci::layer::tree_index::NodeKind;
use mabuild_oci::layer::{Entry, EntryKind, FsView};

use super::item::Item;
use super::layers::Layer;
use crate::exec::Fault;

/// Symbolic links on the way to one path.
const MOST_LINKS: usize = 255;

/// Owner and permission bits that an instruction asks for.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub owner: (u64, u64),
    /// Whether the owner was written, in place of root by default.
    pub owned: bool,
    pub mode: Option<u32>,
    pub date: i64,
}

/// What a path is.
pub(super) struct Seen {
    pub is_dir: bool,
    /// Text of a symbolic link.
    pub link: Option<Vec<u8>>,
    pub mode: u32,
    pub owner: (u64, u64),
}

/// Collects the entries of one layer over a view of what lies below.
pub(super) struct Layering<'v> {
    pub(super) view: &'v FsView,
    /// The layers of the view.
    pub(super) below: &'v [Layer],
    pub(super) items: BTreeMap<Vec<u8>, Item>,
    /// Paths below which nothing of the view is left.
    cleared: BTreeSet<Vec<u8>>,
    /// The hard links that were put for a file; some may be gone again.
    names: HashMap<Vec<u8>, Vec<Vec<u8>>>,
}

/// A path as it is shown.
pub(super) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

/// A path below another.
pub(super) fn joined(root: &[u8], path: &[u8]) -> Vec<u8> {
    let mut out = root.to_vec();
    if !out.is_empty() && !path.is_empty() {
        out.push(b'/');
    }
    out.extend_from_slice(path);
    out
}

/// The folder that a path is in, and its last part.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|b| *b == b'/');
    at.and_then(|at| Some((path.get(..at)?, path.get(at + 1..)?))).unwrap_or((b"", path))
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// The path and the folders above it, from the top.
pub(super) fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    ends.chain([path.len()]).filter_map(|end| path.get(..end))
}

impl<'v> Layering<'v> {
    pub fn new(view: &'v FsView, below: &'v [Layer]) -> Self {
        Self {
            view,
            below,
            items: BTreeMap::new(),
            cleared: BTreeSet::new(),
            names: HashMap::new(),
        }
    }

    pub fn items(self) -> Vec<Item> {
        let Self { view, mut items, cleared, .. } = self;
        let is_dir = |path: &[u8]| view.lookup(path).is_some_and(|e| e.kind == NodeKind::Dir);
        let remade = |path: &&Vec<u8>| {
            items.get(*path).is_some_and(|item| item.entry.is_dir()) && is_dir(path)
        };
        let emptied: Vec<Item> = cleared
            .iter()
            .filter(remade)
            .map(|path| Item::plain(Entry::new(path.clone(), EntryKind::Opaque)))
            .collect();
        let mut out: Vec<Item> = std::mem::take(&mut items).into_values().collect();
        out.extend(emptied);
        out
    }

    /// What stands at a path whose parents are directories.
    pub(super) fn lstat(&self, path: &[u8]) -> Option<Seen> {
        if let Some(Item { entry, .. }) = self.items.get(path) {
            let link = match &entry.kind {
                EntryKind::Symlink { target } => Some(target.clone()),
                _ => None,
            };
            let (mode, owner) = (entry.mode, (entry.uid, entry.gid));
            let seen = Seen { is_dir: entry.is_dir(), link, mode, owner };
            return (!entry.is_marker()).then_some(seen);
        }
        let is_cleared = || prefixes(path).any(|above| self.cleared.contains(above));
        if !self.cleared.is_empty() && is_cleared() {
            return None;
        }
        let known = self.view.lookup(path)?;
        let link = (known.kind == NodeKind::Symlink).then(|| known.target.clone());
        let (mode, owner) = (known.mode, (known.uid, known.gid));
        Some(Seen { is_dir: known.kind == NodeKind::Dir, link, mode, owner })
    }

    pub(super) fn is_dir(&self, path: &[u8]) -> bool {
        path.is_empty() || self.lstat(path).is_some_and(|seen| seen.is_dir)
    }

    /// A path with every link in it followed, and the last one too. What is not there is taken as
    /// it is written.
    pub(super) fn follow(&self, path: &[u8]) -> Result<Vec<u8>, Fault> {
        self.walk(b"", path, true)
    }

    /// A path with every link but the last followed.
    pub(super) fn follow_parents(&self, path: &[u8]) -> Result<Vec<u8>, Fault> {
        self.walk(b"", path, false)
    }

    /// A path below a root that no link and no `..` leaves.
    pub(super) fn walk(&self, root: &[u8], path: &[u8], last: bool) -> Result<Vec<u8>, Fault> {
        let mut open: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
        let mut out = root.to_vec();
        let mut links = 0;
        while let Some(part) = open.pop() {
            if part == b".." {
                if out.len() > root.len() {
                    out.truncate(split(&out).0.len().max(root.len()));
                }
                continue;
            }
            let here = joined(&out, &part);
            let link = self.lstat(&here).and_then(|seen| seen.link);
            let Some(link) = link.filter(|_| last || !open.is_empty()) else {
                out = here;
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                let path = String::from_utf8_lossy(path);
                return Err(Fault::step(format!(
                    "the path {path} in the image leads through too many symbolic links"
                )));
            }
            if link.starts_with(b"/") {
                out.truncate(root.len());
            }
            open.extend(parts(&link).rev().map(<[u8]>::to_vec));
        }
        Ok(out)
    }

    /// Puts an entry where nothing stands, or in place of what does.
    pub(super) fn put(&mut self, item: Item) -> Result<(), Fault> {
        let path = item.entry.path.clone();
        if path.is_empty() {
            return Err(Fault::step("the root directory itself cannot be written over"));
        }
        if !item.entry.is_dir() && self.is_dir(&path) {
            self.clear(&path);
        }
        self.keep_links(&path);
        if let EntryKind::Hardlink { target } = &item.entry.kind {
            self.names.entry(target.clone()).or_default().push(path.clone());
        }
        self.items.insert(path, item);
        Ok(())
    }

    /// Takes away what is below a path, and the path itself from what is collected.
    fn clear(&mut self, path: &[u8]) {
        let start = joined(path, b"\0");
        let start = start.get(..start.len() - 1).unwrap_or_default().to_vec();
        let gone: Vec<Vec<u8>> = self
            .items
            .range(start.clone()..)
            .map(|(below, _)| below.clone())
            .take_while(|below| below.starts_with(&start))
            .collect();
        for below in gone {
            self.keep_links(&below);
            self.items.remove(&below);
        }
        if self.view.lookup(path).is_some() {
            self.cleared.insert(path.to_vec());
        }
    }

    /// Before a file goes, one of its other names becomes the file.
    fn keep_links(&mut self, path: &[u8]) {
        let Some(mut names) = self.names.remove(path) else { return };
        let is_name = |item: &Item| matches!(&item.entry.kind, EntryKind::Hardlink { target } if target == path);
        names.retain(|name| self.items.get(name).is_some_and(is_name));
        names.dedup();
        let Some(file) = self.items.get(path).filter(|_| !names.is_empty()) else { return };
        let (kind, id, held) = (file.entry.kind.clone(), file.id, file.held.clone());
        let first = names.remove(0);
        for name in &names {
            if let Some(item) = self.items.get_mut(name) {
                item.entry.kind = EntryKind::Hardlink { target: first.clone() };
            }
        }
        if let Some(item) = self.items.get_mut(&first) {
            item.entry.kind = kind;
            (item.id, item.held) = (id, held);
        }
        self.names.insert(first, names);
    }

    /// Makes what is missing of a directory and its parents. The path has no links in it.
    pub(super) fn make_dirs(
        &mut self,
        path: &[u8],
        owner: (u64, u64),
        mode: u32,
        date: i64,
    ) -> Result<(), Fault> {
        let dirs: Vec<Vec<u8>> = prefixes(path).map(<[u8]>::to_vec).collect();
        for dir in dirs.into_iter().filter(|dir| !dir.is_empty()) {
            match self.lstat(&dir) {
                Some(seen) if seen.is_dir => continue,
                Some(_) => {
                    return Err(Fault::step(format!(
                        "{} is in the way: it is no directory",
                        shown(&dir)
                    )));
                }
                None => {}
            }
            let entry = Entry::new(dir, EntryKind::Dir)
                .with_mode(mode)
                .with_owner(owner.0, owner.1)
                .with_mtime(date);
            self.put(Item::plain(entry))?;
        }
        Ok(())
    }

    /// Gives a directory that is there other bits or another owner.
    pub(super) fn change_dir(
        &mut self,
        path: &[u8],
        mode: u32,
        owner: (u64, u64),
        date: i64,
    ) -> Result<(), Fault> {
        let same = |seen: Seen| (seen.mode, seen.owner) == (mode, owner);
        if path.is_empty() || self.lstat(path).is_some_and(same) {
            return Ok(());
        }
        let known = self.items.get(path).map(|item| item.entry.xattrs.clone());
        let known = known.or_else(|| Some(self.view.lookup(path)?.xattrs.clone()));
        let entry = Entry::new(path, EntryKind::Dir)
            .with_mode(mode)
            .with_owner(owner.0, owner.1)
            .with_mtime(date);
        self.put(Item::plain(Entry { xattrs: known.unwrap_or_default(), ..entry }))
    }

    pub fn mkdir(&mut self, path: &str, wish: Wish) -> Result<(), Fault> {
        let path = self.follow(path.as_bytes())?;
        self.make_dirs(split(&path).0, (0, 0), 0o755, wish.date)?;
        match self.lstat(&path) {
            // A directory that is there already takes what is written of it and keeps the rest.
            Some(seen) if seen.is_dir => {
                let owner = if wish.owned { wish.owner } else { seen.owner };
                self.change_dir(&path, wish.mode.unwrap_or(seen.mode), owner, wish.date)
            }
            _ => self.make_dirs(&path, wish.owner, wish.mode.unwrap_or(0o755), wish.date),
        }
    }

    pub fn file(&mut self, path: &str, content: &str, wish: Wish) -> Result<(), Fault> {
        let path = self.follow(path.as_bytes())?;
        let entry = Entry::file(path, content)
            .with_mode(wish.mode.unwrap_or(0o644))
            .with_owner(wish.owner.0, wish.owner.1)
            .with_mtime(wish.date);
        self.put_new(Item::plain(entry))
    }

    pub fn symlink(&mut self, target: &str, path: &str, date: i64) -> Result<(), Fault> {
        let path = self.follow_parents(path.as_bytes())?;
        let kind = EntryKind::Symlink { target: target.as_bytes().to_vec() };
        self.put_new(Item::plain(Entry::new(path, kind).with_mtime(date)))
    }

    /// Puts an entry that must not take the place of a directory, with the folders above it.
    fn put_new(&mut self, item: Item) -> Result<(), Fault> {
        let path = &item.entry.path;
        if !path.is_empty() && self.is_dir(path) {
            return Err(Fault::step(format!("{} is a directory in the image", shown(path))));
        }
        self.make_dirs(split(path).0, (0, 0), 0o755, item.entry.mtime)?;
        self.put(item)
    }

    pub fn remove(&mut self, path: &str) -> Result<(), Fault> {
        let path = self.follow_parents(path.as_bytes())?;
        if path.is_empty() {
            return Err(Fault::step("the root directory itself cannot be removed"));
        }
        if self.lstat(&path).is_none() {
            return Err(Fault::step(format!(
                "cannot remove {}: the image has no such path",
                shown(&path)
            )));
        }
        self.clear(&path);
        self.put(Item::plain(Entry::new(path, EntryKind::Whiteout)))
    }

    /// Makes the working directory; one that is there stays as it is.
    pub fn workdir(&mut self, path: &str, wish: Wish) -> Result<(), Fault> {
        let path = self.follow(path.as_bytes())?;
        self.make_dirs(&path, wish.owner, 0o755, wish.date)
    }
}

#[cfg(test)]
mod tests;
