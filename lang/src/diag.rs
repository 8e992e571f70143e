//! Diagnostics: what is wrong with a file, where, and what to write instead.

use crate::source::Span;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file means something, but perhaps not what was wanted.
    Warning,
    /// The file cannot be used.
    Error,
}

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, `mabuild::lang::…`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Places with a word on each; the first is the main one.
    pub labels: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with one label.
    pub fn error(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![(span, label.into())],
            help: None,
        }
    }

    /// A warning with one label.
    pub fn warning(
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message, label) }
    }

    /// An error that stands at no place of a file.
    pub fn nowhere(code: &'static str, message: impl Into<String>) -> Self {
        let (severity, labels, help) = (Severity::Error, Vec::new(), None);
        Self { code, severity, message: message.into(), labels, help }
    }

    /// Adds a second place.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Adds the help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Why a value is not what it should be: the label and the help line of what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// A few words on the value.
    pub label: String,
    /// What to write instead.
    pub help: String,
}

impl Wrong {
    /// Puts the label and the help line together.
    pub fn new(label: impl Into<String>, help: impl Into<String>) -> Self {
        Self { label: label.into(), help: help.into() }
    }

    /// The error that says it of a value at a place.
    pub fn at(self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, span, message, self.label).help(self.help)
    }
}
