//! Images: nodes built from other nodes, and their instructions.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Build, Dockerfile, Located, Mode, Moves, NamedContext, NodeRef, Publishing, Secret, Settings,
    Test, Text,
};
use crate::platform::Platform;
use crate::source::{Span, Spanned};

/// A node built from another node: an image, or one variant of an image with a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Name, unique over bases and images: that in the file, for a variant with the values of its
    /// axes, `python[3.12,bookworm]`.
    pub name: Arc<str>,
    /// What all variants share.
    pub body: Arc<Body>,
    /// The values of the axes, in the order of [`Body::axes`].
    pub values: Arc<[Arc<str>]>,
    /// Platforms, each once, in the order written; shared when they are the default.
    pub platforms: Arc<[Spanned<Platform>]>,
    /// The image below; none for `from "scratch"`.
    pub from: Option<Spanned<NodeRef>>,
    /// Nodes that steps copy from; [`Copy::from`] is an index of these.
    pub copies: Arc<[Option<Spanned<NodeRef>>]>,
    /// How its Dockerfile builds it, one for each of `platforms` in their order; those that are
    /// equal are shared. Empty without a Dockerfile, and where it has errors.
    pub builds: Arc<[Arc<Build>]>,
}

/// What an image says, templates put in: the same for all its variants and platforms.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Name in the file.
    pub name: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// Folder of the file that declares it.
    pub folder: Arc<str>,
    /// Names of the axes of its matrix; [`Part::Axis`] is an index of these.
    pub axes: Arc<[Arc<str>]>,
    /// The Dockerfile that it is built by, in place of steps.
    pub dockerfile: Option<Dockerfile>,
    /// The stage of the Dockerfile; the last when none is named.
    pub target: Option<Text>,
    /// Build context; that of the Dockerfile, else `folder`, when none is named.
    pub context: Option<Located>,
    /// What else the Dockerfile may name.
    pub named_contexts: Vec<NamedContext>,
    /// Secrets that steps may read.
    pub secrets: Vec<Secret>,
    /// How foreign platforms are built.
    pub mode: Spanned<Mode>,
    /// Build arguments declared for this image, in order.
    pub args: Vec<(Spanned<Arc<str>>, Text)>,
    /// Instructions, in order.
    pub steps: Vec<Step>,
    /// What the image config says on top of the steps.
    pub settings: Settings,
    /// What differs on some platforms; a later one counts more.
    pub overrides: Vec<Override>,
    /// Tags, never empty: `latest` when the file names none, the values of the axes for variants.
    pub tags: Vec<Text>,
    /// The `arch-tags` node, where each platform gets tags of its own too.
    pub arch_tags: Option<Span>,
    /// Repositories that it is pushed to.
    pub publish: Vec<Text>,
    /// How it is pushed there, what its file says put in.
    pub publishing: Publishing,
    /// Checks of the built image, each name once.
    pub tests: Vec<Test>,
    /// When its packages, and what it watches, move; there is no `min_age`.
    pub moves: Moves,
    /// `watch "packages"`: newer packages make it stale.
    pub watch: Option<Watch>,
}

/// `watch "packages" only=… every=…`: an image whose own steps install packages is stale when the
/// archives have newer ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The `watch` node.
    pub span: Span,
    /// Whether only packages of archives for security count.
    pub security: bool,
    /// How long after one rebuild the next one comes at the earliest.
    pub every: Option<Duration>,
}

/// `on-platform PLATFORM… { … }` of an image, without its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Where it counts.
    pub platforms: Arc<[Spanned<Platform>]>,
    /// Build arguments.
    pub args: Vec<(Spanned<Arc<str>>, Text)>,
    /// What the image config says.
    pub settings: Settings,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The whole instruction, for "failed here".
    pub span: Span,
    /// The only platforms it is done on; all when there are none.
    pub only: Option<Arc<[Spanned<Platform>]>>,
    /// What it does.
    pub op: StepOp,
}

/// What an instruction does; the meaning is that of the Dockerfile instruction of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum StepOp {
    /// Copies files of the context or of another node.
    Copy(Copy),
    /// Copies, unpacking local archives and fetching addresses.
    Add(Copy),
    /// Writes a file with the given content.
    File {
        /// Absolute path, or relative to the working directory.
        path: Text,
        /// Content as it stands in the file.
        content: Text,
        /// Owner, `user[:group]`, names or numbers.
        chown: Option<Text>,
        /// Permission bits.
        mode: Option<u32>,
    },
    /// Makes directories, parents included.
    Mkdir {
        /// Paths.
        paths: Vec<Text>,
        /// Owner.
        chown: Option<Text>,
        /// Permission bits.
        mode: Option<u32>,
    },
    /// Makes a symbolic link.
    Symlink {
        /// What the link says.
        target: Text,
        /// Where the link stands.
        path: Text,
    },
    /// Removes files and directories; a path that is not there is an error.
    Remove {
        /// Paths.
        paths: Vec<Text>,
    },
    /// Installs packages of the distribution of the image below.
    Packages {
        /// Their names.
        names: Vec<Text>,
        /// Whether what they recommend comes along.
        recommends: bool,
    },
    /// Runs a program.
    Run(Run),
    /// Sets a variable for the steps after it and for the image.
    Env {
        /// Variables in order.
        pairs: Vec<(String, Text)>,
    },
    /// Sets the working directory and makes it.
    Workdir {
        /// Path.
        path: Text,
    },
    /// Sets the user for the steps after it and for the image.
    User {
        /// `user[:group]`.
        user: Text,
    },
    /// Sets the words put before the text of a shell-form `run`.
    Shell {
        /// The words.
        words: Vec<Text>,
    },
    /// Declares an argument that the steps after it see as a variable; not kept in the image.
    Arg {
        /// Name.
        name: Spanned<Arc<str>>,
        /// Value when the image's own `arg` gives none.
        default: Option<Text>,
    },
}

/// `copy SOURCE… DEST`
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// Paths or globs; for `add` addresses too.
    pub sources: Vec<Text>,
    /// Destination; a directory when it ends in `/` or several files are copied.
    pub dest: Text,
    /// Node to copy from in place of the context, an index of [`Image::copies`].
    pub from: Option<usize>,
    /// Owner.
    pub chown: Option<Text>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Digest that a fetched file must have (`add` of an address alone).
    pub checksum: Option<Text>,
}

/// `run "shell text"` or `run "program" "word"…`
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// One text for the shell form, more for the exec form.
    pub words: Vec<Text>,
    /// Whether the step may reach the network.
    pub network: Network,
}

/// Network of a `run` step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The network of the machine.
    #[default]
    Default,
    /// Loopback alone.
    None,
}
