//! What publishing, undoing and pruning work with: the store, the registries, the journal.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use mabuild_registry::{Client, Error};

use super::journal::Journal;
use crate::event::Listener;
use crate::ops::planning::{listen, tracking};
use crate::ops::{Cancel, Env, ErrorKind, OpError, Project, RunRequest};
use crate::publish::generation::{self, Generation, Progress, Step};
use crate::publish::push::{self, Means};
use crate::publish::{Failed, Published, Resumed, TagEnd};
use crate::store::{Guard, Store};
use crate::track::Tracking;

/// What kept a publish from its end.
pub(super) enum Stopped {
    Interrupted,
    Failed(OpError),
}

impl From<OpError> for Stopped {
    fn from(error: OpError) -> Self {
        Self::Failed(error)
    }
}

/// What publishing, undoing and pruning work with. One project has one at a time.
pub(super) struct Desk {
    pub store: Arc<Store>,
    pub tracking: Arc<Tracking>,
    pub journal: Journal,
    cancel: Cancel,
    pub now: i64,
    _guards: [Guard; 2],
}

impl Desk {
    pub fn open(
        env: &Env,
        project: &Project,
        request: &RunRequest,
        listener: Option<&Arc<dyn Listener>>,
        cancel: &Cancel,
        // What a run has asked already is not asked again.
        seen: Option<&Arc<Tracking>>,
    ) -> Result<Self, OpError> {
        let store = Arc::new(Store::open(&request.store).map_err(OpError::store)?);
        let in_use = store.use_guard().map_err(OpError::store)?;
        let alone = store.lock(&format!("publish {}", project.name)).map_err(OpError::store)?;
        let tracking = match seen {
            Some(seen) => {
                if let Some(listener) = listener {
                    listen(seen, listener);
                }
                seen.clone()
            }
            None => Arc::new(tracking(env, Some(project), request, &store, listener)?),
        };
        Ok(Self {
            journal: Journal::open(project, &store, &tracking)?,
            store,
            tracking,
            cancel: cancel.clone(),
            now: env.now,
            _guards: [in_use, alone],
        })
    }

    /// Runs something with the registry client, until it is done or somebody has enough.
    pub fn on<T, F>(&self, work: impl FnOnce(Client) -> F) -> Result<T, Stopped>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let cancel = self.cancel.clone();
        let until = |client| {
            let work = work(client);
            async move {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => None,
                    done = work => Some(done),
                }
            }
        };
        let done = self.tracking.with_registry(until).map_err(|e| {
            OpError::new(ErrorKind::Environment, "mabuild::engine::registry", e.message)
        })?;
        done.ok_or(Stopped::Interrupted)
    }

    /// Asks what the tags of generations say now, and what has to be done with them.
    pub fn steps(
        &self,
        of: &[&Generation],
        decide: impl FnOnce(generation::Current<'_>) -> Vec<Step>,
    ) -> Result<Result<Vec<Step>, Failed>, Stopped> {
        let mut asked: Vec<(String, String)> = of
            .iter()
            .flat_map(|generation| &generation.moves)
            .map(|of| (of.repository.clone(), of.tag.clone()))
            .collect();
        asked.sort_unstable();
        asked.dedup();
        let names = asked.clone();
        let found = self.on(|client| push::current(client, asked))?;
        let found: Result<Vec<_>, Error> = found.into_iter().collect();
        Ok(match found {
            Ok(found) => {
                let tags: HashMap<(String, String), _> = names.into_iter().zip(found).collect();
                Ok(decide(&|repository, tag| {
                    tags.get(&(repository.to_owned(), tag.to_owned())).copied().flatten()
                }))
            }
            Err(error) => Err(error.into()),
        })
    }

    /// Finishes what a killed run has left open.
    pub fn resume(&self, out: &mut Published) -> Result<(), Stopped> {
        for open in self.journal.generations()? {
            if open.progress != Progress::Open {
                continue;
            }
            let steps = self.steps(&[&open], |current| generation::finish(&open, current))?;
            let steps = match steps {
                Ok(steps) => steps,
                Err(failed) => return Err(unreadable(&open, &failed).into()),
            };
            let tags = match out.dry_run {
                true => steps.into_iter().map(|step| (step, TagEnd::Planned)).collect(),
                false => self.on(|client| push::carry_out(client, steps, Means::default()))?,
            };
            let is_whole = tags.iter().all(|(_, end)| end.is_settled());
            if is_whole && !out.dry_run {
                self.journal.close(open.number, self.now, Progress::Done)?;
            }
            out.resumed.push(Resumed { number: open.number, tags });
        }
        Ok(())
    }
}

/// That the tags of an open generation cannot be read.
fn unreadable(open: &Generation, failed: &Failed) -> OpError {
    let kind = match failed.blames_registry {
        true => ErrorKind::Upstream,
        false => ErrorKind::Environment,
    };
    let number = open.number;
    let message = format!("generation {number} was left open and cannot be finished: {failed}");
    OpError::new(kind, "mabuild::engine::publish-open", message)
        .help(format!("try again, or undo it with `mabuild publish rollback {number}`"))
}
