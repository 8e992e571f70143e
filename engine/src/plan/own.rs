//! What differs of a node that waits for others, whatever those come out as.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Action, History, Plan, Planned, Reason, Specs, resolve};
use crate::graph::{Graph, NodeId};
use crate::key::{Change, Record, diff};
use crate::spec::DraftSpec;

/// Stands for a parent that has no result yet, while it is compared.
const OPEN: &str = "\0";
/// The same for people.
const NOT_BUILT: &str = "not built yet";

/// The nodes of platforms that are `maybe`: an index has no spec, it is its platforms.
pub fn waiting<'a>(graph: &'a Graph, plan: &'a Plan) -> impl Iterator<Item = &'a Planned> {
    plan.nodes
        .iter()
        .filter(|planned| planned.action == Action::Maybe && graph.platform(planned.node).is_some())
}

/// For every node that is `maybe`: why it would be stale even if all that it waits for came out
/// as before. A node without such a reason is not in the answer.
pub fn own(
    graph: &Graph,
    plan: &Plan,
    specs: &dyn Specs,
    history: &dyn History,
) -> HashMap<NodeId, Reason> {
    let found = waiting(graph, plan).filter_map(|planned| {
        let draft = specs.spec(planned.node, &|parent| plan.result(parent)).ok()?;
        Some((planned.node, own_of(graph, planned.node, draft, plan, history)?))
    });
    found.collect()
}

fn own_of(
    graph: &Graph,
    node: NodeId,
    draft: DraftSpec,
    plan: &Plan,
    history: &dyn History,
) -> Option<Reason> {
    let Some(before) = history.last(&graph.name(node)) else {
        // What was published may differ in nothing but what it waits for.
        return (!history.is_published(node)).then_some(Reason::NeverBuilt);
    };
    let result = |parent: NodeId| -> Result<Arc<str>, std::convert::Infallible> {
        Ok(plan.result(parent).unwrap_or_else(|| OPEN.into()))
    };
    let Ok(spec) = resolve(draft, &result);
    let mut changes = diff(&before, &Record::of(&spec));
    // Which digest a parent will have is for the parent to explain.
    changes.retain(|change| !(is_open(change) && was_image(change)));
    for change in changes.iter_mut().filter(|change| is_open(change)) {
        change.now = Some(NOT_BUILT.to_owned());
    }
    (!changes.is_empty()).then_some(Reason::Changed(changes))
}

fn is_open(change: &Change) -> bool {
    change.now.as_deref() == Some(OPEN)
}

fn was_image(change: &Change) -> bool {
    change.before.as_ref().is_some_and(|before| before.starts_with("sha256:"))
}
