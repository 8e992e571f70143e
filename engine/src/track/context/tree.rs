//! All that is below a folder of a context and is copied.

use std::collections::HashMap;

use mabuild_dockerfile::Ignore;
use rayon::prelude::*;

use super::hidden::Hidden;
use super::root::{Node, NodeKind, Root, join};
use crate::facts::{FileFact, FileKind};

/// Folders in folders.
const DEEPEST: usize = 200;

/// What is copied of a folder.
pub(super) struct Wanted<'a> {
    /// What alone is copied; none for everything.
    pub include: Option<&'a Ignore>,
    /// The names that everything that is copied is below.
    pub way: &'a [&'a str],
    /// What is not copied.
    pub exclude: &'a Ignore,
}

impl Wanted<'_> {
    /// Whether a path below the folder is copied.
    fn takes(&self, path: &str) -> bool {
        self.include.is_none_or(|include| include.excluded(path)) && !self.exclude.excluded(path)
    }

    /// Whether nothing in a folder is copied.
    fn prunes(&self, folder: &str) -> bool {
        let mut way = self.way.iter().zip(folder.split('/'));
        way.any(|(wanted, name)| *wanted != name) || self.exclude.prunes(folder)
    }
}

/// A folder of a context on its way.
pub(super) struct Tree<'a> {
    pub root: &'a Root,
    pub hidden: &'a Hidden,
    pub folder: &'a str,
    pub wanted: Wanted<'a>,
}

/// What was found, and the inode of a file that has more names.
type Found = (FileFact, Option<(u64, u64)>);

impl Tree<'_> {
    /// All that is copied, sorted by path.
    pub fn files(&self) -> Result<Vec<FileFact>, String> {
        let mut found = self.gather(self.folder, 0)?;
        found.sort_unstable_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let mut first: HashMap<(u64, u64), String> = HashMap::new();
        let files = found.into_iter().map(|(mut file, shared)| {
            if let (FileKind::File { .. }, Some(inode)) = (&file.kind, shared) {
                match first.get(&inode) {
                    Some(name) => file.kind = FileKind::Hardlink(name.clone()),
                    None => drop(first.insert(inode, file.path.clone())),
                }
            }
            file
        });
        Ok(files.collect())
    }

    /// The path below the folder.
    fn below<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.folder).unwrap_or(path).trim_start_matches('/')
    }

    fn gather(&self, folder: &str, depth: usize) -> Result<Vec<Found>, String> {
        if depth > DEEPEST {
            let disk = self.root.on_disk(folder);
            return Err(format!("{} is nested too deep to be copied", disk.display()));
        }
        let nodes = self.root.list(folder)?;
        let one = |node: &Node| self.node(node, join(folder, &node.name), depth);
        let lists: Result<Vec<_>, String> = match nodes.len() {
            0..32 => nodes.iter().map(one).collect(),
            _ => nodes.par_iter().with_min_len(32).map(one).collect(),
        };
        Ok(lists?.into_iter().flatten().collect())
    }

    fn node(&self, node: &Node, path: String, depth: usize) -> Result<Vec<Found>, String> {
        let takes = self.wanted.takes(self.below(&path));
        if !matches!(node.kind, NodeKind::Dir) {
            if !takes || self.hidden.hides(&path) {
                return Ok(vec![]);
            }
            return Ok(vec![(self.root.fact(path, node)?, node.shared)]);
        }
        if self.hidden.prunes(&path) || self.wanted.prunes(self.below(&path)) {
            return Ok(vec![]);
        }
        let mut files = self.gather(&path, depth + 1)?;
        // A hidden folder is still made for a file below it that is taken back.
        if !files.is_empty() || takes && !self.hidden.hides(&path) {
            let kind = if takes { FileKind::Dir } else { FileKind::Parent };
            files.push((FileFact { path, mode: node.mode, kind }, None));
        }
        Ok(files)
    }
}
