//! Key to result, step key to layer, roots, and plain notes.

use mabuild_oci::Digest;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Result, Store};
use crate::key::Key;

/// What a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// The image of one platform.
    Manifest,
    /// The platforms of an image.
    Index,
}

/// The result of a build.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRow {
    /// `sha256:…` of the manifest or index.
    pub digest: String,
    /// Which of both it is.
    pub kind: ResultKind,
    /// Seconds that the build took.
    pub seconds: f64,
}

/// The layer that a step left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// Digest of the uncompressed archive.
    pub diff_id: String,
    /// Digest of the blob.
    pub digest: String,
    /// Bytes of the blob.
    pub size: u64,
    /// Media type of the blob.
    pub media_type: String,
}

/// Writes a result, perhaps within a transaction.
pub(super) fn put_result(
    database: &Connection,
    key: &Key,
    row: &ResultRow,
) -> rusqlite::Result<()> {
    let kind = i64::from(row.kind == ResultKind::Index);
    let mut insert = database.prepare_cached(
        "INSERT OR REPLACE INTO results (key, digest, kind, seconds) VALUES (?1, ?2, ?3, ?4)",
    )?;
    insert.execute(params![key.0.as_slice(), row.digest, kind, row.seconds]).map(|_| ())
}

impl Store {
    /// The result that a key gave, when its blob is still there.
    pub fn result(&self, key: &Key) -> Option<ResultRow> {
        let sql = "SELECT digest, kind, seconds FROM results WHERE key = ?1";
        let row = self.look_up(sql, params![key.0.as_slice()], |row| {
            let kind = match row.get::<_, i64>(1)? {
                0 => ResultKind::Manifest,
                _ => ResultKind::Index,
            };
            Ok(ResultRow { digest: row.get(0)?, kind, seconds: row.get(2)? })
        })?;
        self.has_blob(&row.digest).then_some(row)
    }

    /// Remembers a result. Its blobs must be in the layout already.
    pub fn put_result(&self, key: &Key, row: &ResultRow) -> Result<()> {
        put_result(&self.database(), key, row).map_err(|e| self.database_error(e))
    }

    /// The layer that a step left: the inner value is none when it left no layer. Known only
    /// while the blob is there, or is known to be kept elsewhere.
    pub fn step(&self, key: &Key) -> Option<Option<StepRow>> {
        let sql = "SELECT diff_id, digest, size, media_type FROM steps WHERE key = ?1";
        let row = self.look_up(sql, params![key.0.as_slice()], |row| {
            let Some(digest) = row.get(1)? else { return Ok(None) };
            let size = u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            Ok(Some(StepRow { diff_id: row.get(0)?, digest, size, media_type: row.get(3)? }))
        })?;
        let is_elsewhere =
            |digest: &str| Digest::parse(digest).is_ok_and(|d| self.elsewhere(&d).is_some());
        match &row {
            Some(layer) if !self.has_blob(&layer.digest) && !is_elsewhere(&layer.digest) => None,
            _ => Some(row),
        }
    }

    /// Remembers what a step left. The blob must be in the layout already.
    pub fn put_step(&self, key: &Key, row: &Option<StepRow>) -> Result<()> {
        let row = row.as_ref();
        self.change(
            "INSERT OR REPLACE INTO steps (key, diff_id, digest, size, media_type)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                key.0.as_slice(),
                row.map(|r| &r.diff_id),
                row.map(|r| &r.digest),
                row.map(|r| i64::try_from(r.size).unwrap_or(i64::MAX)),
                row.map(|r| &r.media_type),
            ],
        )
    }

    /// A note.
    pub fn memo(&self, kind: &str, key: &str) -> Option<String> {
        let sql = "SELECT value FROM memo WHERE kind = ?1 AND key = ?2";
        self.look_up(sql, params![kind, key], |row| row.get(0))
    }

    /// Writes a note over what was there.
    pub fn put_memo(&self, kind: &str, key: &str, value: &str) -> Result<()> {
        self.change(
            "INSERT OR REPLACE INTO memo (kind, key, value) VALUES (?1, ?2, ?3)",
            params![kind, key, value],
        )
    }

    /// Takes a note away.
    pub fn remove_memo(&self, kind: &str, key: &str) -> Result<()> {
        self.change("DELETE FROM memo WHERE kind = ?1 AND key = ?2", params![kind, key])
    }

    /// Remembers the last index of a thing in a project, so that [`Store::gc`] keeps it.
    pub fn put_root(&self, project: &str, name: &str, digest: &str) -> Result<()> {
        self.change(
            "INSERT INTO roots (project, name, digest) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET digest = excluded.digest WHERE digest <> excluded.digest",
            params![project, name, digest],
        )
    }

    /// Every `(project, name, digest)` that [`Store::gc`] keeps, in order.
    pub fn roots(&self) -> Result<Vec<(String, String, String)>> {
        let read = || -> rusqlite::Result<Vec<_>> {
            let database = self.database();
            let mut query = database
                .prepare_cached("SELECT project, name, digest FROM roots ORDER BY project, name")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        };
        read().map_err(|e| self.database_error(e))
    }

    pub(super) fn has_blob(&self, digest: &str) -> bool {
        Digest::parse(digest).is_ok_and(|digest| self.layout().path_of(&digest).is_file())
    }

    /// One row, or none; a database that cannot be read knows nothing.
    pub(super) fn look_up<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<T> {
        let database = self.database();
        let mut query = database.prepare_cached(sql).ok()?;
        query.query_row(params, read).optional().ok().flatten()
    }

    /// Several changes that are seen all at once or not at all.
    pub(super) fn transaction<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let all = || {
            let mut database = self.database();
            let change = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&change)?;
            change.commit().map(|()| done)
        };
        all().map_err(|e| self.database_error(e))
    }

    pub(super) fn change(&self, sql: &str, params: impl rusqlite::Params) -> Result<()> {
        let changed = self.database().prepare_cached(sql).and_then(|mut q| q.execute(params));
        changed.map(|_| ()).map_err(|e| self.database_error(e))
    }
}
