//! What is done for one node: look its key up, build it if there is no result, remember it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mabuild_oci::{Descriptor, Digest, media_type};
use mabuild_sandbox::CancelHandle;

use super::progress::NodeProgress;
use crate::event::{End, Failure, FailureKind, Listener, Phases};
use crate::exec::{Built, Executor, Fault, Knobs, Outcome, Private};
use crate::graph::{Graph, NodeId, Part};
use crate::key::{Key, Record, key};
use crate::plan::{SpecError, Specs, index_key, resolve};
use crate::publish::assemble;
use crate::spec::BuildSpec;
use crate::store::{At, BuildRow, ResultKind, ResultRow, Store};

/// Gives what only the steps of a node may see.
pub trait Privates: Send + Sync {
    /// The secrets and agents of a node.
    fn of(&self, node: NodeId) -> Arc<Private>;
}

/// Gives results that are kept elsewhere.
pub trait Remembered: Send + Sync {
    /// The manifest that a node has with this key, where a registry keeps it.
    fn result(&self, node: NodeId, key: &Key) -> Option<Arc<str>>;
    /// The manifest of a spec that takes an image of a registry as it is.
    fn given(&self, spec: &BuildSpec) -> Option<Arc<str>>;
    /// The descriptor of a manifest that is not in the store.
    fn descriptor(&self, digest: &Digest) -> Option<Descriptor>;
    /// Keeps what a node was built from where other machines find it.
    fn keep(&self, node: NodeId, key: &Key, spec: &BuildSpec);
}

/// What all tasks of a run share.
pub struct Shared {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Specs of the platform nodes.
    pub specs: Arc<dyn Specs>,
    /// Where results go.
    pub store: Arc<Store>,
    /// Who builds.
    pub executor: Arc<dyn Executor>,
    /// Name of the project in the store.
    pub project: String,
    /// Number of this run in the store.
    pub run: i64,
    /// Threads that work on layers.
    pub threads: usize,
    /// Keys of the nodes that were up to date from the start.
    pub kept: HashMap<NodeId, Key>,
    /// Nodes that are built even when there is a result.
    pub forced: std::collections::HashSet<NodeId>,
    /// What registries keep.
    pub remembered: Arc<dyn Remembered>,
    /// Secrets and agents of nodes.
    pub private: Arc<dyn Privates>,
    /// Whether steps run again although their layers are in the store.
    pub fresh: bool,
    /// Whether each node is built twice to see whether the same comes out.
    pub verify: bool,
    /// Busy time by phase, summed over all nodes.
    pub phases: Mutex<Phases>,
}

impl Shared {
    /// Seconds that the last build of a node took.
    pub fn expected(&self, node: NodeId) -> Option<f64> {
        self.store.seconds(&self.project, &self.graph.name(node))
    }

    fn at<'a>(&'a self, node: &'a str) -> At<'a> {
        At { project: &self.project, node, run: self.run }
    }
}

/// Brings one node up to date. `parents` are the results of all that it needs.
pub(super) fn work(
    shared: &Arc<Shared>,
    node: NodeId,
    parents: &HashMap<NodeId, Arc<str>>,
    listener: &Arc<dyn Listener>,
    cancel: &CancelHandle,
) -> End {
    if cancel.is_cancelled() {
        return End::Cancelled;
    }
    match shared.graph.node(node).part {
        Part::Index => index(shared, node, parents),
        Part::On(_) => platform(shared, node, parents, listener, cancel),
    }
}

fn failed(fault: Fault, tail: Vec<String>, log: Option<String>) -> End {
    let Fault { kind, message, span, point } = fault;
    End::Failed(Failure { kind, message, span, tail, log, point })
}

fn broken(message: impl Into<String>) -> End {
    failed(Fault::new(FailureKind::Bug, message), vec![], None)
}

fn platform(
    shared: &Arc<Shared>,
    node: NodeId,
    parents: &HashMap<NodeId, Arc<str>>,
    listener: &Arc<dyn Listener>,
    cancel: &CancelHandle,
) -> End {
    let name = shared.graph.name(node);
    let draft = match shared.specs.spec(node, &|parent| parents.get(&parent).cloned()) {
        Ok(draft) => draft,
        // What a Dockerfile reads may only be known now that the image below it is built.
        Err(SpecError { message, span, blames_upstream }) => {
            let kind = match blames_upstream {
                true => FailureKind::Upstream,
                false => FailureKind::Step,
            };
            return failed(Fault { span, ..Fault::new(kind, message) }, vec![], None);
        }
    };
    let spec = match resolve(draft, &|p| parents.get(&p).cloned().ok_or(p)) {
        Ok(spec) => spec,
        Err(p) => return broken(format!("{name} was started before {}", shared.graph.name(p))),
    };
    let key = key(&spec);
    // Another run over the same store may be building this very node: wait, then look again.
    let _guard = match shared.store.lock(&key.hex()) {
        Ok(guard) => guard,
        Err(e) => return failed(Fault::environment(e.to_string()), vec![], None),
    };
    if let Some(digest) = known(shared, node, &key, &spec) {
        let record = Record::of(&spec);
        if let Err(e) = shared.store.put_record(shared.at(&name), &key, &digest, &record) {
            return failed(Fault::environment(e.to_string()), vec![], None);
        }
        return End::Kept { digest };
    }
    let private = shared.private.of(node);
    let path = shared.store.log_path(shared.run, &name);
    let progress = match NodeProgress::new(node, path, listener, &private) {
        Ok(progress) => Arc::new(progress),
        Err(e) => return failed(Fault::environment(e), vec![], None),
    };
    let begun = Instant::now();
    let knobs = Knobs {
        cancel: cancel.clone(),
        threads: shared.threads,
        progress: progress.clone(),
        private,
        fresh: shared.fresh,
        apart: None,
    };
    let built = match twice(shared, &spec, &knobs, &name) {
        Outcome::Done(built) => built,
        Outcome::Cancelled => return End::Cancelled,
        Outcome::Failed(fault) => {
            let (tail, log) = progress.finish();
            return failed(fault, tail, log);
        }
    };
    progress.finish();
    shared.phases.lock().unwrap_or_else(PoisonError::into_inner).add(&built.phases);
    let row = ResultRow {
        digest: built.digest.to_string(),
        kind: ResultKind::Manifest,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let took = took(&built, row.seconds);
    let remembered =
        shared.store.put_build(shared.at(&name), &key, &row, &Record::of(&spec), &took);
    match remembered {
        Ok(()) => {
            shared.remembered.keep(node, &key, &spec);
            let Built { digest, executed, reused, bytes, .. } = built;
            End::Built { digest, executed, reused, bytes }
        }
        Err(e) => failed(Fault::environment(e.to_string()), vec![], None),
    }
}

/// The result that a node has already, in the store or elsewhere.
fn known(shared: &Shared, node: NodeId, key: &Key, spec: &BuildSpec) -> Option<Arc<str>> {
    if shared.forced.contains(&node) {
        return None;
    }
    let stored = shared.store.result(key).map(|row| row.digest.into());
    let remembered = &shared.remembered;
    stored.or_else(|| remembered.result(node, key)).or_else(|| remembered.given(spec))
}

/// Builds a spec; where that is asked for once more, apart from all that is in the store already, to
/// see whether the same comes out.
fn twice(shared: &Shared, spec: &BuildSpec, knobs: &Knobs, name: &str) -> Outcome {
    let first = match shared.executor.execute(spec, knobs) {
        Outcome::Done(built) => built,
        other => return other,
    };
    if !shared.verify {
        return Outcome::Done(first);
    }
    let apart = Some(format!("{} {name}", shared.run).into());
    let second = match shared.executor.execute(spec, &Knobs { apart, ..knobs.clone() }) {
        Outcome::Done(built) => built,
        other => return other,
    };
    if second.digest == first.digest {
        return Outcome::Done(first);
    }
    let difference = shared.executor.difference(&first.digest, &second.digest);
    Outcome::Failed(difference.map_or_else(
        |fault| fault,
        |what| {
            Fault::step(format!(
                "it is not reproducible: built twice, two images came out ({} and {}); the first \
                 thing that differs is {what}",
                first.digest, second.digest
            ))
        },
    ))
}

/// What a build took, as the store remembers it.
fn took(built: &Built, seconds: f64) -> BuildRow {
    let Phases { download, unpack, run_native, run_emulated, pack } = built.phases;
    let (reused, bytes) = (built.reused as u64, built.bytes);
    BuildRow { seconds, download, unpack, run_native, run_emulated, pack, reused, bytes }
}

fn index(shared: &Arc<Shared>, node: NodeId, parents: &HashMap<NodeId, Arc<str>>) -> End {
    let thing = shared.graph.node(node).thing;
    let mut members = Vec::new();
    for part in shared.graph.parts(thing) {
        let Some(digest) = parents.get(&part) else { continue };
        let Some(platform) = shared.graph.platform(part) else { continue };
        let name = shared.graph.name(part);
        // A node that was kept may have a record of an edit that was undone, or none at all when
        // another project built it.
        let known = shared.kept.get(&part).copied();
        let Some(key) = known.or_else(|| shared.store.last_key(&shared.project, &name)) else {
            return broken(format!("{name} was built without a record"));
        };
        members.push((platform.clone(), key, digest.clone()));
    }
    let plain: Vec<_> = members.iter().map(|(p, k, d)| (p.to_string(), *k, d.clone())).collect();
    let described = |digest: &str| {
        let digest = Digest::parse(digest).map_err(|e| e.to_string())?;
        match shared.store.layout().open_blob(&digest) {
            Ok((_, size)) => Ok(Descriptor::new(media_type::MANIFEST, digest, size)),
            Err(e) => shared.remembered.descriptor(&digest).ok_or_else(|| e.to_string()),
        }
    };
    let key = index_key(&plain);
    if let Some(row) = shared.store.result(&key) {
        return End::Kept { digest: row.digest.into() };
    }
    let stored =
        assemble(shared.store.layout(), &members, &described).and_then(|descriptor: Descriptor| {
            let row = ResultRow {
                digest: descriptor.digest.to_string(),
                kind: ResultKind::Index,
                seconds: 0.0,
            };
            shared.store.put_result(&key, &row).map_err(|e| e.to_string())?;
            Ok(descriptor)
        });
    match stored {
        Ok(descriptor) => End::Built {
            digest: descriptor.digest.to_string().into(),
            executed: 0,
            reused: 0,
            bytes: 0,
        },
        Err(e) => failed(Fault::environment(e), vec![], None),
    }
}
