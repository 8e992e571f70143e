//! Putting blobs into a layout: hashed on the way, whole or not at all.

use super::Layout;
use crate::digest::Hasher;
use crate::{Descriptor, Digest, Error, Result};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// A blob on its way into a layout; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    layout: Layout,
    temp: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Layout {
    /// Starts a blob that is hashed with SHA-256 while it is written.
    pub fn blob_writer(&self) -> Result<BlobWriter> {
        self.blob_writer_with(Hasher::sha256())
    }

    /// Starts a blob whose digest is known, in the algorithm of that digest.
    pub fn blob_writer_for(&self, digest: &Digest) -> Result<BlobWriter> {
        self.blob_writer_with(digest.hasher())
    }

    fn blob_writer_with(&self, hasher: Hasher) -> Result<BlobWriter> {
        let temp = self.temp_file()?;
        Ok(BlobWriter { layout: self.clone(), temp, hasher, size: 0 })
    }

    /// Writes a blob from memory and returns its descriptor.
    pub fn write_blob(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let digest = Digest::sha256(bytes);
        let mut writer = self.blob_writer()?;
        writer.write_all(bytes).map_err(|e| Error::io("write blob", self.path_of(&digest), e))?;
        let (digest, size) = writer.commit(Some(digest))?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Takes a whole temporary file as a blob; its maker vouches for digest and size.
    ///
    /// The file is moved when it is on the same file system, as that of [`Layout::temp_file`] is,
    /// else copied, and then checked. Fails when its size is another.
    pub fn adopt(&self, temp: NamedTempFile, digest: &Digest, size: u64) -> Result<()> {
        let path = temp.path().to_owned();
        let actual = temp.as_file().metadata().map_err(|e| Error::io("stat", &path, e))?.len();
        if actual != size {
            return Err(Error::SizeMismatch {
                what: format!("the file for blob {digest}"),
                expected: size,
                actual,
            });
        }
        let same_device = device(&path)? == device(&self.root)?;
        if same_device {
            return self.install(temp, digest, size);
        }
        let mut file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        let mut writer = self.blob_writer_for(digest)?;
        io::copy(&mut file, &mut writer).map_err(|e| Error::io("copy", &path, e))?;
        writer.commit(Some(*digest)).map(drop)
    }

    /// Moves a whole file to the place of its digest, unless the same is there already.
    fn install(&self, temp: NamedTempFile, digest: &Digest, size: u64) -> Result<()> {
        let path = self.path_of(digest);
        if fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == size) {
            return Ok(());
        }
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|e| Error::io("create directory", dir, e))?;
        }
        publish(temp, &path)
    }
}

fn device(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|m| m.dev()).map_err(|e| Error::io("stat", path, e))
}

impl BlobWriter {
    /// Returns how many bytes were written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the blob and puts it into the layout: synced to disk, then renamed.
    ///
    /// Returns its digest and size. Fails, and leaves nothing, when it is not the expected one.
    pub fn commit(self, expected: Option<Digest>) -> Result<(Digest, u64)> {
        let BlobWriter { layout, temp, hasher, size } = self;
        let digest = hasher.finish();
        if let Some(expected) = expected {
            expected.expect("the blob that was written", digest)?;
        }
        layout.install(temp, &digest, size)?;
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.temp.write(buf)?;
        self.hasher.update(&buf[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temp.flush()
    }
}

/// Syncs a temporary file, renames it into place and syncs the directory.
pub(super) fn publish(temp: NamedTempFile, path: &Path) -> Result<()> {
    let fail = |action| move |e| Error::io(action, path, e);
    // A temporary file is private; what is published may be read by whoever may enter.
    temp.as_file()
        .set_permissions(Permissions::from_mode(0o644))
        .map_err(fail("set the mode of"))?;
    temp.as_file().sync_all().map_err(fail("sync"))?;
    temp.persist(path).map_err(|e| Error::io("rename into place", path, e.error))?;
    if let Some(dir) = path.parent() {
        File::open(dir)
            .and_then(|d| d.sync_all())
            .map_err(|e| Error::io("sync directory", dir, e))?;
    }
    Ok(())
}
