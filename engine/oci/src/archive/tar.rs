//! An image layout as one tar archive.

use super::Name;
use crate::image::Document;
use crate::layer::{Compression, Content, Entry, EntryKind, PackOptions, pack};
use crate::layout::{MARKER, MAX_NESTING};
use crate::{Descriptor, Digest, Error, Index, Layout, Result, media_type};
use std::collections::BTreeSet;
use std::io::Write;

/// Writes an image layout with one image as an uncompressed tar archive.
///
/// Blobs are taken as they are; a blob that is missing is an error, except a layer that must not
/// be distributed.
pub fn export_oci(
    from: &Layout,
    digest: &Digest,
    names: &[Name],
    out: &mut dyn Write,
) -> Result<()> {
    let mut blobs = BTreeSet::new();
    let image = collect(from, digest, 0, &mut blobs)?;
    let mut manifests: Vec<Descriptor> = names
        .iter()
        .map(|name| {
            let mut named = image.clone();
            name.put(&mut named);
            named
        })
        .collect();
    if manifests.is_empty() {
        manifests.push(image);
    }
    manifests.sort_by(|a, b| a.annotations.cmp(&b.annotations));
    let mut entries = vec![
        Entry::file("oci-layout", MARKER),
        Entry::file("index.json", Index::new(manifests).to_bytes()?),
        Entry::new("blobs", EntryKind::Dir),
    ];
    let algorithms: BTreeSet<_> = blobs.iter().map(Digest::algorithm).collect();
    entries.extend(algorithms.iter().map(|a| Entry::new(format!("blobs/{a}"), EntryKind::Dir)));
    for blob in blobs {
        let (_, size) = from.open_blob(&blob)?;
        let content = Content::Path(from.path_of(&blob));
        let path = format!("blobs/{}/{}", blob.algorithm(), blob.hex());
        entries.push(Entry::new(path, EntryKind::File { content, size }));
    }
    write_plain(entries, out)
}

/// Writes entries as an uncompressed archive with all times zero.
pub(super) fn write_plain(entries: Vec<Entry>, out: &mut dyn Write) -> Result<()> {
    let options = PackOptions { compression: Compression::None, clamp_mtime: 0, threads: 1 };
    pack(entries, &options, out).map(drop)
}

/// Collects the digests of a document and of all it refers to.
fn collect(
    from: &Layout,
    digest: &Digest,
    depth: usize,
    blobs: &mut BTreeSet<Digest>,
) -> Result<Descriptor> {
    if depth > MAX_NESTING {
        return Err(Error::document(digest.to_string(), "indexes are nested too deep"));
    }
    let document = from.document(digest)?;
    let (_, size) = from.open_blob(digest)?;
    blobs.insert(*digest);
    for child in document.references() {
        let nested =
            media_type::is_index(&child.media_type) || media_type::is_manifest(&child.media_type);
        if matches!(document, Document::Index(_)) && nested {
            collect(from, &child.digest, depth + 1, blobs)?;
        } else if from.has(&child.digest) || !media_type::is_foreign_layer(&child.media_type) {
            blobs.insert(child.digest);
        }
    }
    let kind = match &document {
        Document::Manifest(manifest) => manifest.media_type(),
        Document::Index(index) => index.media_type(),
    };
    Ok(Descriptor::new(kind, *digest, size))
}
