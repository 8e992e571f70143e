//! The history of runs, and what builds took.
//!
//! Runs are numbered over the whole store, upwards; a number is never given twice. A project keeps
//! its newest runs and those of some months; [`Store::gc`] forgets the others.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::records::At;
use super::{Result, Store};

/// Runs of a project that are kept whatever their age.
const KEPT_RUNS: i64 = 100;
/// Days that runs are kept for.
const KEPT_DAYS: i64 = 90;
/// Runs of a project that are kept at most.
const MOST_RUNS: i64 = 1000;
const DAY: i64 = 86_400;

/// Numbers of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Nodes that were built.
    pub built: u64,
    /// Nodes that were up to date.
    pub kept: u64,
    /// Nodes that failed.
    pub failed: u64,
    /// Nodes that were skipped.
    pub skipped: u64,
}

/// One run of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// Its number; never given twice.
    pub id: i64,
    /// Name of the project.
    pub project: String,
    /// Unix seconds.
    pub started: i64,
    /// Unix seconds; none while it runs, or when it was killed.
    pub ended: Option<i64>,
    /// Seconds it took.
    pub seconds: Option<f64>,
    /// Exit code.
    pub exit: Option<i32>,
    /// Numbers; all zero before its end.
    pub counts: RunCounts,
    /// Whether the states of its nodes were kept; not so for runs of older programs.
    pub detailed: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunEnd {
    /// Unix seconds.
    pub now: i64,
    /// Seconds it took.
    pub seconds: f64,
    /// Exit code.
    pub exit: i32,
    /// Numbers.
    pub counts: RunCounts,
}

/// What one build of a node took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BuildRow {
    /// Seconds from its start to its end.
    pub seconds: f64,
    /// Busy seconds: waiting for the network.
    pub download: f64,
    /// Busy seconds: reading archives and unpacking layers.
    pub unpack: f64,
    /// Busy seconds: running steps on this machine's own processor.
    pub run_native: f64,
    /// Busy seconds: running steps under an emulator.
    pub run_emulated: f64,
    /// Busy seconds: making layers.
    pub pack: f64,
    /// Steps whose layer was reused; a build without any is a whole one.
    pub reused: u64,
    /// Bytes of compressed layers that were written.
    pub bytes: u64,
}

const RUN: &str = "SELECT id, project, started, ended, seconds, exit, built, kept, failed, skipped,
                   detailed FROM runs";

impl Store {
    /// Begins a run and gives its number.
    pub fn run_begin(&self, project: &str, now: i64) -> Result<i64> {
        let database = self.database();
        let sql = "INSERT INTO runs (project, started, detailed) VALUES (?1, ?2, 1)";
        let done = database.execute(sql, params![project, now]);
        done.map(|_| database.last_insert_rowid()).map_err(|e| self.database_error(e))
    }

    /// Ends a run.
    pub fn run_end(&self, run: i64, end: &RunEnd) -> Result<()> {
        let RunEnd { now, seconds, exit, counts } = *end;
        let RunCounts { built, kept, failed, skipped } = counts;
        let [built, kept, failed, skipped] = [built, kept, failed, skipped].map(number);
        self.change(
            "UPDATE runs SET ended = ?2, exit = ?3, built = ?4, kept = ?5, failed = ?6,
             skipped = ?7, seconds = ?8 WHERE id = ?1",
            params![run, now, exit, built, kept, failed, skipped, seconds],
        )
    }

    /// The last runs of a project, newest first.
    pub fn runs(&self, project: &str, most: usize) -> Result<Vec<RunRow>> {
        let read = || -> rusqlite::Result<Vec<RunRow>> {
            let database = self.database();
            let sql = format!("{RUN} WHERE project = ?1 ORDER BY id DESC LIMIT ?2");
            let mut query = database.prepare_cached(&sql)?;
            let rows = query.query_map(params![project, number(most as u64)], run_row)?;
            rows.collect()
        };
        read().map_err(|e| self.database_error(e))
    }

    /// The last runs of all projects, newest first.
    pub fn all_runs(&self, most: usize) -> Result<Vec<RunRow>> {
        let read = || -> rusqlite::Result<Vec<RunRow>> {
            let database = self.database();
            let mut query = database.prepare_cached(&format!("{RUN} ORDER BY id DESC LIMIT ?1"))?;
            let rows = query.query_map(params![number(most as u64)], run_row)?;
            rows.collect()
        };
        read().map_err(|e| self.database_error(e))
    }

    /// When the nodes of a project were last built, unix seconds at the start of the run.
    pub fn built_at(&self, project: &str) -> Result<HashMap<String, i64>> {
        let read = || -> rusqlite::Result<HashMap<String, i64>> {
            let database = self.database();
            let mut query = database.prepare_cached(
                "SELECT builds.node, max(runs.started) FROM builds
                 JOIN runs ON runs.id = builds.run WHERE builds.project = ?1 GROUP BY builds.node",
            )?;
            let rows = query.query_map(params![project], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        read().map_err(|e| self.database_error(e))
    }

    /// A run of any project.
    pub fn run(&self, id: i64) -> Result<Option<RunRow>> {
        let found = self
            .database()
            .prepare_cached(&format!("{RUN} WHERE id = ?1"))
            .and_then(|mut query| query.query_row(params![id], run_row).optional());
        found.map_err(|e| self.database_error(e))
    }

    /// Seconds that a node's last build took.
    pub fn seconds(&self, project: &str, node: &str) -> Option<f64> {
        let sql = "SELECT seconds FROM builds WHERE project = ?1 AND node = ?2
                   ORDER BY run DESC LIMIT 1";
        self.look_up(sql, params![project, node], |row| row.get(0))
    }

    /// What the builds of a project's nodes took: of each the newest that reused no step, or the
    /// longest when there is none.
    pub fn builds(&self, project: &str) -> Result<HashMap<String, BuildRow>> {
        let read = || -> rusqlite::Result<HashMap<String, BuildRow>> {
            let database = self.database();
            let mut query = database.prepare_cached(
                "SELECT node, seconds, download, unpack, run_native, run_emulated, pack, reused,
                 bytes FROM builds WHERE project = ?1 ORDER BY node, run",
            )?;
            let mut rows = query.query(params![project])?;
            let mut out: HashMap<String, BuildRow> = HashMap::new();
            while let Some(row) = rows.next()? {
                let (node, build) = (row.get(0)?, BuildRow::read(row)?);
                match out.get(&node) {
                    Some(known) if build.yields_to(known) => {}
                    _ => drop(out.insert(node, build)),
                }
            }
            Ok(out)
        };
        read().map_err(|e| self.database_error(e))
    }

    /// Forgets runs that are old, and with them what nothing needs any more.
    pub(super) fn forget_runs(&self, now: i64) -> Result<()> {
        self.transaction(|change| {
            let mut query = change.prepare("SELECT DISTINCT project FROM runs")?;
            let projects: rusqlite::Result<Vec<String>> =
                query.query_map([], |row| row.get(0))?.collect();
            for project in projects? {
                forget_runs_of(change, &project, now)?;
            }
            change.execute(
                "DELETE FROM bodies WHERE key NOT IN
                 (SELECT key FROM states UNION SELECT key FROM records)",
                [],
            )
        })
        .map(|_| ())
    }
}

/// Forgets the runs of a project before the oldest that is kept. Of each node the state that it
/// had in that one stays, and the build that says best what the next will take.
fn forget_runs_of(database: &Connection, project: &str, now: i64) -> rusqlite::Result<()> {
    let nth = |n: i64| -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT id FROM runs WHERE project = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2";
        database.query_row(sql, params![project, n - 1], |row| row.get(0)).optional()
    };
    let sql = "SELECT min(id) FROM runs WHERE project = ?1 AND started >= ?2";
    let since = now.saturating_sub(KEPT_DAYS * DAY);
    let young: Option<i64> = database.query_row(sql, params![project, since], |row| row.get(0))?;
    let Some(oldest) = nth(KEPT_RUNS)? else { return Ok(()) };
    let first = oldest.min(young.unwrap_or(oldest)).max(nth(MOST_RUNS)?.unwrap_or(0));
    database.execute("DELETE FROM runs WHERE project = ?1 AND id < ?2", params![project, first])?;
    database.execute(
        "DELETE FROM states WHERE project = ?1 AND run < ?2 AND EXISTS (
           SELECT 1 FROM states AS later WHERE later.project = states.project
           AND later.node = states.node AND later.run > states.run AND later.run <= ?2)",
        params![project, first],
    )?;
    database.execute(
        "DELETE FROM builds WHERE project = ?1 AND run < ?2 AND EXISTS (
           SELECT 1 FROM builds AS later WHERE later.project = builds.project
           AND later.node = builds.node AND later.run > builds.run
           AND (later.reused = 0 OR builds.reused > 0))",
        params![project, first],
    )?;
    Ok(())
}

impl BuildRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let count = |at: usize| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or_default());
        Ok(Self {
            seconds: row.get(1)?,
            download: row.get(2)?,
            unpack: row.get(3)?,
            run_native: row.get(4)?,
            run_emulated: row.get(5)?,
            pack: row.get(6)?,
            reused: count(7)?,
            bytes: count(8)?,
        })
    }

    /// Whether an older build says better what the next whole one will take.
    fn yields_to(&self, older: &Self) -> bool {
        self.reused > 0 && (older.reused == 0 || older.seconds > self.seconds)
    }

    pub(super) fn insert(&self, database: &Connection, at: At<'_>) -> rusqlite::Result<()> {
        let At { project, node, run } = at;
        let Self { seconds, download, unpack, run_native, run_emulated, pack, reused, bytes } =
            *self;
        let (reused, bytes) = (number(reused), number(bytes));
        let mut insert = database.prepare_cached(
            "INSERT OR REPLACE INTO builds (project, node, run, seconds, download, unpack,
             run_native, run_emulated, pack, reused, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        let values = params![
            project,
            node,
            run,
            seconds,
            download,
            unpack,
            run_native,
            run_emulated,
            pack,
            reused,
            bytes
        ];
        insert.execute(values).map(|_| ())
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let count =
        |at: usize| row.get::<_, Option<i64>>(at).map(|n| n.unwrap_or_default().cast_unsigned());
    Ok(RunRow {
        id: row.get(0)?,
        project: row.get(1)?,
        started: row.get(2)?,
        ended: row.get(3)?,
        seconds: row.get(4)?,
        exit: row.get(5)?,
        counts: RunCounts {
            built: count(6)?,
            kept: count(7)?,
            failed: count(8)?,
            skipped: count(9)?,
        },
        detailed: row.get(10)?,
    })
}

#[cfg(test)]
mod tests;
