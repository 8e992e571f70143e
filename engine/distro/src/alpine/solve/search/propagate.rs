//! What follows from a choice, and how it is taken back.

use super::super::super::dependency::Dependency;
use super::super::explain::{Failure, Why};
use super::super::universe::{CandidateId, NameId, Need, Provider};
use super::{NameState, Outcome, Search, State, Undo};

impl<'u> Search<'u, '_> {
    pub(super) fn choose(&mut self, id: CandidateId) -> Outcome<'u> {
        let universe = self.universe;
        let Some(candidate) = universe.candidate(id) else { return Ok(()) };
        let inherited = self.conditions_tags(id);
        self.change(id, |state| {
            state.chosen = true;
            state.allowed |= inherited;
        });
        for (name, version) in &candidate.provides {
            let provider = Provider { candidate: id, version: *version };
            for other in universe.providers(*name) {
                let both_unversioned = version.is_none() && other.version.is_none();
                if other.candidate != id && !both_unversioned {
                    self.exclude(other.candidate, Why::SameName { other: id, name: *name })?;
                }
            }
            if self.name_state(*name).chosen.is_none() {
                self.change_name(*name, |state| state.chosen = Some(provider));
            }
        }
        candidate.needs.iter().try_for_each(|(name, need)| self.apply(Some(id), *name, need))
    }

    /// Takes in a dependency or conflict of a chosen package, or of the world.
    pub(super) fn apply(
        &mut self,
        by: Option<CandidateId>,
        name: NameId,
        need: &'u Dependency,
    ) -> Outcome<'u> {
        let universe = self.universe;
        let tag = need.tag.as_deref().and_then(|tag| universe.tag_bit(tag));
        let allowed = by.map_or(tag.unwrap_or(0), |by| self.state(by).allowed);
        if !need.conflict && !self.name_state(name).required {
            self.change_name(name, |state| state.required = true);
            self.required.push(name);
            self.trail.push(Undo::Required);
        }
        for provider in universe.providers(name) {
            self.steps += 1;
            let id = provider.candidate;
            let fits = universe.matches(need, *provider) != need.conflict;
            let own_conflict = need.conflict && by == Some(id);
            if !fits && !own_conflict {
                self.exclude(id, Why::Unwanted { by, need })?;
            } else if fits
                && !need.conflict
                && self.state(id).allowed | allowed != self.state(id).allowed
            {
                self.change(id, |state| state.allowed |= allowed);
            }
            if let (None, Some(tag), true) = (by, tag, fits) {
                self.change(id, |state| state.preferred = tag);
            }
        }
        if !need.conflict && !universe.providers(name).iter().any(|p| self.possible(p)) {
            return Err(Failure::NoProvider { by, name, need });
        }
        Ok(())
    }

    /// Excludes a candidate and all that cannot be without it.
    pub(super) fn exclude(&mut self, id: CandidateId, why: Why<'u>) -> Outcome<'u> {
        let universe = self.universe;
        let mut pending = vec![(id, why)];
        while let Some((id, why)) = pending.pop() {
            self.steps += 1;
            if self.state(id).excluded.is_some() {
                continue;
            }
            if self.state(id).chosen {
                return Err(Failure::Clash { id, why });
            }
            self.change(id, |state| state.excluded = Some(why));
            let Some(candidate) = universe.candidate(id) else { continue };
            for (name, _) in &candidate.provides {
                let left = universe.providers(*name).iter().any(|p| self.possible(p));
                if !left && self.name_state(*name).required {
                    return Err(Failure::NoneLeft(*name));
                }
                for dependent in universe.needed_by(*name) {
                    self.steps += 1;
                    if self.state(*dependent).excluded.is_some() {
                        continue;
                    }
                    let needs = universe.candidate(*dependent).map_or(&[][..], |one| &one.needs);
                    let mut own = needs.iter().filter(|(needed, _)| needed == name);
                    if let Some((_, need)) = own.find(|need| !self.can_hold(**need)) {
                        pending.push((*dependent, Why::Lacks(need)));
                    }
                }
            }
        }
        Ok(())
    }

    fn can_hold(&self, (name, need): Need) -> bool {
        let fits = |p: &Provider| self.possible(p) && self.universe.matches(need, *p);
        need.conflict || self.universe.providers(name).iter().any(fits)
    }

    pub(super) fn hopeless_need(&self, id: CandidateId) -> Option<Need<'u>> {
        let needs = &self.universe.candidate(id)?.needs;
        needs.iter().find(|need| !self.can_hold(**need)).copied()
    }

    pub(super) fn change(&mut self, id: CandidateId, change: impl FnOnce(&mut State<'u>)) {
        if let Some(state) = self.states.get_mut(id) {
            self.trail.push(Undo::Candidate(id, *state));
            change(state);
        }
    }

    fn change_name(&mut self, name: NameId, change: impl FnOnce(&mut NameState<'u>)) {
        if let Some(state) = self.names.get_mut(name) {
            self.trail.push(Undo::Name(name, *state));
            change(state);
        }
    }

    pub(super) fn undo_to(&mut self, mark: usize) {
        self.settled = 0;
        while self.trail.len() > mark {
            match self.trail.pop() {
                Some(Undo::Candidate(id, before)) => {
                    self.states.get_mut(id).into_iter().for_each(|state| *state = before);
                }
                Some(Undo::Name(name, before)) => {
                    self.names.get_mut(name).into_iter().for_each(|state| *state = before);
                }
                Some(Undo::Required) => {
                    self.required.pop();
                }
                None => return,
            }
        }
    }
}
