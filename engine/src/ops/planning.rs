//! Plan: selection, facts, specs, keys, actions.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Env, ErrorKind, OpError, Project, RunRequest};
use crate::event::{Event, Listener};
use crate::facts::{Facts, FilesAsk, UpstreamAsk};
use crate::graph::{Graph, NodeId, Selection, select};
use crate::key::{Key, Record};
use crate::lower::Lowered;
use crate::plan::{History, Plan, Reason, Request, SpecError, own, plan as make_plan};
use crate::spec::{AskedSpec, Draft, DraftSpec, Inputs, Op, Source};
use crate::store::Store;
use crate::track::{Tracking, find_facts};

/// A plan with what it was made from.
#[derive(Debug)]
pub struct Planning {
    /// Targets and what they need.
    pub selection: Selection,
    /// What is to be done.
    pub plan: Plan,
    /// The spec of each platform node.
    pub specs: Arc<HashMap<NodeId, Result<DraftSpec, SpecError>>>,
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
    let own = own(&lowered(project)?.graph, &planning.plan, &planning.specs, &history);
    Ok(Explained { planning, own })
}

/// The graph of a project without errors.
pub(super) fn lowered(project: &Project) -> Result<&Lowered, OpError> {
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
    let specs = Arc::new(specs(lowered, &selection, tracking));
    let history = Remembered { store, project: &project.name };
    let plan = make_plan(
        graph,
        &Request {
            selection: &selection,
            specs: &specs,
            history: &history,
            forced: &|node| forced.contains(&node),
        },
    );
    Ok(Planning { selection, plan, specs, forced })
}

type Specs = HashMap<NodeId, Result<DraftSpec, SpecError>>;

fn specs(lowered: &Lowered, selection: &Selection, tracking: &Tracking) -> Specs {
    let asked: Vec<(NodeId, Result<AskedSpec, SpecError>)> = selection
        .needed
        .par_iter()
        .filter_map(|node| {
            let spec = lowered.spec(*node)?.map_err(|e| SpecError {
                message: e.message,
                span: Some(e.span),
                blames_upstream: false,
            });
            Some((*node, spec))
        })
        .collect();
    let facts = facts(&asked, tracking);
    asked
        .into_par_iter()
        .map(|(node, spec)| {
            let draft = spec.and_then(|spec| draft(lowered, node, &spec, &facts));
            (node, draft)
        })
        .collect()
}

fn draft(
    lowered: &Lowered,
    node: NodeId,
    spec: &AskedSpec,
    facts: &Facts,
) -> Result<DraftSpec, SpecError> {
    // A missing file is shown at its own instruction.
    for step in &spec.steps {
        if let Op::Copy(crate::spec::Copy { inputs: Inputs::Context(ask), .. }) = &step.op
            && let Err(message) = facts.files(ask)
        {
            return Err(SpecError { message, span: Some(step.span), blames_upstream: false });
        }
    }
    let span = lowered.span(lowered.graph.node(node).thing);
    let wrong =
        |message: String, blames_upstream: bool| SpecError { message, span, blames_upstream };
    spec.advance::<Draft, SpecError>(
        |parent| Ok(*parent),
        |ask| facts.files(ask).map_err(|message| wrong(message, false)),
        |ask| facts.upstream(ask).map_err(|e| wrong(e.message, e.blames_upstream)),
    )
}

fn facts(asked: &[(NodeId, Result<AskedSpec, SpecError>)], tracking: &Tracking) -> Facts {
    let mut files: BTreeSet<(Arc<str>, Vec<String>, Option<String>)> = BTreeSet::new();
    let mut upstreams: Vec<UpstreamAsk> = Vec::new();
    let mut seen = HashSet::new();
    for spec in asked.iter().filter_map(|(_, spec)| spec.as_ref().ok()) {
        if let Source::Upstream(ask) = &spec.source
            && seen.insert(ask)
        {
            upstreams.push(ask.clone());
        }
        for step in &spec.steps {
            if let Op::Copy(crate::spec::Copy { inputs: Inputs::Context(ask), .. }) = &step.op {
                let FilesAsk { context, sources, checksum } = ask.clone();
                files.insert((context, sources, checksum));
            }
        }
    }
    let files = files
        .into_iter()
        .map(|(context, sources, checksum)| FilesAsk { context, sources, checksum })
        .collect();
    find_facts(tracking, files, upstreams)
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
