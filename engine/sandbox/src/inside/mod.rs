//! What a handler can do in its helper, where it is root of a user and a mount namespace.

pub(crate) mod devices;
pub(crate) mod diagnose;
pub(crate) mod disk;
pub(crate) mod init;
pub(crate) mod memory;
pub(crate) mod overlay;
pub(crate) mod picks;
pub(crate) mod points;
pub(crate) mod procfs;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod root;
pub(crate) mod stage;
pub(crate) mod tree;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::helper;
use crate::spec::{RunResult, RunSpec};
use crate::wire::{Channel, Tag};

/// Why something inside did not work, in words that name the path and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// This kernel or file system cannot do it; another way may work.
    #[error("{0}")]
    Unsupported(String),
    /// It was stopped, because the space of [`MinFree`](crate::MinFree) was not left.
    #[error("{0}")]
    DiskFull(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    pub(crate) fn failed(what: impl std::fmt::Display, error: impl Into<io::Error>) -> Self {
        Self::Failed(format!("{what}: {}", error.into()))
    }

    /// Makes a closure for `map_err` that says what was tried.
    pub(crate) fn at<E: Into<io::Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self::failed(what, error)
    }
}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

/// Result of what is done inside.
pub type Result<T> = std::result::Result<T, Error>;

/// The helper, as its handler sees it.
#[derive(Debug)]
pub struct Context {
    channel: Channel,
    single: bool,
    stdin: Option<OwnedFd>,
}

/// What the stage of a run gets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StageSpec {
    pub run: RunSpec,
    pub single: bool,
}

impl Context {
    pub(crate) fn new(channel: Channel, single: bool, stdin: Option<OwnedFd>) -> Self {
        Self { channel, single, stdin }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Tells whether only one id is mapped, so that owners must be emulated.
    pub fn has_single_id(&self) -> bool {
        self.single
    }

    /// Mounts an overlay at `target`, an existing directory: `lowers` from the topmost down, changes
    /// in `upper`, and `work` an empty directory beside `upper` that no other overlay has used.
    /// Without lowers `upper` itself appears at `target`. The mount ends with the helper.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when this kernel, or the file system of `upper`, cannot do it: copy the layers instead.
    pub fn overlay(
        &mut self,
        lowers: &[PathBuf],
        upper: &Path,
        work: &Path,
        target: &Path,
    ) -> Result<()> {
        overlay::mount(lowers, upper, work, target)
    }

    /// Mounts a file system in memory at `target`, an existing directory; it takes `bytes` at most.
    /// The mount ends with the helper.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when this kernel cannot keep all that files have in memory: Linux
    /// before 6.6 has no user attributes there.
    pub fn memory(&mut self, target: &Path, bytes: u64) -> Result<()> {
        memory::mount(target, bytes)
    }

    /// Ends the topmost mount at `target`.
    ///
    /// # Errors
    /// [`Error::Failed`] when nothing is mounted there.
    pub fn unmount(&mut self, target: &Path) -> Result<()> {
        rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH)
            .map_err(Error::at(format_args!("cannot unmount {}", target.display())))
    }

    /// Runs a program and waits for it and for everything that it started. A program that cannot
    /// be found or executed is a result (127, 126), with the reason on the output.
    ///
    /// # Errors
    /// [`Error`] when the sandbox around the program could not be made.
    pub fn run(&mut self, spec: &RunSpec) -> Result<RunResult> {
        let lost = "lost the process that runs the program";
        let (mut stage, other) = Channel::pair().map_err(Error::at("cannot make a socket"))?;
        // Only the program's own environment may be found in /proc of the processes inside.
        let mut child = Command::new("/proc/self/exe")
            .arg0(helper::STAGE)
            .arg(std::process::id().to_string())
            .env_clear()
            .stdin(Stdio::from(other))
            .spawn()
            .map_err(Error::at("cannot start the stage of a run from /proc/self/exe"))?;
        let result = self.attend(&mut stage, spec).map_err(Error::at(lost));
        drop(stage);
        if result.is_err() {
            // It may have ended already.
            let _ = child.kill();
        }
        let status = child.wait().map_err(Error::at(lost))?;
        result?.unwrap_or_else(|| Err(Error::Failed(format!("{lost} ({status})"))))
    }

    /// Serves the stage of a run until it has a result; `None` when it ended without one.
    fn attend(
        &mut self,
        stage: &mut Channel,
        spec: &RunSpec,
    ) -> io::Result<Option<Result<RunResult>>> {
        let spec = StageSpec { run: spec.clone(), single: self.single };
        let stdin = self.stdin.as_ref().map(AsFd::as_fd);
        stage.send(Tag::Go, &serde_json::to_vec(&spec)?, stdin)?;
        while let Some(frame) = stage.receive()? {
            match frame.tag {
                // The caller must know of pid 1 before it begins, to kill it when asked to.
                Tag::Init => {
                    self.channel.send(Tag::Init, &[], frame.fd.as_ref().map(AsFd::as_fd))?;
                    while self.channel.receive()?.is_some_and(|frame| frame.tag != Tag::Known) {}
                    stage.send(Tag::Known, &[], None)?;
                }
                Tag::Terminal => {
                    self.channel.send(frame.tag, &[], frame.fd.as_ref().map(AsFd::as_fd))?;
                }
                Tag::Done => return Ok(Some(Ok(serde_json::from_slice(&frame.payload)?))),
                Tag::Failed => return Ok(Some(Err(serde_json::from_slice(&frame.payload)?))),
                _ => {}
            }
        }
        Ok(None)
    }
}
