//! Builds one spec. An executor gets exactly the value that was hashed, and [`Knobs`], which
//! cannot change a result.

pub mod native;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;
use mabuild_oci::Descriptor;
use mabuild_sandbox::CancelHandle;

use crate::event::{FailureKind, Phases};
use crate::facts::{Archive, PackagePin};
use crate::key::{Key, Value, hash_fields};
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

impl Built {
    /// Adds what was done for another stage.
    pub fn add(&mut self, other: &Self) {
        self.executed += other.executed;
        self.reused += other.reused;
        self.bytes += other.bytes;
        self.phases.add(&other.phases);
    }
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
    /// Name of the point before the step that failed, where a shell can be opened.
    pub point: Option<String>,
}

impl Fault {
    /// A fault of some kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span: None, point: None }
    }

    /// A fault of the machine, a file or the store.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Environment, message)
    }

    /// A fault of a step or of an input.
    pub fn step(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Step, message)
    }

    /// A fault of an upstream.
    pub fn upstream(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Upstream, message)
    }

    /// Adds the instruction.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

/// Which step it is.
#[derive(Clone, Copy, Debug)]
pub struct StepAt<'a> {
    /// Name of its stage; empty where there is one stage without a name.
    pub stage: &'a str,
    /// Its number in the stage, from 1.
    pub number: usize,
    /// Steps of the stage.
    pub of: usize,
}

/// Values that only the step that names them sees: in no key, layer, log or history.
#[derive(Clone, Default)]
pub struct Private {
    /// Secrets by name.
    pub secrets: BTreeMap<String, Arc<[u8]>>,
    /// Sockets of ssh agents by name.
    pub agents: BTreeMap<String, PathBuf>,
    /// Variables of every step, such as those of a proxy.
    pub proxy: Vec<(String, String)>,
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secrets: Vec<&String> = self.secrets.keys().collect();
        f.debug_struct("Private").field("secrets", &secrets).finish_non_exhaustive()
    }
}

/// What an executor tells while it works.
pub trait Progress: Send + Sync {
    /// A step begins.
    fn step(&self, at: StepAt<'_>, text: &str, cached: bool);
    /// A step printed something.
    fn output(&self, bytes: &[u8]);
}

/// What may differ from run to run without changing a result.
#[derive(Clone)]
pub struct Knobs {
    /// Ends everything that runs.
    pub cancel: CancelHandle,
    /// Threads that work on layers; those who do share them.
    pub threads: usize,
    /// Where progress goes.
    pub progress: Arc<dyn Progress>,
    /// What no key knows.
    pub private: Arc<Private>,
    /// Whether steps run again although their layers are in the store.
    pub fresh: bool,
    /// Sets what is made apart from what is in the store already, so that all is made anew; none to
    /// share it.
    pub apart: Option<Arc<str>>,
}

impl Knobs {
    /// The name that something made under a key has in the store.
    pub fn place(&self, key: Key) -> Key {
        match &self.apart {
            None => key,
            Some(word) => {
                let fields = [("word", Value::Text(word)), ("key", Value::Digest(&key.0))];
                hash_fields("apart", &fields)
            }
        }
    }
}

/// What an executor needs from outside, already verified when it arrives.
pub trait Supply: Send + Sync {
    /// A file of a pinned digest (`sha256:…`, `sha512:…`), as a path in the store or on disk.
    fn file(&self, digest: &str, location: &str) -> Result<PathBuf, Fault>;
    /// The file of a pinned package out of its archive, as a path in the store.
    fn package(&self, archive: &Archive, package: &PackagePin) -> Result<PathBuf, Fault>;
    /// Brings an image of a registry, whose manifest digest is pinned, into the store's layout.
    fn image(&self, manifest: &str, location: &str) -> Result<(), Fault>;
    /// Brings the manifest and the config of an image that is kept elsewhere into the store's
    /// layout; its layers come by [`Supply::bring_blobs`].
    fn bring_image(&self, manifest: &str) -> Result<(), Fault>;
    /// Brings blobs that are kept elsewhere into the store's layout, side by side; what is there is
    /// left as it is.
    fn bring_blobs(&self, blobs: &[Descriptor]) -> Result<(), Fault>;
    /// Looks up what a step made elsewhere; where it is known the store knows it afterwards. Gives
    /// whether it is.
    fn recall_step(&self, key: &Key) -> bool;
    /// Hands what a step made on, for other machines.
    fn keep_step(&self, key: &Key);
    /// A static emulator that runs programs of a platform on this machine.
    fn emulator(&self, platform: &Platform) -> Result<PathBuf, Fault>;
}

/// Builds specs. Blocks; called on threads of its own.
pub trait Executor: Send + Sync {
    /// Builds one spec into the store.
    fn execute(&self, spec: &BuildSpec, knobs: &Knobs) -> Outcome;
    /// The first thing that differs between two images of the store, by their manifests.
    fn difference(&self, one: &str, other: &str) -> Result<String, Fault>;
}
