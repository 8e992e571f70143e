//! One entry a verb; the only place that picks adapters. The environment, the clock and the
//! terminal stay with the caller.

pub mod copy;
mod drafts;
pub mod drawing;
pub mod export;
mod files;
mod history;
pub mod images;
mod init;
pub mod load;
mod lockfile;
mod memory;
mod oneoff;
mod planning;
mod private;
mod project;
pub mod publish;
mod rebuild;
pub mod shell;
pub mod stores;
mod supply;
mod upstream;
mod what_if;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;

pub use crate::exec::Private;
pub use crate::run::Cancel;
pub use files::Disk;
pub use history::{Comparison, RunName, RunRow, between, runs};
pub use init::{InitError, InitRequest, Initialised, init};
pub use lockfile::LOCK;
pub use oneoff::{Dockerfile, NamedContext, OneOff, OneProject, open_one};
pub use planning::{Explained, Planning, explain, plan};
pub use project::{Formatted, MAIN, Project, ProjectRequest, find_file, format, open, vars};
pub use rebuild::{Finished, rebuild};
pub use upstream::{Upstreams, Waiting, Whose, upstream};
pub use what_if::{What, what_if};

/// What the caller knows of the machine and the moment.
#[derive(Clone, Debug)]
pub struct Env {
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Environment variables that are text.
    pub vars: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub now: i64,
}

/// What a plan or a rebuild is asked for.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// Targets as typed; none means all.
    pub targets: Vec<String>,
    /// Platforms to keep to; none means all.
    pub platforms: Vec<Platform>,
    /// Nodes worked on at once; none means as many as the machine has processors.
    pub jobs: Option<usize>,
    /// Whether to go on after a failure.
    pub keep_going: bool,
    /// Targets that are built even when nothing changed.
    pub force: Vec<String>,
    /// Whether the network may not be used.
    pub offline: bool,
    /// Whether the lock stays as it is: what it lacks is an error.
    pub locked: bool,
    /// Whether steps run again although their layers are in the store.
    pub fresh: bool,
    /// Whether what is built is built twice to see whether the same comes out.
    pub verify: bool,
    /// Whether a run looks up why it builds what was built elsewhere before.
    pub explain: bool,
    /// Names that the targets get in the store, `NAME:TAG`, in place of those of their tags.
    pub names: Option<Vec<String>>,
    /// Secrets and agents given by the caller; they count for every image that names them.
    pub private: Private,
    /// Folder of the store.
    pub store: PathBuf,
}

/// What kind of failure; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The call or the file is wrong.
    User,
    /// This machine lacks something.
    Environment,
    /// An upstream could not be reached or serves something wrong.
    Upstream,
    /// A defect of the program.
    Bug,
}

/// Why a verb could not be carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct OpError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// Stable code, `mabuild::engine::…`.
    pub code: &'static str,
    /// What failed.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Place in the file.
    pub span: Option<Span>,
}

impl OpError {
    pub(crate) fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), help: None, span: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn store(error: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Environment, "mabuild::engine::store", error.to_string())
    }
}

/// The folder of the store: what is given, else `$MABUILD_STORE`, else XDG's data folder.
pub fn store_dir(env: &Env, given: Option<&Path>) -> Result<PathBuf, OpError> {
    let var = |name: &str| env.vars.get(name).filter(|v| !v.is_empty());
    let dir = if let Some(dir) = given {
        dir.to_owned()
    } else if let Some(dir) = var("MABUILD_STORE") {
        PathBuf::from(dir)
    } else if let Some(dir) = var("XDG_DATA_HOME").filter(|d| d.starts_with('/')) {
        Path::new(dir).join("mabuild")
    } else if let Some(home) = var("HOME") {
        Path::new(home).join(".local/share/mabuild")
    } else {
        return Err(OpError::new(
            ErrorKind::User,
            "mabuild::engine::store-unknown",
            "there is no place for the store: neither HOME nor XDG_DATA_HOME is set",
        )
        .help("name one with --store DIR or MABUILD_STORE"));
    };
    Ok(env.cwd.join(dir))
}
