//! From the path of the main file to a [`Config`]: includes, then all passes in their order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use crate::config::Config;
use crate::decode::template::{Home, Templates};
use crate::decode::{self, Lets, check::shown};
use crate::diag::{Diagnostic, Severity};
use crate::link::{self, FileParts, Recipes, start_of, twice};
use crate::platform::Platform;
use crate::schema;
use crate::source::{FileId, SourceFile, SourceMap, Span, Spanned};
use crate::syntax::{self, Document, Scan, Value};

/// Largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 << 20;
/// Most files of one description.
const MAX_FILES: usize = 10_000;
/// Top-level nodes that one task of the pool decodes.
const BATCH: usize = 32;

/// The files that a description is read from.
pub trait Files {
    /// Content of a file. The error is a reason for people, without the path.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
    /// Paths that match a pattern with `*`, `?`, `[…]` or `**`, in any order.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;
    /// What `git` says of the folder of the description, for `{{git.commit}}` and
    /// `{{git.describe}}`; asked for where a file has such a name alone. The error is a reason for
    /// people.
    fn git(&self, what: Git) -> Result<String, String> {
        let _ = what;
        Err("there is no git here".to_owned())
    }
}

/// What can be asked of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Git {
    /// The full name of the commit.
    Commit,
    /// The commit by its nearest tag, `-dirty` behind it where files differ from it.
    Describe,
}

/// Values from outside of the files.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    /// `--set NAME=VALUE`.
    pub set: BTreeMap<String, String>,
    /// Environment variables, for `let NAME env="…"` alone.
    pub env: BTreeMap<String, String>,
    /// Today, `2026-11-21`, for `{{date}}`.
    pub date: Option<String>,
    /// The machine's own platform, in normal form, for `BUILDPLATFORM` in Dockerfiles; `linux/amd64`
    /// when none is given.
    pub build_platform: Option<Platform>,
}

/// What a load gives: as much of the description as could be read, and all that is wrong with it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The description; incomplete when there are errors.
    pub config: Arc<Config>,
    /// Problems in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
    /// All files that were read.
    pub sources: SourceMap,
    /// How many of the files, the first ones, are descriptions; the others are Dockerfiles.
    described: usize,
}

impl Loaded {
    /// The files that are written in this language: the main file and what it includes.
    pub fn described(&self) -> impl Iterator<Item = &SourceFile> {
        self.sources.iter().take(self.described).map(|(_, file)| file)
    }

    /// Whether the description must not be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads a description from its main file. Never fails as a whole: problems are diagnostics.
pub fn load(main_path: &str, files: &dyn Files, vars: &Vars) -> Loaded {
    let mut loader = Loader {
        files,
        sources: SourceMap::default(),
        read: Vec::new(),
        seen: HashSet::new(),
        out: Vec::new(),
    };
    loader.read_all(main_path);
    // Linking reads Dockerfiles.
    let described = loader.sources.iter().count();
    let config = loader.link(vars);
    let mut diagnostics = loader.out;
    let place =
        |d: &Diagnostic| d.labels.first().map(|(span, _)| (span.file, span.start, span.end));
    diagnostics.sort_by_key(place);
    // What is wrong in a template is wrong in every image that uses it, and in every variant.
    let mut told = HashSet::new();
    // What is said as a warning of a Dockerfile is an error where the build needs that place: of the
    // two the error stays.
    let of = |d: &Diagnostic| (d.code, d.message.clone(), d.labels.first().map(|l| l.0));
    let errors: HashSet<_> =
        diagnostics.iter().filter(|d| d.severity == Severity::Error).map(of).collect();
    diagnostics.retain(|d| d.severity == Severity::Error || !errors.contains(&of(d)));
    diagnostics.retain(|d| told.insert((d.code, d.message.clone(), d.labels.first().map(|l| l.0))));
    Loaded { config: Arc::new(config), diagnostics, sources: loader.sources, described }
}

/// A file that was read and cut into nodes.
struct ReadFile {
    id: FileId,
    text: Arc<str>,
    folder: Arc<str>,
    scan: Scan,
    parent: Option<usize>,
}

impl ReadFile {
    fn home(&self) -> Home<'_> {
        Home { text: &self.text, folder: &self.folder }
    }
}

/// A file that is to be read.
struct Wanted {
    path: String,
    /// The `include` that names it.
    by: Option<Span>,
    parent: Option<usize>,
}

struct Loader<'f> {
    files: &'f dyn Files,
    sources: SourceMap,
    read: Vec<ReadFile>,
    seen: HashSet<String>,
    out: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// Reads the main file and, level by level, all it includes.
    fn read_all(&mut self, main_path: &str) {
        self.seen.insert(main_path.to_owned());
        let mut level = vec![Wanted { path: main_path.to_owned(), by: None, parent: None }];
        while !level.is_empty() {
            let from = self.read.len();
            let texts: Vec<(FileId, Arc<str>, Option<usize>)> = level
                .into_iter()
                .filter_map(|wanted| {
                    let (id, text) = self.text(&wanted)?;
                    Some((id, text, wanted.parent))
                })
                .collect();
            let scanned: Vec<(Scan, Vec<Diagnostic>)> = texts
                .par_iter()
                .map(|(id, text, _)| {
                    let mut out = Vec::new();
                    (syntax::scan(text, *id, schema::starts_node, &mut out), out)
                })
                .collect();
            for ((id, text, parent), (scan, out)) in texts.into_iter().zip(scanned) {
                self.out.extend(out);
                let folder = self.sources.get(id).map_or("", |file| file.folder()).into();
                self.read.push(ReadFile { id, text, folder, scan, parent });
            }
            level = (from..self.read.len()).flat_map(|at| self.includes(at)).collect();
        }
    }

    /// The text of a file, in the source map; none when there is none, which is reported.
    fn text(&mut self, wanted: &Wanted) -> Option<(FileId, Arc<str>)> {
        let path = &wanted.path;
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                let help = match wanted.by {
                    Some(_) => "the path starts at the folder of this file",
                    None => "give the path of the description with `-f FILE`",
                };
                let message = format!("cannot read `{path}`: {why}");
                self.report(wanted.by, "mabuild::lang::file", message, "included here", help);
                return None;
            }
        };
        if bytes.len() > MAX_FILE {
            let message = format!(
                "`{path}` is too large: {} MiB, and {} MiB are read at most",
                bytes.len().div_ceil(1 << 20),
                MAX_FILE >> 20
            );
            let help =
                "a description is a text of a few hundred lines; split a large one with `include`";
            self.report(wanted.by, "mabuild::lang::file", message, "included here", help);
            return None;
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                let text: Arc<str> = text.into();
                Some((self.sources.add(path, text.clone()), text))
            }
            Err(error) => {
                self.not_utf8(path, &error);
                None
            }
        }
    }

    fn not_utf8(&mut self, path: &str, error: &std::string::FromUtf8Error) {
        let offset = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let byte = bytes.get(offset).copied().unwrap_or(0);
        let line = bytes.iter().take(offset).filter(|b| **b == b'\n').count() + 1;
        // What stands before the place is the same in the text with replacements.
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        let id = self.sources.add(path, text);
        let (start, end) = (offset as u32, offset as u32 + 3);
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::utf8",
                Span { file: id, start, end },
                format!("`{path}` is not UTF-8: byte {offset}, on line {line}, is 0x{byte:02x}"),
                "this byte",
            )
            .help("save the file as UTF-8"),
        );
    }

    fn report(
        &mut self,
        by: Option<Span>,
        code: &'static str,
        message: String,
        label: &str,
        help: &str,
    ) {
        let mut diagnostic = Diagnostic::nowhere(code, message).help(help);
        if let Some(span) = by {
            diagnostic = diagnostic.and(span, label);
        }
        self.out.push(diagnostic);
    }

    /// The files that one file includes and that were not read yet.
    fn includes(&mut self, at: usize) -> Vec<Wanted> {
        let Some(file) = self.read.get(at) else { return Vec::new() };
        let nodes = file.scan.named(&file.text, file.id, "include");
        let folder = file.folder.clone();
        let patterns: Vec<(String, Span)> = nodes
            .iter()
            .flat_map(|node| node.args())
            .filter_map(|entry| match &entry.value {
                Value::String(pattern) => Some((pattern.clone().into_owned(), entry.value_span)),
                _ => None,
            })
            .collect();
        let mut wanted = Vec::new();
        for (pattern, span) in patterns {
            for path in self.matches(&folder, &pattern, span) {
                if self.seen.len() >= MAX_FILES {
                    let message = format!("more than {MAX_FILES} files are included");
                    self.report(
                        Some(span),
                        "mabuild::lang::include",
                        message,
                        "by this",
                        "include fewer files",
                    );
                    return wanted;
                }
                if self.seen.insert(path.clone()) {
                    wanted.push(Wanted { path, by: Some(span), parent: Some(at) });
                }
            }
        }
        wanted
    }

    fn matches(&mut self, folder: &str, pattern: &str, span: Span) -> Vec<String> {
        let code = "mabuild::lang::include";
        if pattern.contains("{{") {
            let message = "`include` takes no `{{…}}`: files are read before names are known";
            self.report(Some(span), code, message.to_owned(), "a name", "write the path as it is");
            return Vec::new();
        }
        if pattern.is_empty() {
            let message = "the path is empty".to_owned();
            self.report(Some(span), code, message, "nothing here", "write a path or a pattern");
            return Vec::new();
        }
        let path = join(folder, pattern);
        if !pattern.contains(['*', '?', '[']) {
            return vec![path];
        }
        match self.files.glob(&path) {
            Ok(found) if found.is_empty() => {
                self.out.push(
                    Diagnostic::warning(
                        code,
                        span,
                        format!("no file matches `{}`", shown(pattern)),
                        "includes nothing",
                    )
                    .help("the pattern starts at the folder of this file"),
                );
                Vec::new()
            }
            Ok(found) => {
                let paths: BTreeSet<String> = found.iter().map(|path| join("", path)).collect();
                paths.into_iter().collect()
            }
            Err(why) => {
                let message = format!("`{}` cannot be searched: {why}", shown(pattern));
                self.report(
                    Some(span),
                    code,
                    message,
                    "this pattern",
                    "check the pattern and the folder",
                );
                Vec::new()
            }
        }
    }

    /// All passes over the files that were read.
    fn link(&mut self, vars: &Vars) -> Config {
        let read: Vec<(Document<'_>, Vec<Diagnostic>)> = self
            .read
            .par_iter()
            .map(|file| {
                let mut out = Vec::new();
                (file.scan.read(&file.text, file.id, &mut out), out)
            })
            .collect();
        let mut documents = Vec::with_capacity(read.len());
        for (document, out) in read {
            documents.push(document);
            self.out.extend(out);
        }
        for (file, document) in self.read.iter().zip(&documents) {
            if let Err(newer) = version(document, file.id, file.parent.is_none(), &mut self.out) {
                // All else that could be said of a file of a later version may be wrong.
                self.out = vec![newer];
                return Config::default();
            }
        }
        let mut lets = Lets::default();
        let texts: Vec<&str> = self.read.iter().map(|file| &*file.text).collect();
        decode::lets::outside_names(&texts, self.files, vars, &mut lets);
        for (file, document) in self.read.iter().zip(&documents) {
            for node in document.nodes.iter().filter(|node| node.name.text == "let") {
                decode::lets::declare(node, &file.text, vars, &mut lets, &mut self.out);
            }
        }
        if !self.read.is_empty() {
            decode::lets::undeclared(vars, &lets, &mut self.out);
        }
        let nodes: Vec<_> = self
            .read
            .iter()
            .zip(&documents)
            .flat_map(|(file, document)| document.nodes.iter().map(move |node| (file, node)))
            .collect();
        let homed = nodes.iter().map(|(file, node)| (file.home(), *node));
        let templates = Templates::collect(homed, &mut self.out);
        for unused in templates.unused(nodes.iter().map(|(_, node)| *node)) {
            self.out.push(unused_template(&unused));
        }
        let parts: Vec<_> = nodes
            .par_iter()
            .with_min_len(BATCH)
            .map(|(file, node)| decode::part(node, file.home(), &lets, &templates))
            .collect();
        let mut parts = parts.into_iter();
        let mut files = Vec::with_capacity(documents.len());
        for (file, document) in self.read.iter().zip(&documents) {
            let mut linked = FileParts { parent: file.parent, parts: Vec::new() };
            for (part, out) in parts.by_ref().take(document.nodes.len()) {
                linked.parts.push(part);
                self.out.extend(out);
            }
            let broken = document.broken.iter().filter_map(|broken| broken.name.as_deref());
            linked.parts.extend(broken.map(|name| decode::Part::Broken(name.into())));
            files.push(linked);
        }
        let mut recipes = Recipes::new(self.files, &mut self.sources);
        let build_platform = vars.build_platform.clone().unwrap_or_default();
        link::link(files, build_platform, &mut recipes, &mut self.out)
    }
}

fn unused_template(name: &Spanned<&str>) -> Diagnostic {
    Diagnostic::warning(
        "mabuild::lang::template",
        name.span,
        format!("no image uses the template `{}`", shown(name.value)),
        "not used",
    )
    .help(format!("write `use \"{}\"` in an image, or remove it", shown(name.value)))
}

/// Checks `mabuild 1`. Only the main file must have it. The error is for a later version.
fn version(
    document: &Document<'_>,
    file: FileId,
    main: bool,
    out: &mut Vec<Diagnostic>,
) -> Result<(), Diagnostic> {
    const CODE: &str = "mabuild::lang::version";
    let mut found = None;
    for (at, node) in document.nodes.iter().enumerate() {
        if node.name.text != "mabuild" {
            continue;
        }
        if let Some(first) = found {
            out.push(twice("mabuild", node.name.span, first));
            continue;
        }
        found = Some(node.name.span);
        if at > 0 {
            out.push(
                Diagnostic::error(
                    CODE,
                    node.name.span,
                    "`mabuild` comes first in a file",
                    "not first",
                )
                .help("move it above all other nodes"),
            );
        }
        let Some(entry) = node.args().next() else { continue };
        match entry.value {
            Value::Integer(1) => {}
            Value::Integer(number) if number > 1 => {
                return Err(Diagnostic::error(
                    CODE,
                    entry.value_span,
                    format!(
                        "this file is of format version {number}, and this mabuild reads version 1"
                    ),
                    "a later version",
                )
                .help("use a later mabuild"));
            }
            Value::Integer(_) => out.push(
                Diagnostic::error(
                    CODE,
                    entry.value_span,
                    "there is no such format version",
                    "not a version",
                )
                .help("write `mabuild 1`"),
            ),
            _ => {}
        }
    }
    let broken = document.broken.iter().any(|broken| broken.kind.as_deref() == Some("mabuild"));
    if main && found.is_none() && !broken {
        let place = document.nodes.first().map_or(start_of(file), |node| node.name.span);
        out.push(
            Diagnostic::error(
                CODE,
                place,
                "the file does not begin with its format version",
                "the first node",
            )
            .help("write `mabuild 1` above all other nodes"),
        );
    }
    Ok(())
}

/// Joins a path to a folder and takes `.` and `..` out where that needs no look at the disk.
pub(crate) fn join(folder: &str, path: &str) -> String {
    let absolute = path.starts_with('/') || (folder.starts_with('/') && !folder.is_empty());
    let folder = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn joins_paths() {
        assert_eq!(join("", "a.kdl"), "a.kdl");
        assert_eq!(join("x/y", "../a.kdl"), "x/a.kdl");
        assert_eq!(join("x", "../../a.kdl"), "../a.kdl");
        assert_eq!(join("/", "./a//b.kdl"), "/a/b.kdl");
        assert_eq!(join("/x", "../../a.kdl"), "/a.kdl");
        assert_eq!(join("x", "/etc/a.kdl"), "/etc/a.kdl");
    }
}
