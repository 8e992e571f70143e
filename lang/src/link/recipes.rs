//! Dockerfiles of images, each read once.

use std::collections::HashMap;
use std::sync::Arc;

use mabuild_dockerfile::{self as dockerfile, Problem, Severity};

use crate::config::Recipe;
use crate::diag::{self, Diagnostic};
use crate::load::{Files, MAX_FILE, join};
use crate::platform::Platform;
use crate::source::{FileId, SourceMap, Span};

use super::declared::{self, SecretMount};
use super::variants::Family;

/// Reads Dockerfiles, each once.
pub(crate) struct Recipes<'f> {
    files: &'f dyn Files,
    sources: &'f mut SourceMap,
    known: HashMap<String, Option<Known>>,
}

/// A Dockerfile with what is looked for in it more than once.
#[derive(Clone)]
pub(crate) struct Known {
    pub recipe: Arc<Recipe>,
    pub secrets: Arc<[SecretMount]>,
}

impl<'f> Recipes<'f> {
    pub fn new(files: &'f dyn Files, sources: &'f mut SourceMap) -> Self {
        Self { files, sources, known: HashMap::new() }
    }

    /// The Dockerfile of a variant on a platform; none where it cannot be read, which is reported
    /// once.
    pub fn of(
        &mut self,
        family: &Family,
        values: &[Arc<str>],
        platform: &Platform,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Known> {
        let written = family.body.dockerfile.as_ref()?;
        let text = written.path.text.render(platform, values).ok()?;
        let path = join(&written.path.folder, &text);
        let read = match self.known.get(&path) {
            Some(known) => known.clone(),
            None => {
                let read = self.read(&path, written.path.text.span, out);
                self.known.insert(path.clone(), read.clone());
                read
            }
        };
        self.replaced(family, path, read?)
    }

    /// The Dockerfile without the names of stages that named contexts take over, as in BuildKit.
    fn replaced(&mut self, family: &Family, path: String, known: Known) -> Option<Known> {
        let is_taken = |stage: &dockerfile::Stage| {
            let mut contexts = family.body.named_contexts.iter();
            contexts.any(|context| stage.is_named(&context.name.value))
        };
        let taken = known.recipe.dockerfile.stages.iter().filter(|stage| is_taken(stage));
        let taken: Vec<String> = taken.map(|stage| stage.index.to_string()).collect();
        if taken.is_empty() {
            return Some(known);
        }
        // No path holds this character.
        let key = format!("{path}\0{}", taken.join(","));
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut recipe = Recipe::clone(&known.recipe);
        for stage in recipe.dockerfile.stages.iter_mut().filter(|stage| is_taken(stage)) {
            stage.name = None;
        }
        let known = Some(Known { recipe: Arc::new(recipe), ..known });
        self.known.insert(key, known.clone());
        known
    }

    fn read(&mut self, path: &str, by: Span, out: &mut Vec<Diagnostic>) -> Option<Known> {
        let refused = |why: String| {
            Diagnostic::error(
                "mabuild::lang::file",
                by,
                format!("cannot read `{path}`: {why}"),
                "the Dockerfile",
            )
            .help("the path starts at the folder of this file")
        };
        let bytes = match self.files.read(path) {
            Ok(bytes) if bytes.len() > MAX_FILE => {
                out.push(refused(format!("it is larger than {} MiB", MAX_FILE >> 20)));
                return None;
            }
            Ok(bytes) => bytes,
            Err(why) => {
                out.push(refused(why));
                return None;
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            out.push(refused("it is not UTF-8".to_owned()));
            return None;
        };
        let text: Arc<str> = text.into();
        let file = self.sources.add(path, text.clone());
        let mut parsed = dockerfile::parse(&text);
        parsed.problems.extend(dockerfile::check(&parsed.file, &dockerfile::Given::default()));
        let broken = parsed.problems.iter().any(|problem| problem.severity == Severity::Error);
        out.extend(parsed.problems.into_iter().map(|problem| told(problem, file)));
        if broken {
            return None;
        }
        let secrets = declared::secret_mounts(&parsed.file, file);
        let recipe = Recipe { file, path: path.into(), dockerfile: parsed.file };
        Some(Known { recipe: Arc::new(recipe), secrets })
    }
}

/// A problem of a Dockerfile as one of the description.
pub(super) fn told(problem: Problem, file: FileId) -> Diagnostic {
    let Problem { severity, code, span, message, label, help } = problem;
    let severity = match severity {
        Severity::Error => diag::Severity::Error,
        Severity::Warning => diag::Severity::Warning,
    };
    Diagnostic { code, severity, message, labels: vec![(place(span, file), label)], help }
}

/// A place of a Dockerfile as one of the sources.
pub(super) fn place(span: dockerfile::Span, file: FileId) -> Span {
    Span { file, start: span.start, end: span.end }
}
