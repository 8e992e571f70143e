//! Why nodes are stale that were built elsewhere, once it is known from what.

use std::collections::HashMap;

use super::{History, Plan, Reason, Specs, resolve, why};
use crate::graph::{Graph, NodeId};

/// Nodes of a plan whose last build is not known here.
pub fn built_elsewhere(plan: &Plan) -> Vec<NodeId> {
    let nodes = plan.nodes.iter().filter(|planned| planned.reason == Reason::Elsewhere);
    nodes.map(|planned| planned.node).collect()
}

/// Gives the reasons of such nodes once more, from a history that may know more by now. Where
/// nothing is found to differ, the reason stays.
pub fn retell(graph: &Graph, plan: &mut Plan, specs: &dyn Specs, history: &dyn History) {
    let told = |node: NodeId| {
        let result = |parent: NodeId| plan.result(parent);
        let draft = specs.spec(node, &result).ok()?;
        let spec = resolve(draft, &|parent| result(parent).ok_or(parent)).ok()?;
        match why((node, &graph.name(node)), &spec, history) {
            reason @ Reason::Changed(_) => Some((node, reason)),
            _ => None,
        }
    };
    let mut told: HashMap<NodeId, Reason> =
        built_elsewhere(plan).into_iter().filter_map(told).collect();
    for planned in &mut plan.nodes {
        if let Some(reason) = told.remove(&planned.node) {
            planned.reason = reason;
        }
    }
}
