//! Plan: selection, facts, specs, keys, actions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mabuild_registry::Sending;

use super::drafts::{Drafts, Locking};
use super::memory::Memory;
use super::{Env, ErrorKind, OpError, Project, RunRequest, lockfile};
use crate::event::{Event, Listener};
use crate::graph::{Graph, NodeId, Selection, select};
use crate::lower::Lowered;
use crate::plan::{
    Plan, Reason, Request, Specs, built_elsewhere, own, plan as make_plan, retell, waiting,
};
use crate::store::Store;
use crate::track::Tracking;

/// A plan with what it was made from.
#[derive(Debug)]
pub struct Planning {
    /// Targets and what they need.
    pub selection: Selection,
    /// What is to be done.
    pub plan: Plan,
    /// The spec of each platform node.
    pub specs: Arc<dyn Specs>,
    /// The same, with what they found out.
    pub(super) drafts: Arc<Drafts>,
    /// What is remembered of earlier builds.
    pub(super) memory: Arc<Memory>,
    /// Nodes that are built even when nothing changed.
    pub forced: HashSet<NodeId>,
}

impl Planning {
    /// Why registries could not be asked what is published already, a line for each host.
    pub fn problems(&self) -> Vec<String> {
        self.memory.problems()
    }
}

/// What a rebuild would do. Changes nothing but what the store remembers of upstreams and files.
pub fn plan(env: &Env, project: &Project, request: &RunRequest) -> Result<Planning, OpError> {
    let store = Store::open(&request.store).map_err(OpError::store)?;
    let _use = store.use_guard().map_err(OpError::store)?;
    let store = Arc::new(store);
    let tracking = Arc::new(tracking(env, Some(project), request, &store, None)?);
    told_in(project, request, &store, &tracking)
}

/// A plan that says of what was built elsewhere, too, what differs.
pub(super) fn told_in(
    project: &Project,
    request: &RunRequest,
    store: &Arc<Store>,
    tracking: &Arc<Tracking>,
) -> Result<Planning, OpError> {
    let mut planning = plan_in(project, request, store, tracking)?;
    let Planning { plan, specs, memory, .. } = &mut planning;
    memory.recall(built_elsewhere(plan));
    retell(&lowered(project)?.graph, plan, &**specs, &**memory);
    Ok(planning)
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
    let tracking = Arc::new(tracking(env, Some(project), request, &store, None)?);
    let planning = told_in(project, request, &store, &tracking)?;
    let graph = &lowered(project)?.graph;
    let Planning { plan, specs, memory, .. } = &planning;
    memory.recall(waiting(graph, plan).map(|planned| planned.node).collect());
    let own = own(graph, plan, &**specs, &**memory);
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
    store: &Arc<Store>,
    tracking: &Arc<Tracking>,
) -> Result<Planning, OpError> {
    let lowered = lowered(project)?;
    let graph = &lowered.graph;
    let selection = chosen(graph, &request.targets, request)?;
    let forced = match request.force.is_empty() {
        true => HashSet::new(),
        false => chosen(graph, &request.force, request)?.targets.into_iter().collect(),
    };
    let locking = match project.is_locked {
        true => Locking::keep(lockfile::read(project)?, request.locked),
        false => Locking::default(),
    };
    let drafts = Drafts::new(lowered, &selection, &project.name, store, tracking, locking);
    let specs = Arc::new(drafts);
    let memory = Arc::new(Memory::new(project, request, store, tracking)?);
    let plan = make_plan(
        graph,
        &Request {
            selection: &selection,
            specs: &*specs,
            history: &*memory,
            forced: &|node| forced.contains(&node),
        },
    );
    Ok(Planning { selection, plan, specs: specs.clone(), drafts: specs, memory, forced })
}

/// The adapters that look at the world outside, as a project says how; what they move over the
/// network is told to the listener.
pub(super) fn tracking(
    env: &Env,
    project: Option<&Project>,
    request: &RunRequest,
    store: &Arc<Store>,
    listener: Option<&Arc<dyn Listener>>,
) -> Result<Tracking, OpError> {
    let lowered = project.and_then(|project| project.lowered.as_ref());
    let hosts = lowered.map(|lowered| lowered.hosts()).unwrap_or_default();
    let tracking = Tracking::new(store.clone(), &env.vars, env.now, request.offline, hosts)
        .map_err(|e| OpError::new(ErrorKind::Environment, "mabuild::engine::network", e))?;
    if let Some(listener) = listener {
        listen(&tracking, listener);
    }
    Ok(tracking)
}

/// Tells a listener from now on what moves over the network.
pub(super) fn listen(tracking: &Tracking, listener: &Arc<dyn Listener>) {
    let hears = listener.clone();
    tracking.on_download(Arc::new(move |what: &str, done, total| {
        hears.event(&Event::Download { what: what.into(), done, total });
    }));
    let hears = listener.clone();
    tracking.on_upload(Arc::new(move |sending: &Sending<'_>| {
        let Sending { to, blob, done, all: total, is_over } = *sending;
        let (to, blob) = (to.into(), blob.to_string().into());
        hears.event(&Event::Upload { to, blob, done, total, is_over });
    }));
}
