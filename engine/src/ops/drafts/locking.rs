//! How a run uses the lock: what it takes from it, what it adds.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::lock as guard;
use crate::facts::lock::{Lock, Place, is_file_locked, is_locked};
use crate::facts::{FactError, FilesAsk, Pin, UpstreamAsk};
use crate::graph::{Graph, NodeId};

/// Decides whether a node moves to what its upstream serves now.
pub(in crate::ops) trait Judge: Send + Sync {
    /// Whether the new pin is taken in place of the old one.
    fn takes(&self, node: NodeId, slot: &str, ask: &UpstreamAsk, old: &Pin, new: &Pin) -> bool;
}

/// How a run uses the lock.
#[derive(Default)]
pub(in crate::ops) struct Locking {
    /// The lock as it was read; none for what has none.
    before: Option<Arc<Lock>>,
    /// The same with what the run found out.
    now: Mutex<Lock>,
    /// Whether it may not be added to.
    closed: bool,
    /// Nodes that are asked for although they are locked.
    pub anew: HashSet<NodeId>,
    /// Who decides about what moved; without one all is taken.
    judge: Option<Box<dyn Judge>>,
    thorough: bool,
}

impl Locking {
    /// Takes what the lock has, and adds what it lacks unless it is `closed`.
    pub fn keep(lock: Lock, closed: bool) -> Self {
        let now = Mutex::new(lock.clone());
        Self { before: Some(Arc::new(lock)), now, closed, ..Self::default() }
    }

    /// Asks for some nodes anew and moves them as far as the judge lets them.
    pub fn update(lock: Lock, anew: HashSet<NodeId>, judge: Box<dyn Judge>) -> Self {
        Self { anew, judge: Some(judge), thorough: true, ..Self::keep(lock, false) }
    }

    /// Whether there is a lock at all.
    pub fn is_kept(&self) -> bool {
        self.before.is_some() && !self.closed
    }

    /// Whether images and archives are fetched to find out what is in them.
    pub fn is_thorough(&self) -> bool {
        self.thorough
    }

    /// The lock with all that the run added, where that is another one.
    pub fn changed(&self) -> Option<Lock> {
        let now = guard(&self.now).clone();
        self.before.as_ref().filter(|before| ***before != now)?;
        Some(now)
    }

    /// The lock with all that the run added.
    pub fn now(&self) -> Lock {
        guard(&self.now).clone()
    }

    /// Changes the lock.
    pub fn change<T>(&self, change: impl FnOnce(&mut Lock) -> T) -> T {
        change(&mut guard(&self.now))
    }

    /// Whether an upstream may be asked.
    pub fn may_ask(&self, ask: &UpstreamAsk) -> bool {
        !self.closed || !is_locked(ask)
    }

    /// What is said where the lock lacks something and may not be added to.
    pub fn lacks(&self, graph: &Graph, node: NodeId) -> FactError {
        let (name, node) = (graph.thing(graph.node(node).thing).name.clone(), graph.name(node));
        FactError {
            message: format!(
                "mabuild.lock does not say what {node} is made of, and --locked keeps it as it is; \
                 `mabuild upstream update {name}` writes it down"
            ),
            blames_upstream: false,
        }
    }

    pub fn pin(&self, graph: &Graph, node: NodeId, slot: &str, ask: &UpstreamAsk) -> Option<Pin> {
        let (name, platform) = names(graph, node)?;
        let place = Place { node: &name, platform: &platform, slot };
        self.before.as_ref()?.pin(place, ask)
    }

    /// Takes note of what an upstream serves; gives the pin that is kept in its place.
    pub fn settle(
        &self,
        graph: &Graph,
        node: NodeId,
        slot: &str,
        ask: &UpstreamAsk,
        before: Option<Pin>,
        found: &Pin,
    ) -> Option<Pin> {
        if self.before.is_none() || !is_locked(ask) {
            return None;
        }
        if let Some(before) = before {
            let stays = same(&before, found)
                || self.judge.as_ref().is_some_and(|j| !j.takes(node, slot, ask, &before, found));
            if stays {
                return Some(before);
            }
        }
        if let Some((name, platform)) = names(graph, node) {
            let place = Place { node: &name, platform: &platform, slot };
            guard(&self.now).put(place, ask, found);
        }
        None
    }

    /// An ask for files with what the lock says of it.
    pub fn file(&self, graph: &Graph, node: NodeId, ask: &FilesAsk) -> FilesAsk {
        let locked = || {
            let lock = self.before.as_ref().filter(|_| !self.anew.contains(&node))?;
            let (name, platform) = names(graph, node)?;
            lock.file(&name, &platform, ask)
        };
        match ask {
            FilesAsk::Context(_) => ask.clone(),
            _ => locked().unwrap_or_else(|| ask.clone()),
        }
    }

    /// Whether files are fetched that the lock lacks, and may not be: `effective` is the same ask
    /// with what the lock says of it.
    pub fn refuses(&self, ask: &FilesAsk, effective: &FilesAsk) -> bool {
        self.closed && ask == effective && is_file_locked(ask)
    }

    pub fn put_file(&self, graph: &Graph, node: NodeId, ask: &FilesAsk, pinned: &str) {
        if let Some((name, platform)) = names(graph, node) {
            guard(&self.now).put_file(&name, &platform, ask, pinned);
        }
    }

    /// The newer packages that a node is to be built with.
    pub fn watched(&self, graph: &Graph, node: NodeId) -> Vec<(String, String)> {
        let place = names(graph, node);
        place.map_or_else(Vec::new, |(name, platform)| guard(&self.now).watched(&name, &platform))
    }
}

/// Whether two pins are the same content; the date of a release alone moves nothing.
fn same(before: &Pin, found: &Pin) -> bool {
    match (before.packages(), found.packages()) {
        (Some(old), Some(new)) => old.packages == new.packages,
        _ => before == found,
    }
}

/// Name and platform of a node, as the lock has them.
pub(in crate::ops) fn names(graph: &Graph, node: NodeId) -> Option<(Arc<str>, String)> {
    let platform = graph.platform(node)?.to_string();
    Some((graph.thing(graph.node(node).thing).name.clone(), platform))
}
