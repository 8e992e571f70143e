//! The complete, closed description of one build.
//!
//! One shape in three stages: [`Asked`] names what still has to be looked up, [`Draft`] has all
//! facts and names its parents by node, [`Built`] names its parents by what they are. Nothing
//! else reaches the executor, so what is not in here cannot change a result.

mod describe;

use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;

use crate::facts::{FileSet, FilesAsk, Pin, UpstreamAsk};
use crate::graph::NodeId;

/// What a stage puts in the three open places of a spec.
pub trait Stage {
    /// How a parent is named.
    type Parent: Clone + std::fmt::Debug + PartialEq;
    /// How files of the context are named.
    type Files: Clone + std::fmt::Debug + PartialEq;
    /// How an upstream is named.
    type Upstream: Clone + std::fmt::Debug + PartialEq;
}

/// After lowering: facts are still questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked;

/// After tracking: facts are known, parents are nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draft;

/// After the parents are done: parents are manifest digests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Built;

impl Stage for Asked {
    type Parent = NodeId;
    type Files = FilesAsk;
    type Upstream = UpstreamAsk;
}

impl Stage for Draft {
    type Parent = NodeId;
    type Files = Arc<FileSet>;
    type Upstream = Arc<Pin>;
}

impl Stage for Built {
    type Parent = ParentDigest;
    type Files = Arc<FileSet>;
    type Upstream = Arc<Pin>;
}

/// The manifest digest of a parent on this platform, `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParentDigest(pub Arc<str>);

/// A spec whose questions are open.
pub type AskedSpec = Spec<Asked>;
/// A spec with all facts, parents by node.
pub type DraftSpec = Spec<Draft>;
/// A spec with all facts, parents by digest: what the executor gets.
pub type BuildSpec = Spec<Built>;

/// One build: a thing on a platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec<S: Stage> {
    /// What is built for.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH` when it is given from outside; else the date comes from the inputs.
    pub source_date: Option<i64>,
    /// What stands below the steps.
    pub source: Source<S>,
    /// Instructions in order.
    pub steps: Vec<Step<S>>,
    /// What the image config says on top.
    pub settings: Settings,
}

/// What stands below the steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<S: Stage> {
    /// Nothing.
    Scratch,
    /// Another node.
    Parent(S::Parent),
    /// Something from outside.
    Upstream(S::Upstream),
}

/// One instruction with its place in the file, which is not part of the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<S: Stage> {
    /// Where the instruction stands, for messages.
    pub span: Span,
    /// What it does.
    pub op: Op<S>,
}

/// What an instruction does. All text is final.
#[derive(Clone, Debug, PartialEq)]
pub enum Op<S: Stage> {
    /// Copies files.
    Copy(Copy<S>),
    /// Writes one file.
    File {
        /// Path, perhaps relative to the working directory.
        path: String,
        /// Content.
        content: String,
        /// `user[:group]`.
        owner: Option<String>,
        /// Permission bits, 0644 when none.
        mode: Option<u32>,
    },
    /// Makes directories.
    Mkdir {
        /// Paths.
        paths: Vec<String>,
        /// `user[:group]`.
        owner: Option<String>,
        /// Permission bits, 0755 when none.
        mode: Option<u32>,
    },
    /// Makes a symbolic link.
    Symlink {
        /// What the link says.
        target: String,
        /// Where it stands.
        path: String,
    },
    /// Removes paths.
    Remove {
        /// Paths.
        paths: Vec<String>,
    },
    /// Runs a program.
    Run {
        /// One word: shell form. More: exec form.
        words: Vec<String>,
        /// Whether it has a network besides loopback.
        network: bool,
    },
    /// Sets variables.
    Env(Vec<(String, String)>),
    /// Sets the working directory.
    Workdir(String),
    /// Sets the user.
    User(String),
    /// Sets the shell of shell-form `run`.
    Shell(Vec<String>),
    /// Gives the steps below a variable that does not stay in the image.
    Arg(String, String),
}

/// A `copy` or `add`.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy<S: Stage> {
    /// What is copied.
    pub inputs: Inputs<S>,
    /// Destination as written.
    pub dest: String,
    /// `user[:group]`.
    pub owner: Option<String>,
    /// Permission bits for every file.
    pub mode: Option<u32>,
    /// Whether local archives are unpacked (`add`).
    pub unpack: bool,
}

/// What a `copy` reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs<S: Stage> {
    /// Files of the build context.
    Context(S::Files),
    /// Paths of another node.
    Node {
        /// The node.
        node: S::Parent,
        /// Paths or globs in it.
        sources: Vec<String>,
    },
}

/// What the image config says; none and empty mean "as below".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Variables.
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Command.
    pub cmd: Option<Vec<String>>,
    /// Ports.
    pub expose: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Stop signal.
    pub stop_signal: Option<String>,
}

impl<S: Stage> Spec<S> {
    /// The same spec one stage on. Each closure answers one kind of open place; the first error
    /// ends it. All text moves along, none is copied.
    pub fn advance<T: Stage, E>(
        self,
        mut parent: impl FnMut(S::Parent) -> Result<T::Parent, E>,
        mut files: impl FnMut(S::Files) -> Result<T::Files, E>,
        mut upstream: impl FnMut(S::Upstream) -> Result<T::Upstream, E>,
    ) -> Result<Spec<T>, E> {
        let source = match self.source {
            Source::Scratch => Source::Scratch,
            Source::Parent(p) => Source::Parent(parent(p)?),
            Source::Upstream(u) => Source::Upstream(upstream(u)?),
        };
        let mut steps = Vec::with_capacity(self.steps.len());
        for Step { span, op } in self.steps {
            steps.push(Step { span, op: advance_op(op, &mut parent, &mut files)? });
        }
        Ok(Spec {
            platform: self.platform,
            source_date: self.source_date,
            source,
            steps,
            settings: self.settings,
        })
    }

    /// The parents that the spec names, in order, with repetitions.
    pub fn parents(&self) -> impl Iterator<Item = &S::Parent> {
        let below = match &self.source {
            Source::Parent(p) => Some(p),
            _ => None,
        };
        below.into_iter().chain(self.steps.iter().filter_map(|step| match &step.op {
            Op::Copy(Copy { inputs: Inputs::Node { node, .. }, .. }) => Some(node),
            _ => None,
        }))
    }
}

fn advance_op<S: Stage, T: Stage, E>(
    op: Op<S>,
    parent: &mut impl FnMut(S::Parent) -> Result<T::Parent, E>,
    files: &mut impl FnMut(S::Files) -> Result<T::Files, E>,
) -> Result<Op<T>, E> {
    Ok(match op {
        Op::Copy(Copy { inputs, dest, owner, mode, unpack }) => {
            let inputs = match inputs {
                Inputs::Context(ask) => Inputs::Context(files(ask)?),
                Inputs::Node { node, sources } => Inputs::Node { node: parent(node)?, sources },
            };
            Op::Copy(Copy { inputs, dest, owner, mode, unpack })
        }
        Op::File { path, content, owner, mode } => Op::File { path, content, owner, mode },
        Op::Mkdir { paths, owner, mode } => Op::Mkdir { paths, owner, mode },
        Op::Symlink { target, path } => Op::Symlink { target, path },
        Op::Remove { paths } => Op::Remove { paths },
        Op::Run { words, network } => Op::Run { words, network },
        Op::Env(pairs) => Op::Env(pairs),
        Op::Workdir(path) => Op::Workdir(path),
        Op::User(user) => Op::User(user),
        Op::Shell(words) => Op::Shell(words),
        Op::Arg(name, value) => Op::Arg(name, value),
    })
}
