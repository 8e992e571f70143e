//! The outer archive of a `.deb`: the common `ar` format with short names, as deb(5) restricts
//! it. Symbol tables and long-name tables of other `ar` dialects are refused.

use std::io::{self, Read, Seek, SeekFrom};

const GLOBAL_MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_LEN: usize = 60;
const MAX_MEMBERS: usize = 64;

/// Where one member's bytes are in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Offset of the first byte of the content.
    pub(crate) offset: u64,
    /// Bytes of content.
    pub(crate) size: u64,
    /// When it was made, in seconds since 1970; 0 when it does not say.
    pub(crate) date: i64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArError {
    #[error("it does not start with the ar signature \"!<arch>\"")]
    NotAr,
    #[error("the header at offset {offset} is not a member header: {detail}")]
    BadHeader { offset: u64, detail: &'static str },
    #[error("member {name:?} says {size} bytes, but the file ends {missing} bytes before that")]
    Truncated { name: String, size: u64, missing: u64 },
    #[error("it has more than {MAX_MEMBERS} members")]
    TooManyMembers,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Lists the members of an archive without reading their contents.
pub(crate) fn members<R: Read + Seek>(file: &mut R) -> Result<Vec<Member>, ArError> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; GLOBAL_MAGIC.len()];
    if end < magic.len() as u64 {
        return Err(ArError::NotAr);
    }
    file.read_exact(&mut magic)?;
    if &magic != GLOBAL_MAGIC {
        return Err(ArError::NotAr);
    }
    let mut offset = magic.len() as u64;
    let mut members = Vec::new();
    while offset < end {
        if members.len() == MAX_MEMBERS {
            return Err(ArError::TooManyMembers);
        }
        let member = read_header(file, offset, end)?;
        // Contents are padded to an even length; the pad of the last one may be missing.
        offset = member.offset + member.size + member.size % 2;
        members.push(member);
    }
    Ok(members)
}

fn read_header<R: Read + Seek>(file: &mut R, offset: u64, end: u64) -> Result<Member, ArError> {
    let bad = |detail| ArError::BadHeader { offset, detail };
    let content = offset + HEADER_LEN as u64;
    if content > end {
        return Err(bad("the file ends inside it"));
    }
    let mut header = [0; HEADER_LEN];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut header)?;
    if !header.ends_with(b"`\n") {
        return Err(bad("its end mark is missing"));
    }
    let field = |range: std::ops::Range<usize>| {
        std::str::from_utf8(header.get(range).unwrap_or_default()).ok().map(str::trim_ascii_end)
    };
    let name = field(0..16).ok_or_else(|| bad("its name is not ASCII"))?;
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Err(bad("its name has characters a package member never has"));
    }
    let size = field(48..58)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u64>().ok())
        .ok_or_else(|| bad("its size is not a decimal number"))?;
    if size > end - content {
        let missing = size - (end - content);
        return Err(ArError::Truncated { name: name.to_owned(), size, missing });
    }
    let date = field(16..28).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    Ok(Member { name: name.to_owned(), offset: content, size, date })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = GLOBAL_MAGIC.to_vec();
        for (name, data) in members {
            out.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, data.len())
                    .bytes(),
            );
            out.extend(*data);
            if data.len() % 2 == 1 {
                out.push(b'\n');
            }
        }
        out
    }

    fn list(bytes: &[u8]) -> Result<Vec<Member>, ArError> {
        members(&mut Cursor::new(bytes))
    }

    #[test]
    fn members_are_found_over_odd_sizes() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("odd/", b"abc"), ("last", b"z")]);
        let found = list(&bytes).unwrap();
        let names: Vec<_> = found.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["debian-binary", "odd", "last"]);
        let odd = &found[1];
        assert_eq!(&bytes[odd.offset as usize..][..odd.size as usize], b"abc");
        // The final pad byte may be missing.
        assert_eq!(list(&bytes[..bytes.len() - 1]).unwrap(), found);
    }

    #[test]
    fn damaged_headers_are_errors() {
        let good = archive(&[("a", b"12345678")]);
        assert!(matches!(list(b"!<arch>"), Err(ArError::NotAr)));
        assert!(matches!(list(b"not an archive"), Err(ArError::NotAr)));
        assert!(matches!(list(&good[..40]), Err(ArError::BadHeader { .. })));
        assert!(matches!(
            list(&good[..good.len() - 3]),
            Err(ArError::Truncated { missing: 3, size: 8, .. })
        ));
        for (at, byte) in [(8, b'/'), (8, 0xff), (8 + 48, b'-'), (8 + 48, b'x'), (8 + 58, b'x')] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(matches!(list(&bad), Err(ArError::BadHeader { .. })), "{at}");
        }
        let mut huge = good.clone();
        huge[8 + 48..8 + 58].copy_from_slice(b"9999999999");
        assert!(matches!(list(&huge), Err(ArError::Truncated { .. })));
    }

    #[test]
    fn endless_members_are_refused() {
        let many = vec![("m", &b""[..]); MAX_MEMBERS + 1];
        assert!(matches!(list(&archive(&many)), Err(ArError::TooManyMembers)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = GLOBAL_MAGIC.to_vec();
            bytes.extend(tail);
            if let Ok(found) = list(&bytes) {
                for m in found {
                    prop_assert!(m.offset + m.size <= bytes.len() as u64);
                }
            }
        }
    }
}
