//! `image files`: what programs in an image see, without unpacking it.

use mabuild_lang::platform::Platform;
use mabuild_oci::layer::FsView;
use mabuild_oci::layer::tree_index::{IndexEntry, NodeKind};
use mabuild_oci::{Descriptor, Digest, Error};

use super::reader::{Member, ReadRequest, Reader, unread};
use crate::ops::{Env, ErrorKind, OpError};
use crate::store::StoreError;

/// One path of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// The path from the root on, `/etc/passwd`; bytes that are no text are replaced.
    pub path: String,
    /// What it is: `dir`, `file`, `symlink`, `char`, `block` or `fifo`.
    pub kind: &'static str,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Bytes of a regular file.
    pub size: u64,
    /// Where a symbolic link leads.
    pub target: Option<String>,
    /// The layer that it comes from, counted from the bottom, beginning with 0.
    pub layer: usize,
}

/// The files of an image for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The name it was found by.
    pub name: String,
    /// The platform.
    pub platform: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Digests of the layers, bottom first.
    pub layers: Vec<String>,
    /// The files, parents first, names sorted.
    pub rows: Vec<FileRow>,
}

/// Lists the files of an image at `below` and under it. Without a platform it is that of this
/// machine, or the only one there is.
pub fn files(
    env: &Env,
    request: &ReadRequest,
    reference: &str,
    platform: Option<&Platform>,
    below: &str,
) -> Result<Files, OpError> {
    let reader = Reader::open(env, request)?;
    let found = reader.find(reference)?;
    let image = reader.own(&found, platform)?;
    let view = view(&reader, &image)?;
    let below = below.trim_matches('/');
    if view.lookup(below.as_bytes()).is_none() {
        let message = format!("`{}` has no /{below} on {}", found.name, image.shown());
        return Err(OpError::new(ErrorKind::User, "mabuild::engine::path", message));
    }
    let listed = view.below(below.as_bytes()).filter(|entry| !entry.path.is_empty());
    let rows = listed.map(|entry| {
        let layer = view.origin(&entry.path).map_or(0, |origin| origin.layer);
        row(entry, layer)
    });
    Ok(Files {
        name: found.name,
        platform: image.shown(),
        digest: image.descriptor.digest.to_string(),
        layers: image.manifest.layers.iter().map(|layer| layer.digest.to_string()).collect(),
        rows: rows.collect(),
    })
}

/// All layers of an image as one file system. Only layers are brought whose content is not known.
pub(super) fn view(reader: &Reader, image: &Member) -> Result<FsView, OpError> {
    let layers = layers(image)?;
    let unread_layers =
        layers.iter().filter(|(id, _)| reader.store.index(&id.to_string()).is_none());
    let missing: Vec<Descriptor> = unread_layers.map(|(_, layer)| layer.clone()).collect();
    reader.tracking.bring_blobs(&missing).map_err(unread)?;
    let mut view = FsView::new(Vec::new());
    for (diff_id, layer) in &layers {
        let index = reader.store.layer_index(diff_id, &layer.digest);
        view.push(index.map_err(|e| {
            let kind = match &e {
                // It is not what its image says, whoever made that.
                StoreError::Layout(Error::DigestMismatch { .. }) => ErrorKind::Upstream,
                _ => ErrorKind::Environment,
            };
            let message = format!("the layer {} cannot be read: {e}", layer.digest);
            OpError::new(kind, "mabuild::engine::image", message)
        })?);
    }
    Ok(view)
}

/// The layers of an image with their diff ids, bottom first.
fn layers(image: &Member) -> Result<Vec<(Digest, Descriptor)>, OpError> {
    let layers = image.layers();
    match layers.len() == image.manifest.layers.len() {
        true => Ok(layers),
        false => {
            let digest = image.descriptor.digest;
            let message = format!("the config of {digest} has another number of layers than it");
            Err(OpError::new(ErrorKind::Environment, "mabuild::engine::image", message))
        }
    }
}

/// A path of a list for people.
pub(super) fn row(entry: &IndexEntry, layer: usize) -> FileRow {
    let target = (entry.kind == NodeKind::Symlink).then(|| text(&entry.target));
    FileRow {
        path: format!("/{}", text(&entry.path)),
        kind: kind(entry.kind),
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size: entry.size,
        target,
        layer,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Dir => "dir",
        NodeKind::File => "file",
        NodeKind::Symlink => "symlink",
        NodeKind::CharDev => "char",
        NodeKind::BlockDev => "block",
        NodeKind::Fifo => "fifo",
        NodeKind::Whiteout | NodeKind::Opaque => "marker",
    }
}
