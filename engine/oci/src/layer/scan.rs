//! Reading the metadata of one file of a directory tree of ours, with what was recorded beside it.

use super::owner::{self, OwnerTable};
use super::{Content, EntryKind, OwnerMode};
use crate::{Error, Result};
use rustix::fs::{AtFlags, CWD, FileType, Stat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// One file of a tree.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: EntryKind,
    pub(super) mode: u32,
    /// The owner that the file system says.
    pub(super) real_owner: (u32, u32),
    /// The owner that was recorded on the file.
    pub(super) recorded_owner: Option<(u32, u32)>,
    pub(super) mtime: i64,
    /// What belongs to the layer; records are taken out.
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Device and inode number, where the file has other names.
    pub(super) shared: Option<(u64, u64)>,
    /// Whether overlayfs hides what is below this directory.
    pub(super) opaque: bool,
}

/// What stands at a path of one layer of an overlay.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing; look further below.
    Nothing,
    /// A mark that nothing is here, whatever is below.
    Whiteout,
    /// A socket, which no layer can hold.
    Socket,
    /// Something.
    Node(Box<Node>),
}

impl Node {
    pub(super) fn is_dir(&self) -> bool {
        matches!(self.kind, EntryKind::Dir)
    }

    /// Decides the owner of the file at `at`.
    pub(super) fn owner(
        &self,
        mode: OwnerMode,
        at: &[u8],
        table: &OwnerTable,
    ) -> Option<(u32, u32)> {
        if mode == OwnerMode::Real {
            return Some(self.real_owner);
        }
        let no_record = !matches!(self.kind, EntryKind::File { .. } | EntryKind::Dir);
        self.recorded_owner.or_else(|| table.get(at).copied().filter(|_| no_record))
    }

    /// Tells whether two files are of the same type.
    pub(super) fn same_type(&self, other: &Node) -> bool {
        std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind)
    }
}

/// Joins a host directory and a path of the layer.
pub(super) fn host_path(root: &Path, at: &[u8]) -> PathBuf {
    if at.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(at)) }
}

/// Reads the file at `at` below `root`; the directories on the way must be real ones.
pub(super) fn look(root: &Path, at: &[u8]) -> Result<Found> {
    let path = host_path(root, at);
    let stat = match rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Found::Nothing),
        Err(e) => return Err(Error::io("stat", path, e)),
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => EntryKind::Dir,
        FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            EntryKind::File { content: Content::Path(path.clone()), size }
        }
        FileType::Symlink => {
            let target = std::fs::read_link(&path).map_err(|e| Error::io("read link", &path, e))?;
            EntryKind::Symlink { target: target.into_os_string().into_vec() }
        }
        FileType::CharacterDevice => match device(&stat) {
            (0, 0) => return Ok(Found::Whiteout),
            (major, minor) => EntryKind::CharDev { major, minor },
        },
        FileType::BlockDevice => {
            let (major, minor) = device(&stat);
            EntryKind::BlockDev { major, minor }
        }
        FileType::Fifo => EntryKind::Fifo,
        FileType::Socket => return Ok(Found::Socket),
        FileType::Unknown => {
            return Err(Error::io("read", path, std::io::Error::other("its file type is unknown")));
        }
    };
    let mut node = Node {
        shared: (stat.st_nlink > 1 && !matches!(kind, EntryKind::Dir))
            .then_some((stat.st_dev, stat.st_ino)),
        kind,
        mode: stat.st_mode & 0o7777,
        real_owner: (stat.st_uid, stat.st_gid),
        recorded_owner: None,
        mtime: stat.st_mtime,
        xattrs: BTreeMap::new(),
        opaque: false,
    };
    let raw = read_xattrs(&path)?;
    if raw.keys().any(|k| is_overlay(k, "whiteout")) {
        return Ok(Found::Whiteout);
    }
    node.take_records(&path, raw)?;
    Ok(Found::Node(Box::new(node)))
}

impl Node {
    /// Applies the records among the attributes of a file and keeps the rest.
    fn take_records(&mut self, path: &Path, raw: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<()> {
        for (name, value) in raw {
            if is_overlay(&name, "redirect") || is_overlay(&name, "metacopy") {
                let reason =
                    "overlayfs left only a reference; mount with redirect_dir=off,metacopy=off";
                return Err(Error::io("read", path, std::io::Error::other(reason)));
            }
            if is_overlay(&name, "opaque") {
                self.opaque = value == b"y";
            } else if name == owner::OWNER.as_bytes() {
                self.recorded_owner = owner::parse_owner(&value);
            } else if name == owner::MODE.as_bytes() {
                let mode = std::str::from_utf8(&value).ok();
                let mode = mode.and_then(|m| u32::from_str_radix(m, 8).ok());
                // A chmod since then has the last word, so the record counts for its own bits only.
                if let Some(mode) = mode.filter(|m| m & 0o777 == self.mode & 0o777) {
                    self.mode |= mode & 0o6000;
                }
            } else if name == owner::NODE.as_bytes() {
                let empty = matches!(self.kind, EntryKind::File { size: 0, .. });
                if let Some(kind) = owner::parse_node(&value).filter(|_| empty) {
                    self.kind = kind;
                }
            } else if let Some(shadowed) = name.strip_prefix(owner::SHADOW.as_bytes()) {
                self.xattrs.entry(shadowed.to_vec()).or_insert(value);
            } else if !owner::is_machine_xattr(&name) {
                self.xattrs.insert(name, value);
            }
        }
        Ok(())
    }
}

fn device(stat: &Stat) -> (u32, u32) {
    (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))
}

fn is_overlay(name: &[u8], what: &str) -> bool {
    [&b"user.overlay."[..], b"trusted.overlay."]
        .iter()
        .any(|prefix| name.strip_prefix(*prefix) == Some(what.as_bytes()))
}

fn read_xattrs(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut out = BTreeMap::new();
    let fail = |e: Errno| Error::io("read the extended attributes of", path, e);
    let list = match grow(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Ok(list) => list,
        Err(Errno::NOTSUP) => return Ok(out),
        Err(e) => return Err(fail(e)),
    };
    for name in list.split(|b| *b == 0).filter(|n| !n.is_empty()) {
        match grow(|buffer| rustix::fs::lgetxattr(path, name, buffer)) {
            Ok(value) => {
                out.insert(name.to_vec(), value);
            }
            // Listed but not for us to read, or gone meanwhile.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::NOTSUP) => {}
            Err(e) => return Err(fail(e)),
        }
    }
    Ok(out)
}

/// Calls with a larger buffer until the answer fits.
fn grow(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(n) => return Ok(small[..n.min(small.len())].to_vec()),
        Err(Errno::RANGE) => {}
        Err(e) => return Err(e),
    }
    let mut size = 4096;
    loop {
        let mut buffer = vec![0; size];
        match call(&mut buffer) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer);
            }
            // The kernel holds no attribute list larger than 64 KiB; a megabyte is beyond all.
            Err(Errno::RANGE) if size < 1 << 20 => size *= 4,
            Err(e) => return Err(e),
        }
    }
}

/// Returns the sorted names in a directory.
pub(super) fn names(root: &Path, at: &[u8]) -> Result<Vec<Vec<u8>>> {
    let path = host_path(root, at);
    let fail = |e| Error::io("read directory", &path, e);
    let mut names = std::fs::read_dir(&path)
        .map_err(fail)?
        .map(|item| item.map(|i| i.file_name().into_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(fail)?;
    names.sort_unstable();
    Ok(names)
}

/// Tells whether two regular files have the same bytes.
pub(super) fn same_content(a: &Path, b: &Path) -> Result<bool> {
    use std::io::Read;
    let open = |p: &Path| std::fs::File::open(p).map_err(|e| Error::io("open", p, e));
    let (mut left, mut right) = (open(a)?, open(b)?);
    let (mut x, mut y) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = left.read(&mut x).map_err(|e| Error::io("read", a, e))?;
        if n == 0 {
            return Ok(right.read(&mut y[..1]).map_err(|e| Error::io("read", b, e))? == 0);
        }
        match right.read_exact(&mut y[..n]) {
            Ok(()) if x[..n] == y[..n] => {}
            Ok(()) => return Ok(false),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(Error::io("read", b, e)),
        }
    }
}

/// Turns a node into an entry at `at`.
pub(super) fn entry(at: &[u8], node: Node, owner: (u32, u32)) -> super::Entry {
    let mtime = node.mtime;
    super::Entry {
        path: at.to_vec(),
        kind: node.kind,
        mode: node.mode,
        uid: owner.0.into(),
        gid: owner.1.into(),
        mtime,
        xattrs: node.xattrs,
    }
}

/// Finds the names that share a file and makes all but the first into hard links.
#[derive(Default)]
pub(super) struct Groups(std::collections::HashMap<(u64, u64), Vec<u8>>);

impl Groups {
    /// Returns the entry, as a hard link when another name of the file came before.
    pub(super) fn entry(&mut self, at: &[u8], node: Node, owner: (u32, u32)) -> super::Entry {
        let shared = node.shared;
        let mut entry = entry(at, node, owner);
        if let Some(id) = shared {
            match self.0.get(&id) {
                Some(first) => entry.kind = EntryKind::Hardlink { target: first.clone() },
                None => {
                    self.0.insert(id, at.to_vec());
                }
            }
        }
        entry
    }
}
