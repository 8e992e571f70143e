//! The database: one SQLite file in WAL mode, so that readers and one writer, of any number of
//! processes, do not wait for each other.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::{Result, StoreError};

/// Form of the database that this program writes; kept in `user_version`.
const FORM: i64 = 3;

/// What takes a database from each form to the next; the first makes it.
const STEPS: [&str; FORM as usize] = [
    "
    CREATE TABLE results (
        key BLOB PRIMARY KEY, digest TEXT NOT NULL, kind INTEGER NOT NULL, seconds REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE steps (
        key BLOB PRIMARY KEY, diff_id TEXT, digest TEXT, size INTEGER, media_type TEXT
    ) WITHOUT ROWID;
    CREATE TABLE records (
        project TEXT NOT NULL, node TEXT NOT NULL, key BLOB NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (project, node)
    ) WITHOUT ROWID;
    CREATE TABLE memo (
        kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)
    ) WITHOUT ROWID;
    CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
    CREATE TABLE files (
        folder INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
        mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,
        digest BLOB NOT NULL, PRIMARY KEY (folder, path)
    ) WITHOUT ROWID;
    CREATE TABLE roots (
        project TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (project, name)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, started INTEGER NOT NULL,
        ended INTEGER, exit INTEGER, built INTEGER, kept INTEGER, failed INTEGER, skipped INTEGER
    );
",
    // What was hashed is kept by key, so that the records of earlier runs stay. A state is written
    // when a node comes out other than before; what it was in a run is its newest state up to then.
    "
    CREATE TABLE bodies (key BLOB NOT NULL UNIQUE, record TEXT NOT NULL);
    INSERT OR IGNORE INTO bodies (key, record) SELECT key, record FROM records;
    CREATE TABLE states (
        project TEXT NOT NULL, node TEXT NOT NULL, run INTEGER NOT NULL, key BLOB NOT NULL,
        digest TEXT NOT NULL, PRIMARY KEY (project, node, run)
    ) WITHOUT ROWID;
    CREATE TABLE builds (
        project TEXT NOT NULL, node TEXT NOT NULL, run INTEGER NOT NULL, seconds REAL NOT NULL,
        download REAL NOT NULL, unpack REAL NOT NULL, run_native REAL NOT NULL,
        run_emulated REAL NOT NULL, pack REAL NOT NULL, reused INTEGER NOT NULL,
        bytes INTEGER NOT NULL, PRIMARY KEY (project, node, run)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE newest AS SELECT project, max(id) AS run FROM runs GROUP BY project;
    INSERT INTO states (project, node, run, key, digest)
        SELECT project, node, coalesce(newest.run, 0), key, digest
        FROM records JOIN results USING (key) LEFT JOIN newest USING (project);
    INSERT INTO builds
        SELECT project, node, coalesce(newest.run, 0), seconds, 0, 0, 0, 0, 0, 0, 0
        FROM records JOIN results USING (key) LEFT JOIN newest USING (project);
    ALTER TABLE records DROP COLUMN record;
    ALTER TABLE runs ADD COLUMN seconds REAL;
    ALTER TABLE runs ADD COLUMN detailed INTEGER NOT NULL DEFAULT 0;
    UPDATE runs SET detailed = 1 WHERE id IN (SELECT run FROM newest);
    DROP TABLE newest;
",
    // What publishes moved, so that a killed one can be finished, and any be undone.
    "
    CREATE TABLE generations (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, opened INTEGER NOT NULL,
        closed INTEGER, progress INTEGER NOT NULL
    );
    CREATE INDEX generations_of ON generations (project);
    CREATE TABLE moves (
        generation INTEGER NOT NULL, at INTEGER NOT NULL, wave INTEGER NOT NULL,
        repository TEXT NOT NULL, tag TEXT NOT NULL, before TEXT, after TEXT NOT NULL,
        pruned INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (generation, at)
    ) WITHOUT ROWID;
",
];

/// Opens the database and brings it to the current form.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let failed = |source| StoreError::Database { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    set_up(&mut connection).map_err(failed)?;
    let found: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if !(0..=FORM).contains(&found) {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: FORM });
    }
    if found < FORM {
        upgrade(&mut connection, found).map_err(failed)?;
    }
    Ok(connection)
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(120))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may lose the last rows, never the file; blobs are synced before their row.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "mmap_size", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else a join is planned anew for every value that is bound, which takes longer than it runs.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn upgrade(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or_default()) {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "user_version", FORM)?;
    change.commit()
}
