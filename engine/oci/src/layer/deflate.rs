//! Compressing a stream in blocks on several threads, with the same bytes for any number of them.
//!
//! gzip: each block is deflated on its own and ends in a sync flush, so the blocks joined are one
//! deflate stream in one gzip member (RFC 1951, RFC 1952). zstd: each block is one frame, and
//! frames joined are one stream (RFC 8878).

use super::Compression;
use crate::{Error, Result};
use flate2::{Compress, Crc, FlushCompress, Status};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a block before compression.
pub(super) const BLOCK: usize = 1024 * 1024;
/// The level of deflate: that of gzip when it is not told otherwise.
const GZIP_LEVEL: u32 = 6;
/// The level of zstd: its own default.
const ZSTD_LEVEL: i32 = 3;

/// gzip header: deflate, no flags, no time, no extra flags, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A block to compress.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) last: bool,
    pub(super) data: Arc<Vec<u8>>,
}

/// A block that is compressed.
pub(super) struct Done {
    pub(super) number: u64,
    pub(super) data: Arc<Vec<u8>>,
    pub(super) crc: Crc,
}

/// Compresses blocks until there are no more; run by each worker thread.
pub(super) fn serve(kind: Compression, jobs: &Mutex<Receiver<Job>>, done: &Sender<Result<Done>>) {
    let mut coder = Coder::new(kind);
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let result = coder.as_mut().map_err(|e| e.take()).and_then(|coder| coder.block(&job));
        if done.send(result).is_err() {
            return;
        }
    }
}

/// What a worker keeps from block to block.
enum Coder {
    None,
    Gzip(Box<Compress>),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

/// An error that is given away once; a worker that could not start has one to give.
struct Once(Option<Error>);

impl Once {
    fn take(&mut self) -> Error {
        self.0.take().unwrap_or(Error::Worker { action: "compress a block" })
    }
}

impl Coder {
    fn new(kind: Compression) -> Result<Self, Once> {
        match kind {
            Compression::None => Ok(Coder::None),
            Compression::Gzip => Ok(Coder::Gzip(Box::new(Compress::new(
                flate2::Compression::new(GZIP_LEVEL),
                false,
            )))),
            Compression::Zstd => zstd::bulk::Compressor::new(ZSTD_LEVEL)
                .and_then(|mut coder| {
                    coder.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
                    Ok(Coder::Zstd(Box::new(coder)))
                })
                .map_err(|e| Once(Some(Error::stream("start the zstd encoder", e)))),
        }
    }

    fn block(&mut self, job: &Job) -> Result<Done> {
        let mut crc = Crc::new();
        let data = match self {
            Coder::None => job.data.clone(),
            Coder::Gzip(coder) => {
                crc.update(&job.data);
                Arc::new(deflate(coder, &job.data, job.last)?)
            }
            Coder::Zstd(coder) => Arc::new(
                coder.compress(&job.data).map_err(|e| Error::stream("compress a block", e))?,
            ),
        };
        Ok(Done { number: job.number, data, crc })
    }
}

fn deflate(coder: &mut Compress, block: &[u8], last: bool) -> Result<Vec<u8>> {
    coder.reset();
    let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let used = usize::try_from(coder.total_in()).unwrap_or(block.len()).min(block.len());
        let status = coder
            .compress_vec(&block[used..], &mut out, flush)
            .map_err(|e| Error::stream("compress a block", e))?;
        let all = coder.total_in() == block.len() as u64;
        // Room left in the output is how deflate says that nothing is held back.
        let flushed = all && out.len() < out.capacity();
        if status == Status::StreamEnd || (!last && flushed) {
            return Ok(out);
        }
        out.reserve(block.len() / 2 + 1024);
    }
}

/// Returns what stands before the first block.
pub(super) fn head(kind: Compression) -> &'static [u8] {
    match kind {
        Compression::Gzip => &GZIP_HEADER,
        _ => &[],
    }
}

/// Returns what stands after the last block; `crc` is that of the whole stream.
pub(super) fn tail(kind: Compression, crc: &Crc) -> Vec<u8> {
    match kind {
        Compression::Gzip => [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat(),
        _ => Vec::new(),
    }
}
