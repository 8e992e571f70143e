//! The one error type of the crate: what failed, on which path, and what to do about it.

use crate::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while reading, writing or checking images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call on a path failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as an infinitive: "open", "create directory".
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// Reading from or writing to a stream that has no path failed.
    #[error("cannot {action}: {source}")]
    Stream {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// The answer of the stream.
        source: io::Error,
    },
    /// A digest is not of the form `algorithm:hex`.
    #[error("{text:?} is not a digest: {reason}; write it as sha256:<64 lowercase hex digits>")]
    BadDigest {
        /// The text that was read.
        text: String,
        /// Why it was refused.
        reason: &'static str,
    },
    /// A platform is not of the form `os/architecture[/variant]`.
    #[error("{text:?} is not a platform; write it as os/architecture or os/architecture/variant")]
    BadPlatform {
        /// The text that was read.
        text: String,
    },
    /// Content does not have the digest it is known by.
    #[error(
        "{what} has digest {actual}, but {expected} was expected; it is damaged or was exchanged, so fetch or build it again"
    )]
    DigestMismatch {
        /// What was hashed.
        what: String,
        /// The digest it should have.
        expected: Box<Digest>,
        /// The digest it has.
        actual: Box<Digest>,
    },
    /// Content does not have the size its descriptor says.
    #[error(
        "{what} has {actual} bytes, but {expected} were expected; it is damaged or was exchanged, so fetch or build it again"
    )]
    SizeMismatch {
        /// What was measured.
        what: String,
        /// The size it should have, in bytes.
        expected: u64,
        /// The size it has, in bytes.
        actual: u64,
    },
    /// A manifest, index, config or layout file is not what it should be.
    #[error("{what} is not valid: {reason}")]
    BadDocument {
        /// The document, with its digest or path where it has one.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An archive is broken, or has an entry that could do harm.
    #[error("the archive is refused at entry {entry:?}: {reason}")]
    BadArchive {
        /// Path of the entry as the archive has it; empty before the first entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit against archives made to exhaust memory, disk or time was passed.
    #[error("{what} passes the limit of {limit}; if the input is trusted, raise the limit")]
    Limit {
        /// What was counted.
        what: String,
        /// The limit it passed.
        limit: u64,
    },
    /// A list of layer entries cannot be written, merged or applied.
    #[error("layer entry {entry:?} cannot be used: {reason}")]
    BadEntry {
        /// Path of the entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file became longer or shorter while it was read.
    #[error("{} changed while it was read: {expected} bytes were expected, {actual} found; stop whatever writes to it and try again", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
        /// Its size when it was listed, in bytes.
        expected: u64,
        /// Its size when it was read, in bytes.
        actual: u64,
    },
    /// A blob that something refers to is not in the layout.
    #[error("blob {digest} is not in the image layout {}; fetch or build the image again", layout.display())]
    MissingBlob {
        /// Digest of the blob.
        digest: Digest,
        /// The layout that was searched.
        layout: PathBuf,
    },
    /// An index has no manifest, or several, for what was asked.
    #[error("{digest} has no single image for {wanted}; it has: {available}")]
    NoPlatform {
        /// Digest of the index or manifest.
        digest: Digest,
        /// The platform that was asked for.
        wanted: String,
        /// The platforms it has.
        available: String,
    },
    /// A worker thread ended without a result.
    #[error("a worker thread stopped while it was to {action}; this is a defect of the program")]
    Worker {
        /// What the thread was to do.
        action: &'static str,
    },
}

impl Error {
    /// Makes the error of a failed system call on `path`.
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        Error::Io { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// Makes the error of a failed stream.
    pub(crate) fn stream(action: &'static str, source: impl Into<io::Error>) -> Self {
        Error::Stream { action, source: source.into() }
    }

    /// Makes the error of an archive that is refused at `entry`.
    pub(crate) fn archive(entry: &[u8], reason: impl Into<String>) -> Self {
        Error::BadArchive { entry: lossy(entry), reason: reason.into() }
    }

    /// Makes the error of an entry that cannot be used.
    pub(crate) fn entry(entry: &[u8], reason: impl Into<String>) -> Self {
        Error::BadEntry { entry: lossy(entry), reason: reason.into() }
    }

    /// Makes the error of a broken document.
    pub(crate) fn document(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::BadDocument { what: what.into(), reason: reason.into() }
    }
}

/// Shows bytes of a path to a person.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
