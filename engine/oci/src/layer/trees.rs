//! The difference of two complete directories, for machines that have no overlayfs.

use super::diff::{Changed, Roots, finish};
use super::scan::{Found, Node, look, names};
use super::{DiffOptions, Entry, EntryKind, path};
use crate::Result;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// Makes the entries of the layer that turns the tree at `lower` into the tree at `upper`.
///
/// Compared are type, mode, owner, size, content, link text, attributes, and the time of what is
/// no directory, in seconds. When one name of a file is an entry, all its names are. The root itself is never one.
pub fn diff_trees(lower: &Path, upper: &Path, options: &DiffOptions) -> Result<Vec<Entry>> {
    let roots = Roots { upper, lower };
    let mut diff =
        Trees { roots, options, found: Vec::new(), same: Vec::new(), markers: Vec::new() };
    // A directory, and whether the lower tree has it too.
    let mut todo = vec![(Vec::new(), true)];
    while let Some((dir, both)) = todo.pop() {
        let mut all: BTreeSet<Vec<u8>> = names(upper, &dir)?.into_iter().collect();
        if both {
            all.extend(names(lower, &dir)?);
        }
        for name in all {
            todo.extend(diff.visit(path::join(&dir, &name), both)?);
        }
    }
    let changed: HashSet<(u64, u64)> = diff.found.iter().filter_map(|c| c.1.shared).collect();
    let whole_groups = |c: &Changed| c.1.shared.is_some_and(|id| changed.contains(&id));
    diff.found.extend(diff.same.into_iter().filter(whole_groups));
    Ok(finish(diff.found, diff.markers))
}

struct Trees<'a> {
    roots: Roots<'a>,
    options: &'a DiffOptions,
    found: Vec<Changed>,
    /// Unchanged names of files that have others.
    same: Vec<Changed>,
    markers: Vec<Entry>,
}

impl Trees<'_> {
    fn visit(&mut self, at: Vec<u8>, both: bool) -> Result<Option<(Vec<u8>, bool)>> {
        let below = if both { node(look(self.roots.lower, &at)?) } else { None };
        let Some(node) = node(look(self.roots.upper, &at)?) else {
            if below.is_some() {
                self.markers.push(Entry::new(at, EntryKind::Whiteout));
            }
            return Ok(None);
        };
        let owner = self.options.owner(&at, &node, below.as_deref());
        let unchanged = match &below {
            Some(below) => self.options.unchanged(&at, &node, below, self.roots)?,
            None => false,
        };
        let deeper = node.is_dir().then(|| (at.clone(), below.is_some_and(|b| b.is_dir())));
        if !unchanged {
            self.found.push((at, node, owner));
        } else if node.shared.is_some() {
            self.same.push((at, node, owner));
        }
        Ok(deeper)
    }
}

/// Whiteouts and sockets are nothing in a complete tree.
fn node(found: Found) -> Option<Box<Node>> {
    match found {
        Found::Node(node) => Some(node),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
