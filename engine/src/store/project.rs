//! What is remembered of a whole project at once: one query for many nodes.

use std::collections::HashMap;

use rusqlite::params;

use super::{Result, Store};
use crate::key::Key;

impl Store {
    /// The key of the last record of every node of a project.
    pub fn last_keys(&self, project: &str) -> Result<HashMap<String, Key>> {
        let database = self.database();
        let read = || -> rusqlite::Result<HashMap<String, Key>> {
            let mut query =
                database.prepare_cached("SELECT node, key FROM records WHERE project = ?1")?;
            let mut rows = query.query(params![project])?;
            let mut out = HashMap::new();
            while let Some(row) = rows.next()? {
                out.insert(row.get(0)?, Key(row.get(1)?));
            }
            Ok(out)
        };
        read().map_err(|e| self.database_error(e))
    }

    /// Remembers what garbage collection keeps of a project: names with the digest of their newest index. Only
    /// what differs is written.
    pub fn put_roots(&self, project: &str, roots: &[(String, String)]) -> Result<()> {
        let known: HashMap<String, String> = self
            .roots()?
            .into_iter()
            .filter(|(of, ..)| of == project)
            .map(|(_, name, digest)| (name, digest))
            .collect();
        for (name, digest) in roots.iter().filter(|(name, digest)| known.get(name) != Some(digest))
        {
            self.put_root(project, name, digest)?;
        }
        Ok(())
    }
}
