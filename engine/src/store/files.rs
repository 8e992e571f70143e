//! Digests of files by path, size, times and inode, as git's index has them, so that an unchanged
//! tree is not read again.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Result, Store};

/// Times this close to the time of hashing prove nothing: a later change may leave them as they
/// are, on file systems with coarse clocks.
const RACY_NS: i128 = 2_000_000_000;

/// A file as it was when it was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Time of modification, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Time of change of the inode, nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// blake3 of the content.
    pub digest: [u8; 32],
}

impl Stat {
    /// What tells a version of a file; its digest is still to be found out and stands as zeros.
    pub fn of(meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |seconds: i64, part: i64| seconds.saturating_mul(1_000_000_000) + part;
        Self {
            size: meta.len(),
            mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
            digest: [0; 32],
        }
    }

    /// Whether nothing but the digest could differ from another.
    pub fn same_file(&self, other: &Self) -> bool {
        (self.size, self.mtime_ns, self.ctime_ns, self.inode)
            == (other.size, other.mtime_ns, other.ctime_ns, other.inode)
    }

    /// Whether the file may have changed since without showing it. `now` is when hashing began,
    /// in Unix seconds.
    pub fn is_racy(&self, now: i64) -> bool {
        let limit = i128::from(now) * 1_000_000_000 - RACY_NS;
        i128::from(self.mtime_ns.max(self.ctime_ns)) >= limit
    }
}

impl Store {
    /// Every remembered file below a folder, by path below it.
    pub fn file_digests(&self, root: &str) -> HashMap<String, Stat> {
        digests(&self.database(), root)
    }

    /// Remembers files below a folder, but for those that changed within two seconds of `now`,
    /// the time hashing began in Unix seconds.
    pub fn put_file_digests(&self, root: &str, changed: &[(String, Stat)], now: i64) -> Result<()> {
        let fresh: Vec<_> = changed.iter().filter(|(_, stat)| !stat.is_racy(now)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let write = || -> rusqlite::Result<()> {
            let mut database = self.database();
            let change = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute("INSERT OR IGNORE INTO folders (path) VALUES (?1)", [root])?;
            let folder = folder(&change, root)?;
            let mut insert = change.prepare_cached(
                "INSERT OR REPLACE INTO files (folder, path, size, mtime, ctime, inode, digest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for (path, stat) in fresh {
                insert.execute(params![
                    folder,
                    path,
                    stat.size.cast_signed(),
                    stat.mtime_ns,
                    stat.ctime_ns,
                    stat.inode.cast_signed(),
                    stat.digest.as_slice(),
                ])?;
            }
            drop(insert);
            change.commit()
        };
        write().map_err(|e| self.database_error(e))
    }

    /// Forgets the files below folders that are gone.
    pub(super) fn forget_gone_folders(&self) -> Result<()> {
        let forget = || -> rusqlite::Result<()> {
            let database = self.database();
            let mut query = database.prepare("SELECT id, path FROM folders")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
            for (id, path) in rows {
                if !std::path::Path::new(&path).is_dir() {
                    database.execute("DELETE FROM files WHERE folder = ?1", [id])?;
                    database.execute("DELETE FROM folders WHERE id = ?1", [id])?;
                }
            }
            Ok(())
        };
        forget().map_err(|e| self.database_error(e))
    }
}

/// Every remembered file below a folder. What cannot be read is hashed again.
pub(super) fn digests(database: &rusqlite::Connection, root: &str) -> HashMap<String, Stat> {
    let read = || -> rusqlite::Result<HashMap<String, Stat>> {
        let mut query = database.prepare_cached(
            "SELECT files.path, size, mtime, ctime, inode, digest
             FROM folders JOIN files ON files.folder = folders.id WHERE folders.path = ?1",
        )?;
        let rows = query.query_map([root], |row| {
            let stat = Stat {
                size: row.get::<_, i64>(1)?.cast_unsigned(),
                mtime_ns: row.get(2)?,
                ctime_ns: row.get(3)?,
                inode: row.get::<_, i64>(4)?.cast_unsigned(),
                digest: row.get(5)?,
            };
            Ok((row.get(0)?, stat))
        })?;
        rows.collect()
    };
    read().unwrap_or_default()
}

fn folder(database: &rusqlite::Connection, root: &str) -> rusqlite::Result<Option<i64>> {
    let mut query = database.prepare_cached("SELECT id FROM folders WHERE path = ?1")?;
    query.query_row([root], |row| row.get(0)).optional()
}
