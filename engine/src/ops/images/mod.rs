//! Looking into images of the store and of registries: a verb a file, and what they share.

mod diff;
mod files;
mod inspect;
mod published;
pub(super) mod reader;
mod tree;

use std::path::Path;

use mabuild_oci::{Descriptor, Digest, ImageConfig, Index, Layout, Manifest};

use super::{ErrorKind, OpError};
use crate::store::Store;
pub use diff::{
    ConfigChange, DiffRequest, Difference, FileChange, PlatformDiff, Side, Weight, diff,
};
pub use files::{FileRow, Files, files};
pub use inspect::{Inspection, inspect};
pub use published::{PublishedRow, Standing, published};
pub use reader::ReadRequest;
pub(super) use reader::Reader;
pub use tree::{Blob, Branch, Referrer, Tree, TreeLayer, tree};

/// One tag of the store.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// Name of the node.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Digest of the index.
    pub digest: String,
    /// Platforms in the index.
    pub platforms: Vec<String>,
    /// Bytes of all blobs, each once, as far as they are known here.
    pub size: u64,
    /// Newest `created` of the platforms.
    pub created: Option<String>,
}

pub(super) fn unreadable(e: impl std::fmt::Display) -> OpError {
    OpError::store(e)
}

fn read_manifest(
    layout: &Layout,
    descriptor: &Descriptor,
) -> Result<(Manifest, ImageConfig), OpError> {
    let manifest = layout.read(&descriptor.digest).map_err(unreadable)?;
    let manifest = Manifest::from_bytes(&manifest).map_err(unreadable)?;
    let config = layout.read(&manifest.config.digest).map_err(unreadable)?;
    Ok((manifest, ImageConfig::from_bytes(&config).map_err(unreadable)?))
}

pub(super) fn read_index(layout: &Layout, digest: &Digest) -> Result<Index, OpError> {
    Index::from_bytes(&layout.read(digest).map_err(unreadable)?).map_err(unreadable)
}

/// Digest and size of a manifest and all that it names.
fn blobs_of<'a>(
    member: &'a Descriptor,
    manifest: &'a Manifest,
) -> impl Iterator<Item = (Digest, u64)> + 'a {
    let blobs = [member, &manifest.config].into_iter().chain(&manifest.layers);
    blobs.map(|blob| (blob.digest, blob.size))
}

/// Bytes of all blobs of an index, each once.
pub(super) fn size(layout: &Layout, digest: &Digest) -> Result<u64, OpError> {
    let mut blobs = std::collections::BTreeMap::new();
    for member in &read_index(layout, digest)?.manifests {
        let manifest = layout.read(&member.digest).map_err(unreadable)?;
        let manifest = Manifest::from_bytes(&manifest).map_err(unreadable)?;
        blobs.extend(blobs_of(member, &manifest));
    }
    Ok(blobs.values().sum())
}

/// All tags of the store, sorted by name and tag.
pub fn list(store: &Path) -> Result<Vec<ImageRow>, OpError> {
    let store = Store::open(store).map_err(OpError::store)?;
    let layout = store.layout();
    let mut rows = Vec::new();
    for (full, descriptor) in layout.refs().map_err(unreadable)? {
        let (name, tag) = full.rsplit_once(':').unwrap_or((&full, "latest"));
        let index = read_index(layout, &descriptor.digest)?;
        let mut blobs = std::collections::BTreeMap::new();
        let mut created: Option<String> = None;
        let mut platforms = Vec::new();
        for member in &index.manifests {
            platforms.extend(member.platform().map(|p| p.to_string()));
            // What a registry keeps is brought only when it is read.
            blobs.insert(member.digest, member.size);
            if !layout.has(&member.digest) {
                continue;
            }
            let (manifest, config) = read_manifest(layout, member)?;
            blobs.extend(blobs_of(member, &manifest));
            created = created.max(config.created);
        }
        rows.push(ImageRow {
            name: name.to_owned(),
            tag: tag.to_owned(),
            digest: descriptor.digest.to_string(),
            platforms,
            size: blobs.values().sum(),
            created,
        });
    }
    rows.sort_by(|a, b| (&a.name, &a.tag).cmp(&(&b.name, &b.tag)));
    Ok(rows)
}

/// Finds `NAME[:TAG]` or a digest; gives the name it is known by.
pub(super) fn find(layout: &Layout, reference: &str) -> Result<(String, Descriptor), OpError> {
    let refs = layout.refs().map_err(unreadable)?;
    // A port stands before a `/`, a tag behind it.
    let wanted = match reference.rsplit('/').next().unwrap_or(reference).contains(':') {
        true => reference.to_owned(),
        false => format!("{reference}:latest"),
    };
    let prefix = format!("{reference}:");
    let found = refs
        .iter()
        .find(|(name, d)| *name == wanted || d.digest.to_string() == reference)
        // A node without the tag `latest` is still known by its name when its tags agree.
        .or_else(|| {
            let mut tagged = refs.iter().filter(|(name, _)| name.starts_with(&prefix));
            let first = tagged.next()?;
            tagged.all(|(_, d)| d.digest == first.1.digest).then_some(first)
        });
    found.cloned().ok_or_else(|| {
        let names = refs.iter().map(|(name, _)| name.as_str());
        let near = mabuild_lang::suggest::did_you_mean(&wanted, names);
        let error = OpError::new(
            ErrorKind::User,
            "mabuild::engine::image",
            format!("the store has no image `{reference}`"),
        );
        match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(
                "`mabuild image ls` shows what is there; the name of an image of a registry begins \
                 with its host: `ghcr.io/…`, `docker.io/library/…`",
            ),
        }
    })
}
