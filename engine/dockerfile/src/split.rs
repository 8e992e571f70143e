//! A logical line to keyword, flags and words.

use std::ops::Range;

use crate::ast::Word;
use crate::line::{Line, is_gap};
use crate::problem::Span;

/// A line taken apart.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The instruction's name as written.
    pub(crate) keyword: Range<usize>,
    /// The flags before the arguments.
    pub(crate) flags: Vec<RawFlag>,
    /// Everything behind the flags.
    pub(crate) rest: Range<usize>,
}

/// `--name` or `--name=value`, quotes already taken away.
#[derive(Clone, Debug)]
pub(crate) struct RawFlag {
    /// The name without dashes.
    pub(crate) name: Word,
    /// What follows the `=`.
    pub(crate) value: Option<Word>,
    /// All of it.
    pub(crate) span: Span,
}

/// Takes a part of a line apart.
pub(crate) fn split(line: &Line, range: Range<usize>) -> Parts {
    let range = line.trim(range);
    let text = line.slice(range.clone());
    let end = range.start + text.find(is_gap).unwrap_or(text.len());
    let (flags, from) = flags(line, end..range.end);
    Parts { keyword: range.start..end, flags, rest: line.trim(from..range.end) }
}

/// Reads flags up to the first word that is none, or behind `--`; says where they end.
fn flags(line: &Line, range: Range<usize>) -> (Vec<RawFlag>, usize) {
    let mut flags = Vec::new();
    let mut at = range.start;
    loop {
        at = line.trim(at..range.end).start;
        if !line.slice(at..range.end).starts_with("--") {
            return (flags, at);
        }
        let (text, end) = flag_text(line, at..range.end);
        if text == "--" {
            return (flags, end);
        }
        flags.push(raw_flag(line, text, at..end));
        at = end;
    }
}

/// Reads one flag; quotes and backslashes go, whatever the escape directive says.
fn flag_text(line: &Line, range: Range<usize>) -> (String, usize) {
    let mut text = String::new();
    let mut quote = None;
    let mut chars = line.slice(range.clone()).char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', _) => text.extend(chars.next().map(|(_, next)| next)),
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => text.push(c),
            ('\'' | '"', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => return (text, range.start + at),
            (c, None) => text.push(c),
        }
    }
    (text, range.end)
}

fn raw_flag(line: &Line, text: String, range: Range<usize>) -> RawFlag {
    let span = line.span(range.clone());
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text.as_str(), None),
    };
    let name = name.strip_prefix("--").unwrap_or(name);
    // Names have no quotes unless somebody tries, so the source's `=` is the text's.
    let equals = line.slice(range.clone()).find('=').map_or(range.end, |n| range.start + n);
    let value = value.map(|v| Word {
        raw: v.to_owned(),
        span: line.span((equals + 1).min(range.end)..range.end),
    });
    RawFlag {
        name: Word { raw: name.to_owned(), span: line.span(range.start..equals) },
        value,
        span,
    }
}

/// Splits at white space.
pub(crate) fn words(line: &Line, range: Range<usize>) -> Vec<Word> {
    let text = line.slice(range.clone());
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (is_gap(c), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                words.push(line.word(range.start + from..range.start + at));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Splits at white space that is neither quoted nor escaped; quotes stay.
pub(crate) fn quoted_words(line: &Line, range: Range<usize>, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    let mut chars = line.slice(range.clone()).char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if let Some((from, raw)) = word.take() {
                push(&mut words, line, raw, range.start + from..range.start + at);
            }
            continue;
        }
        let (_, raw) = word.get_or_insert_with(|| (at, String::new()));
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            // An escape at the very end escapes nothing and is dropped.
            let Some((_, next)) = chars.next() else { break };
            raw.push(c);
            raw.push(next);
        } else {
            raw.push(c);
        }
    }
    if let Some((from, raw)) = word {
        push(&mut words, line, raw, range.start + from..range.end);
    }
    words
}

fn push(words: &mut Vec<Word>, line: &Line, raw: String, range: Range<usize>) {
    if !raw.is_empty() {
        words.push(Word { raw, span: line.span(range) });
    }
}

/// Splits a word at its first `=`.
pub(crate) fn at_equals(word: &Word) -> Option<(Word, Word)> {
    let at = word.raw.find('=')?;
    let (key, value) = (word.raw.get(..at)?, word.raw.get(at + 1..)?);
    Some((
        Word { raw: key.to_owned(), span: word.part(0, at) },
        Word { raw: value.to_owned(), span: word.part(at + 1, word.raw.len()) },
    ))
}
