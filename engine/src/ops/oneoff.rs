//! One Dockerfile that is built without a description: a description of it is made in memory, and
//! the ordinary way is gone with that. Nobody gets to see it: what is wrong in it is said of the
//! flag that it came from.

mod describe;

use std::path::{Path, PathBuf};

use mabuild_lang::Files;
use mabuild_lang::diag::Diagnostic;
use mabuild_lang::platform::Platform;
use mabuild_lang::source::{FileId, SourceMap, Span};

use super::project::{lowered, vars};
use super::{Env, ErrorKind, Finished, OpError, Project, ProjectRequest};
use crate::event::{End, Failure};
use crate::graph::NodeId;
use describe::Description;

/// A Dockerfile with what is said beside it, as of `docker buildx build`.
#[derive(Clone, Debug)]
pub struct OneOff {
    /// The build context: a folder.
    pub context: PathBuf,
    /// The Dockerfile.
    pub dockerfile: Dockerfile,
    /// The stage that is wanted; the last when none is named.
    pub target: Option<String>,
    /// Build arguments.
    pub args: Vec<(String, String)>,
    /// Labels of the image.
    pub labels: Vec<(String, String)>,
    /// What else the Dockerfile may name in FROM and COPY --from.
    pub contexts: Vec<(String, NamedContext)>,
    /// Platforms; none means that of this machine.
    pub platforms: Vec<Platform>,
    /// Whether a RUN that says nothing of its network has one.
    pub network: bool,
}

/// Where a Dockerfile comes from.
#[derive(Clone, Debug)]
pub enum Dockerfile {
    /// A file.
    File(PathBuf),
    /// Its content.
    Content(Vec<u8>),
}

/// What a named context stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A folder.
    Folder(PathBuf),
    /// An image of an OCI layout.
    Layout {
        /// Folder of the layout.
        path: PathBuf,
        /// Name or digest in its index.
        reference: Option<String>,
    },
    /// An image of a registry.
    Image(String),
}

/// A project made of one Dockerfile.
#[derive(Debug)]
pub struct OneProject {
    /// The project.
    pub project: Project,
    /// The node that is the image.
    pub image: String,
    /// The flag that each line of the description in memory comes from.
    flags: Vec<String>,
}

/// Path of the Dockerfile in messages when it is no file.
const STDIN: &str = "-";

/// The file that nobody sees: the first that is read.
const HIDDEN: FileId = FileId(0);

/// Its path, which no file can have.
const HIDDEN_PATH: &str = "\0";

/// Reads a Dockerfile. Mistakes in it and in the flags are diagnostics of the project, not errors.
pub fn open_one(env: &Env, one: &OneOff) -> Result<OneProject, OpError> {
    let context = folder("the build context", &env.cwd.join(&one.context))?;
    let (path, file) = located(env, &one.dockerfile)?;
    let content = match &one.dockerfile {
        Dockerfile::File(_) => read(&file)?,
        Dockerfile::Content(bytes) => bytes.clone(),
    };
    let vars = vars(env, &ProjectRequest::default())?;
    let machine = vars.build_platform.clone().unwrap_or_default();
    let described = Description::of(one, env, &path, &context, &content, &machine)?;
    let files = Memory { content, described };
    let mut loaded = mabuild_lang::load(HIDDEN_PATH, &files, &vars);
    let Description { flags, image, .. } = files.described;
    loaded.diagnostics = std::mem::take(&mut loaded.diagnostics)
        .into_iter()
        .filter(|diagnostic| !is_pointless(diagnostic))
        .map(|diagnostic| said_of_flag(diagnostic, &flags, &loaded.sources))
        .collect();
    let root = env.cwd.clone();
    let lowered = lowered(env, &loaded, &root, one.network)?;
    // A Dockerfile of another folder is another project, and so is one that is used elsewhere.
    let name = format!("{} with {}", file.display(), context.display());
    let project =
        Project { main: PathBuf::from(path), root, name, loaded, lowered, is_locked: false };
    Ok(OneProject { project, image, flags })
}

impl OneProject {
    /// Says of flags what a run says of the description in memory.
    pub fn told(&self, finished: &mut Finished) {
        let sources = &self.project.loaded.sources;
        for end in finished.ends.values_mut() {
            if let End::Failed(Failure { message, span, .. }) = end {
                self.said(message, span, sources);
            }
        }
    }

    /// The same for an error that ends the run.
    pub fn told_of(&self, mut error: OpError) -> OpError {
        self.said(&mut error.message, &mut error.span, &self.project.loaded.sources);
        error
    }

    /// The node of the image as a whole.
    pub fn index(&self) -> Option<NodeId> {
        let graph = &self.project.lowered.as_ref()?.graph;
        let image = graph.thing_ids().find(|thing| *graph.thing(*thing).name == *self.image)?;
        Some(graph.index_of(image))
    }

    fn said(&self, message: &mut String, span: &mut Option<Span>, sources: &SourceMap) {
        let Some(hidden) = span.filter(|span| span.file == HIDDEN) else { return };
        *span = None;
        if let Some(flag) = flag(hidden, &self.flags, sources) {
            *message = format!("{flag}: {message}");
        }
    }
}

/// Whether a diagnostic is of use to those only who write a description. Secrets are given at the
/// call, and the step that lacks one says so.
fn is_pointless(diagnostic: &Diagnostic) -> bool {
    diagnostic.code == "mabuild::lang::secret"
}

/// The flag that a place in memory comes from.
fn flag<'f>(span: Span, flags: &'f [String], sources: &SourceMap) -> Option<&'f str> {
    let (line, _) = sources.get(span.file)?.line_column(span.start);
    flags.get(line).map(String::as_str).filter(|flag| !flag.is_empty())
}

/// A diagnostic without places in memory; of one whose first place is there, the flag is named.
fn said_of_flag(mut diagnostic: Diagnostic, flags: &[String], sources: &SourceMap) -> Diagnostic {
    let first = diagnostic.labels.first().map(|(span, _)| *span);
    if let Some(first) = first.filter(|span| span.file == HIDDEN)
        && let Some(flag) = flag(first, flags, sources)
    {
        diagnostic.message = format!("{flag}: {}", diagnostic.message);
    }
    // What no place of the Dockerfile is to blame for points at its begin.
    let is_empty = |span: &Span, text: &str| span.start == span.end && text.is_empty();
    diagnostic.labels.retain(|(span, text)| span.file != HIDDEN && !is_empty(span, text));
    diagnostic
}

/// The Dockerfile's path for people and its absolute one.
fn located(env: &Env, dockerfile: &Dockerfile) -> Result<(String, PathBuf), OpError> {
    let Dockerfile::File(given) = dockerfile else {
        return Ok((STDIN.to_owned(), PathBuf::from(STDIN)));
    };
    let whole = env.cwd.join(given);
    let real = std::fs::canonicalize(&whole).map_err(|e| {
        let message = format!("cannot read the Dockerfile {}: {e}", whole.display());
        let help = "name it with -f FILE; without that it is `Dockerfile` of the build context";
        user("mabuild::engine::dockerfile", message).help(help)
    })?;
    // Messages show the path as it was given, as long as that can be had without a look at links.
    let path = match given.components().any(|part| part.as_os_str() == "..") {
        true => &real,
        false => given,
    };
    Ok((text("the Dockerfile", path)?, real))
}

fn read(path: &Path) -> Result<Vec<u8>, OpError> {
    std::fs::read(path).map_err(|e| {
        let message = format!("cannot read the Dockerfile {}: {e}", path.display());
        user("mabuild::engine::dockerfile", message)
    })
}

/// The absolute path of a folder.
fn folder(what: &str, path: &Path) -> Result<PathBuf, OpError> {
    let wrong = |why: &dyn std::fmt::Display| {
        let message = format!("{what} {}: {why}", path.display());
        user("mabuild::engine::context", message)
    };
    let path = std::fs::canonicalize(path).map_err(|e| wrong(&e))?;
    match path.is_dir() {
        true => Ok(path),
        false => Err(wrong(&"it is not a folder")),
    }
}

fn text(what: &str, path: &Path) -> Result<String, OpError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("the path of {what}, {}, is not UTF-8", path.display());
        user("mabuild::engine::path", message).help("give the file or folder another name")
    })
}

fn user(code: &'static str, message: impl Into<String>) -> OpError {
    OpError::new(ErrorKind::User, code, message)
}

/// The files of such a project: the description in memory, the Dockerfile, and nothing else.
struct Memory {
    content: Vec<u8>,
    described: Description,
}

impl Files for Memory {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path == HIDDEN_PATH {
            true => Ok(self.described.text.clone().into_bytes()),
            false => Ok(self.content.clone()),
        }
    }

    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}
