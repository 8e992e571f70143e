//! `graph rebuild`: plan, run, tag.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mabuild_distro::qemu;
use mabuild_lang::platform::Platform;
use mabuild_oci::{Descriptor, Digest, media_type};

use super::planning::{chosen, lowered, plan_in, told_in, tracking};
use super::private::Given;
use super::supply::Outside;
use super::{Env, ErrorKind, OpError, Planning, Project, RunRequest, lockfile};
use crate::event::{End, Event, Listener, Phases, Summary};
use crate::exec::Supply;
use crate::exec::native::{Native, host_arch};
use crate::graph::{Graph, NodeId, Part};
use crate::key::{Key, Record};
use crate::lower::Unknown;
use crate::plan::{Action, Plan, Planned, resolve};
use crate::run::driver::{Driven, drive};
use crate::run::machine::Limits;
use crate::run::{Cancel, Shared};
use crate::store::{RunCounts, RunEnd, Store};
use crate::track::Tracking;

/// What a rebuild came to.
#[derive(Debug)]
pub struct Finished {
    /// What was to be done.
    pub planning: Planning,
    /// How each node ended that was not up to date from the start.
    pub ends: HashMap<NodeId, End>,
    /// Numbers of the run.
    pub summary: Summary,
}

/// Brings targets up to date.
pub fn rebuild(
    env: &Env,
    project: &Project,
    request: &RunRequest,
    listener: Arc<dyn Listener>,
    cancel: &Cancel,
) -> Result<Finished, OpError> {
    let begun = Instant::now();
    let store = Arc::new(Store::open(&request.store).map_err(OpError::store)?);
    let _use = store.use_guard().map_err(OpError::store)?;
    let tracking = Arc::new(tracking(env, Some(project), request, &store, Some(&listener))?);
    emulator_early(project, request, &store, &tracking)?;
    let planning = match request.explain {
        true => told_in(project, request, &store, &tracking)?,
        false => plan_in(project, request, &store, &tracking)?,
    };
    for what in planning.problems() {
        listener.event(&Event::Warning { what: what.into() });
    }
    write_lock(project, &planning)?;
    let graph = &lowered(project)?.graph;
    let number = store.run_begin(&project.name, env.now).map_err(OpError::store)?;
    if planning.plan.is_clean() {
        let summary = Summary {
            kept: platforms(graph, &planning),
            took: begun.elapsed(),
            ..Summary::default()
        };
        let order = Order { env, project, request, number };
        finish(&order, &store, graph, &planning, &HashMap::new())?;
        end(&store, env, number, &summary)?;
        listener.event(&Event::Ended(summary.clone()));
        return Ok(Finished { planning, ends: HashMap::new(), summary });
    }
    let lock = project.is_locked.then(|| lockfile::path(project));
    let cache = lowered(project)?.remote_cache().filter(|_| !request.offline);
    let outside = Outside { tracking: tracking.clone(), cache, lock };
    let order = Order { env, project, request, number };
    let (driven, phases) = run(&order, &store, outside, &planning, &listener, cancel)?;
    let Driven { ends, mut summary } = driven;
    if let Err(e) = tracking.settle_kept() {
        let what = format!("not all is kept for other machines: {}", e.message).into();
        listener.event(&Event::Warning { what });
    }
    // What stands on images that are new was chosen only now.
    write_lock(project, &planning)?;
    finish(&order, &store, graph, &planning, &ends)?;
    summary.phases = phases;
    summary.downloaded = tracking.downloaded();
    summary.took = begun.elapsed();
    end(&store, env, number, &summary)?;
    listener.event(&Event::Ended(summary.clone()));
    Ok(Finished { planning, ends, summary })
}

/// Writes down what the run found out that the lock lacked.
fn write_lock(project: &Project, planning: &Planning) -> Result<(), OpError> {
    let drafts = &planning.drafts;
    drafts.lock_files();
    match drafts.locking().changed() {
        Some(lock) => lockfile::write(project, lowered(project)?, lock),
        None => Ok(()),
    }
}

/// What a node is now; none where it failed or was not tried.
pub(super) fn result(
    planning: &Planning,
    ends: &HashMap<NodeId, End>,
    node: NodeId,
) -> Option<Arc<str>> {
    match ends.get(&node) {
        Some(End::Built { digest, .. } | End::Kept { digest }) => Some(digest.clone()),
        Some(_) => None,
        None => planning.plan.result(node),
    }
}

impl Finished {
    /// Gives the digest of a node that is up to date.
    pub fn digest(&self, node: NodeId) -> Option<Arc<str>> {
        result(&self.planning, &self.ends, node)
    }
}

fn platforms(graph: &Graph, planning: &Planning) -> usize {
    planning.plan.nodes.iter().filter(|n| graph.node(n.node).part != Part::Index).count()
}

/// What was asked for, by whom.
struct Order<'a> {
    env: &'a Env,
    project: &'a Project,
    request: &'a RunRequest,
    /// Of the run, in the store.
    number: i64,
}

fn run(
    order: &Order<'_>,
    store: &Arc<Store>,
    outside: Outside,
    planning: &Planning,
    listener: &Arc<dyn Listener>,
    cancel: &Cancel,
) -> Result<(Driven, Phases), OpError> {
    let Order { env, project, request, number } = order;
    let graph = &lowered(project)?.graph;
    planning.drafts.begin();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = request.jobs.unwrap_or(cores).max(1);
    let host = mabuild_sandbox::probe();
    let overlay = env.vars.get("MABUILD_OVERLAY").is_none_or(|v| v != "0");
    let executor = Native::new(store.clone(), Arc::new(outside), host, jobs, overlay);
    let shared = Arc::new(Shared {
        graph: graph.clone(),
        specs: planning.specs.clone(),
        store: store.clone(),
        executor: Arc::new(executor),
        project: project.name.clone(),
        run: *number,
        threads: cores,
        kept: kept(&planning.plan),
        forced: planning.forced.clone(),
        remembered: planning.memory.clone(),
        private: Arc::new(Given::new(env, lowered(project)?, request)),
        fresh: request.fresh,
        verify: request.verify,
        phases: Mutex::new(Phases::default()),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| {
            let message = format!("cannot start the scheduler: {e}");
            OpError::new(ErrorKind::Environment, "mabuild::engine::threads", message)
        })?;
    // Nodes wait for downloads and for slots, so more are begun than there are slots to run in.
    let limits = Limits { jobs: jobs * 4, keep_going: request.keep_going };
    let driven = runtime.block_on(drive(&planning.plan, shared.clone(), limits, listener, cancel));
    let phases = *shared.phases.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((driven, phases))
}

/// Writes the end of a run into the history.
fn end(store: &Store, env: &Env, number: i64, summary: &Summary) -> Result<(), OpError> {
    let exit = match (summary.interrupted, summary.failed) {
        (true, _) => 130,
        (false, 0) => 0,
        (false, _) => 1,
    };
    let end = RunEnd {
        now: env.now.saturating_add_unsigned(summary.took.as_secs()),
        seconds: summary.took.as_secs_f64(),
        exit,
        counts: RunCounts {
            built: summary.built as u64,
            kept: summary.kept as u64,
            failed: summary.failed as u64,
            skipped: summary.skipped as u64,
        },
    };
    store.run_end(number, &end).map_err(OpError::store)
}

/// Brings the emulator while the plan is made, where a project that was never built here has
/// foreign steps: its package is large, and nothing else of the run depends on it so late. A
/// failure is told by the step that needs it.
fn emulator_early(
    project: &Project,
    request: &RunRequest,
    store: &Store,
    tracking: &Arc<Tracking>,
) -> Result<(), OpError> {
    if !store.last_keys(&project.name).map_err(OpError::store)?.is_empty() {
        return Ok(());
    }
    let lowered = lowered(project)?;
    let selection = chosen(&lowered.graph, &request.targets, request)?;
    let foreign = selection.needed.iter().find_map(|node| {
        let spec = lowered.spec(*node, &Unknown)?.ok()?;
        let is_foreign = |p: &&Platform| !qemu::runs_natively(host_arch(), &p.os, &p.arch);
        spec.runs().find(is_foreign).cloned()
    });
    if let Some(platform) = foreign {
        let outside = Outside { tracking: tracking.clone(), cache: None, lock: None };
        std::thread::spawn(move || {
            // The step that needs the emulator asks again and reports what is wrong.
            let _ = outside.emulator(&platform);
        });
    }
    Ok(())
}

/// Keys of the nodes that are up to date from the start.
fn kept(plan: &Plan) -> HashMap<NodeId, Key> {
    let keep = |n: &&Planned| matches!(n.action, Action::Keep { .. });
    plan.nodes.iter().filter(keep).filter_map(|n| Some((n.node, n.key?))).collect()
}

/// Points tags at the newest indexes and remembers what every node that is up to date was made
/// of, so that the next run explains itself against this one.
fn finish(
    order: &Order<'_>,
    store: &Store,
    graph: &Graph,
    planning: &Planning,
    ends: &HashMap<NodeId, End>,
) -> Result<(), OpError> {
    let Order { project, request, number, .. } = *order;
    let result = |node: NodeId| result(planning, ends, node);
    let known = store.last_keys(&project.name).map_err(OpError::store)?;
    let mut refs: BTreeMap<String, Arc<str>> = BTreeMap::new();
    let mut roots = Vec::new();
    let mut moved = Vec::new();
    for planned in &planning.plan.nodes {
        let Some(digest) = result(planned.node) else { continue };
        let thing = graph.thing(graph.node(planned.node).thing);
        match graph.node(planned.node).part {
            Part::Index if whole(graph, planning, planned.node) => {
                planning.memory.keep_index(planned.node, &digest)?;
                roots.push((thing.name.to_string(), digest.to_string()));
                if let Some(names) = &request.names {
                    let is_target = planning.selection.targets.contains(&planned.node);
                    let names = names.iter().filter(|_| is_target);
                    refs.extend(names.map(|name| (name.clone(), digest.clone())));
                    continue;
                }
                for tag in &thing.tags {
                    let family = thing.variant.as_ref().map(|variant| &variant.family);
                    let name = format!("{}:{tag}", family.unwrap_or(&thing.name));
                    // Variants may share a tag where they go to different repositories.
                    let name = match refs.contains_key(&name) {
                        true => format!("{}:{tag}", thing.name),
                        false => name,
                    };
                    refs.insert(name, digest.clone());
                }
            }
            Part::Index => {}
            Part::On(_) => {
                let name = graph.name(planned.node);
                let (Action::Keep { .. }, Some(key)) = (&planned.action, planned.key) else {
                    continue;
                };
                if known.get(&name) != Some(&key) {
                    moved.push((name, planned.node, key, digest));
                }
            }
        }
    }
    let rows = moved.iter().filter_map(|(name, node, key, digest)| {
        let draft = planning.specs.spec(*node, &result).ok()?;
        let spec = resolve(draft, &|p| result(p).ok_or(p)).ok()?;
        Some((name.clone(), *key, &**digest, Record::of(&spec)))
    });
    store.put_records(&project.name, number, rows).map_err(OpError::store)?;
    store.put_roots(&project.name, &roots).map_err(OpError::store)?;
    tag(store, refs)
}

/// Points names at indexes; a name that already says so is left alone.
fn tag(store: &Store, mut refs: BTreeMap<String, Arc<str>>) -> Result<(), OpError> {
    for (name, known) in store.layout().refs().map_err(OpError::store)? {
        if refs.get(&name).is_some_and(|wanted| **wanted == *known.digest.to_string()) {
            refs.remove(&name);
        }
    }
    if refs.is_empty() {
        return Ok(());
    }
    let described: Result<Vec<(String, Descriptor)>, OpError> =
        refs.into_iter().map(|(name, digest)| Ok((name, described(store, &digest)?))).collect();
    store.layout().set_refs(described?).map_err(OpError::store)
}

/// Whether an index has every platform of its thing: a run narrowed with `--platform` must not
/// take platforms away from a tag.
pub(super) fn whole(graph: &Graph, planning: &Planning, index: NodeId) -> bool {
    graph.parts(graph.node(index).thing).all(|part| planning.selection.contains(part))
}

fn described(store: &Store, digest: &str) -> Result<Descriptor, OpError> {
    let digest = Digest::parse(digest).map_err(OpError::store)?;
    let (_, size) = store.layout().open_blob(&digest).map_err(OpError::store)?;
    Ok(Descriptor::new(media_type::INDEX, digest, size))
}
