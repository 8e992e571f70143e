//! The order of a graph: that there is one, and level by level what can be looked at side by side.

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

use super::rows::Rows;
use super::{Cycle, Graph, NodeId, ThingId};

/// Nodes by level: those that need nothing, those that need only them, and so on.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// All nodes, level by level, each level in the order of the nodes.
    pub nodes: Vec<NodeId>,
    /// The level of each node.
    pub levels: Vec<u32>,
}

/// Orders the nodes of a graph whose `parents` are known. `needs` says which things need which;
/// the error names a node of a ring.
pub(super) fn order(
    graph: &Graph,
    parents: &Rows,
    needs: impl Iterator<Item = (ThingId, ThingId)>,
) -> Result<Order, Cycle> {
    let mut levels = vec![0_u32; graph.len()];
    for node in sorted(graph, parents, needs)? {
        let below = parents.of(node).map(|(parent, _)| levels[parent.0 as usize] + 1).max();
        levels[node.0 as usize] = below.unwrap_or(0);
    }
    let mut nodes: Vec<NodeId> = (0..graph.len() as u32).map(NodeId).collect();
    nodes.sort_by_key(|node| levels[node.0 as usize]);
    Ok(Order { nodes, levels })
}

/// All nodes in some order in which each comes after what it needs.
fn sorted(
    graph: &Graph,
    parents: &Rows,
    needs: impl Iterator<Item = (ThingId, ThingId)>,
) -> Result<Vec<NodeId>, Cycle> {
    let mut things: DiGraph<(), (), u32> = DiGraph::with_capacity(graph.things().len(), 0);
    for _ in graph.things() {
        things.add_node(());
    }
    for (child, parent) in needs {
        things.add_edge(NodeIndex::from(parent.0), NodeIndex::from(child.0), ());
    }
    let mut out = Vec::with_capacity(graph.len());
    match toposort(&things, None) {
        Ok(order) => {
            for thing in order.into_iter().map(|at| ThingId(at.index() as u32)) {
                out.extend(graph.parts(thing));
                out.push(graph.index_of(thing));
            }
        }
        // Things that need each other in a ring may still do so on different platforms, which is
        // no ring of nodes. That is rare, so only then is every node looked at.
        Err(_) => {
            let mut nodes: DiGraph<(), (), u32> = DiGraph::with_capacity(graph.len(), 0);
            for _ in 0..graph.len() {
                nodes.add_node(());
            }
            for node in (0..graph.len() as u32).map(NodeId) {
                for (parent, _) in parents.of(node) {
                    nodes.add_edge(NodeIndex::from(parent.0), NodeIndex::from(node.0), ());
                }
            }
            let id = |at: NodeIndex<u32>| NodeId(at.index() as u32);
            let order = toposort(&nodes, None).map_err(|at| Cycle(graph.name(id(at.node_id()))))?;
            out.extend(order.into_iter().map(id));
        }
    }
    Ok(out)
}
