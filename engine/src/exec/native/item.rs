//! What a layer is made of, before it is made: entries, the digests of their contents, and where
//! these are. A layer whose key is known is never made of them, and their contents are not read.

use std::path::Path;
use std::sync::Arc;

use mabuild_oci::layer::tree_index::{ContentDigest, IndexEntry, NodeKind};
use mabuild_oci::layer::{Content, Entry, EntryKind};

use super::layers::Layer;
use crate::key::{Key, Value, hash_fields};

/// An entry with the identity of its content, for the key of the layer.
pub(super) struct Item {
    pub entry: Entry,
    /// Digest of the content of a file; zeros for what has none.
    pub id: ContentDigest,
    /// Where the content is, when it is not in the entry yet.
    pub held: Option<Held>,
}

/// A content that is read only when a layer is really made of it.
#[derive(Clone)]
pub(super) struct Held {
    pub place: Place,
    /// The path that the content is under there.
    pub path: Vec<u8>,
    /// How many entries of that path stand before it; none where the last one counts.
    pub nth: Option<usize>,
}

/// What contents are held in.
#[derive(Clone)]
pub(super) enum Place {
    /// A layer of an image.
    Layer(Arc<Layer>),
    /// An archive.
    Archive(Arc<Path>),
}

impl Item {
    pub fn plain(entry: Entry) -> Self {
        let id = match &entry.kind {
            EntryKind::File { content: Content::Bytes(bytes), .. } => {
                *blake3::hash(bytes).as_bytes()
            }
            _ => [0; 32],
        };
        Self { entry, id, held: None }
    }
}

/// The one extended attribute that is copied. BuildKit writes no other into layers.
const CAPABILITIES: &[u8] = b"security.capability";

/// An entry of an index as it stands in a layer; a file is empty until its content is read.
pub(super) fn entry_of(known: &IndexEntry) -> Entry {
    let kind = match known.kind {
        NodeKind::Dir => EntryKind::Dir,
        NodeKind::File => EntryKind::File { content: Content::Bytes(vec![]), size: known.size },
        NodeKind::Symlink => EntryKind::Symlink { target: known.target.clone() },
        NodeKind::CharDev => EntryKind::CharDev { major: known.device.0, minor: known.device.1 },
        NodeKind::BlockDev => EntryKind::BlockDev { major: known.device.0, minor: known.device.1 },
        NodeKind::Fifo => EntryKind::Fifo,
        NodeKind::Whiteout => EntryKind::Whiteout,
        NodeKind::Opaque => EntryKind::Opaque,
    };
    let IndexEntry { path, mode, uid, gid, mtime, xattrs, .. } = known;
    let entry = Entry::new(path.clone(), kind).with_mode(*mode).with_owner(*uid, *gid);
    let xattrs = xattrs.iter().filter(|(name, _)| *name == CAPABILITIES);
    let xattrs = xattrs.map(|(name, value)| (name.clone(), value.clone())).collect();
    Entry { xattrs, ..entry.with_mtime(*mtime) }
}

/// The key of a layer made of entries: everything that its bytes are made of.
pub(super) fn layer_key(items: &[Item], clamp_mtime: i64) -> Key {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for Item { entry, id, held: _ } in items {
        let Entry { path, kind, mode, uid, gid, mtime, xattrs } = entry;
        bytes(path);
        for number in [u64::from(*mode), *uid, *gid, *mtime as u64, xattrs.len() as u64] {
            bytes(&number.to_le_bytes());
        }
        let (tag, link): (u8, &[u8]) = match kind {
            EntryKind::Dir => (0, b""),
            EntryKind::File { .. } => (1, b""),
            EntryKind::Symlink { target } => (2, target),
            EntryKind::Hardlink { target } => (3, target),
            EntryKind::CharDev { .. } => (4, b""),
            EntryKind::BlockDev { .. } => (5, b""),
            EntryKind::Fifo => (6, b""),
            EntryKind::Whiteout => (7, b""),
            EntryKind::Opaque => (8, b""),
        };
        bytes(&[tag]);
        bytes(link);
        if let EntryKind::CharDev { major, minor } | EntryKind::BlockDev { major, minor } = kind {
            bytes(&major.to_le_bytes());
            bytes(&minor.to_le_bytes());
        }
        bytes(id);
        for (name, value) in xattrs {
            bytes(name);
            bytes(value);
        }
    }
    let list = *hasher.finalize().as_bytes();
    hash_fields(
        "layer",
        &[("entries", Value::Digest(&list)), ("clamp", Value::Number(clamp_mtime))],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_layer_moves_with_its_bytes_alone() {
        let item =
            |content: &str, mtime| vec![Item::plain(Entry::file("a", content).with_mtime(mtime))];
        assert_eq!(layer_key(&item("x", 1), 9), layer_key(&item("x", 1), 9));
        assert_ne!(layer_key(&item("x", 1), 9), layer_key(&item("y", 1), 9));
        assert_ne!(layer_key(&item("x", 1), 9), layer_key(&item("x", 2), 9));
        assert_ne!(layer_key(&item("x", 1), 9), layer_key(&item("x", 1), 8));
    }

    #[test]
    fn what_is_read_later_has_the_same_key() {
        let digest = *blake3::hash(b"x").as_bytes();
        let known = IndexEntry {
            digest: Some(digest),
            ..mabuild_oci::layer::LayerIndex::from_entries(&[Entry::file("a", "x")]).entries[0]
                .clone()
        };
        let later = Item { entry: entry_of(&known), id: digest, held: None };
        assert_eq!(layer_key(&[later], 9), layer_key(&[Item::plain(Entry::file("a", "x"))], 9));
    }
}
