//! `.dockerignore`: which files of a build context do not exist for a build. The rules are those of
//! moby's pattern matcher as BuildKit's walk over the context uses it: patterns are anchored at the
//! root, a matched folder takes along what is below it, and `!` takes back.

mod expression;
mod pattern;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use crate::problem::{Problem, Span};
use pattern::{Pattern, Scratch};

/// The patterns of one ignore file. Those without wildcards are found by name, so that thousands of
/// them cost no more than one.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    patterns: Vec<Entry>,
    /// The patterns that are plain paths.
    exact: HashMap<String, Vec<usize>>,
    /// The folders of patterns such as `folder/**`.
    below: HashMap<String, Vec<usize>>,
    /// The names of patterns such as `**/name`.
    names: HashMap<String, Vec<usize>>,
    /// All others.
    globs: Vec<usize>,
    has_exceptions: bool,
    /// The exceptions without wildcards, and what stands before the first wildcard of the others.
    plain_exceptions: BTreeSet<String>,
    /// The folders that stand before the first wildcard of exceptions.
    wild_exceptions: HashSet<String>,
    /// Whether a pattern leaves out all that is in the root.
    hides_all: bool,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
struct Entry {
    pattern: Pattern,
    /// The pattern as text, cleaned.
    text: String,
    /// Whether the line begins with `!`.
    is_exception: bool,
}

impl Ignore {
    /// Reads an ignore file: a pattern a line, `#` in the first column comments.
    pub fn parse(text: &str) -> Self {
        let mut ignore = Self::default();
        let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut at = bom;
        for line in text.get(bom..).unwrap_or("").split_inclusive('\n') {
            if !line.starts_with('#') {
                let start = at + (line.len() - line.trim_start().len());
                ignore.add(line.trim(), Span::new(start, start + line.trim().len()));
            }
            at += line.len();
        }
        ignore
    }

    /// Takes patterns that are not in a file, such as the ones of `COPY --exclude`, which are about
    /// paths below the source. Unlike in a file, one that begins with `/` matches nothing, and
    /// `!` stands right before its path.
    pub fn of<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Self {
        let mut ignore = Self::default();
        for pattern in patterns.into_iter().map(str::trim).filter(|pattern| !pattern.is_empty()) {
            let root = if pattern.starts_with('/') { "/" } else { "" };
            let cleaned = format!("{root}{}", clean(pattern));
            match cleaned.strip_prefix('!') {
                Some("") => ignore.takes_nothing_back(Span::default()),
                Some(path) => ignore.keep(path.to_owned(), true, pattern, Span::default()),
                None => ignore.keep(cleaned, false, pattern, Span::default()),
            }
        }
        ignore
    }

    fn add(&mut self, line: &str, span: Span) {
        if line.is_empty() {
            return;
        }
        let (is_exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let cleaned = clean(text);
        if cleaned.is_empty() {
            // The root itself is never left out; taking it back is refused by moby.
            if is_exception && text.chars().all(|c| c == '/') {
                self.takes_nothing_back(span);
            }
            return;
        }
        self.keep(cleaned, is_exception, line, span);
    }

    fn takes_nothing_back(&mut self, span: Span) {
        self.problems.push(
            Problem::error(code!("bad-ignore-pattern"), span, "`!` takes nothing back")
                .label("no pattern behind it")
                .help("write `!path`"),
        );
    }

    /// Keeps a cleaned pattern, or says that what was written is none.
    fn keep(&mut self, text: String, is_exception: bool, written: &str, span: Span) {
        let pattern = match Pattern::new(&text) {
            Ok(pattern) => pattern,
            Err(why) => {
                let message = format!("`{written}` is no pattern");
                return self.problems.push(
                    Problem::error(code!("bad-ignore-pattern"), span, message)
                        .label("not understood")
                        .help(why),
                );
            }
        };
        let entry = Entry { pattern, text, is_exception };
        let index = self.patterns.len();
        self.has_exceptions |= entry.is_exception;
        if entry.is_exception {
            self.keep_exception(&entry.text);
        } else {
            self.hides_all |= matches!(entry.text.as_str(), "*" | "**" | "**/*");
        }
        match &entry.pattern {
            Pattern::Exact(path) => self.exact.entry(path.clone()).or_default().push(index),
            Pattern::Below(folder) => self.below.entry(folder.clone()).or_default().push(index),
            Pattern::Name(name) => self.names.entry(name.clone()).or_default().push(index),
            _ => self.globs.push(index),
        }
        self.patterns.push(entry);
    }

    /// Gives what is wrong with the patterns; a bad one matches nothing.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a file or folder is left out. The path is relative to the context, with `/` between
    /// its parts; the matcher makes no difference between files and folders.
    pub fn excluded(&self, path: &str) -> bool {
        let path = path.trim_matches('/');
        if self.patterns.is_empty() || path.is_empty() {
            return false;
        }
        let mut walk = Walk::new(self);
        let folders = path.match_indices('/').map(|(at, _)| at);
        for end in folders.chain([path.len()]) {
            walk.enter(path.get(..end).unwrap_or(path));
            // Without exceptions the first match is the last word.
            if walk.excluded && !self.has_exceptions {
                return true;
            }
        }
        walk.excluded
    }

    /// Whether a folder is left out and nothing below it can be taken back, so that it need not be
    /// read at all.
    pub fn prunes(&self, folder: &str) -> bool {
        let folder = folder.trim_matches('/');
        let mut exceptions = self.patterns.iter().filter(|entry| entry.is_exception);
        self.excluded(folder) && !exceptions.any(|entry| entry.pattern.may_fit_below(folder))
    }
}

impl Ignore {
    /// Gives about how many patterns one look-up goes through for every part of a path.
    pub(crate) fn cost(&self) -> usize {
        self.globs.len() + 1
    }

    /// Whether a source of COPY cannot be there, as BuildKit's check sees it: the path is left out
    /// and no exception can be about it or anything below it.
    pub(crate) fn hides(&self, source: &str) -> bool {
        let path = clean(source);
        if path.is_empty() {
            return self.hides_all && !self.has_exceptions;
        }
        !self.may_come_back(&path) && self.excluded(&path)
    }

    /// Whether an exception can be about a path or anything below it. What stands behind the first
    /// wildcard of an exception can be anything.
    fn may_come_back(&self, path: &str) -> bool {
        let below = format!("{path}/");
        let plain = &self.plain_exceptions;
        let next =
            |from: &str| plain.range::<str, _>((Bound::Included(from), Bound::Unbounded)).next();
        let is_below = next(&below).is_some_and(|first| first.starts_with(&below));
        let mut above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let wild = &self.wild_exceptions;
        plain.contains(path)
            || is_below
            || wild.contains("")
            || wild.contains(path)
            || above.any(|folder| wild.contains(folder))
    }

    /// Remembers what an exception can be about.
    fn keep_exception(&mut self, text: &str) {
        let mut start = 0;
        for part in text.split('/') {
            if part.contains(['*', '?', '[']) {
                let folder = text.get(..start).unwrap_or("").trim_end_matches('/');
                self.wild_exceptions.insert(folder.to_owned());
                // Seen from above, it is as good as a path there.
                self.plain_exceptions.insert(folder.to_owned());
                return;
            }
            start += part.len() + 1;
        }
        self.plain_exceptions.insert(text.to_owned());
    }
}

/// The way from the root down to a path.
struct Walk<'i> {
    ignore: &'i Ignore,
    /// The patterns that hold for the folder above, in their order.
    above: Vec<usize>,
    /// The patterns `folder/**` of folders above.
    below: Vec<usize>,
    direct: Vec<usize>,
    scratch: Scratch,
    excluded: bool,
}

impl<'i> Walk<'i> {
    fn new(ignore: &'i Ignore) -> Self {
        let (above, below, direct) = (Vec::new(), Vec::new(), Vec::new());
        Self { ignore, above, below, direct, scratch: Scratch::default(), excluded: false }
    }

    /// Goes one folder, or the file, deeper.
    fn enter(&mut self, path: &str) {
        let Self { ignore, below, direct, scratch, .. } = self;
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        direct.clear();
        direct.extend_from_slice(below);
        direct.extend(ignore.exact.get(path).into_iter().flatten());
        direct.extend(ignore.names.get(name).into_iter().flatten());
        for index in &ignore.globs {
            let fits = |entry: &Entry| entry.pattern.fits(path, scratch);
            if ignore.patterns.get(*index).is_some_and(fits) {
                direct.push(*index);
            }
        }
        below.extend(ignore.below.get(path).into_iter().flatten());
        if direct.is_empty() && self.above.is_empty() {
            return;
        }
        self.decide();
    }

    /// Goes through the patterns in their order. One that held for the folder above holds here; one
    /// that would change nothing is not even looked at, and then does not hold further down.
    fn decide(&mut self) {
        let mut all: Vec<(usize, bool)> = self.above.iter().map(|index| (*index, true)).collect();
        all.extend(self.direct.iter().map(|index| (*index, false)));
        // A pattern that holds from above comes before its own direct match.
        all.sort_unstable_by_key(|(index, inherited)| (*index, !*inherited));
        self.above.clear();
        self.excluded = false;
        for (index, inherited) in all {
            let Some(entry) = self.ignore.patterns.get(index) else { continue };
            if !inherited && entry.is_exception != self.excluded {
                continue;
            }
            self.excluded = !entry.is_exception;
            if self.above.last() != Some(&index) {
                self.above.push(index);
            }
        }
    }
}

/// Makes a path as short as it can be: no `/` at its ends, no empty parts, no `.`, no `x/..`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests;
