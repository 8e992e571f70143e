//! Artifacts that machines share in a registry: a manifest of a kind of our own under a tag, with
//! what belongs to it beside it.

use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Manifest, media_type};
use mabuild_registry::{Reference, Resolved};

use super::registry::client;
use super::{Shared, wrong};
use crate::facts::FactError;

/// Looks an artifact up, with one request, whatever was asked before; none where there is no such
/// tag, or where it means something of another kind.
pub(super) async fn look(
    shared: &Arc<Shared>,
    reference: &Reference,
    kind: &str,
) -> Result<Option<Manifest>, FactError> {
    let found = client(shared)?.look(reference).await?;
    Ok(found.and_then(|found| read(&found, kind)))
}

fn read(found: &Resolved, kind: &str) -> Option<Manifest> {
    let Document::Manifest(manifest) = &found.document else { return None };
    (manifest.artifact_type.as_deref() == Some(kind)).then(|| manifest.clone())
}

/// Reads the one small document of an artifact. The error is that of one that is too large, or
/// that is not alone.
pub(super) async fn document(
    shared: &Arc<Shared>,
    reference: &Reference,
    artifact: &Manifest,
    largest: u64,
) -> Result<Vec<u8>, FactError> {
    let [layer] = artifact.layers.as_slice() else {
        return Err(wrong(format!("{reference} has not one document")));
    };
    if layer.size > largest {
        let size = layer.size;
        return Err(wrong(format!("{reference} is too large: {size} of at most {largest} bytes")));
    }
    let layout = shared.store.layout();
    client(shared)?.pull_blob(reference, layer, layout).await?;
    layout.read(&layer.digest).map_err(|e| wrong(e.to_string()))
}

/// Writes an artifact under a tag, with layers that the store has, or with none; gives its digest.
pub(super) async fn put(
    shared: &Arc<Shared>,
    reference: &Reference,
    kind: &str,
    layers: Vec<Descriptor>,
    annotations: impl IntoIterator<Item = (String, String)>,
) -> Result<Digest, FactError> {
    let unwritten = |e: mabuild_oci::Error| wrong(e.to_string());
    let layout = shared.store.layout();
    let empty = layout.write_blob(media_type::EMPTY, b"{}").map_err(unwritten)?;
    let layers = match layers.is_empty() {
        true => vec![empty.clone()],
        false => layers,
    };
    let mut manifest = Manifest::new(empty, layers);
    manifest.artifact_type = Some(kind.to_owned());
    manifest.annotations.extend(annotations);
    let bytes = manifest.to_bytes().map_err(unwritten)?;
    let descriptor = layout.write_blob(media_type::MANIFEST, &bytes).map_err(unwritten)?;
    let client = client(shared)?;
    client.push(layout, &descriptor, reference, &[]).await?;
    Ok(client.put(reference, media_type::MANIFEST, &bytes).await?)
}
