//! The journal of publishes: which tags each moved, and how far it came.
//!
//! Generations are numbered over the whole store, upwards; a number is never given twice. They
//! name contents by digest, and the registry has those: nothing of this store is kept for them.

use mabuild_oci::Digest;
use rusqlite::{Connection, Row, params};

use super::{Result, Store};
use crate::publish::generation::{Generation, Move, Progress};

const MOVES: &str =
    "SELECT repository, tag, before, after, wave, pruned FROM moves WHERE generation = ?1
     ORDER BY at";

impl Store {
    /// Opens a generation with the tags it will move and gives its number. It is on the disk when
    /// this returns, so that a power cut does not lose what has to be finished.
    pub fn generation_open(&self, project: &str, now: i64, moves: &[Move]) -> Result<i64> {
        self.synced(|change| {
            let sql = "INSERT INTO generations (project, opened, progress) VALUES (?1, ?2, ?3)";
            change.execute(sql, params![project, now, number(Progress::Open)])?;
            let id = change.last_insert_rowid();
            let mut insert = change.prepare_cached(
                "INSERT INTO moves (generation, at, wave, repository, tag, before, after)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for (at, of) in moves.iter().enumerate() {
                let at = i64::try_from(at).unwrap_or(i64::MAX);
                let before = of.before.map(|digest| digest.to_string());
                let after = of.after.to_string();
                insert.execute(params![id, at, of.wave, of.repository, of.tag, before, after])?;
            }
            Ok(id)
        })
    }

    /// Says how far a generation came.
    pub fn generation_close(&self, id: i64, now: i64, progress: Progress) -> Result<()> {
        self.change(
            "UPDATE generations SET closed = ?2, progress = ?3 WHERE id = ?1",
            params![id, now, number(progress)],
        )
    }

    /// The generations of a project, oldest first.
    pub fn generations(&self, project: &str) -> Result<Vec<Generation>> {
        let read = || -> rusqlite::Result<Vec<Generation>> {
            let database = self.database();
            let mut query = database.prepare_cached(
                "SELECT id, opened, closed, progress FROM generations WHERE project = ?1
                 ORDER BY id",
            )?;
            let mut rows = query.query(params![project])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                out.push(Generation {
                    number: row.get(0)?,
                    opened: row.get(1)?,
                    closed: row.get(2)?,
                    progress: progress(row.get(3)?),
                    moves: moves(&database, row.get(0)?)?,
                });
            }
            Ok(out)
        };
        read().map_err(|e| self.database_error(e))
    }

    /// Says that a registry has a content no more.
    pub fn generation_pruned(&self, repository: &str, digest: &Digest) -> Result<()> {
        self.change(
            "UPDATE moves SET pruned = 1 WHERE repository = ?1 AND after = ?2",
            params![repository, digest.to_string()],
        )
    }

    /// A transaction that is on the disk when it is done.
    fn synced<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let sync = |how: &str| {
            let set = self.database().pragma_update(None, "synchronous", how);
            set.map_err(|e| self.database_error(e))
        };
        sync("FULL")?;
        let done = self.transaction(work);
        sync("NORMAL")?;
        done
    }
}

fn moves(database: &Connection, id: i64) -> rusqlite::Result<Vec<Move>> {
    let mut query = database.prepare_cached(MOVES)?;
    let rows = query.query_map(params![id], |row| {
        Ok(Move {
            repository: row.get(0)?,
            tag: row.get(1)?,
            before: digest(row, 2)?,
            after: digest(row, 3)?.ok_or(rusqlite::Error::InvalidQuery)?,
            wave: row.get(4)?,
            pruned: row.get(5)?,
        })
    })?;
    rows.collect()
}

fn digest(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Digest>> {
    let Some(text) = row.get::<_, Option<String>>(at)? else { return Ok(None) };
    let bad = |e: mabuild_oci::Error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, e.into())
    };
    Digest::parse(&text).map(Some).map_err(bad)
}

fn number(progress: Progress) -> i64 {
    match progress {
        Progress::Open => 0,
        Progress::Done => 1,
        Progress::Undone => 2,
    }
}

fn progress(number: i64) -> Progress {
    match number {
        0 => Progress::Open,
        1 => Progress::Done,
        _ => Progress::Undone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tag: &str, before: Option<u8>, after: u8) -> Move {
        let digest = |n: u8| Digest::sha256([n]);
        Move {
            repository: "r.example/a".into(),
            tag: tag.into(),
            before: before.map(digest),
            after: digest(after),
            wave: u32::from(after),
            pruned: false,
        }
    }

    /// The store of a database in an old form.
    fn of_form(sql: &str) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mabuild")).unwrap();
        let old = Connection::open(folder.path().join("mabuild/state.db")).unwrap();
        old.execute_batch(sql).unwrap();
        drop(old);
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn databases_of_older_forms_get_a_journal() {
        for sql in [include_str!("testdata/form-1.sql"), include_str!("testdata/form-2.sql")] {
            let (_folder, store) = of_form(sql);
            assert!(store.generations("p").unwrap().is_empty());
            assert_eq!(store.runs("p", 10).unwrap().len(), 3);
            assert_eq!(store.states("p", 3).unwrap()["app@linux/amd64"].digest, "sha256:aa");
            assert_eq!(store.memo("k", "a").as_deref(), Some("1"));
            let number = store.generation_open("p", 1, &[of("a", None, 1)]).unwrap();
            assert_eq!((number, store.generations("p").unwrap().len()), (1, 1));
        }
    }

    #[test]
    fn journal_outlives_the_program_that_wrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let moves = [of("a", None, 1), of("b", Some(2), 3)];
        let first = {
            let store = Store::open(folder.path()).unwrap();
            let first = store.generation_open("p", 10, &moves).unwrap();
            store.generation_open("other", 11, &moves).unwrap();
            let last = store.generation_open("p", 12, &[]).unwrap();
            store.generation_close(last, 13, Progress::Undone).unwrap();
            first
        };
        let store = Store::open(folder.path()).unwrap();
        let all = store.generations("p").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].number, all[0].opened, all[0].closed), (first, 10, None));
        assert_eq!(all[0].progress, Progress::Open);
        assert_eq!(all[0].moves, moves);
        assert_eq!((all[1].closed, all[1].progress), (Some(13), Progress::Undone));
        store.generation_close(first, 14, Progress::Done).unwrap();
        store.generation_pruned("r.example/a", &moves[1].after).unwrap();
        store.generation_pruned("r.example/b", &moves[0].after).unwrap();
        let all = store.generations("p").unwrap();
        assert_eq!(all[0].progress, Progress::Done);
        assert_eq!(all[0].moves.iter().map(|m| m.pruned).collect::<Vec<_>>(), [false, true]);
    }
}
