//! What the names in git repositories mean, as `git ls-remote` lists them: once for each repository
//! and run, however many of its references are asked for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{doubtful, versions};
use crate::facts::FactError;

/// What tags begin with.
const TAGS: &str = "refs/tags/";

/// The commit that a question means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// Its hash.
    pub hash: String,
    /// Its annotated tag, when that is how it was named.
    pub tag: Option<String>,
    /// The reference that means it, in full.
    pub name: Option<String>,
    /// Whether the name is there to mean another commit later: a branch, or a range of tags.
    pub moves: bool,
}

impl Commit {
    /// A commit that was named by its hash.
    pub fn of(hash: String) -> Self {
        Self { hash, tag: None, name: None, moves: false }
    }
}

/// Whether a text is the whole hash of a commit.
pub(super) fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

type Cell = Arc<OnceLock<Result<Arc<References>, FactError>>>;

/// The references of the repositories of a run.
#[derive(Default)]
pub(super) struct Repositories(Mutex<HashMap<String, Cell>>);

impl Repositories {
    /// The references of a repository; the first to ask lists them and the others wait.
    pub fn get(
        &self,
        remote: &str,
        list: impl FnOnce() -> Result<References, FactError>,
    ) -> Result<Arc<References>, FactError> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cells.entry(remote.to_owned()).or_default().clone()
        };
        cell.get_or_init(|| list().map(Arc::new)).clone()
    }
}

/// The references of a repository with their hashes.
pub(super) struct References(HashMap<String, String>);

impl References {
    /// Reads what `git ls-remote` prints.
    pub fn new(listed: String) -> Self {
        let lines = listed.lines().filter_map(|line| line.split_once('\t'));
        let good = lines.filter(|(hash, _)| is_hash(hash));
        Self(good.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect())
    }

    /// What a name means: a branch before a tag, and of an annotated tag what it names.
    pub fn named(&self, name: &str) -> Option<Commit> {
        let below = name.strip_prefix("refs/").unwrap_or(name);
        let candidates = [
            name.to_owned(),
            format!("refs/{below}"),
            format!("refs/heads/{name}"),
            format!("{TAGS}{name}"),
        ];
        candidates.iter().find_map(|full| self.exactly(full))
    }

    /// The commit of the highest tag that a range takes.
    pub fn highest(&self, range: &str, shown: &str) -> Result<Commit, FactError> {
        let parsed = versions::range(range)?;
        let tags = || self.0.keys().filter_map(|name| name.strip_prefix(TAGS));
        let tags = || tags().filter(|name| !name.ends_with("^{}"));
        let commit = parsed.highest(tags()).and_then(|tag| self.exactly(&format!("{TAGS}{tag}")));
        let commit = commit.ok_or_else(|| {
            let has = versions::some(tags().collect::<BTreeSet<_>>().into_iter());
            doubtful(format!("{shown} has no tag that fits `{parsed}`; there are {has}"))
        })?;
        Ok(Commit { moves: true, ..commit })
    }

    fn exactly(&self, full: &str) -> Option<Commit> {
        let hash = self.0.get(full)?.clone();
        let moves = !full.starts_with(TAGS);
        let peeled = self.0.get(&format!("{full}^{{}}")).cloned();
        let name = Some(full.to_owned());
        Some(match peeled {
            Some(peeled) => Commit { hash: peeled, tag: Some(hash), name, moves },
            None => Commit { hash, tag: None, name, moves },
        })
    }
}
