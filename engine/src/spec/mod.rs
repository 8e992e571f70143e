//! The complete, closed description of one build.
//!
//! One shape in three phases: [`Asked`] names what still has to be looked up, [`Draft`] has all
//! facts and names its parents by node, [`Built`] names its parents by what they are. Nothing
//! else reaches the executor, so what is not in here cannot change a result.
//!
//! Steps of a description and instructions of a Dockerfile are the same list of [`Op`]s.

mod advance;
mod describe;

use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;

pub use mabuild_dockerfile::Sharing;

use crate::facts::{FileSet, FilesAsk, Pin, UpstreamAsk};
use crate::graph::NodeId;

/// `PATH` of steps in an image that sets none, as Docker has it.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a phase puts in the three open places of a spec.
pub trait Phase {
    /// How a parent is named.
    type Parent: Clone + std::fmt::Debug + PartialEq;
    /// How files from outside are named.
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

impl Phase for Asked {
    type Parent = NodeId;
    type Files = FilesAsk;
    type Upstream = UpstreamAsk;
}

impl Phase for Draft {
    type Parent = NodeId;
    type Files = Arc<FileSet>;
    type Upstream = Arc<Pin>;
}

impl Phase for Built {
    type Parent = ParentDigest;
    type Files = Arc<FileSet>;
    type Upstream = Arc<Pin>;
}

/// The manifest digest of a parent on its platform, `sha256:…`.
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
pub struct Spec<P: Phase> {
    /// What is built for.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH` when it is given from outside; else the date comes from the inputs.
    pub source_date: Option<i64>,
    /// The stages, each after those it needs. The last one is the image; there is always one.
    pub stages: Vec<Stage<P>>,
    /// What the image config says on top.
    pub settings: Settings,
    /// Newer packages that its programs are to be run again for: name and version. Each moves
    /// the key and has every `run` done anew.
    pub watched: Vec<(String, String)>,
}

/// Instructions on a ground.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage<P: Phase> {
    /// Its name, or its number in the Dockerfile, for messages. Not part of the key.
    pub name: String,
    /// What its programs are for.
    pub platform: Platform,
    /// What stands below the steps.
    pub source: Source<P>,
    /// Instructions in order.
    pub steps: Vec<Step<P>>,
}

/// What stands below the steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Source<P: Phase> {
    /// Nothing.
    Scratch,
    /// Another node.
    Parent(P::Parent),
    /// Something from outside.
    Upstream(P::Upstream),
    /// An earlier stage of the same spec.
    Stage(usize),
}

/// One instruction with what messages say of it, which is not part of the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<P: Phase> {
    /// Where the instruction stands.
    pub span: Span,
    /// The instruction as it is written, one line; none to describe it by what it does.
    pub text: Option<String>,
    /// What it does.
    pub op: Op<P>,
}

/// What an instruction does. All text is final.
#[derive(Clone, Debug, PartialEq)]
pub enum Op<P: Phase> {
    /// Copies files.
    Copy(Box<Copy<P>>),
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
    Run(Box<Run<P>>),
    /// Installs packages of the distribution below, with what they need.
    Packages(Box<Packages<P>>),
    /// Sets variables.
    Env(Vec<(String, String)>),
    /// Sets the working directory and makes it.
    Workdir(String),
    /// Sets the user.
    User(String),
    /// Sets the shell of shell-form commands.
    Shell(Vec<String>),
    /// Gives the steps below variables that do not stay in the image.
    Arg(Vec<Arg>),
    /// Sets labels.
    Label(Vec<(String, String)>),
    /// Names ports, `80/tcp`.
    Expose(Vec<String>),
    /// Names volumes.
    Volume(Vec<String>),
    /// Sets the entry point.
    Entrypoint(Command),
    /// Sets the command.
    Cmd(Command),
    /// Sets the signal that ends a container.
    StopSignal(String),
    /// Sets how a container is found healthy.
    Healthcheck(Healthcheck),
    /// Adds an instruction that is done in images built from this one, as its text.
    Onbuild(String),
    /// Sets the author.
    Maintainer(String),
}

/// A `packages`.
#[derive(Clone, Debug, PartialEq)]
pub struct Packages<P: Phase> {
    /// What is asked for, for messages and the history.
    pub names: Vec<String>,
    /// What is installed.
    pub from: P::Upstream,
}

/// A build argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// The default that it is declared with, for the history.
    pub default: Option<String>,
    /// Its value; none when it has none, or when no program sees it.
    pub value: Option<String>,
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Text behind the words of the shell.
    Shell(String),
    /// Words that are run as they are.
    Exec(Vec<String>),
}

/// `HEALTHCHECK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", word…]` or `["CMD-SHELL", text]`.
    pub test: Vec<String>,
    /// Nanoseconds; 0 leaves it to the runtime, here and below.
    pub interval: u64,
    /// Nanoseconds.
    pub timeout: u64,
    /// Nanoseconds.
    pub start_period: u64,
    /// Nanoseconds.
    pub start_interval: u64,
    /// Failures in a row.
    pub retries: u32,
}

/// A `copy` or `add`.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy<P: Phase> {
    /// Whether it is an `add`: local archives are unpacked.
    pub add: bool,
    /// The sources as the instruction names them, for the history.
    pub sources: Vec<String>,
    /// What is copied, in the order of the sources.
    pub inputs: Vec<Input<P>>,
    /// Destination as written.
    pub dest: String,
    /// `user[:group]`.
    pub owner: Option<String>,
    /// Permission bits as chmod(1) reads them: octal or symbolic.
    pub mode: Option<String>,
    /// Whether archives are unpacked, where that was said: local ones and fetched ones alike.
    pub unpack: Option<bool>,
    /// Whether links and owners of what lies below mean nothing to it (`--link`).
    pub link: bool,
    /// Whether the directories of a source come along (`--parents`).
    pub parents: bool,
    /// Patterns of what is left out (`--exclude`).
    pub exclude: Vec<String>,
}

/// One thing that a `copy` reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<P: Phase> {
    /// Files of a context, of an address or of a git repository.
    Files(P::Files),
    /// Paths or globs of an image.
    Image {
        /// The image.
        image: Image<P>,
        /// Paths or globs in it.
        sources: Vec<String>,
    },
    /// A file that the instruction itself holds.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        content: String,
    },
}

/// An image that something is read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Image<P: Phase> {
    /// Another node.
    Parent(P::Parent),
    /// An earlier stage of the same spec.
    Stage(usize),
}

/// A `run`.
#[derive(Clone, Debug, PartialEq)]
pub struct Run<P: Phase> {
    /// What is run.
    pub program: Program,
    /// What is mounted meanwhile, in order.
    pub mounts: Vec<Mount<P>>,
    /// Whether it has a network besides loopback.
    pub network: bool,
}

/// What a `run` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// A command line.
    Command(Command),
    /// A script that says itself (`#!`) what runs it.
    Script {
        /// Its file name.
        name: String,
        /// Its text.
        content: String,
    },
}

/// `RUN --mount`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount<P: Phase> {
    /// Where, perhaps relative to the working directory; empty for a secret that is no file and
    /// for an agent whose place is the usual one.
    pub target: String,
    /// What.
    pub what: Mounted<P>,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Mounted<P: Phase> {
    /// Files. What is written to them is lost.
    Bind {
        /// What they are in.
        from: Bound<P>,
        /// The path there.
        source: String,
        /// Whether they can be written to.
        writable: bool,
    },
    /// A folder that stays from build to build.
    Cache {
        /// Its name.
        id: String,
        /// What it begins with, and the path there; none for an empty folder.
        from: Option<(Bound<P>, String)>,
        /// Who else may use it at the same time.
        sharing: Sharing,
        /// Whether it can be written to.
        writable: bool,
        /// Permission bits of an empty folder.
        mode: u32,
        /// Owner of an empty folder.
        uid: u32,
        /// Group of an empty folder.
        gid: u32,
    },
    /// A folder in memory.
    Tmpfs {
        /// The most it may hold, in bytes.
        size: Option<u64>,
    },
    /// A secret, of which only the name is known here.
    Secret {
        /// Its name.
        id: String,
        /// The variable that holds it.
        env: Option<String>,
        /// Whether the step fails without it.
        required: bool,
        /// Permission bits of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// The socket of an ssh agent.
    Ssh {
        /// Its name.
        id: String,
        /// Whether the step fails without it.
        required: bool,
        /// Permission bits of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// What a bind mount shows files of.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound<P: Phase> {
    /// A context.
    Files(P::Files),
    /// An image.
    Image(Image<P>),
    /// Nothing: an empty folder.
    Scratch,
}

/// What the image config says; none and empty mean "as below".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Variables.
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Labels that leave no line in the history: those that are put on what a Dockerfile makes.
    pub unlisted: Vec<(String, String)>,
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

impl Settings {
    /// The settings as the instructions that mean the same, in the order in which they count.
    /// No instruction means an unlisted label; these count last.
    pub fn ops<P: Phase>(&self) -> Vec<Op<P>> {
        let Self { env, labels, entrypoint, cmd, expose, volumes, workdir, user, .. } = self;
        let mut out = Vec::new();
        if !env.is_empty() {
            out.push(Op::Env(env.clone()));
        }
        if !labels.is_empty() {
            out.push(Op::Label(labels.clone()));
        }
        out.extend(workdir.clone().map(Op::Workdir));
        out.extend(user.clone().map(Op::User));
        if !expose.is_empty() {
            let port = |port: &String| match port.contains('/') {
                true => port.clone(),
                false => format!("{port}/tcp"),
            };
            out.push(Op::Expose(expose.iter().map(port).collect()));
        }
        if !volumes.is_empty() {
            out.push(Op::Volume(volumes.clone()));
        }
        out.extend(entrypoint.clone().map(|words| Op::Entrypoint(Command::Exec(words))));
        out.extend(cmd.clone().map(|words| Op::Cmd(Command::Exec(words))));
        out.extend(self.stop_signal.clone().map(Op::StopSignal));
        out
    }
}

impl<P: Phase> Stage<P> {
    /// A stage without a name.
    pub fn of(platform: Platform, source: Source<P>, steps: Vec<Step<P>>) -> Self {
        Self { name: String::new(), platform, source, steps }
    }
}

impl<P: Phase> Copy<P> {
    /// A plain `copy`, which takes owner and mode as they come.
    pub fn of(inputs: Vec<Input<P>>, sources: Vec<String>, dest: impl Into<String>) -> Self {
        Self {
            add: false,
            sources,
            inputs,
            dest: dest.into(),
            owner: None,
            mode: None,
            unpack: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
        }
    }
}

impl<P: Phase> Run<P> {
    /// A plain `run`, with a network and without mounts.
    pub fn of(command: Command) -> Self {
        Self { program: Program::Command(command), mounts: Vec::new(), network: true }
    }
}
