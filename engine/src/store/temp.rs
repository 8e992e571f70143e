//! Temporary files on the file system of the store. Each open store has a folder of its own that
//! it keeps locked; a folder that can be locked is one whose owner died.

use std::path::{Path, PathBuf};

use super::locks::{self, Guard};
use super::{Result, Store, StoreError};

const LOCK: &str = ".lock";

/// The folder for temporary files of one open store.
#[derive(Debug)]
pub(super) struct Temp {
    path: PathBuf,
    _lock: Guard,
}

impl Temp {
    /// Makes a folder and clears those of the dead as far as they can be removed. Called under
    /// the lock for opening, so that no folder is seen before it is locked.
    pub fn open(tmp: &Path) -> Result<Self> {
        for dead in dead(tmp)? {
            // What belongs to mapped ids is left for `gc`, which has a remover for it.
            let _stays = std::fs::remove_dir_all(dead);
        }
        let made = tempfile::Builder::new().prefix("t").tempdir_in(tmp);
        let path = made.map_err(StoreError::io("make a folder in", tmp))?.keep();
        let lock = path.join(LOCK);
        let Some(lock) = locks::try_keep(&lock)? else {
            return Err(StoreError::InUse { path });
        };
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _stays = std::fs::remove_dir_all(&self.path);
    }
}

/// Folders for temporary files whose owners died.
pub(super) fn dead(tmp: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(tmp).map_err(StoreError::io("read", tmp))?;
    let mut out = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io("read", tmp))?.path();
        if !path.is_dir() || locks::try_keep(&path.join(LOCK))?.is_some() {
            out.push(path);
        }
    }
    Ok(out)
}

impl Store {
    /// An unnamed file on the file system of the store.
    pub fn temp_file(&self) -> Result<std::fs::File> {
        tempfile::tempfile_in(&self.temp.path)
            .map_err(StoreError::io("make a file in", &self.temp.path))
    }

    /// A file on the file system of the store; removed when dropped.
    pub fn temp_named(&self) -> Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new_in(&self.temp.path)
            .map_err(StoreError::io("make a file in", &self.temp.path))
    }

    /// A new folder on the file system of the store. The caller removes it; what a killed process
    /// leaves is cleared by later ones.
    pub fn temp_dir(&self) -> Result<PathBuf> {
        let made = tempfile::TempDir::new_in(&self.temp.path);
        Ok(made.map_err(StoreError::io("make a folder in", &self.temp.path))?.keep())
    }
}
