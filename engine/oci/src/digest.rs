//! Content digests: `sha256:` and `sha512:` names of bytes, and streams that compute them.
//!
//! Everything this crate writes is named by SHA-256; SHA-512 is read and verified because the
//! image specification registers it.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

/// The digest of a content: the name under which a registry and a layout keep it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// SHA-256, 32 bytes.
    Sha256([u8; 32]),
    /// SHA-512, 64 bytes.
    Sha512([u8; 64]),
}

impl Digest {
    /// Computes the SHA-256 digest of `bytes`.
    pub fn sha256(bytes: impl AsRef<[u8]>) -> Self {
        Digest::Sha256(Sha256::digest(bytes.as_ref()).into())
    }

    /// Reads `sha256:<64 hex>` or `sha512:<128 hex>`; hex digits must be lowercase.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |reason| Error::BadDigest { text: text.chars().take(200).collect(), reason };
        let (algorithm, encoded) =
            text.split_once(':').ok_or_else(|| bad("it has no algorithm in front of a colon"))?;
        if encoded.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(bad("it has a character that is not a lowercase hex digit"));
        }
        let length = || bad("the number of hex digits does not fit the algorithm");
        match algorithm {
            "sha256" => {
                let mut out = [0; 32];
                hex::decode_to_slice(encoded, &mut out).map_err(|_| length())?;
                Ok(Digest::Sha256(out))
            }
            "sha512" => {
                let mut out = [0; 64];
                hex::decode_to_slice(encoded, &mut out).map_err(|_| length())?;
                Ok(Digest::Sha512(out))
            }
            _ => Err(bad("only sha256 and sha512 are known")),
        }
    }

    /// Returns the name of the algorithm: `sha256` or `sha512`.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Digest::Sha256(_) => "sha256",
            Digest::Sha512(_) => "sha512",
        }
    }

    /// Returns the digest as lowercase hex, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// Returns the raw digest: 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Digest::Sha256(bytes) => bytes,
            Digest::Sha512(bytes) => bytes,
        }
    }

    /// Starts hashing with the algorithm of this digest.
    pub fn hasher(&self) -> Hasher {
        match self {
            Digest::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Digest::Sha512(_) => Hasher::Sha512(Sha512::new()),
        }
    }

    /// Checks that `bytes` have this digest; `what` names them in the error.
    pub fn verify(&self, what: impl Into<String>, bytes: &[u8]) -> Result<()> {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        self.expect(what, hasher.finish())
    }

    /// Checks that `actual` is this digest; `what` names the content in the error.
    pub fn expect(&self, what: impl Into<String>, actual: Digest) -> Result<()> {
        if *self == actual {
            return Ok(());
        }
        Err(Error::DigestMismatch {
            what: what.into(),
            expected: Box::new(*self),
            actual: Box::new(actual),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Digest::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A digest in the making.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// Starts a SHA-256 digest.
    pub fn sha256() -> Self {
        Hasher::Sha256(Sha256::new())
    }

    /// Adds bytes to the digest.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
            Hasher::Sha512(state) => state.update(bytes),
        }
    }

    /// Ends the digest.
    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(state) => Digest::Sha256(state.finalize().into()),
            Hasher::Sha512(state) => Digest::Sha512(state.finalize().into()),
        }
    }
}

/// A reader that hashes and counts what passes through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner` and hashes with SHA-256.
    pub fn new(inner: R) -> Self {
        Self::with(inner, Hasher::sha256())
    }

    /// Wraps `inner` and hashes with `hasher`.
    pub fn with(inner: R, hasher: Hasher) -> Self {
        HashingReader { inner, hasher, bytes: 0 }
    }

    /// Returns how many bytes were read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the digest and the number of the bytes read so far.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

/// A writer that hashes and counts what passes through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps `inner` and hashes with SHA-256.
    pub fn new(inner: W) -> Self {
        HashingWriter { inner, hasher: Hasher::sha256(), bytes: 0 }
    }

    /// Returns how many bytes were written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the inner writer, the digest and the number of the bytes written so far.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.bytes)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(&buf[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_and_value_are_the_same_both_ways() {
        let digest = Digest::sha256(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(Digest::parse(EMPTY).unwrap(), digest);
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("{EMPTY:?}"));
        let long = format!("sha512:{}", "ab".repeat(64));
        assert_eq!(Digest::parse(&long).unwrap().to_string(), long);
        assert_eq!(Digest::parse(&long).unwrap().algorithm(), "sha512");
    }

    #[test]
    fn what_is_not_a_digest_is_refused() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        for text in
            ["", "sha256", "sha256:", "sha256:ab", "md5:ab", &upper, "sha256:é", &EMPTY[..70]]
        {
            assert!(Digest::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(serde_json::from_str::<Digest>("\"sha256:zz\"").is_err());
    }

    #[test]
    fn streams_hash_what_passes() {
        let mut reader = HashingReader::new(&b"hello"[..]);
        let mut writer = HashingWriter::new(Vec::new());
        io::copy(&mut reader, &mut writer).unwrap();
        let (out, digest, bytes) = writer.finish();
        assert_eq!((out.as_slice(), bytes), (&b"hello"[..], 5));
        assert_eq!(digest, Digest::sha256(b"hello"));
        assert_eq!(reader.finish(), (digest, 5));
    }

    #[test]
    fn a_wrong_digest_names_both() {
        let error = Digest::sha256(b"a").verify("blob x", b"b").unwrap_err().to_string();
        assert!(error.contains("blob x"), "{error}");
        assert!(error.contains(&Digest::sha256(b"a").to_string()), "{error}");
        assert!(error.contains(&Digest::sha256(b"b").to_string()), "{error}");
    }
}
