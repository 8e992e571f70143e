//! Plan: selection, facts, specs, keys, actions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mabuild_lang::source::Span;
use rayon::prelude::*;

use super::{Env, ErrorKind, OpError, Project, RunRequest};
use crate::event::{Event, Listener};
use crate::facts::{Facts, FilesAsk, UpstreamAsk};
use crate::graph::{Graph, NodeId, Selection, select};
use crate::key::{Key, Record};
use crate::lower::{LowerError, Lowered};
use crate::plan::{History, Plan, Reason, Request, SpecError, Specs, own, plan as make_plan};
use crate::spec::{AskedSpec, Copy, Draft, DraftSpec, Inputs, Op, Source};
use crate::store::Store;
use crate::track::{Tracking, find_facts};

/// Nodes that one thread asks for facts at least.
const ASKED: usize = 256;

/// A plan with what it was made from.
#[derive(Debug)]
pub struct Planning {
    /// Targets and what they need.
    pub selection: Selection,
    /// What is to be done.
    pub plan: Plan,
    /// The spec of each platform node.
    pub specs: Arc<dyn Specs>,
    /// Nodes that are built even when nothing changed.
    pub forced: HashSet<NodeId>,
}

/// What the store remembers of a project.
struct Remembered<'a> {
    store: &'a Store,
    project: &'a str,
}

impl History for Remembered<'_> {
    fn result(&self, key: &Key) -> Option<Arc<str>> {
        self.store.result(key).map(|row| row.digest.into())
    }

    fn results(&self, keys: &[Key]) -> Vec<Option<Arc<str>>> {
        self.store.digests(keys)
    }

    fn last(&self, node: &str) -> Option<Record> {
        self.store.record(self.project, node).map(|(_, record)| record)
    }
}

/// What a rebuild would do. Changes nothing but what the store remembers of upstreams and files.
pub fn plan(env: &Env, project: &Project, request: &RunRequest) -> Result<Planning, OpError> {
    let store = Store::open(&request.store).map_err(OpError::store)?;
    let _use = store.use_guard().map_err(OpError::store)?;
    let store = Arc::new(store);
    plan_in(project, request, &store, &tracking(env, request, &store, None)?)
}

/// A plan, and why nodes that are `maybe` would be stale by themselves.
#[derive(Debug)]
pub struct Explained {
    /// What is to be done.
    pub planning: Planning,
    /// See [`crate::plan::own`].
    pub own: HashMap<NodeId, Reason>,
}

/// What a rebuild would do, with all that can be said about why. Changes as little as [`plan`].
pub fn explain(env: &Env, project: &Project, request: &RunRequest) -> Result<Explained, OpError> {
    let store = Store::open(&request.store).map_err(OpError::store)?;
    let _use = store.use_guard().map_err(OpError::store)?;
    let store = Arc::new(store);
    let planning = plan_in(project, request, &store, &tracking(env, request, &store, None)?)?;
    let history = Remembered { store: &store, project: &project.name };
    let own = own(&lowered(project)?.graph, &planning.plan, &*planning.specs, &history);
    Ok(Explained { planning, own })
}

/// The graph of a project without errors.
pub(super) fn lowered(project: &Project) -> Result<&Arc<Lowered>, OpError> {
    project.lowered.as_ref().ok_or_else(|| {
        OpError::new(
            ErrorKind::User,
            "mabuild::engine::bad-file",
            format!("{} has errors", project.main.display()),
        )
        .help("see them with `mabuild check`")
    })
}

pub(super) fn chosen(
    graph: &Graph,
    targets: &[String],
    request: &RunRequest,
) -> Result<Selection, OpError> {
    select(graph, targets, &request.platforms).map_err(|e| {
        OpError::new(ErrorKind::User, "mabuild::engine::target", e.to_string())
            .help("`mabuild graph show` lists every node")
    })
}

pub(super) fn plan_in(
    project: &Project,
    request: &RunRequest,
    store: &Store,
    tracking: &Tracking,
) -> Result<Planning, OpError> {
    let lowered = lowered(project)?;
    let graph = &lowered.graph;
    let selection = chosen(graph, &request.targets, request)?;
    let forced = match request.force.is_empty() {
        true => HashSet::new(),
        false => chosen(graph, &request.force, request)?.targets.into_iter().collect(),
    };
    let specs: Arc<dyn Specs> = Arc::new(Drafts::new(lowered, &selection, tracking));
    let history = Remembered { store, project: &project.name };
    let plan = make_plan(
        graph,
        &Request {
            selection: &selection,
            specs: &*specs,
            history: &history,
            forced: &|node| forced.contains(&node),
        },
    );
    Ok(Planning { selection, plan, specs, forced })
}

/// Specs with their facts. Made when they are asked for: held for every node, they would be most
/// of the memory of a plan.
#[derive(Debug)]
struct Drafts {
    lowered: Arc<Lowered>,
    facts: Facts,
    /// Nodes whose spec may not be known.
    doubtful: HashSet<NodeId>,
}

impl Drafts {
    /// Finds out what the specs of a selection ask of the world outside.
    fn new(lowered: &Arc<Lowered>, selection: &Selection, tracking: &Tracking) -> Self {
        let asks = selection
            .needed
            .par_iter()
            .with_min_len(ASKED)
            .filter(|node| !lowered.asks_nothing(**node))
            .filter_map(|node| Some((*node, lowered.spec(*node)?)))
            .fold(Asks::default, |asks, (node, spec)| asks.with(node, spec))
            .reduce(Asks::default, Asks::and);
        let mut files: Vec<FilesAsk> = asks.files.into_iter().collect();
        // Neighbours read the same folders.
        files.sort_unstable_by(|a, b| {
            (&a.context, &a.sources, &a.checksum).cmp(&(&b.context, &b.sources, &b.checksum))
        });
        let mut seen = HashSet::new();
        let mut upstreams = asks.upstreams;
        upstreams.retain(|ask| seen.insert(ask.clone()));
        let facts = find_facts(tracking, files, upstreams);
        let mut doubtful: HashSet<NodeId> = asks.failed.into_iter().collect();
        if facts.has_errors() {
            doubtful.extend(asks.asking);
        }
        Self { lowered: lowered.clone(), facts, doubtful }
    }
}

impl Specs for Drafts {
    fn spec(&self, node: NodeId) -> Result<DraftSpec, SpecError> {
        let here = self.lowered.span(self.lowered.graph.node(node).thing);
        let wrong = |message: String, span: Option<Span>, blames_upstream: bool| SpecError {
            message,
            span,
            blames_upstream,
        };
        let asked = match self.lowered.spec(node) {
            Some(asked) => asked.map_err(|e| wrong(e.message, Some(e.span), false))?,
            None => return Err(wrong("no spec is made for it".to_owned(), here, false)),
        };
        // A missing file is shown at its own instruction.
        for (span, ask) in files_of(&asked) {
            self.facts.files(ask).map_err(|message| wrong(message, Some(span), false))?;
        }
        asked.advance::<Draft, SpecError>(
            Ok,
            |ask| self.facts.files(&ask).map_err(|message| wrong(message, here, false)),
            |ask| self.facts.upstream(&ask).map_err(|e| wrong(e.message, here, e.blames_upstream)),
        )
    }

    fn is_doubtful(&self, node: NodeId) -> bool {
        self.doubtful.contains(&node)
    }
}

/// The files of contexts that a spec copies, with the place of the instruction.
fn files_of(spec: &AskedSpec) -> impl Iterator<Item = (Span, &FilesAsk)> {
    spec.steps.iter().filter_map(|step| match &step.op {
        Op::Copy(Copy { inputs: Inputs::Context(ask), .. }) => Some((step.span, ask)),
        _ => None,
    })
}

/// What specs ask of the world outside.
#[derive(Default)]
struct Asks {
    files: HashSet<FilesAsk>,
    upstreams: Vec<UpstreamAsk>,
    /// Nodes that ask for anything.
    asking: Vec<NodeId>,
    /// Nodes without a spec.
    failed: Vec<NodeId>,
}

impl Asks {
    fn with(mut self, node: NodeId, spec: Result<AskedSpec, LowerError>) -> Self {
        let Ok(spec) = spec else {
            self.failed.push(node);
            return self;
        };
        let mut asking = false;
        for (_, ask) in files_of(&spec) {
            asking = true;
            if !self.files.contains(ask) {
                self.files.insert(ask.clone());
            }
        }
        if let Source::Upstream(ask) = spec.source {
            asking = true;
            self.upstreams.push(ask);
        }
        if asking {
            self.asking.push(node);
        }
        self
    }

    fn and(mut self, mut other: Self) -> Self {
        self.upstreams.append(&mut other.upstreams);
        self.asking.append(&mut other.asking);
        self.failed.append(&mut other.failed);
        if self.files.len() < other.files.len() {
            std::mem::swap(&mut self.files, &mut other.files);
        }
        self.files.extend(other.files);
        self
    }
}

/// The adapters that look at the world outside; what they download is told to the listener.
pub(super) fn tracking(
    env: &Env,
    request: &RunRequest,
    store: &Arc<Store>,
    listener: Option<&Arc<dyn Listener>>,
) -> Result<Tracking, OpError> {
    let tracking = Tracking::new(store.clone(), &env.vars, env.now, request.offline)
        .map_err(|e| OpError::new(ErrorKind::Environment, "mabuild::engine::network", e))?;
    if let Some(listener) = listener.cloned() {
        tracking.on_download(Arc::new(move |what: &str, done, total| {
            listener.event(&Event::Download { what: what.into(), done, total });
        }));
    }
    Ok(tracking)
}
