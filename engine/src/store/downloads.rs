//! Files from outside, named by their digest; nothing gets in that does not have it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use mabuild_oci::Digest;

use super::{Result, Store, StoreError, file_name};

impl Store {
    /// Where the download of a digest (`sha256:…`, `sha512:…`) is or belongs. What is there was
    /// verified when it came.
    pub fn download_path(&self, digest: &str) -> PathBuf {
        let downloads = self.own("downloads");
        match Digest::parse(digest) {
            Ok(digest) => downloads.join(digest.algorithm()).join(digest.hex()),
            // Nothing is ever put there.
            Err(_) => downloads.join("unknown").join(file_name(digest)),
        }
    }

    /// Keeps a file under its digest after hashing it again, and gives its place.
    pub fn adopt_download(&self, file: tempfile::NamedTempFile, digest: &str) -> Result<PathBuf> {
        let expected = Digest::parse(digest)?;
        let actual = digest_of(file.path(), &expected)?;
        if actual != expected {
            return Err(StoreError::Mismatch {
                what: "a download".to_owned(),
                expected: expected.to_string(),
                actual: actual.to_string(),
            });
        }
        let path = self.download_path(digest);
        self.place(file, &path)?;
        Ok(path)
    }

    /// Where the files of a git repository are or belong, by a name for what they are. They are
    /// whole when the folder has a file `done`.
    pub fn git_path(&self, name: &str) -> PathBuf {
        self.own("downloads/git").join(file_name(name))
    }

    /// A folder in which the download of a digest has a name of its own, `name`.
    pub fn named_download(&self, digest: &str, name: &str) -> Result<PathBuf> {
        let folder = self.own("downloads/named").join(file_name(digest));
        let path = folder.join(name);
        if path.is_file() {
            return Ok(folder);
        }
        std::fs::create_dir_all(&folder).map_err(StoreError::io("make", &folder))?;
        match std::fs::hard_link(self.download_path(digest), &path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(StoreError::io("link", &path)(e))
            }
            _ => Ok(folder),
        }
    }
}

/// The digest of a file by the algorithm of another.
pub(super) fn digest_of(path: &Path, like: &Digest) -> Result<Digest> {
    let failed = || StoreError::io("read", path);
    let mut file = File::open(path).map_err(failed())?;
    let mut hasher = like.hasher();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed())? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}
