//! What is in layers, without their contents: to look paths up, to follow links and to know what a
//! copy would hold, without unpacking.
//!
//! A [`LayerIndex`] is the list of one layer and has a text form. An [`FsView`] is a stack of them
//! seen as one file system.

mod text;
mod view;

pub use view::{FsView, Origin, Resolved};

use super::{Content, Entry, EntryKind};
use std::collections::{BTreeMap, HashMap};

/// blake3 of the content of a file.
pub type ContentDigest = [u8; 32];

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
    /// Time of modification, in seconds since 1970.
    pub mtime: i64,
    /// Text of a symbolic link, or the other name of a hard link; empty for all else.
    pub target: Vec<u8>,
    /// Bytes of a regular file.
    pub size: u64,
    /// Digest of the content of a regular file. None for a hard link to a file of a layer below,
    /// and where nobody has read the content.
    pub digest: Option<ContentDigest>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The list of a layer's entries, in the order of the layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerIndex {
    /// The entries.
    pub entries: Vec<IndexEntry>,
}

impl IndexEntry {
    /// A directory of root, as it is made for a path that has none.
    fn dir(path: Vec<u8>) -> Self {
        index_entry(&Entry { path, ..Entry::new("", EntryKind::Dir) })
    }
}

impl LayerIndex {
    /// Makes the index of a list of entries. Contents that are not in memory are not read: their
    /// files have no digest.
    pub fn from_entries(entries: &[Entry]) -> Self {
        let digest = |entry: &Entry| match &entry.kind {
            EntryKind::File { content: Content::Bytes(bytes), .. } => {
                Some(*blake3::hash(bytes).as_bytes())
            }
            _ => None,
        };
        let digests: Vec<Option<ContentDigest>> = entries.iter().map(digest).collect();
        Self::with_digests(entries, &digests)
    }

    /// Makes the index of a list of entries whose contents have these digests.
    pub(super) fn with_digests(entries: &[Entry], digests: &[Option<ContentDigest>]) -> Self {
        let mut all: Vec<IndexEntry> = entries.iter().map(index_entry).collect();
        for (entry, digest) in all.iter_mut().zip(digests) {
            entry.digest = *digest;
        }
        let named: HashMap<Vec<u8>, usize> = all
            .iter()
            .enumerate()
            .filter(|(_, e)| matches!(e.kind, NodeKind::File | NodeKind::Symlink))
            .map(|(at, e)| (e.path.clone(), at))
            .collect();
        for (at, entry) in entries.iter().enumerate() {
            let EntryKind::Hardlink { target } = &entry.kind else { continue };
            let Some(other) = named.get(target).filter(|other| **other != at) else { continue };
            let other = all[*other].clone();
            match other.kind {
                // A hard link to a symbolic link is that link.
                NodeKind::Symlink => {
                    all[at].kind = NodeKind::Symlink;
                    all[at].target = other.target;
                }
                _ => (all[at].size, all[at].digest) = (other.size, other.digest),
            }
        }
        LayerIndex { entries: all }
    }
}

fn index_entry(entry: &Entry) -> IndexEntry {
    let kind = match &entry.kind {
        EntryKind::Dir => NodeKind::Dir,
        EntryKind::File { .. } | EntryKind::Hardlink { .. } => NodeKind::File,
        EntryKind::Symlink { .. } => NodeKind::Symlink,
        EntryKind::CharDev { .. } => NodeKind::CharDev,
        EntryKind::BlockDev { .. } => NodeKind::BlockDev,
        EntryKind::Fifo => NodeKind::Fifo,
        EntryKind::Whiteout => NodeKind::Whiteout,
        EntryKind::Opaque => NodeKind::Opaque,
    };
    let target = match &entry.kind {
        EntryKind::Symlink { target } | EntryKind::Hardlink { target } => target.clone(),
        _ => Vec::new(),
    };
    let size = match entry.kind {
        EntryKind::File { size, .. } => size,
        _ => 0,
    };
    let device = match entry.kind {
        EntryKind::CharDev { major, minor } | EntryKind::BlockDev { major, minor } => {
            (major, minor)
        }
        _ => (0, 0),
    };
    IndexEntry {
        path: entry.path.clone(),
        kind,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        target,
        size,
        digest: None,
        device,
        xattrs: entry.xattrs.clone(),
    }
}
