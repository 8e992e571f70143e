//! Diagnostics for a terminal: a [`miette::Diagnostic`] over the files of a load. Renders nothing
//! itself.

use std::fmt;
use std::sync::Arc;

use miette::{LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::diag::{Diagnostic, Severity};
use crate::source::{FileId, SourceFile, SourceMap, Span, confuses_terminals};

/// A diagnostic with the text it is about. Places in other files than the first are related
/// diagnostics of their own.
#[derive(Debug)]
pub struct Report {
    code: &'static str,
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: Option<Text>,
    elsewhere: Vec<Report>,
}

/// Makes a report of a diagnostic of a load.
pub fn report(diagnostic: &Diagnostic, sources: &SourceMap) -> Report {
    let severity = match diagnostic.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let main = diagnostic.labels.first().map(|(span, _)| span.file);
    let mut made = Report::about(main, &diagnostic.labels, sources);
    made.code = diagnostic.code;
    made.severity = severity;
    made.message = printable(&diagnostic.message);
    made.help = diagnostic.help.as_deref().map(printable);
    let mut files: Vec<FileId> = Vec::new();
    for (span, label) in &diagnostic.labels {
        if Some(span.file) != main && !files.contains(&span.file) {
            files.push(span.file);
            let mut other = Report::about(Some(span.file), &diagnostic.labels, sources);
            other.message = printable(&format!("{}: {label}", sources.place(*span)));
            made.elsewhere.push(other);
        }
    }
    made
}

impl Report {
    /// The labels that stand in one file, without words.
    fn about(file: Option<FileId>, labels: &[(Span, String)], sources: &SourceMap) -> Self {
        let here: Vec<&(Span, String)> =
            labels.iter().filter(|(span, _)| Some(span.file) == file).collect();
        let source = file.and_then(|file| sources.share(file)).map(Text);
        let labels = here
            .iter()
            .enumerate()
            .map(|(at, (span, label))| {
                let start = span.start as usize;
                let length = (span.end.saturating_sub(span.start) as usize).min(MAX_LABEL);
                let label = Some(printable(label));
                match at {
                    0 => LabeledSpan::new_primary_with_span(label, (start, length)),
                    _ => LabeledSpan::new_with_span(label, (start, length)),
                }
            })
            .collect();
        Self {
            code: "",
            severity: miette::Severity::Advice,
            message: String::new(),
            help: None,
            labels,
            source,
            elsewhere: Vec::new(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.code.is_empty()).then(|| Box::new(self.code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<_>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let elsewhere = self.elsewhere.iter().map(|report| report as &dyn miette::Diagnostic);
        (!self.elsewhere.is_empty()).then(|| Box::new(elsewhere) as Box<_>)
    }
}

/// Longest underlined range, in bytes: nobody reads more.
const MAX_LABEL: usize = 4 << 10;
/// Most bytes shown before and after a label where lines are too long to show whole.
const MAX_AROUND: usize = 400;
/// Longest excerpt for several labels at once.
const MAX_EXCERPT: usize = 16 << 10;

/// A file as `miette` wants it: finds lines by the index of the file in place of a walk from its
/// start for each label, and cuts very long lines.
#[derive(Clone, Debug)]
struct Text(Arc<SourceFile>);

impl SourceCode for Text {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let file = &self.0;
        let text: &str = file.printable();
        let end = (span.offset() + span.len()).min(text.len());
        if span.offset() > text.len() || span.len() > MAX_EXCERPT {
            return Err(MietteError::OutOfBounds);
        }
        let (line, column) = file.line_column(span.offset() as u32);
        let last = file.line_column(end.max(span.offset() + 1) as u32 - 1).0;
        let mut first_line = line.saturating_sub(before);
        let line_end = |line| file.line_start(line + 1).map_or(text.len(), |at| at as usize);
        let mut from = file.line_start(first_line).unwrap_or(0) as usize;
        let mut to = line_end(last + after);
        let mut column = if before == 0 { column } else { 0 };
        if before == 0 {
            from = span.offset();
        }
        if span.offset() - from > MAX_AROUND {
            from = boundary(text, span.offset() - MAX_AROUND / 2);
            (first_line, column) = file.line_column(from as u32);
        }
        if to.saturating_sub(end) > MAX_AROUND {
            to = boundary(text, end + MAX_AROUND / 2);
        }
        let data = text.as_bytes().get(from..to.max(from)).ok_or(MietteError::OutOfBounds)?;
        let lines = data.iter().filter(|byte| **byte == b'\n').count();
        Ok(Box::new(MietteSpanContents::new_named(
            file.path().to_string(),
            data,
            (from, data.len()).into(),
            first_line,
            column,
            lines,
        )))
    }
}

/// A message without characters that would confuse a terminal; a file may hold any.
fn printable(text: &str) -> String {
    text.chars().map(|c| if confuses_terminals(c) || c == '\n' { '\u{fffd}' } else { c }).collect()
}

/// The next start of a character.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
