//! From entries to a layer, in one pass: tar, diff id, compression, digest.
//!
//! Threads: readers fetch files ahead, one produces the archive in blocks, one hashes them for
//! the diff id, workers compress them, and the caller's thread hashes and writes the result in
//! order. A block enters only when one has left, so memory does not grow with the layer. The
//! threads are its own rather than of a shared pool, because a caller that itself runs on that
//! pool would wait for jobs that nobody is left to do.

use super::tree_index::ContentDigest;
use super::{Compression, Entry, LayerIndex, deflate, header, order, source};
use crate::digest::Hasher;
use crate::{Digest, Error, Result};
use flate2::Crc;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// More workers would make blocks faster than SHA-256 can take them, and cost memory.
const MAX_WORKERS: usize = 12;
/// Threads that read files ahead.
const MAX_READERS: usize = 4;
/// Blocks that may be under way besides those in the workers.
const SPARE_BLOCKS: usize = 4;

/// How a layer is packed.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// The compression.
    pub compression: Compression,
    /// Times after this one become this one, in seconds since 1970.
    pub clamp_mtime: i64,
    /// Threads that compress; 0 for as many as the machine has. The bytes do not depend on it.
    pub threads: usize,
}

/// What a layer became.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Digest of what was written.
    pub digest: Digest,
    /// Size of what was written, in bytes.
    pub size: u64,
    /// Size of the uncompressed archive, in bytes.
    pub diff_size: u64,
    /// Media type of an OCI layer of this compression.
    pub media_type: &'static str,
    /// Number of entries.
    pub entries: u64,
    /// What is in the layer.
    pub index: LayerIndex,
}

/// Writes entries as a layer to `out`.
///
/// The bytes are the same for the same entries in any order, on any machine, with any number of
/// threads. Times before 1970 become 1970. Fails when a path is unclean or double, a file cannot
/// be read or changes while it is read, or `out` fails.
pub fn pack(entries: Vec<Entry>, options: &PackOptions, out: &mut dyn Write) -> Result<Packed> {
    let entries = order::normalise(entries, options.clamp_mtime)?;
    let workers = worker_count(options.threads);
    let kind = options.compression;
    let (token_in, tokens) = channel();
    for _ in 0..workers + SPARE_BLOCKS {
        // The receiver lives in this function, so the channel is open.
        let _ = token_in.send(());
    }
    let (job_in, jobs) = channel();
    let (hash_in, hash_jobs) = sync_channel(SPARE_BLOCKS);
    let (done_in, done) = channel();
    let (read_in, read_jobs) = source::queue();
    let jobs = Mutex::new(jobs);
    let (jobs, read_jobs) = (&jobs, &read_jobs);

    let (hashed, written, produced) = thread::scope(|scope| {
        for _ in 0..workers.min(MAX_READERS) {
            scope.spawn(|| source::serve(&entries, read_jobs));
        }
        for _ in 0..workers {
            let done_in = done_in.clone();
            scope.spawn(move || deflate::serve(kind, jobs, &done_in));
        }
        drop(done_in);
        let hasher = scope.spawn(move || hash_all(hash_jobs));
        let entries = &entries;
        let producer = scope.spawn(move || {
            let mut blocks = Blocks::new(tokens, job_in, hash_in);
            let mut digests = Vec::with_capacity(entries.len());
            source::for_each(entries, read_in, |entry, bytes| {
                digests.push(blocks.entry(entry, bytes)?);
                Ok(())
            })?;
            blocks.finish().map(|()| digests)
        });
        let written = write_all(kind, done, token_in, out);
        (hasher.join(), written, producer.join())
    });
    // The producer stops for want of tokens when the writer has failed, so the writer goes first.
    let worker = |_| Error::Worker { action: "pack a layer" };
    let (written, digests) = match (written, produced.map_err(worker)?) {
        (Err(e @ Error::Worker { .. }), Err(cause)) => return Err(first_cause(e, cause)),
        (Err(e), _) => return Err(e),
        (Ok(_), Err(e)) => return Err(e),
        (Ok(written), Ok(digests)) => (written, digests),
    };
    let (diff_id, diff_size) = hashed.map_err(worker)?;
    Ok(Packed {
        diff_id,
        digest: written.digest.unwrap_or(diff_id),
        size: written.size,
        diff_size,
        media_type: kind.layer_media_type(),
        entries: entries.len() as u64,
        index: LayerIndex::with_digests(&entries, &digests),
    })
}

fn first_cause(seen: Error, cause: Error) -> Error {
    if matches!(cause, Error::Worker { .. }) { seen } else { cause }
}

fn worker_count(threads: usize) -> usize {
    let wanted = match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    wanted.clamp(1, MAX_WORKERS)
}

fn hash_all(blocks: Receiver<Arc<Vec<u8>>>) -> (Digest, u64) {
    let mut hasher = Hasher::sha256();
    let mut size = 0;
    for block in blocks {
        hasher.update(&block);
        size += block.len() as u64;
    }
    (hasher.finish(), size)
}

struct Written {
    /// `None` when nothing is compressed: the diff id is the digest then.
    digest: Option<Digest>,
    size: u64,
}

/// Writes blocks in order and lets a new one in for each that has left.
fn write_all(
    kind: Compression,
    done: Receiver<Result<deflate::Done>>,
    tokens: Sender<()>,
    out: &mut dyn Write,
) -> Result<Written> {
    let mut hasher = (kind != Compression::None).then(Hasher::sha256);
    let mut size = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(hasher) = &mut hasher {
            hasher.update(bytes);
        }
        size += bytes.len() as u64;
        out.write_all(bytes).map_err(|e| Error::stream("write the layer", e))
    };
    put(deflate::head(kind))?;
    let mut crc = Crc::new();
    let mut early = BTreeMap::new();
    let mut next = 0;
    for block in done {
        let block = block?;
        early.insert(block.number, block);
        while let Some(block) = early.remove(&next) {
            put(&block.data)?;
            crc.combine(&block.crc);
            next += 1;
            // The producer may have gone because it is ready.
            let _ = tokens.send(());
        }
    }
    if !early.is_empty() {
        return Err(Error::Worker { action: "compress a block" });
    }
    put(&deflate::tail(kind, &crc))?;
    out.flush().map_err(|e| Error::stream("write the layer", e))?;
    Ok(Written { digest: hasher.map(Hasher::finish), size })
}

/// Cuts the archive into blocks and hands them to the hasher and the workers.
struct Blocks {
    tokens: Receiver<()>,
    jobs: Sender<deflate::Job>,
    hash: SyncSender<Arc<Vec<u8>>>,
    current: Vec<u8>,
    number: u64,
}

impl Blocks {
    fn new(
        tokens: Receiver<()>,
        jobs: Sender<deflate::Job>,
        hash: SyncSender<Arc<Vec<u8>>>,
    ) -> Self {
        Blocks { tokens, jobs, hash, current: Vec::with_capacity(deflate::BLOCK), number: 0 }
    }

    /// Adds an entry; gives the digest of its content when it is a file.
    fn entry(&mut self, entry: &Entry, bytes: Option<Vec<u8>>) -> Result<Option<ContentDigest>> {
        self.put(&header::encode(entry)?)?;
        let super::EntryKind::File { size, .. } = entry.kind else { return Ok(None) };
        let mut hasher = blake3::Hasher::new();
        let mut pass = |piece: &[u8]| {
            hasher.update(piece);
            self.put(piece)
        };
        match bytes {
            Some(bytes) => pass(&bytes)?,
            None => source::stream(entry, &mut pass)?,
        }
        self.put(&header::END[..header::padding(size)])?;
        Ok(Some(*hasher.finalize().as_bytes()))
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // A full block leaves only when more follows, so that the last one is never empty.
            if self.current.len() == deflate::BLOCK {
                self.send(false)?;
            }
            let n = bytes.len().min(deflate::BLOCK - self.current.len());
            self.current.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.put(&header::END)?;
        self.send(true)
    }

    fn send(&mut self, last: bool) -> Result<()> {
        let gone = || Error::Worker { action: "pack a layer" };
        self.tokens.recv().map_err(|_| gone())?;
        let fresh = if last { Vec::new() } else { Vec::with_capacity(deflate::BLOCK) };
        let data = Arc::new(std::mem::replace(&mut self.current, fresh));
        let number = self.number;
        self.number += 1;
        self.hash.send(data.clone()).map_err(|_| gone())?;
        self.jobs.send(deflate::Job { number, last, data }).map_err(|_| gone())
    }
}
