//! Why nodes are stale: the way from each to its root causes, and what differs there.

use std::collections::{HashMap, VecDeque};

use mabuild_lang::source::SourceMap;
use serde::Serialize;

use super::causes::{Story, Way, Why, chain, tell};
use super::reason::{ReasonDocument, reason_document};
use super::variant::ThingDocument;
use super::{JSON_VERSION, Style, words};
use crate::graph::{Graph, NodeId};
use crate::plan::{Action, Plan, Planned, Reason};

/// What an explanation is made from.
#[derive(Clone, Copy)]
pub struct Explaining<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// What is to be done.
    pub plan: &'a Plan,
    /// Why nodes that are `maybe` would be stale by themselves.
    pub own: &'a HashMap<NodeId, Reason>,
    /// For places in files.
    pub sources: &'a SourceMap,
}

/// A way from a node up to one that is stale by itself, both ends included, and why that is so.
type Path<'a> = (Vec<NodeId>, &'a Reason);

/// Explains targets as text. Platforms of a thing that are stale for the same reasons are
/// explained once.
pub fn explain(of: &Explaining<'_>, targets: &[NodeId], style: Style) -> String {
    let stories = explained(of, targets).into_iter().map(|planned| of.story(planned));
    tell(stories.collect(), "the last build", style)
}

/// The platform nodes of the targets, and an index where it alone is stale.
fn explained<'a>(of: &Explaining<'a>, targets: &[NodeId]) -> Vec<&'a Planned> {
    let settled = |node: NodeId| of.plan.get(node).is_none_or(|planned| !stale(planned));
    let found = targets.iter().filter_map(|node| of.plan.get(*node));
    found
        .filter(|planned| {
            !words::is_index(of.graph, planned.node)
                || (stale(planned) && of.graph.parents(planned.node).all(|(p, _)| settled(p)))
        })
        .collect()
}

fn stale(planned: &Planned) -> bool {
    !matches!(planned.action, Action::Keep { .. })
}

impl<'a> Explaining<'a> {
    fn story(&self, planned: &'a Planned) -> Story<'a> {
        let thing = |node: NodeId| self.graph.thing(self.graph.node(node).thing).name.to_string();
        let details = match &planned.action {
            Action::Keep { result } => {
                let key = planned.key.map(|key| format!("key     {}", key.hex()));
                std::iter::once(format!("result  {result}")).chain(key).collect()
            }
            _ => Vec::new(),
        };
        let way = |(path, reason): Path<'a>| {
            let names: Vec<String> = path.iter().map(|node| thing(*node)).collect();
            Way { why: self.why(names.last().map_or("", String::as_str), reason), names }
        };
        Story {
            name: thing(planned.node),
            platform: self.graph.platform(planned.node).cloned(),
            outcome: match &planned.action {
                Action::Keep { .. } => "is up to date",
                Action::Build => "is to be built",
                Action::Maybe => "is to be built if what it needs comes out different",
                Action::Refused => "cannot be built",
            },
            tone: words::tone(&planned.action),
            details,
            causes: self.paths(planned.node).into_iter().map(way).collect(),
        }
    }

    fn why(&self, root: &str, reason: &'a Reason) -> Why<'a> {
        let (short, sentence) = match reason {
            Reason::Changed(changes) => return Why::Changed(changes),
            Reason::NeverBuilt => ("never built in this project", None),
            Reason::Elsewhere => (
                "published from other inputs",
                Some(format!(
                    "what is published of {root} was built elsewhere; which of its inputs differ is \
                     known where it was built"
                )),
            ),
            Reason::ResultGone => (
                "its result is gone",
                Some(format!(
                    "the inputs of {root} are those of the last build, but the result is no \
                     longer in the store"
                )),
            ),
            Reason::Forced => ("forced", None),
            Reason::Members => ("its set of platforms is new", None),
            Reason::Unknowable { message, span, .. } => {
                let place = span.map(|s| format!("{}: ", self.sources.place(s)));
                let place = place.unwrap_or_default();
                ("its inputs cannot be found out", Some(format!("{place}{message}")))
            }
            Reason::UpToDate => ("up to date", None),
            Reason::Waits(_) | Reason::Below(_) => ("waits", None),
        };
        Why::Plain { short, sentence }
    }

    /// The shortest way to each root cause; the node itself when it is one. A node that waits
    /// for others may be a cause as well, by inputs of its own.
    fn paths(&self, node: NodeId) -> Vec<Path<'a>> {
        let mut before: HashMap<NodeId, Option<NodeId>> = HashMap::from([(node, None)]);
        let mut open = VecDeque::from([node]);
        let mut found = Vec::new();
        while let Some(at) = open.pop_front() {
            let Some(planned) = self.plan.get(at).filter(|p| stale(p)) else { continue };
            let waits = matches!(planned.reason, Reason::Waits(_) | Reason::Below(_));
            let cause = if waits { self.own.get(&at) } else { Some(&planned.reason) };
            if let Some(reason) = cause {
                let way = std::iter::successors(Some(at), |n| before.get(n).copied().flatten());
                let mut path: Vec<NodeId> = way.collect();
                path.reverse();
                found.push((path, reason));
            }
            // Of a node that was never built nothing above it says more.
            if !waits || matches!(cause, Some(Reason::NeverBuilt)) {
                continue;
            }
            for (parent, _) in self.graph.parents(at) {
                if let std::collections::hash_map::Entry::Vacant(free) = before.entry(parent) {
                    free.insert(Some(at));
                    open.push_back(parent);
                }
            }
        }
        found
    }
}

/// An explanation as JSON, version 1: [`super::schema::EXPLAIN`].
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    nodes: Vec<NodeDocument<'a>>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`, or `name` for the index.
    node: String,
    #[serde(flatten)]
    thing: ThingDocument<'a>,
    /// Null for the index.
    platform: Option<String>,
    /// `keep`, `build`, `maybe`, `refused`.
    action: &'static str,
    key: Option<String>,
    result: Option<&'a str>,
    causes: Vec<CauseDocument<'a>>,
}

#[derive(Serialize)]
struct CauseDocument<'a> {
    /// From the node to the root cause.
    path: Vec<String>,
    /// The same in one line, with what differs at its end.
    chain: String,
    reason: ReasonDocument<'a>,
}

/// Explains targets as a JSON document: `{"version":1,"nodes":[{"node":…,"causes":[…]}]}`.
pub fn explain_json(of: &Explaining<'_>, targets: &[NodeId]) -> String {
    let graph = of.graph;
    let nodes = explained(of, targets).into_iter().map(|planned| {
        let node = graph.name(planned.node);
        let ways = of.story(planned).causes;
        let causes = of.paths(planned.node).into_iter().zip(&ways);
        let causes = causes.map(|((path, reason), way)| CauseDocument {
            path: path.iter().map(|n| graph.name(*n)).collect(),
            chain: chain(&node, way, true),
            reason: reason_document(graph, reason, of.sources),
        });
        NodeDocument {
            thing: ThingDocument::of_node(graph, planned.node),
            platform: graph.platform(planned.node).map(ToString::to_string),
            action: words::action(&planned.action),
            key: planned.key.map(|key| key.hex()),
            result: match &planned.action {
                Action::Keep { result } => Some(result),
                _ => None,
            },
            causes: causes.collect(),
            node,
        }
    });
    words::json(&Document { version: JSON_VERSION, nodes: nodes.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::select;
    use crate::key::Change;
    use crate::report::testing::{Remembered, graph, plan_of};

    fn text(g: &Graph, plan: &Plan, own: &HashMap<NodeId, Reason>, target: &str) -> String {
        let targets = select(g, &[target.into()], &[]).unwrap().targets;
        let of = Explaining { graph: g, plan, own, sources: &SourceMap::default() };
        explain(&of, &targets, Style::Plain)
    }

    #[test]
    fn leads_to_the_root_cause_and_shows_both_values() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        assert_eq!(
            text(&g, &plan, &HashMap::new(), "httpd"),
            "\
httpd linux/{amd64,arm64} is to be built if what it needs comes out different
  httpd@linux/{amd64,arm64} ← busybox ← steps[0].content: old → busybox; label.a: new, 1; and 1 more
  3 inputs of busybox differ from the last build
    steps[0].content
      before old
      now    busybox
    label.a
      before (not there)
      now    1
    user
      before nobody
      now    (gone)
"
        );
    }

    #[test]
    fn a_node_that_waits_shows_its_own_changes_and_those_above() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox@linux/arm64"));
        let node = |name: &str| *g.order().iter().find(|n| g.name(**n) == name).unwrap();
        let change = |now: &str| Change {
            field: "label.of".to_owned(),
            before: Some("a".to_owned()),
            now: Some(now.to_owned()),
        };
        let own = HashMap::from([
            (node("httpd@linux/arm64"), Reason::Changed(vec![change("b")])),
            (node("tools@linux/arm64"), Reason::NeverBuilt),
        ]);
        let text = text(&g, &plan, &own, "httpd@linux/arm64");
        let chains: Vec<&str> = text.lines().filter(|l| l.contains('←')).collect();
        assert_eq!(
            chains,
            [
                "  httpd@linux/arm64 ← label.of: a → b",
                "  httpd@linux/arm64 ← busybox ← steps[0].content: old → busybox; label.a: new, 1; and 1 more",
                "  httpd@linux/arm64 ← tools ← never built in this project",
            ]
        );
    }

    #[test]
    fn what_is_kept_shows_its_result() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox@linux/arm64"));
        let text = text(&g, &plan, &HashMap::new(), "tools");
        assert!(text.starts_with("tools linux/amd64 is up to date\n  result  sha256:"), "{text}");
        assert!(text.contains("\n  key     "), "{text}");
        assert!(text.contains("tools linux/arm64 is to be built if"), "{text}");
        assert!(text.contains("\n  tools@linux/arm64 ← busybox ← steps[0]"), "{text}");
    }

    #[test]
    fn json_has_a_path_and_a_reason() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let targets = select(&g, &["tools@linux/arm64".into()], &[]).unwrap().targets;
        let (own, sources) = (HashMap::new(), SourceMap::default());
        let of = Explaining { graph: &g, plan: &plan, own: &own, sources: &sources };
        let text = explain_json(&of, &targets);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["nodes"].as_array().unwrap().len(), 1);
        let cause = &json["nodes"][0]["causes"][0];
        assert_eq!(cause["path"][0], "tools@linux/arm64");
        assert_eq!(cause["path"][1], "busybox@linux/arm64");
        assert_eq!(
            cause["chain"],
            "tools@linux/arm64 ← busybox ← steps[0].content: old → busybox; label.a: new, 1; and 1 more"
        );
        assert_eq!(cause["reason"]["changes"][2]["now"], serde_json::Value::Null);
    }
}
