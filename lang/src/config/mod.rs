//! Typed values of a whole file after linking: what the engine lowers to a graph.
//! Names are resolved, defaults are filled in, only what depends on the platform is open.

mod text;

use std::sync::Arc;

pub use text::{Part, PlatformField, Text};

use crate::platform::Platform;
use crate::source::{Span, Spanned};

/// Index of a base in [`Config::bases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseId(pub u32);

/// Index of an image in [`Config::images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub u32);

/// A base or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeRef {
    /// A base.
    Base(BaseId),
    /// An image.
    Image(ImageId),
}

/// A whole description: the main file and all that it includes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Bases in the order of the files.
    pub bases: Vec<Base>,
    /// Images in the order of the files.
    pub images: Vec<Image>,
    /// Groups in the order of the files.
    pub groups: Vec<Group>,
}

/// A node built from an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Name, unique over bases and images.
    pub name: Spanned<Arc<str>>,
    /// The whole node, for labels that mean "this base".
    pub span: Span,
    /// Folder of the file that declares it; relative paths start there.
    pub folder: Arc<str>,
    /// Platforms, each once, in the order written; shared when they are the default.
    pub platforms: Arc<[Spanned<Platform>]>,
    /// Where its content comes from.
    pub source: BaseSource,
    /// What the image config says.
    pub settings: Settings,
    /// Tags, `latest` when the file names none.
    pub tags: Vec<Text>,
}

/// Where the content of a base comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum BaseSource {
    /// A published root file system archive.
    Rootfs(Rootfs),
    /// Packages of a Debian archive.
    Debian(Debian),
    /// An image out of an OCI layout on disk.
    OciLayout(OciLayout),
}

/// `rootfs LOCATION checksums=… sha256=… sha512=…`
#[derive(Clone, Debug, PartialEq)]
pub struct Rootfs {
    /// The `rootfs` node.
    pub span: Span,
    /// Path (relative to the folder of the file) or http(s) address of the archive.
    pub location: Text,
    /// Path or address of a checksum file that names the archive.
    pub checksums: Option<Text>,
    /// Digest written in the file itself, `sha256:…` or `sha512:…`.
    pub digest: Option<Text>,
}

/// `debian SUITE { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Debian {
    /// The `debian` node.
    pub span: Span,
    /// Suite or codename, `bookworm`.
    pub suite: Text,
    /// Address of the mirror when the file names one.
    pub mirror: Option<Text>,
    /// Key file that may sign the archive in place of the keys shipped, relative to the folder.
    pub signed_by: Option<Text>,
    /// Archive areas, `main` when none is named.
    pub components: Vec<Text>,
    /// Packages named by `include`.
    pub include: Vec<Text>,
}

/// `oci-layout PATH ref=…`
#[derive(Clone, Debug, PartialEq)]
pub struct OciLayout {
    /// The `oci-layout` node.
    pub span: Span,
    /// Folder of the layout, relative to the folder of the file.
    pub path: Text,
    /// Name in the layout's `index.json`; may be left out when the layout holds one image.
    pub reference: Option<Text>,
}

/// A node built from another node.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Name, unique over bases and images.
    pub name: Spanned<Arc<str>>,
    /// The whole node.
    pub span: Span,
    /// Folder of the file that declares it.
    pub folder: Arc<str>,
    /// Platforms, each once, in the order written; shared when they are the default.
    pub platforms: Arc<[Spanned<Platform>]>,
    /// The image below; none for `from "scratch"`.
    pub from: Option<Spanned<NodeRef>>,
    /// Build context, relative to `folder`; the folder itself when none is named.
    pub context: Option<Text>,
    /// Build arguments declared for this image, in order.
    pub args: Vec<(Spanned<Arc<str>>, Text)>,
    /// Instructions, in order.
    pub steps: Vec<Step>,
    /// What the image config says on top of the steps.
    pub settings: Settings,
    /// Tags, `latest` when the file names none.
    pub tags: Vec<Text>,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The whole instruction, for "failed here".
    pub span: Span,
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
    /// Node to copy from in place of the context.
    pub from: Option<Spanned<NodeRef>>,
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

/// What the config of an image says; none and empty mean "as below".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Variables, in order.
    pub env: Vec<(String, Text)>,
    /// Labels, in order.
    pub labels: Vec<(Text, Text)>,
    /// Entry point; also resets the command of the image below, as Docker does.
    pub entrypoint: Option<Vec<Text>>,
    /// Command.
    pub cmd: Option<Vec<Text>>,
    /// Ports, `80/tcp`.
    pub expose: Vec<Text>,
    /// Volumes.
    pub volumes: Vec<Text>,
    /// Working directory.
    pub workdir: Option<Text>,
    /// User.
    pub user: Option<Text>,
    /// Signal that stops a container.
    pub stop_signal: Option<Text>,
}

/// A named list of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name.
    pub name: Spanned<Arc<str>>,
    /// Members, groups resolved to their nodes, each once.
    pub members: Vec<Spanned<NodeRef>>,
}

impl Config {
    /// The base of an id made for this config.
    pub fn base(&self, id: BaseId) -> Option<&Base> {
        self.bases.get(id.0 as usize)
    }

    /// The image of an id made for this config.
    pub fn image(&self, id: ImageId) -> Option<&Image> {
        self.images.get(id.0 as usize)
    }
}
