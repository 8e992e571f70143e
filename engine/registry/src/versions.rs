//! Version ranges: which of some tags is the highest that a range takes.
//!
//! Tags are free text. What they have in common is their shape: numbers between fixed text, as in
//! `v1.22.3-alpine`. A range says the shape and leaves numbers open. Nothing here knows where tags
//! come from: those of images, of git repositories and versions of packages are all the same.
//!
//! | range | takes | does not take |
//! | --- | --- | --- |
//! | `3.20.*` | `3.20.3` | `3.20`, `3.20.1.1`, `3.20.4-rc1`, `v3.20.1` |
//! | `1.22.*-alpine` | `1.22.9-alpine` | `1.22.9`, `1.22.9-alpine3.20` |
//! | `1.*-alpine3.*` | `1.22-alpine3.20` | `1.22-alpine` |
//! | `*`, `v*`, `*-alpine` | any version with that text around it | versions with other text |
//! | `>=1.20, <2` | `1.20`, `1.22.3` | `1.19.9`, `2.0`, `1.22.3-alpine` |
//! | `>=v1.20, <v2` | `v1.22.3` | `1.22.3` |
//! | `1.*.*-alpine, >=1.20` | `1.22.3-alpine` | `1.19.1-alpine`, `1.22-alpine` |
//! | `3.13.*-rc*` | `3.13.0-rc2` | `3.13.0` |
//!
//! - A `*` stands for one number, so `3.20.*` wants three; where it is the first number and no dot
//!   follows, it stands for a whole version of any number of numbers, as bounds do.
//! - All other text is taken as it stands. A prerelease (`-rc1`, `_beta`, `a1`) is therefore never
//!   taken unless the range names it, nor a build for another purpose (`-slim`).
//! - Numbers are compared as numbers, however long they are, from left to right; a missing one is
//!   a zero. Of versions that are equal (`1.2`, `1.2.0`) the one with more numbers is taken.
//! - Conditions behind commas must all be met. One of them may be a shape; bounds beside it are
//!   written without its suffix, and with or without its prefix. Bounds are for the first numbers
//!   of a tag, up to what is no dot: 1.22 of `1.22-alpine3.20`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest range, in bytes.
const LONGEST: usize = 256;
/// The most conditions of a range.
const CONDITIONS: usize = 16;

/// Gives the highest of some tags that a range takes. Fails where the range is none.
pub fn highest<'a>(
    tags: impl Iterator<Item = &'a str>,
    range: &str,
) -> Result<Option<&'a str>, RangeError> {
    Ok(range.parse::<Range>()?.highest(tags))
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RangeError {
    /// What is wrong, and what to write instead.
    pub message: String,
    /// Which bytes of the text it is about.
    pub span: std::ops::Range<usize>,
}

/// Which versions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    text: String,
    shape: Vec<Piece>,
    bounds: Vec<Bound>,
}

/// A part of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// One number.
    Number,
    /// Numbers with dots between them.
    Version,
}

/// A limit of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    operator: Operator,
    version: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    AtLeast,
    Above,
    AtMost,
    Below,
}

/// How they are written; longer ones first.
const OPERATORS: [(&str, Operator); 4] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
];

/// The numbers of a tag that a range leaves open, as digits without leading zeros.
type Open<'a> = Vec<Vec<&'a str>>;

impl Range {
    /// Gives the highest of some tags that it takes; the answer does not depend on their order.
    pub fn highest<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let taken = tags.filter_map(|tag| Some((self.open(tag)?, tag)));
        let higher = |a: &(Open<'_>, &str), b: &(Open<'_>, &str)| {
            let pairs = a.0.iter().zip(&b.0);
            let by_number = pairs.map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            let count = |open: &Open<'_>| open.iter().map(Vec::len).sum::<usize>();
            let by_count = || count(&a.0).cmp(&count(&b.0));
            by_number.unwrap_or_else(by_count).then_with(|| a.1.cmp(b.1))
        };
        taken.max_by(higher).map(|(_, tag)| tag)
    }

    /// Whether a tag is one of those that are wanted.
    pub fn takes(&self, tag: &str) -> bool {
        self.open(tag).is_some()
    }

    /// Reads a tag that is wanted.
    fn open<'a>(&self, tag: &'a str) -> Option<Open<'a>> {
        let (mut rest, mut open) = (tag, Vec::new());
        for piece in &self.shape {
            rest = match piece {
                Piece::Text(text) => rest.strip_prefix(text.as_str())?,
                Piece::Number => {
                    let (number, rest) = number(rest)?;
                    open.push(vec![number]);
                    rest
                }
                Piece::Version => {
                    let (version, rest) = version(rest)?;
                    open.push(version);
                    rest
                }
            };
        }
        let (_, own) = tag.split_at(tag.find(|c: char| c.is_ascii_digit())?);
        let (own, _) = version(own)?;
        (rest.is_empty() && self.bounds.iter().all(|bound| bound.admits(&own))).then_some(open)
    }
}

impl Bound {
    fn admits(&self, version: &[&str]) -> bool {
        let bound: Vec<&str> = self.version.iter().map(String::as_str).collect();
        let order = compare(version, &bound);
        match self.operator {
            Operator::AtLeast => order.is_ge(),
            Operator::Above => order.is_gt(),
            Operator::AtMost => order.is_le(),
            Operator::Below => order.is_lt(),
        }
    }
}

/// Takes a number off a text: its digits without leading zeros, none for zero.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (!digits.is_empty()).then(|| (digits.trim_start_matches('0'), rest))
}

/// Takes numbers with dots between them off a text.
fn version(text: &str) -> Option<(Vec<&str>, &str)> {
    let (first, mut rest) = number(text)?;
    let mut numbers = vec![first];
    while let Some((next, after)) = rest.strip_prefix('.').and_then(number) {
        numbers.push(next);
        rest = after;
    }
    Some((numbers, rest))
}

/// Compares versions number by number; a missing one is a zero.
fn compare(a: &[&str], b: &[&str]) -> Ordering {
    let mut orders = (0..a.len().max(b.len())).map(|n| size(a, n).cmp(&size(b, n)));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// What orders numbers without leading zeros: how long they are, then their digits.
fn size<'a>(numbers: &[&'a str], n: usize) -> (usize, &'a str) {
    let digits = numbers.get(n).copied().unwrap_or_default();
    (digits.len(), digits)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A condition with its place in the range.
#[derive(Clone, Copy)]
struct Condition<'a> {
    text: &'a str,
    start: usize,
}

impl Condition<'_> {
    fn wrong(&self, why: impl fmt::Display) -> RangeError {
        let message = format!("`{}` {why}", self.text.escape_debug());
        RangeError { message, span: self.start..self.start + self.text.len() }
    }
}

/// A bound with the text around its numbers.
struct Written<'a> {
    condition: Condition<'a>,
    bound: Bound,
    prefix: &'a str,
    suffix: &'a str,
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        if text.len() > LONGEST {
            let message = format!("a range has at most {LONGEST} characters");
            return Err(RangeError { message, span: 0..text.len() });
        }
        let (mut shapes, mut written) = (Vec::new(), Vec::new());
        for condition in conditions(text)? {
            match OPERATORS.iter().find(|(sign, _)| condition.text.starts_with(sign)) {
                Some((sign, operator)) => written.push(bound(condition, sign, *operator)?),
                None => shapes.push((condition, shape(condition)?)),
            }
        }
        if let Some((second, _)) = shapes.get(1) {
            return Err(second.wrong("is a second shape; a range has one, and bounds beside it"));
        }
        let shape = match shapes.into_iter().next() {
            Some((condition, shape)) => {
                fit(&condition, &written)?;
                shape
            }
            None => common(&written)?,
        };
        let bounds = written.into_iter().map(|written| written.bound).collect();
        Ok(Self { text: text.trim().to_owned(), shape, bounds })
    }
}

/// Splits a range at its commas.
fn conditions(text: &str) -> Result<Vec<Condition<'_>>, RangeError> {
    let (mut out, mut start) = (Vec::new(), 0);
    for part in text.split(',') {
        let trimmed = part.trim_start();
        let at = start + part.len() - trimmed.len();
        start += part.len() + 1;
        let condition = Condition { text: trimmed.trim_end(), start: at };
        if condition.text.is_empty() {
            return Err(condition.wrong("is no range; write one as `1.22.*` or `>=1.20, <2`"));
        }
        out.push(condition);
    }
    match out.get(CONDITIONS) {
        Some(one) => {
            Err(one.wrong(format!("is one too many: a range has {CONDITIONS} conditions")))
        }
        None => Ok(out),
    }
}

/// Refuses what no tag can have.
fn plain(condition: Condition<'_>, text: &str) -> Result<(), RangeError> {
    let help = match text
        .chars()
        .find(|c| !c.is_ascii_graphic() || "<>=~^!|()[]{}\"'`\\,;".contains(*c))
    {
        None => return Ok(()),
        Some(c) if c.is_whitespace() => "has a blank; conditions stand behind commas",
        Some('^' | '~' | '=' | '!') => {
            "has no operator that is known; write `1.22.*`, or bounds as `>=1.22, <2`"
        }
        Some('|') => "has alternatives, which there are none of in a range",
        Some(_) => "has a character that no tag has",
    };
    Err(condition.wrong(help))
}

/// Reads a shape: `1.22.*-alpine`.
fn shape(condition: Condition<'_>) -> Result<Vec<Piece>, RangeError> {
    let text = condition.text;
    plain(condition, text)?;
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('*') {
        let is_beside = |c: char| c.is_ascii_digit() || c == '*';
        if before.ends_with(is_beside) || after.starts_with(is_beside) {
            return Err(condition.wrong("has a `*` that is no whole number; write `1.*`, not `1*`"));
        }
        let is_first = pieces.is_empty() && !before.contains(|c: char| c.is_ascii_digit());
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let is_open = is_first && !after.starts_with('.');
        pieces.push(if is_open { Piece::Version } else { Piece::Number });
        rest = after;
    }
    if pieces.is_empty() {
        let why = format!("leaves no number open; write `{text}.*` for what follows it");
        return Err(condition.wrong(why));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Reads a bound: `>=v1.20-alpine`.
fn bound<'a>(
    condition: Condition<'a>,
    sign: &str,
    operator: Operator,
) -> Result<Written<'a>, RangeError> {
    let text = condition.text.strip_prefix(sign).unwrap_or_default().trim_start();
    plain(condition, text)?;
    if text.contains('*') {
        return Err(condition.wrong("has a `*`, and a bound is a version: write `>=1.20`"));
    }
    let digit = text.find(|c: char| c.is_ascii_digit());
    let at = digit.ok_or_else(|| condition.wrong("has no number; write a version: `>=1.20`"))?;
    let (prefix, rest) = text.split_at(at);
    let (numbers, suffix) = version(rest).unwrap_or_default();
    let version = numbers.into_iter().map(str::to_owned).collect();
    Ok(Written { condition, bound: Bound { operator, version }, prefix, suffix })
}

/// The shape that bounds without one have in common.
fn common(written: &[Written<'_>]) -> Result<Vec<Piece>, RangeError> {
    let Some(first) = written.first() else { return Ok(vec![Piece::Version]) };
    let around = |one: &Written<'_>| format!("`{}…{}`", one.prefix, one.suffix);
    for other in written {
        if (other.prefix, other.suffix) != (first.prefix, first.suffix) {
            let why = format!(
                "has other text around its numbers, {}, than `{}` with {}: a tag cannot meet both",
                around(other),
                first.condition.text,
                around(first)
            );
            return Err(other.condition.wrong(why));
        }
    }
    let text = |text: &str| (!text.is_empty()).then(|| Piece::Text(text.to_owned()));
    let all = [text(first.prefix), Some(Piece::Version), text(first.suffix)];
    Ok(all.into_iter().flatten().collect())
}

/// Checks the bounds that stand beside a shape.
fn fit(shape: &Condition<'_>, written: &[Written<'_>]) -> Result<(), RangeError> {
    let end = shape.text.find(|c: char| c == '*' || c.is_ascii_digit()).unwrap_or_default();
    let (own, _) = shape.text.split_at(end);
    for one in written {
        if !one.suffix.is_empty() || !one.prefix.is_empty() && one.prefix != own {
            let why = format!("stands beside the shape `{}`; write its numbers alone", shape.text);
            return Err(one.condition.wrong(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
