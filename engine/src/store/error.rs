//! What can go wrong with a store, in words for whoever has to repair it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder of the store could not be used.
    #[error("cannot {action} {}: {source}; check that the disk is not full and that the store belongs to you", path.display())]
    Io {
        /// What was tried, as an infinitive.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// The database could not be read or written.
    #[error("cannot use the database {}: {source}; if it is damaged, remove it: results are built again, images stay", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The answer of SQLite.
        source: rusqlite::Error,
    },
    /// The database was written by a newer program.
    #[error("the database {} has form {found}, this program knows up to {known}; use the newer program or another store", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// The newest form that is known here.
        known: i64,
    },
    /// The image layout could not be used.
    #[error(transparent)]
    Layout(#[from] mabuild_oci::Error),
    /// Something that was to be kept is not what it is said to be.
    #[error("{what} has digest {actual}, but {expected} was expected; it was not kept")]
    Mismatch {
        /// What was hashed.
        what: String,
        /// The digest it should have.
        expected: String,
        /// The digest it has.
        actual: String,
    },
    /// Something in the way of garbage collection.
    #[error("the store {} is in use by another run; try again when it has ended", path.display())]
    InUse {
        /// Folder of the store.
        path: PathBuf,
    },
    /// A tree could not be removed.
    #[error("cannot remove {}: {message}", path.display())]
    Remove {
        /// The tree.
        path: PathBuf,
        /// The answer of the remover.
        message: String,
    },
}

impl StoreError {
    /// Makes the error of a failed system call on a path.
    pub(super) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }
}
