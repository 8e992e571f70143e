//! Text in a drawing: how wide it is at most, and how it is written down.

use super::super::words;

/// Widths in thousandths of the height of the font. Monospaced fonts have 550 to 602 for Latin
/// letters; for the rest whatever font is found decides, and none is wider than this.
const LATIN: i32 = 610;
const OTHER: i32 = 1250;

/// Height of the font of names, in pixels.
const NAME_FONT: i32 = 13;
/// Twice the height of the font of small text.
const SMALL_FONT_TWICE: i32 = 21;

/// What stands between platforms.
pub const BETWEEN: &str = " · ";

fn thousandths(text: &str) -> i32 {
    let width = |c: char| match c {
        ' '..='~' | '·' | '…' | '→' => LATIN,
        _ => OTHER,
    };
    // Past any box, so that a text of any length fits the number.
    text.chars().take(10_000).map(width).sum()
}

/// Width of a text in the font of names, rounded up.
pub fn name_width(text: &str) -> i32 {
    (thousandths(text) * NAME_FONT + 999) / 1000
}

/// Width of a text in the small font, rounded up.
pub fn small_width(text: &str) -> i32 {
    (thousandths(text) * SMALL_FONT_TWICE + 1999) / 2000
}

/// A text that fits, with an ellipsis where it was cut.
pub fn cut_to(text: &str, room: i32, width: impl Fn(&str) -> i32) -> String {
    let text = words::one_line(text);
    if width(&text) <= room {
        return text;
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        out.push('…');
        let fits = width(&out) <= room;
        out.pop();
        if !fits {
            out.pop();
            break;
        }
    }
    out.push('…');
    out
}

/// Words joined into lines that fit; the last line says how many words did not.
pub fn wrap(words: &[String], room: i32, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let left = words.len() - at - 1;
        let last = lines.len() == most;
        // On the last line a note about the rest has to fit behind the word.
        let note = if last && left > 0 { format!("{BETWEEN}+{left}") } else { String::new() };
        match lines.last_mut() {
            Some(line) if small_width(&format!("{line}{BETWEEN}{word}{note}")) <= room => {
                line.push_str(BETWEEN);
                line.push_str(word);
            }
            Some(line) if last => {
                *line = cut_to(&format!("{line}{BETWEEN}+{}", left + 1), room, small_width);
                return lines;
            }
            _ => lines.push(cut_to(word, room, small_width)),
        }
    }
    lines
}

/// Text for XML and HTML, in content and in quoted attributes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in words::one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write these down.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
