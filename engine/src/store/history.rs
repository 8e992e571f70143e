//! The history of runs.

use rusqlite::params;

use super::{Result, Store};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Its number; never given twice.
    pub id: i64,
    /// Name of the project.
    pub project: String,
    /// Unix seconds.
    pub started: i64,
    /// Unix seconds; none while it runs, or when it was killed.
    pub ended: Option<i64>,
    /// Exit code.
    pub exit: Option<i32>,
    /// Numbers; all zero before its end.
    pub counts: RunCounts,
}

impl Store {
    /// Begins a run and gives its number.
    pub fn run_begin(&self, project: &str, now: i64) -> Result<i64> {
        let database = self.database();
        let sql = "INSERT INTO runs (project, started) VALUES (?1, ?2)";
        let done = database.execute(sql, params![project, now]);
        done.map(|_| database.last_insert_rowid()).map_err(|e| self.database_error(e))
    }

    /// Ends a run.
    pub fn run_end(&self, run: i64, now: i64, exit: i32, counts: &RunCounts) -> Result<()> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let RunCounts { built, kept, failed, skipped } = *counts;
        self.change(
            "UPDATE runs SET ended = ?2, exit = ?3, built = ?4, kept = ?5, failed = ?6,
             skipped = ?7 WHERE id = ?1",
            params![run, now, exit, number(built), number(kept), number(failed), number(skipped)],
        )
    }

    /// The last runs of a project, newest first.
    pub fn runs(&self, project: &str, most: usize) -> Result<Vec<RunRow>> {
        let read = || -> rusqlite::Result<Vec<RunRow>> {
            let database = self.database();
            let mut query = database.prepare_cached(
                "SELECT id, project, started, ended, exit, built, kept, failed, skipped
                 FROM runs WHERE project = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = query.query_map(params![project, most], |row| {
                let count = |at: usize| {
                    row.get::<_, Option<i64>>(at).map(|n| n.unwrap_or_default().cast_unsigned())
                };
                Ok(RunRow {
                    id: row.get(0)?,
                    project: row.get(1)?,
                    started: row.get(2)?,
                    ended: row.get(3)?,
                    exit: row.get(4)?,
                    counts: RunCounts {
                        built: count(5)?,
                        kept: count(6)?,
                        failed: count(7)?,
                        skipped: count(8)?,
                    },
                })
            })?;
            rows.collect()
        };
        read().map_err(|e| self.database_error(e))
    }
}
