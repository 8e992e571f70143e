//! `publish`: manifests by digest, one journaled generation, then tags.

mod desk;
mod far;
mod journal;
mod members;
mod pruning;
mod undo;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_registry::Error;

use self::desk::{Desk, Stopped};
pub use self::pruning::{Pruned, prune};
pub use self::undo::{RolledBack, generations, rollback};
use super::planning::{lowered, plan_in};
use super::{Cancel, Env, ErrorKind, Finished, OpError, Project, RunRequest};
use crate::event::Listener;
use crate::publish::generation::{Move, Progress, Step, Turn};
use crate::publish::journal::Change;
use crate::publish::push::{self, Ask, Job, Means};
use crate::publish::{
    About, Format, Image, Outcome, Part, Plan, Planned, Published, TagEnd, Tagged, Target, plan,
    waves,
};

/// What a publish is asked for.
#[derive(Clone, Debug, Default)]
pub struct PublishRequest {
    /// Targets, the store, the network.
    pub run: RunRequest,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// One image in one repository on its way.
struct Work {
    target: Target,
    /// What its tags said at the beginning.
    tags: Vec<Tagged>,
    outcome: Outcome,
}

/// Fails where nothing of a project is published, and says how something would be.
pub fn publishes(project: &Project) -> Result<(), OpError> {
    let lowered = lowered(project)?;
    match lowered.graph.thing_ids().any(|thing| lowered.publication(thing).is_some()) {
        true => Ok(()),
        false => {
            Err(members::nothing(format!("nothing of {} is published", project.main.display())))
        }
    }
}

/// Publishes what targets mean: of a run that has just ended, or what is up to date in the store.
pub fn publish(
    env: &Env,
    project: &Project,
    request: &PublishRequest,
    results: Option<&Finished>,
    listener: &Arc<dyn Listener>,
    cancel: &Cancel,
) -> Result<Published, OpError> {
    cancel.begin();
    publishes(project)?;
    let seen = results.map(|finished| finished.planning.memory.tracking());
    let desk = Desk::open(env, project, &request.run, Some(listener), cancel, seen)?;
    let own;
    let (planning, ends) = match results {
        Some(finished) => (&finished.planning, Some(&finished.ends)),
        None => {
            own = plan_in(project, &request.run, &desk.store, &desk.tracking)?;
            (&own, None)
        }
    };
    let members = members::Members { store: &desk.store, project, planning, ends };
    let targets = members.targets()?;
    let about = members::about(project);
    let mut out = Published { dry_run: request.dry_run, ..Published::default() };
    match desk.publish(targets, &about, &mut out) {
        Ok(()) => Ok(out),
        Err(Stopped::Interrupted) => Ok(Published { interrupted: true, ..out }),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

impl Desk {
    fn publish(
        &self,
        targets: Vec<Target>,
        about: &About,
        out: &mut Published,
    ) -> Result<(), Stopped> {
        self.resume(out)?;
        let mut works = self.planned(targets, about)?;
        let done = match out.dry_run {
            true => Ok(()),
            false => self.carry_out(&mut works, out),
        };
        if done.is_err() {
            works.iter_mut().for_each(|work| work.outcome.leave());
        }
        let image = |work: Work| Image {
            image: work.target.image,
            repository: work.target.repository,
            outcome: work.outcome,
        };
        out.images = works.into_iter().map(image).collect();
        done
    }

    /// Asks what tags say, and plans. What the run saw when it began is enough for images whose
    /// tags stay; the others are asked for once more.
    fn planned(&self, targets: Vec<Target>, about: &About) -> Result<Vec<Work>, Stopped> {
        let works = self.asked(targets, about, true)?;
        let stays = |work: &Work| match &work.outcome {
            Outcome::Whole { ends, .. } => ends.iter().all(|end| *end == TagEnd::Kept),
            // It was asked for just now.
            Outcome::Failed(_) => true,
            Outcome::Blocked(_) => false,
        };
        let places = works.iter().enumerate().filter(|(_, work)| !stays(work));
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        let open = places.iter().filter_map(|at| works.get(*at)).map(|work| work.target.clone());
        let again = self.asked(open.collect(), about, false)?;
        let mut works = works;
        for (at, work) in places.into_iter().zip(again) {
            if let Some(place) = works.get_mut(at) {
                *place = work;
            }
        }
        Ok(works)
    }

    fn asked(
        &self,
        targets: Vec<Target>,
        about: &About,
        seen_counts: bool,
    ) -> Result<Vec<Work>, Stopped> {
        let ask = |target: &Target| Ask {
            repository: target.repository.clone(),
            tags: target.tags(),
            indexes: target.publication.tags.len(),
            seen_counts,
        };
        let asked: Vec<Ask> = targets.iter().map(ask).collect();
        let found = self.on(|client| {
            push::all(asked.into_iter().map(move |ask| push::tagged(client.clone(), ask)))
        })?;
        let work = |(target, found): (Target, Result<Vec<Tagged>, Error>)| {
            let (tags, outcome) = match found {
                Ok(tags) => {
                    let outcome = self.plan(&target, &tags, about);
                    (tags, outcome)
                }
                Err(error) => (Vec::new(), Outcome::Failed(error.into())),
            };
            Work { target, tags, outcome }
        };
        Ok(targets.into_iter().zip(found).map(work).collect())
    }

    fn plan(&self, target: &Target, tags: &[Tagged], about: &About) -> Outcome {
        let noted = self.noted(target);
        match plan(target, tags, &noted, about, self.now) {
            Ok(plan) => {
                let end = |tag: &Planned| match tag.moves() {
                    true => TagEnd::Planned,
                    false => TagEnd::Kept,
                };
                let ends = plan.tags.iter().map(end).collect();
                Outcome::Whole { plan, ends }
            }
            Err(blocked) => Outcome::Blocked(blocked),
        }
    }

    /// Sends what is missing, opens a generation, and moves tags.
    fn carry_out(&self, works: &mut [Work], out: &mut Published) -> Result<(), Stopped> {
        self.send(works, out)?;
        self.look_again(works)?;
        let moves = moves(works);
        if moves.is_empty() {
            return Ok(());
        }
        let opened = Change::Open { now: self.now, moves: moves.clone() };
        out.generation = self.journal.change(&opened)?;
        let mut means = Means::default();
        for work in &*works {
            if let Outcome::Whole { plan: Plan { made: Some(made), .. }, .. } = &work.outcome {
                means.made.insert(made.digest, made.clone());
            }
        }
        let steps = moves.into_iter().map(step).collect();
        let ends = self.on(|client| push::carry_out(client, steps, means))?;
        let is_whole = ends.iter().all(|(_, end)| end.is_settled());
        settle(works, ends);
        if let (true, Some(number)) = (is_whole, out.generation) {
            self.journal.close(number, self.now, Progress::Done)?;
            self.note(works)?;
        }
        Ok(())
    }

    /// Sends manifests and indexes by digest, those of parents first, so that layers are mounted
    /// from there.
    fn send(&self, works: &mut [Work], out: &mut Published) -> Result<(), Stopped> {
        let jobs = works.iter().enumerate().filter_map(|(at, work)| {
            let Outcome::Whole { plan, ends } = &work.outcome else { return None };
            if !ends.contains(&TagEnd::Planned) {
                return None;
            }
            let members = plan.unknown(&work.tags).map(|seat| seat.descriptor.clone()).collect();
            let job = Job {
                repository: work.target.repository.clone(),
                members,
                index: plan.made.clone(),
                mounts: work.target.mounts.clone(),
            };
            Some((work.target.level, (at, job)))
        });
        for wave in waves(jobs) {
            let layout = self.store.layout().clone();
            let (places, mut jobs): (Vec<usize>, Vec<Job>) = wave.into_iter().unzip();
            for job in &mut jobs {
                far::bring(&self.tracking, &self.store, job).map_err(|e| {
                    OpError::new(ErrorKind::Upstream, "mabuild::engine::registry", e.message)
                })?;
            }
            let sent = self.on(|client| push::send(client, layout, jobs))?;
            for (at, sent) in places.into_iter().zip(sent) {
                match (sent, works.get_mut(at)) {
                    (Ok(pushed), _) => out.pushed.add(&pushed),
                    (Err(error), Some(work)) => work.outcome = Outcome::Failed(error.into()),
                    (Err(_), None) => {}
                }
            }
        }
        Ok(())
    }

    /// Sees whether somebody else has moved tags meanwhile. An image with one of them stays as it
    /// is: its index may carry what is no longer there.
    fn look_again(&self, works: &mut [Work]) -> Result<(), Stopped> {
        let asked: Vec<(String, String)> =
            moves(works).into_iter().map(|of| (of.repository, of.tag)).collect();
        let names = asked.clone();
        let found = self.on(|client| push::current(client, asked))?;
        let found: HashMap<(String, String), _> = names.into_iter().zip(found).collect();
        for work in works {
            let repository = &work.target.repository;
            let Outcome::Whole { plan, ends } = &mut work.outcome else { continue };
            let mut failed = None;
            for (tag, end) in plan.tags.iter().zip(ends.iter_mut()) {
                match found.get(&(repository.clone(), tag.tag.clone())) {
                    Some(Ok(now)) if *now != tag.before => *end = TagEnd::Foreign(*now),
                    Some(Err(error)) => failed = Some(error.clone()),
                    _ => {}
                }
            }
            let is_foreign = ends.iter().any(|end| matches!(end, TagEnd::Foreign(_)));
            match failed {
                Some(error) => work.outcome = Outcome::Failed(error.into()),
                None if is_foreign => work.outcome.leave(),
                None => {}
            }
        }
        Ok(())
    }

    /// Since when platforms are late, as this store remembers it: a manifest list cannot say it.
    fn noted(&self, target: &Target) -> BTreeMap<Platform, i64> {
        if target.publication.format != Format::Docker {
            return BTreeMap::new();
        }
        let since = |part: &Part| {
            let text = self.store.memo(LATE, &late_name(target, &part.platform))?;
            Some((part.platform.clone(), text.parse().ok()?))
        };
        target.parts.iter().filter_map(since).collect()
    }

    /// Remembers the same of what was published.
    fn note(&self, works: &[Work]) -> Result<(), OpError> {
        // Lateness begins with the first list that is newer.
        let is_new = |work: &&Work| {
            work.target.publication.format == Format::Docker
                && work.outcome.tags().any(|(_, end)| *end == TagEnd::Moved)
        };
        for work in works.iter().filter(is_new) {
            let Outcome::Whole { plan, .. } = &work.outcome else { continue };
            for seat in &plan.seats {
                let name = late_name(&work.target, &seat.platform);
                let done = match &seat.late {
                    Some(late) => self.store.put_memo(LATE, &name, &late.since.to_string()),
                    None => self.store.remove_memo(LATE, &name),
                };
                done.map_err(OpError::store)?;
            }
        }
        Ok(())
    }
}

/// The kind of the notes of [`Desk::noted`].
const LATE: &str = "late";

fn late_name(target: &Target, platform: &Platform) -> String {
    let tag = target.publication.tags.first().map_or("", String::as_str);
    format!("{}:{tag} {platform}", target.repository)
}

/// The tags that are still to move.
fn moves(works: &[Work]) -> Vec<Move> {
    let of = |work: &Work| -> Vec<Move> {
        let open = work.outcome.tags().filter(|(_, end)| **end == TagEnd::Planned);
        let one = |(tag, _): (&Planned, &TagEnd)| Move {
            repository: work.target.repository.clone(),
            tag: tag.tag.clone(),
            before: tag.before,
            after: tag.after,
            wave: work.target.level,
            pruned: false,
        };
        open.map(one).collect()
    };
    let mut out: Vec<Move> = works.iter().flat_map(of).collect();
    out.sort_by_key(|of| of.wave);
    out
}

fn step(of: Move) -> Step {
    let Move { repository, tag, after, wave, .. } = of;
    Step { repository, tag, turn: Turn::Set(after), wave }
}

/// Puts what became of tags where they were planned.
fn settle(works: &mut [Work], ends: Vec<(Step, TagEnd)>) {
    let mut ends: HashMap<(String, String), TagEnd> =
        ends.into_iter().map(|(step, end)| ((step.repository, step.tag), end)).collect();
    for work in works {
        let repository = &work.target.repository;
        let Outcome::Whole { plan, ends: own } = &mut work.outcome else { continue };
        for (tag, end) in plan.tags.iter().zip(own) {
            if let Some(known) = ends.remove(&(repository.clone(), tag.tag.clone())) {
                *end = known;
            }
        }
    }
}
