//! Reading the contents of entries: small ones ahead of need on threads, large ones in pieces.

use super::{Content, Entry, EntryKind};
use crate::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Files up to this size are read whole, ahead of need.
const SMALL: u64 = 256 * 1024;
/// A batch ends when it has this many bytes or entries.
const BATCH_BYTES: u64 = 1024 * 1024;
const BATCH_ENTRIES: usize = 512;
/// Batches that are read but not yet used: bounds the memory of reading ahead.
const AHEAD: usize = 5;

type Batch = Vec<Result<Option<Vec<u8>>>>;

/// The contents of a batch of entries, wanted by the one who packs.
pub(super) struct ReadJob {
    range: Range<usize>,
    reply: SyncSender<Batch>,
}

/// Reads batches until there are no more jobs; run by each reader thread.
pub(super) fn serve(entries: &[Entry], jobs: &Mutex<Receiver<ReadJob>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let batch = entries[job.range].iter().map(read_small).collect();
        // Nobody waits any more when packing has failed elsewhere.
        if job.reply.send(batch).is_err() {
            return;
        }
    }
}

fn read_small(entry: &Entry) -> Result<Option<Vec<u8>>> {
    let EntryKind::File { content, size } = &entry.kind else { return Ok(None) };
    if *size == 0 || *size > SMALL || matches!(content, Content::Bytes(_)) {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(*size as usize + 1);
    stream(entry, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(Some(out))
}

/// Gives each entry with its content, in order, while reader threads work ahead.
pub(super) fn for_each(
    entries: &[Entry],
    jobs: Sender<ReadJob>,
    mut use_entry: impl FnMut(&Entry, Option<Vec<u8>>) -> Result<()>,
) -> Result<()> {
    let gone = || Error::Worker { action: "read files" };
    let mut pending: VecDeque<(Range<usize>, Receiver<Batch>)> = VecDeque::new();
    let mut next = 0;
    loop {
        while pending.len() < AHEAD && next < entries.len() {
            let range = batch(entries, next);
            next = range.end;
            let (reply, answer) = sync_channel(1);
            jobs.send(ReadJob { range: range.clone(), reply }).map_err(|_| gone())?;
            pending.push_back((range, answer));
        }
        let Some((range, answer)) = pending.pop_front() else { return Ok(()) };
        let batch = answer.recv().map_err(|_| gone())?;
        for (entry, bytes) in entries[range].iter().zip(batch) {
            use_entry(entry, bytes?)?;
        }
    }
}

fn batch(entries: &[Entry], start: usize) -> Range<usize> {
    let mut bytes = 0;
    let mut end = start;
    while end < entries.len() && end - start < BATCH_ENTRIES && bytes < BATCH_BYTES {
        if let EntryKind::File { size, .. } = entries[end].kind {
            bytes += if size <= SMALL { size } else { 0 };
        }
        end += 1;
    }
    start..end
}

/// Makes the queue between [`for_each`] and [`serve`].
pub(super) fn queue() -> (Sender<ReadJob>, Mutex<Receiver<ReadJob>>) {
    let (sender, receiver) = channel();
    (sender, Mutex::new(receiver))
}

/// Passes the content of an entry on in pieces; nothing for what is not a regular file.
///
/// Fails with [`Error::FileChanged`] when the file has not the size that the entry says.
pub(super) fn stream(entry: &Entry, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let EntryKind::File { content, size } = &entry.kind else { return Ok(()) };
    match content {
        Content::Bytes(bytes) if bytes.len() as u64 == *size => sink(bytes),
        Content::Bytes(bytes) => Err(Error::entry(
            &entry.path,
            format!("its content has {} bytes, its size says {size}", bytes.len()),
        )),
        Content::Path(path) => {
            let file = open_regular(path, *size)?;
            let given = copy(&mut &file, *size, sink, |e| Error::io("read", path, e))?;
            let more = (&file).read(&mut [0]).map_err(|e| Error::io("read", path, e))?;
            if given < *size || more > 0 {
                let actual = file.metadata().map_or(given, |m| m.len());
                return Err(Error::FileChanged { path: path.clone(), expected: *size, actual });
            }
            Ok(())
        }
        Content::Slice { file, offset } => {
            let mut reader = SliceReader { file: file.clone(), at: *offset };
            let given =
                copy(&mut reader, *size, sink, |e| Error::stream("read the spooled file", e))?;
            if given < *size {
                let path = PathBuf::from(crate::error::lossy(&entry.path));
                return Err(Error::FileChanged { path, expected: *size, actual: given });
            }
            Ok(())
        }
    }
}

/// Opens a regular file without following a link and without waiting on a pipe.
fn open_regular(path: &Path, size: u64) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e))?;
    let stat = rustix::fs::fstat(&file).map_err(|e| Error::io("stat", path, e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::io("read", path, io::Error::other("it is no longer a regular file")));
    }
    let actual = u64::try_from(stat.st_size).unwrap_or(0);
    if actual != size {
        return Err(Error::FileChanged { path: path.to_owned(), expected: size, actual });
    }
    Ok(File::from(file))
}

fn copy(
    reader: &mut dyn Read,
    size: u64,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    fail: impl Fn(io::Error) -> Error,
) -> Result<u64> {
    let mut buffer = vec![0; size.clamp(1, 128 * 1024) as usize];
    let mut given = 0;
    while given < size {
        let want = buffer.len().min(usize::try_from(size - given).unwrap_or(usize::MAX));
        match reader.read(&mut buffer[..want]) {
            Ok(0) => break,
            Ok(n) => {
                sink(&buffer[..n])?;
                given += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(fail(e)),
        }
    }
    Ok(given)
}

/// Reads a shared file from a place, without moving its cursor.
struct SliceReader {
    file: Arc<File>,
    at: u64,
}

impl Read for SliceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entry: &Entry) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        stream(entry, &mut |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(out)
    }

    fn at(path: &Path, size: u64) -> Entry {
        Entry::new("f", EntryKind::File { content: Content::Path(path.to_owned()), size })
    }

    #[test]
    fn contents_come_from_every_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read(&at(&path, 10)).unwrap(), b"0123456789");
        let file = Arc::new(File::open(&path).unwrap());
        let slice = EntryKind::File { content: Content::Slice { file, offset: 3 }, size: 4 };
        assert_eq!(read(&Entry::new("f", slice)).unwrap(), b"3456");
        assert_eq!(read(&Entry::file("f", "abc")).unwrap(), b"abc");
        assert_eq!(read(&Entry::new("f", EntryKind::Fifo)).unwrap(), b"");
    }

    #[test]
    fn a_changed_size_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        for size in [9, 11] {
            let error = read(&at(&path, size)).unwrap_err();
            assert!(matches!(error, Error::FileChanged { actual: 10, .. }), "{error}");
        }
        let file = Arc::new(File::open(&path).unwrap());
        let slice = EntryKind::File { content: Content::Slice { file, offset: 8 }, size: 4 };
        assert!(matches!(read(&Entry::new("f", slice)), Err(Error::FileChanged { actual: 2, .. })));
    }

    #[test]
    fn what_is_no_file_any_more_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("l")).unwrap();
        assert!(read(&at(&dir.path().join("l"), 3)).is_err());
        assert!(read(&at(dir.path(), 3)).is_err());
        assert!(read(&at(&dir.path().join("gone"), 3)).is_err());
    }
}
