//! What a process that owns one id cannot set on a file, written beside it.
//!
//! A rootless process with a single mapped id cannot give a file to another owner, make a device
//! or, in places, set a capability. What should have been is recorded in extended attributes of
//! files and directories, and in a table for everything that can carry none, so that a later
//! diff says the same as that of a privileged process.

use super::EntryKind;
use std::collections::BTreeMap;

/// How the owners of files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerMode {
    /// By the file system: the process may change owners.
    Real,
    /// In attributes and a table: the process owns a single id.
    Recorded,
}

/// Owners of symbolic links, pipes and devices, by path relative to the root.
pub type OwnerTable = BTreeMap<Vec<u8>, (u32, u32)>;

/// `uid:gid`.
pub(super) const OWNER: &str = "user.mabuild.owner";
/// `c MAJOR MINOR` or `b MAJOR MINOR`, on an empty regular file.
pub(super) const NODE: &str = "user.mabuild.node";
/// Octal permission bits, where the file system did not take them.
pub(super) const MODE: &str = "user.mabuild.mode";
/// In front of the name of an attribute that the file system did not take.
pub(super) const SHADOW: &str = "user.mabuild.xattr.";

/// Tells whether an attribute belongs to the machine rather than to the layer: those of overlayfs,
/// the records above, and SELinux labels.
///
/// They are never written to a layer, and never taken from one, where they could turn a file into
/// a whiteout or a device.
pub(super) fn is_machine_xattr(name: &[u8]) -> bool {
    name.starts_with(b"user.overlay.")
        || name.starts_with(b"trusted.overlay.")
        || name.starts_with(b"user.mabuild.")
        || name == b"security.selinux"
}

/// Writes an owner as its record.
pub(super) fn format_owner(uid: u32, gid: u32) -> String {
    format!("{uid}:{gid}")
}

/// Reads the record of an owner.
pub(super) fn parse_owner(record: &[u8]) -> Option<(u32, u32)> {
    let (uid, gid) = std::str::from_utf8(record).ok()?.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// Writes a device as its record; `None` for what is no device.
pub(super) fn format_node(kind: &EntryKind) -> Option<String> {
    match kind {
        EntryKind::CharDev { major, minor } => Some(format!("c {major} {minor}")),
        EntryKind::BlockDev { major, minor } => Some(format!("b {major} {minor}")),
        _ => None,
    }
}

/// Reads the record of a device.
pub(super) fn parse_node(record: &[u8]) -> Option<EntryKind> {
    let mut words = std::str::from_utf8(record).ok()?.split(' ');
    let kind = words.next()?;
    let (major, minor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    match (kind, words.next()) {
        ("c", None) => Some(EntryKind::CharDev { major, minor }),
        ("b", None) => Some(EntryKind::BlockDev { major, minor }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_are_written() {
        assert_eq!(parse_owner(format_owner(7, u32::MAX).as_bytes()), Some((7, u32::MAX)));
        let node = EntryKind::BlockDev { major: 8, minor: 1 };
        let text = format_node(&node).unwrap();
        assert_eq!(text, "b 8 1");
        assert!(matches!(
            parse_node(text.as_bytes()),
            Some(EntryKind::BlockDev { major: 8, minor: 1 })
        ));
        assert!(format_node(&EntryKind::Fifo).is_none());
    }

    #[test]
    fn broken_records_are_none() {
        for record in ["", "1", "1:", ":1", "-1:1", "1:2:3", "4294967296:0", "\u{fffd}"] {
            assert_eq!(parse_owner(record.as_bytes()), None, "{record:?}");
        }
        for record in ["", "c", "c 1", "x 1 2", "c 1 2 3", "c -1 2"] {
            assert!(parse_node(record.as_bytes()).is_none(), "{record:?}");
        }
    }
}
