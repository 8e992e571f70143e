//! Diagnostics of files, drawn with the source, and as JSON.

use std::path::Path;

use mabuild_engine::ops::OpError;
use mabuild_engine::report::{JSON_VERSION, Style, Tone, words};
use mabuild_lang::Loaded;
use mabuild_lang::diag::{Diagnostic, Severity};
use mabuild_lang::source::{SourceMap, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};
use serde::Serialize;

use super::Terminal;
use crate::stop::Stop;

/// Diagnostics that are drawn with their source; thousands would bury the first.
const DRAWN: usize = 100;

/// All diagnostics of a load and a line that counts them; nothing when there are none.
pub fn render(terminal: &Terminal, loaded: &Loaded, main: &Path) -> String {
    let diagnostics = &loaded.diagnostics;
    if diagnostics.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(DRAWN) {
        out.push_str(&render_one(terminal, diagnostic, &loaded.sources));
        out.push('\n');
    }
    for diagnostic in diagnostics.iter().skip(DRAWN) {
        let place = diagnostic.labels.first().map(|(span, _)| loaded.sources.place(*span));
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        out.push_str(&words::one_line(&format!("{place}{}", diagnostic.message)));
        out.push('\n');
    }
    let counts = counts(diagnostics);
    let tone = if loaded.has_errors() { Tone::Bad } else { Tone::Maybe };
    out.push_str(&terminal.err_style().paint(tone, &counts));
    out.push_str(&format!(" in {}\n", short(main)));
    out
}

/// `2 errors, 1 warning`.
fn counts(diagnostics: &[Diagnostic]) -> String {
    let number = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let parts = [(number(Severity::Error), "error"), (number(Severity::Warning), "warning")];
    let shown: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| words::count(number, noun))
        .collect();
    shown.join(", ")
}

/// One diagnostic with its source lines.
pub fn render_one(terminal: &Terminal, diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let characters = match terminal.unicode() {
        true => ThemeCharacters::unicode(),
        false => ThemeCharacters::ascii(),
    };
    let styles = match terminal.err_style() {
        Style::Ansi => ThemeStyles::ansi(),
        Style::Plain => ThemeStyles::none(),
    };
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(terminal.size().0.clamp(40, 120))
        .with_links(false);
    let mut out = String::new();
    let report = mabuild_lang::report(diagnostic, sources);
    if handler.render_report(&mut out, &report).is_err() {
        // Drawing into a text fails only when the source cannot be shown; the words still can.
        out = format!("{}: {}\n", diagnostic.code, words::one_line(&diagnostic.message));
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// An error of the engine, with its place in the file where it has one.
pub fn render_error(terminal: &Terminal, error: &OpError, sources: Option<&SourceMap>) -> String {
    match (error.span, sources) {
        (Some(span), Some(sources)) => {
            let diagnostic = Diagnostic {
                help: error.help.clone(),
                ..Diagnostic::error(error.code, span, &error.message, "here")
            };
            render_one(terminal, &diagnostic, sources)
        }
        _ => terminal.error_text(error.code, &error.message, error.help.as_deref()),
    }
}

/// A path as it is nicest to read: relative to the working directory when it is below it.
pub fn short(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    words::one_line(&below.unwrap_or(path).to_string_lossy())
}

/// Diagnostics as JSON, version 1.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<DiagnosticDocument<'a>>,
    /// Bases out of registries that nothing declares; none while there are errors.
    implicit_bases: Vec<ImplicitDocument<'a>>,
}

/// A base that nothing declares.
#[derive(Serialize)]
struct ImplicitDocument<'a> {
    name: &'a str,
    /// `path:line:column` of the first place that names it.
    place: String,
}

#[derive(Serialize)]
struct DiagnosticDocument<'a> {
    code: &'a str,
    /// `error` or `warning`.
    severity: &'static str,
    message: &'a str,
    help: Option<&'a str>,
    /// The first is the main one.
    labels: Vec<LabelDocument<'a>>,
}

#[derive(Serialize)]
struct LabelDocument<'a> {
    path: &'a str,
    /// From 1.
    line: usize,
    /// In bytes, from 1.
    column: usize,
    /// First byte in the file.
    start: u32,
    /// First byte after it.
    end: u32,
    text: String,
}

/// Prints diagnostics, and the bases that nothing declares, as JSON:
/// `{"version":1,"errors":…,"warnings":…,"diagnostics":[…],"implicit_bases":[…]}`.
pub fn json<'a>(
    terminal: &Terminal,
    loaded: &'a Loaded,
    implicit: impl Iterator<Item = (&'a str, Span)>,
) -> Result<(), Stop> {
    let number = |severity| loaded.diagnostics.iter().filter(|d| d.severity == severity).count();
    let label = |span: &Span, text: &'_ str| {
        let file = loaded.sources.get(span.file)?;
        let (line, column) = file.line_column(span.start);
        let (start, end, text) = (span.start, span.end, text.to_owned());
        Some(LabelDocument {
            path: file.path(),
            line: line + 1,
            column: column + 1,
            start,
            end,
            text,
        })
    };
    let diagnostics = loaded.diagnostics.iter().map(|diagnostic| DiagnosticDocument {
        code: diagnostic.code,
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        labels: diagnostic.labels.iter().filter_map(|(span, text)| label(span, text)).collect(),
    });
    let document = Document {
        version: JSON_VERSION,
        errors: number(Severity::Error),
        warnings: number(Severity::Warning),
        diagnostics: diagnostics.collect(),
        implicit_bases: implicit
            .map(|(name, span)| ImplicitDocument { name, place: loaded.sources.place(span) })
            .collect(),
    };
    terminal.json(&document)
}
