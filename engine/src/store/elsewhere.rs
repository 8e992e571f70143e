//! Blobs that are not here, and where they are kept: images that a registry has already are
//! brought only when something reads them.

use mabuild_oci::Digest;
use rusqlite::params;

use super::{Result, Store};

/// Notes of this kind say where a blob is kept.
const KIND: &str = "elsewhere";

impl Store {
    /// The repository, `HOST/PATH`, that keeps a blob, where one is known.
    pub fn elsewhere(&self, blob: &Digest) -> Option<String> {
        self.memo(KIND, &blob.to_string())
    }

    /// Remembers which repository keeps some blobs.
    pub fn put_elsewhere(&self, blobs: &[Digest], repository: &str) -> Result<()> {
        self.put_places(blobs.iter().map(|blob| (*blob, repository)))
    }

    /// Remembers which repositories keep blobs.
    pub fn put_places<'a>(
        &self,
        places: impl IntoIterator<Item = (Digest, &'a str)>,
    ) -> Result<()> {
        self.transaction(|change| {
            let mut insert = change.prepare_cached(
                "INSERT INTO memo (kind, key, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
            )?;
            places.into_iter().try_for_each(|(blob, repository)| {
                insert.execute(params![KIND, blob.to_string(), repository]).map(|_| ())
            })
        })
    }
}
