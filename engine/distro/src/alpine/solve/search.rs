//! The search: choose a candidate, exclude what it rules out, go back where nothing is left.

mod propagate;

use super::super::dependency::Dependency;
use super::super::version;
use super::SolveError;
use super::explain::{self, Failure, Why};
use super::order;
use super::universe::{CandidateId, NameId, Need, Provider, Tags, UNTAGGED, Universe};
use std::cmp::Ordering;

/// Bound of the work; a world of a thousand packages takes some hundred thousand steps.
const MAX_STEPS: u64 = 10_000_000;

/// What is known of a candidate at some point of the search.
#[derive(Clone, Copy, Default)]
struct State<'a> {
    excluded: Option<Why<'a>>,
    chosen: bool,
    /// The tags that those who need it let it come from.
    allowed: Tags,
    /// The tag that the world wants it from.
    preferred: Tags,
}

/// What is known of a name.
#[derive(Clone, Copy, Default)]
struct NameState<'a> {
    required: bool,
    chosen: Option<Provider<'a>>,
}

enum Undo<'a> {
    Candidate(CandidateId, State<'a>),
    Name(NameId, NameState<'a>),
    Required,
}

pub(super) struct Search<'u, 'a> {
    universe: &'u Universe<'a>,
    goals: &'u [Need<'u>],
    states: Vec<State<'u>>,
    names: Vec<NameState<'u>>,
    /// All names that were required so far, in that order.
    required: Vec<NameId>,
    /// How many of these, from the first on, are known to be provided.
    settled: usize,
    /// How long the chain of dependencies below a name is.
    depths: Vec<u32>,
    trail: Vec<Undo<'u>>,
    /// The candidates that were chosen without need, with the length of the trail before.
    decisions: Vec<(CandidateId, usize)>,
    first_failure: Option<SolveError>,
    steps: u64,
}

/// What a part of the search comes to.
type Outcome<'a> = Result<(), Failure<'a>>;

impl<'u, 'a> Search<'u, 'a> {
    pub(super) fn new(universe: &'u Universe<'a>, goals: &'u [Need<'u>]) -> Self {
        let fresh = State { preferred: UNTAGGED, allowed: UNTAGGED, ..State::default() };
        Search {
            universe,
            goals,
            states: vec![fresh; universe.candidates.len()],
            names: vec![NameState::default(); universe.name_count()],
            required: Vec::new(),
            settled: 0,
            depths: order::depths(universe, goals),
            trail: Vec::new(),
            decisions: Vec::new(),
            first_failure: None,
            steps: 0,
        }
    }

    /// Gives the chosen candidates, sorted by number.
    pub(super) fn run(mut self) -> Result<Vec<CandidateId>, SolveError> {
        let begun = self.exclude_hopeless().and_then(|()| {
            self.goals.iter().try_for_each(|(name, wish)| self.apply(None, *name, wish))
        });
        if let Err(failure) = begun {
            return Err(explain::error(&self, failure));
        }
        self.complete(0)?;
        self.bring_along()?;
        Ok((0..self.states.len()).filter(|id| self.state(*id).chosen).collect())
    }

    /// Excludes what can never be installed, so that reasons are found before choices.
    fn exclude_hopeless(&mut self) -> Outcome<'u> {
        for (id, candidate) in self.universe.candidates.iter().enumerate() {
            if let Some(field) = candidate.package.unsupported {
                self.exclude(id, Why::Unsupported(field))?;
            }
            if let Some((_, need)) = self.hopeless_need(id) {
                self.exclude(id, Why::Lacks(need))?;
            }
        }
        Ok(())
    }

    /// Chooses until every required name is provided, going back no further than to the decisions
    /// before `floor`.
    fn complete(&mut self, floor: usize) -> Result<(), SolveError> {
        loop {
            if self.steps > MAX_STEPS {
                return Err(SolveError::TooHard { steps: MAX_STEPS });
            }
            let outcome = match self.next_choice() {
                Ok(None) => return Ok(()),
                Ok(Some(id)) => {
                    self.decisions.push((id, self.trail.len()));
                    self.choose(id)
                }
                Err(failure) => Err(failure),
            };
            let Err(mut failure) = outcome else { continue };
            loop {
                let error = explain::error(self, failure);
                self.first_failure.get_or_insert(error);
                if self.decisions.len() <= floor {
                    let error = self.first_failure.take();
                    return Err(error.unwrap_or(SolveError::TooHard { steps: self.steps }));
                }
                let Some((id, mark)) = self.decisions.pop() else { break };
                self.undo_to(mark);
                match self.exclude(id, Why::Tried) {
                    Ok(()) => break,
                    Err(next) => failure = next,
                }
            }
        }
    }

    /// Adds the packages whose conditions are installed, as far as they fit.
    fn bring_along(&mut self) -> Result<(), SolveError> {
        while let Some(id) = self.next_to_bring() {
            let mark = self.trail.len();
            let floor = self.decisions.len();
            self.first_failure = None;
            let outcome = match self.choose(id) {
                Ok(()) => self.complete(floor),
                Err(failure) => Err(explain::error(self, failure)),
            };
            match outcome {
                Ok(()) => {}
                Err(error @ SolveError::TooHard { .. }) => return Err(error),
                Err(_) => {
                    self.undo_to(mark);
                    self.decisions.truncate(floor);
                    self.change(id, |state| state.excluded = Some(Why::Tried));
                }
            }
        }
        Ok(())
    }

    /// The best package that is to come along, the first by name.
    fn next_to_bring(&mut self) -> Option<CandidateId> {
        let mut best: Option<(NameId, Provider)> = None;
        for (id, candidate) in self.universe.candidates.iter().enumerate() {
            self.steps += 1;
            let state = self.state(id);
            if candidate.install_if.is_empty() || state.chosen || state.excluded.is_some() {
                continue;
            }
            if !candidate.install_if.iter().all(|(name, need)| self.holds(*name, need)) {
                continue;
            }
            let tags = self.conditions_tags(id) | state.allowed;
            if !candidate.installed && candidate.tags & tags == 0 {
                continue;
            }
            let version = Some(candidate.package.version.as_str());
            let provider = Provider { candidate: id, version };
            let text = |name| self.universe.text(name);
            let better =
                best.is_none_or(|(name, other)| match text(candidate.name).cmp(text(name)) {
                    Ordering::Equal => self.prefer(provider, other) == Ordering::Greater,
                    order => order == Ordering::Less,
                });
            if better {
                best = Some((candidate.name, provider));
            }
        }
        best.map(|(_, provider)| provider.candidate)
    }

    /// Whether what is chosen fulfils a condition.
    fn holds(&self, name: NameId, need: &Dependency) -> bool {
        let chosen = self.name_state(name).chosen;
        chosen.is_some_and(|provider| self.universe.matches(need, provider)) != need.conflict
    }

    /// The tags that a package may come from because its conditions did.
    fn conditions_tags(&self, id: CandidateId) -> Tags {
        let conditions = self.universe.candidate(id).map_or(&[][..], |one| &one.install_if);
        let chosen = conditions.iter().filter_map(|(name, _)| self.name_state(*name).chosen);
        chosen.fold(0, |tags, provider| tags | self.state(provider.candidate).allowed)
    }

    /// Gives what to choose next; none when every required name is provided.
    ///
    /// Names with one candidate come first, then those at the top of the dependencies.
    fn next_choice(&mut self) -> Result<Option<CandidateId>, Failure<'u>> {
        let mut best: Option<(bool, u32, NameId)> = None;
        let mut undecided = None;
        let provided = |name: &NameId| self.name_state(*name).chosen.is_some();
        self.settled += self.required.iter().skip(self.settled).take_while(|n| provided(n)).count();
        for name in self.required.iter().skip(self.settled) {
            self.steps += 1;
            if self.name_state(*name).chosen.is_some() {
                continue;
            }
            let providers = self.universe.providers(*name);
            self.steps += providers.len() as u64;
            let possible = providers.iter().filter(|p| self.possible(p)).count();
            if possible == 0 || !providers.iter().any(|p| self.eligible(*name, p)) {
                undecided.get_or_insert(*name);
                continue;
            }
            let depth = self.depths.get(*name).copied().unwrap_or(0);
            let key = (possible == 1, depth, *name);
            let better = best.is_none_or(|(forced, other_depth, other)| {
                (key.0, key.1)
                    .cmp(&(forced, other_depth))
                    .then_with(|| self.universe.text(other).cmp(self.universe.text(*name)))
                    == Ordering::Greater
            });
            if better {
                best = Some(key);
            }
        }
        match (best, undecided) {
            (Some((.., name)), _) => Ok(self.best_provider(name)),
            // What comes along may provide what nobody may be chosen for by itself.
            (None, Some(name)) => match self.next_to_bring() {
                Some(id) => Ok(Some(id)),
                None => Err(Failure::Undecided(name)),
            },
            (None, None) => Ok(None),
        }
    }

    fn best_provider(&self, name: NameId) -> Option<CandidateId> {
        let eligible = self.universe.providers(name).iter().filter(|p| self.eligible(name, p));
        // The order is not transitive where versions are missing: the first of equals stays.
        let best = eligible.reduce(|best, other| {
            if self.prefer(*other, *best) == Ordering::Greater { other } else { best }
        });
        best.map(|provider| provider.candidate)
    }

    fn possible(&self, provider: &Provider) -> bool {
        self.state(provider.candidate).excluded.is_none()
    }

    /// Whether a provider may be chosen for a name now.
    fn eligible(&self, name: NameId, provider: &Provider) -> bool {
        let Some(candidate) = self.universe.candidate(provider.candidate) else { return false };
        let state = self.state(provider.candidate);
        let tag_fits = candidate.installed || candidate.tags & state.allowed != 0;
        let must_be_named = provider.version.is_none()
            && candidate.package.provider_priority == 0
            && self.universe.providers(name).len() > 1
            && !self.name_state(candidate.name).required;
        state.excluded.is_none() && tag_fits && !must_be_named
    }

    /// Orders two providers of a name by apk's preference; the greater is the better one.
    fn prefer(&self, a: Provider, b: Provider) -> Ordering {
        let (Some(one), Some(two)) =
            (self.universe.candidate(a.candidate), self.universe.candidate(b.candidate))
        else {
            return Ordering::Equal;
        };
        let wanted = |id, tags: Tags| tags & self.state(id).preferred != 0;
        let provided = match (a.version, b.version) {
            (Some(a), Some(b)) => version::compare(a, b),
            _ => Ordering::Equal,
        };
        let own = || match one.name == two.name {
            true => version::compare(&one.package.version, &two.package.version),
            false => Ordering::Equal,
        };
        let priority = |id: &super::universe::Candidate| id.package.provider_priority;
        let repository = |index: Option<usize>| index.unwrap_or(usize::MAX);
        wanted(a.candidate, one.tags)
            .cmp(&wanted(b.candidate, two.tags))
            .then_with(|| one.installed.cmp(&two.installed))
            .then(provided)
            .then_with(own)
            .then_with(|| priority(one).cmp(&priority(two)))
            .then_with(|| repository(two.index).cmp(&repository(one.index)))
    }

    fn state(&self, id: CandidateId) -> State<'u> {
        self.states.get(id).copied().unwrap_or_default()
    }

    fn name_state(&self, name: NameId) -> NameState<'u> {
        self.names.get(name).copied().unwrap_or_default()
    }

    pub(super) fn universe(&self) -> &'u Universe<'a> {
        self.universe
    }

    pub(super) fn why(&self, id: CandidateId) -> Option<Why<'u>> {
        self.state(id).excluded
    }
}
