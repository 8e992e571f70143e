//! A small reader of tar archives, after the pax format of POSIX.1-2001 with GNU's long names and
//! large numbers: what builders of images write. It refuses what it does not know.

use std::collections::BTreeMap;

const BLOCK: usize = 512;

/// Values by name, both any bytes.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Folder,
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// The letter that `ls -l` shows.
    pub fn letter(self) -> char {
        match self {
            Kind::File | Kind::HardLink => '-',
            Kind::Symlink => 'l',
            Kind::Char => 'c',
            Kind::Block => 'b',
            Kind::Folder => 'd',
            Kind::Fifo => 'p',
        }
    }
}

/// What an archive says of an entry, times left out.
#[derive(Clone, Debug)]
pub struct Header {
    /// The path as it is written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Numbers of user and group.
    pub owner: (u64, u64),
    /// Target of a link of either kind.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u64, u64),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Entries of an archive with their content.
pub struct Entries<'a> {
    rest: &'a [u8],
    global: Records,
}

/// Reads an archive.
pub fn read(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes, global: Records::new() }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(Header, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.entry().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.rest = &[];
        }
        next
    }
}

impl<'a> Entries<'a> {
    fn entry(&mut self) -> Result<Option<(Header, &'a [u8])>, String> {
        let mut records = self.global.clone();
        loop {
            let Some((head, rest)) = self.rest.split_at_checked(BLOCK) else {
                return if self.rest.is_empty() { Ok(None) } else { Err(cut()) };
            };
            if head.iter().all(|b| *b == 0) {
                return Ok(None);
            }
            check(head)?;
            let kind = head[156];
            // A size in the records is that of the entry, not of further records.
            let size = match records.get(&b"size"[..]) {
                Some(size) if !b"xgLK".contains(&kind) => decimal(size)?,
                _ => number(&head[124..136])?,
            };
            let size = usize::try_from(size).map_err(|e| e.to_string())?;
            let size = if b"0\x007xgLK".contains(&kind) { size } else { 0 };
            let (content, rest) = rest.split_at_checked(size).ok_or_else(cut)?;
            self.rest = rest.get(size.next_multiple_of(BLOCK) - size..).ok_or_else(cut)?;
            match kind {
                b'x' => records.extend(pax(content)?),
                b'g' => {
                    self.global.extend(pax(content)?);
                    records.extend(self.global.clone());
                }
                b'L' => drop(records.insert(b"path".to_vec(), text(content).to_vec())),
                b'K' => drop(records.insert(b"linkpath".to_vec(), text(content).to_vec())),
                _ => return Ok(Some((header(head, &records)?, content))),
            }
        }
    }
}

fn header(head: &[u8], records: &Records) -> Result<Header, String> {
    if let Some(name) = records.keys().find(|name| name.starts_with(b"GNU.sparse")) {
        return Err(format!("a sparse file, which is not read: {}", name.escape_ascii()));
    }
    let record = |name: &[u8]| records.get(name).cloned();
    let own_path = match (text(&head[345..500]), &head[257..263]) {
        (prefix, b"ustar\0") if !prefix.is_empty() => [prefix, b"/", text(&head[..100])].concat(),
        _ => text(&head[..100]).to_vec(),
    };
    let path = record(b"path").unwrap_or(own_path);
    let kind = match head[156] {
        // Before POSIX, a slash at the end was all that made a directory.
        0 if path.ends_with(b"/") => Kind::Folder,
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Folder,
        b'6' => Kind::Fifo,
        other => return Err(format!("an entry of type {:?}", char::from(other))),
    };
    let id = |name: &[u8], field: &[u8]| match records.get(name) {
        Some(value) => decimal(value),
        None => number(field),
    };
    let xattr = |(name, value): (&Vec<u8>, &Vec<u8>)| {
        Some((name.strip_prefix(b"SCHILY.xattr.")?.to_vec(), value.clone()))
    };
    Ok(Header {
        path,
        kind,
        mode: (number(&head[100..108])? & 0o7777) as u32,
        owner: (id(b"uid", &head[108..116])?, id(b"gid", &head[116..124])?),
        link: record(b"linkpath").unwrap_or_else(|| text(&head[157..257]).to_vec()),
        device: match kind {
            Kind::Char | Kind::Block => (number(&head[329..337])?, number(&head[337..345])?),
            _ => (0, 0),
        },
        xattrs: records.iter().filter_map(xattr).collect(),
    })
}

fn check(head: &[u8]) -> Result<(), String> {
    let sum: u64 = head
        .iter()
        .enumerate()
        .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u64::from(*b) })
        .sum();
    if number(&head[148..156])? == sum {
        Ok(())
    } else {
        Err("a header with a wrong checksum".to_owned())
    }
}

/// Records of the form `LENGTH NAME=VALUE\n`; a value may have any bytes.
fn pax(mut content: &[u8]) -> Result<Records, String> {
    let wrong = || "a malformed pax record".to_owned();
    let mut out = Records::new();
    while !content.is_empty() {
        let blank = content.iter().position(|b| *b == b' ').ok_or_else(wrong)?;
        let length = usize::try_from(decimal(&content[..blank])?).map_err(|e| e.to_string())?;
        let (record, rest) = content.split_at_checked(length).ok_or_else(wrong)?;
        let record =
            record.get(blank + 1..).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(wrong)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(wrong)?;
        out.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
        content = rest;
    }
    Ok(out)
}

/// A number in octal, or in base 256 when its first bit is set.
fn number(field: &[u8]) -> Result<u64, String> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let fold = |n: u64, b: &u8| n.checked_mul(256)?.checked_add(u64::from(*b));
        return rest
            .iter()
            .try_fold(u64::from(first & 0x7f), fold)
            .ok_or_else(|| "a number that is too large".to_owned());
    }
    let digits = String::from_utf8_lossy(text(field)).trim().to_owned();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(&digits, 8).map_err(|e| format!("{digits:?}: {e}"))
}

fn decimal(digits: &[u8]) -> Result<u64, String> {
    let digits = String::from_utf8_lossy(digits);
    digits.parse().map_err(|e| format!("{digits:?}: {e}"))
}

/// A field up to its first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

fn cut() -> String {
    "the archive ends in the middle of an entry".to_owned()
}
