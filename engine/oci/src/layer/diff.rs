//! From the upper directory of an overlay to the entries of a layer.

use super::owner::{OwnerMode, OwnerTable};
use super::scan::{Found, Groups, Node, host_path, look, names, same_content};
use super::{Entry, EntryKind, path};
use crate::Result;
use std::path::{Path, PathBuf};

/// How the owners of a difference are found.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// How owners are kept.
    pub owners: OwnerMode,
    /// Owners of what can carry no record, for [`OwnerMode::Recorded`].
    pub table: OwnerTable,
    /// Owner of files without any record, for [`OwnerMode::Recorded`].
    pub new_owner: (u32, u32),
}

impl Default for DiffOptions {
    fn default() -> Self {
        DiffOptions { owners: OwnerMode::Real, table: OwnerTable::new(), new_owner: (0, 0) }
    }
}

impl DiffOptions {
    /// Decides the owner of a file, given what the layers below have at its path.
    pub(super) fn owner(&self, at: &[u8], node: &Node, below: Option<&Node>) -> (u32, u32) {
        if let Some(owner) = node.owner(self.owners, at, &self.table) {
            return owner;
        }
        match below.filter(|b| b.same_type(node)) {
            // A record comes along when a file is copied up: one that is gone was taken away, since
            // the file was given back to root.
            Some(_) if matches!(node.kind, EntryKind::File { .. } | EntryKind::Dir) => (0, 0),
            Some(below) => below.owner(self.owners, at, &self.table).unwrap_or((0, 0)),
            None => self.new_owner,
        }
    }

    /// Tells whether a file is what the layers below have: for a directory without regard to its
    /// time, which changes with every name in it.
    pub(super) fn unchanged(
        &self,
        at: &[u8],
        node: &Node,
        below: &Node,
        roots: Roots,
    ) -> Result<bool> {
        let owner = self.owner(at, node, Some(below));
        let owner_below = below.owner(self.owners, at, &self.table).unwrap_or((0, 0));
        if node.mode != below.mode || owner != owner_below || node.xattrs != below.xattrs {
            return Ok(false);
        }
        if !node.is_dir() && node.mtime != below.mtime {
            return Ok(false);
        }
        Ok(match (&node.kind, &below.kind) {
            (EntryKind::Dir, EntryKind::Dir) | (EntryKind::Fifo, EntryKind::Fifo) => true,
            (EntryKind::Symlink { target: a }, EntryKind::Symlink { target: b }) => a == b,
            (
                EntryKind::CharDev { major: a, minor: b },
                EntryKind::CharDev { major: c, minor: d },
            )
            | (
                EntryKind::BlockDev { major: a, minor: b },
                EntryKind::BlockDev { major: c, minor: d },
            ) => (a, b) == (c, d),
            (EntryKind::File { size: a, .. }, EntryKind::File { size: b, .. }) => {
                let same_file = node.shared.is_some() && node.shared == below.shared;
                a == b
                    && (same_file
                        || same_content(&host_path(roots.upper, at), &host_path(roots.lower, at))?)
            }
            _ => false,
        })
    }
}

/// The two trees a file is compared in.
#[derive(Clone, Copy)]
pub(super) struct Roots<'a> {
    pub(super) upper: &'a Path,
    pub(super) lower: &'a Path,
}

/// Makes the entries of the layer that an overlay collected in its upper directory.
///
/// `lowers` are the layers below, topmost first. A directory is an entry only when it is new,
/// opaque, or its mode, owner or attributes changed; a file that was copied up and is what it was
/// is none. The root of the layer is never one: overlayfs takes it from the upper directory, which
/// its maker, not the build, gave its mode.
pub fn diff_upper(upper: &Path, lowers: &[PathBuf], options: &DiffOptions) -> Result<Vec<Entry>> {
    let mut diff = Diff { upper, lowers, options, found: Vec::new(), markers: Vec::new() };
    let mut todo = vec![(Vec::new(), (0..lowers.len()).collect::<Vec<_>>())];
    while let Some((dir, visible)) = todo.pop() {
        for name in names(upper, &dir)? {
            todo.extend(diff.visit(path::join(&dir, &name), &visible)?);
        }
    }
    Ok(finish(diff.found, diff.markers))
}

/// A file of the difference with its owner.
pub(super) type Changed = (Vec<u8>, Box<Node>, (u32, u32));

/// Sorts what was found, so that the first name of a file in order is the file.
pub(super) fn finish(mut found: Vec<Changed>, markers: Vec<Entry>) -> Vec<Entry> {
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let mut groups = Groups::default();
    let mut entries: Vec<Entry> =
        found.into_iter().map(|(at, node, owner)| groups.entry(&at, *node, owner)).collect();
    entries.extend(markers);
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

struct Diff<'a> {
    upper: &'a Path,
    lowers: &'a [PathBuf],
    options: &'a DiffOptions,
    found: Vec<Changed>,
    markers: Vec<Entry>,
}

/// What the layers below show at a path.
#[derive(Default)]
struct Below {
    node: Option<(usize, Box<Node>)>,
    /// The layers whose directories are merged there.
    dirs: Vec<usize>,
}

impl Diff<'_> {
    /// Takes one name of the upper directory; returns it with the layers below when it is a
    /// directory to go into.
    fn visit(&mut self, at: Vec<u8>, visible: &[usize]) -> Result<Option<(Vec<u8>, Vec<usize>)>> {
        let found = look(self.upper, &at)?;
        let below = self.below(&at, visible)?;
        let node = match found {
            Found::Node(node) => node,
            Found::Nothing => return Ok(None),
            Found::Whiteout | Found::Socket => {
                if below.node.is_some() {
                    self.markers.push(Entry::new(at, EntryKind::Whiteout));
                }
                return Ok(None);
            }
        };
        let owner = self.options.owner(&at, &node, below.node.as_ref().map(|(_, n)| &**n));
        if !node.is_dir() {
            if node.shared.is_some() || !self.unchanged(&at, &node, &below)? {
                self.found.push((at, node, owner));
            }
            return Ok(None);
        }
        let hides = node.opaque && !below.dirs.is_empty();
        let dirs = if node.opaque { Vec::new() } else { below.dirs.clone() };
        if hides {
            self.markers.push(Entry::new(at.clone(), EntryKind::Opaque));
        }
        if hides || !self.unchanged(&at, &node, &below)? {
            self.found.push((at.clone(), node, owner));
        }
        Ok(Some((at, dirs)))
    }

    fn unchanged(&self, at: &[u8], node: &Node, below: &Below) -> Result<bool> {
        let Some((layer, below)) = &below.node else { return Ok(false) };
        let roots = Roots { upper: self.upper, lower: &self.lowers[*layer] };
        self.options.unchanged(at, node, below, roots)
    }

    fn below(&self, at: &[u8], visible: &[usize]) -> Result<Below> {
        let mut below = Below::default();
        for layer in visible {
            let node = match look(&self.lowers[*layer], at)? {
                Found::Nothing => continue,
                Found::Whiteout | Found::Socket => break,
                Found::Node(node) => node,
            };
            let (is_dir, opaque) = (node.is_dir(), node.opaque);
            if is_dir {
                below.dirs.push(*layer);
            }
            if below.node.is_none() {
                below.node = Some((*layer, node));
            }
            if !is_dir || opaque {
                break;
            }
        }
        Ok(below)
    }
}

#[cfg(test)]
mod tests;
