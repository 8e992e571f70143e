//! What is wrong with a query, and where.

use std::ops::Range;

use mabuild_lang::diag::Diagnostic;
use mabuild_lang::source::{FileId, Span};

/// Most errors that are collected of one query; nobody reads more.
const MAX_ERRORS: usize = 50;

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Stable code, `mabuild::query::…`.
    pub code: &'static str,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Bytes of the query that it is about.
    pub span: Range<usize>,
    /// A word on that place.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl QueryError {
    /// An error at a place, without help.
    pub(super) fn at(
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self { code, message: message.into(), span, label: label.into(), help: None }
    }

    /// Adds the help line.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" when there is something near.
    #[must_use]
    pub(super) fn hint(mut self, nearest: Option<&str>) -> Self {
        if let Some(nearest) = nearest {
            self.help = Some(format!("did you mean `{nearest}`?"));
        }
        self
    }

    /// The error as a diagnostic of the file whose text is the query.
    pub fn diagnostic(self, file: FileId) -> Diagnostic {
        // A query has an upper length, far below what the places of a file can count.
        let span = Span { file, start: self.span.start as u32, end: self.span.end as u32 };
        let made = Diagnostic::error(self.code, span, self.message, self.label);
        match self.help {
            Some(help) => made.help(help),
            None => made,
        }
    }
}

/// The errors of one query, as many as are worth reading.
#[derive(Debug, Default)]
pub(super) struct Errors {
    list: Vec<QueryError>,
    closed: bool,
}

impl Errors {
    /// Adds an error, if errors are still taken.
    pub(super) fn push(&mut self, error: QueryError) {
        if !self.closed {
            self.list.push(error);
            self.closed = self.list.len() >= MAX_ERRORS;
        }
    }

    /// Adds an error after which no other makes sense.
    pub(super) fn last(&mut self, error: QueryError) {
        self.push(error);
        self.closed = true;
    }

    /// Whether no more errors are taken.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The value, if there was no error; else the errors by their place.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Vec<QueryError>> {
        if self.list.is_empty() {
            return Ok(value);
        }
        self.list.sort_by_key(|error| (error.span.start, error.span.end));
        Err(self.list)
    }
}
