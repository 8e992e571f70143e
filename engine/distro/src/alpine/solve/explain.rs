//! Why something cannot be installed, for a person.

use super::super::dependency::Dependency;
use super::SolveError;
use super::search::Search;
use super::universe::{CandidateId, NameId, Universe};

/// Longest explanation.
const MAX_LINES: usize = 12;
/// Deepest chain of reasons that is told.
const MAX_DEPTH: usize = 5;
/// Most candidates of a name that are told of.
const MAX_CANDIDATES: usize = 4;
const MAX_NEAR_NAMES: usize = 3;

/// Why a candidate is out.
#[derive(Clone, Copy)]
pub(super) enum Why<'a> {
    /// It has a field that only a newer apk knows.
    Unsupported(char),
    /// Nothing fulfils one of its needs.
    Lacks(&'a Dependency),
    /// A chosen package, or the world, has a version or conflict that it does not fit.
    Unwanted { by: Option<CandidateId>, need: &'a Dependency },
    /// A chosen package has or provides the same name.
    SameName { other: CandidateId, name: NameId },
    /// It was tried and led nowhere.
    Tried,
}

/// Where the search came to an end.
#[derive(Clone, Copy)]
pub(super) enum Failure<'a> {
    /// A need that nothing fulfils.
    NoProvider { by: Option<CandidateId>, name: NameId, need: &'a Dependency },
    /// The last candidate of a required name is out.
    NoneLeft(NameId),
    /// A chosen package is ruled out by another.
    Clash { id: CandidateId, why: Why<'a> },
    /// None of the candidates may be chosen without being named.
    Undecided(NameId),
}

/// Tells of a failure in the state in which it happened.
pub(super) fn error(search: &Search, failure: Failure) -> SolveError {
    let universe = search.universe();
    let mut lines = Lines { search, lines: Vec::new() };
    match failure {
        Failure::Undecided(name) => {
            let open =
                universe.providers(name).iter().filter(|p| search.why(p.candidate).is_none());
            let mut providers: Vec<String> = open.map(|p| label(universe, p.candidate)).collect();
            providers.sort();
            providers.dedup();
            providers.truncate(10);
            if !providers.is_empty() {
                return SolveError::Ambiguous { name: universe.text(name).into(), providers };
            }
            lines.push(0, format!("{} has no provider", universe.text(name)));
            lines.candidates(1, name);
        }
        Failure::NoProvider { by, name, need } => {
            lines.push(0, format!("{} needs {need}", who(universe, by)));
            lines.candidates(1, name);
        }
        Failure::NoneLeft(name) => {
            lines.push(0, format!("{} is needed", universe.text(name)));
            lines.candidates(1, name);
        }
        Failure::Clash { id, why } => {
            lines.push(0, format!("{} is needed", label(universe, id)));
            lines.reason(1, why);
        }
    }
    SolveError::Unsatisfiable { lines: lines.lines }
}

struct Lines<'s, 'u, 'a> {
    search: &'s Search<'u, 'a>,
    lines: Vec<String>,
}

impl Lines<'_, '_, '_> {
    fn push(&mut self, depth: usize, text: String) {
        let indent = "  ".repeat(depth + 1);
        match self.lines.len().cmp(&(MAX_LINES - 1)) {
            std::cmp::Ordering::Less => self.lines.push(format!("{indent}{text}")),
            std::cmp::Ordering::Equal => self.lines.push(format!("{indent}…")),
            std::cmp::Ordering::Greater => {}
        }
    }

    fn candidates(&mut self, depth: usize, name: NameId) {
        let universe = self.search.universe();
        let providers = universe.providers(name);
        if providers.is_empty() {
            let near = near_names(universe, universe.text(name));
            let text = format!("nothing provides {}{}", universe.text(name), did_you_mean(&near));
            self.push(depth, text);
        }
        for provider in providers.iter().take(MAX_CANDIDATES) {
            if let Some(why) = self.search.why(provider.candidate) {
                self.push(depth, format!("{} cannot be:", label(universe, provider.candidate)));
                self.reason(depth + 1, why);
            }
        }
        if providers.len() > MAX_CANDIDATES {
            self.push(depth, format!("and {} more", providers.len() - MAX_CANDIDATES));
        }
    }

    fn reason(&mut self, depth: usize, why: Why) {
        let universe = self.search.universe();
        match why {
            Why::Unsupported(field) => {
                self.push(depth, format!("it needs a newer apk (field {field}:)"));
            }
            Why::Lacks(need) => {
                self.push(depth, format!("it needs {need}"));
                let name = universe.name(&need.name);
                if let Some(name) = name.filter(|_| depth < MAX_DEPTH) {
                    self.candidates(depth + 1, name);
                }
            }
            Why::Unwanted { by, need } if need.conflict => {
                self.push(depth, format!("{} excludes it: {need}", who(universe, by)));
            }
            Why::Unwanted { by, need } => {
                self.push(depth, format!("{} needs {need}", who(universe, by)));
            }
            Why::SameName { other, name } => {
                let (other, name) = (label(universe, other), universe.text(name));
                self.push(depth, format!("{other} is chosen, and both have or provide {name}"));
            }
            Why::Tried => self.push(depth, "it leads to a contradiction".into()),
        }
    }
}

fn who(universe: &Universe, by: Option<CandidateId>) -> String {
    by.map_or_else(|| "the request".into(), |by| label(universe, by))
}

fn label(universe: &Universe, id: CandidateId) -> String {
    let package = universe.candidate(id).map(|one| one.package);
    package.map(|package| format!("{}-{}", package.name, package.version)).unwrap_or_default()
}

/// Gives at most three provided names that are like one that is not there, the nearest first.
pub(super) fn near_names(universe: &Universe, name: &str) -> Vec<String> {
    // Distances cost the product of the lengths, so an absurd name gets no suggestion.
    let allowed = if name.len() > 100 { 0 } else { name.chars().count().div_ceil(3).min(4) };
    let alike = |known: &&str| known.len().abs_diff(name.len()) <= allowed;
    let mut near: Vec<(usize, &str)> = universe
        .provided_names()
        .filter(alike)
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort_unstable();
    near.into_iter().take(MAX_NEAR_NAMES).map(|(_, known)| known.to_owned()).collect()
}

pub(super) fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
}
