//! Places in the text, and what can be wrong at them.

use std::ops::Range;

use crate::ast::Word;
use crate::rules::{self, Checks};

/// A range of bytes of the text that was read; both ends stand on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte behind the last one.
    pub end: u32,
}

impl Span {
    /// Makes a span of two byte positions. Texts over [`crate::MAX_BYTES`] are refused before
    /// any span is made, so that positions always fit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let fit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: fit(start), end: fit(end.max(start)) }
    }

    /// Gives the number of bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span covers nothing and is a position only.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Gives the span as the range that slices the text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Gives the smallest span around both.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file builds, but hardly as it was meant.
    Warning,
    /// The file cannot be built.
    Error,
}

/// One thing that is wrong, in a form that a caller renders as a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the file can be built all the same.
    pub severity: Severity,
    /// The stable name of the kind of problem.
    pub code: &'static str,
    /// Where it is.
    pub span: Span,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What stands below the underlined text; can be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// Makes an error without label and help.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, code, span, message, label: String::new(), help: None }
    }

    /// Makes a warning without label and help.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Gives the name of BuildKit's build check that says the same, such as `StageNameCasing`.
    pub fn rule(&self) -> Option<&'static str> {
        rules::name(self.code)
    }

    /// Adds what stands below the underlined text.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Adds what to do.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Adds what to do, if anything is known.
    pub fn maybe_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}

/// Problems beyond this number are counted, not kept: a binary read as a Dockerfile has millions.
const MOST: usize = 200;

/// Collects problems, but for those that the file does not want to hear of.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kept: Vec<Problem>,
    more: usize,
    last: Span,
    /// What the whole file says about checks.
    pub(crate) checks: Checks,
    /// What the comments of the instruction in question say.
    own: Option<Checks>,
}

impl Problems {
    /// Starts with what the file says about checks.
    pub(crate) fn new(checks: Checks) -> Self {
        Self { checks, ..Self::default() }
    }

    /// Says whose problems come next: those of an instruction with these comments.
    pub(crate) fn within(&mut self, comments: &[Word]) {
        self.own = Checks::of_comments(comments);
    }

    /// Keeps a problem, or counts it when there are too many.
    pub(crate) fn push(&mut self, problem: Problem) {
        let Some(problem) = self.wanted(problem) else { return };
        if self.is_full() {
            self.more += 1;
            self.last = problem.span;
        } else {
            self.kept.push(problem);
        }
    }

    fn wanted(&self, problem: Problem) -> Option<Problem> {
        if problem.severity == Severity::Error {
            return Some(problem);
        }
        let mut lists = [Some(&self.checks), self.own.as_ref()].into_iter().flatten();
        let severity = match problem.rule() {
            // What only this reader says ends with all the others.
            None => {
                return lists.all(|checks| !checks.skip_all()).then_some(problem);
            }
            Some(_) if self.checks.error => Severity::Error,
            Some(_) => Severity::Warning,
        };
        let is_wanted = if rules::is_experimental(problem.code) {
            lists.any(|checks| checks.allow(problem.code))
        } else {
            lists.all(|checks| checks.allow(problem.code))
        };
        is_wanted.then_some(Problem { severity, ..problem })
    }

    /// Whether problems are only counted by now, so that dear help is not worth making.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= MOST
    }

    /// Keeps any number of problems.
    pub(crate) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }

    /// Gives the problems in the order of the text.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.kept.sort_by_key(|p| (p.span.start, p.span.end));
        if self.more > 0 {
            let message = format!("{} more problems are not shown", self.more);
            self.kept.push(
                Problem::error(code!("too-many-problems"), self.last, message)
                    .help("is this file a Dockerfile? Mend the first ones and look again"),
            );
        }
        self.kept
    }
}

/// Gives the one of `known` that was probably meant by `given`, if any is near.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The length limit keeps the quadratic distance cheap on hostile input.
    if given.len() > 64 {
        return None;
    }
    let allowed = if given.chars().count() <= 3 { 1 } else { 2 };
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(given, name), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

/// Gives the sentence that suggests the one of `known` that was probably meant.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(given, known).map(|name| format!("did you mean `{name}`?"))
}
