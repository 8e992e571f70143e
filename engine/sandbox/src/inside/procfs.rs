//! `/proc` and `/sys`, with what a build step has no business with masked or read-only.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};
use rustix::process::{Resource, Rlimit};

use super::root::{clone_tree, new_file_system};
use super::{Error, Result};
use crate::{host, sys};

/// Hidden parts of `/proc`.
const HIDDEN: [&str; 11] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
    "kmsg",
];

/// Parts of `/proc` that may only be read.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// The kernel's own limit of `kernel.pid_max`.
const PID_MAX: u32 = 1 << 22;

/// Hidden parts of `/sys`.
const HIDDEN_SYS: [&str; 2] = ["firmware", "devices/virtual/powercap"];

fn closed() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}

fn put(mount: &OwnedFd, at: &Path) -> rustix::io::Result<()> {
    move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Makes the `/proc` of this pid namespace; before the old root goes, for the kernel grants it only to
/// those who see a whole one. Where parts of the host's own are hidden, as in most containers, the
/// host's it is, with what is hidden there.
pub(crate) fn pick_proc() -> Result<OwnedFd> {
    let error = match new_file_system("proc", &[], closed()) {
        Err(error) => error,
        Ok(mount) => return Ok(mount),
    };
    if let (Errno::PERM, Ok(host)) = (error, clone_tree(Path::new("/proc"))) {
        sys::set_mount_attributes(host.as_fd(), u64::from(closed().bits()))
            .map_err(Error::at("cannot make the host's /proc harmless"))?;
        return Ok(host);
    }
    Err(Error::failed(
        "cannot mount /proc (in a container, run it with an unmasked /proc: docker run \
         --security-opt systempaths=unconfined)",
        error,
    ))
}

/// Mounts the picked `/proc`.
pub(crate) fn mount_proc(proc: &OwnedFd, at: &Path) -> Result<()> {
    put(proc, at).map_err(Error::at("cannot mount /proc"))
}

/// Makes a read-only `/sys`, where the kernel allows one: it belongs to the network namespace, and
/// is granted as `/proc` is. Where the network is the host's, so is this.
pub(crate) fn pick_sys() -> Option<OwnedFd> {
    let attributes = closed() | MountAttrFlags::MOUNT_ATTR_RDONLY;
    if let Ok(own) = new_file_system("sysfs", &[], attributes) {
        return Some(own);
    }
    let host = clone_tree(Path::new("/sys")).ok()?;
    sys::set_mount_attributes(host.as_fd(), u64::from(attributes.bits())).ok()?;
    Some(host)
}

/// Limits how many processes and threads there are at a time; sysctl `kernel.pid_max`, which each pid
/// namespace has for itself since Linux 6.14. Before that, and where `/proc` is the host's, root of all
/// ids would change the limit of the host: it is a limit of resources then.
pub(crate) fn limit_processes(proc: &Path, most: u32) -> Result<()> {
    let what = "cannot limit the number of processes";
    let file = proc.join("sys/kernel/pid_max");
    let is_own = std::fs::read_link(proc.join("self")).is_ok_and(|own| own == Path::new("1"));
    if is_own && host::kernel_version() >= (6, 14) {
        // There are pids enough for the kernel's smallest limit, which grows with the processors.
        let fits = |limit: &u32| std::fs::write(&file, limit.to_string()).is_ok();
        let limits = std::iter::successors(Some(most.max(1)), |limit| limit.checked_mul(2));
        if limits.take_while(|limit| *limit <= PID_MAX).any(|limit| fits(&limit)) {
            return Ok(());
        }
    }
    let now = rustix::process::getrlimit(Resource::Nproc);
    let limit = Some(now.maximum.map_or(u64::from(most), |now| now.min(u64::from(most))));
    rustix::process::setrlimit(Resource::Nproc, Rlimit { current: limit, maximum: limit })
        .map_err(Error::at(what))
}

/// Masks what is dangerous in `/proc`; `null` is a path to the null device.
pub(crate) fn mask_proc(proc: &Path, null: &Path) -> Result<()> {
    for name in HIDDEN {
        let path = proc.join(name);
        hide(&path, null).map_err(Error::at(format_args!("cannot mask {}", path.display())))?;
    }
    for name in READ_ONLY {
        let path = proc.join(name);
        protect(&path)
            .map_err(Error::at(format_args!("cannot make {} read-only", path.display())))?;
    }
    Ok(())
}

/// Mounts the picked `/sys` and masks what is dangerous in it.
pub(crate) fn mount_sys(sys: &OwnedFd, at: &Path) -> Result<()> {
    put(sys, at).map_err(Error::at("cannot mount /sys"))?;
    for name in HIDDEN_SYS {
        let path = at.join(name);
        if path.is_dir() {
            cover(&path).map_err(Error::at(format_args!("cannot mask {}", path.display())))?;
        }
    }
    Ok(())
}

/// Hides a file behind the null device, a directory behind an empty one; what is not there needs
/// no hiding.
fn hide(path: &Path, null: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(meta) if meta.is_dir() => cover(path),
        Ok(_) => Ok(put(&clone_tree(null)?, path)?),
    }
}

fn cover(path: &Path) -> std::io::Result<()> {
    let attributes = closed() | MountAttrFlags::MOUNT_ATTR_RDONLY;
    Ok(put(&new_file_system("tmpfs", &[("mode", "555")], attributes)?, path)?)
}

fn protect(path: &Path) -> std::io::Result<()> {
    let tree = match clone_tree(path) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let attributes = u64::from((closed() | MountAttrFlags::MOUNT_ATTR_RDONLY).bits());
    sys::set_mount_attributes(tree.as_fd(), attributes)?;
    Ok(put(&tree, path)?)
}
