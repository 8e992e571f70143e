//! A minimal `/dev`: the harmless devices of the host, terminals and shared memory of its own.

use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};

use super::root::{clone_tree, new_file_system};
use super::{Error, Result};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Picks the devices of the host up; those that it has not are missing inside, too.
pub(crate) fn pick() -> Vec<(&'static str, OwnedFd)> {
    let clone = |name| Some((name, clone_tree(&Path::new("/dev").join(name)).ok()?));
    DEVICES.into_iter().filter_map(clone).collect()
}

/// Mounts the new `/dev` at `dev`.
pub(crate) fn mount(dev: &Path, devices: &[(&str, OwnedFd)]) -> Result<()> {
    let what = "cannot make /dev";
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID;
    put("tmpfs", &[("mode", "755"), ("size", "64m")], quiet, dev).map_err(Error::at(what))?;
    for (name, device) in devices {
        let target = dev.join(name);
        std::fs::File::create_new(&target).map_err(Error::at(what))?;
        move_mount(device, "", CWD, &target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(Error::at(format_args!("cannot show the device /dev/{name}")))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).map_err(Error::at(what))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        std::fs::create_dir(dev.join(name)).map_err(Error::at(what))?;
    }
    let closed = quiet | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let pts = [("ptmxmode", "0666"), ("mode", "0620")];
    put("devpts", &pts, quiet | MountAttrFlags::MOUNT_ATTR_NOEXEC, &dev.join("pts"))
        .map_err(Error::at("cannot make /dev/pts"))?;
    put("tmpfs", &[("mode", "1777"), ("size", "64m")], closed, &dev.join("shm"))
        .map_err(Error::at("cannot make /dev/shm"))?;
    // Message queues are an option of the kernel, and few programs know them.
    let _ = put("mqueue", &[], closed, &dev.join("mqueue"));
    Ok(())
}

fn put(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
    at: &Path,
) -> rustix::io::Result<()> {
    let mount = new_file_system(kind, options, attributes)?;
    move_mount(&mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
