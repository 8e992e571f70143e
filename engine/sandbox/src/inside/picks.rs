//! What a run shows of the host, and of what it gets anew: picked up as detached mounts before the
//! first process starts.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::points::Kind;
use super::proxy::Socket;
use super::root::{NEW_ROOT, clone_tree, new_file_system};
use super::{Error, Result, StageSpec, devices, overlay};
use crate::emulator::EmulatorMode;
use crate::owners::{Identity, Owner, identity_of};
use crate::spec::{Mount, RunSpec, Source};
use crate::sys;

/// The picked mounts of one run.
pub(crate) struct Picks {
    pub root: OwnedFd,
    pub devices: Vec<(&'static str, OwnedFd)>,
    pub emulator: Option<OwnedFd>,
    pub mounts: Vec<Picked>,
    /// Sockets whose connections are to be passed on.
    pub sockets: Vec<Socket>,
    /// Owners to be shown of files that cannot really have them.
    pub owners: Vec<(Identity, Owner)>,
}

/// One mount, not attached yet.
pub(crate) struct Picked {
    pub target: PathBuf,
    pub kind: Kind,
    pub tree: OwnedFd,
}

impl Picks {
    /// Picks up everything. Afterwards a file system in memory lies over the root's own directory, in
    /// this mount namespace: it exists surely, and carries the new root while the old one goes.
    pub fn from_host(spec: &StageSpec) -> Result<Self> {
        let run = &spec.run;
        let root = clone_tree(&run.root)
            .map_err(Error::at(format_args!("cannot use the root {}", run.root.display())))?;
        sys::set_mount_attributes(root.as_fd(), libc::MOUNT_ATTR_NODEV)
            .map_err(Error::at("cannot forbid device files in the root (mount_setattr)"))?;
        let emulator = match &run.emulator {
            Some(emulator) if emulator.mode == EmulatorMode::Prefix => {
                Some(clone_tree(&emulator.interpreter).map_err(Error::at(format_args!(
                    "cannot use the emulator {}",
                    emulator.interpreter.display()
                )))?)
            }
            _ => None,
        };
        let what = "cannot make a file system in memory";
        let area = new_file_system("tmpfs", &[("mode", "700")], MountAttrFlags::empty())
            .map_err(Error::at(what))?;
        let mut picks = Self {
            root,
            devices: devices::pick(),
            emulator,
            mounts: Vec::new(),
            sockets: Vec::new(),
            owners: Vec::new(),
        };
        move_mount(&area, "", CWD, &run.root, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(Error::at(what))?;
        rustix::fs::mkdirat(&area, NEW_ROOT, Mode::RWXU).map_err(Error::at(what))?;
        let network = [(&run.resolv_conf, "/etc/resolv.conf"), (&run.hosts, "/etc/hosts")];
        let network = network.into_iter().filter_map(|(content, target)| {
            let source = Source::Content { bytes: content.clone()?, mode: 0o644, uid: 0, gid: 0 };
            Some(Mount { source, target: target.into(), read_only: false })
        });
        for (index, mount) in run.mounts.iter().cloned().chain(network).enumerate() {
            let place = Place { area: &area, run, name: index.to_string(), single: spec.single };
            let (kind, tree) = picks.pick(&place, &mount).map_err(|error| {
                Error::Failed(format!("cannot mount at {}: {error}", mount.target.display()))
            })?;
            picks.mounts.push(Picked { target: mount.target, kind, tree });
        }
        Ok(picks)
    }

    fn pick(&mut self, place: &Place<'_>, mount: &Mount) -> Result<(Kind, OwnedFd)> {
        let (kind, tree) = match &mount.source {
            Source::Path(path) => pick_path(path)?,
            Source::Tmpfs { size, mode } => (Kind::Directory, tmpfs(*size, *mode)?),
            Source::Content { bytes, mode, uid, gid } => {
                place.write(bytes)?;
                (Kind::File, self.finish(place, *mode, (*uid, *gid))?)
            }
            Source::Overlay { lowers, subpath, upper } => {
                place.overlay(lowers, subpath, upper.as_deref())?
            }
            Source::Socket { path, mode, uid, gid } => {
                let listener = place.listen(path)?;
                self.sockets.push(Socket { listener, to: path.clone() });
                (Kind::File, self.finish(place, *mode, (*uid, *gid))?)
            }
        };
        let mut attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        if mount.read_only {
            attributes |= libc::MOUNT_ATTR_RDONLY;
        }
        sys::set_mount_attributes(tree.as_fd(), attributes)
            .map_err(Error::at("cannot set the attributes of the mount"))?;
        Ok((kind, tree))
    }

    /// Gives the new file of a place its mode and owner, and picks it up.
    fn finish(&mut self, place: &Place<'_>, mode: u32, owner: Owner) -> Result<OwnedFd> {
        let Place { area, name, .. } = place;
        let what = "cannot make a file in memory";
        if !place.single {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            rustix::fs::chownat(area, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Error::at(format_args!(
                    "{what} that belongs to {}:{}",
                    owner.0, owner.1
                )))?;
        } else if owner != (0, 0) {
            let file =
                rustix::fs::openat(area, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let identity = file.and_then(|file| identity_of(file.as_fd()));
            self.owners.push((identity.map_err(Error::at(what))?, owner));
        }
        rustix::fs::chmodat(area, name, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())
            .map_err(Error::at(what))?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(area, name, flags).map_err(Error::at(what))
    }
}

fn pick_path(path: &Path) -> Result<(Kind, OwnedFd)> {
    let tree = clone_tree(path).map_err(Error::at(path.display()))?;
    let kind = kind_of(&tree).map_err(Error::at(path.display()))?;
    Ok((kind, tree))
}

fn kind_of(tree: &OwnedFd) -> rustix::io::Result<Kind> {
    let stat = rustix::fs::fstat(tree)?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    Ok(if is_dir { Kind::Directory } else { Kind::File })
}

fn tmpfs(size: Option<u64>, mode: u32) -> Result<OwnedFd> {
    let mode = format!("{:o}", mode & 0o7777);
    let size = size.map(|size| size.to_string());
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_deref().map(|size| ("size", size)));
    new_file_system("tmpfs", &options, MountAttrFlags::empty())
        .map_err(Error::at("cannot make a file system in memory"))
}

/// A name in the file system in memory, for one mount to use.
struct Place<'a> {
    area: &'a OwnedFd,
    run: &'a RunSpec,
    name: String,
    single: bool,
}

impl Place<'_> {
    fn write(&self, bytes: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(self.area, &self.name, flags, Mode::RUSR)
            .map_err(std::io::Error::from)
            .and_then(|fd| File::from(fd).write_all(bytes))
            .map_err(Error::at("cannot make a file in memory"))
    }

    /// Makes a socket that listens, where the one that it stands for does exist.
    fn listen(&self, to: &Path) -> Result<UnixListener> {
        std::fs::metadata(to).map_err(Error::at(to.display()))?;
        // A name has no length that would be too much for the address of a socket; a path has.
        rustix::process::fchdir(self.area)
            .map_err(std::io::Error::from)
            .and_then(|()| UnixListener::bind(&self.name))
            .map_err(Error::at("cannot make a socket in memory"))
    }

    /// Mounts trees on top of each other and picks what is shown of them.
    fn overlay(
        &self,
        lowers: &[PathBuf],
        subpath: &Path,
        upper: Option<&Path>,
    ) -> Result<(Kind, OwnedFd)> {
        rustix::fs::mkdirat(self.area, &self.name, Mode::from_raw_mode(0o755))
            .map_err(Error::at("cannot make a directory in memory"))?;
        let at = self.run.root.join(&self.name);
        match upper {
            Some(dir) => {
                let [upper, work] = ["upper", "work"].map(|name| dir.join(name));
                for dir in [&upper, &work] {
                    std::fs::create_dir(dir)
                        .and_then(|()| {
                            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755))
                        })
                        .map_err(Error::at(format_args!("cannot make {}", dir.display())))?;
                }
                overlay::mount(lowers, &upper, &work, &at)?;
            }
            None => overlay::mount_lowers(lowers, &at)?,
        }
        let shown = format!("cannot show {} of the trees", Path::new("/").join(subpath).display());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let subpath = if subpath.as_os_str().is_empty() { Path::new("/") } else { subpath };
        let clone = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let picked = rustix::fs::open(&at, flags | OFlags::DIRECTORY, Mode::empty())
            .and_then(|top| rustix::fs::openat2(top, subpath, flags, Mode::empty(), resolve))
            .and_then(|found| open_tree(found, "", clone))
            .and_then(|tree| Ok((kind_of(&tree)?, tree)));
        picked.map_err(Error::at(shown))
    }
}
