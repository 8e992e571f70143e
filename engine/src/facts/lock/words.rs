//! Words of a line: any text without blanks.

use std::borrow::Cow;
use std::fmt::Write;

/// How lines start that git leaves in a file with a conflict.
const MARKS: [&str; 4] = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];

/// The mark of a conflict that a line starts with.
pub(super) fn conflict_mark(line: &str) -> Option<&'static str> {
    MARKS.into_iter().find(|mark| line.starts_with(mark))
}

/// Adds a word. Blanks, control characters and what a terminal does not show as it is are written
/// with `%` and hex digits, as is what would make a comment or a conflict of the line. Nothing at
/// all is a lone `%`.
pub(super) fn push(out: &mut String, word: &str) {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    let special = word.starts_with('#') || conflict_mark(word).is_some();
    if !special && !word.is_empty() && word.bytes().all(plain) {
        return out.push_str(word);
    }
    if word.is_empty() {
        return out.push('%');
    }
    for (at, character) in word.char_indices() {
        if at == 0 && special || is_unshown(character) {
            push_escaped(out, character);
        } else {
            out.push(character);
        }
    }
}

/// Adds a character as the hex digits of its bytes.
fn push_escaped(out: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a string cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Whether a character is not seen as itself in a review: blanks, controls, and what turns the
/// direction of the text or has no width.
fn is_unshown(character: char) -> bool {
    character == '%'
        || character.is_control()
        || character.is_whitespace()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Reads a word; none when what follows a `%` is wrong.
pub(super) fn decode(word: &str) -> Option<Cow<'_, str>> {
    if !word.contains('%') {
        return Some(Cow::Borrowed(word));
    }
    if word == "%" {
        return Some(Cow::Borrowed(""));
    }
    let mut out = Vec::with_capacity(word.len());
    let mut parts = word.split('%');
    out.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        out.extend_from_slice(&byte);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// A time as text. What has no date is the number of its seconds.
pub(super) fn time_text(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// Reads a time.
pub(super) fn time(text: &str) -> Option<i64> {
    let number = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    text.parse().ok().or_else(number)
}
