//! Builds one spec. An executor gets exactly the value that was hashed, and [`Knobs`], which
//! cannot change a result.

pub mod native;

use std::path::PathBuf;
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;
use mabuild_sandbox::CancelHandle;

use crate::event::{FailureKind, Phases};
use crate::spec::BuildSpec;

/// What came of a build.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The image is in the store.
    Done(Built),
    /// A step failed or an input was wrong: data, no defect.
    Failed(Fault),
    /// The run was cancelled.
    Cancelled,
}

/// A finished image of one platform.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Manifest digest.
    pub digest: Arc<str>,
    /// `run` steps that were executed.
    pub executed: usize,
    /// Steps whose layer was reused.
    pub reused: usize,
    /// Bytes of compressed layers written.
    pub bytes: u64,
    /// Busy time by phase.
    pub phases: Phases,
}

/// Why a build failed.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What failed and what to do.
    pub message: String,
    /// The instruction that failed.
    pub span: Option<Span>,
}

impl Fault {
    /// A fault of the machine, a file or the store.
    pub fn environment(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Environment, message: message.into(), span: None }
    }

    /// A fault of a step or of an input.
    pub fn step(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Step, message: message.into(), span: None }
    }

    /// A fault of an upstream.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Upstream, message: message.into(), span: None }
    }

    /// Adds the instruction.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

/// What an executor tells while it works.
pub trait Progress: Send + Sync {
    /// A step begins; `number` counts from 1.
    fn step(&self, number: usize, of: usize, text: &str, cached: bool);
    /// A step printed something.
    fn output(&self, bytes: &[u8]);
}

/// What may differ from run to run without changing a result.
#[derive(Clone)]
pub struct Knobs {
    /// Ends everything that runs.
    pub cancel: CancelHandle,
    /// Threads that one layer may be packed with.
    pub threads: usize,
    /// Where progress goes.
    pub progress: Arc<dyn Progress>,
}

/// What an executor needs from outside, already verified when it arrives.
pub trait Supply: Send + Sync {
    /// A file of a pinned digest (`sha256:…`, `sha512:…`), as a path in the store or on disk.
    fn file(&self, digest: &str, location: &str) -> Result<PathBuf, Fault>;
    /// A static emulator that runs programs of a platform on this machine.
    fn emulator(&self, platform: &Platform) -> Result<PathBuf, Fault>;
}

/// Builds specs. Blocks; called on threads of its own.
pub trait Executor: Send + Sync {
    /// Builds one spec into the store.
    fn execute(&self, spec: &BuildSpec, knobs: &Knobs) -> Outcome;
}
