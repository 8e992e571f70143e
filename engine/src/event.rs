//! The closed list of run events: everything a person or a program sees of a run.

use std::sync::Arc;
use std::time::Duration;

use mabuild_lang::source::Span;

use crate::graph::NodeId;

/// One thing that happened, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// A run starts: nodes to look at and how many are already known to be up to date.
    Started {
        /// Nodes in the plan.
        nodes: usize,
        /// Nodes that are kept.
        kept: usize,
    },
    /// Bytes come in.
    Download {
        /// What is fetched, for display.
        what: Arc<str>,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, when known.
        total: Option<u64>,
    },
    /// Bytes go out to a registry.
    Upload {
        /// The repository, `HOST/PATH`.
        to: Arc<str>,
        /// The blob that is sent, `sha256:…`.
        blob: Arc<str>,
        /// Bytes so far; fewer than before where some have to be sent again.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// Whether nothing more comes: the registry has the blob, or it was given up and nothing is
        /// done.
        is_over: bool,
    },
    /// A node is worked on.
    NodeStarted {
        /// The node.
        node: NodeId,
        /// Seconds its last build took, when known.
        expected: Option<f64>,
    },
    /// A step of a node begins.
    Step {
        /// The node.
        node: NodeId,
        /// Name of its stage; empty where there is one stage without a name.
        stage: Arc<str>,
        /// Position in its stage, from 1.
        number: usize,
        /// Steps of the stage.
        of: usize,
        /// The instruction, shortened to one line.
        text: String,
        /// Whether its layer came out of the store.
        cached: bool,
    },
    /// A line that a step printed.
    Output {
        /// The node.
        node: NodeId,
        /// The line, without its end; bytes that are no UTF-8 are replaced.
        line: String,
    },
    /// A node has ended.
    NodeEnded {
        /// The node.
        node: NodeId,
        /// How.
        end: End,
        /// Time it took.
        took: Duration,
    },
    /// Something that does not stop the run.
    Warning {
        /// What is wrong, and what follows.
        what: Arc<str>,
    },
    /// The run is over.
    Ended(Summary),
}

/// How a node ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Built; the digest of its manifest or index.
    Built {
        /// `sha256:…`
        digest: Arc<str>,
        /// `run` steps that were executed.
        executed: usize,
        /// Steps whose layer was reused.
        reused: usize,
        /// Bytes of layers written.
        bytes: u64,
    },
    /// Nothing had to be done.
    Kept {
        /// `sha256:…`
        digest: Arc<str>,
    },
    /// Failed.
    Failed(Failure),
    /// Not tried, because of another node.
    Skipped {
        /// The node that failed.
        because: NodeId,
    },
    /// The run was interrupted before it was done.
    Cancelled,
}

impl End {
    /// Whether a node was only put onto what lies below: all its layers were there already.
    pub fn is_rebased(&self) -> bool {
        matches!(self, Self::Built { executed: 0, reused: 1.., bytes: 0, .. })
    }
}

/// Why a node failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What kind of failure, for the exit code.
    pub kind: FailureKind,
    /// What failed and what to do.
    pub message: String,
    /// The instruction that failed.
    pub span: Option<Span>,
    /// Last lines of its output.
    pub tail: Vec<String>,
    /// File with the whole output.
    pub log: Option<String>,
    /// Name of the point before the step, where a shell can be opened.
    pub point: Option<String>,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// A step failed or an input is wrong.
    Step,
    /// This machine lacks something.
    Environment,
    /// An upstream could not be reached or serves something wrong.
    Upstream,
    /// A defect of the program.
    Bug,
}

/// Numbers of a whole run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Platform nodes that were built.
    pub built: usize,
    /// Those of them whose layers were all there already.
    pub rebased: usize,
    /// Platform nodes that were up to date.
    pub kept: usize,
    /// Nodes that failed.
    pub failed: usize,
    /// Nodes that were skipped because of a failure.
    pub skipped: usize,
    /// `run` steps that were executed.
    pub executed: usize,
    /// Steps whose layer was reused.
    pub reused: usize,
    /// Bytes of layers written.
    pub bytes: u64,
    /// Bytes that were downloaded.
    pub downloaded: u64,
    /// Wall time.
    pub took: Duration,
    /// Busy time by phase, in seconds: download, unpack, run (native), run (emulated), pack.
    pub phases: Phases,
    /// Longest chain of nodes by time, first to last.
    pub longest: Vec<NodeId>,
    /// Whether the run was interrupted.
    pub interrupted: bool,
}

/// Busy seconds by phase, summed over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    /// Waiting for bytes from the network.
    pub download: f64,
    /// Reading archives and unpacking layers.
    pub unpack: f64,
    /// Running steps on this machine's own processor.
    pub run_native: f64,
    /// Running steps under an emulator.
    pub run_emulated: f64,
    /// Making layers.
    pub pack: f64,
}

impl Phases {
    /// Adds the seconds of another.
    pub fn add(&mut self, other: &Self) {
        self.download += other.download;
        self.unpack += other.unpack;
        self.run_native += other.run_native;
        self.run_emulated += other.run_emulated;
        self.pack += other.pack;
    }
}

/// Takes events in order. Must not block for long: the run waits for it.
pub trait Listener: Send + Sync {
    /// One event.
    fn event(&self, event: &Event);
}
