//! Dockerfiles of images: what they need from outside becomes edges.

use std::collections::HashMap;
use std::sync::Arc;

use mabuild_dockerfile::{self as dockerfile, Dockerfile, Problem, ReferenceKind, Severity};

use crate::config::{ContextSource, Needed, NodeRef};
use crate::diag::{self, Diagnostic};
use crate::load::{Files, MAX_FILE, join};
use crate::platform::Platform;
use crate::source::{FileId, SourceMap, Span, Spanned};

use super::resolve::Resolver;
use super::variants::Family;

/// Reads Dockerfiles, each once.
pub(crate) struct Recipes<'f> {
    files: &'f dyn Files,
    sources: &'f mut SourceMap,
    known: HashMap<String, Option<Arc<Recipe>>>,
}

/// A Dockerfile that was read.
pub(crate) struct Recipe {
    file: FileId,
    dockerfile: Dockerfile,
}

impl<'f> Recipes<'f> {
    pub fn new(files: &'f dyn Files, sources: &'f mut SourceMap) -> Self {
        Self { files, sources, known: HashMap::new() }
    }

    /// The Dockerfile of a variant on a platform; none where it cannot be read, which is reported
    /// once.
    fn of(
        &mut self,
        family: &Family,
        values: &[Arc<str>],
        platform: &Platform,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Recipe>> {
        let written = family.body.dockerfile.as_ref()?;
        let text = written.path.text.render(platform, values).ok()?;
        let path = join(&written.path.folder, &text);
        if let Some(known) = self.known.get(&path) {
            return known.clone();
        }
        let read = self.read(&path, written.path.text.span, out);
        self.known.insert(path, read.clone());
        read
    }

    fn read(&mut self, path: &str, by: Span, out: &mut Vec<Diagnostic>) -> Option<Arc<Recipe>> {
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
        let parsed = dockerfile::parse(&text);
        let broken = parsed.problems.iter().any(|problem| problem.severity == Severity::Error);
        out.extend(parsed.problems.into_iter().map(|problem| told(problem, file)));
        (!broken).then(|| Arc::new(Recipe { file, dockerfile: parsed.file }))
    }
}

/// A problem of a Dockerfile as one of the description.
fn told(problem: Problem, file: FileId) -> Diagnostic {
    let Problem { severity, code, span, message, label, help } = problem;
    let severity = match severity {
        Severity::Error => diag::Severity::Error,
        Severity::Warning => diag::Severity::Warning,
    };
    let labels = vec![(Span { file, start: span.start, end: span.end }, label)];
    Diagnostic { code, severity, message, labels, help }
}

impl Resolver<'_> {
    /// What the Dockerfile of a variant needs from outside. `from` is what the image itself names:
    /// it picks the variant where the Dockerfile names the same image.
    pub fn needed(
        &mut self,
        recipes: &mut Recipes<'_>,
        family: &Family,
        values: &[Arc<str>],
        platforms: &[Spanned<Platform>],
        from: Option<&Spanned<NodeRef>>,
    ) -> Arc<[Needed]> {
        let mut needed: Vec<Needed> = Vec::new();
        // A name may hold an argument that differs by platform.
        for platform in platforms.iter().map(|platform| &platform.value) {
            let Some(recipe) = recipes.of(family, values, platform, self.out) else { continue };
            let target = family.body.target.as_ref();
            let target = target.and_then(|target| target.render(platform, values).ok());
            let arg = |name: &str| argument(name, family, values, platform);
            let found = dockerfile::references(&recipe.dockerfile, target.as_deref(), &arg);
            let references = match found {
                Ok(references) => references,
                Err(problems) => {
                    for problem in problems {
                        let missing = problem.code == "mabuild::dockerfile::unknown-target";
                        let mut diagnostic = told(problem, recipe.file);
                        if let (true, Some(target)) = (missing, &family.body.target) {
                            diagnostic.labels.insert(0, (target.span, "asked for here".to_owned()));
                        }
                        self.tell_once(diagnostic);
                    }
                    break;
                }
            };
            for reference in references {
                let span = Span {
                    file: recipe.file,
                    start: reference.span.start,
                    end: reference.span.end,
                };
                let image = Variant { family, values, platform, from };
                let Some(node) = self.named_in(&reference.name, span, &image) else { continue };
                let is_from = matches!(reference.kind, ReferenceKind::From);
                match needed.iter_mut().find(|known| known.node.value == node) {
                    Some(known) => known.is_from |= is_from,
                    None => needed.push(Needed { node: Spanned::new(node, span), is_from }),
                }
            }
        }
        needed.into()
    }

    /// The node of a name in a Dockerfile: a named context, what `from` names, a base or an image,
    /// what one of them publishes, an image of a registry.
    fn named_in(&mut self, name: &str, span: Span, image: &Variant<'_>) -> Option<NodeRef> {
        let Variant { family, values, platform, from } = image;
        let context = family.body.named_contexts.iter().find(|c| *c.name.value == *name);
        match context.map(|context| &context.source) {
            Some(ContextSource::Folder(_)) => return None,
            Some(ContextSource::Node(text)) => {
                return self.name(&text.render(platform, values).ok()?, text.span, family, values);
            }
            Some(ContextSource::Image(text)) => {
                return Some(self.outside(&text.render(platform, values).ok()?, text.span));
            }
            None => {}
        }
        let own = family.from.as_ref().and_then(|from| from.text.of_variant(values));
        if let (Some(own), Some(from)) = (own, from)
            && own.split('[').next() == Some(name)
        {
            return Some(from.value);
        }
        if self.is_known(name) {
            return self.name(name, span, family, values);
        }
        Some(self.published(name).unwrap_or_else(|| self.outside(name, span)))
    }
}

/// A variant on a platform, with the node that it names in `from`.
struct Variant<'a> {
    family: &'a Family,
    values: &'a [Arc<str>],
    platform: &'a Platform,
    from: Option<&'a Spanned<NodeRef>>,
}

/// The value of a build argument that is given from outside of the Dockerfile.
fn argument(
    name: &str,
    family: &Family,
    values: &[Arc<str>],
    platform: &Platform,
) -> Option<String> {
    let over = family.body.overrides.iter().rev();
    let over = over.filter(|over| over.platforms.iter().any(|p| p.value == *platform));
    let given = over.flat_map(|over| &over.args).chain(&family.body.args);
    let mut given = given.filter(|(known, _)| *known.value == *name).map(|(_, value)| value);
    if let Some(value) = given.next() {
        return value.render(platform, values).ok().map(|value| value.into_owned());
    }
    // What a stage needs does not depend on where it is built.
    let variant = platform.variant.clone().unwrap_or_default();
    match name {
        "TARGETPLATFORM" | "BUILDPLATFORM" => Some(platform.to_string()),
        "TARGETOS" | "BUILDOS" => Some(platform.os.clone()),
        "TARGETARCH" | "BUILDARCH" => Some(platform.arch.clone()),
        "TARGETVARIANT" | "BUILDVARIANT" => Some(variant),
        _ => None,
    }
}
