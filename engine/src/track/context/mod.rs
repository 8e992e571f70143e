//! What a `copy` reads of a context, by the rules of Docker's `COPY`.
//!
//! Sources are paths below the context (`/` in front changes nothing, `..` may not leave it) or
//! globs; a directory stands for its content; `.dockerignore` hides files. Symbolic links are
//! recorded as links. Links in the parents of a source are followed, and so is one at its end when
//! `/` stands behind it, but never out of the context. Nothing is read twice in a run, and
//! unchanged files are not read at all.

mod hash;
mod root;
mod source;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::facts::{FileSet, FilesAsk, Match};
use crate::key::file_set_digest;
use crate::store::{Stat, Store};
use root::Root;

/// The contexts of a run.
pub(super) struct Contexts {
    store: Arc<Store>,
    now: i64,
    roots: Mutex<HashMap<Arc<str>, Cell>>,
    /// What the store remembers of contexts that are not open yet.
    known: Mutex<HashMap<Arc<str>, HashMap<String, Stat>>>,
}

/// A context that is opened by the first who asks.
type Cell = Arc<OnceLock<Result<Arc<Root>, String>>>;

impl Contexts {
    /// Contexts whose file digests are remembered in a store; `now` is in Unix seconds.
    pub fn new(store: Arc<Store>, now: i64) -> Self {
        Self { store, now, roots: Mutex::default(), known: Mutex::default() }
    }

    /// Asks the store what it remembers of contexts that will be opened: once for all of them,
    /// since there may be thousands.
    pub fn recall<'a>(&self, contexts: impl Iterator<Item = &'a Arc<str>>) {
        let mut wanted: Vec<Arc<str>> = {
            let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
            contexts.filter(|context| !roots.contains_key(*context)).cloned().collect()
        };
        wanted.dedup();
        let remembered = self.store.file_digests_of(&wanted);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(wanted.into_iter().zip(remembered));
    }

    /// The files that a `copy` reads. The error names the context and what to do.
    pub fn files(&self, ask: &FilesAsk) -> Result<FileSet, String> {
        let root = self.root(&ask.context)?;
        let mut matches: Vec<Match> = Vec::new();
        for source in &ask.sources {
            matches.extend(source::find(&root, source)?);
        }
        let digest = file_set_digest(&matches);
        Ok(FileSet { root: ask.context.clone(), matches, digest })
    }

    /// Writes the digests of files that were hashed to the store. A store that cannot be written
    /// only costs hashing again.
    pub fn remember(&self) {
        let cells: Vec<Cell> = {
            let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
            roots.values().cloned().collect()
        };
        for root in cells.iter().filter_map(|cell| cell.get()?.as_ref().ok()) {
            let fresh = root.take_fresh();
            if let Err(e) = self.store.put_file_digests(&root.name, &fresh, self.now) {
                tracing::warn!("file digests of {} are not remembered: {e}", root.name);
            }
        }
    }

    fn root(&self, context: &Arc<str>) -> Result<Arc<Root>, String> {
        let cell = {
            let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
            roots.entry(context.clone()).or_default().clone()
        };
        cell.get_or_init(|| Root::open(context, self.known(context)).map(Arc::new)).clone()
    }

    fn known(&self, context: &Arc<str>) -> HashMap<String, Stat> {
        let recalled = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(context);
        recalled.unwrap_or_else(|| self.store.file_digests(context))
    }
}
