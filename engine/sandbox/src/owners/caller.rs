//! The process behind a caught call: its memory, files and paths. All paths are resolved by the
//! kernel with the root and the working directory of that process.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::errno_of;
use crate::sys;

/// The kernel's limit on a path, with its NUL.
const PATH_MAX: usize = 4096;

/// A process that waits for an answer.
pub(super) struct Caller<'a> {
    /// The `/proc` that shows it.
    pub proc: BorrowedFd<'a>,
    pub listener: BorrowedFd<'a>,
    pub id: u64,
    /// Its thread.
    pub pid: i32,
    pub args: [u64; 6],
}

impl Caller<'_> {
    fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// Reads an argument of 32 bits: the kernel ignores the upper half, too.
    pub fn number(&self, index: usize) -> u32 {
        (self.arg(index) & u64::from(u32::MAX)) as u32
    }

    /// Reads an argument that is a file descriptor.
    pub fn fd_at(&self, index: usize) -> i32 {
        self.number(index).cast_signed()
    }

    /// Reads an argument that is an id.
    pub fn id_at(&self, index: usize) -> u32 {
        self.number(index)
    }

    /// Reads an argument that is an id of 16 bits.
    pub fn short_id_at(&self, index: usize) -> u32 {
        match self.number(index) & 0xffff {
            0xffff => u32::MAX,
            id => id,
        }
    }

    /// Reads the string that an argument points to, without its NUL.
    pub fn string(&self, index: usize) -> rustix::io::Result<Vec<u8>> {
        let mut address = self.arg(index);
        let mut text = Vec::new();
        while text.len() < PATH_MAX {
            let mut part = [0; 256];
            // Never across a page that may not be there.
            let in_page = usize::try_from(256 - address % 256).unwrap_or(256);
            let part = part.get_mut(..in_page).unwrap_or_default();
            let read = sys::read_memory(self.pid, address, part).map_err(errno_of)?;
            let part = part.get(..read).unwrap_or_default();
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                text.extend_from_slice(part.get(..end).unwrap_or_default());
                return Ok(text);
            }
            if read < in_page {
                return Err(Errno::FAULT);
            }
            text.extend_from_slice(part);
            address += in_page as u64;
        }
        Err(Errno::NAMETOOLONG)
    }

    /// Reads a list of 32-bit numbers that an argument points to.
    pub fn numbers(&self, index: usize, count: usize) -> rustix::io::Result<Vec<u32>> {
        let mut bytes = vec![0; count * 4];
        let read = sys::read_memory(self.pid, self.arg(index), &mut bytes).map_err(errno_of)?;
        if read < bytes.len() {
            return Err(Errno::FAULT);
        }
        let (numbers, _) = bytes.as_chunks::<4>();
        Ok(numbers.iter().map(|number| u32::from_ne_bytes(*number)).collect())
    }

    /// Writes bytes to where an argument points.
    pub fn write(&self, index: usize, bytes: &[u8]) -> rustix::io::Result<()> {
        if !self.waits() {
            return Err(Errno::SRCH);
        }
        sys::write_memory(self.pid, self.arg(index), bytes).map_err(errno_of)
    }

    /// Tells whether the process still waits: its number may have been given to another since.
    pub fn waits(&self) -> bool {
        sys::still_waits(self.listener, self.id)
    }

    /// Reads a file about it in `/proc`.
    pub fn about(&self, file: &str) -> rustix::io::Result<String> {
        about(self.proc, self.pid, file)
    }

    fn link(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let path = format!("{}/{name}", self.pid);
        rustix::fs::openat(self.proc, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// Opens (`O_PATH`) what a descriptor of it stands for.
    pub fn file(&self, fd: i32) -> rustix::io::Result<OwnedFd> {
        if fd < 0 {
            return Err(Errno::BADF);
        }
        let file = self.link(&format!("fd/{fd}")).map_err(|error| match error {
            Errno::NOENT => Errno::BADF,
            other => other,
        })?;
        if self.waits() { Ok(file) } else { Err(Errno::SRCH) }
    }

    /// Opens (`O_PATH`) the path in argument `index`, relative to a descriptor of it.
    pub fn resolve(
        &self,
        fd: i32,
        index: usize,
        follow: bool,
        empty: bool,
    ) -> rustix::io::Result<OwnedFd> {
        let path = match self.arg(index) {
            0 if empty => Vec::new(),
            _ => self.string(index)?,
        };
        if path.is_empty() {
            return match (empty, fd) {
                (false, _) => Err(Errno::NOENT),
                (true, libc::AT_FDCWD) => self.link("cwd"),
                (true, fd) => self.file(fd),
            };
        }
        let flags = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        self.open(fd, Path::new(as_path(&path)), flags)
    }

    /// As [`resolve`](Self::resolve), and also finds paths that lead over `/proc/self`, such as
    /// `/dev/stdout`: that link is another for each process.
    pub fn resolve_self(
        &self,
        fd: i32,
        index: usize,
        follow: bool,
        empty: bool,
    ) -> rustix::io::Result<OwnedFd> {
        match self.resolve(fd, index, follow, empty) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let path = self.string(index)?;
        let path = Path::new(as_path(&path));
        self.stand_in(fd, path.is_absolute())?;
        self.walk(path, follow)
    }

    /// Walks a path link by link, from our own root or working directory.
    fn walk(&self, path: &Path, follow: bool) -> rustix::io::Result<OwnedFd> {
        let step = OFlags::PATH | OFlags::CLOEXEC;
        let open = |path: &str| rustix::fs::openat(CWD, path, step, Mode::empty());
        let mut at = open(if path.is_absolute() { "/" } else { "." })?;
        let mut left: VecDeque<OsString> = parts(path).collect();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            let next = rustix::fs::openat(&at, &name, step | OFlags::NOFOLLOW, Mode::empty())?;
            let is_link =
                FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) == FileType::Symlink;
            if !is_link || (left.is_empty() && !follow) {
                at = next;
                continue;
            }
            links += 1;
            if links > 40 {
                return Err(Errno::LOOP);
            }
            if rustix::fs::fstatfs(&next)?.f_type == rustix::fs::PROC_SUPER_MAGIC {
                let own = match name.to_str() {
                    Some("self") => Some(self.link("")?),
                    Some("thread-self") => Some(self.link(&format!("task/{}", self.pid))?),
                    _ => None,
                };
                at = match own {
                    Some(own) => own,
                    None => rustix::fs::openat(&at, &name, step, Mode::empty())?,
                };
                continue;
            }
            let link = rustix::fs::readlinkat(&next, "", Vec::new())?.into_bytes();
            let link = Path::new(as_path(&link));
            if link.is_absolute() {
                at = open("/")?;
            }
            let inner: Vec<_> = parts(link).collect();
            inner.into_iter().rev().for_each(|part| left.push_front(part));
        }
        Ok(at)
    }

    /// Opens (`O_PATH`) a path as this process would.
    pub fn open(&self, fd: i32, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        self.stand_in(fd, path.is_absolute())?;
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty())
    }

    /// Takes the root and the working directory of the process as our own.
    fn stand_in(&self, fd: i32, absolute: bool) -> rustix::io::Result<()> {
        let root = self.link("root")?;
        let start = match (absolute, fd) {
            (true, _) => None,
            (false, libc::AT_FDCWD) => Some(self.link("cwd")?),
            (false, fd) => Some(self.file(fd)?),
        };
        if !self.waits() {
            return Err(Errno::SRCH);
        }
        rustix::process::fchdir(&root)?;
        rustix::process::chroot(".")?;
        start.map_or(Ok(()), rustix::process::fchdir)
    }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

/// Reads a file of a process in `/proc`.
pub(super) fn about(proc: BorrowedFd<'_>, pid: i32, file: &str) -> rustix::io::Result<String> {
    use std::io::Read;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(proc, format!("{pid}/{file}"), flags, Mode::empty())?;
    let mut bytes = Vec::new();
    std::fs::File::from(fd).read_to_end(&mut bytes).map_err(errno_of)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Views the bytes of a path as a path.
pub(super) fn as_path(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}
