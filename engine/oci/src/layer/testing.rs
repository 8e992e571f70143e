//! What the tests of layers share: entries and trees as lines of text, and archives made by hand.

use super::{
    Compression, Entry, EntryKind, Limits, PackOptions, Packed, decompress, header, pack, read_tar,
    source,
};
use crate::Result;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Packs with a clamp that touches nothing.
pub(crate) fn packed(
    entries: Vec<Entry>,
    compression: Compression,
    threads: usize,
) -> (Packed, Vec<u8>) {
    let mut out = Vec::new();
    let options = PackOptions { compression, clamp_mtime: i64::MAX, threads };
    let packed = pack(entries, &options, &mut out).unwrap();
    (packed, out)
}

/// Reads an archive in any compression.
pub(crate) fn unpacked(bytes: &[u8], limits: &Limits) -> Result<Vec<Entry>> {
    read_tar(decompress(bytes)?, tempfile::tempfile().unwrap(), limits)
}

pub(crate) fn content(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    source::stream(entry, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })
    .unwrap();
    out
}

/// Everything of an entry in one line; long contents by their digest.
pub(crate) fn line(entry: &Entry) -> String {
    let kind = match &entry.kind {
        EntryKind::File { size, .. } => {
            let bytes = content(entry);
            assert_eq!(bytes.len() as u64, *size);
            if bytes.len() < 40 {
                format!("={}", bytes.escape_ascii())
            } else {
                format!("={size} {}", crate::Digest::sha256(&bytes))
            }
        }
        EntryKind::Symlink { target } => format!("->{}", target.escape_ascii()),
        EntryKind::Hardlink { target } => format!("=>{}", target.escape_ascii()),
        other => format!(" {other:?}"),
    };
    let xattrs: Vec<_> = entry
        .xattrs
        .iter()
        .map(|(k, v)| format!(" {}={}", k.escape_ascii(), v.escape_ascii()))
        .collect();
    format!(
        "{}{kind} {:o} {}:{} {}{}",
        entry.path.escape_ascii(),
        entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime,
        xattrs.concat()
    )
}

pub(crate) fn lines(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(line).collect()
}

/// A directory tree, one line a file: path, kind, mode, time.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for item in std::fs::read_dir(&dir).unwrap() {
            let path = item.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let kind = meta.file_type();
            let what = if kind.is_dir() {
                todo.push(path.clone());
                "/".to_owned()
            } else if kind.is_symlink() {
                format!("->{}", path.read_link().unwrap().display())
            } else if kind.is_file() {
                format!("={}", std::fs::read(&path).unwrap().escape_ascii())
            } else if kind.is_fifo() {
                "|".to_owned()
            } else {
                "?".to_owned()
            };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mode = meta.permissions().mode() & 0o7777;
            out.push(format!("{name}{what} {mode:o} {}", meta.mtime()));
        }
    }
    out.sort();
    out
}

/// One record of a tar archive with a header made by hand, so that it can lie.
pub(crate) fn raw(name: &[u8], flag: u8, claimed: u64, data: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let n = name.len().min(100);
    block[..n].copy_from_slice(&name[..n]);
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{claimed:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block.extend_from_slice(data);
    block.resize(block.len() + header::padding(data.len() as u64), 0);
    block
}

/// As [`raw`], with a link target.
pub(crate) fn raw_link(name: &[u8], flag: u8, target: &[u8]) -> Vec<u8> {
    let mut block = raw(name, flag, 0, b"");
    block[157..157 + target.len()].copy_from_slice(target);
    seal(&mut block);
    block
}

/// A pax header for the next record.
pub(crate) fn raw_pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let mut length = key.len() + value.len() + 4;
        while format!("{length}").len() + key.len() + value.len() + 3 != length {
            length += 1;
        }
        data.extend_from_slice(format!("{length} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    raw(b"pax", b'x', data.len() as u64, &data)
}

/// Computes the checksum of a header block.
pub(crate) fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Joins records and ends the archive.
pub(crate) fn archive(records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = records.concat();
    out.resize(out.len() + 1024, 0);
    out
}
