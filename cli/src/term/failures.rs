//! Failed nodes: the instruction with its source line, the last lines of output, the log.

use std::collections::HashMap;

use mabuild_engine::event::{End, Failure, FailureKind};
use mabuild_engine::graph::{Graph, NodeId, ThingId};
use mabuild_engine::plan::{Plan, Reason};
use mabuild_engine::report::{Tone, words};
use mabuild_lang::diag::Diagnostic;
use mabuild_lang::source::{SourceMap, Span};

use super::Terminal;
use super::diagnostics::render_one;

/// Nodes of one thing that failed at the same place in the same way.
struct Group<'a> {
    nodes: Vec<(NodeId, &'a Failure)>,
}

/// Every failed node of a run; platforms that failed alike are shown once, with each log.
pub fn failed(
    terminal: &Terminal,
    graph: &Graph,
    ends: &HashMap<NodeId, End>,
    sources: &SourceMap,
) -> String {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<(ThingId, Option<Span>, &str), usize> = HashMap::new();
    let mut broken: Vec<NodeId> = ends.keys().copied().collect();
    broken.sort_unstable();
    for node in &broken {
        let Some(End::Failed(failure)) = ends.get(node) else { continue };
        let likeness = (graph.node(*node).thing, failure.span, failure.message.as_str());
        let at = *places.entry(likeness).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.nodes.push((*node, failure)),
            None => groups.push(Group { nodes: vec![(*node, failure)] }),
        }
    }
    groups.iter().map(|group| show(terminal, graph, group, sources)).collect()
}

fn show(terminal: &Terminal, graph: &Graph, group: &Group<'_>, sources: &SourceMap) -> String {
    let Some((first, failure)) = group.nodes.first() else { return String::new() };
    let name = named(graph, *first, group.nodes.iter().map(|(node, _)| *node));
    let code = match failure.kind {
        FailureKind::Step => "mabuild::run::step",
        FailureKind::Environment => "mabuild::run::environment",
        FailureKind::Upstream => "mabuild::run::upstream",
        FailureKind::Bug => "mabuild::run::bug",
    };
    let mut out = problem(terminal, code, &name, &failure.message, failure.span, sources);
    let style = terminal.err_style();
    if !failure.tail.is_empty() {
        let of = if group.nodes.len() > 1 {
            format!(" on {}", part(graph, *first))
        } else {
            String::new()
        };
        out.push_str(&style.paint(Tone::Dim, &format!("  last lines of output{of}:")));
        out.push('\n');
        for line in &failure.tail {
            out.push_str(&format!("  {} {}\n", style.paint(Tone::Dim, "|"), words::one_line(line)));
        }
    }
    for (node, failure) in &group.nodes {
        if let Some(log) = &failure.log {
            let of = if group.nodes.len() > 1 {
                format!(" on {}", part(graph, *node))
            } else {
                String::new()
            };
            out.push_str(&format!("  whole output{of}: {}\n", words::one_line(log)));
        }
    }
    for (node, failure) in &group.nodes {
        if let Some(point) = &failure.point {
            let of = if group.nodes.len() > 1 {
                format!(" on {}", part(graph, *node))
            } else {
                String::new()
            };
            out.push_str(&format!("  a shell before it{of}: mabuild image run --at {point}\n"));
        }
    }
    if failure.kind == FailureKind::Bug {
        out.push_str("  this is a defect of mabuild: please report it with the lines above\n");
    }
    out.push('\n');
    out
}

/// The nodes of a plan whose inputs cannot be found out, each message once.
pub fn refused(terminal: &Terminal, graph: &Graph, plan: &Plan, sources: &SourceMap) -> String {
    let mut order: Vec<(ThingId, Option<Span>, &str, bool)> = Vec::new();
    let mut nodes: HashMap<(ThingId, Option<Span>, &str, bool), Vec<NodeId>> = HashMap::new();
    let mut planned: Vec<_> = plan.nodes.iter().collect();
    planned.sort_unstable_by_key(|planned| planned.node);
    for planned in planned {
        if let Reason::Unknowable { message, span, blames_upstream } = &planned.reason {
            let thing = graph.node(planned.node).thing;
            let list = nodes.entry((thing, *span, message, *blames_upstream)).or_default();
            if list.is_empty() {
                order.push((thing, *span, message, *blames_upstream));
            }
            list.push(planned.node);
        }
    }
    let mut out = String::new();
    for key in order {
        let Some(list) = nodes.get(&key) else { continue };
        let Some(first) = list.first() else { continue };
        let (_, span, message, blames_upstream) = key;
        let code = if blames_upstream { "mabuild::plan::upstream" } else { "mabuild::plan::input" };
        let name = named(graph, *first, list.iter().copied());
        out.push_str(&problem(terminal, code, &name, message, span, sources));
    }
    out
}

fn problem(
    terminal: &Terminal,
    code: &'static str,
    name: &str,
    message: &str,
    span: Option<Span>,
    sources: &SourceMap,
) -> String {
    let message = format!("{name}: {message}");
    match span {
        Some(span) => {
            let diagnostic = Diagnostic::error(code, span, message, "failed here");
            render_one(terminal, &diagnostic, sources)
        }
        None => terminal.error_text(code, &message, None),
    }
}

/// `web@linux/arm64`, or `web on linux/{amd64,arm64}`.
fn named(graph: &Graph, first: NodeId, nodes: impl Iterator<Item = NodeId>) -> String {
    let platforms: Vec<_> = nodes.filter_map(|node| graph.platform(node)).collect();
    match platforms.len() {
        0 | 1 => graph.name(first),
        _ => {
            let thing = &graph.thing(graph.node(first).thing).name;
            format!("{thing} on {}", words::platforms(platforms))
        }
    }
}

fn part(graph: &Graph, node: NodeId) -> String {
    graph.platform(node).map_or_else(|| "the index".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mabuild_engine::graph::{Builder, ThingKind};
    use mabuild_lang::platform::Platform;

    use super::*;
    use crate::args::ColorChoice;

    #[test]
    fn platforms_that_fail_alike_are_shown_once_with_each_log() {
        let both = ["linux/amd64", "linux/arm64"].map(|p| Platform::parse(p).unwrap());
        let mut builder = Builder::default();
        builder.thing("web".into(), ThingKind::Image, &both, vec![], vec![]);
        let graph = builder.build().unwrap();
        let mut sources = SourceMap::default();
        let text = "image \"web\" {\n    steps { run \"false\" }\n}\n";
        let file = sources.add("mabuild.kdl", text.into());
        let start = text.find("run").unwrap() as u32;
        let span = Some(Span { file, start, end: start + 11 });
        let ends = graph.order().iter().filter(|n| graph.platform(**n).is_some()).map(|node| {
            let failure = Failure {
                point: None,
                kind: FailureKind::Step,
                message: "exit code 1".into(),
                span,
                tail: vec!["no\x1b[31m way".into()],
                log: Some(format!("/logs/{}.log", graph.name(*node))),
            };
            (*node, End::Failed(failure))
        });
        let terminal = Terminal::new(ColorChoice::Never, &BTreeMap::new());
        let text = failed(&terminal, &graph, &ends.collect(), &sources);
        assert_eq!(text.matches("exit code 1").count(), 1, "{text}");
        assert!(text.contains("web on linux/{amd64,arm64}: exit code 1"), "{text}");
        assert!(text.contains("run \"false\"") && text.contains("mabuild.kdl:2:13"), "{text}");
        assert!(text.contains("  | no way\n"), "{text}");
        assert!(
            text.contains("whole output on linux/arm64: /logs/web@linux/arm64.log\n"),
            "{text}"
        );
    }
}
