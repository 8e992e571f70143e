//! `upstream check`, `upstream update`: what upstreams serve now against what the lock says.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::drafts::{Drafts, Judge, Locking, names};
use super::planning::{chosen, lowered, tracking};
use super::{Env, ErrorKind, OpError, Project, RunRequest, lockfile};
use crate::facts::lock::{Change, Lock, Moved, Place};
use crate::facts::{HostLimit, Pin, UpstreamAsk};
use crate::graph::{Graph, NodeId, Part, Selection, ThingKind, named_by};
use crate::lower::{Lowered, Moves};
use crate::plan::Specs;
use crate::store::Store;
use crate::track::Tracking;

/// What upstreams serve now.
#[derive(Clone, Debug, Default)]
pub struct Upstreams {
    /// Path of the lock.
    pub lock: PathBuf,
    /// What moved, with the images that it makes stale.
    pub moved: Vec<(Moved, Vec<String>)>,
    /// What moved and is not taken yet.
    pub waiting: Vec<Waiting>,
    /// What could not be found out, with the nodes that need it.
    pub failed: Vec<(String, Vec<String>)>,
    /// Images that any of it makes stale, sorted.
    pub stale: Vec<String>,
    /// Nodes that an upstream was asked for.
    pub asked: usize,
    /// Whether the lock was written.
    pub written: bool,
    /// What registries said that they allow.
    pub limits: Vec<HostLimit>,
}

/// Something new that is not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    /// The node.
    pub node: String,
    /// Why, and until when.
    pub why: String,
    /// Its platforms.
    pub platforms: Vec<String>,
}

/// Whose upstreams are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of the targets themselves, also where they are pinned; of all when none are named.
    Named,
    /// Those of all that the targets need.
    Needed,
}

/// Asks upstreams; with `write` the lock moves to what they serve.
pub fn upstream(
    env: &Env,
    project: &Project,
    request: &RunRequest,
    whose: Whose,
    write: bool,
) -> Result<Upstreams, OpError> {
    let store = Arc::new(Store::open(&request.store).map_err(OpError::store)?);
    let _use = store.use_guard().map_err(OpError::store)?;
    let tracking = Arc::new(tracking(env, Some(project), request, &store, None)?);
    let lowered = lowered(project)?;
    let graph = &lowered.graph;
    let before = lockfile::read(project)?;
    let selection = chosen(graph, &request.targets, request)?;
    let is_named = whose == Whose::Named && !request.targets.is_empty();
    let anew = asked(graph, &selection, is_named.then_some(request.targets.as_slice()))?;
    let waiting = Arc::new(Mutex::new(Held::default()));
    let judge = Policy {
        env: env.clone(),
        lowered: lowered.clone(),
        tracking: tracking.clone(),
        before: before.clone(),
        // A node that is named moves although it is pinned.
        named: if is_named { anew.clone() } else { HashSet::new() },
        held: waiting.clone(),
    };
    let locking = Locking::update(before.clone(), anew.clone(), Box::new(judge));
    let drafts = Drafts::new(lowered, &selection, &project.name, &store, &tracking, locking);
    drafts.lock_files();
    let failed = failures(&drafts, graph, &anew);
    let held = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
    drafts.locking().change(|lock| {
        for (node, slot, id, when) in &held.seen {
            if let Some((name, platform)) = names(graph, *node) {
                lock.put_seen(Place { node: &name, platform: &platform, slot }, id, *when);
            }
        }
    });
    let mut out = Upstreams {
        lock: lockfile::path(project),
        waiting: grouped(graph, held.waiting),
        failed,
        asked: anew.iter().filter(|node| !lowered.asks_nothing(**node)).count(),
        ..Upstreams::default()
    };
    watch(env, lowered, &drafts, &anew, &mut out);
    let now = drafts.locking().now();
    let mut stale = BTreeSet::new();
    // A release alone makes nothing stale; it moves with its packages.
    let is_told = |moved: &Moved| !matches!(moved.what, Change::Release { .. });
    for moved in before.diff(&now).into_iter().filter(is_told) {
        let images = below(graph, &moved);
        stale.extend(images.iter().cloned());
        out.moved.push((moved, images));
    }
    out.stale = stale.into_iter().collect();
    out.limits = tracking.limits();
    if write && now != before {
        lockfile::write(project, lowered, now)?;
        out.written = true;
    }
    Ok(out)
}

/// The nodes that are asked for anew: those that are named, else all.
fn asked(
    graph: &Graph,
    selection: &Selection,
    named: Option<&[String]>,
) -> Result<HashSet<NodeId>, OpError> {
    let Some(named) = named else { return Ok(selection.needed.iter().copied().collect()) };
    let mut out = HashSet::new();
    for target in named {
        let named = named_by(graph, target).map_err(|e| {
            OpError::new(ErrorKind::User, "mabuild::engine::target", e.to_string())
                .help("`mabuild graph show` lists every node")
        })?;
        for node in named {
            match graph.node(node).part {
                Part::On(_) => drop(out.insert(node)),
                Part::Index => out.extend(graph.parts(graph.node(node).thing)),
            }
        }
    }
    Ok(out)
}

/// What could not be found out, by message.
fn failures(drafts: &Drafts, graph: &Graph, nodes: &HashSet<NodeId>) -> Vec<(String, Vec<String>)> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| drafts.is_doubtful(**node)) {
        if let Err(e) = drafts.spec(*node, &|_| None) {
            out.entry(e.message).or_default().insert(graph.name(*node));
        }
    }
    out.into_iter().map(|(message, nodes)| (message, nodes.into_iter().collect())).collect()
}

/// The images that are made of what moved, each once.
fn below(graph: &Graph, moved: &Moved) -> Vec<String> {
    let Some(thing) = graph.find(&moved.node) else { return Vec::new() };
    let on = |node: &NodeId| {
        let platform = graph.platform(*node).map(ToString::to_string);
        platform.is_some_and(|platform| moved.platforms.contains(&platform))
    };
    let mut open: Vec<NodeId> = graph.parts(thing).filter(on).collect();
    let mut seen: HashSet<NodeId> = open.iter().copied().collect();
    let mut images = BTreeSet::new();
    while let Some(node) = open.pop() {
        let thing = graph.thing(graph.node(node).thing);
        if thing.kind == ThingKind::Image {
            images.insert(thing.name.to_string());
        }
        open.extend(graph.children(node).map(|(child, _)| child).filter(|c| seen.insert(*c)));
    }
    images.into_iter().collect()
}

/// What was not taken, and what was seen of it.
#[derive(Default)]
struct Held {
    waiting: Vec<(NodeId, String)>,
    seen: Vec<(NodeId, String, String, i64)>,
}

fn grouped(graph: &Graph, waiting: Vec<(NodeId, String)>) -> Vec<Waiting> {
    let mut out: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (node, why) in waiting {
        if let Some((name, platform)) = names(graph, node) {
            out.entry((name.to_string(), why)).or_default().push(platform);
        }
    }
    let waiting = out.into_iter().map(|((node, why), mut platforms)| {
        platforms.sort_unstable();
        Waiting { node, why, platforms }
    });
    waiting.collect()
}

/// Moves nodes as their `follow`, `hold` and `pin` say.
struct Policy {
    env: Env,
    lowered: Arc<Lowered>,
    tracking: Arc<Tracking>,
    before: Lock,
    named: HashSet<NodeId>,
    held: Arc<Mutex<Held>>,
}

impl Policy {
    fn keep(&self, node: NodeId, why: String) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.waiting.push((node, why));
        false
    }

    /// Whether something new is as old as it has to be.
    fn is_old(&self, node: NodeId, slot: &str, ask: &UpstreamAsk, new: &Pin, age: i64) -> bool {
        let Some((name, platform)) = names(&self.lowered.graph, node) else { return true };
        let place = Place { node: &name, platform: &platform, slot };
        let (id, now) = (identity(new), self.env.now);
        let born = self.tracking.published(ask, new);
        let seen = self.before.seen(place, &id);
        let since = born.or(seen).unwrap_or(now);
        if born.is_none() {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.seen.push((node, slot.to_owned(), id.clone(), since));
        }
        if since.saturating_add(age) <= now {
            return true;
        }
        let word = if born.is_some() { "published" } else { "first seen" };
        let why = format!(
            "{} was {word} {} and is taken from {} on",
            short(&id),
            time(since),
            time(since.saturating_add(age))
        );
        self.keep(node, why)
    }
}

impl Judge for Policy {
    fn takes(&self, node: NodeId, slot: &str, ask: &UpstreamAsk, _: &Pin, new: &Pin) -> bool {
        let Moves { min_age, hold, pinned } = self.lowered.moves(node);
        if pinned && !self.named.contains(&node) {
            return self.keep(node, "pinned; name it to move it".to_owned());
        }
        if let Some((until, reason)) = hold
            && self.env.now < until
        {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            return self.keep(node, format!("held until {}{reason}", time(until)));
        }
        match min_age {
            Some(age) => {
                let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                self.is_old(node, slot, ask, new, age)
            }
            None => true,
        }
    }
}

/// Names what a pin is, for the lock and for people.
fn identity(pin: &Pin) -> String {
    match pin {
        Pin::Archive { digest, .. } => digest.clone(),
        Pin::Layout { manifest, .. } | Pin::Registry { manifest, .. } => manifest.clone(),
        Pin::Debian(_) | Pin::Alpine(_) | Pin::Packages(_) => {
            let packages = pin.packages().map(|set| set.packages.as_slice()).unwrap_or_default();
            let mut hasher = blake3::Hasher::new();
            for package in packages {
                hasher.update(package.sha256.as_bytes());
            }
            hasher.finalize().to_hex().to_string()
        }
    }
}

fn short(id: &str) -> String {
    let end = id.find(':').map_or(0, |colon| colon + 1) + 12;
    id.get(..end).map_or_else(|| id.to_owned(), |start| format!("{start}…"))
}

/// A time as people read it.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// Looks whether archives have newer packages than images whose own steps install them.
fn watch(
    env: &Env,
    lowered: &Lowered,
    drafts: &Drafts,
    nodes: &HashSet<NodeId>,
    out: &mut Upstreams,
) {
    let graph = &lowered.graph;
    let mut waiting = Vec::new();
    let mut failed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in nodes {
        let (Some(watch), Some((name, platform))) = (lowered.watch(*node), names(graph, *node))
        else {
            continue;
        };
        let newer = match drafts.newer(*node, watch.security) {
            Ok(Some(newer)) => newer,
            Ok(None) => {
                let why = "nothing is known of its packages before it is built here".to_owned();
                waiting.push((*node, why));
                continue;
            }
            Err(message) => {
                failed.entry(message).or_default().push(graph.name(*node));
                continue;
            }
        };
        drafts.locking().change(|lock| {
            let known = lock.watched(&name, &platform);
            let is_new = newer.iter().any(|package| !known.contains(package));
            if !is_new {
                return;
            }
            let moved = lock.watch_moved(&name, &platform);
            let every = watch.every.map_or(0, |every| every.as_secs().cast_signed());
            if let Some(next) = moved.map(|moved| moved.saturating_add(every))
                && env.now < next
            {
                waiting.push((*node, format!("its packages are looked at again {}", time(next))));
                return;
            }
            let mut all: BTreeMap<String, String> = known.into_iter().collect();
            all.extend(newer);
            let all: Vec<(String, String)> = all.into_iter().collect();
            lock.put_watched(&name, &platform, &all, env.now);
        });
    }
    out.waiting.extend(grouped(graph, waiting));
    out.failed.extend(failed);
}
