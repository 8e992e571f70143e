//! Source files and positions in them. Holds text; reads none.

use std::sync::Arc;

/// Index of a file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A byte range of one source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// File that the range is in.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// First byte after the range.
    pub end: u32,
}

/// A value with the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value itself.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts a value and its place together.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// One source file.
#[derive(Debug)]
pub struct SourceFile {
    path: Arc<str>,
    text: Arc<str>,
    /// The text for a terminal, where it differs.
    printable: Option<Arc<str>>,
    line_starts: Vec<u32>,
}

impl SourceFile {
    /// Path as given to the loader, with `/` between its parts.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The text with marks of the same length in place of characters that would confuse a terminal.
    pub fn printable(&self) -> &Arc<str> {
        self.printable.as_ref().unwrap_or(&self.text)
    }

    /// Folder of the file, "" when the path has none.
    pub fn folder(&self) -> &str {
        self.path.rfind('/').map_or("", |at| &self.path[..at.max(1)])
    }

    /// Zero-based line and byte column of a byte offset; offsets past the end give the end.
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let offset = offset.min(self.text.len() as u32);
        let line = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        (line, (offset - self.line_starts.get(line).copied().unwrap_or(0)) as usize)
    }

    /// Byte offset at which a zero-based line starts.
    pub fn line_start(&self, line: usize) -> Option<u32> {
        self.line_starts.get(line).copied()
    }
}

/// All files of one load.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<Arc<SourceFile>>,
}

impl SourceMap {
    /// Adds a file and returns its id.
    pub fn add(&mut self, path: &str, text: Arc<str>) -> FileId {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1),
        );
        let printable = printable(&text);
        self.files.push(Arc::new(SourceFile { path: path.into(), text, printable, line_starts }));
        FileId(self.files.len() as u32 - 1)
    }

    /// The file of an id.
    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize).map(Arc::as_ref)
    }

    /// The same, to be kept longer than the map.
    pub fn share(&self, id: FileId) -> Option<Arc<SourceFile>> {
        self.files.get(id.0 as usize).cloned()
    }

    /// All files with their ids, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(at, file)| (FileId(at as u32), file.as_ref()))
    }

    /// `path:line:column`, one-based, for logs and plain messages.
    pub fn place(&self, span: Span) -> String {
        self.get(span.file).map_or_else(String::new, |file| {
            let (line, column) = file.line_column(span.start);
            format!("{}:{}:{}", file.path, line + 1, column + 1)
        })
    }
}

/// Whether a terminal may take a character for a command, or show text in another order for it.
pub(crate) fn confuses_terminals(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn printable(text: &Arc<str>) -> Option<Arc<str>> {
    let suspect = |b: u8| matches!(b, 0..=0x1f | 0x7f | 0xc2 | 0xe2) && !b.is_ascii_whitespace();
    if !text.bytes().any(suspect) || !text.contains(confuses_terminals) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.len_utf8() {
            _ if !confuses_terminals(c) => out.push(c),
            1 => out.push('?'),
            2 => out.push('\u{b7}'),
            _ => out.push('\u{fffd}'),
        }
    }
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_spared_and_places_stay() {
        let mut sources = SourceMap::default();
        let id = sources.add("x", "a\u{1b}[31m\u{9b}\u{202e}é\r\n\tb".into());
        let file = sources.get(id).unwrap();
        assert_eq!(&**file.printable(), "a?[31m\u{b7}\u{fffd}é\r\n\tb");
        assert_eq!(file.printable().len(), file.text().len());
        let id = sources.add("y", "plain – text".into());
        assert!(sources.get(id).unwrap().printable.is_none());
    }

    #[test]
    fn lines_and_columns() {
        let mut sources = SourceMap::default();
        let id = sources.add("d/x", "ab\ncd\n".into());
        let file = sources.get(id).unwrap();
        assert_eq!(file.line_column(0), (0, 0));
        assert_eq!(file.line_column(2), (0, 2));
        assert_eq!(file.line_column(3), (1, 0));
        assert_eq!(file.line_column(99), (2, 0));
        assert_eq!(sources.place(Span { file: id, start: 4, end: 5 }), "d/x:2:2");
        assert_eq!(file.folder(), "d");
    }
}
