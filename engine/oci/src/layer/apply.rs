//! Putting a layer onto a directory, which may be a mounted overlay.
//!
//! First everything that the markers take away, then the entries, then hard links, and the
//! metadata of directories last and deepest first, when nothing changes them any more.

use super::owner::{OwnerMode, OwnerTable};
use super::root::{Root, open_dir_at, stat_at};
use super::{Entry, EntryKind, Limits, path, read_tar, source};
use crate::{Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

mod attributes;

/// How a layer is applied.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// How owners are kept.
    pub owners: OwnerMode,
    /// Bounds on the layer.
    pub limits: Limits,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct ApplyStats {
    /// Entries applied, markers included.
    pub entries: u64,
    /// Bytes of file contents written.
    pub bytes: u64,
    /// Paths of the layers below that markers removed.
    pub removed: u64,
    /// Owners of what can carry no record, for [`OwnerMode::Recorded`]; to be kept by the caller.
    pub owners: OwnerTable,
    /// Devices that could not be made and stand as recorded files.
    pub recorded_nodes: u64,
    /// Attributes that neither the file system nor a record could take.
    pub dropped_xattrs: u64,
}

/// Applies a layer in any compression: reads it into `spool`, then applies its entries.
pub fn apply_tar(
    reader: impl std::io::Read + Send,
    spool: File,
    root: &Path,
    options: &ApplyOptions,
) -> Result<ApplyStats> {
    let entries = read_tar(super::decompress(reader)?, spool, &options.limits)?;
    apply(&entries, root, options)
}

/// Applies the entries of a layer to the directory `root`.
///
/// No entry gets out of `root`; links inside it are followed inside it. What stands in the way of
/// an entry is removed, except a directory in the way of a directory. Missing parents are made
/// with mode 0755 and the time of the entry that wants them; parents that are no entries keep their time.
pub fn apply(entries: &[Entry], root: &Path, options: &ApplyOptions) -> Result<ApplyStats> {
    if entries.len() as u64 > options.limits.entries {
        let what = "the number of entries of the layer".into();
        return Err(Error::Limit { what, limit: options.limits.entries });
    }
    if let Some(bad) = entries.iter().find(|e| !path::is_clean(&e.path)) {
        return Err(Error::entry(&bad.path, "the path is not relative and clean"));
    }
    let mut job = Applier {
        root: Root::open(root)?,
        owners: options.owners,
        stats: ApplyStats::default(),
        parent: None,
        touched: BTreeMap::new(),
        seen: HashSet::new(),
    };
    job.run(&last_of_each(entries))?;
    Ok(job.stats)
}

/// Leaves out entries whose path comes again later.
fn last_of_each(entries: &[Entry]) -> Vec<&Entry> {
    let last: HashMap<(&[u8], bool), usize> =
        entries.iter().enumerate().map(|(i, e)| ((e.path.as_slice(), e.is_marker()), i)).collect();
    let counts = |(i, e): (usize, &Entry)| e.is_marker() || last[&(e.path.as_slice(), false)] == i;
    entries.iter().enumerate().filter(|(i, e)| counts((*i, e))).map(|(_, e)| e).collect()
}

struct Applier {
    root: Root,
    owners: OwnerMode,
    stats: ApplyStats,
    /// The parent that was used last, because entries of one directory follow each other.
    parent: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// Directories that were there before, or were made without an entry, with the time they get
    /// in the end, and the order in which they were met.
    touched: BTreeMap<Vec<u8>, (usize, Timespec)>,
    /// Device and inode of the same directories, which may be met under several paths.
    seen: HashSet<(u64, u64)>,
}

impl Applier {
    fn run(&mut self, entries: &[&Entry]) -> Result<()> {
        for entry in entries.iter().filter(|e| e.is_marker()) {
            self.marker(entry)?;
        }
        let (mut dirs, mut links) = (Vec::new(), Vec::new());
        for entry in entries.iter().filter(|e| !e.is_marker()) {
            match &entry.kind {
                EntryKind::Dir => {
                    let existed = self.make_dir(entry)?;
                    dirs.push((*entry, existed));
                }
                EntryKind::Hardlink { target } => links.push((*entry, target)),
                _ => self.make_other(entry)?,
            }
        }
        for (entry, target) in links {
            self.make_link(entry, target)?;
        }
        self.stats.entries = entries.len() as u64;
        self.restore_times()?;
        dirs.sort_by(|a, b| b.0.path.cmp(&a.0.path));
        for (entry, existed) in dirs {
            self.finish_dir(entry, existed)?;
        }
        Ok(())
    }

    fn restore_times(&mut self) -> Result<()> {
        let mut touched: Vec<_> = std::mem::take(&mut self.touched).into_iter().collect();
        // The first time met of a directory is its right one, so it is set last.
        touched.sort_by_key(|(_, (order, _))| std::cmp::Reverse(*order));
        for (path, (_, time)) in touched {
            if let Some(fd) = self.root.dir(&path)? {
                let fail = |e| self.root.error("set the time of", &path, e);
                set_time(&fd, b"", time).map_err(fail)?;
            }
        }
        Ok(())
    }

    fn fail<'a>(&'a self, action: &'static str, entry: &'a Entry) -> impl Fn(Errno) -> Error + 'a {
        move |e| self.root.error(action, &entry.path, e)
    }

    fn marker(&mut self, entry: &Entry) -> Result<()> {
        let (parent, name) = path::split(&entry.path);
        let Some(fd) = self.existing(parent)? else { return Ok(()) };
        match entry.kind {
            EntryKind::Opaque if entry.path.is_empty() => {
                let removed = self.root.clear(duplicate(&self.root, &fd)?, b"")?;
                self.stats.removed += u64::from(removed);
            }
            EntryKind::Opaque => match open_dir_at(&fd, name) {
                Ok(dir) => {
                    self.note(&dir, &entry.path, None)?;
                    let removed = self.root.clear(duplicate(&self.root, &dir)?, &entry.path)?;
                    self.stats.removed += u64::from(removed);
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(e) => return Err(self.root.error("open directory", &entry.path, e)),
            },
            _ if name.is_empty() => {
                return Err(Error::entry(b"", "the root cannot be whited out"));
            }
            _ => {
                self.stats.removed += u64::from(self.root.remove(&fd, name, &entry.path)?);
                self.forget(&entry.path);
            }
        }
        Ok(())
    }

    /// Opens a parent that has to be there already for a marker to mean anything.
    fn existing(&mut self, parent: &[u8]) -> Result<Option<Rc<OwnedFd>>> {
        let fd = match self.root.dir(parent) {
            Ok(fd) => fd.map(Rc::new),
            // A file where the parent should be: nothing is below it.
            Err(Error::Io { source, .. })
                if source.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) =>
            {
                None
            }
            Err(e) => return Err(e),
        };
        if let Some(fd) = &fd {
            self.note(fd, parent, None)?;
        }
        Ok(fd)
    }

    /// Opens the parent of an entry, and makes what is missing of it.
    fn parent_of(&mut self, entry: &Entry) -> Result<Rc<OwnedFd>> {
        let (parent, _) = path::split(&entry.path);
        if let Some((path, fd)) = &self.parent
            && path == parent
        {
            return Ok(fd.clone());
        }
        let fd = self.ensure_dir(parent, entry)?;
        self.parent = Some((parent.to_vec(), fd.clone()));
        Ok(fd)
    }

    fn ensure_dir(&mut self, dir: &[u8], entry: &Entry) -> Result<Rc<OwnedFd>> {
        // The deepest ancestor that is there, then down again.
        let mut missing = Vec::new();
        let mut at = dir;
        let mut fd = loop {
            if let Some(fd) = self.root.dir(at)? {
                break Rc::new(fd);
            }
            let (parent, name) = path::split(at);
            missing.push((at, name));
            at = parent;
        };
        self.note(&fd, at, None)?;
        for (path, name) in missing.into_iter().rev() {
            let fail = |e| self.root.error("create directory", path, e);
            rustix::fs::mkdirat(&*fd, name, Mode::from_raw_mode(0o755)).map_err(|e| match e {
                Errno::EXIST => Error::entry(
                    &entry.path,
                    format!("{:?} on its way is a link to nothing", crate::error::lossy(path)),
                ),
                e => fail(e),
            })?;
            let next = open_dir_at(&*fd, name).map_err(fail)?;
            rustix::fs::fchmod(&next, Mode::from_raw_mode(0o755)).map_err(fail)?;
            fd = Rc::new(next);
            self.note(&fd, path, Some(entry.mtime))?;
        }
        Ok(fd)
    }

    /// Remembers which time a directory gets in the end; `None` for the one it has.
    fn note(&mut self, fd: &OwnedFd, path: &[u8], mtime: Option<i64>) -> Result<()> {
        let stat = rustix::fs::fstat(fd).map_err(|e| self.root.error("stat", path, e))?;
        let fresh = self.seen.insert((stat.st_dev, stat.st_ino));
        let time = match mtime {
            Some(seconds) => Timespec { tv_sec: seconds, tv_nsec: 0 },
            None if !fresh => return Ok(()),
            None => Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
        };
        let order = self.seen.len();
        self.touched.entry(path.to_vec()).or_insert((order, time));
        Ok(())
    }

    /// Forgets what is known of a path that was removed, and of all below it.
    fn forget(&mut self, path: &[u8]) {
        self.parent = None;
        self.touched.remove(path);
        let (from, to) = ([path, b"/"].concat(), [path, b"0"].concat());
        let below: Vec<_> = self.touched.range(from..to).map(|(p, _)| p.clone()).collect();
        for path in below {
            self.touched.remove(&path);
        }
    }

    /// Runs `make` until it no longer finds something in its way, which is removed.
    ///
    /// Returns whether something was.
    fn place(
        &mut self,
        parent: &OwnedFd,
        entry: &Entry,
        mut make: impl FnMut(&[u8]) -> Result<(), Errno>,
    ) -> Result<bool> {
        let (_, name) = path::split(&entry.path);
        if name.is_empty() {
            return Err(Error::entry(b"", "the root can only be a directory"));
        }
        let mut replaced = false;
        loop {
            match make(name) {
                Ok(()) => return Ok(replaced),
                Err(Errno::EXIST) if !replaced => {
                    self.root.remove(parent, name, &entry.path)?;
                    self.forget(&entry.path);
                    replaced = true;
                }
                Err(e) => return Err(self.root.error("create", &entry.path, e)),
            }
        }
    }

    /// Makes a directory or keeps the one that is there; returns whether there was one.
    fn make_dir(&mut self, entry: &Entry) -> Result<bool> {
        let (_, name) = path::split(&entry.path);
        if name.is_empty() {
            return Ok(true);
        }
        let parent = self.parent_of(entry)?;
        let stat = stat_at(&*parent, name).map_err(self.fail("stat", entry))?;
        if stat.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory) {
            return Ok(true);
        }
        self.place(&parent.clone(), entry, |name| {
            rustix::fs::mkdirat(&*parent, name, Mode::from_raw_mode(0o700))
        })
    }

    fn finish_dir(&mut self, entry: &Entry, existed: bool) -> Result<()> {
        let (_, name) = path::split(&entry.path);
        let fd = if name.is_empty() {
            self.root.dir(b"")?.ok_or_else(|| self.root.error("open", b"", Errno::NOENT))?
        } else {
            let parent = self.parent_of(entry)?;
            open_dir_at(&*parent, name).map_err(self.fail("open directory", entry))?
        };
        self.finish_fd(&fd, entry, existed)
    }

    fn make_other(&mut self, entry: &Entry) -> Result<()> {
        let parent = self.parent_of(entry)?;
        match &entry.kind {
            EntryKind::File { .. } => self.make_file(&parent, entry),
            EntryKind::Symlink { target } => {
                let replaced = self.place(&parent, entry, |name| {
                    rustix::fs::symlinkat(target.as_slice(), &*parent, name)
                })?;
                self.finish_at(&parent, entry, replaced)
            }
            EntryKind::Fifo => {
                let replaced = self.place(&parent, entry, |name| {
                    rustix::fs::mknodat(&*parent, name, FileType::Fifo, Mode::RUSR, 0)
                })?;
                self.finish_at(&parent, entry, replaced)
            }
            _ => self.make_device(&parent, entry),
        }
    }

    fn create(&mut self, parent: &OwnedFd, entry: &Entry) -> Result<(File, bool)> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut made = None;
        let replaced = self.place(parent, entry, |name| {
            made = Some(rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?);
            Ok(())
        })?;
        let fd = made.ok_or_else(|| self.root.error("create", &entry.path, Errno::IO))?;
        Ok((File::from(fd), replaced))
    }

    fn make_file(&mut self, parent: &OwnedFd, entry: &Entry) -> Result<()> {
        let (mut file, replaced) = self.create(parent, entry)?;
        let mut written = 0;
        source::stream(entry, &mut |piece| {
            written += piece.len() as u64;
            file.write_all(piece).map_err(|e| match Errno::from_io_error(&e) {
                Some(errno) => self.root.error("write", &entry.path, errno),
                None => Error::stream("write a file of the layer", e),
            })
        })?;
        self.stats.bytes += written;
        self.finish_fd(&OwnedFd::from(file), entry, replaced)
    }

    fn make_device(&mut self, parent: &OwnedFd, entry: &Entry) -> Result<()> {
        let (kind, major, minor) = match entry.kind {
            EntryKind::CharDev { major: 0, minor: 0 } => {
                let reason = "a character device 0:0 is a whiteout to overlayfs and cannot be made";
                return Err(Error::entry(&entry.path, reason));
            }
            EntryKind::CharDev { major, minor } => (FileType::CharacterDevice, major, minor),
            EntryKind::BlockDev { major, minor } => (FileType::BlockDevice, major, minor),
            _ => return Err(Error::entry(&entry.path, "it is of a kind that cannot be applied")),
        };
        let device = rustix::fs::makedev(major, minor);
        let mut refused = false;
        let replaced = self.place(parent, entry, |name| {
            match rustix::fs::mknodat(parent, name, kind, Mode::RUSR, device) {
                Err(Errno::PERM | Errno::ACCESS) => {
                    refused = true;
                    Ok(())
                }
                other => other,
            }
        })?;
        if !refused {
            return self.finish_at(parent, entry, replaced);
        }
        let (file, replaced) = self.create(parent, entry)?;
        self.stats.recorded_nodes += 1;
        self.finish_fd(&OwnedFd::from(file), entry, replaced)
    }

    fn make_link(&mut self, entry: &Entry, target: &[u8]) -> Result<()> {
        let (target_parent, target_name) = path::split(target);
        let from = self.root.dir(target_parent)?;
        let stat = match &from {
            Some(from) => stat_at(from, target_name).map_err(self.fail("stat", entry))?,
            None => None,
        };
        let (Some(from), Some(stat)) = (from, stat) else {
            return Err(Error::entry(
                &entry.path,
                format!(
                    "it is a hard link to {:?}, which is not there",
                    crate::error::lossy(target)
                ),
            ));
        };
        let parent = self.parent_of(entry)?;
        let (_, name) = path::split(&entry.path);
        let there = stat_at(&*parent, name).map_err(self.fail("stat", entry))?;
        if there.is_some_and(|s| (s.st_dev, s.st_ino) == (stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        self.place(&parent.clone(), entry, |name| {
            rustix::fs::linkat(&from, target_name, &*parent, name, AtFlags::empty())
        })?;
        if let Some(owner) = self.stats.owners.get(target).copied() {
            self.stats.owners.insert(entry.path.clone(), owner);
        }
        Ok(())
    }
}

fn duplicate(root: &Root, fd: &OwnedFd) -> Result<OwnedFd> {
    open_dir_at(fd, b".").map_err(|e| root.error("open directory", b"", e))
}

/// Sets the time of modification, of `fd` itself when there is no name; that of access is kept.
fn set_time(fd: &OwnedFd, name: &[u8], mtime: Timespec) -> Result<(), Errno> {
    let keep = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ };
    let times = Timestamps { last_access: keep, last_modification: mtime };
    if name.is_empty() {
        return rustix::fs::futimens(fd, &times);
    }
    rustix::fs::utimensat(fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests;
