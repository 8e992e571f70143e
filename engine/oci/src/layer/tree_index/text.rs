//! The text form of an index: a version line, then one line an entry.
//!
//! `KIND MODE UID GID MTIME PATH [FIELDS] [NAME VALUE]…`, separated by single spaces, mode octal.
//! The fields are `SIZE DIGEST` of a file, with `-` for a digest that is not known, and the other
//! name behind them for a hard link; `TARGET` of a symbolic link; `MAJOR MINOR` of a device. The
//! pairs are extended attributes. In paths, names and values every byte that is not a visible
//! ASCII character, and `%`, is `%XX`; empty ones are `%`.

use super::{ContentDigest, IndexEntry, LayerIndex, NodeKind};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::Write;

const VERSION: &str = "layer-index 2";

const KINDS: [(NodeKind, &str); 8] = [
    (NodeKind::Dir, "d"),
    (NodeKind::File, "f"),
    (NodeKind::Symlink, "l"),
    (NodeKind::CharDev, "c"),
    (NodeKind::BlockDev, "b"),
    (NodeKind::Fifo, "p"),
    (NodeKind::Whiteout, "w"),
    (NodeKind::Opaque, "o"),
];
/// A file under one more name.
const HARD_LINK: &str = "h";
/// A digest that is not known.
const UNKNOWN: &str = "-";

impl LayerIndex {
    /// Writes the index as text, version 2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(140 * self.entries.len() + 16);
        out.push_str(VERSION);
        out.push('\n');
        for entry in &self.entries {
            write(entry, &mut out);
        }
        out.into_bytes()
    }

    /// Reads the text form; fails for other versions and for lines that are not whole.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::document("layer index", reason);
        let text = std::str::from_utf8(bytes).map_err(|e| bad(e.to_string()))?;
        let body = text
            .strip_prefix(VERSION)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or_else(|| bad(format!("it does not begin with {VERSION:?}; make it again")))?;
        if !body.is_empty() && !body.ends_with('\n') {
            return Err(bad("its last line is cut off".into()));
        }
        let entries = body
            .lines()
            .enumerate()
            .map(|(i, line)| parse(line).ok_or_else(|| bad(format!("line {} is broken", i + 2))))
            .collect::<Result<_>>()?;
        Ok(LayerIndex { entries })
    }
}

fn write(entry: &IndexEntry, out: &mut String) {
    let IndexEntry { path, kind, mode, uid, gid, mtime, target, size, digest, device, xattrs } =
        entry;
    let is_link = *kind == NodeKind::File && !target.is_empty();
    let letter = KINDS.iter().find(|(k, _)| k == kind).map_or("f", |(_, text)| text);
    let letter = if is_link { HARD_LINK } else { letter };
    // Writing to a string cannot fail.
    let _ = write!(out, "{letter} {mode:o} {uid} {gid} {mtime} ");
    escape(path, out);
    match kind {
        NodeKind::File => {
            let digest = digest.map_or_else(|| UNKNOWN.to_owned(), hex::encode);
            let _ = write!(out, " {size} {digest}");
        }
        NodeKind::CharDev | NodeKind::BlockDev => {
            let _ = write!(out, " {} {}", device.0, device.1);
        }
        _ => {}
    }
    if is_link || *kind == NodeKind::Symlink {
        out.push(' ');
        escape(target, out);
    }
    for (name, value) in xattrs {
        for text in [name, value] {
            out.push(' ');
            escape(text, out);
        }
    }
    out.push('\n');
}

fn parse(line: &str) -> Option<IndexEntry> {
    let mut words = line.split(' ');
    let letter = words.next()?;
    let is_link = letter == HARD_LINK;
    let kind = match is_link {
        true => NodeKind::File,
        false => KINDS.iter().find(|(_, text)| *text == letter)?.0,
    };
    let mode = u32::from_str_radix(words.next()?, 8).ok().filter(|m| *m <= 0o7777)?;
    let uid = words.next()?.parse().ok()?;
    let gid = words.next()?.parse().ok()?;
    let mtime = words.next()?.parse().ok()?;
    let path = unescape(words.next()?)?;
    let (mut size, mut digest, mut device) = (0, None, (0, 0));
    match kind {
        NodeKind::File => {
            size = words.next()?.parse().ok()?;
            digest = match words.next()? {
                UNKNOWN => None,
                text => Some(content_digest(text)?),
            };
        }
        NodeKind::CharDev | NodeKind::BlockDev => {
            device = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        }
        _ => {}
    }
    let target = match is_link || kind == NodeKind::Symlink {
        true => unescape(words.next()?)?,
        false => Vec::new(),
    };
    let mut xattrs = BTreeMap::new();
    while let Some(name) = words.next() {
        xattrs.insert(unescape(name)?, unescape(words.next()?)?);
    }
    let clean = crate::layer::path::is_clean(&path);
    let entry =
        IndexEntry { path, kind, mode, uid, gid, mtime, target, size, digest, device, xattrs };
    clean.then_some(entry)
}

fn content_digest(text: &str) -> Option<ContentDigest> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

fn escape(bytes: &[u8], out: &mut String) {
    if bytes.is_empty() {
        out.push('%');
    }
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    if text == "%" {
        return Some(Vec::new());
    }
    if text.is_empty() {
        return None;
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            out.push(decoded[0]);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Entry, EntryKind};

    #[test]
    fn text_and_value_are_the_same_both_ways() {
        let mut with_attributes = Entry::file("x", "").with_mtime(-5);
        with_attributes.xattrs.insert(b"user.a b".to_vec(), b"".to_vec());
        with_attributes.xattrs.insert(b"user.c".to_vec(), b"\x00=".to_vec());
        let entries = [
            Entry::new("", EntryKind::Dir),
            Entry::file(b"a b%\xff\n".to_vec(), "").with_mode(0o4755).with_owner(1, 1 << 40),
            Entry::new("l", EntryKind::Symlink { target: b"../x y".to_vec() }),
            Entry::new("h", EntryKind::Hardlink { target: b"l".to_vec() }),
            Entry::new("i", EntryKind::Hardlink { target: b"x".to_vec() }),
            Entry::new("j", EntryKind::Hardlink { target: b"of/below".to_vec() }),
            Entry::new("n", EntryKind::CharDev { major: 1, minor: 3 }),
            Entry::new("w", EntryKind::Whiteout),
            Entry::new("o", EntryKind::Opaque),
            with_attributes,
        ];
        let index = LayerIndex::from_entries(&entries);
        let bytes = index.to_bytes();
        assert_eq!(LayerIndex::from_bytes(&bytes).unwrap(), index);
        let empty = blake3::hash(b"").to_hex();
        let golden = format!(
            "layer-index 2\nd 755 0 0 0 %\nf 4755 1 1099511627776 0 a%20b%25%ff%0a 0 {empty}\n\
             l 777 0 0 0 l ../x%20y\nl 644 0 0 0 h ../x%20y\nh 644 0 0 0 i 0 {empty} x\n\
             h 644 0 0 0 j 0 - of/below\nc 644 0 0 0 n 1 3\nw 0 0 0 0 w\no 0 0 0 0 o\n\
             f 644 0 0 -5 x 0 {empty} user.a%20b % user.c %00=\n"
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), golden);
    }

    #[test]
    fn broken_text_is_refused() {
        let digest = "0".repeat(64);
        for body in [
            "f 644 0 0 0 a 0 -",
            "x 644 0 0 0 a\n",
            "f 9 0 0 0 a 0 -\n",
            "f 644 0 0 a 0 -\n",
            "f 644 0 0 0 ../a 0 -\n",
            "f 644 0 0 0 a\n",
            "f 644 0 0 0 a 0\n",
            "f 644 0 0 0 a -1 -\n",
            "f 644 0 0 0 a 0 - b\n",
            "f 644 0 0 0 a 0 00\n",
            "h 644 0 0 0 a 0 -\n",
            "c 644 0 0 0 a 1\n",
            "l 777 0 0 0 a\n",
            "d 755 0 0 0 a%4\n",
            "d 755 0 0 0 \n",
            "\n",
            "d 10000 0 0 0 a\n",
            &format!("f 644 0 0 0 a 0 0{digest}\n"),
        ] {
            let text = format!("{VERSION}\n{body}");
            assert!(LayerIndex::from_bytes(text.as_bytes()).is_err(), "{body:?}");
        }
        for text in ["", "layer-index 1\n", "layer-index 2", "\u{ff}"] {
            assert!(LayerIndex::from_bytes(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
