//! What is known of many keys or folders at once: one lock of the database for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::{Stat, Store};
use crate::key::Key;

impl Store {
    /// The digest that each key gave, as [`Store::result`] gives it, in the order of the keys.
    pub fn digests(&self, keys: &[Key]) -> Vec<Option<Arc<str>>> {
        let mut found = self.rows(keys);
        for digest in &mut found {
            // Looked at without the database, which other threads wait for.
            digest.take_if(|digest| !self.has_blob(digest));
        }
        found
    }

    /// What the database says; one that cannot be read knows nothing.
    fn rows(&self, keys: &[Key]) -> Vec<Option<Arc<str>>> {
        let database = self.database();
        // Without a transaction every query locks the file anew, which costs more than it does.
        let _reading = database.unchecked_transaction().ok();
        let Ok(mut query) = database.prepare_cached("SELECT digest FROM results WHERE key = ?1")
        else {
            return vec![None; keys.len()];
        };
        let mut one = |key: &Key| {
            let read = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_str()?.into());
            query.query_row(params![key.0.as_slice()], read).optional().ok().flatten()
        };
        keys.iter().map(&mut one).collect()
    }

    /// [`Store::file_digests`] of many folders, in their order.
    pub fn file_digests_of(&self, roots: &[Arc<str>]) -> Vec<HashMap<String, Stat>> {
        let database = self.database();
        let _reading = database.unchecked_transaction().ok();
        roots.iter().map(|root| super::files::digests(&database, root)).collect()
    }
}
