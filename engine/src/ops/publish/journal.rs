//! Where the generations of a project are written down: in the registry that the machines of a
//! fleet share, else in the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::facts::FactError;
use crate::lower::Lowered;
use crate::ops::planning::lowered;
use crate::ops::{ErrorKind, OpError, Project};
use crate::publish::generation::{Generation, Progress};
use crate::publish::journal::{self, Change};
use crate::store::Store;
use crate::track::Tracking;

/// How often a change is tried that somebody else writes over.
const TRIES: usize = 8;

/// The generations of a project.
pub(super) struct Journal {
    store: Arc<Store>,
    tracking: Arc<Tracking>,
    project: String,
    shared: Option<Shared>,
}

/// A journal that machines share.
struct Shared {
    /// `HOST/PATH`.
    repository: String,
    /// What the project publishes to.
    own: BTreeSet<String>,
}

impl Journal {
    pub fn open(
        project: &Project,
        store: &Arc<Store>,
        tracking: &Arc<Tracking>,
    ) -> Result<Self, OpError> {
        let lowered = lowered(project)?;
        let shared = lowered
            .remote_cache()
            .map(|repository| Shared { repository, own: repositories(lowered) });
        let (store, tracking, project) = (store.clone(), tracking.clone(), project.name.clone());
        Ok(Self { store, tracking, project, shared })
    }

    /// Oldest first.
    pub fn generations(&self) -> Result<Vec<Generation>, OpError> {
        match &self.shared {
            None => self.store.generations(&self.project).map_err(OpError::store),
            Some(shared) => Ok(self.read(shared)?.of(&shared.own)),
        }
    }

    /// Writes a change down, and gives the number of the generation that it is about. It is where
    /// the next run finds it when this returns.
    pub fn change(&self, change: &Change) -> Result<Option<i64>, OpError> {
        match &self.shared {
            None => self.note(change),
            Some(shared) => self.write(shared, change),
        }
    }

    pub fn close(&self, number: i64, now: i64, progress: Progress) -> Result<(), OpError> {
        self.change(&Change::Close { number, now, progress }).map(drop)
    }

    fn note(&self, change: &Change) -> Result<Option<i64>, OpError> {
        let done = match change {
            Change::Open { now, moves } => {
                self.store.generation_open(&self.project, *now, moves).map(Some)
            }
            Change::Close { number, now, progress } => {
                self.store.generation_close(*number, *now, *progress).map(|()| Some(*number))
            }
            Change::Pruned(gone) => {
                let mut each = gone.iter();
                each.try_for_each(|(place, digest)| self.store.generation_pruned(place, digest))
                    .map(|()| None)
            }
        };
        done.map_err(OpError::store)
    }

    fn read(&self, Shared { repository, .. }: &Shared) -> Result<journal::Journal, OpError> {
        let found = self.tracking.journal(repository);
        match found.map_err(|e| failed(repository, "read", &e))? {
            // What was published before there was a shared one is taken over.
            None => {
                let generations = self.store.generations(&self.project).map_err(OpError::store)?;
                Ok(journal::Journal { generations })
            }
            Some(bytes) => journal::Journal::read(&bytes).map_err(|e| {
                let message = format!("the journal of publishes in {repository}: {e}");
                OpError::new(ErrorKind::User, CODE, message)
                    .help("`remote-cache` names the repository; its tag is `journal-v1`")
            }),
        }
    }

    /// Registries know no condition for a write. So it is read again after it was written: who
    /// was overtaken makes the change once more.
    fn write(&self, shared: &Shared, change: &Change) -> Result<Option<i64>, OpError> {
        let repository = &shared.repository;
        for _ in 0..TRIES {
            let before = self.read(shared)?;
            let mut after = before.clone();
            let number = after.apply(change);
            if after == before {
                return Ok(number);
            }
            let bytes = after.write().map_err(|e| {
                OpError::new(ErrorKind::Environment, CODE, format!("cannot write a journal: {e}"))
            })?;
            let written = self.tracking.put_journal(repository, &bytes);
            written.map_err(|e| failed(repository, "written", &e))?;
        }
        let message = format!("others write the journal of publishes in {repository} all the time");
        Err(OpError::new(ErrorKind::Upstream, CODE, message).help("try again when they are done"))
    }
}

const CODE: &str = "mabuild::engine::journal";

fn failed(repository: &str, how: &str, e: &FactError) -> OpError {
    let kind = match e.blames_upstream {
        true => ErrorKind::Upstream,
        false => ErrorKind::Environment,
    };
    let message =
        format!("the journal of publishes in {repository} cannot be {how}: {}", e.message);
    OpError::new(kind, CODE, message)
        .help("`remote-cache` names the repository; `mabuild publish` goes on where it stopped")
}

/// All repositories that a project publishes to.
fn repositories(lowered: &Lowered) -> BTreeSet<String> {
    let things = lowered.graph.thing_ids().filter_map(|thing| lowered.publication(thing));
    things.flat_map(|publication| publication.repositories).collect()
}
