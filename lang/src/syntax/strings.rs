//! Literals to strings, with the place in the literal of every character of the string.

use std::borrow::Cow;

use super::lex::{Kind, is_newline, is_space};

/// Where the characters of a string stand in its literal: pairs of (byte in the string, byte in
/// the literal), rising, one for every point where the distance of the two changes.
#[derive(Debug, Default)]
pub(crate) struct Map(Vec<(u32, u32)>);

impl Map {
    fn note(&mut self, inside: usize, literal: usize) {
        let distance = |(i, l): (u32, u32)| i64::from(l) - i64::from(i);
        let here = (inside as u32, literal as u32);
        if self.0.last().is_none_or(|last| distance(*last) != distance(here)) {
            self.0.push(here);
        }
    }

    /// Byte of the literal that a byte of the string stands at.
    pub fn literal(&self, inside: usize) -> usize {
        let inside = inside as u32;
        let at = self.0.partition_point(|(i, _)| *i <= inside).saturating_sub(1);
        self.0.get(at).map_or(0, |(i, l)| (l + inside.saturating_sub(*i)) as usize)
    }
}

/// The string of a literal; none when it is malformed or of a form that is rare enough to be
/// left to the full parser.
pub(crate) fn decode(literal: &str, kind: Kind) -> Option<Cow<'_, str>> {
    let (body, _) = body(literal, kind)?;
    if matches!(kind, Kind::Raw) || (kind == Kind::Quoted && !body.contains('\\')) {
        // A single-line raw string that is one quote looks like the start of a longer one.
        return (kind != Kind::Raw || body != "\"").then_some(Cow::Borrowed(body));
    }
    decode_mapped(literal, kind).map(|(text, _)| Cow::Owned(text))
}

/// The same with the map of places.
pub(crate) fn decode_mapped(literal: &str, kind: Kind) -> Option<(String, Map)> {
    let (body, start) = body(literal, kind)?;
    let mut out = String::with_capacity(body.len());
    let mut map = Map::default();
    match kind {
        Kind::Quoted => unescape(body, start, &mut out, &mut map)?,
        Kind::Raw => {
            map.note(0, start);
            out.push_str(body);
        }
        Kind::Multiline | Kind::RawMultiline => {
            lines(body, start, kind == Kind::Multiline, &mut out, &mut map)?;
        }
        _ => return None,
    }
    Some((out, map))
}

/// What stands between the quotes, and where it starts.
fn body(literal: &str, kind: Kind) -> Option<(&str, usize)> {
    let hashes = literal.bytes().take_while(|b| *b == b'#').count();
    let quotes = if matches!(kind, Kind::Multiline | Kind::RawMultiline) { 3 } else { 1 };
    let edge = hashes + quotes;
    Some((literal.get(edge..literal.len().checked_sub(edge)?)?, edge))
}

/// Takes the indentation of the last line off all lines and joins them with `\n`.
fn lines(body: &str, start: usize, escapes: bool, out: &mut String, map: &mut Map) -> Option<()> {
    let odd = |c: char| is_newline(c) && c != '\n';
    if body.replace("\r\n", "\n").contains(odd) || (escapes && escapes_space(body)) {
        return None;
    }
    let mut at = body.find('\n')? + 1;
    if !matches!(body.get(..at)?, "\n" | "\r\n") {
        return None;
    }
    let last = body.rfind('\n')? + 1;
    let indent = body.get(last..)?;
    if !indent.chars().all(is_space) {
        return None;
    }
    let mut first = true;
    while at < last {
        let line = body.get(at..last)?;
        let line = line.get(..line.find('\n')?)?;
        let next = at + line.len() + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !first {
            out.push('\n');
        }
        first = false;
        if !line.chars().all(is_space) {
            let text = line.strip_prefix(indent)?;
            let from = start + at + indent.len();
            map.note(out.len(), from);
            if escapes {
                unescape(text, from, out, map)?;
            } else {
                out.push_str(text);
            }
        }
        at = next;
    }
    Some(())
}

/// Whether a backslash takes space or line ends away.
fn escapes_space(body: &str) -> bool {
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.next().is_none_or(|c| is_space(c) || is_newline(c)) {
            return true;
        }
    }
    false
}

fn unescape(body: &str, start: usize, out: &mut String, map: &mut Map) -> Option<()> {
    let mut at = 0;
    while at < body.len() {
        let rest = body.get(at..)?;
        let plain = rest.find('\\').unwrap_or(rest.len());
        map.note(out.len(), start + at);
        out.push_str(rest.get(..plain)?);
        at += plain;
        if plain < rest.len() {
            map.note(out.len(), start + at);
            at += escape(rest.get(plain + 1..)?, out)? + 1;
        }
    }
    map.note(out.len(), start + at);
    Some(())
}

/// Decodes what follows a backslash; its length.
fn escape(rest: &str, out: &mut String) -> Option<usize> {
    let c = rest.chars().next()?;
    out.push(match c {
        '\\' | '"' => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        's' => ' ',
        'u' => {
            let digits = rest.get(1..)?.strip_prefix('{')?;
            let digits = digits.get(..digits.find('}')?)?;
            if digits.is_empty()
                || digits.len() > 6
                || !digits.bytes().all(|b| b.is_ascii_hexdigit())
            {
                return None;
            }
            out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
            return Some(digits.len() + 3);
        }
        c if is_space(c) || is_newline(c) => {
            return Some(rest.find(|c| !is_space(c) && !is_newline(c)).unwrap_or(rest.len()));
        }
        _ => return None,
    });
    Some(c.len_utf8())
}
