//! The exec form: `["program", "argument"]`.

use std::ops::Range;

use crate::ast::Word;
use crate::line::Line;

/// What a part of a line is, read as JSON.
#[derive(Debug)]
pub(crate) enum Json {
    /// An array of strings.
    Strings(Vec<Word>),
    /// An array, but not of strings alone; the first other element.
    Mixed(Range<usize>),
    /// Anything else. Says whether somebody seems to have tried.
    Other {
        /// Whether it looks like an array with a mistake.
        near: bool,
    },
}

/// Reads a part of a line.
pub(crate) fn read(line: &Line, range: Range<usize>) -> Json {
    let text = line.slice(range.clone());
    if !text.starts_with('[') {
        return Json::Other { near: false };
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Json::Other { near: is_near(text) };
    };
    let mut ranges = strings(text).into_iter().map(|r| r.start + range.start..r.end + range.start);
    let mut words = Vec::with_capacity(values.len());
    for value in values {
        let serde_json::Value::String(raw) = value else { return Json::Mixed(range) };
        let place = ranges.next().unwrap_or_else(|| range.clone());
        words.push(Word { raw, span: line.span(place) });
    }
    Json::Strings(words)
}

/// Finds the string literals of valid JSON that holds nothing but strings in an array.
fn strings(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (byte, open) {
            (b'\\', _) => {
                bytes.next();
            }
            (b'"', None) => open = Some(at),
            (b'"', Some(start)) => {
                found.push(start..at + 1);
                open = None;
            }
            _ => {}
        }
    }
    found
}

/// Whether text that is no JSON was probably meant as the exec form, and not as the shell's test
/// command: `['a', 'b']`, `[a, b]`, `["a"] # why`, but not `[ "$a" = b ]`.
fn is_near(text: &str) -> bool {
    let inner = text.get(1..).unwrap_or("");
    let first = inner.trim_start();
    if let Some(quote) = first.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let Some((_, behind)) = first.get(1..).and_then(|rest| rest.split_once(quote)) else {
            return true;
        };
        return behind.trim_start().starts_with([',', ']']);
    }
    matches!(first.chars().next(), Some(']'))
        || !inner.starts_with([' ', '\t', '[']) && text.contains(']')
}
