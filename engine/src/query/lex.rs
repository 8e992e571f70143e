//! The text of a query to words and signs.

use std::ops::Range;

use super::error::{Errors, QueryError};

/// Longest word, in bytes: no name, tag or platform is that long.
const MAX_WORD: usize = 1 << 10;

/// A sign that joins two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `+`
    Union,
    /// `-`
    Difference,
    /// `^`
    Intersection,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    /// A word as it stands.
    Word(&'t str),
    /// What stands between quotes.
    Quoted(&'t str),
    /// A sign that joins two sets.
    Operator(Operator),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// The end of the text.
    End,
}

/// A word or sign with its place.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    /// What it is.
    pub(super) kind: Kind<'t>,
    /// Its bytes in the text.
    pub(super) span: Range<usize>,
}

/// Takes a text apart. The last token is the end.
pub(super) fn lex<'t>(text: &'t str, errors: &mut Errors) -> Vec<Token<'t>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        if errors.is_closed() {
            break;
        }
        let (kind, length) = match first {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            '+' => (Kind::Operator(Operator::Union), 1),
            '-' => (Kind::Operator(Operator::Difference), 1),
            '^' => (Kind::Operator(Operator::Intersection), 1),
            '&' | '|' => foreign(rest, first, start, errors),
            '"' | '\'' => quoted(rest, first, start, errors),
            _ => word(rest, start, errors),
        };
        tokens.push(Token { kind, span: start..start + length });
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    tokens.push(Token { kind: Kind::End, span: text.len()..text.len() });
    tokens
}

/// A sign that means in other languages what has another sign here.
fn foreign<'t>(rest: &str, sign: char, start: usize, errors: &mut Errors) -> (Kind<'t>, usize) {
    let length = rest.chars().take(2).take_while(|c| *c == sign).count();
    let (operator, meant, what) = match sign {
        '&' => (Operator::Intersection, '^', "what is in both"),
        _ => (Operator::Union, '+', "what is in either"),
    };
    let span = start..start + length;
    let message = format!("`{sign}` is no operator of a query");
    errors.push(
        QueryError::at("mabuild::query::syntax", span, message, "not known")
            .help(format!("write `{meant}` for {what}")),
    );
    (Kind::Operator(operator), length)
}

fn quoted<'t>(rest: &'t str, quote: char, start: usize, errors: &mut Errors) -> (Kind<'t>, usize) {
    let inside = rest.get(1..).unwrap_or_default();
    let (inside, length) = match inside.split_once(quote) {
        Some((inside, _)) => (inside, inside.len() + 2),
        None => {
            let (span, message) = (start..start + 1, "a quote is not closed");
            errors.push(
                QueryError::at("mabuild::query::syntax", span, message, "opened here")
                    .help(format!("write another {quote} behind the word")),
            );
            // Goes on as if there were no quote, so that a `)` behind the word is still one.
            let end = inside.find(ends_word).unwrap_or(inside.len());
            (inside.get(..end).unwrap_or_default(), end + 1)
        }
    };
    long(inside, start..start + length, errors);
    (Kind::Quoted(inside), length)
}

fn word<'t>(rest: &'t str, start: usize, errors: &mut Errors) -> (Kind<'t>, usize) {
    let length = match word_length(rest) {
        Ok(length) => length,
        Err((bracket, sign)) => {
            let at = start + bracket;
            errors.push(
                QueryError::at(
                    "mabuild::query::syntax",
                    at..at + 1,
                    format!("`{sign}` is not closed"),
                    "opened here",
                )
                .help("close it, or put the word in quotes"),
            );
            rest.find(ends_word).unwrap_or(rest.len())
        }
    };
    let word = rest.get(..length).unwrap_or_default();
    long(word, start..start + length, errors);
    (Kind::Word(word), length)
}

/// Bytes of the word that a text begins with, brackets with all that is in them included. The
/// error is the place of a bracket that is not closed, and the bracket.
fn word_length(text: &str) -> Result<usize, (usize, char)> {
    let mut bracket: Option<(usize, char, char)> = None;
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match bracket {
            Some((_, open, _)) if c == open => depth += 1,
            Some((_, _, close)) if c == close && depth == 0 => bracket = None,
            Some((_, _, close)) if c == close => depth -= 1,
            Some(_) => {}
            None if c == '[' => bracket = Some((at, c, ']')),
            None if c == '{' => bracket = Some((at, c, '}')),
            None if ends_word(c) => return Ok(at),
            None => {}
        }
    }
    bracket.map_or(Ok(text.len()), |(at, open, _)| Err((at, open)))
}

/// Whether a character cannot stand in a word. A `-` can, everywhere but at its beginning.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',' | '+' | '^' | '&' | '|' | '"' | '\'')
}

fn long(word: &str, span: Range<usize>, errors: &mut Errors) {
    if word.len() > MAX_WORD {
        let message = format!("a word is longer than {MAX_WORD} bytes");
        errors.push(QueryError::at("mabuild::query::limit", span, message, "no name is that long"));
    }
}
