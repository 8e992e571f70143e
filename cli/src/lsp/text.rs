//! Places as editors count them, lines and columns, and as the language does, bytes.

use std::ops::Range;

use gen_lsp_types as lsp;

/// What the columns of an editor count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of UTF-16; what every editor knows.
    Utf16,
}

/// The lines of a text.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    encoding: Encoding,
}

impl<'t> Lines<'t> {
    /// Finds the lines: they end at LF, CR LF or CR.
    pub fn new(text: &'t str, encoding: Encoding) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        starts.extend(bytes.iter().enumerate().filter_map(|(at, byte)| match byte {
            b'\n' => Some(at + 1),
            b'\r' if bytes.get(at + 1) != Some(&b'\n') => Some(at + 1),
            _ => None,
        }));
        Self { text, starts, encoding }
    }

    /// The byte of a position; one past the end of its line is the end of the line.
    pub fn offset(&self, position: lsp::Position) -> usize {
        let line = position.line as usize;
        let Some(start) = self.starts.get(line).copied() else { return self.text.len() };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end).unwrap_or_default();
        let line = line.trim_end_matches(['\n', '\r']);
        let mut left = position.character as usize;
        for (at, c) in line.char_indices() {
            let width = self.width(c);
            if left < width {
                return start + at;
            }
            left -= width;
        }
        start + line.len()
    }

    /// The position of a byte; one past the end is the end.
    pub fn position(&self, offset: usize) -> lsp::Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..).unwrap_or_default().char_indices();
        let before = before.take_while(|(at, _)| start + at < offset);
        let character: usize = before.map(|(_, c)| self.width(c)).sum();
        lsp::Position { line: line as u32, character: character as u32 }
    }

    /// The range of some bytes.
    pub fn range(&self, range: &Range<u32>) -> lsp::Range {
        let start = self.position(range.start as usize);
        let end = self.position(range.end.max(range.start) as usize);
        lsp::Range { start, end }
    }

    fn width(&self, c: char) -> usize {
        match self.encoding {
            Encoding::Utf8 => c.len_utf8(),
            Encoding::Utf16 => c.len_utf16(),
        }
    }
}

/// The one edit that makes a text of another: what both begin and end with stays.
pub fn difference(old: &str, new: &str) -> Option<(Range<u32>, String)> {
    if old == new {
        return None;
    }
    let same = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let mut start = same(old.as_bytes(), new.as_bytes());
    while !old.is_char_boundary(start) {
        start -= 1;
    }
    let back = old.bytes().rev().zip(new.bytes().rev());
    let longest = (old.len() - start).min(new.len() - start);
    let mut end = back.take(longest).take_while(|(a, b)| a == b).count();
    while !old.is_char_boundary(old.len() - end) {
        end -= 1;
    }
    let text = new.get(start..new.len() - end)?.to_owned();
    Some((start as u32..(old.len() - end) as u32, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> lsp::Position {
        lsp::Position { line, character }
    }

    #[test]
    fn positions_and_bytes_are_the_same_places() {
        let text = "a😀é\r\nb\rc\n\n";
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            let lines = Lines::new(text, encoding);
            for offset in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let position = lines.position(offset);
                // Between CR and LF is no place for an editor.
                let wanted = if offset == 8 { 7 } else { offset };
                assert_eq!(lines.offset(position), wanted, "{position:?}");
            }
        }
        let lines = Lines::new(text, Encoding::Utf16);
        assert_eq!(lines.position(5), at(0, 3));
        assert_eq!(lines.offset(at(0, 2)), 1, "the middle of a pair is its start");
        assert_eq!(lines.offset(at(0, 99)), 7);
        assert_eq!(lines.offset(at(99, 0)), text.len());
        assert_eq!(lines.position(99), at(4, 0));
        assert_eq!(lines.offset(at(2, 0)), 11);
        assert_eq!(Lines::new(text, Encoding::Utf8).position(5), at(0, 5));
    }

    #[test]
    fn differences_are_small_and_whole_characters() {
        let check = |old: &str, new: &str, span: Range<u32>| {
            let (range, text) = difference(old, new).unwrap();
            let (start, end) = (range.start as usize, range.end as usize);
            assert_eq!(format!("{}{text}{}", &old[..start], &old[end..]), new);
            assert_eq!(range, span);
        };
        check("abc", "axc", 1..2);
        check("aa", "aaa", 2..2);
        check("aaa", "aa", 2..3);
        check("xé", "xè", 1..3);
        check("é", "©", 0..2);
        check("", "x", 0..0);
        assert!(difference("x", "x").is_none());
    }
}
