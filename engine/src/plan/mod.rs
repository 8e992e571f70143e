//! (graph, specs, history, request) to a plan: what a rebuild would do to each node, and why.
//! Pure; planning and rebuilding ask the same questions through [`History`].

mod between;
mod blast;
mod own;

use std::collections::HashMap;
use std::sync::Arc;

pub use between::{Became, Cause, Compared, State, States, between};
pub use blast::{Blast, Past, Reached, Seed, blast};
pub use own::own;

use crate::graph::{Graph, NodeId, Part, Selection};
use crate::key::{Change, Key, Record, diff, hash_fields, key};
use crate::spec::{BuildSpec, DraftSpec, ParentDigest};

/// What is remembered of earlier builds.
pub trait History: Sync {
    /// The manifest or index digest that a key gave, when it is still in the store.
    fn result(&self, key: &Key) -> Option<Arc<str>>;
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
    at: HashMap<NodeId, usize>,
}

impl Plan {
    /// A plan of nodes that come after what they need.
    pub fn of(nodes: impl IntoIterator<Item = Planned>) -> Self {
        let mut plan = Self::default();
        nodes.into_iter().for_each(|planned| plan.push(planned));
        plan
    }

    fn push(&mut self, planned: Planned) {
        self.at.insert(planned.node, self.nodes.len());
        self.nodes.push(planned);
    }

    /// The plan of one node.
    pub fn get(&self, node: NodeId) -> Option<&Planned> {
        self.at.get(&node).and_then(|at| self.nodes.get(*at))
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

/// Answers for a plan.
pub struct Request<'a> {
    /// The nodes to plan.
    pub selection: &'a Selection,
    /// The spec of each platform node.
    pub specs: &'a HashMap<NodeId, Result<DraftSpec, SpecError>>,
    /// What is remembered.
    pub history: &'a dyn History,
    /// Nodes that are built even when nothing changed.
    pub forced: &'a dyn Fn(NodeId) -> bool,
}

/// Plans every needed node.
pub fn plan(graph: &Graph, request: &Request<'_>) -> Plan {
    let mut plan = Plan::default();
    for node in &request.selection.needed {
        let planned = match graph.node(*node).part {
            Part::On(_) => platform(graph, *node, request, &plan),
            Part::Index => index(graph, *node, request, &plan),
        };
        plan.push(planned);
    }
    plan
}

fn platform(graph: &Graph, node: NodeId, request: &Request<'_>, plan: &Plan) -> Planned {
    let planned = |action, reason, key| Planned { node, action, reason, key };
    let draft = match request.specs.get(&node) {
        Some(Ok(draft)) => draft,
        Some(Err(e)) => {
            let SpecError { message, span, blames_upstream } = e.clone();
            let reason = Reason::Unknowable { message, span, blames_upstream };
            return planned(Action::Refused, reason, None);
        }
        None => {
            let message = "no spec was made for it".to_owned();
            let reason = Reason::Unknowable { message, span: None, blames_upstream: false };
            return planned(Action::Refused, reason, None);
        }
    };
    let spec = match resolve(draft, &|parent| match plan.get(parent).map(|p| &p.action) {
        Some(Action::Keep { result }) => Ok(result.clone()),
        Some(Action::Refused) => Err((parent, Action::Refused)),
        _ => Err((parent, Action::Maybe)),
    }) {
        Ok(spec) => spec,
        Err((parent, Action::Refused)) => {
            return planned(Action::Refused, Reason::Below(parent), None);
        }
        Err((parent, action)) => return planned(action, Reason::Waits(parent), None),
    };
    let key = key(&spec);
    if (request.forced)(node) {
        return planned(Action::Build, Reason::Forced, Some(key));
    }
    match request.history.result(&key) {
        Some(result) => planned(Action::Keep { result }, Reason::UpToDate, Some(key)),
        None => {
            let reason = why(&graph.name(node), &spec, request.history);
            planned(Action::Build, reason, Some(key))
        }
    }
}

/// Why a spec without a result is to be built.
pub fn why(name: &str, spec: &BuildSpec, history: &dyn History) -> Reason {
    match history.last(name) {
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
    draft: &DraftSpec,
    result: &dyn Fn(NodeId) -> Result<Arc<str>, E>,
) -> Result<BuildSpec, E> {
    draft.advance(
        |parent| result(*parent).map(ParentDigest),
        |files| Ok(files.clone()),
        |pin| Ok(pin.clone()),
    )
}

/// The key of an index: its members by platform, key and digest, in order.
pub fn index_key(members: &[(String, Key, Arc<str>)]) -> Key {
    let fields: Vec<(String, &str, String)> = members
        .iter()
        .map(|(platform, key, digest)| (platform.clone(), &**digest, key.hex()))
        .collect();
    let mut list = Vec::with_capacity(fields.len() * 2);
    for (platform, digest, key) in &fields {
        list.push((platform.as_str(), crate::key::Value::Text(digest)));
        list.push((platform.as_str(), crate::key::Value::Text(key)));
    }
    hash_fields("index", &list)
}

fn index(graph: &Graph, node: NodeId, request: &Request<'_>, plan: &Plan) -> Planned {
    let planned = |action, reason, key| Planned { node, action, reason, key };
    let mut members = Vec::new();
    let mut action = None;
    for part in graph.parts(graph.node(node).thing) {
        let Some(found) = plan.get(part) else { continue };
        match (&found.action, found.key) {
            (Action::Keep { result }, Some(key)) => {
                let platform = graph.platform(part).map(ToString::to_string).unwrap_or_default();
                members.push((platform, key, result.clone()));
            }
            (Action::Refused, _) => {
                return planned(Action::Refused, Reason::Below(part), None);
            }
            (Action::Build, _) => action = Some(Action::Build),
            _ => action = action.or(Some(Action::Maybe)),
        }
    }
    if let Some(action) = action {
        return planned(action, Reason::Members, None);
    }
    let key = index_key(&members);
    match request.history.result(&key) {
        Some(result) => planned(Action::Keep { result }, Reason::UpToDate, Some(key)),
        None => planned(Action::Build, Reason::Members, Some(key)),
    }
}

#[cfg(test)]
mod tests;
