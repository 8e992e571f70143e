//! Overlay mounts through the mount API of Linux 6.8 and newer, with `mount(2)` for older kernels;
//! `Documentation/filesystems/overlayfs.rst`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::{Error, Result};

/// The kernel's limit on the layers of one mount.
const MAX_LOWERS: usize = 500;

pub(crate) fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> Result<()> {
    if lowers.is_empty() {
        return rustix::mount::mount_bind(upper, target).map_err(Error::at(format_args!(
            "cannot show {} at {}",
            upper.display(),
            target.display()
        )));
    }
    let layers = Layers::open(lowers, Some((upper, work)))?;
    match layers.mount_at(target, true) {
        // Volatile is only faster: where it is not allowed the mount is made without it.
        Err(Errno::INVAL | Errno::PERM) => {
            layers.mount_at(target, false).or_else(|_| layers.mount_old(target))
        }
        other => other,
    }
    .map_err(|error| explain(error, upper, work, target))
}

/// Shows layers that nothing will change, from the topmost down; none of them is an empty directory.
pub(crate) fn mount_lowers(lowers: &[PathBuf], target: &Path) -> Result<()> {
    let what = format_args!("cannot show layers at {}", target.display()).to_string();
    match lowers {
        [] => Ok(()),
        // The kernel makes no overlay of one layer.
        [layer] => rustix::mount::mount_bind(layer, target).map_err(Error::at(what)),
        _ => {
            let layers = Layers::open(lowers, None)?;
            match layers.mount_at(target, false) {
                Err(Errno::INVAL | Errno::PERM) => layers.mount_old(target),
                other => other,
            }
            .map_err(Error::at(what))
        }
    }
}

/// All directories of an overlay, open: named through `/proc/self/fd`, so that no path is too long
/// for the kernel's options and none needs escaping.
struct Layers {
    lowers: Vec<OwnedFd>,
    /// What takes the changes, and the directory that the kernel works in.
    upper: Option<[OwnedFd; 2]>,
}

impl Layers {
    fn open(lowers: &[PathBuf], upper: Option<(&Path, &Path)>) -> Result<Self> {
        if lowers.len() > MAX_LOWERS {
            return Err(Error::Unsupported(format!(
                "an overlay has {MAX_LOWERS} layers at most, not {}",
                lowers.len()
            )));
        }
        let open = |path: &Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
                .map_err(Error::at(format_args!("cannot open the layer {}", path.display())))
        };
        let upper = match upper {
            Some((upper, work)) => Some([open(upper)?, open(work)?]),
            None => None,
        };
        Ok(Self { lowers: lowers.iter().map(|path| open(path)).collect::<Result<_>>()?, upper })
    }

    fn mount_at(&self, target: &Path, volatile: bool) -> rustix::io::Result<()> {
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&fs, "source", "overlay")?;
        for lower in &self.lowers {
            fsconfig_set_string(&fs, "lowerdir+", named(lower))?;
        }
        if let Some([upper, work]) = &self.upper {
            fsconfig_set_string(&fs, "upperdir", named(upper))?;
            fsconfig_set_string(&fs, "workdir", named(work))?;
        }
        fsconfig_set_string(&fs, "index", "off")?;
        fsconfig_set_flag(&fs, "userxattr")?;
        if volatile {
            fsconfig_set_flag(&fs, "volatile")?;
        }
        fsconfig_create(&fs)?;
        let mount = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        move_mount(&mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    }

    /// Kernels before 6.8 know no `lowerdir+`: everything in one string of less than a page.
    fn mount_old(&self, target: &Path) -> rustix::io::Result<()> {
        let lowers: Vec<_> = self.lowers.iter().map(named).collect();
        let mut options = format!("lowerdir={},index=off,userxattr", lowers.join(":"));
        if let Some([upper, work]) = &self.upper {
            options += &format!(",upperdir={},workdir={}", named(upper), named(work));
        }
        let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
        rustix::mount::mount("overlay", target, "overlay", MountFlags::empty(), &*options)
    }
}

fn named(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

fn explain(error: Errno, upper: &Path, work: &Path, target: &Path) -> Error {
    // A volatile mount leaves this mark, for its changes may never have reached the disk.
    if work.join("work/incompat/volatile").exists() {
        return Error::Failed(format!(
            "the work directory {} was used by an overlay before: use a new one",
            work.display()
        ));
    }
    match error {
        Errno::PERM | Errno::NODEV | Errno::NOSYS => Error::Unsupported(format!(
            "this kernel has no overlayfs for unprivileged users (Linux 5.11 or newer): {}",
            io::Error::from(error)
        )),
        Errno::INVAL | Errno::OPNOTSUPP => {
            let kind = file_system(upper);
            Error::Unsupported(format!(
                "overlayfs cannot keep its changes in {} ({kind}): use a directory on ext4, xfs, \
                 btrfs or tmpfs, with the work directory on the same file system",
                upper.display()
            ))
        }
        error => {
            Error::failed(format_args!("cannot mount an overlay at {}", target.display()), error)
        }
    }
}

/// Names the file system of a path, for people.
fn file_system(path: &Path) -> String {
    let magic = File::open(path).ok().and_then(|file| rustix::fs::fstatfs(file).ok());
    match magic.map(|stat| stat.f_type) {
        Some(0x794c_7630) => "it is on an overlay itself".into(),
        Some(0x6969) => "it is on NFS".into(),
        Some(other) => format!("file system {other:#x}"),
        None => "file system unknown".into(),
    }
}
