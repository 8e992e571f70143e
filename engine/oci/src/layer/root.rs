//! A directory that nothing leaves: paths are resolved by the kernel inside it.
//!
//! Every path is taken apart into a parent, which `openat2` resolves with `RESOLVE_IN_ROOT` so
//! that symbolic links and `..` end inside, and a last component, which is never followed.

use crate::{Error, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Times that `openat2` is tried again when a rename elsewhere disturbed it.
const TRIES: usize = 64;

/// An open root directory.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens an existing directory.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| Error::io("open directory", path, e))?;
        Ok(Root { fd, path: path.to_owned() })
    }

    /// Makes an error of a call on a path inside.
    pub(super) fn error(&self, action: &'static str, path: &[u8], errno: Errno) -> Error {
        Error::io(action, self.path.join(OsStr::from_bytes(path)), errno)
    }

    /// Opens a directory inside, following links inside; `None` when it is not there.
    pub(super) fn dir(&self, path: &[u8]) -> Result<Option<OwnedFd>> {
        if path.is_empty() {
            let fd = self.fd.try_clone().map_err(|e| Error::io("open directory", &self.path, e))?;
            return Ok(Some(fd));
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                Ok(fd) => return Ok(Some(fd)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(self.error("open directory", path, e)),
            }
        }
        Err(self.error("open directory", path, Errno::AGAIN))
    }

    /// Removes what is at a name, with everything below; nothing there is no error.
    pub(super) fn remove(&self, parent: &OwnedFd, name: &[u8], path: &[u8]) -> Result<bool> {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) => return Ok(true),
            Err(Errno::NOENT) => return Ok(false),
            // Linux says ISDIR, POSIX and some file systems PERM.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(e) => return Err(self.error("remove", path, e)),
        }
        let fail = |e| self.error("remove", path, e);
        let fd = open_dir_at(parent, name).map_err(fail)?;
        empty(fd).map_err(fail)?;
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(fail)?;
        Ok(true)
    }

    /// Removes everything in a directory, not the directory; returns whether there was anything.
    pub(super) fn clear(&self, dir: OwnedFd, path: &[u8]) -> Result<bool> {
        empty(dir).map_err(|e| self.error("empty directory", path, e))
    }
}

/// Opens a directory that is the last component, without following a link.
pub(super) fn open_dir_at(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Reads the metadata of a last component, without following a link; `None` when nothing is there.
pub(super) fn stat_at(parent: impl AsFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Empties a directory tree without recursion, so that its depth costs no stack.
fn empty(top: OwnedFd) -> Result<bool, Errno> {
    let mut found = false;
    let mut stack: Vec<(Dir, Vec<u8>)> = vec![(Dir::new(top)?, Vec::new())];
    while let Some((dir, _)) = stack.last_mut() {
        let Some(item) = dir.read() else {
            let Some((_, name)) = stack.pop() else { break };
            if let Some((parent, _)) = stack.last() {
                rustix::fs::unlinkat(parent.fd()?, name.as_slice(), AtFlags::REMOVEDIR)?;
            }
            continue;
        };
        let item = item?;
        let name = item.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        found = true;
        let is_dir = match item.file_type() {
            FileType::Directory => true,
            FileType::Unknown => stat_at(dir.fd()?, name)?
                .is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory),
            _ => false,
        };
        if is_dir {
            let below = open_dir_at(dir.fd()?, name)?;
            let name = name.to_vec();
            stack.push((Dir::new(below)?, name));
        } else {
            rustix::fs::unlinkat(dir.fd()?, name, AtFlags::empty())?;
        }
    }
    Ok(found)
}
