//! An OCI image layout: a directory of blobs by digest, and an index of named images.
//!
//! Any number of processes may use one layout at once: blobs appear whole, by rename, and the
//! index is changed under a lock. Format: OCI image specification 1.1, `image-layout.md`.

mod blob;
mod copy;
mod refs;

pub use blob::BlobWriter;
pub use copy::copy_image;

use crate::image::Document;
use crate::{Digest, Error, Manifest, Platform, Result, media_type};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The largest document that is read into memory, in bytes.
pub const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;
/// The content of `oci-layout`.
pub(crate) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Where blobs are before they are whole; on the file system of the blobs, so that rename works.
const INGEST: &str = ".ingest";

/// An image layout on disk.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Opens a layout that exists; fails when `oci-layout` is missing or of another version.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let marker = root.join("oci-layout");
        let bytes =
            fs::read(&marker).map_err(|e| Error::io("open the image layout by", &marker, e))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|e| Error::document(marker.display().to_string(), e.to_string()))?;
        match value.get("imageLayoutVersion").and_then(|v| v.as_str()) {
            Some(version) if version.starts_with("1.") => Ok(Layout { root }),
            version => Err(Error::document(
                marker.display().to_string(),
                format!("layout version {version:?} is not known; version 1.0.0 is"),
            )),
        }
    }

    /// Opens a layout, or makes an empty one where there is none.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let layout = Layout { root: root.into() };
        for dir in [layout.root.join("blobs/sha256"), layout.root.join(INGEST)] {
            fs::create_dir_all(&dir).map_err(|e| Error::io("create directory", &dir, e))?;
        }
        if !layout.root.join("index.json").exists() {
            layout.change_index(|_| Ok(()))?;
        }
        let marker = layout.root.join("oci-layout");
        if !marker.exists() {
            layout.replace_file(&marker, MARKER)?;
        }
        Layout::open(layout.root)
    }

    /// Returns the directory of the layout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where the blob of a digest is, or would be.
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    /// Tells whether there is a blob of a digest; its content is not checked.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path_of(digest).is_file()
    }

    /// Opens a blob for reading, unchecked, and returns its size in bytes.
    pub fn open_blob(&self, digest: &Digest) -> Result<(File, u64)> {
        let path = self.path_of(digest);
        let file = File::open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::MissingBlob { digest: *digest, layout: self.root.clone() }
            }
            _ => Error::io("open blob", &path, e),
        })?;
        let size = file.metadata().map_err(|e| Error::io("stat blob", &path, e))?.len();
        Ok((file, size))
    }

    /// Reads a blob into memory and checks its digest; fails for blobs over [`MAX_DOCUMENT`].
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let (file, size) = self.open_blob(digest)?;
        if size > MAX_DOCUMENT {
            let what = format!("the size of {digest}, which should be a small document,");
            return Err(Error::Limit { what, limit: MAX_DOCUMENT });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read blob", self.path_of(digest), e))?;
        digest.verify(format!("blob {}", self.path_of(digest).display()), &bytes)?;
        Ok(bytes)
    }

    /// Reads a manifest or index.
    pub fn document(&self, digest: &Digest) -> Result<Document> {
        Document::from_bytes(&self.read(digest)?).map_err(|e| match e {
            Error::BadDocument { what, reason } => {
                Error::BadDocument { what: format!("{what} {digest}"), reason }
            }
            e => e,
        })
    }

    /// Finds the manifest of an image for one platform.
    ///
    /// A digest of a manifest is that manifest. In an index, nested ones included, the platform
    /// has to be the same to the letter; without one the index has to have a single image.
    /// Entries without a real platform, as attestations, do not count.
    pub fn manifest_for(
        &self,
        digest: &Digest,
        platform: Option<&Platform>,
    ) -> Result<(Digest, Manifest)> {
        let mut images = Vec::new();
        match self.document(digest)? {
            Document::Manifest(manifest) => return Ok((*digest, manifest)),
            Document::Index(index) => self.images(&index, 0, &mut images)?,
        }
        let wanted: Vec<_> = images
            .iter()
            .filter(|(_, p)| platform.is_none_or(|wanted| p.as_ref() == Some(wanted)))
            .collect();
        if let [(found, _)] = wanted[..] {
            let Document::Manifest(manifest) = self.document(found)? else {
                return Err(Error::document(found.to_string(), "an index is listed as a manifest"));
            };
            return Ok((*found, manifest));
        }
        let name =
            |p: &Option<Platform>| p.as_ref().map_or("no platform".into(), |p| p.to_string());
        Err(Error::NoPlatform {
            digest: *digest,
            wanted: platform.map_or("no platform in particular".into(), |p| p.to_string()),
            available: images.iter().map(|(_, p)| name(p)).collect::<Vec<_>>().join(", "),
        })
    }

    fn images(
        &self,
        index: &crate::Index,
        depth: usize,
        out: &mut Vec<(Digest, Option<Platform>)>,
    ) -> Result<()> {
        for entry in &index.manifests {
            if media_type::is_index(&entry.media_type) {
                if depth >= MAX_NESTING {
                    let reason = "indexes are nested too deep";
                    return Err(Error::document(entry.digest.to_string(), reason));
                }
                if let Document::Index(inner) = self.document(&entry.digest)? {
                    self.images(&inner, depth + 1, out)?;
                }
            } else if entry.platform().is_none_or(|p| p.os != "unknown") {
                out.push((entry.digest, entry.platform()));
            }
        }
        Ok(())
    }

    /// Makes a temporary file on the file system of the blobs, to be given to [`Layout::adopt`].
    pub fn temp_file(&self) -> Result<NamedTempFile> {
        let dir = self.root.join(INGEST);
        fs::create_dir_all(&dir).map_err(|e| Error::io("create directory", &dir, e))?;
        NamedTempFile::new_in(&dir).map_err(|e| Error::io("create a temporary file in", &dir, e))
    }

    /// Writes a small file of the layout whole or not at all.
    fn replace_file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut temp = self.temp_file()?;
        std::io::Write::write_all(&mut temp, bytes).map_err(|e| Error::io("write", path, e))?;
        blob::publish(temp, path)
    }
}

/// Indexes inside indexes, at most.
pub(crate) const MAX_NESTING: usize = 8;

#[cfg(test)]
pub(crate) mod tests;
