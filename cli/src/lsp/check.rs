//! Mistakes as one types: a thread that loads the descriptions once the keys are still, and tells
//! the editor what is wrong with each file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use gen_lsp_types as lsp;
use lsp_server::Notification;
use mabuild_lang::diag::{Diagnostic, Severity};
use mabuild_lang::source::{SourceFile, SourceMap, Span};
use mabuild_lang::{Vars, ide};
use serde_json::json;

use super::docs::{Docs, normal};
use super::projects::name;
use super::text::{Encoding, Lines};
use super::wire::Output;

/// Who tells of mistakes, for the editor.
pub const SOURCE: &str = "mabuild";
/// How long the keys must be still.
const QUIET: Duration = Duration::from_millis(80);
/// How long one who never stops typing waits for news.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most mistakes that are shown of one file.
const MAX_SHOWN: usize = 500;
/// Where else a mistake shows, at most.
const MAX_RELATED: usize = 20;

/// What to check.
pub struct Job {
    /// Main files.
    pub mains: Vec<PathBuf>,
    /// The texts of the moment.
    pub docs: Docs,
}

/// Mistakes by file.
type Found = BTreeMap<PathBuf, Vec<lsp::Diagnostic>>;

/// The checking thread.
pub struct Checker {
    vars: Arc<Vars>,
    encoding: Encoding,
    output: Output,
    /// What the editor was told and shows.
    told: Found,
}

impl Checker {
    /// Tells of mistakes by an output.
    pub fn new(vars: Arc<Vars>, encoding: Encoding, output: Output) -> Self {
        Self { vars, encoding, output, told: Found::new() }
    }

    /// Checks the newest job, again and again, until no more can come.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        let Ok(mut job) = jobs.recv() else { return };
        loop {
            let late = Instant::now() + PATIENCE;
            while Instant::now() < late {
                match jobs.recv_timeout(QUIET) {
                    Ok(newer) => job = newer,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let found = self.check(&job);
            // What was found in a text that is gone is told only to one who has waited long.
            let newer = jobs.try_recv().ok();
            if newer.is_none() || Instant::now() >= late {
                self.tell(found, &job.docs);
            }
            job = match newer.map_or_else(|| jobs.recv(), Ok) {
                Ok(next) => next,
                Err(_) => return,
            };
        }
    }

    fn check(&self, job: &Job) -> Found {
        let mut found = Found::new();
        for main in &job.mains {
            let root = main.parent().map(Path::to_owned).unwrap_or_default();
            let loaded = mabuild_lang::load(&name(main), &job.docs.below(&root), &self.vars);
            let sources = Sources::new(&loaded.sources, root, self.encoding, &job.docs);
            for diagnostic in &loaded.diagnostics {
                let place = diagnostic.labels.first().map(|(span, _)| *span);
                let path = place.and_then(|span| sources.path(span));
                let list = found.entry(path.unwrap_or_else(|| main.clone())).or_default();
                if list.len() < MAX_SHOWN {
                    let shown = sources.shown(diagnostic);
                    if !list.contains(&shown) {
                        list.push(shown);
                    }
                }
            }
        }
        found
    }

    /// Tells of all open files, and of others where something is new.
    fn tell(&mut self, mut found: Found, docs: &Docs) {
        for path in docs.iter().map(|(path, _)| path).chain(self.told.keys()) {
            found.entry(path.clone()).or_default();
        }
        for (path, diagnostics) in &found {
            let doc = docs.get(path);
            let known = self.told.get(path).map(Vec::as_slice).unwrap_or_default();
            if doc.is_none() && known == diagnostics.as_slice() {
                continue;
            }
            let params = lsp::PublishDiagnosticsParams {
                uri: docs.uri(path),
                version: doc.map(|doc| doc.version),
                diagnostics: diagnostics.clone(),
            };
            if let Ok(params) = serde_json::to_value(params) {
                let method = "textDocument/publishDiagnostics".to_owned();
                self.output.send(Notification { method, params });
            }
        }
        found.retain(|_, diagnostics| !diagnostics.is_empty());
        self.told = found;
    }
}

/// The files of a load, as an editor counts.
struct Sources<'s> {
    sources: &'s SourceMap,
    root: PathBuf,
    docs: &'s Docs,
    lines: HashMap<u32, Lines<'s>>,
}

impl<'s> Sources<'s> {
    fn new(sources: &'s SourceMap, root: PathBuf, encoding: Encoding, docs: &'s Docs) -> Self {
        let lines = |file: &'s SourceFile| Lines::new(file.text(), encoding);
        let lines = sources.iter().map(|(id, file)| (id.0, lines(file))).collect();
        Self { sources, root, docs, lines }
    }

    fn path(&self, span: Span) -> Option<PathBuf> {
        let file = self.sources.get(span.file)?;
        Some(normal(&self.root.join(&**file.path())))
    }

    fn range(&self, span: Span) -> lsp::Range {
        let lines = self.lines.get(&span.file.0);
        lines.map(|lines| lines.range(&(span.start..span.end))).unwrap_or_default()
    }

    fn shown(&self, diagnostic: &Diagnostic) -> lsp::Diagnostic {
        let mut message = diagnostic.message.clone();
        if let Some(help) = &diagnostic.help {
            message.push_str("\nhelp: ");
            message.push_str(help);
        }
        let first = diagnostic.labels.first().map(|(span, _)| *span);
        let others = diagnostic.labels.iter().skip(1).take(MAX_RELATED);
        let related: Vec<lsp::DiagnosticRelatedInformation> = others
            .filter_map(|(span, label)| {
                let location = lsp::Location {
                    uri: self.docs.uri(&self.path(*span)?),
                    range: self.range(*span),
                };
                Some(lsp::DiagnosticRelatedInformation { location, message: label.clone() })
            })
            .collect();
        let fix = first.and_then(|span| self.replacement(diagnostic, span));
        lsp::Diagnostic {
            range: first.map(|span| self.range(span)).unwrap_or_default(),
            severity: Some(match diagnostic.severity {
                Severity::Error => lsp::DiagnosticSeverity::Error,
                Severity::Warning => lsp::DiagnosticSeverity::Warning,
            }),
            code: Some(lsp::Code::String(diagnostic.code.to_owned())),
            code_description: None,
            source: Some(SOURCE.to_owned()),
            message: lsp::Message::String(message),
            tags: None,
            related_information: (!related.is_empty()).then_some(related),
            data: fix.map(|text| json!({ "replacement": text })),
        }
    }

    /// What is to be written in place of a span, in quotes where those are part of it.
    fn replacement(&self, diagnostic: &Diagnostic, span: Span) -> Option<String> {
        let word = ide::replacement(diagnostic)?;
        let text = self.sources.get(span.file)?.text();
        let written = text.get(span.start as usize..span.end as usize)?;
        // Of a whole `NAME[AXIS=VALUE]`, `--flag=value` or `${NAME}` a part alone is wrong.
        if written.contains(['[', '{', '=', '$', ' ']) {
            return None;
        }
        Some(match written.starts_with(['"', '#']) {
            true => format!("\"{word}\""),
            false => word.to_owned(),
        })
    }
}
