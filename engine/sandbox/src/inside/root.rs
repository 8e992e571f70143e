//! Puts the root file system of a run together in a mount namespace of its own, and moves into it.
//!
//! What comes from the host is picked up as detached mounts first; everything is then attached
//! after the old root is gone, so that no symlink in the root can lead out of it.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::points::{Kind, Points};
use super::{Error, Result, StageSpec, devices, procfs};
use crate::emulator::{Emulator, EmulatorMode};
use crate::spec::{Mount, Network, Source};
use crate::sys;

/// Where an emulator in [`EmulatorMode::Prefix`] appears.
pub(crate) const PREFIX: &str = "/dev/.emulator";

/// Where everything is to be mounted, as paths inside the root.
#[derive(Debug)]
pub(crate) struct Plan {
    pub proc: PathBuf,
    pub dev: PathBuf,
    /// Absent on the network of the host, whose devices it would show.
    pub sys: Option<PathBuf>,
    /// The caller's mounts, then the files of the network.
    pub mounts: Vec<(PathBuf, Kind, Mount)>,
}

impl Plan {
    /// Makes every mount point.
    pub fn prepare(spec: &StageSpec, points: &mut Points) -> Result<Self> {
        let run = &spec.run;
        let mut directory = |path: &str| points.prepare(Path::new(path), Kind::Directory);
        let (proc, dev) = (directory("/proc")?, directory("/dev")?);
        let sys = match run.network {
            Network::Host => None,
            Network::None => Some(directory("/sys")?),
        };
        let file = |content: &Option<Vec<u8>>, target: &str| {
            let source = Source::Content { bytes: content.clone()?, mode: 0o644, uid: 0, gid: 0 };
            Some(Mount { source, target: target.into(), read_only: false })
        };
        let network = [file(&run.resolv_conf, "/etc/resolv.conf"), file(&run.hosts, "/etc/hosts")];
        let mut mounts = Vec::new();
        for mount in run.mounts.iter().cloned().chain(network.into_iter().flatten()) {
            let kind = kind_of(&mount.source)?;
            mounts.push((points.prepare(&mount.target, kind)?, kind, mount));
        }
        Ok(Self { proc, dev, sys, mounts })
    }
}

fn kind_of(source: &Source) -> Result<Kind> {
    match source {
        Source::Path(path) => {
            let meta = std::fs::metadata(path)
                .map_err(Error::at(format_args!("cannot mount {}", path.display())))?;
            Ok(if meta.is_dir() { Kind::Directory } else { Kind::File })
        }
        Source::Tmpfs { .. } => Ok(Kind::Directory),
        Source::Content { .. } => Ok(Kind::File),
    }
}

/// Builds the root of `spec` and makes it the root of this process. What it returns must be kept
/// open as long as programs run: the emulator's registration lives with it.
pub(crate) fn enter(spec: &StageSpec, plan: &Plan) -> Result<Option<OwnedFd>> {
    let run = &spec.run;
    let binfmt = match &run.emulator {
        Some(emulator) if emulator.mode == EmulatorMode::Binfmt => Some(register(emulator)?),
        _ => None,
    };
    let picked = Picked::from_host(spec, plan)?;
    pivot(&picked)?;
    procfs::mount_proc(&picked.proc, &plan.proc)?;
    devices::mount(&plan.dev, &picked.devices)?;
    if let Some(emulator) = &picked.emulator {
        attach(emulator, Path::new(PREFIX), Kind::File)?;
    }
    procfs::mask_proc(&plan.proc, &plan.dev.join("null"))?;
    if let (Some(sys), Some(at)) = (&picked.sys, &plan.sys) {
        procfs::mount_sys(sys, at)?;
    }
    for ((target, kind, mount), tree) in plan.mounts.iter().zip(&picked.trees) {
        let what = |error: Error| {
            Error::Failed(format!("cannot mount at {}: {error}", mount.target.display()))
        };
        attach(tree, target, *kind).map_err(what)?;
    }
    Ok(binfmt)
}

/// Detached mounts of what the root shows of the host, and of what it gets anew.
struct Picked {
    root: OwnedFd,
    /// A file system in memory that carries the new root while the old one goes.
    staging: OwnedFd,
    proc: OwnedFd,
    sys: Option<OwnedFd>,
    devices: Vec<(&'static str, OwnedFd)>,
    emulator: Option<OwnedFd>,
    trees: Vec<OwnedFd>,
}

impl Picked {
    fn from_host(spec: &StageSpec, plan: &Plan) -> Result<Self> {
        let run = &spec.run;
        let root = clone_tree(&run.root)
            .map_err(Error::at(format_args!("cannot use the root {}", run.root.display())))?;
        sys::set_mount_attributes(std::os::fd::AsFd::as_fd(&root), libc::MOUNT_ATTR_NODEV)
            .map_err(Error::at("cannot forbid device files in the root (mount_setattr)"))?;
        let staging = staging(&run.root)?;
        let emulator = match &run.emulator {
            Some(emulator) if emulator.mode == EmulatorMode::Prefix => {
                Some(clone_tree(&emulator.interpreter).map_err(Error::at(format_args!(
                    "cannot use the emulator {}",
                    emulator.interpreter.display()
                )))?)
            }
            _ => None,
        };
        let mut trees = Vec::new();
        for (index, (_, _, mount)) in plan.mounts.iter().enumerate() {
            let tree = pick(mount, &staging, index, spec.single).map_err(|error| {
                Error::Failed(format!("cannot mount at {}: {error}", mount.target.display()))
            })?;
            trees.push(tree);
        }
        Ok(Self {
            root,
            staging,
            proc: procfs::pick_proc()?,
            sys: plan.sys.as_ref().and_then(|_| procfs::pick_sys()),
            devices: devices::pick(),
            emulator,
            trees,
        })
    }
}

/// Copies a mount, with all below it, out of the tree of mounts.
pub(crate) fn clone_tree(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags)
}

/// Makes a new file system that is not mounted yet.
pub(crate) fn new_file_system(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(&fs, *key, *value)?;
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts a file system in memory over the root's own directory: it is covered in this mount
/// namespace alone, and exists surely.
fn staging(root: &Path) -> Result<OwnedFd> {
    let what = "cannot make a file system in memory";
    let staging = new_file_system("tmpfs", &[("mode", "700")], MountAttrFlags::empty())
        .map_err(Error::at(what))?;
    move_mount(&staging, "", CWD, root, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(Error::at(what))?;
    rustix::fs::mkdirat(&staging, "root", Mode::RWXU).map_err(Error::at(what))?;
    Ok(staging)
}

fn pick(mount: &Mount, staging: &OwnedFd, index: usize, single: bool) -> Result<OwnedFd> {
    let tree = match &mount.source {
        Source::Path(path) => clone_tree(path).map_err(Error::at(path.display()))?,
        Source::Tmpfs { size, mode } => {
            let mode = format!("{:o}", mode & 0o7777);
            let size = size.map(|size| size.to_string());
            let mut options = vec![("mode", mode.as_str())];
            options.extend(size.as_deref().map(|size| ("size", size)));
            new_file_system("tmpfs", &options, MountAttrFlags::empty())
                .map_err(Error::at("cannot make a file system in memory"))?
        }
        Source::Content { bytes, mode, uid, gid } => {
            let owner = if single { (0, 0) } else { (*uid, *gid) };
            content(staging, index, bytes, *mode, owner)?
        }
    };
    let mut attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    if mount.read_only {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    sys::set_mount_attributes(std::os::fd::AsFd::as_fd(&tree), attributes)
        .map_err(Error::at("cannot set the attributes of the mount"))?;
    Ok(tree)
}

fn content(
    staging: &OwnedFd,
    index: usize,
    bytes: &[u8],
    mode: u32,
    (uid, gid): (u32, u32),
) -> Result<OwnedFd> {
    let what = "cannot make a file in memory";
    let name = index.to_string();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(staging, &name, flags, Mode::RUSR).map_err(Error::at(what))?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(Error::at(what))?;
    rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .map_err(Error::at(format_args!("{what} that belongs to {uid}:{gid}")))?;
    file.set_permissions(PermissionsExt::from_mode(mode & 0o7777)).map_err(Error::at(what))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(staging, &name, flags).map_err(Error::at(what))
}

/// Makes the picked root the root of this mount namespace and drops everything else.
fn pivot(picked: &Picked) -> Result<()> {
    let what = "cannot move into the root (is the host running from an initramfs?)";
    let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&picked.root, "", &picked.staging, "root", from).map_err(Error::at(what))?;
    rustix::process::fchdir(&picked.root).map_err(Error::at(what))?;
    // Old and new root at the same place: the old one comes to lie on top and is taken off.
    rustix::process::pivot_root(".", ".").map_err(Error::at(what))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(Error::at(what))?;
    rustix::process::chdir("/").map_err(Error::at(what))
}

/// Mounts a detached tree at a path of the new root. A target below another mount may be missing.
fn attach(tree: &OwnedFd, target: &Path, kind: Kind) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    let mount = || move_mount(tree, "", CWD, target, flags);
    match mount() {
        Err(Errno::NOENT) => {
            make(target, kind).and_then(|()| Ok(mount()?)).map_err(Error::at(target.display()))
        }
        other => other.map_err(Error::at(target.display())),
    }
}

fn make(target: &Path, kind: Kind) -> std::io::Result<()> {
    match kind {
        Kind::Directory => std::fs::create_dir_all(target),
        Kind::File => {
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)?;
            }
            File::create_new(target).map(drop)
        }
    }
}

/// Registers an emulator with this user namespace; the mount holds the registration.
pub(crate) fn register(emulator: &Emulator) -> Result<OwnedFd> {
    let path = emulator.interpreter.display();
    let start = std::fs::read(&emulator.interpreter)
        .map_err(Error::at(format_args!("cannot read the emulator {path}")))?;
    if crate::elf::parse(&start).is_some_and(|elf| elf.interpreter.is_some()) {
        return Err(Error::Failed(format!(
            "the emulator {path} is not a static program: use a static build of it (package \
             qemu-user-static)"
        )));
    }
    let line = emulator.registration.line("emulator", &emulator.interpreter);
    let line = line.map_err(Error::Failed)?;
    let old = "this kernel has no binfmt_misc for user namespaces (Linux 6.7 or newer)";
    let mount = new_file_system("binfmt_misc", &[], MountAttrFlags::empty())
        .map_err(|error| Error::Unsupported(format!("{old}: {error}")))?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&mount, "register", flags, Mode::empty())
        .and_then(|file| rustix::io::write(&file, &line))
        .map_err(Error::at(format_args!("the kernel refused to register the emulator {path}")))?;
    Ok(mount)
}
