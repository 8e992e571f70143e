//! (graph, specs, history, request) to a plan: what a rebuild would do to each node, and why.
//! Pure; planning and rebuilding ask the same questions through [`History`].
//!
//! A level of the graph is planned side by side. Specs are made for a few nodes at a time and
//! dropped with their key, so that a plan of a million nodes holds no million specs.

mod between;
mod blast;
mod own;
mod retell;

use std::sync::Arc;

pub use between::{Became, Cause, Compared, State, States, between};
pub use blast::{Blast, Past, Reached, Seed, blast};
pub use own::{own, waiting};
use rayon::prelude::*;
pub use retell::{built_elsewhere, retell};

use crate::graph::{EdgeKind, Graph, NodeId, Part, Selection};
use crate::key::{Change, Key, Record, Value, diff, hash_fields, key};
use crate::spec::{BuildSpec, DraftSpec, ParentDigest};

/// What is remembered of earlier builds.
pub trait History: Sync {
    /// The manifest or index digest that a key gave, when it is still there.
    fn result(&self, key: &Key) -> Option<Arc<str>>;
    /// [`History::result`] of many nodes with their keys, in their order.
    fn results(&self, nodes: &[(NodeId, Key)]) -> Vec<Option<Arc<str>>> {
        nodes.iter().map(|(_, key)| self.result(key)).collect()
    }
    /// The manifest of a spec that takes an image of a registry as it is, where images that are
    /// not in the store count as built, too.
    fn given(&self, _: &BuildSpec) -> Option<Arc<str>> {
        None
    }
    /// Whether a registry has the node as it was built from other inputs.
    fn is_published(&self, _: NodeId) -> bool {
        false
    }
    /// What was hashed when a node (`name@platform`) was last built in this project.
    fn last(&self, node: &str) -> Option<Record>;
}

/// What is to be done with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the result is in the store.
    Keep {
        /// Manifest or index digest.
        result: Arc<str>,
    },
    /// Build it.
    Build,
    /// Build it if what it needs comes out different.
    Maybe,
    /// Cannot be built: its spec is not known.
    Refused,
}

/// Why a node is in the state it is. A closed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its key has a result.
    UpToDate,
    /// It was never built in this project.
    NeverBuilt,
    /// It was built and published elsewhere, from inputs that are not known here.
    Elsewhere,
    /// Inputs differ from those of its last build.
    Changed(Vec<Change>),
    /// Its inputs are those of its last build, but the result left the store.
    ResultGone,
    /// A node it needs is to be built; that one decides.
    Waits(NodeId),
    /// Asked for with `--force`.
    Forced,
    /// Platforms of an index are to be built or are not in it yet.
    Members,
    /// Its inputs cannot be found out.
    Unknowable {
        /// What is wrong.
        message: String,
        /// Place in the file.
        span: Option<mabuild_lang::source::Span>,
        /// Whether an upstream is to blame, in place of a mistake.
        blames_upstream: bool,
    },
    /// A node it needs is refused.
    Below(NodeId),
}

/// One node of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The node.
    pub node: NodeId,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The key, when all that it needs is known.
    pub key: Option<Key>,
}

/// A whole plan, in an order in which every node comes after what it needs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The nodes.
    pub nodes: Vec<Planned>,
    /// Position of each node of the graph in `nodes`, [`NOWHERE`] for those that are not planned.
    at: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Plan {
    /// A plan of nodes that come after what they need.
    pub fn of(nodes: impl IntoIterator<Item = Planned>) -> Self {
        let mut plan = Self::default();
        nodes.into_iter().for_each(|planned| plan.push(planned));
        plan
    }

    fn push(&mut self, planned: Planned) {
        let node = planned.node.0 as usize;
        if self.at.len() <= node {
            self.at.resize(node + 1, NOWHERE);
        }
        self.at[node] = self.nodes.len() as u32;
        self.nodes.push(planned);
    }

    /// The plan of one node.
    pub fn get(&self, node: NodeId) -> Option<&Planned> {
        self.at.get(node.0 as usize).and_then(|at| self.nodes.get(*at as usize))
    }

    /// The result of a node that is up to date.
    pub fn result(&self, node: NodeId) -> Option<Arc<str>> {
        match &self.get(node)?.action {
            Action::Keep { result } => Some(result.clone()),
            _ => None,
        }
    }

    /// Whether nothing is to be done.
    pub fn is_clean(&self) -> bool {
        self.nodes.iter().all(|n| matches!(n.action, Action::Keep { .. }))
    }
}

/// Why a spec is not known.
#[derive(Clone, Debug)]
pub struct SpecError {
    /// What is wrong and what to do.
    pub message: String,
    /// Place in the file.
    pub span: Option<mabuild_lang::source::Span>,
    /// Whether an upstream is to blame.
    pub blames_upstream: bool,
}

/// Gives the result of a node, where there is one already.
pub type Known<'a> = &'a dyn Fn(NodeId) -> Option<Arc<str>>;

/// Gives the spec of each platform node, made anew each time it is asked for.
pub trait Specs: std::fmt::Debug + Send + Sync {
    /// The spec of a node, or why it is not known. Texts of a Dockerfile may hold variables of an
    /// image below, which `known` gives the digest of; where that is open, they are filled in as
    /// well as can be.
    fn spec(&self, node: NodeId, known: Known<'_>) -> Result<DraftSpec, SpecError>;
    /// Whether the spec of a node may not be known. Where it is sure to be, a node that waits for
    /// another is planned without it.
    fn is_doubtful(&self, node: NodeId) -> bool;
}

/// Answers for a plan.
pub struct Request<'a> {
    /// The nodes to plan.
    pub selection: &'a Selection,
    /// The spec of each platform node.
    pub specs: &'a dyn Specs,
    /// What is remembered.
    pub history: &'a dyn History,
    /// Nodes that are built even when nothing changed.
    pub forced: &'a (dyn Fn(NodeId) -> bool + Sync),
}

/// Nodes that one thread plans at once: their results are one question to the history.
const SHARE: usize = 128;
/// Nodes planned before they are put into the plan, so that little is held twice.
const WAVE: usize = 1 << 14;

/// Plans every needed node.
pub fn plan(graph: &Graph, request: &Request<'_>) -> Plan {
    let needed = &request.selection.needed;
    let mut plan = Plan { nodes: Vec::with_capacity(needed.len()), at: vec![NOWHERE; graph.len()] };
    let platforms: Vec<String> = graph.platforms().iter().map(ToString::to_string).collect();
    for level in needed.chunk_by(|a, b| graph.level(*a) == graph.level(*b)) {
        for wave in level.chunks(WAVE) {
            let planner = Planner { graph, request, plan: &plan, platforms: &platforms };
            let planned: Vec<Vec<Planned>> = match wave.len() {
                // A graph of many small levels must not pay for threads.
                0..=SHARE => vec![planner.share(wave)],
                _ => wave.par_chunks(SHARE).map(|share| planner.share(share)).collect(),
            };
            planned.into_iter().flatten().for_each(|planned| plan.push(planned));
        }
    }
    plan
}

/// Plans nodes whose parents are planned.
struct Planner<'a> {
    graph: &'a Graph,
    request: &'a Request<'a>,
    /// All levels above.
    plan: &'a Plan,
    /// Text of each platform.
    platforms: &'a [String],
}

/// A node on the way to its plan.
enum Half {
    Planned(Planned),
    /// The history is to say whether the key has a result.
    Keyed(NodeId, Key, Option<Box<BuildSpec>>),
}

impl Planner<'_> {
    /// Plans some nodes that do not need each other.
    fn share(&self, nodes: &[NodeId]) -> Vec<Planned> {
        let halves: Vec<Half> = nodes
            .iter()
            .map(|node| match self.graph.node(*node).part {
                Part::On(_) => self.platform(*node),
                Part::Index => self.index(*node),
            })
            .collect();
        let keyed: Vec<(NodeId, Key)> = halves
            .iter()
            .filter_map(|half| match half {
                Half::Keyed(node, key, _) => Some((*node, *key)),
                Half::Planned(_) => None,
            })
            .collect();
        let mut results = match keyed.is_empty() {
            true => Vec::new(),
            false => self.request.history.results(&keyed),
        }
        .into_iter();
        let whole = |half| match half {
            Half::Planned(planned) => planned,
            Half::Keyed(node, key, spec) => {
                self.looked_up(node, key, spec, results.next().flatten())
            }
        };
        halves.into_iter().map(whole).collect()
    }

    fn looked_up(
        &self,
        node: NodeId,
        key: Key,
        spec: Option<Box<BuildSpec>>,
        result: Option<Arc<str>>,
    ) -> Planned {
        let given = || spec.as_ref().and_then(|spec| self.request.history.given(spec));
        let (action, reason) = match (result.or_else(given), spec) {
            (Some(result), _) => (Action::Keep { result }, Reason::UpToDate),
            (None, Some(spec)) => {
                (Action::Build, why((node, &self.graph.name(node)), &spec, self.request.history))
            }
            (None, None) => (Action::Build, Reason::Members),
        };
        Planned { node, action, reason, key: Some(key) }
    }

    fn platform(&self, node: NodeId) -> Half {
        let planned = |action, reason, key| Half::Planned(Planned { node, action, reason, key });
        let open = |(parent, action): (NodeId, Action)| match action {
            Action::Refused => planned(action, Reason::Below(parent), None),
            _ => planned(action, Reason::Waits(parent), None),
        };
        // Making the spec is most of the work, and what is below a stale node needs none.
        if !self.request.specs.is_doubtful(node)
            && let Some(Err(parent)) = self.below(node).map(|parent| self.result(parent))
        {
            return open(parent);
        }
        let known = |parent: NodeId| self.result(parent).ok();
        let draft = match self.request.specs.spec(node, &known) {
            Ok(draft) => draft,
            Err(SpecError { message, span, blames_upstream }) => {
                let reason = Reason::Unknowable { message, span, blames_upstream };
                return planned(Action::Refused, reason, None);
            }
        };
        let spec = match resolve(draft, &|parent| self.result(parent)) {
            Ok(spec) => spec,
            Err(parent) => return open(parent),
        };
        let key = key(&spec);
        match (self.request.forced)(node) {
            true => planned(Action::Build, Reason::Forced, Some(key)),
            false => Half::Keyed(node, key, Some(Box::new(spec))),
        }
    }

    /// The node that a node stands on: the first that its spec names.
    fn below(&self, node: NodeId) -> Option<NodeId> {
        let mut parents = self.graph.parents(node);
        parents.find(|(_, kind)| *kind == EdgeKind::From).map(|(parent, _)| parent)
    }

    /// The result of a parent, or what is to be done with whatever needs it.
    fn result(&self, parent: NodeId) -> Result<Arc<str>, (NodeId, Action)> {
        match self.plan.get(parent).map(|p| &p.action) {
            Some(Action::Keep { result }) => Ok(result.clone()),
            Some(Action::Refused) => Err((parent, Action::Refused)),
            _ => Err((parent, Action::Maybe)),
        }
    }

    fn index(&self, node: NodeId) -> Half {
        let planned = |action, reason| Half::Planned(Planned { node, action, reason, key: None });
        let mut members = Vec::new();
        let mut action = None;
        for part in self.graph.parts(self.graph.node(node).thing) {
            let Some(found) = self.plan.get(part) else { continue };
            match (&found.action, found.key) {
                (Action::Keep { result }, Some(key)) => {
                    members.push((self.text_of(part), key, result.clone()));
                }
                (Action::Refused, _) => return planned(Action::Refused, Reason::Below(part)),
                (Action::Build, _) => action = Some(Action::Build),
                _ => action = action.or(Some(Action::Maybe)),
            }
        }
        match action {
            Some(action) => planned(action, Reason::Members),
            None => Half::Keyed(node, index_key(&members), None),
        }
    }

    fn text_of(&self, node: NodeId) -> &str {
        match self.graph.node(node).part {
            Part::On(platform) => self.platforms.get(platform as usize).map_or("", |p| p),
            Part::Index => "",
        }
    }
}

/// Why a spec without a result is to be built.
fn why((node, name): (NodeId, &str), spec: &BuildSpec, history: &dyn History) -> Reason {
    match history.last(name) {
        None if history.is_published(node) => Reason::Elsewhere,
        None => Reason::NeverBuilt,
        Some(before) => match diff(&before, &Record::of(spec)) {
            changes if changes.is_empty() => Reason::ResultGone,
            changes => Reason::Changed(changes),
        },
    }
}

/// Puts the digests of parents into a draft. The error is whatever `result` says of a parent
/// that has none.
pub fn resolve<E>(
    draft: DraftSpec,
    result: &dyn Fn(NodeId) -> Result<Arc<str>, E>,
) -> Result<BuildSpec, E> {
    draft.advance(|parent| result(parent).map(ParentDigest), Ok, Ok)
}

/// The key of an index: its members by platform, key and digest, in order.
pub fn index_key(members: &[(impl AsRef<str>, Key, Arc<str>)]) -> Key {
    let keys: Vec<String> = members.iter().map(|(_, key, _)| key.hex()).collect();
    let mut list = Vec::with_capacity(members.len() * 2);
    for ((platform, _, digest), key) in members.iter().zip(&keys) {
        list.push((platform.as_ref(), Value::Text(digest)));
        list.push((platform.as_ref(), Value::Text(key)));
    }
    hash_fields("index", &list)
}

#[cfg(test)]
mod tests;
