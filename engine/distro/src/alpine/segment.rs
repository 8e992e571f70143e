//! The outer form of apk files: gzip members one after the other, each with a piece of a tar
//! stream. Signatures and checksums are over the compressed bytes, so these are kept.

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, Read};
use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};

/// What is wrong with the outer form of a file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be read, or its compression is damaged.
    #[error("it is cut off or damaged: {0}")]
    Damaged(#[from] io::Error),
    /// A part is larger than anything of its kind.
    #[error("its {what} is larger than {limit} bytes")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Something else; the text says what.
    #[error("{0}")]
    Malformed(String),
}

pub(crate) fn malformed(detail: impl Into<String>) -> FormatError {
    FormatError::Malformed(detail.into())
}

/// Bounds of one gzip member that is held in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) what: &'static str,
    pub(crate) compressed: u64,
    pub(crate) content: u64,
}

/// A whole gzip member: its own bytes and what they unpack to.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) raw: Vec<u8>,
    pub(crate) content: Vec<u8>,
}

/// Reads the next gzip member and not a byte more; `None` at the end of the file.
pub(crate) fn read_member<R: BufRead>(
    reader: &mut R,
    bounds: Bounds,
) -> Result<Option<Member>, FormatError> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut content = Vec::new();
    let tap = Tap::new(reader.take(bounds.compressed), Vec::new());
    let mut decoder = GzDecoder::new(tap).take(bounds.content + 1);
    let outcome = decoder.read_to_end(&mut content);
    let Tap { inner, seen } = decoder.into_inner().into_inner();
    if inner.limit() == 0 || content.len() as u64 > bounds.content {
        return Err(FormatError::TooLarge { what: bounds.what, limit: bounds.content });
    }
    outcome?;
    Ok(Some(Member { raw: seen, content }))
}

/// What can be shown bytes: a copy, or a hash.
pub(crate) trait Absorb {
    fn absorb(&mut self, bytes: &[u8]);
}

impl Absorb for Vec<u8> {
    fn absorb(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Absorb for Sha256 {
    fn absorb(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// A buffered reader that shows every byte that is consumed to `seen`.
pub(crate) struct Tap<R, S> {
    pub(crate) inner: R,
    pub(crate) seen: S,
}

impl<R: BufRead, S: Absorb> Tap<R, S> {
    pub(crate) fn new(inner: R, seen: S) -> Self {
        Tap { inner, seen }
    }
}

impl<R: BufRead, S: Absorb> Read for Tap<R, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.seen.absorb(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<R: BufRead, S: Absorb> BufRead for Tap<R, S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is consumed was filled before, so this reads nothing and cannot fail.
        if let Ok(filled) = self.inner.fill_buf() {
            self.seen.absorb(filled.get(..amount).unwrap_or(filled));
        }
        self.inner.consume(amount);
    }
}

/// Headers of one entry may take this much; real ones take a few kilobytes.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// Longest path of an entry; that of Linux.
const MAX_PATH_BYTES: u32 = 4096;

/// Calls `each` with every entry of a tar stream and a reader of its content.
///
/// The stream may lack its end marker, as pieces that are to be joined do. What `each` does not
/// read of the content is skipped.
pub(crate) fn walk_tar<E: From<FormatError>>(
    reader: &mut dyn Read,
    mut each: impl FnMut(&ParsedEntry, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let limits = Limits { max_path_len: Some(MAX_PATH_BYTES), ..Limits::default() };
    let mut parser = Parser::new(limits);
    let mut buffer = Vec::new();
    loop {
        let event = parser
            .parse(&buffer)
            .map_err(|error| malformed(format!("its tar stream is damaged: {error}")))?;
        match event {
            ParseEvent::NeedData { min_bytes } => {
                if fill_to(&mut buffer, reader, min_bytes)? {
                    continue;
                }
                return Ok(());
            }
            ParseEvent::Entry { consumed, entry } => {
                let (_, begun) = buffer.split_at_checked(consumed).unwrap_or_default();
                let mut stream = begun.chain(&mut *reader);
                let mut content = (&mut stream).take(entry.size);
                each(&entry, &mut content)?;
                let left = content.limit();
                let pad = entry.padded_size() - entry.size;
                skip(&mut stream, left, false)?;
                skip(&mut stream, pad, true)?;
                let unread = stream.into_inner().0.to_vec();
                buffer = unread;
            }
            ParseEvent::GlobalExtensions { consumed, .. } => {
                buffer.drain(..consumed.min(buffer.len()));
            }
            ParseEvent::SparseEntry { .. } => {
                return Err(malformed("it has a sparse file").into());
            }
            ParseEvent::End { .. } => return Ok(()),
        }
    }
}

/// Makes the buffer as long as asked; false at a clean end of the stream.
fn fill_to(
    buffer: &mut Vec<u8>,
    reader: &mut dyn Read,
    wanted: usize,
) -> Result<bool, FormatError> {
    if wanted > MAX_HEADER_BYTES {
        return Err(malformed("a header of its tar stream is too large"));
    }
    let missing = wanted.saturating_sub(buffer.len()).max(1) as u64;
    let read = reader.take(missing).read_to_end(buffer)? as u64;
    if read == 0 && buffer.is_empty() {
        return Ok(false);
    }
    if read < missing {
        return Err(malformed("its tar stream ends within an entry"));
    }
    Ok(true)
}

/// Skips bytes; the padding of the last entry may be missing, content may not.
fn skip(reader: &mut dyn Read, amount: u64, may_be_missing: bool) -> Result<(), FormatError> {
    let skipped = io::copy(&mut reader.take(amount), &mut io::sink())?;
    if skipped < amount && !may_be_missing {
        return Err(malformed("its tar stream ends within a file"));
    }
    Ok(())
}

/// A file of a small archive that is held in memory.
#[derive(Debug)]
pub(crate) struct SmallFile {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
}

/// Reads all files of a piece of a tar stream that has no directories, links or devices.
pub(crate) fn small_files(tar: &[u8]) -> Result<Vec<SmallFile>, FormatError> {
    let mut files = Vec::new();
    walk_tar::<FormatError>(&mut &*tar, |entry, content| {
        let name = entry.path_lossy().into_owned();
        if entry.entry_type.is_file() && !name.contains('/') {
            let mut data = Vec::new();
            content.read_to_end(&mut data)?;
            files.push(SmallFile { name, data });
            return Ok(());
        }
        Err(malformed(format!("{name:?} is not a plain file at its top")))
    })?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::testrepo::{gzip, tar_entry};
    use super::*;
    use proptest::prelude::*;

    const SMALL: Bounds = Bounds { what: "part", compressed: 1000, content: 2000 };

    #[test]
    fn members_are_split_at_their_exact_ends() {
        let (one, two) = (gzip(b"one"), gzip(&[7; 1500]));
        let file = [one.clone(), two.clone()].concat();
        let mut reader = io::BufReader::with_capacity(7, file.as_slice());
        let first = read_member(&mut reader, SMALL).unwrap().unwrap();
        assert_eq!((first.raw, first.content), (one, b"one".to_vec()));
        let second = read_member(&mut reader, SMALL).unwrap().unwrap();
        assert_eq!((second.raw, second.content), (two, vec![7; 1500]));
        assert!(read_member(&mut reader, SMALL).unwrap().is_none());
    }

    #[test]
    fn bombs_and_damage_are_errors() {
        let bomb = gzip(&vec![0; 1 << 20]);
        let error = |bytes: &[u8]| read_member(&mut &*bytes, SMALL).unwrap_err().to_string();
        assert!(error(&bomb).contains("larger than 2000"), "{}", error(&bomb));
        let incompressible: Vec<u8> = (0..1900_u32)
            .map(|i| (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        assert!(error(&gzip(&incompressible)).contains("larger"));
        let mut flipped = gzip(b"some text, some text");
        let last = flipped.len() - 5;
        flipped[last] ^= 1;
        for damaged in [&flipped[..], &gzip(b"abc")[..12], b"\x1f\x8b", b"plain text"] {
            assert!(error(damaged).contains("damaged"), "{damaged:?}");
        }
    }

    #[test]
    fn only_plain_files_at_the_top_are_small_files() {
        let good = [tar_entry("a", b"text", &[]), tar_entry("b", b"", &[])].concat();
        let files = small_files(&good).unwrap();
        assert_eq!((files[0].name.as_str(), &files[0].data[..]), ("a", &b"text"[..]));
        assert_eq!(files.len(), 2);
        for (bad, want) in [
            (tar_entry("../a", b"", &[]), "plain file"),
            (tar_entry("a/b", b"", &[]), "plain file"),
            (good[..1100].to_vec(), "within an entry"),
            (good[..514].to_vec(), "within a file"),
            (vec![0x33; 2048], "damaged"),
        ] {
            let error = small_files(&bad).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        // A size of 8 GiB less one: the stream ends first.
        let mut huge = tar_entry("a", b"text", &[]);
        huge[124..135].copy_from_slice(b"77777777777");
        huge[148..156].fill(b' ');
        let sum: u32 = huge[..512].iter().map(|b| u32::from(*b)).sum();
        huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(small_files(&huge).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = small_files(&bytes);
            let _ = read_member(&mut &bytes[..], SMALL);
        }
    }
}
