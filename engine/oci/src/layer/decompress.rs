//! Compressions of layers and archives, told apart by their first bytes.

use crate::{Error, Result, media_type};
use std::io::{self, BufRead, BufReader, Read};

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Compression {
    /// Returns the media type of an OCI layer that is compressed so.
    pub fn layer_media_type(self) -> &'static str {
        match self {
            Compression::None => media_type::LAYER,
            Compression::Gzip => media_type::LAYER_GZIP,
            Compression::Zstd => media_type::LAYER_ZSTD,
        }
    }
}

/// Tells the compression of a stream by its first bytes; four are enough.
///
/// A zstd stream may begin with a skippable frame (`0x184D2A5?`).
pub fn sniff(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// Wraps a reader so that it gives the uncompressed bytes: gzip (of one or more members), zstd,
/// or plain, by the first bytes.
pub fn decompress<'a>(reader: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
    let mut reader = BufReader::with_capacity(128 * 1024, Prefetched::new(reader)?);
    let kind = sniff(reader.fill_buf().map_err(|e| Error::stream("read the archive", e))?);
    Ok(match kind {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)
                .map_err(|e| Error::stream("start the zstd decoder", e))?;
            // 128 MiB is what every decoder has to accept; a frame that wants more is hostile.
            decoder.window_log_max(27).map_err(|e| Error::stream("limit the zstd decoder", e))?;
            Box::new(decoder)
        }
    })
}

/// A reader whose first bytes were read ahead, because one `read` may give less than a magic.
struct Prefetched<R> {
    start: [u8; 4],
    have: usize,
    given: usize,
    inner: R,
}

impl<R: Read> Prefetched<R> {
    fn new(mut inner: R) -> Result<Self> {
        let mut start = [0; 4];
        let mut have = 0;
        while have < start.len() {
            match inner.read(&mut start[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::stream("read the archive", e)),
            }
        }
        Ok(Prefetched { start, have, given: 0, inner })
    }
}

impl<R: Read> Read for Prefetched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given == self.have {
            return self.inner.read(buf);
        }
        let n = buf.len().min(self.have - self.given);
        buf[..n].copy_from_slice(&self.start[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buf.len()).min(1);
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn every_form_gives_the_same_bytes() {
        let text = b"some text ".repeat(1000);
        let members = [gzip(&text[..500]), gzip(&text[500..])].concat();
        let frames = [
            zstd::encode_all(&text[..500], 3).unwrap(),
            zstd::encode_all(&text[500..], 3).unwrap(),
        ]
        .concat();
        for form in [text.clone(), gzip(&text), members, frames] {
            let mut out = Vec::new();
            decompress(&form[..]).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == text);
            out.clear();
            decompress(Slow(&form)).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == text);
        }
        let mut out = Vec::new();
        decompress(&b"ab"[..]).unwrap().read_to_end(&mut out).unwrap();
        decompress(&b""[..]).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, b"ab");
    }

    #[test]
    fn cut_and_flipped_streams_are_errors() {
        let text = b"some text ".repeat(1000);
        let whole = gzip(&text);
        let mut flipped = whole.clone();
        let at = flipped.len() - 6;
        flipped[at] ^= 1;
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for bad in [&whole[..whole.len() - 4], &flipped, &zstd[..zstd.len() - 3]] {
            let mut out = Vec::new();
            assert!(decompress(bad).unwrap().read_to_end(&mut out).is_err());
        }
    }
}
