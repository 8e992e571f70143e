//! Archives back into layouts: image layouts in one tar, and what `docker save` writes.
//!
//! An archive may come from a stranger: whatever is taken out of it is checked against its digest.

use super::CONTAINERD_NAME;
use crate::digest::HashingReader;
use crate::image::Document;
use crate::layer::{
    Compression, Content, Entry, EntryKind, Limits, decompress, path, read_tar, sniff,
};
use crate::layout::{MAX_DOCUMENT, MAX_NESTING};
use crate::{Descriptor, Digest, Error, ImageConfig, Index, Layout, Manifest, Result, media_type};
use flate2::GzBuilder;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Links of an archive that are followed for one file.
const LINKS: usize = 8;
/// Layers of an image at most.
const LAYERS: usize = 1024;

/// An image of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The names that the archive gives it.
    pub names: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// An entry of `index.json`.
    Oci(Box<Descriptor>),
    /// An entry of `manifest.json`: the paths of its config and of its layers.
    Docker { config: String, layers: Vec<String> },
}

/// The content of an archive on disk, and which images are in it.
pub struct Opened {
    files: HashMap<Vec<u8>, Stored>,
    /// The images.
    pub images: Vec<Listed>,
}

enum Stored {
    File { content: Content, size: u64 },
    Link(Vec<u8>),
}

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Opened {
    /// Reads an image layout in a tar, compressed or not; `spool` takes its contents.
    pub fn oci(archive: impl Read + Send, spool: File) -> Result<Self> {
        let files = contents(archive, spool)?;
        let mut opened = Self { files, images: Vec::new() };
        let marker = opened.document("oci-layout")?;
        let marker: serde_json::Value = parsed("oci-layout", &marker)?;
        let version = marker.get("imageLayoutVersion").and_then(|version| version.as_str());
        if !version.is_some_and(|version| version.starts_with("1.")) {
            let reason = format!("layout version {version:?} is not known; version 1.0.0 is");
            return Err(Error::document("oci-layout", reason));
        }
        let index = Index::from_bytes(&opened.document("index.json")?)?;
        opened.images = index.manifests.into_iter().map(Listed::of_layout).collect();
        Ok(opened)
    }

    /// Reads what `docker save` wrote, compressed or not; `spool` takes its contents.
    pub fn docker(archive: impl Read + Send, spool: File) -> Result<Self> {
        let files = contents(archive, spool)?;
        let mut opened = Self { files, images: Vec::new() };
        let list: Vec<Saved> = parsed("manifest.json", &opened.document("manifest.json")?)?;
        let listed = |Saved { config, repo_tags, layers }| Listed {
            names: repo_tags.unwrap_or_default(),
            kind: Kind::Docker { config, layers },
        };
        opened.images = list.into_iter().map(listed).collect();
        Ok(opened)
    }

    /// Puts an image and all that it names into a layout; gives its manifest or index.
    ///
    /// An image of Docker gets a manifest of its own, and its layers are compressed where they are
    /// not: the same archive gives the same digest each time.
    pub fn take(&self, image: &Listed, into: &Layout) -> Result<Descriptor> {
        match &image.kind {
            Kind::Oci(root) => {
                self.take_document(&root.digest, into, 0)?;
                let mut root = Descriptor::clone(root);
                root.annotations.clear();
                Ok(root)
            }
            Kind::Docker { config, layers } => self.convert(config, layers, into),
        }
    }

    /// A small file.
    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let (content, size) = self.file(name)?;
        if size > MAX_DOCUMENT {
            let what = format!("the size of {name}, which should be a small document,");
            return Err(Error::Limit { what, limit: MAX_DOCUMENT });
        }
        content.read(size).map_err(|e| Error::stream("read a file of the archive", e))
    }

    /// Finds a file; links inside of the archive are followed, as old versions of Docker make them.
    fn file(&self, name: &str) -> Result<(&Content, u64)> {
        let mut at = name.as_bytes().to_vec();
        for _ in 0..LINKS {
            match self.files.get(&at) {
                Some(Stored::File { content, size }) => return Ok((content, *size)),
                Some(Stored::Link(target)) => at.clone_from(target),
                None => return Err(Error::document("the archive", format!("it has no {name}"))),
            }
        }
        Err(Error::document("the archive", format!("the links of {name} lead nowhere")))
    }

    fn take_document(&self, digest: &Digest, into: &Layout, depth: usize) -> Result<()> {
        if depth > MAX_NESTING {
            return Err(Error::document(digest.to_string(), "indexes are nested too deep"));
        }
        let bytes = self.document(&blob_path(digest))?;
        digest.verify(format!("{digest} of the archive"), &bytes)?;
        let document = Document::from_bytes(&bytes)?;
        for child in document.references() {
            let nested = media_type::is_index(&child.media_type)
                || media_type::is_manifest(&child.media_type);
            let is_absent = !self.files.contains_key(blob_path(&child.digest).as_bytes());
            if matches!(document, Document::Index(_)) && nested {
                self.take_document(&child.digest, into, depth + 1)?;
            } else if !is_absent || !media_type::is_foreign_layer(&child.media_type) {
                self.take_blob(&child.digest, into)?;
            }
        }
        // Last, so that whoever finds it finds the whole.
        self.take_blob(digest, into)
    }

    fn take_blob(&self, digest: &Digest, into: &Layout) -> Result<()> {
        let (content, size) = self.file(&blob_path(digest))?;
        if into.open_blob(digest).is_ok_and(|(_, there)| there == size) {
            return Ok(());
        }
        let mut writer = into.blob_writer_for(digest)?;
        io::copy(&mut reader(content, size)?, &mut writer).map_err(copying)?;
        writer.commit(Some(*digest)).map(drop)
    }

    /// Makes an image of the specification out of one of Docker.
    fn convert(&self, config: &str, layers: &[String], into: &Layout) -> Result<Descriptor> {
        let bytes = self.document(config)?;
        let parsed = ImageConfig::from_bytes(&bytes)?;
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != layers.len() || layers.len() > LAYERS {
            let reason = format!(
                "it has {} layers, and its configuration says {}; at most {LAYERS} may be there",
                layers.len(),
                diff_ids.len()
            );
            return Err(Error::document(config, reason));
        }
        let mut known: BTreeMap<&Digest, Descriptor> = BTreeMap::new();
        let mut list = Vec::with_capacity(layers.len());
        for (diff_id, name) in diff_ids.iter().zip(layers) {
            let layer = match known.get(diff_id) {
                Some(layer) => layer.clone(),
                None => self.layer(name, diff_id, into)?,
            };
            known.insert(diff_id, layer.clone());
            list.push(layer);
        }
        let config = into.write_blob(media_type::CONFIG, &bytes)?;
        let manifest = Manifest::new(config, list).to_bytes()?;
        let manifest = into.write_blob(media_type::MANIFEST, &manifest)?;
        Ok(manifest.with_platform(parsed.platform()))
    }

    /// Takes a layer, compressed; its diff id is checked.
    fn layer(&self, name: &str, diff_id: &Digest, into: &Layout) -> Result<Descriptor> {
        let (content, size) = self.file(name)?;
        let mut start = [0; 4];
        let had = reader(content, size)?.read(&mut start).map_err(copying)?;
        let compression = sniff(start.get(..had).unwrap_or_default());
        let mut plain = HashingReader::with(decompress(reader(content, size)?)?, diff_id.hasher());
        let mut writer = into.blob_writer()?;
        let (kind, limit) = (compression.layer_media_type(), Limits::default().bytes);
        let kind = if compression == Compression::None {
            // No name and no time: the same layer gives the same bytes.
            let mut gzip = GzBuilder::new()
                .operating_system(255)
                .write(&mut writer, flate2::Compression::new(6));
            io::copy(&mut (&mut plain).take(limit), &mut gzip).map_err(copying)?;
            gzip.finish().map_err(copying)?;
            media_type::LAYER_GZIP
        } else {
            io::copy(&mut (&mut plain).take(limit), &mut io::sink()).map_err(copying)?;
            io::copy(&mut reader(content, size)?, &mut writer).map_err(copying)?;
            kind
        };
        let (actual, bytes) = plain.finish();
        if bytes >= limit {
            let what = format!("the size of {name}, uncompressed,");
            return Err(Error::Limit { what, limit });
        }
        diff_id.expect(format!("the layer {name} of the archive"), actual)?;
        let (digest, size) = writer.commit(None)?;
        Ok(Descriptor::new(kind, digest, size))
    }
}

impl Listed {
    /// Makes the image of an entry of `index.json`.
    pub fn of_layout(entry: Descriptor) -> Self {
        let names = [entry.ref_name(), entry.annotations.get(CONTAINERD_NAME).map(String::as_str)];
        let names = names.into_iter().flatten().map(str::to_owned).collect();
        Self { names, kind: Kind::Oci(Box::new(entry)) }
    }

    /// Gives the digest of its manifest or index; none for an image of Docker, which has neither.
    pub fn digest(&self) -> Option<Digest> {
        match &self.kind {
            Kind::Oci(entry) => Some(entry.digest),
            Kind::Docker { .. } => None,
        }
    }
}

/// Reads an archive to its end and gives its files by path.
fn contents(archive: impl Read + Send, spool: File) -> Result<HashMap<Vec<u8>, Stored>> {
    // Nothing in such an archive takes something away: a name is a name.
    let limits = Limits { whiteouts: false, entries: 200_000, ..Limits::default() };
    let entries = read_tar(decompress(archive)?, spool, &limits)?;
    let stored = entries.into_iter().filter_map(|Entry { path: place, kind, .. }| {
        let stored = match kind {
            EntryKind::File { content, size } => Stored::File { content, size },
            EntryKind::Hardlink { target } => Stored::Link(target),
            EntryKind::Symlink { target } => {
                let (folder, _) = path::split(&place);
                Stored::Link(followed(folder, &target))
            }
            _ => return None,
        };
        Some((place, stored))
    });
    Ok(stored.collect())
}

/// Where a link in a folder leads; nothing is above the root.
fn followed(folder: &[u8], target: &[u8]) -> Vec<u8> {
    let mut at: Vec<&[u8]> = match target.starts_with(b"/") {
        true => Vec::new(),
        false => path::components(folder).collect(),
    };
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(at.pop()),
            part => at.push(part),
        }
    }
    at.join(&b'/')
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn parsed<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::document(name, e.to_string()))
}

fn copying(e: io::Error) -> Error {
    Error::stream("take a file out of the archive", e)
}

/// Reads a content piece by piece.
fn reader(content: &Content, size: u64) -> Result<Box<dyn Read + Send + '_>> {
    Ok(match content {
        Content::Bytes(bytes) => Box::new(bytes.as_slice()),
        Content::Path(path) => Box::new(File::open(path).map_err(|e| Error::io("open", path, e))?),
        Content::Slice { file, offset } => {
            Box::new(Slice { file: file.clone(), at: *offset, left: size })
        }
    })
}

/// A part of a file.
struct Slice {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let n = self.file.read_at(buf.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
