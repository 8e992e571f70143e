//! Emulation of what the namespaces of a run cannot do.
//!
//! Devices are not for user namespaces to make: an empty file with an attribute stands for each. With
//! more than one id that is all; programs see the empty file then.
//!
//! Owner emulation is for id maps with one id: the calls of programs about owners and ids are caught
//! by the seccomp filter and answered here, so that programs see the owners that they set, and a
//! layer made from the files has the same owners as one made by root.
//!
//! Owners are kept in an attribute of each file; the files themselves all belong to the one id.
//! Of programs of the other ABI (386, 32-bit arm) `chown`, `statx`, ids and creation are answered;
//! their older `stat64` family shows the real owner. A file made through `openat2`, a dangling
//! symlink or `O_TMPFILE`, and a socket made by `bind`, belong to the default owner.

mod caller;
mod create;
mod ids;
mod records;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use self::caller::Caller;
use self::ids::{Creds, Ids};
pub(crate) use self::records::{Identity, Owner, identity as identity_of};
use self::records::{Meta, Records};
use crate::inside::{Error, Result};
use crate::seccomp::{ABIS, name_of};
use crate::spec::RunSpec;
use crate::sys;

/// Attribute with the recorded owner of a file or directory: `uid:gid`, decimal.
pub const OWNER_XATTR: &str = "user.mabuild.owner";

/// Attribute of an empty file that stands for a device: `c` or `b`, major and minor, decimal, as
/// in `c 1 3`.
pub const NODE_XATTR: &str = "user.mabuild.node";

/// The id that keeps what it is in chown(2).
const KEEP: u32 = u32::MAX;

/// What the waiting call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// This value.
    Value(i64),
    /// What the kernel makes of it.
    Continue,
    /// It has been answered already.
    Sent,
}

type Answered = rustix::io::Result<Answer>;

/// Answers the calls of one run.
#[derive(Debug)]
pub(crate) struct Supervisor {
    proc: Rc<OwnedFd>,
    records: Records,
    ids: Ids,
    /// Whether processes have the ids that they see, and only devices are emulated.
    real: bool,
}

impl Supervisor {
    /// Begins to record owners and devices. `default` is the owner of unrecorded files, `shown` are
    /// those of files that are not part of the root; the first program has the ids of `run`.
    pub fn of_owners(run: &RunSpec, default: Owner, shown: Vec<(Identity, Owner)>) -> Result<Self> {
        let ids = Ids::new(Creds::new(run.uid, run.gid, run.groups.clone()));
        Self::new(ids, default, shown, false)
    }

    /// Begins to record devices, which no user namespace can really make.
    pub fn of_devices() -> Result<Self> {
        Self::new(Ids::new(Creds::new(0, 0, Vec::new())), (0, 0), Vec::new(), true)
    }

    fn new(ids: Ids, default: Owner, shown: Vec<(Identity, Owner)>, real: bool) -> Result<Self> {
        let what = "cannot open /proc";
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open("/proc", flags, Mode::empty()).map_err(Error::at(what))?;
        let proc = Rc::new(proc);
        let records = Records::new(Rc::clone(&proc), default, shown);
        Ok(Self { proc, records, ids, real })
    }

    /// Records the owner of a file or directory.
    pub fn record(&mut self, file: &OwnedFd, owner: Owner) -> rustix::io::Result<()> {
        self.records.set(file, &Meta::of(file)?, owner)
    }

    /// Answers the next call. Who is gone by then needs no answer.
    pub fn serve(&mut self, listener: BorrowedFd<'_>) {
        let Ok(notif) = sys::notification(listener) else { return };
        let (value, error, flags) = match self.answer(listener, &notif) {
            Ok(Answer::Sent) => return,
            Ok(Answer::Value(value)) => (value, 0, 0),
            Ok(Answer::Continue) => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Err(errno) => (0, -errno.raw_os_error(), 0),
        };
        let response = libc::seccomp_notif_resp { id: notif.id, val: value, error, flags };
        // The caller may have been killed meanwhile.
        let _ = sys::answer(listener, response);
    }

    fn answer(&mut self, listener: BorrowedFd<'_>, notif: &libc::seccomp_notif) -> Answered {
        let Some(abi) = ABIS.iter().find(|abi| abi.audit == notif.data.arch) else {
            return Ok(Answer::Continue);
        };
        let number = u32::try_from(notif.data.nr).unwrap_or(u32::MAX);
        let Some(name) = name_of(abi.column, number) else { return Ok(Answer::Continue) };
        let proc = Rc::clone(&self.proc);
        let caller = Caller {
            proc: proc.as_fd(),
            listener,
            id: notif.id,
            pid: i32::try_from(notif.pid).map_err(|_| Errno::SRCH)?,
            args: notif.data.args,
        };
        match name {
            "chown" | "chown32" => self.chown_path(&caller, true, [1, 2].map(|i| caller.id_at(i))),
            "lchown" | "lchown32" => {
                self.chown_path(&caller, false, [1, 2].map(|i| caller.id_at(i)))
            }
            "chown16" => self.chown_path(&caller, true, [1, 2].map(|i| caller.short_id_at(i))),
            "lchown16" => self.chown_path(&caller, false, [1, 2].map(|i| caller.short_id_at(i))),
            "fchown" | "fchown32" => self.fchown(&caller, [1, 2].map(|i| caller.id_at(i))),
            "fchown16" => self.fchown(&caller, [1, 2].map(|i| caller.short_id_at(i))),
            "fchownat" => self.fchownat(&caller),
            "stat" | "lstat" | "fstat" | "newfstatat" | "statx" => {
                // What cannot be answered is for the kernel to answer: it knows best what is wrong,
                // and what /proc/self is.
                self.any_stat(name, &caller).or(Ok(Answer::Continue))
            }
            "mknod" | "mknodat" if self.real => self.make_device(name, &caller),
            "mkdir" | "mkdirat" | "mknod" | "mknodat" | "symlink" | "symlinkat" | "creat"
            | "open" | "openat" => self.create(name, &caller),
            _ => self.ids.answer(name, &caller),
        }
    }

    fn chown_path(&mut self, caller: &Caller<'_>, follow: bool, ids: [u32; 2]) -> Answered {
        let file = caller.resolve_self(libc::AT_FDCWD, 0, follow, false)?;
        self.chown(caller, &file, ids)
    }

    fn fchown(&mut self, caller: &Caller<'_>, ids: [u32; 2]) -> Answered {
        let file = caller.file(caller.fd_at(0))?;
        self.chown(caller, &file, ids)
    }

    fn fchownat(&mut self, caller: &Caller<'_>) -> Answered {
        let flags = caller.number(4);
        known_flags(flags, AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
        let flags = AtFlags::from_bits_retain(flags);
        let follow = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        let empty = flags.contains(AtFlags::EMPTY_PATH);
        let file = caller.resolve_self(caller.fd_at(0), 1, follow, empty)?;
        self.chown(caller, &file, [caller.id_at(2), caller.id_at(3)])
    }

    /// Does to the file what chown does beside the owner (copying it up, clearing setuid), then
    /// records the owner.
    fn chown(&mut self, caller: &Caller<'_>, file: &OwnedFd, [uid, gid]: [u32; 2]) -> Answered {
        let meta = Meta::of(file)?;
        let now = self.records.owner(file, &meta);
        self.ids.of(caller)?.may_chown(now, uid, gid)?;
        let root = |id: u32| (id != KEEP).then_some(0);
        rustix::fs::chownat(
            file,
            "",
            root(uid).map(rustix::fs::Uid::from_raw),
            root(gid).map(rustix::fs::Gid::from_raw),
            AtFlags::EMPTY_PATH,
        )?;
        let choose = |wanted, now| if wanted == KEEP { now } else { wanted };
        self.records.set(file, &meta, (choose(uid, now.0), choose(gid, now.1)))?;
        Ok(Answer::Value(0))
    }

    fn any_stat(&self, name: &str, caller: &Caller<'_>) -> Answered {
        match name {
            "statx" => self.statx(caller),
            "newfstatat" => self.newfstatat(caller),
            "fstat" => self.stat(caller, &caller.file(caller.fd_at(0))?, 1),
            _ => {
                let file = caller.resolve(libc::AT_FDCWD, 0, name == "stat", false)?;
                self.stat(caller, &file, 1)
            }
        }
    }

    fn newfstatat(&self, caller: &Caller<'_>) -> Answered {
        let flags = caller.number(3);
        let known = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        known_flags(flags, known)?;
        let flags = AtFlags::from_bits_retain(flags);
        let follow = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        let empty = flags.contains(AtFlags::EMPTY_PATH);
        let file = caller.resolve(caller.fd_at(0), 1, follow, empty)?;
        self.stat(caller, &file, 2)
    }

    /// Answers a stat call of the native ABI; `buffer` is the index of the argument with its address.
    fn stat(&self, caller: &Caller<'_>, file: &OwnedFd, buffer: usize) -> Answered {
        let mut stat = sys::stat_of(file.as_fd()).map_err(errno_of)?;
        let meta = Meta::from_stat(&stat);
        (stat.st_uid, stat.st_gid) = self.records.owner(file, &meta);
        if let Some(node) = self.records.node(file, &meta) {
            stat.st_mode = node.kind | stat.st_mode & 0o7777;
            stat.st_rdev = rustix::fs::makedev(node.major, node.minor);
        }
        caller.write(buffer, sys::stat_bytes(&stat))?;
        Ok(Answer::Value(0))
    }

    fn statx(&self, caller: &Caller<'_>) -> Answered {
        let flags = caller.number(2);
        let lookup = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        let sync = AtFlags::STATX_FORCE_SYNC | AtFlags::STATX_DONT_SYNC;
        known_flags(flags, lookup | sync)?;
        let flags = AtFlags::from_bits_retain(flags);
        let follow = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        let empty = flags.contains(AtFlags::EMPTY_PATH);
        let file = caller.resolve(caller.fd_at(0), 1, follow, empty)?;
        let sync = i32::try_from((flags & sync).bits()).map_err(|_| Errno::INVAL)?;
        let wanted = caller.number(3) | libc::STATX_BASIC_STATS;
        let mut statx = sys::statx_of(file.as_fd(), sync, wanted).map_err(errno_of)?;
        let meta = Meta::of(&file)?;
        (statx.stx_uid, statx.stx_gid) = self.records.owner(&file, &meta);
        if let Some(node) = self.records.node(&file, &meta) {
            let kind = u16::try_from(node.kind).map_err(|_| Errno::INVAL)?;
            statx.stx_mode = kind | statx.stx_mode & 0o7777;
            (statx.stx_rdev_major, statx.stx_rdev_minor) = (node.major, node.minor);
        }
        caller.write(4, sys::statx_bytes(&statx))?;
        Ok(Answer::Value(0))
    }

    /// Lists what was recorded beside the attributes, by path relative to `root`.
    pub fn side_owners(&self, root: BorrowedFd<'_>) -> Result<BTreeMap<Vec<u8>, Owner>> {
        self.records
            .side_owners(root)
            .map_err(Error::at("cannot find the files with recorded owners"))
    }
}

fn known_flags(flags: u32, known: AtFlags) -> rustix::io::Result<()> {
    if flags & !known.bits() == 0 { Ok(()) } else { Err(Errno::INVAL) }
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
