//! Why nodes are stale: the way from each to its root causes, and what differs there.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use mabuild_lang::platform::Platform;
use mabuild_lang::source::SourceMap;
use serde::Serialize;

use super::reason::{ReasonDocument, reason_document};
use super::{JSON_VERSION, Style, Tone, words};
use crate::graph::{Graph, NodeId, ThingId};
use crate::key::Change;
use crate::plan::{Action, Plan, Planned, Reason};

/// A way from a node up to one that is stale by itself, both ends included.
type Path = Vec<NodeId>;

/// Nodes of one thing that are explained by the same things for the same reasons.
struct Group<'a> {
    nodes: Vec<&'a Planned>,
    /// Of the first node.
    paths: Vec<Path>,
}

/// Explains targets as text. Platforms of a thing that are stale for the same reasons are
/// explained once.
pub fn explain(
    graph: &Graph,
    plan: &Plan,
    sources: &SourceMap,
    targets: &[NodeId],
    style: Style,
) -> String {
    let mut out = String::new();
    for group in groups(graph, plan, targets) {
        if !out.is_empty() {
            out.push('\n');
        }
        headline(graph, &group, style, &mut out);
        for path in &group.paths {
            cause(graph, plan, sources, path, &group, style, &mut out);
        }
    }
    out
}

/// The platform nodes of the targets, and an index where it alone is stale.
fn explained<'a>(graph: &Graph, plan: &'a Plan, targets: &[NodeId]) -> Vec<&'a Planned> {
    let found = targets.iter().filter_map(|node| plan.get(*node));
    found
        .filter(|planned| {
            !words::is_index(graph, planned.node)
                || (stale(planned) && graph.parents(planned.node).all(|(p, _)| kept(plan, p)))
        })
        .collect()
}

fn stale(planned: &Planned) -> bool {
    !matches!(planned.action, Action::Keep { .. })
}

fn kept(plan: &Plan, node: NodeId) -> bool {
    plan.get(node).is_none_or(|planned| !stale(planned))
}

fn groups<'a>(graph: &Graph, plan: &'a Plan, targets: &[NodeId]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for planned in explained(graph, plan, targets) {
        let paths = paths(graph, plan, planned.node);
        match places.entry(likeness(graph, plan, planned, &paths)) {
            std::collections::hash_map::Entry::Occupied(at) => {
                groups[*at.get()].nodes.push(planned);
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(groups.len());
                groups.push(Group { nodes: vec![planned], paths });
            }
        }
    }
    groups
}

/// Text that is equal for nodes that may be explained together.
fn likeness(graph: &Graph, plan: &Plan, planned: &Planned, paths: &[Path]) -> String {
    let thing = |node: &NodeId| graph.node(*node).thing;
    let ways: Vec<Vec<ThingId>> = paths.iter().map(|p| p.iter().map(thing).collect()).collect();
    let roots: Vec<String> = paths
        .iter()
        .filter_map(|path| plan.get(*path.last()?))
        .map(|root| match &root.reason {
            Reason::Changed(changes) => {
                changes.iter().map(|c| format!("{}\n", c.field)).collect::<String>()
            }
            Reason::Unknowable { message, .. } => message.clone(),
            other => words::reason(other).to_owned(),
        })
        .collect();
    let index = words::is_index(graph, planned.node);
    let action = words::action(&planned.action);
    format!("{:?} {index} {action} {ways:?} {roots:?}", thing(&planned.node))
}

/// The shortest way to each root cause; the node itself when it is one.
fn paths(graph: &Graph, plan: &Plan, node: NodeId) -> Vec<Path> {
    let mut before: HashMap<NodeId, Option<NodeId>> = HashMap::from([(node, None)]);
    let mut open = VecDeque::from([node]);
    let mut found = Vec::new();
    while let Some(at) = open.pop_front() {
        let Some(planned) = plan.get(at).filter(|p| stale(p)) else { continue };
        if !matches!(planned.reason, Reason::Waits(_) | Reason::Below(_)) {
            let way = std::iter::successors(Some(at), |n| before.get(n).copied().flatten());
            let mut path: Path = way.collect();
            path.reverse();
            found.push(path);
            continue;
        }
        for (parent, _) in graph.parents(at) {
            if let std::collections::hash_map::Entry::Vacant(free) = before.entry(parent) {
                free.insert(Some(at));
                open.push_back(parent);
            }
        }
    }
    found
}

fn headline(graph: &Graph, group: &Group<'_>, style: Style, out: &mut String) {
    let Some(first) = group.nodes.first() else { return };
    let name = style.paint(Tone::Strong, &graph.thing(graph.node(first.node).thing).name);
    let platforms: Vec<&Platform> =
        group.nodes.iter().filter_map(|p| graph.platform(p.node)).collect();
    let part = match platforms.is_empty() {
        true => "index".to_owned(),
        false => words::platforms(platforms),
    };
    let what = match &first.action {
        Action::Keep { .. } => "is up to date",
        Action::Build => "is to be built",
        Action::Maybe => "is to be built if what it needs comes out different",
        Action::Refused => "cannot be built",
    };
    let _ = writeln!(out, "{name} {part} {}", style.paint(words::tone(&first.action), what));
    if let (Action::Keep { result }, [_]) = (&first.action, group.nodes.as_slice()) {
        let _ = writeln!(out, "  result  {result}");
        if let Some(key) = first.key {
            let _ = writeln!(out, "  key     {}", key.hex());
        }
    }
}

fn cause(
    graph: &Graph,
    plan: &Plan,
    sources: &SourceMap,
    path: &Path,
    group: &Group<'_>,
    style: Style,
    out: &mut String,
) {
    let Some(root) = path.last().and_then(|node| plan.get(*node)) else { return };
    let names: Vec<&str> =
        path.iter().map(|node| &*graph.thing(graph.node(*node).thing).name).collect();
    if names.len() > 1 {
        let _ = writeln!(out, "  {}", names.join(" ← "));
    }
    let root_name = names.last().copied().unwrap_or_default();
    let text = match &root.reason {
        Reason::Changed(changes) => {
            let what = words::count(changes.len(), "input");
            let verb = if changes.len() == 1 { "differs" } else { "differ" };
            format!("{what} of {root_name} {verb} from the last build")
        }
        Reason::NeverBuilt => format!("{root_name} was never built in this project"),
        Reason::ResultGone => {
            format!(
                "the inputs of {root_name} are those of the last build, but the result is no longer in the store"
            )
        }
        Reason::Forced => format!("{root_name} is forced"),
        Reason::Members => format!("the set of platforms of {root_name} is new"),
        Reason::Unknowable { message, span, .. } => {
            let place = span.map(|s| format!("{}: ", sources.place(s))).unwrap_or_default();
            format!("{place}{}", words::one_line(message))
        }
        Reason::UpToDate | Reason::Waits(_) | Reason::Below(_) => return,
    };
    let _ = writeln!(out, "  {text}");
    if let Reason::Changed(changes) = &root.reason {
        if group.nodes.len() > 1
            && let Some(platform) = graph.platform(root.node)
        {
            let note =
                format!("  values of {platform}; the other platforms differ in the same inputs");
            let _ = writeln!(out, "{}", style.paint(Tone::Dim, &note));
        }
        for change in changes {
            show(change, style, out);
        }
    }
}

fn show(change: &Change, style: Style, out: &mut String) {
    let _ = writeln!(out, "    {}", style.paint(Tone::Strong, &words::one_line(&change.field)));
    let mut line = |word: &str, value: &Option<String>, tone, absent: &str| {
        let text = match value {
            Some(text) => style.paint(tone, &words::one_line(text)),
            None => style.paint(Tone::Dim, absent),
        };
        let _ = writeln!(out, "      {word} {text}");
    };
    line("before", &change.before, Tone::Bad, "(not there)");
    line("now   ", &change.now, Tone::Good, "(gone)");
}

/// An explanation as JSON, version 1.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    nodes: Vec<NodeDocument<'a>>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`, or `name` for the index.
    node: String,
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
    reason: ReasonDocument<'a>,
}

/// Explains targets as a JSON document: `{"version":1,"nodes":[{"node":…,"causes":[…]}]}`.
pub fn explain_json(graph: &Graph, plan: &Plan, sources: &SourceMap, targets: &[NodeId]) -> String {
    let nodes = explained(graph, plan, targets).into_iter().map(|planned| NodeDocument {
        node: graph.name(planned.node),
        action: words::action(&planned.action),
        key: planned.key.map(|key| key.hex()),
        result: match &planned.action {
            Action::Keep { result } => Some(result),
            _ => None,
        },
        causes: paths(graph, plan, planned.node)
            .into_iter()
            .filter_map(|path| {
                let reason = &plan.get(*path.last()?)?.reason;
                let reason = reason_document(graph, reason, sources);
                Some(CauseDocument { path: path.iter().map(|n| graph.name(*n)).collect(), reason })
            })
            .collect(),
    });
    words::json(&Document { version: JSON_VERSION, nodes: nodes.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::select;
    use crate::report::testing::{Remembered, graph, plan_of};

    #[test]
    fn leads_to_the_root_cause_and_shows_both_values() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let targets = select(&g, &["httpd".into()], &[]).unwrap().targets;
        let text = explain(&g, &plan, &SourceMap::default(), &targets, Style::Plain);
        assert_eq!(
            text,
            "\
httpd linux/{amd64,arm64} is to be built if what it needs comes out different
  httpd ← busybox
  3 inputs of busybox differ from the last build
  values of linux/amd64; the other platforms differ in the same inputs
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
    fn a_chain_names_every_link() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox@linux/arm64"));
        let targets = select(&g, &["tools".into()], &[]).unwrap().targets;
        let text = explain(&g, &plan, &SourceMap::default(), &targets, Style::Plain);
        assert!(text.starts_with("tools linux/amd64 is up to date\n  result  sha256:"), "{text}");
        assert!(text.contains("tools linux/arm64 is to be built if"), "{text}");
        assert!(text.contains("\n  tools ← busybox\n"), "{text}");
    }

    #[test]
    fn json_has_a_path_and_a_reason() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let targets = select(&g, &["tools@linux/arm64".into()], &[]).unwrap().targets;
        let text = explain_json(&g, &plan, &SourceMap::default(), &targets);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["nodes"].as_array().unwrap().len(), 1);
        let cause = &json["nodes"][0]["causes"][0];
        assert_eq!(cause["path"][0], "tools@linux/arm64");
        assert_eq!(cause["path"][1], "busybox@linux/arm64");
        assert_eq!(cause["reason"]["changes"][2]["now"], serde_json::Value::Null);
    }
}
