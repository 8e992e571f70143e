//! Locks on files, held between threads and processes alike. The kernel frees them when a holder
//! dies, so nothing is left for the next run to trip over.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Result, StoreError};

/// A lock; freed when dropped.
#[derive(Debug)]
pub struct Guard {
    _file: File,
    /// Removed at the end, when the file has no other use.
    path: Option<PathBuf>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Still locked here: whoever waits sees that the file is gone and makes a new one.
        if let Some(path) = &self.path {
            let _gone_already = std::fs::remove_file(path);
        }
    }
}

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Alone; the file goes with the lock.
    Exclusive,
    /// Alone; the file stays.
    Kept,
    /// With others of this mode; the file stays.
    Shared,
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(StoreError::io("open", path))
}

/// Whether the file that was locked is still the one of that name.
fn is_current(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Waits for a lock.
pub(super) fn acquire(path: &Path, mode: Mode) -> Result<Guard> {
    loop {
        let file = open(path)?;
        let locked = if mode == Mode::Shared { file.lock_shared() } else { file.lock() };
        locked.map_err(StoreError::io("lock", path))?;
        if is_current(&file, path) {
            let path = (mode == Mode::Exclusive).then(|| path.to_owned());
            return Ok(Guard { _file: file, path });
        }
    }
}

/// Takes a lock alone, or gives none when somebody holds it. The file goes with the lock.
pub(super) fn try_acquire(path: &Path) -> Result<Option<Guard>> {
    let mut guard = try_keep(path)?;
    if let Some(guard) = &mut guard {
        guard.path = Some(path.to_owned());
    }
    Ok(guard)
}

/// As [`try_acquire`], but the file stays.
pub(super) fn try_keep(path: &Path) -> Result<Option<Guard>> {
    loop {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) if is_current(&file, path) => {
                return Ok(Some(Guard { _file: file, path: None }));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", path)(e)),
        }
    }
}
