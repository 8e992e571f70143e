//! Physical lines to logical ones: comments go, continuations are joined, and every character
//! still knows where it came from.

use std::ops::Range;

use crate::ast::Word;
use crate::problem::Span;

/// A logical line.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The joined text.
    pub(crate) text: String,
    /// Where each joined piece begins: in the text, and in the source.
    pieces: Vec<(usize, usize)>,
    /// Blank lines between continued ones.
    pub(crate) blanks: Vec<Span>,
    /// The comments right above, which describe what follows or set checks for it.
    pub(crate) comments: Vec<Word>,
}

impl Line {
    /// Makes a line of text that has one place.
    pub(crate) fn of(text: &str, source: usize) -> Self {
        let mut line = Self::default();
        line.push(text, source);
        line
    }

    fn push(&mut self, piece: &str, source: usize) {
        if !piece.is_empty() {
            self.pieces.push((self.text.len(), source));
            self.text.push_str(piece);
        }
    }

    fn source(&self, at: usize) -> usize {
        let next = self.pieces.partition_point(|(start, _)| *start <= at);
        let piece = next.checked_sub(1).and_then(|i| self.pieces.get(i));
        piece.map_or(0, |(start, source)| source + (at - start))
    }

    /// Gives the place in the source of a range of the text.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.source(range.start);
        if range.is_empty() {
            return Span::new(start, start);
        }
        // The end is one behind the last byte, not the start of the next piece.
        Span::new(start, self.source(range.end - 1) + 1)
    }

    /// Gives a part of the text; empty if there is no such part.
    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or("")
    }

    /// Gives a part of the text with its place.
    pub(crate) fn word(&self, range: Range<usize>) -> Word {
        Word { raw: self.slice(range.clone()).to_owned(), span: self.span(range) }
    }

    /// Gives the range without white space at its ends.
    pub(crate) fn trim(&self, range: Range<usize>) -> Range<usize> {
        let text = self.slice(range.clone());
        let start = range.start + (text.len() - text.trim_start().len());
        start..start.max(range.start + text.trim_end().len())
    }
}

/// Walks over the physical lines of a text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    /// Where the next line begins.
    pub(crate) at: usize,
    /// The character that continues a line.
    pub(crate) escape: char,
    /// Where the parser directives end, which are no comments.
    pub(crate) directives_end: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, escape: '\\', directives_end: 0 }
    }

    /// Gives the next physical line with its line end, and where it begins.
    pub(crate) fn physical(&mut self) -> Option<(&'a str, usize)> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.find('\n').map_or(rest.len(), |n| n + 1);
        let start = self.at;
        self.at += end;
        Some((rest.get(..end).unwrap_or(rest), start))
    }

    /// Gives the physical lines that are still to be read.
    pub(crate) fn below(&self) -> impl Iterator<Item = &'a str> {
        self.text.get(self.at..).unwrap_or("").lines()
    }

    /// Gives the next logical line that is not empty.
    pub(crate) fn logical(&mut self) -> Option<Line> {
        let mut comments = Vec::new();
        loop {
            let (raw, start) = self.physical()?;
            let kept = without_end(raw).trim_start();
            let start = start + (without_end(raw).len() - kept.len());
            if let Some(comment) = kept.strip_prefix('#') {
                if start >= self.directives_end {
                    keep_comment(&mut comments, comment, start + 1);
                }
                continue;
            }
            if kept.is_empty() {
                comments.clear();
                continue;
            }
            let (piece, ended) = self.piece(kept);
            let mut line = Line { comments, ..Line::of(piece, start) };
            if !ended {
                self.continuations(&mut line);
            }
            return Some(line);
        }
    }

    fn continuations(&mut self, line: &mut Line) {
        while let Some((raw, start)) = self.physical() {
            let kept = without_end(raw);
            let inner = kept.trim_start();
            if inner.starts_with('#') {
                continue;
            }
            if inner.is_empty() {
                line.blanks.push(Span::new(start, start + kept.len()));
                continue;
            }
            let (piece, ended) = self.piece(kept);
            line.push(piece, start);
            if ended {
                return;
            }
        }
    }

    /// Takes the continuation character off a line; says whether the instruction ends here. Two of
    /// them in a row do not continue, which is BuildKit's rule too.
    fn piece<'l>(&self, line: &'l str) -> (&'l str, bool) {
        let trimmed = line.trim_end_matches([' ', '\t']);
        match trimmed.strip_suffix(self.escape) {
            Some(rest) if !rest.ends_with(self.escape) => (rest, false),
            _ => (line, true),
        }
    }
}

/// Keeps a comment; one without words parts those above it from what follows, as an empty line does.
fn keep_comment(comments: &mut Vec<Word>, comment: &str, start: usize) {
    let raw = comment.trim();
    if raw.is_empty() {
        return comments.clear();
    }
    let start = start + (comment.len() - comment.trim_start().len());
    comments.push(Word { raw: raw.to_owned(), span: Span::new(start, start + raw.len()) });
}

/// Gives a line without its line end.
pub(crate) fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Whether a character separates words where BuildKit splits at white space only.
pub(crate) fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}
