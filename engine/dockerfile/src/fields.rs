//! Comma-separated options and the kinds of values in them.

use std::time::Duration;

use crate::ast::Word;
use crate::problem::{Problem, Span};

/// `key` or `key=value` of a comma-separated list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The key, lower-case.
    pub(crate) key: String,
    /// What follows the `=`.
    pub(crate) value: Option<Word>,
    /// All of it.
    pub(crate) span: Span,
    /// All of it as text.
    pub(crate) text: String,
}

impl Field {
    /// Whether expansion would change nothing.
    pub(crate) fn is_plain(&self) -> bool {
        self.value.as_ref().is_none_or(Word::is_plain)
    }
}

/// Splits a comma-separated list, in which a whole field may be in double quotes.
pub(crate) fn comma_separated(word: &Word) -> Result<Vec<Field>, Problem> {
    let mut fields = Vec::new();
    let mut rest = word.raw.as_str();
    loop {
        let start = word.raw.len() - rest.len();
        let (text, behind) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner).ok_or_else(|| bad_quotes(word))?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (text, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if text.contains('"') {
                    return Err(bad_quotes(word));
                }
                (text.to_owned(), behind)
            }
        };
        let end = word.raw.len() - behind.len();
        fields.push(field(word, text, start, end));
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(fields),
            None => return Err(bad_quotes(word)),
        }
    }
}

/// Reads up to the closing quote; two quotes stand for one.
fn quoted(inner: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = inner;
    loop {
        let (before, behind) = rest.split_once('"')?;
        text.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                text.push('"');
                rest = more;
            }
            None => return Some((text, behind)),
        }
    }
}

fn field(word: &Word, text: String, start: usize, end: usize) -> Field {
    let span = word.part(start, end);
    let whole = Word { raw: text.clone(), span };
    match crate::split::at_equals(&whole) {
        Some((key, value)) => Field { key: key.raw.to_lowercase(), value: Some(value), span, text },
        None => Field { key: text.to_lowercase(), value: None, span, text },
    }
}

fn bad_quotes(word: &Word) -> Problem {
    Problem::error(code!("bad-list"), word.span, "the quotes in this list do not fit")
        .label("comma-separated")
        .help("put double quotes around a whole `key=value`, or leave them out")
}

/// Reads a truth value as Go does.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a size in bytes: a number, perhaps with a fraction, and a binary unit: `64m`, `1.5GiB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * 1024_f64.powi(power);
    (0.0..9.0e18).contains(&value).then_some(value as u64)
}

/// Reads a duration as Go does: `1h30m`, `1.5s`, `300ms`. Zero needs no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos = 0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(end)?;
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(end)?;
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        nanos += number.parse::<f64>().ok()? * scale;
        rest = behind;
    }
    // Go counts nanoseconds in 63 bits.
    (nanos < 9.2e18).then(|| Duration::from_nanos(nanos.round() as u64))
}
