//! Layers: lists of entries, and everything that makes them, packs them, reads them, applies them.
//!
//! An [`Entry`] is one path with its kind and metadata; file contents stay where they are until
//! they are needed. Format: OCI image specification 1.1, `layer.md`, over POSIX pax archives.

mod apply;
mod decompress;
mod deflate;
mod diff;
mod header;
pub(crate) mod merge;
mod order;
mod owner;
mod pack;
pub(crate) mod path;
mod read;
mod root;
mod scan;
mod source;
mod sparse;
pub mod tree_index;
mod trees;

pub use apply::{ApplyOptions, ApplyStats, apply, apply_tar};
pub use decompress::{Compression, decompress, sniff};
pub use diff::{DiffOptions, diff_upper};
pub use merge::merge;
pub use owner::{OwnerMode, OwnerTable};
pub use pack::{PackOptions, Packed, pack};
pub use read::{Limits, index_tar, read_some, read_tar};
pub use tree_index::{FsView, LayerIndex};
pub use trees::diff_trees;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// One path of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path, relative to the root, without a leading or trailing slash; empty for the root.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: EntryKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Time of modification, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What is at a path.
#[derive(Clone, Debug)]
pub enum EntryKind {
    /// A directory.
    Dir,
    /// A regular file.
    File {
        /// Where its bytes are.
        content: Content,
        /// How many there are.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its text, as it is.
        target: Vec<u8>,
    },
    /// One more name of a file.
    Hardlink {
        /// The other name, relative to the root.
        target: Vec<u8>,
    },
    /// A character device.
    CharDev {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDev {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// The path of the layers below is gone.
    Whiteout,
    /// What the layers below have in this directory is gone; the directory itself stays.
    Opaque,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file of their own; a symbolic link at the end is not followed.
    Path(PathBuf),
    /// In a part of a file.
    Slice {
        /// The file.
        file: Arc<File>,
        /// Where they begin in it.
        offset: u64,
    },
}

impl Content {
    /// Reads all `size` bytes into memory.
    ///
    /// # Errors
    /// When the file cannot be read or is shorter.
    pub fn read(&self, size: u64) -> std::io::Result<Vec<u8>> {
        match self {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Path(path) => std::fs::read(path),
            Content::Slice { file, offset } => {
                let mut out = vec![0; usize::try_from(size).map_err(std::io::Error::other)?];
                std::os::unix::fs::FileExt::read_exact_at(&**file, &mut out, *offset)?;
                Ok(out)
            }
        }
    }
}

impl Entry {
    /// Makes an entry of root with mode 0644 (0755 for a directory), time 0 and no attributes.
    pub fn new(path: impl Into<Vec<u8>>, kind: EntryKind) -> Self {
        let mode = match kind {
            EntryKind::Dir => 0o755,
            EntryKind::Symlink { .. } => 0o777,
            EntryKind::Whiteout | EntryKind::Opaque => 0,
            _ => 0o644,
        };
        Entry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: BTreeMap::new() }
    }

    /// Makes a regular file of bytes in memory.
    pub fn file(path: impl Into<Vec<u8>>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Entry::new(path, EntryKind::File { content: Content::Bytes(bytes), size })
    }

    /// Sets the permission bits.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the owner.
    #[must_use]
    pub fn with_owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// Sets the time of modification.
    #[must_use]
    pub fn with_mtime(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        self
    }

    /// Tells whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, EntryKind::Dir)
    }

    /// Tells whether this takes something of the layers below away, and is nothing itself.
    pub fn is_marker(&self) -> bool {
        matches!(self.kind, EntryKind::Whiteout | EntryKind::Opaque)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
