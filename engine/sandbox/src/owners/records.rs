//! Where owners are written down: in an attribute of the file, or for what cannot carry one, in
//! a table by identity.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, XattrFlags};
use rustix::io::Errno;

use super::caller::as_path;
use super::{NODE_XATTR, OWNER_XATTR, errno_of};
use crate::sys;

/// The number under which ids appear that are not mapped.
const OVERFLOW: u32 = 65534;

/// User and group.
pub(crate) type Owner = (u32, u32);

/// Which file this is, for as long as it exists: numbers of inodes are used again, but not with
/// the same time of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    dev: (u32, u32),
    ino: u64,
    born: (i64, u32),
}

/// What of a file's status matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub mode: u32,
    uid: u32,
    gid: u32,
    size: i64,
}

impl Meta {
    pub fn of(file: &OwnedFd) -> rustix::io::Result<Self> {
        sys::stat_of(file.as_fd()).map(|stat| Self::from_stat(&stat)).map_err(errno_of)
    }

    #[expect(
        clippy::unnecessary_cast,
        reason = "the width of these fields differs by architecture"
    )]
    pub fn from_stat(stat: &libc::stat) -> Self {
        Self { mode: stat.st_mode, uid: stat.st_uid, gid: stat.st_gid, size: stat.st_size as i64 }
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    fn carries_attributes(&self) -> bool {
        matches!(self.kind(), FileType::RegularFile | FileType::Directory)
    }
}

/// A device that an empty file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    /// `S_IFCHR` or `S_IFBLK`.
    pub kind: u32,
    pub major: u32,
    pub minor: u32,
}

#[derive(Debug)]
pub(super) struct Records {
    proc: Rc<OwnedFd>,
    default: Owner,
    /// Owner and last known path.
    side: HashMap<Identity, (Owner, PathBuf)>,
    /// Owners of files outside of the root.
    shown: HashMap<Identity, Owner>,
}

impl Records {
    pub fn new(proc: Rc<OwnedFd>, default: Owner, shown: Vec<(Identity, Owner)>) -> Self {
        Self { proc, default, side: HashMap::new(), shown: shown.into_iter().collect() }
    }

    /// The owner of files that nothing is recorded of.
    pub fn default_owner(&self) -> Owner {
        self.default
    }

    /// Names an open file for calls that take no descriptor of the `O_PATH` kind.
    fn named(&self, file: &OwnedFd) -> rustix::io::Result<String> {
        rustix::process::fchdir(&*self.proc)?;
        Ok(format!("self/fd/{}", file.as_raw_fd()))
    }

    fn attribute(&self, file: &OwnedFd, name: &str) -> Option<String> {
        let mut value = [0; 64];
        let path = self.named(file).ok()?;
        let length = rustix::fs::getxattr(path, name, &mut value).ok()?;
        String::from_utf8(value.get(..length)?.to_vec()).ok()
    }

    /// Tells who owns a file, as programs inside should see it.
    pub fn owner(&self, file: &OwnedFd, meta: &Meta) -> Owner {
        let recorded = if meta.carries_attributes() {
            self.attribute(file, OWNER_XATTR).and_then(|text| parse_owner(&text))
        } else {
            None
        };
        if let Some(owner) = recorded.or_else(|| self.beside(file)) {
            return owner;
        }
        // Ids of the host that are not mapped are as good as root's.
        let shown = |id, default| if id == 0 || id == OVERFLOW { default } else { id };
        (shown(meta.uid, self.default.0), shown(meta.gid, self.default.1))
    }

    fn beside(&self, file: &OwnedFd) -> Option<Owner> {
        if self.side.is_empty() && self.shown.is_empty() {
            return None;
        }
        let identity = identity(file.as_fd()).ok()?;
        let side = self.side.get(&identity).map(|(owner, _)| *owner);
        side.or_else(|| self.shown.get(&identity).copied())
    }

    /// Records an owner; the default one is recorded by forgetting any other.
    pub fn set(&mut self, file: &OwnedFd, meta: &Meta, owner: Owner) -> rustix::io::Result<()> {
        if meta.carries_attributes() {
            match self.set_attribute(file, owner) {
                Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                other => return other,
            }
        }
        let identity = identity(file.as_fd())?;
        if owner == self.default {
            self.side.remove(&identity);
            return Ok(());
        }
        let path = rustix::fs::readlink(self.named(file)?, Vec::new())?;
        self.side.insert(identity, (owner, as_path(path.as_bytes()).into()));
        Ok(())
    }

    fn set_attribute(&self, file: &OwnedFd, owner: Owner) -> rustix::io::Result<()> {
        let path = self.named(file)?;
        if owner != self.default {
            let text = format!("{}:{}", owner.0, owner.1);
            return rustix::fs::setxattr(path, OWNER_XATTR, text.as_bytes(), XattrFlags::empty());
        }
        match rustix::fs::removexattr(path, OWNER_XATTR) {
            Err(Errno::NODATA) => Ok(()),
            other => other,
        }
    }

    /// Tells which device an empty file stands for.
    pub fn node(&self, file: &OwnedFd, meta: &Meta) -> Option<Node> {
        if meta.kind() != FileType::RegularFile || meta.size != 0 {
            return None;
        }
        parse_node(&self.attribute(file, NODE_XATTR)?)
    }

    /// Makes an empty file stand for a device.
    pub fn set_node(&self, file: &OwnedFd, node: Node) -> rustix::io::Result<()> {
        let mut text = String::from(if node.kind == libc::S_IFCHR { "c" } else { "b" });
        // Writing into a string does not fail.
        let _ = write!(text, " {} {}", node.major, node.minor);
        rustix::fs::setxattr(self.named(file)?, NODE_XATTR, text.as_bytes(), XattrFlags::empty())
    }

    /// Finds what is in the table below `root`, by relative path. What was renamed since is looked
    /// for everywhere; what is gone is left out.
    pub fn side_owners(
        &self,
        root: BorrowedFd<'_>,
    ) -> rustix::io::Result<BTreeMap<Vec<u8>, Owner>> {
        let mut found = BTreeMap::new();
        let mut missing = self.side.clone();
        for (wanted, (owner, path)) in &self.side {
            let relative = path.strip_prefix("/").unwrap_or(path);
            if identity_at(root, relative).is_ok_and(|identity| identity == *wanted) {
                found.insert(relative.as_os_str().as_encoded_bytes().to_vec(), *owner);
                missing.remove(wanted);
            }
        }
        if !missing.is_empty() {
            search(root, &missing, &mut found)?;
        }
        Ok(found)
    }
}

fn parse_owner(text: &str) -> Option<Owner> {
    let (uid, gid) = text.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn parse_node(text: &str) -> Option<Node> {
    let mut fields = text.split(' ');
    let kind = match fields.next()? {
        "c" => libc::S_IFCHR,
        "b" => libc::S_IFBLK,
        _ => return None,
    };
    let node =
        Node { kind, major: fields.next()?.parse().ok()?, minor: fields.next()?.parse().ok()? };
    fields.next().is_none().then_some(node)
}

/// Tells which file this is.
pub(crate) fn identity(file: BorrowedFd<'_>) -> rustix::io::Result<Identity> {
    let wanted = StatxFlags::INO | StatxFlags::BTIME;
    let statx = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted)?;
    let born = if statx.stx_mask & StatxFlags::BTIME.bits() == 0 {
        (0, 0)
    } else {
        (statx.stx_btime.tv_sec, statx.stx_btime.tv_nsec)
    };
    Ok(Identity { dev: (statx.stx_dev_major, statx.stx_dev_minor), ino: statx.stx_ino, born })
}

fn identity_at(root: BorrowedFd<'_>, relative: &Path) -> rustix::io::Result<Identity> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = rustix::fs::openat2(root, relative, flags, Mode::empty(), resolve)?;
    identity(file.as_fd())
}

/// Walks the whole tree for the files of a table.
fn search(
    root: BorrowedFd<'_>,
    wanted: &HashMap<Identity, (Owner, PathBuf)>,
    found: &mut BTreeMap<Vec<u8>, Owner>,
) -> rustix::io::Result<()> {
    let mut directories = vec![PathBuf::new()];
    while let Some(path) = directories.pop() {
        let at = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let dir = match rustix::fs::openat2(root, at, flags, Mode::empty(), resolve) {
            // Paths beyond the kernel's limit hold nothing that a layer could have.
            Err(Errno::NAMETOOLONG | Errno::NOENT | Errno::ACCESS) => continue,
            other => other?,
        };
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let below = path.join(as_path(name.to_bytes()));
            match entry.file_type() {
                FileType::Directory => directories.push(below),
                FileType::RegularFile => {}
                _ => {
                    let owner = identity_at(root, &below).ok().and_then(|id| wanted.get(&id));
                    if let Some((owner, _)) = owner {
                        found.insert(below.as_os_str().as_encoded_bytes().to_vec(), *owner);
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn opened(path: &Path) -> OwnedFd {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).unwrap()
    }

    #[test]
    fn values_are_read_strictly() {
        assert_eq!(parse_owner("1:4294967294"), Some((1, 4_294_967_294)));
        assert_eq!(parse_owner("1"), None);
        assert_eq!(parse_owner("-1:2"), None);
        let node = Node { kind: libc::S_IFCHR, major: 1, minor: 3 };
        assert_eq!(parse_node("c 1 3"), Some(node));
        assert_eq!(parse_node("c 1 3 4"), None);
        assert_eq!(parse_node("x 1 3"), None);
    }

    #[test]
    fn renamed_symlinks_are_found_and_removed_ones_are_not() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("d/e")).unwrap();
        let root: OwnedFd = fs::File::open(temp.path()).unwrap().into();
        let mut records = Records::new(Rc::new(opened(Path::new("/proc"))), (0, 0), Vec::new());
        for (name, owner) in [("kept", 1), ("moved", 2), ("gone", 3), ("reset", 4)] {
            let path = temp.path().join(name);
            symlink("x", &path).unwrap();
            let identity = identity(opened(&path).as_fd()).unwrap();
            records.side.insert(identity, ((owner, owner), Path::new("/").join(name)));
        }
        fs::rename(temp.path().join("moved"), temp.path().join("d/e/new")).unwrap();
        fs::remove_file(temp.path().join("gone")).unwrap();
        let reset = identity(opened(&temp.path().join("reset")).as_fd()).unwrap();
        records.side.remove(&reset);
        let found = records.side_owners(root.as_fd()).unwrap();
        let expected = BTreeMap::from([(b"kept".to_vec(), (1, 1)), (b"d/e/new".to_vec(), (2, 2))]);
        assert_eq!(found, expected);
    }
}
