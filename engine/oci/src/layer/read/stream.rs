//! The bytes of an archive on their way: counted, buffered for headers, spooled to a file.

use crate::layer::header;
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// The most that may stand before the content of one entry: long names, pax records, sparse maps.
const MAX_HEAD: usize = 4 * 1024 * 1024;
/// What is read from the archive and written to the spool at once.
const PIECE: usize = 256 * 1024;

/// The archive as bytes: a buffer for headers, and contents that pass by.
pub(super) struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    charged: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R, limit: u64) -> Self {
        Input { reader, buffer: vec![0; PIECE], start: 0, end: 0, charged: 0, limit }
    }

    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Counts bytes against the limit.
    pub(super) fn charge(&mut self, n: u64) -> Result<()> {
        self.charged = self.charged.saturating_add(n);
        if self.charged > self.limit {
            return Err(Error::Limit {
                what: "the size of the archive when it is uncompressed".into(),
                limit: self.limit,
            });
        }
        Ok(())
    }

    fn more(&mut self) -> Result<usize> {
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    self.charge(n as u64)?;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::stream("read the archive", e)),
            }
        }
    }

    /// Buffers at least `min` bytes; `false` when the archive ends before.
    pub(super) fn fill(&mut self, min: usize) -> Result<bool> {
        if min > MAX_HEAD {
            return Err(Error::Limit {
                what: "the header of one entry of the archive".into(),
                limit: MAX_HEAD as u64,
            });
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < min {
            self.buffer.resize(min.next_multiple_of(PIECE), 0);
        }
        while self.end < min {
            if self.more()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Passes `size` bytes of content on.
    pub(super) fn pass(
        &mut self,
        path: &[u8],
        mut size: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while size > 0 {
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
                if self.more()? == 0 {
                    return Err(Error::archive(
                        path,
                        "the archive ends in the middle of its content",
                    ));
                }
            }
            let have = self.end - self.start;
            let n = usize::try_from(size).unwrap_or(usize::MAX).min(have);
            sink(&self.buffer[self.start..self.start + n])?;
            self.start += n;
            size -= n as u64;
        }
        Ok(())
    }

    pub(super) fn skip_padding(&mut self, path: &[u8], size: u64) -> Result<()> {
        self.pass(path, header::padding(size) as u64, &mut |_| Ok(()))
    }

    pub(super) fn skip_padded(&mut self, size: u64) -> Result<()> {
        self.pass(b"", size, &mut |_| Ok(()))?;
        self.skip_padding(b"", size)
    }

    /// Reads what follows the end of the archive, so that a checksum around it is checked.
    pub(super) fn drain(&mut self) -> Result<()> {
        loop {
            (self.start, self.end) = (0, 0);
            if self.more()? == 0 {
                return Ok(());
            }
        }
    }
}

/// The file that contents are collected in.
pub(super) struct Spool {
    pub(super) file: Arc<File>,
    written: u64,
    buffer: Vec<u8>,
}

impl Spool {
    pub(super) fn new(file: File) -> Result<Self> {
        let written =
            file.metadata().map_err(|e| Error::stream("measure the spool file", e))?.len();
        Ok(Spool { file: Arc::new(file), written, buffer: Vec::with_capacity(PIECE) })
    }

    pub(super) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn put(&mut self, piece: &[u8]) -> Result<()> {
        if self.buffer.len() + piece.len() > PIECE {
            self.write_out()?;
        }
        if piece.len() >= PIECE {
            self.write_at(piece)
        } else {
            self.buffer.extend_from_slice(piece);
            Ok(())
        }
    }

    /// Leaves `length` zero bytes out.
    pub(super) fn hole(&mut self, length: u64) -> Result<()> {
        if length > 0 {
            self.write_out()?;
            self.written += length;
        }
        Ok(())
    }

    fn write_at(&mut self, piece: &[u8]) -> Result<()> {
        self.file
            .write_all_at(piece, self.written)
            .map_err(|e| Error::stream("write the spool file", e))?;
        self.written += piece.len() as u64;
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.write_at(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is buffered; a hole at the end becomes part of the file.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.write_out()?;
        self.file.set_len(self.written).map_err(|e| Error::stream("write the spool file", e))
    }
}
