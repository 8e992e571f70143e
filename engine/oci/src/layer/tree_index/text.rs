//! The text form of an index: a version line, then one line an entry.
//!
//! `KIND MODE UID GID PATH [TARGET]`, separated by single spaces, mode octal. In paths every byte
//! that is not a visible ASCII character, and `%`, is `%XX`; an empty path is `%`.

use super::{IndexEntry, LayerIndex, NodeKind};
use crate::{Error, Result};
use std::fmt::Write;

const VERSION: &str = "layer-index 1";

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

impl LayerIndex {
    /// Writes the index as text, version 1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(64 * self.entries.len() + 16);
        out.push_str(VERSION);
        out.push('\n');
        for entry in &self.entries {
            let kind = KINDS.iter().find(|(k, _)| *k == entry.kind).map_or("f", |(_, text)| text);
            // Writing to a string cannot fail.
            let _ = write!(out, "{kind} {:o} {} {} ", entry.mode, entry.uid, entry.gid);
            escape(&entry.path, &mut out);
            if entry.kind == NodeKind::Symlink {
                out.push(' ');
                escape(&entry.target, &mut out);
            }
            out.push('\n');
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

fn parse(line: &str) -> Option<IndexEntry> {
    let mut words = line.split(' ');
    let letter = words.next()?;
    let kind = KINDS.iter().find(|(_, text)| *text == letter)?.0;
    let mode = u32::from_str_radix(words.next()?, 8).ok().filter(|m| *m <= 0o7777)?;
    let uid = words.next()?.parse().ok()?;
    let gid = words.next()?.parse().ok()?;
    let path = unescape(words.next()?)?;
    let target = if kind == NodeKind::Symlink { unescape(words.next()?)? } else { Vec::new() };
    let clean = crate::layer::path::is_clean(&path);
    (clean && words.next().is_none()).then_some(IndexEntry { path, kind, mode, uid, gid, target })
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
        let entries = [
            Entry::new("", EntryKind::Dir),
            Entry::file(b"a b%\xff\n".to_vec(), "").with_mode(0o4755).with_owner(1, 1 << 40),
            Entry::new("l", EntryKind::Symlink { target: b"../x y".to_vec() }),
            Entry::new("h", EntryKind::Hardlink { target: b"l".to_vec() }),
            Entry::new("n", EntryKind::CharDev { major: 1, minor: 3 }),
            Entry::new("w", EntryKind::Whiteout),
            Entry::new("o", EntryKind::Opaque),
        ];
        let index = LayerIndex::from_entries(&entries);
        let bytes = index.to_bytes();
        assert_eq!(LayerIndex::from_bytes(&bytes).unwrap(), index);
        let golden = "layer-index 1\nd 755 0 0 %\nf 4755 1 1099511627776 a%20b%25%ff%0a\nl 777 0 0 l ../x%20y\nl 644 0 0 h ../x%20y\nc 644 0 0 n\nw 0 0 0 w\no 0 0 0 o\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), golden);
    }

    #[test]
    fn broken_text_is_refused() {
        for body in [
            "f 644 0 0 a",
            "x 644 0 0 a\n",
            "f 9 0 0 a\n",
            "f 644 0 a\n",
            "f 644 0 0 ../a\n",
            "f 644 0 0 a b\n",
            "l 777 0 0 a\n",
            "f 644 0 0 a%4\n",
            "f 644 0 0 \n",
            "\n",
            "f 10000 0 0 a\n",
        ] {
            let text = format!("{VERSION}\n{body}");
            assert!(LayerIndex::from_bytes(text.as_bytes()).is_err(), "{body:?}");
        }
        for text in ["", "layer-index 2\n", "layer-index 1", "\u{ff}"] {
            assert!(LayerIndex::from_bytes(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
