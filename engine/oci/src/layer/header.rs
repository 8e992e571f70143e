//! The tar header of an entry: ustar, with a pax record only for what ustar cannot hold.
//!
//! Format: POSIX.1-2017, `pax` utility; extended attributes as `SCHILY.xattr.` records, those that
//! are named as the records of layers of Windows as these.

use super::{Entry, EntryKind, path};
use crate::{Error, Result};
use std::collections::BTreeMap;
use tar_core::builder::{HeaderBuilder, PaxBuilder};
use tar_core::{EntryType, HEADER_SIZE, HeaderError};

/// Largest number in an octal field of 8 bytes: ids and device numbers.
const MAX_SMALL: u64 = 0o7_777_777;
/// Largest number in an octal field of 12 bytes: size and time.
const MAX_LARGE: u64 = 0o77_777_777_777;
/// What the records of layers of Windows begin with.
const WINDOWS: [&str; 2] = ["MSWINDOWS.", "LIBARCHIVE.creationtime"];
const WINDOWS_ATTRIBUTES: &[u8] = b"MSWINDOWS.fileattr";
const NAME: usize = 100;
const PREFIX: usize = 155;

/// Two zero blocks: the end of an archive.
pub(super) const END: [u8; 2 * HEADER_SIZE] = [0; 2 * HEADER_SIZE];

/// Returns how many zero bytes follow a content of `size` bytes.
pub(super) fn padding(size: u64) -> usize {
    let block = HEADER_SIZE as u64;
    ((block - size % block) % block) as usize
}

/// Writes the header blocks of an entry, without its content.
pub(super) fn encode(entry: &Entry) -> Result<Vec<u8>> {
    let fail = |e: HeaderError| Error::entry(&entry.path, format!("no tar header for it: {e}"));
    let name = archive_name(entry)?;
    let link = match &entry.kind {
        EntryKind::Symlink { target } | EntryKind::Hardlink { target } => target.as_slice(),
        _ => b"",
    };
    let size = match entry.kind {
        EntryKind::File { size, .. } => size,
        _ => 0,
    };
    let mut pax = BTreeMap::new();
    let (prefix, short) = match split_name(&name) {
        Some(parts) => parts,
        None => {
            pax.insert("path".to_owned(), name.clone());
            (&b""[..], &name[..NAME])
        }
    };
    let short_link = if link.len() > NAME {
        pax.insert("linkpath".to_owned(), link.to_vec());
        &link[..NAME]
    } else {
        link
    };
    let mut number = |key: &str, value: u64, max: u64| {
        if value <= max {
            return value;
        }
        pax.insert(key.to_owned(), value.to_string().into_bytes());
        0
    };
    let uid = number("uid", entry.uid, MAX_SMALL);
    let gid = number("gid", entry.gid, MAX_SMALL);
    let size = number("size", size, MAX_LARGE);
    let mtime = number("mtime", u64::try_from(entry.mtime).unwrap_or(0), MAX_LARGE);
    let mut mode = entry.mode;
    for (key, value) in &entry.xattrs {
        if key == WINDOWS_ATTRIBUTES {
            mode |= windows_type(&entry.kind);
        }
        pax.insert(pax_key(entry, key)?, value.clone());
    }

    let mut header = HeaderBuilder::new_ustar();
    header.entry_type(entry_type(&entry.kind));
    header.path(short).map_err(fail)?.prefix(prefix).map_err(fail)?;
    header.link_name(short_link).map_err(fail)?;
    header.mode(mode).map_err(fail)?.uid(uid).map_err(fail)?.gid(gid).map_err(fail)?;
    header.size(size).map_err(fail)?.mtime(mtime).map_err(fail)?;
    if let EntryKind::CharDev { major, minor } | EntryKind::BlockDev { major, minor } = entry.kind {
        header.device(major, minor).map_err(fail)?;
    }
    let mut out = if pax.is_empty() { Vec::new() } else { pax_blocks(entry, &pax)? };
    out.extend_from_slice(header.finish().as_bytes());
    Ok(out)
}

fn entry_type(kind: &EntryKind) -> EntryType {
    match kind {
        EntryKind::Dir => EntryType::Directory,
        EntryKind::File { .. } | EntryKind::Whiteout | EntryKind::Opaque => EntryType::Regular,
        EntryKind::Symlink { .. } => EntryType::Symlink,
        EntryKind::Hardlink { .. } => EntryType::Link,
        EntryKind::CharDev { .. } => EntryType::Char,
        EntryKind::BlockDev { .. } => EntryType::Block,
        EntryKind::Fifo => EntryType::Fifo,
    }
}

/// Returns the path as it stands in the archive: directories end in a slash, markers have their
/// reserved names.
fn archive_name(entry: &Entry) -> Result<Vec<u8>> {
    let (parent, name) = path::split(&entry.path);
    match entry.kind {
        EntryKind::Whiteout if name.is_empty() => {
            Err(Error::entry(b"", "the root of a layer cannot be whited out; use an opaque mark"))
        }
        EntryKind::Whiteout => Ok(path::join(parent, &[path::WHITEOUT_PREFIX, name].concat())),
        EntryKind::Opaque => Ok(path::join(&entry.path, path::OPAQUE_NAME)),
        _ if name.starts_with(path::WHITEOUT_PREFIX) => Err(Error::entry(
            &entry.path,
            "names that begin with \".wh.\" are reserved in layers; rename the file",
        )),
        EntryKind::Dir if entry.path.is_empty() => Ok(b"./".to_vec()),
        EntryKind::Dir => Ok([&entry.path[..], b"/"].concat()),
        _ if entry.path.is_empty() => {
            Err(Error::entry(b"", "the root of a layer can only be a directory"))
        }
        _ => Ok(entry.path.clone()),
    }
}

/// Splits a name into the prefix and name fields of ustar, where it fits.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME {
        return Some((b"", name));
    }
    // The slash at the end of a directory belongs to the name field.
    let last = name.len() - 1;
    let at = (1..last.min(PREFIX + 1)).rev().find(|i| name[*i] == b'/')?;
    (name.len() - at - 1 <= NAME).then(|| (&name[..at], &name[at + 1..]))
}

/// What layers of Windows say of a file beside its attributes: its type stands in the mode.
fn windows_type(kind: &EntryKind) -> u32 {
    match kind {
        EntryKind::Dir => 0o40_000,
        EntryKind::File { .. } => 0o100_000,
        _ => 0,
    }
}

/// The name of the record of an attribute. Those of Windows are records of their own.
fn pax_key(entry: &Entry, key: &[u8]) -> Result<String> {
    match std::str::from_utf8(key) {
        Ok(text) if WINDOWS.iter().any(|start| text.starts_with(start)) && !text.contains('=') => {
            Ok(text.to_owned())
        }
        Ok(text) if !text.is_empty() && !text.contains(['=', '\0', '\n']) => {
            Ok(format!("SCHILY.xattr.{text}"))
        }
        _ => Err(Error::entry(
            &entry.path,
            format!(
                "the name of its extended attribute {:?} cannot be written to an archive; remove it",
                String::from_utf8_lossy(key)
            ),
        )),
    }
}

fn pax_blocks(entry: &Entry, records: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let fail = |e: HeaderError| Error::entry(&entry.path, format!("no pax header for it: {e}"));
    let mut builder = PaxBuilder::new();
    for (key, value) in records {
        builder.add(key, value);
    }
    let data = builder.finish();
    let (_, name) = path::split(&entry.path);
    let name = [b"PaxHeaders/", &name[..name.len().min(NAME - 11)]].concat();
    let mut header = HeaderBuilder::new_ustar();
    header.entry_type(EntryType::XHeader);
    header.path(&name).map_err(fail)?.mode(0o644).map_err(fail)?;
    header.uid(0).map_err(fail)?.gid(0).map_err(fail)?.mtime(0).map_err(fail)?;
    header.size(data.len() as u64).map_err(fail)?;
    let mut out = header.finish().as_bytes().to_vec();
    let pad = padding(data.len() as u64);
    out.extend_from_slice(&data);
    out.resize(out.len() + pad, 0);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typeflags(bytes: &[u8]) -> Vec<u8> {
        let mut flags = vec![bytes[156]];
        if bytes[156] == b'x' {
            let size = std::str::from_utf8(&bytes[124..135]).unwrap();
            let size = u64::from_str_radix(size, 8).unwrap();
            let next = HEADER_SIZE + size as usize + padding(size);
            flags.push(bytes[next + 156]);
        }
        flags
    }

    #[test]
    fn ustar_holds_what_it_can() {
        let short = encode(&Entry::file("etc/passwd", "x")).unwrap();
        assert_eq!(short.len(), HEADER_SIZE);
        assert_eq!(&short[257..265], b"ustar\x0000");
        assert_eq!(&short[265..329], [0; 64], "no user or group name");
        let dir = encode(&Entry::new("d", EntryKind::Dir)).unwrap();
        assert_eq!(&dir[..3], b"d/\0");
        let deep = format!("{}/{}", "p".repeat(150), "n".repeat(100));
        let bytes = encode(&Entry::file(deep, "")).unwrap();
        assert_eq!(typeflags(&bytes), [b'0']);
        assert_eq!(&bytes[..100], [b'n'; 100]);
        assert_eq!(&bytes[345..495], [b'p'; 150]);
    }

    #[test]
    fn records_of_windows_have_their_own_names() {
        for (kind, mode) in [
            (EntryKind::Dir, &b"0040755\0"[..]),
            (Entry::file("", "").kind, b"0100755\0"),
            (EntryKind::Symlink { target: b"t".to_vec() }, b"0000755\0"),
        ] {
            let mut entry = Entry::new("Files/x", kind).with_mode(0o755);
            entry.xattrs.insert(b"MSWINDOWS.fileattr".to_vec(), b"16".to_vec());
            let bytes = encode(&entry).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.contains("25 MSWINDOWS.fileattr=16\n") && !text.contains("SCHILY"));
            let header = &bytes[bytes.len() - HEADER_SIZE..];
            assert_eq!(&header[100..108], mode);
        }
    }

    #[test]
    fn pax_comes_only_where_it_is_needed() {
        let long = "n".repeat(101);
        let mut attributed = Entry::file("a", "");
        attributed.xattrs.insert(b"user.k".to_vec(), b"v\n\0".to_vec());
        let link = EntryKind::Symlink { target: vec![b't'; 101] };
        for entry in [
            Entry::file(long, ""),
            attributed,
            Entry::new("l", link),
            Entry::file("u", "").with_owner(1 << 21, 0),
            Entry::file("m", "").with_mtime(1 << 33),
        ] {
            let bytes = encode(&entry).unwrap();
            assert_eq!(bytes.len() % HEADER_SIZE, 0);
            assert_eq!(typeflags(&bytes)[0], b'x', "{:?}", entry.path);
        }
        let fits =
            Entry::file("u", "").with_owner(MAX_SMALL, MAX_SMALL).with_mtime(MAX_LARGE as i64);
        assert_eq!(typeflags(&encode(&fits).unwrap()), [b'0']);
    }

    #[test]
    fn what_no_archive_can_say_is_refused() {
        let mut attributed = Entry::file("a", "");
        attributed.xattrs.insert(b"user.a=b".to_vec(), Vec::new());
        for entry in [
            attributed,
            Entry::file("d/.wh.x", ""),
            Entry::file("", ""),
            Entry::new("", EntryKind::Whiteout),
            Entry::new("c", EntryKind::CharDev { major: u32::MAX, minor: 0 }),
        ] {
            assert!(encode(&entry).is_err(), "{entry:?} was accepted");
        }
    }
}
