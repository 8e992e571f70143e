//! What is wrong with a description that is to be drafted from.

use std::fmt;
use std::ops::Range;

/// A reason why nothing can be drafted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftError {
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Path of the file, as given.
    pub file: String,
    /// Bytes of the file that it is about; none where it is about the whole file.
    pub span: Option<Range<usize>>,
    /// Line, from 1; 0 without a span.
    pub line: usize,
    /// Column in characters, from 1; 0 without a span.
    pub column: usize,
    /// What to do about it.
    pub help: Option<String>,
}

impl DraftError {
    /// An error about a whole file.
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        let (file, message) = (file.to_owned(), message.into());
        Self { message, file, span: None, line: 0, column: 0, help: None }
    }

    /// An error about a range of bytes of a text.
    pub(crate) fn at(
        file: &str,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let (line, column) = place(text, start);
        let span = start..span.end.clamp(start, text.len());
        Self { span: Some(span), line, column, ..Self::whole(file, message) }
    }

    /// Adds the help line.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for DraftError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file)?;
        if self.span.is_some() {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        write!(out, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(out, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DraftError {}

/// Line and column, from 1, of a byte of a text.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

/// Refuses a text that is larger than any description.
pub(crate) fn too_large(path: &str, text: &str) -> Result<(), Vec<DraftError>> {
    if text.len() <= crate::MAX_INPUT {
        return Ok(());
    }
    let message = format!("the file is larger than {} MiB", crate::MAX_INPUT >> 20);
    Err(vec![DraftError::whole(path, message).help("give the description, not what it builds")])
}
