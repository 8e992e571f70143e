//! What is in layers, without their contents: to look paths up and follow links without unpacking.
//!
//! A [`LayerIndex`] is the list of one layer and has a text form. An [`FsView`] is a stack of them
//! seen as one file system.

mod text;
mod view;

pub use view::{FsView, Resolved};

use super::{Entry, EntryKind};
use std::collections::HashMap;

/// What a path is, as far as an index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDev,
    /// A block device.
    BlockDev,
    /// A named pipe.
    Fifo,
    /// A mark that the path is gone.
    Whiteout,
    /// A mark that what layers below have in the directory is gone.
    Opaque,
}

/// One path of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The path, as in [`Entry`].
    pub path: Vec<u8>,
    /// What it is; one more name of a file counts as that file.
    pub kind: NodeKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Text of a symbolic link; empty for all else.
    pub target: Vec<u8>,
}

/// The list of a layer's entries, in the order of the layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerIndex {
    /// The entries.
    pub entries: Vec<IndexEntry>,
}

impl LayerIndex {
    /// Makes the index of a list of entries.
    pub fn from_entries(entries: &[Entry]) -> Self {
        // A hard link to a symbolic link is that link; one to anything else is a file.
        let links: HashMap<&[u8], &[u8]> = entries
            .iter()
            .filter_map(|e| match &e.kind {
                EntryKind::Symlink { target } => Some((e.path.as_slice(), target.as_slice())),
                _ => None,
            })
            .collect();
        LayerIndex { entries: entries.iter().map(|e| index_entry(e, &links)).collect() }
    }
}

fn index_entry(entry: &Entry, links: &HashMap<&[u8], &[u8]>) -> IndexEntry {
    let (kind, target) = match &entry.kind {
        EntryKind::Dir => (NodeKind::Dir, &b""[..]),
        EntryKind::File { .. } => (NodeKind::File, &b""[..]),
        EntryKind::Symlink { target } => (NodeKind::Symlink, target.as_slice()),
        EntryKind::Hardlink { target } => match links.get(target.as_slice()) {
            Some(text) => (NodeKind::Symlink, *text),
            None => (NodeKind::File, &b""[..]),
        },
        EntryKind::CharDev { .. } => (NodeKind::CharDev, &b""[..]),
        EntryKind::BlockDev { .. } => (NodeKind::BlockDev, &b""[..]),
        EntryKind::Fifo => (NodeKind::Fifo, &b""[..]),
        EntryKind::Whiteout => (NodeKind::Whiteout, &b""[..]),
        EntryKind::Opaque => (NodeKind::Opaque, &b""[..]),
    };
    IndexEntry {
        path: entry.path.clone(),
        kind,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        target: target.to_vec(),
    }
}
