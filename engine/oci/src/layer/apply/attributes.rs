//! Owner, attributes, permission bits and time of what was just made, in this order: a change of
//! owner takes away set-id bits and capabilities, and a change of anything moves no time back.

use super::{Applier, set_time};
use crate::layer::owner::{self, OwnerMode};
use crate::layer::{Entry, EntryKind, path};
use crate::{Error, Result};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Uid, XattrFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// Permission bits that a kernel may take away without an error.
const SET_ID: u32 = 0o6000;

impl Applier {
    /// Sets the metadata of an open file or directory; `explicit` when something was there before
    /// whose record would else be taken for this one's.
    pub(super) fn finish_fd(&mut self, fd: &OwnedFd, entry: &Entry, explicit: bool) -> Result<()> {
        let (uid, gid) = ids(entry)?;
        match self.owners {
            OwnerMode::Real => {
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(self.fail(CHOWN, entry))?;
            }
            OwnerMode::Recorded if explicit || (uid, gid) != (0, 0) => {
                self.record(fd, entry, owner::OWNER, owner::format_owner(uid, gid).as_bytes())?;
            }
            OwnerMode::Recorded => {}
        }
        if let Some(node) = owner::format_node(&entry.kind) {
            self.record(fd, entry, owner::NODE, node.as_bytes())?;
        }
        self.set_xattrs(fd, entry)?;
        if self.owners == OwnerMode::Recorded && entry.mode & SET_ID != 0 {
            let fail = self.fail("set the permissions of", entry);
            // Still writable, because a record may have to follow.
            rustix::fs::fchmod(fd, Mode::from_raw_mode(entry.mode | 0o600)).map_err(&fail)?;
            let stat = rustix::fs::fstat(fd).map_err(fail)?;
            if stat.st_mode & SET_ID != entry.mode & SET_ID {
                self.record(fd, entry, owner::MODE, format!("{:o}", entry.mode).as_bytes())?;
            }
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(entry.mode))
            .map_err(self.fail("set the permissions of", entry))?;
        set_time(fd, b"", seconds(entry)).map_err(self.fail("set the time of", entry))
    }

    /// Sets the metadata of a link, pipe or device, which has no open file.
    pub(super) fn finish_at(
        &mut self,
        parent: &OwnedFd,
        entry: &Entry,
        explicit: bool,
    ) -> Result<()> {
        let (_, name) = path::split(&entry.path);
        let (uid, gid) = ids(entry)?;
        match self.owners {
            OwnerMode::Real => {
                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(self.fail(CHOWN, entry))?;
            }
            OwnerMode::Recorded if explicit || (uid, gid) != (0, 0) => {
                self.stats.owners.insert(entry.path.clone(), (uid, gid));
            }
            OwnerMode::Recorded => {}
        }
        self.stats.dropped_xattrs +=
            entry.xattrs.keys().filter(|k| !owner::is_machine_xattr(k)).count() as u64;
        if !matches!(entry.kind, EntryKind::Symlink { .. }) {
            let mode = Mode::from_raw_mode(entry.mode);
            rustix::fs::chmodat(parent, name, mode, AtFlags::empty())
                .map_err(self.fail("set the permissions of", entry))?;
        }
        set_time(parent, name, seconds(entry)).map_err(self.fail("set the time of", entry))
    }

    fn set_xattrs(&mut self, fd: &OwnedFd, entry: &Entry) -> Result<()> {
        for (name, value) in &entry.xattrs {
            if owner::is_machine_xattr(name) {
                continue;
            }
            match rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::PERM | Errno::NOTSUP | Errno::INVAL) if !name.starts_with(b"user.") => {
                    let shadow = [owner::SHADOW.as_bytes(), name].concat();
                    let kept =
                        rustix::fs::fsetxattr(fd, shadow.as_slice(), value, XattrFlags::empty());
                    self.stats.dropped_xattrs += u64::from(kept.is_err());
                }
                Err(Errno::NOTSUP | Errno::PERM) => self.stats.dropped_xattrs += 1,
                Err(e) => {
                    return Err(self.root.error("set an extended attribute of", &entry.path, e));
                }
            }
        }
        Ok(())
    }

    fn record(&self, fd: &OwnedFd, entry: &Entry, key: &str, value: &[u8]) -> Result<()> {
        rustix::fs::fsetxattr(fd, key, value, XattrFlags::empty()).map_err(|e| match e {
            Errno::NOTSUP => Error::entry(
                &entry.path,
                "its owner cannot be recorded, because the file system has no user extended \
                 attributes; use ext4, xfs, btrfs, or tmpfs of Linux 6.6 or later",
            ),
            e => self.root.error("record the owner of", &entry.path, e),
        })
    }
}

const CHOWN: &str = "change the owner of";

/// Returns the owner as the kernel takes it; the highest number means "unchanged" to it.
fn ids(entry: &Entry) -> Result<(u32, u32)> {
    let id = |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX);
    match (id(entry.uid), id(entry.gid)) {
        (Some(uid), Some(gid)) => Ok((uid, gid)),
        _ => Err(Error::entry(
            &entry.path,
            format!("Linux has no owner {}:{}", entry.uid, entry.gid),
        )),
    }
}

fn seconds(entry: &Entry) -> Timespec {
    Timespec { tv_sec: entry.mtime, tv_nsec: 0 }
}
