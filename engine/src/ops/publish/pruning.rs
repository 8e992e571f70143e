//! `publish prune`.

use std::collections::BTreeMap;

use mabuild_oci::Digest;

use super::desk::{Desk, Stopped};
use crate::ops::{Cancel, Env, ErrorKind, OpError, Project, RunRequest};
use crate::publish::Failed;
use crate::publish::journal::Change;
use crate::publish::prune::{Claims, claims};
use crate::publish::push::all;
use crate::publish::scan::{Removal, remove, scan};

/// What a prune came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pruned {
    /// What can go, by repository.
    pub removals: Vec<Removal>,
    /// Manifests and indexes that were deleted.
    pub deleted: usize,
    /// Repositories that could not be read or pruned, and why.
    pub failed: Vec<(String, Failed)>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// Finds what no tag and none of the newest generations reaches of all that was published, and
/// deletes it where `agree` says so of what it is shown.
pub fn prune(
    env: &Env,
    project: &Project,
    request: &RunRequest,
    keep: usize,
    agree: &mut dyn FnMut(&Pruned) -> bool,
    cancel: &Cancel,
) -> Result<Pruned, OpError> {
    cancel.begin();
    let desk = Desk::open(env, project, request, None, cancel, None)?;
    let generations = desk.journal.generations()?;
    if generations.is_empty() {
        let message = "nothing is known to have been published, so there is nothing to prune";
        return Err(OpError::new(ErrorKind::User, "mabuild::engine::generation", message));
    }
    let mut out = Pruned::default();
    let done = desk.look_through(claims(&generations, keep), &mut out).and_then(|()| {
        let is_empty = out.removals.iter().all(|removal| removal.digests.is_empty());
        match is_empty || !agree(&out) {
            true => Ok(()),
            false => desk.remove(&mut out),
        }
    });
    match done {
        Ok(()) => Ok(out),
        Err(Stopped::Interrupted) => Ok(Pruned { interrupted: true, ..out }),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

impl Desk {
    fn look_through(
        &self,
        claims: BTreeMap<String, Claims>,
        out: &mut Pruned,
    ) -> Result<(), Stopped> {
        let claims: Vec<_> = claims.into_iter().filter(|(_, c)| !c.pushed.is_empty()).collect();
        let names: Vec<String> = claims.iter().map(|(repository, _)| repository.clone()).collect();
        let found = self.on(|client| {
            let look = move |(repository, claims)| scan(client.clone(), repository, claims);
            all(claims.into_iter().map(look))
        })?;
        let mut gone = Vec::new();
        for (repository, found) in names.into_iter().zip(found) {
            match found {
                Ok(removal) => {
                    gone.extend(removal.absent.iter().map(|digest| (repository.clone(), *digest)));
                    out.removals.push(removal);
                }
                Err(error) => out.failed.push((repository, error.into())),
            }
        }
        // It need not be asked for again.
        Ok(self.note_pruned(gone)?)
    }

    fn remove(&self, out: &mut Pruned) -> Result<(), Stopped> {
        let removals = out.removals.clone();
        let ends = self.on(|client| {
            let one = move |removal| remove(client.clone(), removal);
            all(removals.into_iter().map(one))
        })?;
        let mut gone = Vec::new();
        for (removal, ends) in ends {
            for (digest, end) in removal.digests.iter().zip(ends) {
                match end {
                    Ok(_) => {
                        out.deleted += 1;
                        gone.push((removal.repository.clone(), *digest));
                    }
                    Err(error) => out.failed.push((removal.repository.clone(), error.into())),
                }
            }
        }
        Ok(self.note_pruned(gone)?)
    }

    fn note_pruned(&self, gone: Vec<(String, Digest)>) -> Result<(), OpError> {
        match gone.is_empty() {
            true => Ok(()),
            false => self.journal.change(&Change::Pruned(gone)).map(drop),
        }
    }
}
