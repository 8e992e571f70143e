//! What a `copy` reads of a context, by the rules of BuildKit's `COPY`.
//!
//! Sources are paths below the context or patterns with wildcards; `/` in front changes nothing,
//! and `..` goes no further up than the context. Symbolic links in a source are followed, also the
//! last one, inside the context: an absolute one starts at it. Links that were not named are
//! recorded as links. A directory stands for its content. The ignore file hides files. A pattern
//! that nothing fits names nothing; a path that is not there is an error. Nothing is read twice in
//! a run, and unchanged files are not read at all.

mod hash;
mod hidden;
mod root;
mod source;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::facts::{ContextAsk, FileFact, FileSet, Match};
use crate::key::file_set_digest;
use crate::store::{Stat, Store};
pub use hidden::Hidden;
use mabuild_dockerfile::Ignore;
use root::Root;
use source::Source;
use tree::{Tree, Wanted};

/// The contexts of a run.
pub(super) struct Contexts {
    store: Arc<Store>,
    now: i64,
    roots: Mutex<HashMap<Arc<str>, Cell>>,
    /// What the store remembers of contexts that are not open yet.
    known: Mutex<HashMap<Arc<str>, HashMap<String, Stat>>>,
    /// Ignore files by the context and the path that was asked for.
    hidden: Mutex<HashMap<HiddenBy, HiddenCell>>,
}

/// A context, and the ignore file that is asked for in place of its own.
type HiddenBy = (Arc<str>, Option<Arc<str>>);

/// An ignore file that is read by the first who asks.
type HiddenCell = Arc<OnceLock<Result<Arc<Hidden>, String>>>;

/// A context that is opened by the first who asks.
type Cell = Arc<OnceLock<Result<Arc<Root>, String>>>;

impl Contexts {
    /// Contexts whose file digests are remembered in a store; `now` is in Unix seconds.
    pub fn new(store: Arc<Store>, now: i64) -> Self {
        Self {
            store,
            now,
            roots: Mutex::default(),
            known: Mutex::default(),
            hidden: Mutex::default(),
        }
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
    pub fn files(&self, ask: &ContextAsk) -> Result<FileSet, String> {
        let root = self.root(&ask.context)?;
        let hidden = self.hidden(ask)?;
        let exclude = Ignore::of(ask.exclude.iter().map(String::as_str));
        if let Some(problem) = exclude.problems().first() {
            return Err(format!("what is left out: {}", problem.message));
        }
        let mut matches: Vec<Match> = Vec::new();
        for source in &ask.sources {
            let source = Source { text: source, root: &root, hidden: &hidden, exclude: &exclude };
            matches.extend(match ask.parents {
                true => source.with_parents()?,
                false => source.find()?,
            });
        }
        let digest = file_set_digest(&matches);
        Ok(FileSet { root: ask.context.clone(), matches, digest, fetched: false })
    }

    /// All files of a folder that nobody hides anything of.
    pub fn whole(&self, folder: &str) -> Result<Vec<FileFact>, String> {
        let root = self.root(&folder.into())?;
        let (hidden, exclude) = (Hidden::nothing(), Ignore::default());
        let wanted = Wanted { include: None, way: &[], exclude: &exclude };
        Tree { root: &root, hidden: &hidden, folder: "", wanted }.files()
    }

    fn hidden(&self, ask: &ContextAsk) -> Result<Arc<Hidden>, String> {
        let cell = {
            let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
            hidden.entry((ask.context.clone(), ask.ignore.clone())).or_default().clone()
        };
        cell.get_or_init(|| Hidden::read(ask).map(Arc::new)).clone()
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
