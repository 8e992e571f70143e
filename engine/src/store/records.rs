//! What was hashed for each node, and what each node was in every run that is kept.
//!
//! `records` says what a node is now, `states` what it was: a row for each run in which it came
//! out other than before, so that a run that changes nothing writes nothing. `bodies` holds what
//! was hashed, by key, for as long as either needs it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::history::BuildRow;
use super::memo::put_result;
use super::{Result, ResultRow, Store};
use crate::key::{Key, RECORD_FORMAT, Record};

/// A node of a project in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<'a> {
    /// Name of the project.
    pub project: &'a str,
    /// `name@platform`.
    pub node: &'a str,
    /// Number of the run.
    pub run: i64,
}

/// What a node was in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// Its key.
    pub key: Key,
    /// Digest of its manifest.
    pub digest: String,
}

/// A node that is up to date without having been built: name, key, manifest digest, what was
/// hashed.
pub type KeptRow<'a> = (String, Key, &'a str, Record);

impl Store {
    /// The key of a node's last build in a project, and what was hashed for it.
    pub fn record(&self, project: &str, node: &str) -> Option<(Key, Record)> {
        let key = self.last_key(project, node)?;
        Some((key, self.body(&key)?))
    }

    /// What was hashed to a key. A record of another form explains nothing, so it is none.
    pub fn body(&self, key: &Key) -> Option<Record> {
        let sql = "SELECT record FROM bodies WHERE key = ?1";
        let text: String = self.look_up(sql, params![key.0.as_slice()], |row| row.get(0))?;
        let record: Record = serde_json::from_str(&text).ok()?;
        (record.version == RECORD_FORMAT).then_some(record)
    }

    /// Remembers what was hashed to a key elsewhere, until old runs are forgotten.
    pub fn put_body(&self, key: &Key, record: &Record) -> Result<()> {
        put_body(&self.database(), key, record).map_err(|e| self.database_error(e))
    }

    /// The key of a node's last build in a project.
    pub fn last_key(&self, project: &str, node: &str) -> Option<Key> {
        let sql = "SELECT key FROM records WHERE project = ?1 AND node = ?2";
        self.look_up(sql, params![project, node], |row| row.get(0)).map(Key)
    }

    /// The manifest digest of a node's last build in a project, there or not.
    pub fn last_digest(&self, project: &str, node: &str) -> Option<String> {
        let sql = "SELECT digest FROM states WHERE project = ?1 AND node = ?2
                   ORDER BY run DESC LIMIT 1";
        self.look_up(sql, params![project, node], |row| row.get(0))
    }

    /// Remembers what a node that had a result already is made of.
    pub fn put_record(&self, at: At<'_>, key: &Key, digest: &str, record: &Record) -> Result<()> {
        self.transaction(|change| put_record(change, at, key, digest, record))
    }

    /// Remembers the same of many nodes at once.
    pub fn put_records<'a>(
        &self,
        project: &str,
        run: i64,
        rows: impl IntoIterator<Item = KeptRow<'a>>,
    ) -> Result<()> {
        self.transaction(|change| {
            rows.into_iter().try_for_each(|(node, key, digest, record)| {
                put_record(change, At { project, node: &node, run }, &key, digest, &record)
            })
        })
    }

    /// Remembers a build: its result, what was hashed, and what it took. Its blobs must be in the
    /// layout already.
    pub fn put_build(
        &self,
        at: At<'_>,
        key: &Key,
        result: &ResultRow,
        record: &Record,
        build: &BuildRow,
    ) -> Result<()> {
        self.transaction(|change| {
            put_result(change, key, result)?;
            put_record(change, at, key, &result.digest, record)?;
            build.insert(change, at)
        })
    }

    /// What every node of a project was in a run, by name. A node that no run up to then had is
    /// not in it.
    pub fn states(&self, project: &str, run: i64) -> Result<HashMap<String, StateRow>> {
        let read = || -> rusqlite::Result<HashMap<String, StateRow>> {
            let database = self.database();
            // SQLite takes the other columns from the row that has the greatest run.
            let mut query = database.prepare_cached(
                "SELECT node, key, digest, max(run) FROM states WHERE project = ?1 AND run <= ?2
                 GROUP BY node",
            )?;
            let rows = query.query_map(params![project, run], |row| {
                Ok((row.get(0)?, StateRow { key: Key(row.get(1)?), digest: row.get(2)? }))
            })?;
            rows.collect()
        };
        read().map_err(|e| self.database_error(e))
    }
}

fn put_body(database: &Connection, key: &Key, record: &Record) -> rusqlite::Result<()> {
    let json = serde_json::to_string(record).unwrap_or_default();
    let mut insert =
        database.prepare_cached("INSERT OR REPLACE INTO bodies (key, record) VALUES (?1, ?2)")?;
    insert.execute(params![key.0.as_slice(), json]).map(|_| ())
}

fn put_record(
    database: &Connection,
    at: At<'_>,
    key: &Key,
    digest: &str,
    record: &Record,
) -> rusqlite::Result<()> {
    let At { project, node, run } = at;
    let bytes = key.0.as_slice();
    let mut last = database.prepare_cached(
        "SELECT key = ?3 AND digest = ?4 FROM states WHERE project = ?1 AND node = ?2
         ORDER BY run DESC LIMIT 1",
    )?;
    let same =
        last.query_row(params![project, node, bytes, digest], |row| row.get(0)).optional()?;
    if same != Some(true) {
        put_body(database, key, record)?;
        let mut insert = database.prepare_cached(
            "INSERT OR REPLACE INTO states (project, node, run, key, digest)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        insert.execute(params![project, node, run, bytes, digest])?;
    }
    let mut upsert = database.prepare_cached(
        "INSERT INTO records (project, node, key) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET key = excluded.key WHERE key <> excluded.key",
    )?;
    upsert.execute(params![project, node, bytes]).map(|_| ())
}
