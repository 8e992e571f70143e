//! Mount points: made in the root where they are missing, and taken away again so that they never
//! become part of what a program changed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::{Error, Result};

/// What a mount point must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// As many symlinks as the kernel follows.
const MAX_LINKS: usize = 40;

/// The mount points of one run.
#[derive(Debug)]
pub(crate) struct Points {
    root: OwnedFd,
    /// Mount points handed out so far: what is below them belongs to what is mounted there.
    covered: Vec<PathBuf>,
    made: Vec<Made>,
}

/// One entry that was made, and what its directory was like.
#[derive(Debug)]
struct Made {
    parent: OwnedFd,
    name: OsString,
    kind: Kind,
    identity: (u64, u64),
    before: (i64, i64),
    after: (i64, i64),
}

impl Points {
    /// Begins with the root directory, open for reading.
    pub fn new(root: OwnedFd) -> Self {
        Self { root, covered: Vec::new(), made: Vec::new() }
    }

    /// Finds `target` inside the root, following symlinks as if the root were `/`, and makes what is
    /// missing. Returns its absolute path inside, free of symlinks.
    ///
    /// # Errors
    /// When something else stands in the way, or the root cannot be written to.
    pub fn prepare(&mut self, target: &Path, kind: Kind) -> Result<PathBuf> {
        let found = self.walk(target, kind).map_err(Error::at(format_args!(
            "cannot make the mount point {} in the root",
            target.display()
        )))?;
        self.covered.push(found.clone());
        Ok(found)
    }

    /// Makes the directories of a path that do not exist, to stay; gives those that were made, open.
    /// Symlinks never leave the root.
    ///
    /// # Errors
    /// When something else stands in the way, or the root cannot be written to.
    pub fn make_directories(&self, path: &Path) -> rustix::io::Result<Vec<OwnedFd>> {
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 3)?;
        let mut fresh = Self::new(root);
        match fresh.walk(path, Kind::Directory) {
            // It is the root itself.
            Ok(_) | Err(Errno::BUSY) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = fresh.made.iter();
        made.map(|made| rustix::fs::openat(&made.parent, &made.name, flags, Mode::empty()))
            .collect()
    }

    fn walk(&mut self, target: &Path, kind: Kind) -> rustix::io::Result<PathBuf> {
        let mut left = names(target);
        if left.is_empty() {
            return Err(Errno::BUSY);
        }
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if self.covered.contains(&at) {
                at.push(name);
                at.extend(left);
                return Ok(at);
            }
            if name == ".." {
                at.pop();
                continue;
            }
            let last = left.is_empty();
            let dir = self.open(&at)?;
            match kind_of(&dir, &name)? {
                Some(FileType::Symlink) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    let link = rustix::fs::readlinkat(&dir, &name, Vec::new())?.into_bytes();
                    let link = PathBuf::from(OsString::from_vec(link));
                    if link.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    for part in names(&link).into_iter().rev() {
                        left.push_front(part);
                    }
                    continue;
                }
                Some(FileType::Directory) if last && kind == Kind::File => {
                    return Err(Errno::ISDIR);
                }
                Some(FileType::Directory) => {}
                Some(_) if last && kind == Kind::File => {}
                Some(_) => return Err(Errno::NOTDIR),
                None => {
                    self.make(dir, &name, if last { kind } else { Kind::Directory })?;
                }
            }
            at.push(name);
        }
        Ok(at)
    }

    /// Opens a directory by a path that is free of symlinks.
    fn open(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        rustix::fs::openat2(
            &self.root,
            relative,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )
    }

    fn make(&mut self, parent: OwnedFd, name: &OsStr, kind: Kind) -> rustix::io::Result<()> {
        let before = changed(&rustix::fs::fstat(&parent)?);
        match kind {
            Kind::Directory => rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?,
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
            }
        }
        let after = changed(&rustix::fs::fstat(&parent)?);
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let identity = (stat.st_dev, stat.st_ino);
        self.made.push(Made { parent, name: name.to_owned(), kind, identity, before, after });
        Ok(())
    }

    /// Takes away what was made, where the program left it alone, and puts back the times of the
    /// directories.
    pub fn remove(mut self) {
        while let Some(made) = self.made.pop() {
            // What cannot be removed is in use by the program's own files: it stays as theirs.
            let _ = made.remove();
        }
    }

    /// The root directory.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }
}

impl Made {
    fn remove(&self) -> rustix::io::Result<()> {
        let stat = rustix::fs::statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let ours = (stat.st_dev, stat.st_ino) == self.identity;
        if !ours || (self.kind == Kind::File && stat.st_size != 0) {
            return Ok(());
        }
        let now = changed(&rustix::fs::fstat(&self.parent)?);
        let flags = match self.kind {
            Kind::Directory => AtFlags::REMOVEDIR,
            Kind::File => AtFlags::empty(),
        };
        rustix::fs::unlinkat(&self.parent, &self.name, flags)?;
        // A time that moved since was moved by the program, and is its to keep.
        let (tv_sec, tv_nsec) = if now == self.after { self.before } else { now };
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
            last_modification: Timespec { tv_sec, tv_nsec },
        };
        rustix::fs::futimens(&self.parent, &times)
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        })
        .collect()
}

fn kind_of(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<FileType>> {
    match rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[expect(clippy::unnecessary_cast, reason = "the width of these fields differs by architecture")]
fn changed(stat: &Stat) -> (i64, i64) {
    (stat.st_mtime as i64, stat.st_mtime_nsec as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn points(root: &Path) -> Points {
        Points::new(fs::File::open(root).unwrap().into())
    }

    fn mtime(path: &Path) -> (i64, i64) {
        let meta = fs::metadata(path).unwrap();
        (meta.mtime(), meta.mtime_nsec())
    }

    #[test]
    fn what_is_made_goes_away_with_no_trace() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let times = [mtime(root.path()), mtime(&root.path().join("etc"))];
        let mut points = points(root.path());
        for (target, kind) in [
            ("/proc", Kind::Directory),
            ("/a/b/c", Kind::Directory),
            ("/etc/resolv.conf", Kind::File),
            ("/etc/hosts", Kind::File),
        ] {
            assert_eq!(points.prepare(Path::new(target), kind).unwrap(), Path::new(target));
            assert!(root.path().join(&target[1..]).exists());
        }
        points.remove();
        let left: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["etc"]);
        assert_eq!([mtime(root.path()), mtime(&root.path().join("etc"))], times);
    }

    #[test]
    fn what_the_program_filled_stays() {
        let root = tempfile::tempdir().unwrap();
        let mut points = points(root.path());
        points.prepare(Path::new("/a/b"), Kind::Directory).unwrap();
        points.prepare(Path::new("/f"), Kind::File).unwrap();
        points.prepare(Path::new("/g"), Kind::File).unwrap();
        fs::write(root.path().join("a/own"), "").unwrap();
        fs::write(root.path().join("f"), "text").unwrap();
        fs::remove_file(root.path().join("g")).unwrap();
        fs::create_dir(root.path().join("g")).unwrap();
        points.remove();
        assert!(root.path().join("a/own").exists() && !root.path().join("a/b").exists());
        assert!(root.path().join("f").exists() && root.path().join("g").is_dir());
    }

    #[test]
    fn symlinks_stay_inside_the_root() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        symlink("../../../run/x/resolv.conf", root.path().join("etc/resolv.conf")).unwrap();
        symlink("/etc", root.path().join("proc")).unwrap();
        symlink("loop", root.path().join("loop")).unwrap();
        let mut points = points(root.path());
        let found = points.prepare(Path::new("/etc/resolv.conf"), Kind::File).unwrap();
        assert_eq!(found, Path::new("/run/x/resolv.conf"));
        assert!(root.path().join("run/x/resolv.conf").exists());
        assert_eq!(points.prepare(Path::new("proc"), Kind::Directory).unwrap(), Path::new("/etc"));
        assert!(points.prepare(Path::new("/loop"), Kind::File).is_err());
        assert!(points.prepare(Path::new("/run/x/resolv.conf/y"), Kind::File).is_err());
        points.remove();
        assert!(!root.path().join("run").exists());
    }

    #[test]
    fn nothing_is_made_below_an_earlier_mount_point() {
        let root = tempfile::tempdir().unwrap();
        let mut points = points(root.path());
        points.prepare(Path::new("/dev"), Kind::Directory).unwrap();
        let below = points.prepare(Path::new("/dev/a/b"), Kind::File).unwrap();
        assert_eq!(below, Path::new("/dev/a/b"));
        assert!(!root.path().join("dev/a").exists());
        assert!(points.prepare(Path::new("/x"), Kind::File).is_ok());
        assert!(points.prepare(Path::new("/x"), Kind::Directory).is_err());
    }
}
