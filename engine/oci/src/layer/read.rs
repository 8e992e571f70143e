//! Reading archives of strangers: every entry is checked before it is believed.
//!
//! Read are ustar, pax and GNU archives with long names and sparse files. A path may not leave
//! the root, and entries, bytes, names, depth and metadata are limited. Entries that carry no
//! data by their kind have none, whatever size they claim, as the reference implementation in Go
//! reads them.

use super::path::{self, OPAQUE_NAME, WHITEOUT_PREFIX};
use super::sparse::SparseMap;
use super::tree_index::ContentDigest;
use super::{Content, Entry, EntryKind, LayerIndex};
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use stream::{Input, Spool};
use tar_core::parse::{Limits as ParserLimits, ParseEvent, ParsedEntry, Parser};
use tar_core::{EntryType, HEADER_SIZE, PaxExtensions};

mod stream;

/// Bounds on an archive, and how it is read.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of the uncompressed archive, sparse files counted at their full size.
    pub bytes: u64,
    /// Bytes of one path or link target.
    pub name: usize,
    /// Components of one path.
    pub depth: usize,
    /// Bytes of all paths, link targets and extended attributes together.
    pub metadata: u64,
    /// Whether `.wh.` names are markers, as in layers, or names like any other.
    pub whiteouts: bool,
    /// Whether an archive without its two closing zero blocks is refused.
    pub end_marker: bool,
    /// Whether `..` goes up as far as the root and no further, as where the root is that of the
    /// process; else it is refused.
    pub rooted: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries: 2_000_000,
            bytes: 64 << 30,
            name: 4096,
            depth: 256,
            metadata: 1 << 30,
            whiteouts: true,
            end_marker: false,
            rooted: false,
        }
    }
}

/// Reads an uncompressed tar archive to its end; contents go to `spool` and are referred to there.
///
/// What `spool` already holds is kept, so one file can take the contents of several archives.
/// A path that is in the archive twice is in the list twice: the later one counts.
pub fn read_tar(reader: impl Read, spool: File, limits: &Limits) -> Result<Vec<Entry>> {
    read_some(reader, spool, limits, &|_| true)
}

/// Reads an uncompressed tar archive to its end as [`read_tar`], but only the entries whose clean
/// path is `wanted`; all others are checked and passed over.
pub fn read_some(
    reader: impl Read,
    spool: File,
    limits: &Limits,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Entry>> {
    let sink = Sink::Spool(Spool::new(spool)?);
    let mut archive = Archive::new(reader, sink, limits, wanted);
    archive.read()?;
    if let Sink::Spool(spool) = &mut archive.sink {
        spool.flush()?;
    }
    Ok(archive.entries)
}

/// Reads an uncompressed tar archive to its end and gives what is in it, with the digests of the
/// contents. Nothing is kept on disk.
pub fn index_tar(reader: impl Read, limits: &Limits) -> Result<LayerIndex> {
    let sink = Sink::Hash(Box::new(blake3::Hasher::new()));
    let mut archive = Archive::new(reader, sink, limits, &|_| true);
    archive.read()?;
    Ok(LayerIndex::with_digests(&archive.entries, &archive.digests))
}

struct Archive<'a, R> {
    input: Input<R>,
    sink: Sink,
    limits: &'a Limits,
    wanted: &'a dyn Fn(&[u8]) -> bool,
    seen: u64,
    metadata: u64,
    entries: Vec<Entry>,
    /// Of each entry, where contents are hashed.
    digests: Vec<Option<ContentDigest>>,
}

/// Where contents go.
enum Sink {
    Spool(Spool),
    Hash(Box<blake3::Hasher>),
}

impl Sink {
    fn put(&mut self, piece: &[u8]) -> Result<()> {
        match self {
            Sink::Spool(spool) => spool.put(piece),
            Sink::Hash(hasher) => {
                hasher.update(piece);
                Ok(())
            }
        }
    }

    /// Leaves `length` zero bytes out.
    fn hole(&mut self, length: u64) -> Result<()> {
        match self {
            Sink::Spool(spool) => spool.hole(length),
            Sink::Hash(hasher) => {
                let zeros = [0; 16 * 1024];
                let mut left = length;
                while left > 0 {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
                    hasher.update(&zeros[..n]);
                    left -= n as u64;
                }
                Ok(())
            }
        }
    }

    fn position(&self) -> u64 {
        match self {
            Sink::Spool(spool) => spool.position(),
            Sink::Hash(_) => 0,
        }
    }

    /// Where a content is that began at a position and has now passed; its digest, if it has one.
    fn ended(&mut self, offset: u64) -> (Content, Option<ContentDigest>) {
        match self {
            Sink::Spool(spool) => (Content::Slice { file: spool.file.clone(), offset }, None),
            Sink::Hash(hasher) => {
                let digest = *hasher.finalize().as_bytes();
                hasher.reset();
                (Content::Bytes(Vec::new()), Some(digest))
            }
        }
    }
}

/// A header with everything that was said about it, before its content.
struct Head {
    consumed: usize,
    /// `None` for what is read over: global headers and the private files of aufs.
    entry: Option<Entry>,
    /// Bytes of content that follow in the archive.
    stored: u64,
    sparse: Option<SparseMap>,
}

enum Step {
    NeedData(usize),
    Head(Head),
    End(usize),
}

impl<'a, R: Read> Archive<'a, R> {
    fn new(reader: R, sink: Sink, limits: &'a Limits, wanted: &'a dyn Fn(&[u8]) -> bool) -> Self {
        let input = Input::new(reader, limits.bytes);
        let (entries, digests) = (Vec::new(), Vec::new());
        Archive { input, sink, limits, wanted, seen: 0, metadata: 0, entries, digests }
    }

    fn read(&mut self) -> Result<()> {
        let mut parser = Parser::new(ParserLimits {
            max_path_len: Some(u32::try_from(self.limits.name).unwrap_or(u32::MAX)),
            ..ParserLimits::default()
        });
        // Numbers in pax records are checked in `checked_pax`, which knows negative times.
        parser.set_ignore_pax_errors(true);
        loop {
            match step(&mut parser, self.input.buffered(), self.limits)? {
                Step::NeedData(min) => {
                    if !self.input.fill(min)? {
                        return self.ended();
                    }
                }
                Step::End(consumed) => {
                    self.input.consume(consumed);
                    return self.input.drain();
                }
                Step::Head(head) => self.entry(head)?,
            }
        }
    }

    /// Decides whether an archive may end where it has.
    fn ended(&self) -> Result<()> {
        let rest = self.input.buffered();
        let clean = rest.is_empty() || (rest.len() == HEADER_SIZE && rest.iter().all(|b| *b == 0));
        if clean && !self.limits.end_marker {
            return Ok(());
        }
        let last = self.entries.last().map_or(&b""[..], |e| &e.path);
        Err(Error::archive(
            last,
            "the archive ends in the middle, after this entry; fetch it again",
        ))
    }

    fn entry(&mut self, head: Head) -> Result<()> {
        self.input.consume(head.consumed);
        let Some(mut entry) = head.entry else { return self.input.skip_padded(head.stored) };
        if self.seen >= self.limits.entries {
            return Err(Error::Limit {
                what: "the number of entries of the archive".into(),
                limit: self.limits.entries,
            });
        }
        self.seen += 1;
        self.count_metadata(&entry)?;
        if !(self.wanted)(&entry.path) {
            return self.input.skip_padded(head.stored);
        }
        let mut digest = None;
        if let EntryKind::File { content, size } = &mut entry.kind {
            let offset = match &head.sparse {
                Some(map) => {
                    self.input.charge(map.size().saturating_sub(head.stored))?;
                    self.sparse_content(&entry.path, map)?
                }
                None => self.content(&entry.path, *size)?,
            };
            self.input.skip_padding(&entry.path, head.stored)?;
            (*content, digest) = self.sink.ended(offset);
        } else {
            self.input.skip_padded(head.stored)?;
        }
        self.entries.push(entry);
        self.digests.push(digest);
        Ok(())
    }

    fn count_metadata(&mut self, entry: &Entry) -> Result<()> {
        let link = match &entry.kind {
            EntryKind::Symlink { target } | EntryKind::Hardlink { target } => target.len(),
            _ => 0,
        };
        let xattrs: usize = entry.xattrs.iter().map(|(k, v)| k.len() + v.len()).sum();
        self.metadata += (entry.path.len() + link + xattrs) as u64;
        if self.metadata > self.limits.metadata {
            return Err(Error::Limit {
                what: "the metadata of the archive".into(),
                limit: self.limits.metadata,
            });
        }
        Ok(())
    }

    fn content(&mut self, path: &[u8], size: u64) -> Result<u64> {
        let offset = self.sink.position();
        let Archive { input, sink, .. } = self;
        input.pass(path, size, &mut |piece| sink.put(piece))?;
        Ok(offset)
    }

    fn sparse_content(&mut self, path: &[u8], map: &SparseMap) -> Result<u64> {
        let offset = self.sink.position();
        let Archive { input, sink, .. } = self;
        let mut at = 0;
        for (start, length) in map.regions() {
            sink.hole(start - at)?;
            input.pass(path, length, &mut |piece| sink.put(piece))?;
            at = start + length;
        }
        sink.hole(map.size() - at)?;
        Ok(offset)
    }
}

/// Makes one step of the parser and checks what it says.
fn step(parser: &mut Parser, input: &[u8], limits: &Limits) -> Result<Step> {
    let event = parser.parse(input).map_err(|e| Error::archive(b"", e.to_string()))?;
    Ok(match event {
        ParseEvent::NeedData { min_bytes } => Step::NeedData(min_bytes),
        ParseEvent::End { consumed } => Step::End(consumed),
        ParseEvent::Entry { consumed, entry } => Step::Head(head(consumed, &entry, None, limits)?),
        ParseEvent::SparseEntry { consumed, entry, sparse_map, real_size } => {
            let regions = sparse_map.iter().map(|r| (r.offset, r.length)).collect();
            let map = SparseMap::new(regions, real_size, entry.size)
                .map_err(|reason| Error::archive(&entry.path, reason))?;
            Step::Head(head(consumed, &entry, Some(map), limits)?)
        }
        ParseEvent::GlobalExtensions { consumed, pax_data } => {
            check_global(consumed, pax_data)?;
            Step::Head(Head { consumed, entry: None, stored: 0, sparse: None })
        }
    })
}

/// Refuses defaults for all entries that would change which bytes belong to which path.
fn check_global(consumed: usize, pax: &[u8]) -> Result<()> {
    if consumed > HEADER_SIZE + pax.len().next_multiple_of(HEADER_SIZE) {
        return Err(Error::archive(b"", "a global pax header stands between an entry and its own"));
    }
    for record in PaxExtensions::new(pax) {
        let record = record.map_err(|e| Error::archive(b"", e.to_string()))?;
        let key = record.key_bytes();
        if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.") {
            return Err(Error::archive(
                b"",
                format!("a global pax header sets {:?}", String::from_utf8_lossy(key)),
            ));
        }
    }
    Ok(())
}

fn head(
    consumed: usize,
    parsed: &ParsedEntry<'_>,
    sparse: Option<SparseMap>,
    limits: &Limits,
) -> Result<Head> {
    let raw = &parsed.path;
    let clean = clean(raw, limits)?;
    if path::components(&clean).count() > limits.depth {
        return Err(Error::Limit {
            what: format!("the depth of {:?}", crate::error::lossy(raw)),
            limit: limits.depth as u64,
        });
    }
    let pax_mtime = checked_pax(parsed)?;
    let size = sparse.as_ref().map_or(parsed.size, SparseMap::size);
    let kind = kind(parsed, size, limits)?;
    let stored = if matches!(kind, EntryKind::File { .. }) { parsed.size } else { 0 };
    if clean.is_empty() && !matches!(kind, EntryKind::Dir) {
        return Err(Error::archive(raw, "the root can only be a directory"));
    }
    let entry = Entry {
        path: clean,
        kind,
        mode: parsed.mode & 0o7777,
        uid: parsed.uid,
        gid: parsed.gid,
        // A negative time in base 256 arrives as its two's complement.
        mtime: pax_mtime.unwrap_or(parsed.mtime.cast_signed()),
        xattrs: parsed.xattrs.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect(),
    };
    let entry = if limits.whiteouts { marker(entry)? } else { Some(entry) };
    let stored_entry = entry.as_ref().is_some_and(|e| matches!(e.kind, EntryKind::File { .. }));
    Ok(Head { consumed, entry, stored, sparse: sparse.filter(|_| stored_entry) })
}

/// Checks the numbers in the pax records of an entry and returns its time, whole seconds.
fn checked_pax(parsed: &ParsedEntry<'_>) -> Result<Option<i64>> {
    let mut mtime = None;
    for record in PaxExtensions::new(parsed.pax.unwrap_or_default()) {
        let record = record.map_err(|e| Error::archive(&parsed.path, e.to_string()))?;
        let key = record.key_bytes();
        let text = std::str::from_utf8(record.value_bytes()).ok();
        let good = match key {
            b"size" | b"uid" | b"gid" => text.is_some_and(|t| t.parse::<u64>().is_ok()),
            b"mtime" => {
                mtime = text.and_then(whole_seconds);
                mtime.is_some()
            }
            _ => true,
        };
        if !good {
            let key = String::from_utf8_lossy(key);
            return Err(Error::archive(
                &parsed.path,
                format!("its pax record {key:?} is no number"),
            ));
        }
    }
    Ok(mtime)
}

/// Rounds a decimal time down.
fn whole_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let down = whole.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    seconds.checked_sub(i64::from(down))
}

fn clean(raw: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    if limits.rooted { path::clean_in_root(raw) } else { path::clean(raw) }
}

fn kind(parsed: &ParsedEntry<'_>, size: u64, limits: &Limits) -> Result<EntryKind> {
    let refuse = |reason: String| Err(Error::archive(&parsed.path, reason));
    let target = || match parsed.link_target.as_deref() {
        Some(target) if !target.is_empty() && !target.contains(&0) => Ok(target),
        _ => Err(Error::archive(&parsed.path, "the link has no target")),
    };
    let device = || match (parsed.dev_major, parsed.dev_minor) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => Err(Error::archive(&parsed.path, "the device has no numbers")),
    };
    Ok(match parsed.entry_type {
        EntryType::Regular | EntryType::Continuous if parsed.path.ends_with(b"/") => {
            // Archives older than ustar mark directories by the slash alone.
            if size > 0 {
                return refuse("a directory has content".into());
            }
            EntryKind::Dir
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GnuSparse => {
            EntryKind::File { content: Content::Bytes(Vec::new()), size }
        }
        EntryType::Directory => EntryKind::Dir,
        EntryType::Symlink => EntryKind::Symlink { target: target()?.to_vec() },
        EntryType::Link => {
            let target = clean(target()?, limits)?;
            if target.is_empty() {
                return refuse("it is a hard link to the root".into());
            }
            EntryKind::Hardlink { target }
        }
        EntryType::Char => {
            let (major, minor) = device()?;
            EntryKind::CharDev { major, minor }
        }
        EntryType::Block => {
            let (major, minor) = device()?;
            EntryKind::BlockDev { major, minor }
        }
        EntryType::Fifo => EntryKind::Fifo,
        other => {
            let flag = char::from(other.to_byte()).escape_default().to_string();
            return refuse(format!("entries of type '{flag}' are not supported"));
        }
    })
}

/// Turns the reserved names of layers into markers; `None` for the private files of aufs.
fn marker(mut entry: Entry) -> Result<Option<Entry>> {
    let (parent, name) = path::split(&entry.path);
    if name == OPAQUE_NAME {
        entry.path = parent.to_vec();
        entry.kind = EntryKind::Opaque;
        return Ok(Some(entry));
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) else { return Ok(Some(entry)) };
    if hidden.starts_with(WHITEOUT_PREFIX) {
        return Ok(None);
    }
    if hidden.is_empty() || hidden == b"." || hidden == b".." {
        return Err(Error::archive(&entry.path, "it is a whiteout of no name"));
    }
    entry.path = path::join(parent, hidden);
    entry.kind = EntryKind::Whiteout;
    Ok(Some(entry))
}
