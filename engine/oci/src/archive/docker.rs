//! The archive that `docker load` reads.
//!
//! Format: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
//! Layers stand in it uncompressed, because not every version of the engine takes zstd.

use super::Name;
use super::tar::write_plain;
use crate::digest::HashingReader;
use crate::layer::{Content, Entry, EntryKind, decompress};
use crate::{Digest, Error, ImageConfig, Layout, Platform, Result, media_type};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// Writes one platform of an image for `docker load`; diff ids are checked on the way.
pub fn export_docker(
    from: &Layout,
    digest: &Digest,
    platform: Option<&Platform>,
    names: &[Name],
    out: &mut dyn Write,
) -> Result<()> {
    let (found, manifest) = from.manifest_for(digest, platform)?;
    let config_bytes = from.read(&manifest.config.digest)?;
    let config = ImageConfig::from_bytes(&config_bytes)?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        let reason = "its configuration has another number of layers than its manifest";
        return Err(Error::document(found.to_string(), reason));
    }
    let config_name = format!("{}.json", manifest.config.digest.hex());
    let layer_name = |diff_id: &Digest| format!("{}.tar", diff_id.hex());
    let layers: Vec<String> = diff_ids.iter().map(layer_name).collect();
    let names: BTreeSet<&str> = names.iter().map(Name::familiar).collect();
    let list = json!([{ "Config": config_name, "RepoTags": names, "Layers": layers }]);
    let mut entries = vec![
        Entry::file("manifest.json", list.to_string()),
        Entry::file(config_name, config_bytes),
    ];
    let mut written = BTreeSet::new();
    for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
        if written.insert(diff_id) {
            if !media_type::is_layer(&layer.media_type) {
                let reason = format!("{:?} is no layer", layer.media_type);
                return Err(Error::document(layer.digest.to_string(), reason));
            }
            let (file, size) = plain(from, &layer.digest, diff_id)?;
            let content = Content::Slice { file: Arc::new(file), offset: 0 };
            entries.push(Entry::new(layer_name(diff_id), EntryKind::File { content, size }));
        }
    }
    write_plain(entries, out)
}

/// Decompresses a layer beside the blobs, because its size stands before it in the archive.
fn plain(from: &Layout, digest: &Digest, diff_id: &Digest) -> Result<(File, u64)> {
    let (blob, _) = from.open_blob(digest)?;
    let mut reader = HashingReader::with(decompress(blob)?, diff_id.hasher());
    let mut temp = from.temp_file()?.into_file();
    io::copy(&mut reader, &mut temp)
        .map_err(|e| Error::io("decompress", from.path_of(digest), e))?;
    let (actual, size) = reader.finish();
    diff_id.expect(format!("layer {digest}, uncompressed,"), actual)?;
    Ok((temp, size))
}
