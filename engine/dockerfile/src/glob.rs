//! The patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/new}`: `*` and `?`,
//! neither of which crosses a line end.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
}

impl Token {
    fn fits(self, c: char) -> bool {
        match self {
            Self::Char(own) => own == c,
            Self::Any => c != '\n',
        }
    }
}

/// A pattern, cut at its stars. There is always one segment at least.
#[derive(Debug)]
pub(crate) struct Pattern {
    segments: Vec<Vec<Token>>,
}

impl Pattern {
    /// Reads a pattern; a backslash before anything but `*`, `?`, `\`, `/` and `}` is an error that
    /// names the character.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut segment = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => segments.push(std::mem::take(&mut segment)),
                '?' => segment.push(Token::Any),
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '/' | '}')) => segment.push(Token::Char(c)),
                    other => return Err(other.map(String::from).unwrap_or_default()),
                },
                _ => segment.push(Token::Char(c)),
            }
        }
        segments.push(segment);
        Ok(Self { segments })
    }

    /// Takes what fits off the start, as little or as much as possible.
    pub(crate) fn trim_start<'v>(&self, value: &'v str, longest: bool) -> &'v str {
        let chars: Vec<char> = value.chars().collect();
        let taken = self.at(&chars, 0, longest).ok().map_or(0, |end| bytes(&chars, end));
        value.get(taken..).unwrap_or("")
    }

    /// Takes what fits off the end, as little or as much as possible.
    pub(crate) fn trim_end<'v>(&self, value: &'v str, longest: bool) -> &'v str {
        let chars: Vec<char> = value.chars().rev().collect();
        let reversed = |segment: &Vec<Token>| segment.iter().rev().copied().collect();
        let backwards = Self { segments: self.segments.iter().rev().map(reversed).collect() };
        let taken = backwards.at(&chars, 0, longest).ok().map_or(0, |end| bytes(&chars, end));
        value.get(..value.len() - taken).unwrap_or("")
    }

    /// Finds the first place that fits, or all places that do not overlap, as byte ranges.
    pub(crate) fn find(&self, value: &str, all: bool) -> Vec<Range<usize>> {
        let chars: Vec<char> = value.chars().collect();
        let offsets: Vec<usize> =
            value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
        let offset = |at: usize| offsets.get(at).copied().unwrap_or(value.len());
        let mut places: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        while from <= chars.len() && (all || places.is_empty()) {
            match self.at(&chars, from, true) {
                // Nothing right behind a place is no place of its own.
                Ok(end)
                    if end == from
                        && from > 0
                        && places.last().is_some_and(|p| p.end == offset(from)) =>
                {
                    from += 1;
                }
                Ok(end) => {
                    places.push(offset(from)..offset(end));
                    from = end.max(from + usize::from(end == from));
                }
                Err(next) => from = next,
            }
        }
        places
    }

    /// Matches from a position on. Gives the end, or the next position worth trying.
    fn at(&self, chars: &[char], from: usize, longest: bool) -> Result<usize, usize> {
        let Some((first, rest)) = self.segments.split_first() else { return Err(from + 1) };
        let mut end = fits(chars, from, first).ok_or(from + 1)?;
        let Some((last, middle)) = rest.split_last() else { return Ok(end) };
        // A star stays on its line, so when the rest is not there, no other start on it will do.
        let line = line_end(chars, end);
        let next = if self.has_line_end() { from + 1 } else { line + 1 };
        for segment in middle {
            end =
                (end..=line_end(chars, end)).find_map(|at| fits(chars, at, segment)).ok_or(next)?;
        }
        let mut places = end..=line_end(chars, end);
        let found = if longest {
            places.rev().find_map(|at| fits(chars, at, last))
        } else {
            places.find_map(|at| fits(chars, at, last))
        };
        found.ok_or(next)
    }

    fn has_line_end(&self) -> bool {
        self.segments.iter().flatten().any(|token| *token == Token::Char('\n'))
    }
}

fn line_end(chars: &[char], from: usize) -> usize {
    chars.iter().skip(from).position(|c| *c == '\n').map_or(chars.len(), |n| from + n)
}

/// Gives the end of a segment that stands at a position.
fn fits(chars: &[char], at: usize, segment: &[Token]) -> Option<usize> {
    let part = chars.get(at..at + segment.len())?;
    part.iter().zip(segment).all(|(c, token)| token.fits(*c)).then_some(at + segment.len())
}

fn bytes(chars: &[char], count: usize) -> usize {
    chars.iter().take(count).map(|c| c.len_utf8()).sum()
}
