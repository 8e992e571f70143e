//! The compressions that the Debian archive uses for indexes and package members.

use std::io::{self, BufReader, Read};

/// Memory a decoder may use for its dictionary and tables: xz -9 needs 65 MiB, zstd --ultra 128.
const XZ_MEMORY_KIB: u32 = 160 * 1024;
const ZSTD_WINDOW_LOG: u32 = 27;

/// A compression, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Plain bytes.
    None,
    /// gzip (RFC 1952), several members allowed.
    Gzip,
    /// xz (.xz format 1.1), several streams allowed.
    Xz,
    /// Zstandard (RFC 8878), several frames allowed.
    Zstd,
}

impl Compression {
    /// Returns the compression that a file name's ending names; a name without a known ending of
    /// a compression is plain. `None` for an ending that is known but not supported.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("gz") => Some(Self::Gzip),
            Some("xz") => Some(Self::Xz),
            Some("zst") => Some(Self::Zstd),
            Some("bz2" | "lzma" | "lz4" | "br") => None,
            _ => Some(Self::None),
        }
    }

    /// Returns the compression that the first bytes of a file show (six bytes are enough).
    pub fn from_magic(start: &[u8]) -> Self {
        if start.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if start.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

/// Returns a reader of the decompressed bytes.
///
/// Memory is bounded for every format; the amount of output is not, so a caller that collects it
/// limits it with [`Read::take`].
///
/// # Errors
/// When the decoder cannot be set up; damaged data is an error of the returned reader.
pub fn decompress<'r, R: Read + Send + 'r>(
    compression: Compression,
    reader: R,
) -> io::Result<Box<dyn Read + Send + 'r>> {
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(reader))),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            BufReader::with_capacity(1 << 16, reader),
            true,
            XZ_MEMORY_KIB,
        )),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(reader)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    pub(crate) fn compress(compression: Compression, data: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => data.to_vec(),
            Compression::Gzip => {
                let mut out =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(data).unwrap();
                out.finish().unwrap()
            }
            Compression::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(0);
                let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
                out.write_all(data).unwrap();
                out.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(data, 1).unwrap(),
        }
    }

    const ALL: [(Compression, &str); 4] = [
        (Compression::None, "Packages"),
        (Compression::Gzip, "Packages.gz"),
        (Compression::Xz, "data.tar.xz"),
        (Compression::Zstd, "data.tar.zst"),
    ];

    #[test]
    fn every_format_is_read_back_and_recognised() {
        let data = b"Package: a\n".repeat(5000);
        for (compression, name) in ALL {
            let packed = compress(compression, &data);
            assert_eq!(Compression::from_name(name), Some(compression));
            assert_eq!(Compression::from_magic(&packed), compression);
            let mut read = Vec::new();
            decompress(compression, &packed[..]).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == data, "{compression:?}");
        }
        assert_eq!(Compression::from_name("data.tar.bz2"), None);
    }

    #[test]
    fn concatenated_members_are_one_file() {
        for (compression, _) in ALL {
            let mut packed = compress(compression, b"one ");
            packed.extend(compress(compression, b"two"));
            let mut read = String::new();
            decompress(compression, &packed[..]).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, "one two", "{compression:?}");
        }
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        for (compression, _) in &ALL[1..] {
            let packed = compress(*compression, &b"Package: a\n".repeat(100));
            let cut = &packed[..packed.len() - 5];
            let mut read = Vec::new();
            let result = decompress(*compression, cut).and_then(|mut r| r.read_to_end(&mut read));
            assert!(result.is_err(), "{compression:?}");
        }
    }

    #[test]
    fn an_xz_dictionary_over_the_memory_limit_is_refused() {
        let mut options = lzma_rust2::XzOptions::with_preset(0);
        options.lzma_options.dict_size = 4096;
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(b"small").unwrap();
        let mut packed = writer.finish().unwrap();
        // Block header: size, flags, filter id, property length, dictionary size code (40 = 4 GiB).
        assert_eq!(packed[14..16], [0x21, 1]);
        packed[16] = 40;
        let header_end = 12 + (usize::from(packed[12]) + 1) * 4;
        let crc = crc32(&packed[12..header_end - 4]);
        packed[header_end - 4..header_end].copy_from_slice(&crc.to_le_bytes());
        let error = decompress(Compression::Xz, &packed[..])
            .unwrap()
            .read_to_end(&mut Vec::new())
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{error}");
    }

    fn crc32(data: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        crc.sum()
    }

    proptest! {
        #[test]
        fn damaged_input_never_panics(kind in 0usize..4, at in 0usize..80, byte: u8) {
            let (compression, _) = ALL[kind];
            let mut packed = compress(compression, b"some text, some text, some text");
            let at = at % packed.len();
            packed[at] = byte;
            let _ = decompress(compression, &packed[..]).and_then(|r| r.take(1 << 20).read_to_end(&mut Vec::new()));
        }
    }
}
