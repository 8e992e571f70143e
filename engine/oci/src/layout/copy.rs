//! Copying an image, with everything it refers to, from layout to layout.

use super::{Layout, MAX_NESTING};
use crate::image::Document;
use crate::{Descriptor, Digest, Error, Result, media_type};
use std::io;

/// Copies a manifest or index and all it refers to; blobs that are there already are not read.
///
/// Every blob is checked on the way. The document itself comes last, so that whatever finds it
/// finds the whole image. Layers that must not be distributed may be missing.
pub fn copy_image(from: &Layout, to: &Layout, digest: &Digest) -> Result<Descriptor> {
    copy_document(from, to, digest, 0)
}

fn copy_document(from: &Layout, to: &Layout, digest: &Digest, depth: usize) -> Result<Descriptor> {
    if depth > MAX_NESTING {
        return Err(Error::document(digest.to_string(), "indexes are nested too deep"));
    }
    let document = from.document(digest)?;
    for child in document.references() {
        let listed = matches!(document, Document::Index(_));
        let nested =
            media_type::is_index(&child.media_type) || media_type::is_manifest(&child.media_type);
        if listed && nested {
            copy_document(from, to, &child.digest, depth + 1)?;
        } else if from.has(&child.digest) || !media_type::is_foreign_layer(&child.media_type) {
            copy_blob(from, to, &child.digest)?;
        }
    }
    let size = copy_blob(from, to, digest)?;
    let kind = match &document {
        Document::Manifest(manifest) => manifest.media_type(),
        Document::Index(index) => index.media_type(),
    };
    Ok(Descriptor::new(kind, *digest, size))
}

fn copy_blob(from: &Layout, to: &Layout, digest: &Digest) -> Result<u64> {
    let (mut file, size) = from.open_blob(digest)?;
    if to.open_blob(digest).is_ok_and(|(_, there)| there == size) {
        return Ok(size);
    }
    let mut writer = to.blob_writer_for(digest)?;
    io::copy(&mut file, &mut writer)
        .map_err(|e| Error::io("copy blob", from.path_of(digest), e))?;
    Ok(writer.commit(Some(*digest))?.1)
}
