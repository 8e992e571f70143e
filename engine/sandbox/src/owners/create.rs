//! Calls that create something: it belongs to the ids that the process believes to have. As long
//! as that is the default owner the kernel does the work.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::caller::{Caller, as_path};
use super::ids::{self, umask_of};
use super::records::{Meta, Node};
use super::{Answer, Answered, Supervisor};
use crate::sys;

/// What is to be created.
enum What {
    Directory { mode: u32 },
    Symlink { to: Vec<u8> },
    File { flags: u32, mode: u32 },
    Special { mode: u32, dev: u32 },
}

/// Where it is to be created.
struct Place {
    parent: OwnedFd,
    name: PathBuf,
}

impl Supervisor {
    pub(super) fn create(&mut self, name: &str, caller: &Caller<'_>) -> Answered {
        let (fd, path, what) = match what(name, caller)? {
            Some(found) => found,
            None => return Ok(Answer::Continue),
        };
        let Some(place) = place(caller, fd, path)? else { return Ok(Answer::Continue) };
        let device = matches!(what, What::Special { mode, .. } if device_kind(mode).is_some());
        let creds = self.ids.of(caller)?;
        if device {
            creds.may_make_devices()?;
        }
        let mut owner = creds.creator();
        let meta = Meta::of(&place.parent)?;
        if meta.mode & libc::S_ISGID != 0 {
            owner.1 = self.records.owner(&place.parent, &meta).1;
        }
        if owner == self.records.default_owner() && !device {
            return Ok(Answer::Continue);
        }
        self.make(caller, &place, what, owner)
    }

    /// Makes a device for a process that really has its ids.
    pub(super) fn make_device(&mut self, name: &str, caller: &Caller<'_>) -> Answered {
        let Some((fd, path, What::Special { mode, dev })) = what(name, caller)? else {
            return Ok(Answer::Continue);
        };
        let Some(kind) = device_kind(mode) else { return Ok(Answer::Continue) };
        let Some(place) = place(caller, fd, path)? else { return Ok(Answer::Continue) };
        let (owner, may) = ids::real_creator(caller)?;
        if !may {
            return Err(Errno::PERM);
        }
        rustix::process::umask(Mode::from_raw_mode(umask_of(caller)?));
        self.make_node(&place, kind, mode, dev)?;
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        rustix::fs::chownat(
            &place.parent,
            &place.name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        Ok(Answer::Value(0))
    }

    /// Makes the empty file that stands for a device.
    fn make_node(&self, place: &Place, kind: u32, mode: u32, dev: u32) -> rustix::io::Result<()> {
        let (major, minor) = ((dev >> 8) & 0xfff, dev & 0xff | (dev >> 12) & 0xf_ff00);
        // In an overlay this says that a file was removed.
        if (kind, major, minor) == (libc::S_IFCHR, 0, 0) {
            return Err(Errno::PERM);
        }
        open_new(place, (OFlags::WRONLY | OFlags::EXCL).bits(), mode)?;
        let recorded = self.records.set_node(&open_made(place)?, Node { kind, major, minor });
        if recorded.is_err() {
            // A file system without attributes; the file would be no device.
            let _ = rustix::fs::unlinkat(&place.parent, &place.name, AtFlags::empty());
            return Err(Errno::PERM);
        }
        Ok(())
    }

    fn make(
        &mut self,
        caller: &Caller<'_>,
        place: &Place,
        what: What,
        owner: (u32, u32),
    ) -> Answered {
        rustix::process::umask(Mode::from_raw_mode(umask_of(caller)?));
        let Place { parent, name } = place;
        match what {
            What::Directory { mode } => {
                rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode & 0o7777))?;
            }
            What::Symlink { to } => rustix::fs::symlinkat(as_path(&to), parent, name)?,
            What::File { flags, mode } => {
                let file = open_new(place, flags, mode)?;
                self.record_made(place, owner)?;
                let close_on_exec = flags & OFlags::CLOEXEC.bits() != 0;
                sys::answer_with_fd(caller.listener, caller.id, file.as_fd(), close_on_exec)
                    .map_err(super::errno_of)?;
                return Ok(Answer::Sent);
            }
            What::Special { mode, dev } => match device_kind(mode) {
                Some(kind) => self.make_node(place, kind, mode, dev)?,
                None => {
                    let kind = FileType::from_raw_mode(if mode & libc::S_IFMT == 0 {
                        libc::S_IFREG
                    } else {
                        mode
                    });
                    rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(mode & 0o7777), 0)?;
                }
            },
        }
        self.record_made(place, owner)?;
        Ok(Answer::Value(0))
    }

    fn record_made(&mut self, place: &Place, owner: (u32, u32)) -> rustix::io::Result<()> {
        let file = open_made(place)?;
        let meta = Meta::of(&file)?;
        self.records.set(&file, &meta, owner)
    }
}

fn device_kind(mode: u32) -> Option<u32> {
    Some(mode & libc::S_IFMT).filter(|kind| [libc::S_IFCHR, libc::S_IFBLK].contains(kind))
}

fn open_new(place: &Place, flags: u32, mode: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::from_bits_retain(flags) | OFlags::CREATE | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode & 0o7777);
    rustix::fs::openat(&place.parent, &place.name, flags | OFlags::NOFOLLOW, mode)
}

fn open_made(place: &Place) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&place.parent, &place.name, flags, Mode::empty())
}

/// Reads the arguments of a call: directory, path, and what to create there.
fn what(name: &str, caller: &Caller<'_>) -> rustix::io::Result<Option<(i32, Vec<u8>, What)>> {
    let here = libc::AT_FDCWD;
    let number = |index| caller.number(index);
    let flags_of_creat = (OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC).bits();
    let (fd, path, what) = match name {
        "mkdir" => (here, 0, What::Directory { mode: number(1) }),
        "mkdirat" => (caller.fd_at(0), 1, What::Directory { mode: number(2) }),
        "symlink" => (here, 1, What::Symlink { to: caller.string(0)? }),
        "symlinkat" => (caller.fd_at(1), 2, What::Symlink { to: caller.string(0)? }),
        "mknod" => (here, 0, What::Special { mode: number(1), dev: number(2) }),
        "mknodat" => (caller.fd_at(0), 1, What::Special { mode: number(2), dev: number(3) }),
        "creat" => (here, 0, What::File { flags: flags_of_creat, mode: number(1) }),
        "open" => (here, 0, What::File { flags: number(1), mode: number(2) }),
        "openat" => (caller.fd_at(0), 1, What::File { flags: number(2), mode: number(3) }),
        _ => return Ok(None),
    };
    Ok(Some((fd, caller.string(path)?, what)))
}

/// Opens the directory of a path that does not exist; `None` when there is nothing to create, or
/// the path is such that the kernel must say what is wrong with it.
fn place(caller: &Caller<'_>, fd: i32, mut path: Vec<u8>) -> rustix::io::Result<Option<Place>> {
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    let path = Path::new(as_path(&path));
    let Some(name) = path.file_name() else { return Ok(None) };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = match caller.open(fd, parent, OFlags::DIRECTORY) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => return Ok(None),
        other => other?,
    };
    match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(Some(Place { parent, name: name.into() })),
        _ => Ok(None),
    }
}
