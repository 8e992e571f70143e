//! Puts the root file system of a run together in a mount namespace of its own, and moves into it.
//!
//! What comes from the host was picked up as detached mounts before; everything is attached after
//! the old root is gone, so that no symlink in the root can lead out of it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::picks::{Picked, Picks};
use super::points::{Kind, Points};
use super::{Error, Result, StageSpec, devices, procfs};
use crate::emulator::{Emulator, EmulatorMode};
use crate::spec::RunSpec;

/// Where an emulator in [`EmulatorMode::Prefix`] appears.
pub(crate) const PREFIX: &str = "/dev/.emulator";

/// Where the new root is put together, in the file system in memory that lies over its own directory.
pub(crate) const NEW_ROOT: &str = "root";

/// What is to be mounted, and where as paths inside the root.
pub(crate) struct Plan {
    pub proc: PathBuf,
    pub dev: PathBuf,
    /// Absent on the network of the host, whose devices it would show.
    pub sys: Option<PathBuf>,
    /// The caller's mounts are at the paths that were found, with the target that was asked for.
    mounts: Vec<(PathBuf, Picked)>,
    root: OwnedFd,
    devices: Vec<(&'static str, OwnedFd)>,
    emulator: Option<OwnedFd>,
}

impl Plan {
    /// Makes every mount point.
    pub fn prepare(points: &mut Points, picks: Picks) -> Result<Self> {
        let mut directory = |path: &str| points.prepare(Path::new(path), Kind::Directory);
        let (proc, dev) = (directory("/proc")?, directory("/dev")?);
        let sys = Some(directory("/sys")?);
        let found = picks.mounts.into_iter().map(|picked| {
            let at = points.prepare(&picked.target, picked.kind)?;
            Ok((at, picked))
        });
        let mounts = found.collect::<Result<_>>()?;
        let Picks { root, devices, emulator, .. } = picks;
        Ok(Self { proc, dev, sys, mounts, root, devices, emulator })
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
    let proc = procfs::pick_proc()?;
    let sys = plan.sys.as_ref().and_then(|at| Some((at, procfs::pick_sys()?)));
    pivot(run, &plan.root)?;
    procfs::mount_proc(&proc, &plan.proc)?;
    devices::mount(&plan.dev, &plan.devices)?;
    if let Some(emulator) = &plan.emulator {
        attach(emulator, Path::new(PREFIX), Kind::File)?;
    }
    procfs::limit_processes(&plan.proc, run.max_processes)?;
    procfs::mask_proc(&plan.proc, &plan.dev.join("null"))?;
    if let Some((at, sys)) = &sys {
        procfs::mount_sys(sys, at)?;
    }
    for (at, picked) in &plan.mounts {
        attach(&picked.tree, at, picked.kind).map_err(|error| {
            Error::Failed(format!("cannot mount at {}: {error}", picked.target.display()))
        })?;
    }
    Ok(binfmt)
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

/// Makes the picked root the root of this mount namespace and drops everything else.
fn pivot(run: &RunSpec, root: &OwnedFd) -> Result<()> {
    let what = "cannot move into the root (is the host running from an initramfs?)";
    let area = run.root.join(NEW_ROOT);
    move_mount(root, "", CWD, &area, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(Error::at(what))?;
    rustix::process::fchdir(root).map_err(Error::at(what))?;
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
