//! One pattern: `*` and `?` within a name, `**` across folders, `[a-z]`, `\` before a character that
//! is meant as it is.

use super::expression;

/// A pattern in the form that is fastest to match.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// A plain path.
    Exact(String),
    /// `folder/**`: everything below, not the folder itself.
    Below(String),
    /// `**/name`: that name in any folder.
    Name(String),
    /// `start**`: everything that starts so.
    Start(String),
    /// `**end`: everything that ends so, and with `**/end` also `end` itself.
    End(String),
    /// Anything else.
    Glob(Glob),
}

/// A pattern with wildcards, and the plain text at its ends for a quick no.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    tokens: Vec<Token>,
    head: String,
    tail: String,
}

/// A step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A plain character.
    Char(char),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `**/`: no folder or any number of them.
    Folders,
    /// `**` at the end.
    Rest,
    /// `[…]`: whether it is negated, and the ranges.
    Set(bool, Vec<(char, char)>),
    /// A set any number of times, which comes of a star within brackets.
    Repeat(bool, Vec<(char, char)>),
    /// The end of the path.
    End,
    /// A place where a word begins or ends, or where none does.
    Boundary(bool),
    /// `^` is the start of the path in a pattern with wildcards, because moby makes them regular
    /// expressions and escapes everything but this.
    Begin,
}

/// Buffers that are used again from match to match.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    now: Vec<u8>,
    next: Vec<u8>,
}

/// The match stands before this token.
const AT: u8 = 1;
/// The match is within the folders of this token.
const WITHIN: u8 = 2;

impl Pattern {
    /// Reads a cleaned pattern.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if !text.contains(['*', '?', '[', ']', '\\']) {
            return Ok(Self::Exact(text.to_owned()));
        }
        let tokens = expression::tokens(text)?;
        let plain = |tokens: &[Token]| -> Option<String> {
            let char = |token: &Token| match token {
                Token::Char(c) => Some(*c),
                Token::Begin => Some('^'),
                _ => None,
            };
            tokens.iter().map(char).collect()
        };
        // An escape or a bracket makes moby take the slow way even where it means nothing special;
        // only there `**name` and `**/name` are the same.
        let is_simple = !text.contains(['[', ']', '\\']);
        if is_simple && let Some(end) = text.strip_prefix("**") {
            if let Some(name) = end.strip_prefix('/').filter(|n| !n.contains(['/', '*', '?'])) {
                return Ok(Self::Name(name.to_owned()));
            }
            if !end.contains(['*', '?']) {
                return Ok(Self::End(end.to_owned()));
            }
        }
        if is_simple
            && let Some((Token::Rest, before)) = tokens.split_last()
            && let Some(start) = plain(before)
        {
            return Ok(match start.strip_suffix('/') {
                Some(folder) => Self::Below(folder.to_owned()),
                None => Self::Start(start),
            });
        }
        Ok(Self::Glob(Glob::new(tokens)))
    }

    /// Whether it fits a whole path.
    pub(super) fn fits(&self, path: &str, scratch: &mut Scratch) -> bool {
        match self {
            Self::Exact(own) => path == own,
            Self::Below(folder) => {
                path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            Self::Name(name) => path.rsplit_once('/').map_or(path, |(_, last)| last) == name,
            Self::Start(start) => path.starts_with(start.as_str()),
            Self::End(end) => {
                path.ends_with(end.as_str()) || end.strip_prefix('/').is_some_and(|end| path == end)
            }
            Self::Glob(glob) => glob.fits(path, scratch),
        }
    }

    /// Whether it could fit something below a folder; says yes when in doubt.
    pub(super) fn may_fit_below(&self, folder: &str) -> bool {
        let meets = |start: &str| {
            let below = start.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            below || folder.starts_with(start)
        };
        match self {
            Self::Exact(own) => own.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
            Self::Below(own) | Self::Start(own) => meets(own),
            Self::Name(_) | Self::End(_) => true,
            Self::Glob(glob) => meets(&glob.head),
        }
    }
}

impl Glob {
    fn new(tokens: Vec<Token>) -> Self {
        let char = |token: &Token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        };
        let head: String = tokens.iter().map_while(char).collect();
        let mut tail: Vec<char> = tokens.iter().rev().map_while(char).collect();
        tail.reverse();
        Self { tokens, head, tail: tail.into_iter().collect() }
    }

    /// Follows all ways through the pattern at once: linear in the path, whatever the pattern.
    fn fits(&self, path: &str, scratch: &mut Scratch) -> bool {
        if !path.starts_with(self.head.as_str()) || !path.ends_with(self.tail.as_str()) {
            return false;
        }
        let size = self.tokens.len() + 1;
        let Scratch { now, next } = scratch;
        now.clear();
        now.resize(size, 0);
        mark(now, 0, AT);
        let mut upcoming = path.chars();
        self.close(now, None, upcoming.next());
        for c in path.chars() {
            next.clear();
            next.resize(size, 0);
            for (index, token) in self.tokens.iter().enumerate() {
                let state = now.get(index).copied().unwrap_or(0);
                if state != 0 {
                    token.step(index, state, c, next);
                }
            }
            self.close(next, Some(c), upcoming.next());
            std::mem::swap(now, next);
            if now.iter().all(|state| *state == 0) {
                return false;
            }
        }
        now.last().is_some_and(|state| state & AT != 0)
    }

    /// Passes tokens that may stand for nothing between two characters of the path.
    fn close(&self, states: &mut [u8], before: Option<char>, behind: Option<char>) {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        for (index, token) in self.tokens.iter().enumerate() {
            let is_at = states.get(index).is_some_and(|state| state & AT != 0);
            let passes = match token {
                Token::Star | Token::Folders | Token::Rest | Token::Repeat(..) => true,
                Token::Begin => before.is_none(),
                Token::End => behind.is_none(),
                Token::Boundary(wanted) => (is_word(before) != is_word(behind)) == *wanted,
                _ => false,
            };
            if is_at && passes {
                mark(states, index + 1, AT);
            }
        }
    }
}

impl Token {
    /// Takes one character; `index` is this token's place.
    fn step(&self, index: usize, state: u8, c: char, next: &mut [u8]) {
        let is_at = state & AT != 0;
        match self {
            Self::Char(own) if is_at && *own == c => mark(next, index + 1, AT),
            Self::Any if is_at && c != '/' => mark(next, index + 1, AT),
            Self::Star if is_at && c != '/' => mark(next, index, AT),
            Self::Rest if is_at && c != '\n' => mark(next, index, AT),
            Self::Set(negated, ranges) if is_at && has(ranges, c) != *negated => {
                mark(next, index + 1, AT);
            }
            Self::Repeat(negated, ranges) if is_at && has(ranges, c) != *negated => {
                mark(next, index, AT);
            }
            Self::Folders => {
                if c == '/' {
                    mark(next, index + 1, AT);
                }
                if c != '\n' {
                    mark(next, index, WITHIN);
                }
            }
            _ => {}
        }
    }
}

fn has(ranges: &[(char, char)], c: char) -> bool {
    ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
}

fn mark(states: &mut [u8], index: usize, state: u8) {
    if let Some(slot) = states.get_mut(index) {
        *slot |= state;
    }
}
