//! Walks over a graph from sets of nodes. None is recursive, none leads over an index.

use super::set::NodeSet;
use crate::graph::{EdgeKind, Graph, NodeId, Part, ThingKind};

/// A walk from a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// The set and all that it needs.
    Needs,
    /// The set and all that needs it.
    NeededBy,
    /// What the set needs, one step away.
    Direct,
    /// The bases below the set.
    Bases,
    /// The nodes of the set that need no other of it.
    Roots,
    /// The nodes of the set that no other of it needs.
    Leaves,
}

/// A walk from one set to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// All nodes on all ways.
    AllPaths,
    /// The nodes of one shortest way.
    SomePath,
}

/// Which way edges are followed.
#[derive(Clone, Copy)]
enum Way {
    /// To what is needed.
    Up,
    /// To what needs it.
    Down,
}

/// What a walk from a set gives; the first two kinds lead at most `steps` steps far.
pub(super) fn from(graph: &Graph, walk: Walk, set: NodeSet, steps: Option<u32>) -> NodeSet {
    match walk {
        Walk::Needs => closure(graph, set, Way::Up, steps, |_| true),
        Walk::NeededBy => closure(graph, set, Way::Down, steps, |_| true),
        Walk::Direct => step(graph, &set, Way::Up),
        Walk::Bases => {
            let mut found = closure(graph, set, Way::Up, None, |kind| kind == EdgeKind::From);
            found.retain(|node| graph.thing(graph.node(node).thing).kind == ThingKind::Base);
            found
        }
        Walk::Roots => without_beyond(graph, set, Way::Down),
        Walk::Leaves => without_beyond(graph, set, Way::Up),
    }
}

/// What a walk between two sets gives; which of them needs the other does not matter.
pub(super) fn between(graph: &Graph, walk: Between, one: &NodeSet, other: &NodeSet) -> NodeSet {
    match walk {
        Between::AllPaths => {
            let mut found = all_paths(graph, one, other);
            found.add(&all_paths(graph, other, one));
            found
        }
        Between::SomePath => shortest(graph, one, other)
            .or_else(|| shortest(graph, other, one))
            .unwrap_or_else(|| NodeSet::none(graph)),
    }
}

/// All nodes on ways up from one set to another.
fn all_paths(graph: &Graph, from: &NodeSet, to: &NodeSet) -> NodeSet {
    let mut found = closure(graph, from.clone(), Way::Up, None, |_| true);
    found.intersect(&closure(graph, to.clone(), Way::Down, None, |_| true));
    found
}

/// A set and what is reached from it over edges that `follow` takes.
fn closure(
    graph: &Graph,
    set: NodeSet,
    way: Way,
    steps: Option<u32>,
    follow: impl Fn(EdgeKind) -> bool,
) -> NodeSet {
    let mut open: Vec<NodeId> = set.iter().collect();
    let mut next = Vec::new();
    let mut reached = set;
    let mut left = steps.unwrap_or(u32::MAX);
    while !open.is_empty() && left > 0 {
        for node in open.drain(..) {
            neighbours(graph, node, way, |other, kind| {
                if follow(kind) && reached.insert(other) {
                    next.push(other);
                }
            });
        }
        std::mem::swap(&mut open, &mut next);
        left -= 1;
    }
    reached
}

/// What is one step away from a set.
fn step(graph: &Graph, set: &NodeSet, way: Way) -> NodeSet {
    let mut reached = NodeSet::none(graph);
    for node in set.iter() {
        neighbours(graph, node, way, |other, _| _ = reached.insert(other));
    }
    reached
}

/// A set without what is reached from it by a step or more.
fn without_beyond(graph: &Graph, mut set: NodeSet, way: Way) -> NodeSet {
    let beyond = closure(graph, step(graph, &set, way), way, None, |_| true);
    set.subtract(&beyond);
    set
}

/// The nodes on a shortest way up from one set to another. Of several, that by the nodes that come
/// first, so that the answer stays what it is.
fn shortest(graph: &Graph, from: &NodeSet, to: &NodeSet) -> Option<NodeSet> {
    if let Some(both) = from.iter().find(|node| to.contains(*node)) {
        return Some(NodeSet::of(graph, [both]));
    }
    let mut seen = from.clone();
    // Nodes in the order they were met, each with the place of the one that led there.
    let mut met: Vec<(NodeId, usize)> = from.iter().map(|node| (node, usize::MAX)).collect();
    let mut at = 0;
    while let Some((node, _)) = met.get(at) {
        let mut parents = Vec::new();
        neighbours(graph, *node, Way::Up, |parent, _| parents.push(parent));
        parents.sort_unstable();
        for parent in parents {
            if seen.insert(parent) {
                met.push((parent, at));
                if to.contains(parent) {
                    return Some(back(graph, &met));
                }
            }
        }
        at += 1;
    }
    None
}

/// The way that led to the last of the nodes met.
fn back(graph: &Graph, met: &[(NodeId, usize)]) -> NodeSet {
    let way = std::iter::successors(met.last(), |(_, before)| met.get(*before));
    NodeSet::of(graph, way.map(|(node, _)| *node))
}

fn neighbours(graph: &Graph, node: NodeId, way: Way, mut each: impl FnMut(NodeId, EdgeKind)) {
    match way {
        Way::Up => graph.parents(node).for_each(|(other, kind)| each(other, kind)),
        Way::Down => graph
            .children(node)
            .filter(|(other, _)| graph.node(*other).part != Part::Index)
            .for_each(|(other, kind)| each(other, kind)),
    }
}
