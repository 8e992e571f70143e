//! Watches the free space of a file system, so that a run cannot fill it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::{Error, Result};
use crate::spec::MinFree;

/// How often the space is looked at: a fast disk takes half a gigabyte in this time.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// The file system that must not get full.
#[derive(Debug)]
pub(crate) struct Disk {
    on: OwnedFd,
    limit: MinFree,
    checked: Option<Instant>,
}

impl Disk {
    /// Finds the file system.
    pub fn open(limit: &MinFree) -> Result<Self> {
        let path = &limit.path;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let on = rustix::fs::open(path, flags, Mode::empty())
            .map_err(Error::at(format_args!("cannot watch the space at {}", path.display())))?;
        Ok(Self { on, limit: limit.clone(), checked: None })
    }

    /// Looks at the space, where the last look is long enough ago.
    ///
    /// # Errors
    /// [`Error::DiskFull`] when too little is left.
    pub fn check(&mut self) -> Result<()> {
        if self.checked.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        self.checked = Some(Instant::now());
        // A file system that cannot tell its space is none that can be guarded.
        let Ok(stat) = rustix::fs::fstatvfs(&self.on) else { return Ok(()) };
        let left = stat.f_bavail.saturating_mul(stat.f_frsize);
        if left >= self.limit.bytes {
            return Ok(());
        }
        Err(Error::DiskFull(format!(
            "stopped, because only {} MiB are left on the disk of {} and {} MiB must stay free: make \
             space there",
            left >> 20,
            self.limit.path.display(),
            self.limit.bytes >> 20
        )))
    }
}
