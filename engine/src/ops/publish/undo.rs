//! `publish ls` and `publish rollback`.

use std::sync::Arc;

use super::desk::{Desk, Stopped};
use super::journal::Journal;
use crate::ops::planning::tracking;
use crate::ops::{Cancel, Env, ErrorKind, OpError, Project, RunRequest};
use crate::publish::TagEnd;
use crate::publish::generation::{Generation, Progress, Step, Turn, undo, undone_with};
use crate::publish::push::{Means, carry_out};
use crate::store::Store;

/// What a rollback came to.
#[derive(Clone, Debug, PartialEq)]
pub struct RolledBack {
    /// The generations that it undoes, newest first.
    pub numbers: Vec<i64>,
    /// Their tags and what became of them.
    pub tags: Vec<(Step, TagEnd)>,
    /// Whether it was asked what would be done, and nothing was.
    pub dry_run: bool,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// The generations of a project, oldest first.
pub fn generations(
    env: &Env,
    project: &Project,
    request: &RunRequest,
) -> Result<Vec<Generation>, OpError> {
    let store = Arc::new(Store::open(&request.store).map_err(OpError::store)?);
    let _use = store.use_guard().map_err(OpError::store)?;
    let tracking = Arc::new(tracking(env, Some(project), request, &store, None)?);
    Journal::open(project, &store, &tracking)?.generations()
}

/// Puts every tag back to what it said before a generation and all newer ones; without a number,
/// before the newest.
pub fn rollback(
    env: &Env,
    project: &Project,
    request: &RunRequest,
    number: Option<i64>,
    dry_run: bool,
    cancel: &Cancel,
) -> Result<RolledBack, OpError> {
    cancel.begin();
    let desk = Desk::open(env, project, request, None, cancel, None)?;
    let all = desk.journal.generations()?;
    let found = undone_with(&all, number).ok_or_else(|| unknown(&all, number))?;
    let numbers: Vec<i64> = found.iter().map(|generation| generation.number).collect();
    let mut out =
        RolledBack { numbers: numbers.clone(), tags: Vec::new(), dry_run, interrupted: false };
    match desk.go_back(&all, &found, dry_run) {
        Ok(tags) => out.tags = tags,
        Err(Stopped::Interrupted) => out.interrupted = true,
        Err(Stopped::Failed(error)) => return Err(error),
    }
    // What the registry does not do will not be done another time either.
    let is_refused = |step: &Step, end: &TagEnd| {
        step.turn == Turn::Delete && end.failure().is_some_and(|failed| !failed.blames_registry)
    };
    let is_whole = out.tags.iter().all(|(step, end)| end.is_settled() || is_refused(step, end));
    if is_whole && !dry_run && !out.interrupted {
        for number in numbers {
            desk.journal.close(number, desk.now, Progress::Undone)?;
        }
    }
    Ok(out)
}

impl Desk {
    fn go_back(
        &self,
        all: &[Generation],
        found: &[&Generation],
        dry_run: bool,
    ) -> Result<Vec<(Step, TagEnd)>, Stopped> {
        let steps = self.steps(found, |current| undo(found, current))?;
        let steps = steps.map_err(|failed| {
            let kind = match failed.blames_registry {
                true => ErrorKind::Upstream,
                false => ErrorKind::Environment,
            };
            OpError::new(kind, "mabuild::engine::rollback", failed.to_string())
                .help("no tag was touched; try again")
        })?;
        if dry_run {
            let planned = |step: Step| match step.turn {
                Turn::Stay => (step, TagEnd::Kept),
                Turn::Foreign(found) => (step, TagEnd::Foreign(found)),
                Turn::Set(_) | Turn::Delete => (step, TagEnd::Planned),
            };
            return Ok(steps.into_iter().map(planned).collect());
        }
        let is_undone = |generation: &Generation| {
            generation.progress == Progress::Undone
                || found.iter().any(|other| other.number == generation.number)
        };
        let needed = all.iter().filter(|generation| !is_undone(generation));
        let needed = needed.flat_map(|generation| &generation.moves);
        let needed = needed.flat_map(|of| [Some(of.after), of.before].into_iter().flatten());
        let set = steps.iter().filter_map(|step| match step.turn {
            Turn::Set(digest) => Some(digest),
            _ => None,
        });
        let means = Means { needed: needed.chain(set).collect(), ..Means::default() };
        self.on(|client| carry_out(client, steps, means))
    }
}

fn unknown(all: &[Generation], number: Option<i64>) -> OpError {
    let message = match number {
        Some(number) if all.iter().any(|generation| generation.number == number) => {
            format!("generation {number} was rolled back already")
        }
        Some(number) => format!("there is no generation {number}"),
        None => "there is no generation to roll back".to_owned(),
    };
    OpError::new(ErrorKind::User, "mabuild::engine::generation", message)
        .help("`mabuild publish ls` lists the generations of this project")
}
