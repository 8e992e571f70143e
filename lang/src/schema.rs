//! The one table of what may stand in a file: nodes, their arguments, properties and children,
//! each with a line of documentation. Decoding checks against it; it decodes nothing itself.

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// A string, a number or a boolean.
    Any,
}

/// Arguments of a node.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    /// Fewest.
    pub min: usize,
    /// Most; none for any number.
    pub max: Option<usize>,
    /// Type of each.
    pub kind: Type,
    /// What they are, for messages: "a name".
    pub what: &'static str,
}

/// A property of a node.
#[derive(Clone, Copy, Debug)]
pub struct Prop {
    /// Name.
    pub name: &'static str,
    /// Type of its value.
    pub kind: Type,
    /// One line for people.
    pub doc: &'static str,
}

/// The properties of a node.
#[derive(Clone, Copy, Debug)]
pub enum Props {
    /// These alone.
    Known(&'static [Prop]),
    /// Any name: `env A="1"`.
    Free,
}

/// Where the children of a node come from.
#[derive(Clone, Copy, Debug)]
pub enum Children {
    /// No block.
    None,
    /// These nodes.
    Known(&'static [&'static Kind]),
}

/// A kind of node.
#[derive(Debug)]
pub struct Kind {
    /// Name.
    pub name: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// How it is written, for help lines.
    pub usage: &'static str,
    /// Arguments.
    pub args: Args,
    /// Properties.
    pub props: Props,
    /// Children.
    pub children: Children,
    /// Names of children and properties of the language that this version does not build.
    pub later: &'static [&'static str],
    /// Whether it may stand but once in its parent.
    pub once: bool,
}

const NO_ARGS: Args = Args { min: 0, max: Some(0), kind: Type::Text, what: "no value" };

const fn exactly(count: usize, what: &'static str) -> Args {
    Args { min: count, max: Some(count), kind: Type::Text, what }
}

const fn between(min: usize, max: usize, what: &'static str) -> Args {
    Args { min, max: Some(max), kind: Type::Text, what }
}

const fn at_least(min: usize, what: &'static str) -> Args {
    Args { min, max: None, kind: Type::Text, what }
}

const fn prop(name: &'static str, doc: &'static str) -> Prop {
    Prop { name, kind: Type::Text, doc }
}

/// A node without properties and children that may be repeated.
const fn leaf(name: &'static str, usage: &'static str, args: Args, doc: &'static str) -> Kind {
    Kind {
        name,
        doc,
        usage,
        args,
        props: Props::Known(&[]),
        children: Children::None,
        later: &[],
        once: false,
    }
}

/// The same, at most once in its parent.
const fn single(name: &'static str, usage: &'static str, args: Args, doc: &'static str) -> Kind {
    Kind { once: true, ..leaf(name, usage, args, doc) }
}

const CHOWN: Prop = prop("chown", "owner, `user[:group]`, names or numbers");
const MODE: Prop = prop("mode", "permission bits in octal, `0644`");

/// The file itself.
pub static FILE: Kind = Kind {
    children: Children::Known(&[
        &MABUILD,
        &LET,
        &DEFAULT_PLATFORMS,
        &BASE,
        &IMAGE,
        &GROUP,
        &INCLUDE,
    ]),
    later: &["registry", "template", "builder", "on", "strict-bases", "matrix", "publish"],
    ..leaf("the file", "", NO_ARGS, "A description of bases and images.")
};

static MABUILD: Kind = Kind {
    args: Args { min: 1, max: Some(1), kind: Type::Integer, what: "the format version" },
    ..single("mabuild", "mabuild 1", NO_ARGS, "Version of the format; required, first.")
};

static LET: Kind = Kind {
    args: Args { min: 1, max: Some(2), kind: Type::Any, what: "a name and its value" },
    props: Props::Known(&[
        prop("env", "variable of the environment that gives the value"),
        Prop { kind: Type::Any, ..prop("default", "value when the variable is not set") },
    ]),
    ..leaf("let", "let NAME \"value\"", NO_ARGS, "A name for a value, used as `{{NAME}}`.")
};

static DEFAULT_PLATFORMS: Kind = single(
    "platforms",
    "platforms \"linux/amd64\" \"linux/arm64\"",
    at_least(1, "platforms"),
    "Platforms of every base and image that names none.",
);

static INCLUDE: Kind = leaf(
    "include",
    "include \"teams/*.kdl\"",
    at_least(1, "files"),
    "Other files of this description; patterns are allowed.",
);

static GROUP: Kind = Kind {
    children: Children::Known(&[&MEMBER_IMAGE, &MEMBER_BASE, &MEMBER_GROUP]),
    ..leaf(
        "group",
        "group \"NAME\" { image \"…\" }",
        exactly(1, "a name"),
        "A name for several nodes.",
    )
};

static MEMBER_IMAGE: Kind =
    leaf("image", "image \"NAME\"", exactly(1, "a name"), "An image of the group.");
static MEMBER_BASE: Kind =
    leaf("base", "base \"NAME\"", exactly(1, "a name"), "A base of the group.");
static MEMBER_GROUP: Kind =
    leaf("group", "group \"NAME\"", exactly(1, "a name"), "All nodes of another group.");

static BASE: Kind = Kind {
    children: Children::Known(&[
        &ROOTFS,
        &DEBIAN,
        &OCI_LAYOUT,
        &PLATFORMS,
        &TAGS,
        &ENV,
        &LABEL,
        &ENTRYPOINT,
        &CMD,
        &EXPOSE,
        &VOLUME,
        &WORKDIR,
        &USER,
        &STOP_SIGNAL,
    ]),
    later: &[
        "registry",
        "follow",
        "publish",
        "test",
        "arch-tags",
        "secret",
        "matrix",
        "dockerfile",
    ],
    ..leaf("base", "base \"NAME\" { … }", exactly(1, "a name"), "A node built from an upstream.")
};

static ROOTFS: Kind = Kind {
    props: Props::Known(&[
        prop("version", "what `{{version}}` stands for"),
        prop("checksums", "path or address of a checksum file that names the archive"),
        prop("sha256", "digest of the archive, 64 hex digits"),
        prop("sha512", "digest of the archive, 128 hex digits"),
    ]),
    ..single(
        "rootfs",
        "rootfs \"https://…/rootfs.tar.gz\" sha256=\"…\"",
        exactly(1, "a path or an address"),
        "A published root file system archive.",
    )
};

static DEBIAN: Kind = Kind {
    props: Props::Known(&[
        prop("mirror", "address of the archive"),
        prop("signed-by", "file of the keys that may sign the archive"),
    ]),
    children: Children::Known(&[&VARIANT, &INCLUDE_PACKAGES, &COMPONENT]),
    later: &["updates", "security", "trim"],
    ..single(
        "debian",
        "debian \"bookworm\" { variant \"extract\" }",
        exactly(1, "a suite"),
        "Packages of a Debian archive.",
    )
};

static VARIANT: Kind = single(
    "variant",
    "variant \"extract\"",
    exactly(1, "a variant"),
    "`extract`: unpacks the packages and runs none of their scripts.",
);
static INCLUDE_PACKAGES: Kind = leaf(
    "include",
    "include \"ca-certificates\"",
    at_least(1, "packages"),
    "More packages, with what they depend on.",
);
static COMPONENT: Kind = leaf(
    "component",
    "component \"main\" \"contrib\"",
    at_least(1, "archive areas"),
    "Areas of the archive; `main` when none is named.",
);

static OCI_LAYOUT: Kind = Kind {
    props: Props::Known(&[prop("ref", "name of the image in the layout")]),
    ..single(
        "oci-layout",
        "oci-layout \"DIR\" ref=\"NAME\"",
        exactly(1, "a folder"),
        "An image out of an OCI layout on disk.",
    )
};

static PLATFORMS: Kind = Kind {
    props: Props::Known(&[prop("except", "platforms to leave out of the default, with commas")]),
    ..single(
        "platforms",
        "platforms \"linux/amd64\" \"linux/arm64\"",
        at_least(0, "platforms"),
        "Platforms of this node.",
    )
};

static TAGS: Kind = leaf(
    "tags",
    "tags \"1.27\" \"latest\"",
    at_least(1, "tags"),
    "Tags; `latest` when none is named.",
);
static ENV: Kind = Kind {
    props: Props::Free,
    ..leaf(
        "env",
        "env NAME=\"value\"",
        between(0, 2, "a name and a value"),
        "Variables of the environment.",
    )
};
static LABEL: Kind = Kind {
    props: Props::Free,
    ..leaf(
        "label",
        "label \"org.opencontainers.image.vendor\" \"Acme\"",
        between(0, 2, "a name and a value"),
        "Labels of the image.",
    )
};
static ENTRYPOINT: Kind = single(
    "entrypoint",
    "entrypoint \"program\" \"word\"",
    at_least(1, "words"),
    "The program a container starts; the command of the image below no longer counts.",
);
static CMD: Kind = single(
    "cmd",
    "cmd \"program\" \"word\"",
    at_least(1, "words"),
    "The default command, or the default words for the entry point.",
);
static EXPOSE: Kind =
    leaf("expose", "expose \"80/tcp\"", at_least(1, "ports"), "Ports that the program listens on.");
static VOLUME: Kind =
    leaf("volume", "volume \"/data\"", at_least(1, "paths"), "Paths that hold data of their own.");
static WORKDIR: Kind =
    single("workdir", "workdir \"/app\"", exactly(1, "a path"), "The working directory.");
static USER: Kind =
    single("user", "user \"app:app\"", exactly(1, "a user"), "The user, `user[:group]`.");
static STOP_SIGNAL: Kind = single(
    "stop-signal",
    "stop-signal \"SIGTERM\"",
    exactly(1, "a signal"),
    "The signal that stops a container.",
);

static IMAGE: Kind = Kind {
    children: Children::Known(&[
        &FROM,
        &CONTEXT,
        &ARG,
        &STEPS,
        &PLATFORMS,
        &TAGS,
        &ENV,
        &LABEL,
        &ENTRYPOINT,
        &CMD,
        &EXPOSE,
        &VOLUME,
        &WORKDIR,
        &USER,
        &STOP_SIGNAL,
    ]),
    later: &[
        "matrix",
        "use",
        "dockerfile",
        "target",
        "named-context",
        "mode",
        "secret",
        "publish",
        "test",
        "arch-tags",
        "registry",
        "follow",
    ],
    ..leaf("image", "image \"NAME\" { … }", exactly(1, "a name"), "A node built from another node.")
};

static FROM: Kind =
    single("from", "from \"NAME\"", exactly(1, "a base or image"), "The node below, or `scratch`.");
static CONTEXT: Kind = single(
    "context",
    "context \"dir\"",
    exactly(1, "a folder"),
    "The folder that `copy` takes files from; that of the file when none is named.",
);
static ARG: Kind = leaf(
    "arg",
    "arg \"NAME\" \"value\"",
    exactly(2, "a name and a value"),
    "The value of an argument that a step declares.",
);

static STEPS: Kind = Kind {
    children: Children::Known(&[
        &COPY,
        &ADD,
        &STEP_FILE,
        &MKDIR,
        &SYMLINK,
        &REMOVE,
        &RUN,
        &STEP_ENV,
        &STEP_WORKDIR,
        &STEP_USER,
        &SHELL,
        &STEP_ARG,
    ]),
    later: &["packages"],
    ..single("steps", "steps { … }", NO_ARGS, "Instructions, in order.")
};

static COPY: Kind = Kind {
    props: Props::Known(&[prop("from", "node to copy from in place of the context"), CHOWN, MODE]),
    ..leaf(
        "copy",
        "copy \"SOURCE\" \"/dest/\"",
        at_least(2, "sources and a destination"),
        "Copies files of the context or of another node.",
    )
};
static ADD: Kind = Kind {
    props: Props::Known(&[CHOWN, MODE, prop("checksum", "digest of a fetched file, `sha256:…`")]),
    ..leaf(
        "add",
        "add \"https://…\" \"/dest/\"",
        at_least(2, "sources and a destination"),
        "Copies, unpacking local archives and fetching addresses.",
    )
};
static STEP_FILE: Kind = Kind {
    props: Props::Known(&[CHOWN, MODE]),
    ..leaf(
        "file",
        "file \"/path\" \"content\"",
        exactly(2, "a path and the content"),
        "Writes a file.",
    )
};
static MKDIR: Kind = Kind {
    props: Props::Known(&[CHOWN, MODE]),
    ..leaf("mkdir", "mkdir \"/path\"", at_least(1, "paths"), "Makes directories, parents included.")
};
static SYMLINK: Kind = leaf(
    "symlink",
    "symlink \"target\" \"/path\"",
    exactly(2, "a target and a path"),
    "Makes a symbolic link.",
);
static REMOVE: Kind =
    leaf("remove", "remove \"/path\"", at_least(1, "paths"), "Removes files and directories.");
static RUN: Kind = Kind {
    props: Props::Known(&[prop("network", "`none`: loopback alone")]),
    ..leaf(
        "run",
        "run \"shell text\"",
        at_least(1, "a command"),
        "Runs a shell text (one value) or a program with its words (more values).",
    )
};
static STEP_ENV: Kind =
    Kind { doc: "Variables for the steps after it and for the image.", ..shared(&ENV) };
static STEP_WORKDIR: Kind =
    Kind { once: false, doc: "Sets the working directory and makes it.", ..shared(&WORKDIR) };
static STEP_USER: Kind = Kind {
    once: false,
    doc: "The user for the steps after it and for the image.",
    ..shared(&USER)
};
static SHELL: Kind = leaf(
    "shell",
    "shell \"/bin/sh\" \"-c\"",
    at_least(1, "words"),
    "The words before the text of a shell-form `run`.",
);
static STEP_ARG: Kind = leaf(
    "arg",
    "arg \"NAME\" \"default\"",
    between(1, 2, "a name and a default"),
    "An argument that the steps after it see as a variable.",
);

/// A copy of a row, to change a part of.
const fn shared(kind: &Kind) -> Kind {
    Kind {
        name: kind.name,
        doc: kind.doc,
        usage: kind.usage,
        args: kind.args,
        props: kind.props,
        children: kind.children,
        later: kind.later,
        once: kind.once,
    }
}

impl Kind {
    /// Kinds that may stand in its block.
    pub fn children(&self) -> &'static [&'static Kind] {
        match self.children {
            Children::None => &[],
            Children::Known(kinds) => kinds,
        }
    }

    /// The kind of a child by its name.
    pub fn child(&self, name: &str) -> Option<&'static Kind> {
        self.children().iter().copied().find(|kind| kind.name == name)
    }

    /// The properties that have a name of their own.
    pub fn props(&self) -> &'static [Prop] {
        match self.props {
            Props::Known(props) => props,
            Props::Free => &[],
        }
    }
}

/// What to write in place of a node that this version does not build.
pub(crate) fn instead_of(name: &str) -> &'static str {
    match name {
        "matrix" => "write one `image` for each combination",
        "template" | "use" => "write the nodes into each image",
        "dockerfile" | "target" | "named-context" => "write the instructions into `steps { … }`",
        "packages" => "install the packages with `run`, or with `include` in a `debian` base",
        "registry" | "follow" | "strict-bases" => {
            "take the base from a `rootfs`, a `debian` archive or an `oci-layout`, and remove this"
        }
        "updates" | "security" | "trim" => "remove it; the suite is taken as it is",
        "test" | "on" => "remove it, and run what it would run after the build",
        _ => "remove it",
    }
}

/// Whether a word names a node that can only stand at the top of a file.
pub(crate) fn starts_node(word: &str) -> bool {
    matches!(word, "mabuild" | "let" | "base" | "image" | "group")
}
