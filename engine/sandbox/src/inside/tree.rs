//! Removing whole directory trees, whatever their depth and permissions.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Error, Result};

/// Descriptors kept open on the way down; deeper directories find their parent through `..`.
const OPEN_LEVELS: usize = 64;

/// Removes a file or a directory with all below it; what does not exist is no error. Directories
/// without permissions are opened up first. Never follows a symlink. Inside a helper it removes
/// what mapped ids own, too.
///
/// # Errors
/// [`Error::Failed`] with the first path that could not be removed; the rest of the tree may be gone.
pub fn remove_tree(path: &Path) -> Result<()> {
    match rustix::fs::unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(error) => {
            return Err(Error::failed(format_args!("cannot remove {}", path.display()), error));
        }
    }
    let name = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let name = CString::new(name)
        .map_err(|_| Error::Failed(format!("cannot remove {}: NUL in path", path.display())))?;
    let mut walk = Walk { levels: Vec::new() };
    let failed = |walk: &Walk, error| {
        let below = walk.levels.iter().skip(1).map(|level| level.name.to_string_lossy());
        let below: Vec<_> = below.collect();
        let at = path.join(below.join("/"));
        Error::failed(format_args!("cannot remove {}", at.display()), error)
    };
    if let Err(error) = walk.enter(name) {
        return Err(failed(&walk, error));
    }
    while !walk.levels.is_empty() {
        walk.step().map_err(|error| failed(&walk, error))?;
    }
    Ok(())
}

/// One directory on the way from the top to where the walk is.
struct Level {
    name: CString,
    /// Closed while the walk is far below.
    dir: Option<OwnedFd>,
    identity: (u64, u64),
    /// Directories in it that are still to be removed.
    left: Vec<CString>,
}

struct Walk {
    levels: Vec<Level>,
}

impl Walk {
    /// Opens the directory `name` of the present level, removes its files and notes its directories.
    fn enter(&mut self, name: CString) -> rustix::io::Result<()> {
        let dir = match self.levels.last().and_then(|level| level.dir.as_ref()) {
            Some(parent) => open(parent, &name)?,
            None => open(CWD, &name)?,
        };
        let stat = rustix::fs::fstat(&dir)?;
        let left = clear(&dir)?;
        let identity = (stat.st_dev, stat.st_ino);
        self.levels.push(Level { name, dir: Some(dir), identity, left });
        // The topmost is kept: it may have been opened by a path that `..` does not lead back to.
        if let Some(far) = self.levels.len().checked_sub(OPEN_LEVELS)
            && far > 0
            && let Some(level) = self.levels.get_mut(far)
        {
            level.dir = None;
        }
        Ok(())
    }

    /// Goes down into the next directory, or removes the present one, which is empty.
    fn step(&mut self) -> rustix::io::Result<()> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        if let Some(name) = level.left.pop() {
            return self.enter(name);
        }
        let Some(done) = self.levels.pop() else { return Ok(()) };
        let Some(parent) = self.levels.last_mut() else {
            return rustix::fs::unlinkat(CWD, &done.name, AtFlags::REMOVEDIR);
        };
        if parent.dir.is_none() {
            let dir = done.dir.as_ref().ok_or(Errno::BADF)?;
            let up = rustix::fs::openat(dir, "..", directory(), Mode::empty())?;
            let stat = rustix::fs::fstat(&up)?;
            // Somebody moved the directory away meanwhile: what is above it now is not ours.
            if (stat.st_dev, stat.st_ino) != parent.identity {
                return Err(Errno::STALE);
            }
            parent.dir = Some(up);
        }
        let dir = parent.dir.as_ref().ok_or(Errno::BADF)?;
        drop(done.dir);
        rustix::fs::unlinkat(dir, &done.name, AtFlags::REMOVEDIR)
    }
}

fn directory() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// Opens a directory and makes sure that its entries can be listed and removed.
fn open(parent: impl std::os::fd::AsFd, name: &CString) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::openat(&parent, name, directory(), Mode::empty()) {
        Err(Errno::ACCESS) => {
            // chmod follows symlinks, but what was just refused is a directory: a symlink would
            // have failed with another error.
            rustix::fs::chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(&parent, name, directory(), Mode::empty())
        }
        other => other,
    }
}

/// Removes everything in `dir` but its directories, whose names it returns.
fn clear(dir: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    let mut opened_up = false;
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    for (name, kind) in names {
        if kind == FileType::Directory {
            directories.push(name);
            continue;
        }
        let mut result = rustix::fs::unlinkat(dir, &name, AtFlags::empty());
        if result == Err(Errno::ACCESS) && !opened_up {
            opened_up = true;
            rustix::fs::fchmod(dir, Mode::RWXU)?;
            result = rustix::fs::unlinkat(dir, &name, AtFlags::empty());
        }
        match result {
            Ok(()) | Err(Errno::NOENT) => {}
            // Some file systems do not tell the type of an entry.
            Err(Errno::ISDIR) => directories.push(name),
            Err(error) => return Err(error),
        }
    }
    if !directories.is_empty() && !opened_up {
        // Removing a directory needs the write permission of its parent; root has it anyway, and
        // on what does not belong to us the removal itself will say so.
        let _ = rustix::fs::fchmod(dir, Mode::RWXU);
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn removes_closed_directories_and_never_follows_symlinks() {
        let temp = tempfile::tempdir().unwrap();
        let kept = temp.path().join("kept");
        fs::create_dir_all(kept.join("x")).unwrap();
        let tree = temp.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/f"), "1").unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        for closed in ["a/b", "a"] {
            fs::set_permissions(tree.join(closed), fs::Permissions::from_mode(0o0)).unwrap();
        }
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && kept.join("x").is_dir());
        std::os::unix::fs::symlink(&kept, &tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(fs::symlink_metadata(&tree).is_err() && kept.join("x").is_dir());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn removes_trees_deeper_than_any_path_or_descriptor_table() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().join("deep");
        fs::create_dir(&top).unwrap();
        let mut dir = rustix::fs::open(&top, directory(), Mode::empty()).unwrap();
        for _ in 0..300 {
            rustix::fs::mkdirat(&dir, "a-name-of-some-length", Mode::RWXU).unwrap();
            dir = rustix::fs::openat(&dir, "a-name-of-some-length", directory(), Mode::empty())
                .unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn the_error_names_the_path() {
        let error = remove_tree(Path::new("/proc/self/fd")).unwrap_err();
        assert!(error.to_string().contains("/proc/self/fd"), "{error}");
    }
}
