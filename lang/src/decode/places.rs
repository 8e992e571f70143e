//! Where parts of a string stand in its file.

use std::cell::OnceCell;

use super::check::range;
use crate::source::Span;
use crate::syntax::lex::{Kind, is_newline};
use crate::syntax::strings;

/// Places in the literal of a string.
pub(super) struct Places<'a> {
    file: &'a str,
    literal: Span,
    /// None inside where the literal is of a form without a map.
    map: OnceCell<Option<strings::Map>>,
}

impl<'a> Places<'a> {
    /// The places of a literal in the text of its file.
    pub(super) fn new(file: &'a str, literal: Span) -> Self {
        Self { file, literal, map: OnceCell::new() }
    }

    /// Place of a range of bytes of the string; the whole literal where it cannot be told.
    pub(super) fn of(&self, from: usize, to: usize) -> Span {
        let literal = self.literal;
        let text = self.file.get(range(literal)).unwrap_or_default();
        let place = |from: usize, to: usize| Span {
            start: literal.start + from as u32,
            end: (literal.start + to as u32).min(literal.end),
            ..literal
        };
        if !text.starts_with(['"', '#']) {
            return place(from, to);
        }
        let map = self.map.get_or_init(|| strings::decode_mapped(text, kind(text)).map(|(_, m)| m));
        match map {
            Some(map) => place(map.literal(from), map.literal(to.max(from + 1) - 1) + 1),
            None => literal,
        }
    }
}

/// The kind of a string literal.
fn kind(literal: &str) -> Kind {
    let hashes = literal.bytes().take_while(|b| *b == b'#').count();
    let rest = literal.get(hashes..).unwrap_or_default();
    let lines = rest.starts_with("\"\"\"")
        && (hashes == 0 || rest.get(3..).is_some_and(|rest| rest.starts_with(is_newline)));
    match (hashes > 0, lines) {
        (false, false) => Kind::Quoted,
        (false, true) => Kind::Multiline,
        (true, false) => Kind::Raw,
        (true, true) => Kind::RawMultiline,
    }
}
