//! What is known of the world outside: files of contexts and upstreams. Values only; whoever
//! finds them out is in `track`.

mod archive;
mod hosts;
pub mod lock;
mod names;
mod upstream;
mod wild;

use std::collections::HashMap;
use std::sync::Arc;

pub use archive::{
    ALPINE_MIRROR, AlpineArchive, Archive, ArchiveKeys, DEBIAN_MIRROR, DEBIAN_SECURITY_MIRROR,
    DebianArchive, Distro, Family, Installed, PackagePin, PackageSet, ReleasePin,
};
pub use hosts::{HostLimit, HostSettings};
pub use names::{name_of, text_of};
pub use upstream::{
    AlpineAsk, AlpinePin, DebianAsk, DebianPin, DebianVariant, Follow, PackagesAsk, PackagesPin,
    Pin, Trim, UpstreamAsk, VERSION,
};
pub use wild::{Wild, has_wildcard, unescaped};

/// Files that a step reads from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilesAsk {
    /// Files of a build context.
    Context(ContextAsk),
    /// A file behind an address.
    Url {
        /// `http://…` or `https://…`.
        location: String,
        /// Digest that it must have, `sha256:…`.
        checksum: Option<String>,
    },
    /// The files of a git repository.
    Git(GitAsk),
}

/// Files of a build context.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextAsk {
    /// Absolute folder of the context.
    pub context: Arc<str>,
    /// Absolute path of the ignore file that counts in place of the context's own, when it is
    /// there: that of a Dockerfile.
    pub ignore: Option<Arc<str>>,
    /// Paths or globs below the context.
    pub sources: Vec<String>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Whether the directories of a source come along.
    pub parents: bool,
}

/// The files of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GitAsk {
    /// The repository.
    pub remote: String,
    /// Branch, tag or commit; the remote's own choice when there is none.
    pub reference: Option<String>,
    /// The folder of it that is wanted.
    pub folder: Option<String>,
    /// Whether `.git` comes along.
    pub keep_git_dir: bool,
    /// Commit that it must be.
    pub checksum: Option<String>,
}

impl ContextAsk {
    /// Asks for paths or globs of a context, as a plain `copy` does.
    pub fn of(context: Arc<str>, sources: Vec<String>) -> Self {
        Self { context, ignore: None, sources, exclude: Vec::new(), parents: false }
    }
}

/// What is known of an image before something is built on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its variables, in order.
    pub env: Vec<(String, String)>,
    /// Its `ONBUILD` instructions, as their texts.
    pub triggers: Vec<String>,
}

/// The files that a `copy` reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSet {
    /// Absolute folder that the paths start at. Not part of the key.
    pub root: Arc<str>,
    /// Matches of the sources in order of the sources; directories come with all below them.
    pub matches: Vec<Match>,
    /// blake3 over the canonical list of matches.
    pub digest: [u8; 32],
    /// Whether they came over the network. Not part of the key.
    pub fetched: bool,
}

/// One source that was matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Path below the context of the directory that the source named, links followed. Of a file
    /// the path as it was named: its last part is the name of the copy.
    pub path: String,
    /// The file itself, or what is copied of all below the directory, sorted; paths below the
    /// context, links followed. Nothing when the file itself is left out.
    pub files: Vec<FileFact>,
    /// Whether the source named a directory, whose content is copied without its own name.
    pub directory: bool,
}

/// One file of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Path below the context, with `/`; what is no UTF-8 stands as [`text_of`] has it.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub kind: FileKind,
}

/// What a file of a context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File {
        /// blake3 of the content.
        digest: [u8; 32],
        /// Bytes.
        size: u64,
    },
    /// A directory.
    Dir,
    /// A directory that comes along for what is in it, where only that was asked for.
    Parent,
    /// A symbolic link with its target.
    Symlink(String),
    /// One more name of a file of the same match, with the path of its first name.
    Hardlink(String),
    /// A named pipe.
    Fifo,
    /// A device.
    Device {
        /// Whether it is one of characters, and not of blocks.
        character: bool,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// All facts of a run.
#[derive(Debug, Default)]
pub struct Facts {
    files: HashMap<FilesAsk, Result<Arc<FileSet>, String>>,
    upstreams: HashMap<UpstreamAsk, Result<Arc<Pin>, FactError>>,
}

/// Why an upstream is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactError {
    /// What failed and what to do.
    pub message: String,
    /// Whether the upstream is to blame: out of reach, or serving what cannot be believed.
    pub blames_upstream: bool,
}

impl Facts {
    /// Records the files of a `copy`.
    pub fn put_files(&mut self, ask: FilesAsk, answer: Result<Arc<FileSet>, String>) {
        self.files.insert(ask, answer);
    }

    /// Records what an upstream is.
    pub fn put_upstream(&mut self, ask: UpstreamAsk, answer: Result<Arc<Pin>, FactError>) {
        self.upstreams.insert(ask, answer);
    }

    /// Takes over what others hold; theirs counts.
    pub fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.upstreams.extend(other.upstreams);
    }

    /// Whether an upstream was asked.
    pub fn knows_upstream(&self, ask: &UpstreamAsk) -> bool {
        self.upstreams.contains_key(ask)
    }

    /// Whether anything could not be found out.
    pub fn has_errors(&self) -> bool {
        self.files.values().any(Result::is_err) || self.upstreams.values().any(Result::is_err)
    }

    /// Whether the files of an ask were looked for.
    pub fn knows(&self, ask: &FilesAsk) -> bool {
        self.files.contains_key(ask)
    }

    /// The files of a `copy`.
    pub fn files(&self, ask: &FilesAsk) -> Result<Arc<FileSet>, String> {
        let answer = self.files.get(ask).cloned();
        answer.unwrap_or_else(|| {
            Err(match ask {
                FilesAsk::Context(ask) => format!("the context {} was not read", ask.context),
                FilesAsk::Url { location, .. } => format!("{location} was not fetched"),
                FilesAsk::Git(ask) => format!("{} was not fetched", ask.remote),
            })
        })
    }

    /// What an upstream is.
    pub fn upstream(&self, ask: &UpstreamAsk) -> Result<Arc<Pin>, FactError> {
        self.upstreams.get(ask).cloned().unwrap_or_else(|| {
            Err(FactError { message: "the upstream was not asked".into(), blames_upstream: false })
        })
    }
}
