//! Checking a layout as a distrustful reader would: every digest and size is derived again.

use crate::digest::HashingReader;
use crate::image::Document;
use crate::layer::{Compression, decompress, sniff};
use crate::layout::MAX_NESTING;
use crate::{
    Descriptor, Digest, ImageConfig, Index, Layout, Manifest, Platform, Result, media_type,
};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

/// One thing that is wrong with a layout.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it is wrong with: a digest, or the path of a file of the layout.
    pub subject: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// Checks what `root` leads to, or with none everything `index.json` leads to.
///
/// Checked are digests and sizes of all blobs, that documents are what their media types say,
/// that each configuration has as many layers, and as many history entries with a layer, as its
/// manifest, and that an index gives each image the platform of its configuration. `deep` also
/// decompresses every layer and compares its diff id. Blobs are streamed. Problems come sorted.
pub fn validate(layout: &Layout, root: Option<&Digest>, deep: bool) -> Vec<Problem> {
    let mut check = Check { layout, deep, blobs: BTreeMap::new(), problems: Vec::new() };
    match (root, layout.index()) {
        (Some(digest), _) => check.root(digest),
        (None, Ok(index)) => {
            check.order(&index);
            index.manifests.iter().for_each(|d| check.document(d, 0));
        }
        (None, Err(e)) => check.add("index.json", e.to_string()),
    }
    check.problems.sort();
    check.problems.dedup();
    check.problems
}

struct Check<'a> {
    layout: &'a Layout,
    deep: bool,
    /// Blobs that were read, with their size and, when it was derived, the digest uncompressed.
    blobs: BTreeMap<Digest, Option<Blob>>,
    problems: Vec<Problem>,
}

#[derive(Clone, Copy)]
struct Blob {
    size: u64,
    compression: Compression,
    diff_id: Option<Digest>,
}

impl Check<'_> {
    fn add(&mut self, subject: impl ToString, message: impl Into<String>) {
        self.problems.push(Problem { subject: subject.to_string(), message: message.into() });
    }

    fn order(&mut self, index: &Index) {
        let names: Vec<_> = index.manifests.iter().map(Descriptor::ref_name).collect();
        if names.windows(2).any(|w| w[0].is_some() && w[0] == w[1]) {
            self.add("index.json", "a name is given twice");
        }
        if !names.is_sorted() {
            self.add("index.json", "its entries are not sorted by name");
        }
    }

    fn root(&mut self, digest: &Digest) {
        let size = match self.layout.open_blob(digest) {
            Ok((_, size)) => size,
            Err(e) => return self.add(digest, e.to_string()),
        };
        let kind = match self.layout.document(digest) {
            Ok(Document::Manifest(m)) => m.media_type().to_owned(),
            Ok(Document::Index(i)) => i.media_type().to_owned(),
            Err(e) => return self.add(digest, e.to_string()),
        };
        self.document(&Descriptor::new(kind, *digest, size), 0);
    }

    fn document(&mut self, descriptor: &Descriptor, depth: usize) {
        let subject = descriptor.digest;
        if depth > MAX_NESTING {
            return self.add(subject, "indexes are nested too deep");
        }
        if self.blob(descriptor, false).is_none() {
            return;
        }
        match self.layout.document(&subject) {
            Err(e) => self.add(subject, e.to_string()),
            Ok(Document::Index(index)) => {
                if !media_type::is_index(&descriptor.media_type) {
                    self.add(subject, format!("an index is listed as {:?}", descriptor.media_type));
                }
                self.index(&subject, &index, depth);
            }
            Ok(Document::Manifest(manifest)) => {
                if !media_type::is_manifest(&descriptor.media_type) {
                    self.add(
                        subject,
                        format!("a manifest is listed as {:?}", descriptor.media_type),
                    );
                } else if manifest.media_type() != descriptor.media_type
                    && manifest.media_type.is_some()
                {
                    self.add(subject, "its descriptor has another media type than it has itself");
                }
                self.manifest(&subject, &manifest, descriptor.platform());
            }
        }
    }

    fn index(&mut self, subject: &Digest, index: &Index, depth: usize) {
        let mut platforms: Vec<Platform> = index
            .manifests
            .iter()
            .filter_map(Descriptor::platform)
            .filter(|p| p.os != "unknown")
            .collect();
        let count = platforms.len();
        platforms.sort();
        platforms.dedup();
        // Windows images of several versions share a platform of three words.
        if platforms.len() != count && !platforms.iter().any(|p| p.os == "windows") {
            self.add(subject, "a platform is listed twice");
        }
        for entry in &index.manifests {
            self.document(entry, depth + 1);
        }
    }

    fn manifest(&mut self, subject: &Digest, manifest: &Manifest, listed: Option<Platform>) {
        let is_image = media_type::is_config(&manifest.config.media_type);
        let config_read = self.blob(&manifest.config, false).is_some();
        let mut diff_ids = Vec::new();
        for layer in &manifest.layers {
            let foreign = media_type::is_foreign_layer(&layer.media_type);
            if foreign && !self.layout.has(&layer.digest) {
                diff_ids.push(None);
                continue;
            }
            let is_layer = media_type::is_layer(&layer.media_type);
            if is_image && !is_layer {
                self.add(layer.digest, format!("{:?} is no layer", layer.media_type));
            }
            let blob = self.blob(layer, self.deep && is_layer);
            if let Some(blob) = blob.filter(|_| is_layer) {
                self.compression(layer, blob);
            }
            diff_ids.push(blob.and_then(|b| b.diff_id));
        }
        if !is_image || !config_read {
            return;
        }
        match self.layout.read(&manifest.config.digest).and_then(|b| ImageConfig::from_bytes(&b)) {
            Ok(config) => self.config(subject, &config, &diff_ids, listed),
            Err(e) => self.add(manifest.config.digest, e.to_string()),
        }
    }

    fn compression(&mut self, layer: &Descriptor, blob: Blob) {
        let named = match layer.media_type.as_str() {
            media_type::DOCKER_LAYER_GZIP | media_type::DOCKER_LAYER_FOREIGN => Compression::Gzip,
            other if other.ends_with("+gzip") => Compression::Gzip,
            other if other.ends_with("+zstd") => Compression::Zstd,
            _ => Compression::None,
        };
        if named != blob.compression {
            let message = format!(
                "it is named {:?}, but its bytes are {:?}",
                layer.media_type, blob.compression
            );
            self.add(layer.digest, message);
        }
    }

    fn config(
        &mut self,
        subject: &Digest,
        config: &ImageConfig,
        diff_ids: &[Option<Digest>],
        listed: Option<Platform>,
    ) {
        let own = &config.rootfs.diff_ids;
        if own.len() != diff_ids.len() {
            let message = format!(
                "it has {} layers, its configuration {} diff ids",
                diff_ids.len(),
                own.len()
            );
            self.add(subject, message);
        }
        for (i, (own, derived)) in own.iter().zip(diff_ids).enumerate() {
            if let Some(derived) = derived.filter(|d| d != own) {
                self.add(
                    subject,
                    format!("layer {i} has diff id {derived}, its configuration says {own}"),
                );
            }
        }
        let with_layer = config.history.iter().filter(|h| !h.empty_layer).count();
        if !config.history.is_empty() && with_layer != own.len() {
            let message = format!(
                "its history has {with_layer} entries with a layer for {} layers",
                own.len()
            );
            self.add(subject, message);
        }
        if config.os.is_empty() || config.architecture.is_empty() {
            self.add(subject, "its configuration has no platform");
        }
        if let Some(listed) = listed.filter(|p| *p != config.platform()) {
            let message =
                format!("it is listed for {listed}, its configuration says {}", config.platform());
            self.add(subject, message);
        }
    }

    /// Reads a blob once and compares it with its descriptor; `None` when it cannot be used.
    fn blob(&mut self, descriptor: &Descriptor, diff_id: bool) -> Option<Blob> {
        let digest = descriptor.digest;
        let known = self.blobs.get(&digest).copied();
        let blob = match known {
            Some(Some(blob)) if !diff_id || blob.diff_id.is_some() => Some(blob),
            Some(None) => None,
            _ => {
                let blob = self.derive(&digest, diff_id);
                let blob = blob.map_err(|message| self.add(digest, message)).ok();
                self.blobs.insert(digest, blob);
                blob
            }
        }?;
        if blob.size != descriptor.size {
            let message =
                format!("it has {} bytes, its descriptor says {}", blob.size, descriptor.size);
            self.add(digest, message);
        }
        Some(blob)
    }

    fn derive(&self, digest: &Digest, diff_id: bool) -> Result<Blob, String> {
        let text = |e: crate::Error| e.to_string();
        let io_text = |e: io::Error| format!("it cannot be read: {e}");
        let (file, size) = self.layout.open_blob(digest).map_err(text)?;
        let mut start = Vec::new();
        let mut reader = HashingReader::with(file, digest.hasher());
        (&mut reader).take(4).read_to_end(&mut start).map_err(io_text)?;
        let compression = sniff(&start);
        io::copy(&mut reader, &mut io::sink()).map_err(io_text)?;
        let (actual, _) = reader.finish();
        if actual != *digest {
            return Err(format!("its bytes have digest {actual}"));
        }
        let mut blob = Blob { size, compression, diff_id: None };
        if diff_id {
            let (file, _) = self.layout.open_blob(digest).map_err(text)?;
            let mut plain = HashingReader::new(decompress(file).map_err(text)?);
            io::copy(&mut plain, &mut io::sink())
                .map_err(|e| format!("it cannot be decompressed: {e}"))?;
            blob.diff_id = Some(plain.finish().0);
        }
        Ok(blob)
    }
}

#[cfg(test)]
mod tests;
