//! What a run did, as text and as JSON.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use mabuild_lang::source::SourceMap;
use serde::Serialize;

use super::reason::{ReasonDocument, reason_document};
use super::variant::ThingDocument;
use super::{JSON_VERSION, Style, Tone, words};
use crate::event::{End, FailureKind, Phases, Summary};
use crate::graph::{Graph, NodeId};
use crate::plan::{Action, Plan};

/// A run in a few lines: what became of the nodes, bytes, seconds by phase, the longest chain,
/// and the nodes that were skipped, by name.
pub fn run_text(
    graph: &Graph,
    ends: &HashMap<NodeId, End>,
    summary: &Summary,
    style: Style,
) -> String {
    let mut out = String::new();
    for (because, skipped) in skipped(graph, ends) {
        let names = words::one_line(&skipped.join(", "));
        let line = format!("skipped because of {because}: {names}");
        let _ = writeln!(out, "{}", style.paint(Tone::Maybe, &line));
    }
    let _ = writeln!(out, "{}", headline(summary, skipped_count(graph, ends), style));
    let mut details =
        vec![format!("{} run, {} reused", words::count(summary.executed, "step"), summary.reused)];
    if summary.bytes > 0 {
        details.push(format!("{} of layers written", words::bytes(summary.bytes)));
    }
    if summary.downloaded > 0 {
        details.push(format!("{} downloaded", words::bytes(summary.downloaded)));
    }
    let _ = writeln!(out, "  {}", details.join(", "));
    let phases = phases(&summary.phases);
    if !phases.is_empty() {
        let _ = writeln!(out, "  busy: {}", phases.join(", "));
    }
    if summary.longest.len() > 1 {
        let _ = writeln!(out, "  longest chain: {}", words::chain(graph, &summary.longest));
    }
    out
}

/// Platform nodes that were skipped. An index is skipped with its platforms and counts for none.
fn skipped_count(graph: &Graph, ends: &HashMap<NodeId, End>) -> usize {
    let skipped = ends.iter().filter(|(_, end)| matches!(end, End::Skipped { .. }));
    skipped.filter(|(node, _)| !words::is_index(graph, **node)).count()
}

fn headline(summary: &Summary, skipped: usize, style: Style) -> String {
    let parts = [
        (summary.built - summary.rebased.min(summary.built), "built", Tone::Good),
        (summary.rebased, "rebased", Tone::Good),
        (summary.kept, "up to date", Tone::Good),
        (summary.failed, "failed", Tone::Bad),
        (skipped, "skipped", Tone::Maybe),
    ];
    let shown: Vec<String> = parts
        .into_iter()
        .filter(|(number, what, _)| *number > 0 || *what == "built")
        .map(|(number, what, tone)| style.paint(tone, &format!("{number} {what}")))
        .collect();
    let (tone, word) = match summary {
        Summary { interrupted: true, .. } => (Tone::Maybe, "interrupted"),
        Summary { failed: 1.., .. } => (Tone::Bad, "failed"),
        _ => (Tone::Good, "done"),
    };
    let word = style.paint(tone, word);
    format!("{word}: {} in {}", shown.join(", "), words::duration(summary.took))
}

/// Skipped nodes by the node that is to blame, in the order of the file.
fn skipped(graph: &Graph, ends: &HashMap<NodeId, End>) -> Vec<(String, Vec<String>)> {
    let mut out: Vec<(NodeId, Vec<String>)> = Vec::new();
    let mut nodes: Vec<NodeId> = ends.keys().copied().collect();
    nodes.sort_unstable();
    for node in nodes.iter().filter(|n| !words::is_index(graph, **n)) {
        if let Some(End::Skipped { because }) = ends.get(node) {
            match out.iter_mut().find(|(other, _)| other == because) {
                Some((_, list)) => list.push(graph.name(*node)),
                None => out.push((*because, vec![graph.name(*node)])),
            }
        }
    }
    out.into_iter().map(|(because, list)| (graph.name(because), list)).collect()
}

fn phases(phases: &Phases) -> Vec<String> {
    let Phases { download, unpack, run_native, run_emulated, pack } = *phases;
    [
        (download, "downloading"),
        (unpack, "unpacking"),
        (run_native, "running"),
        (run_emulated, "running emulated"),
        (pack, "packing"),
    ]
    .into_iter()
    .filter(|(seconds, _)| *seconds >= 0.005)
    .map(|(seconds, what)| format!("{what} {}", words::duration(words::seconds(seconds))))
    .collect()
}

/// A run as JSON, version 1: [`super::schema::RUN`].
#[derive(Serialize)]
struct Document<'a, P> {
    version: u32,
    project: &'a str,
    /// `ok`, `failed` or `interrupted`.
    result: &'static str,
    summary: SummaryDocument,
    /// In the order of the graph; indexes are nodes without a platform.
    nodes: Vec<NodeDocument<'a>>,
    /// What was published afterwards; absent where nothing was to be, or nothing could.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<P>,
}

#[derive(Serialize)]
struct SummaryDocument {
    built: usize,
    /// Those of them whose layers were all there already.
    rebased: usize,
    kept: usize,
    failed: usize,
    /// Platform nodes.
    skipped: usize,
    /// `run` steps that were executed.
    executed: usize,
    /// Steps whose layer was reused.
    reused: usize,
    /// Bytes of layers written.
    bytes: u64,
    downloaded: u64,
    /// Wall time.
    seconds: f64,
    /// Busy seconds over all workers.
    phases: PhasesDocument,
    /// Names, first to last.
    longest: Vec<String>,
    interrupted: bool,
}

#[derive(Serialize)]
struct PhasesDocument {
    download: f64,
    unpack: f64,
    run_native: f64,
    run_emulated: f64,
    pack: f64,
}

#[derive(Default, Serialize)]
struct NodeDocument<'a> {
    node: String,
    #[serde(flatten)]
    thing: ThingDocument<'a>,
    platform: Option<String>,
    /// Why it was not taken to be up to date when the run began; absent where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonDocument<'a>>,
    /// `built`, `kept`, `failed`, `skipped`, `cancelled`.
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The node that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureDocument<'a>>,
}

#[derive(Serialize)]
struct FailureDocument<'a> {
    /// `step`, `environment`, `upstream`, `bug`.
    kind: &'static str,
    message: &'a str,
    /// `path:line:column`.
    place: Option<String>,
    /// Last lines of output.
    tail: &'a [String],
    /// File with the whole output.
    log: Option<&'a str>,
}

/// A run as a JSON document: `{"version":1,"project":…,"result":…,"summary":…,"nodes":[…]}`, with
/// the document of what was published after it, if anything was.
pub fn run_json<P: Serialize>(
    graph: &Graph,
    project: &str,
    plan: &Plan,
    ends: &HashMap<NodeId, End>,
    summary: &Summary,
    sources: &SourceMap,
    publish: Option<P>,
) -> String {
    let result = match summary {
        Summary { interrupted: true, .. } => "interrupted",
        Summary { failed: 1.., .. } => "failed",
        _ => "ok",
    };
    let kept = |node: NodeId| plan.result(node).map(|digest| End::Kept { digest });
    // What was up to date from the start has no end of its own.
    let all: Vec<(NodeId, Cow<'_, End>)> = graph
        .order()
        .iter()
        .filter_map(|node| match ends.get(node) {
            Some(end) => Some((*node, Cow::Borrowed(end))),
            None => Some((*node, Cow::Owned(kept(*node)?))),
        })
        .collect();
    let nodes = all
        .iter()
        .map(|(node, end)| {
            let stale = plan.get(*node).filter(|p| !matches!(p.action, Action::Keep { .. }));
            let reason = stale.map(|p| reason_document(graph, &p.reason, sources));
            NodeDocument { reason, ..node_document(graph, *node, end, sources) }
        })
        .collect();
    let skipped = skipped_count(graph, ends);
    let summary = SummaryDocument { skipped, ..summary_document(graph, summary) };
    words::json(&Document { version: JSON_VERSION, project, result, summary, nodes, publish })
}

fn summary_document(graph: &Graph, summary: &Summary) -> SummaryDocument {
    let Phases { download, unpack, run_native, run_emulated, pack } = summary.phases;
    SummaryDocument {
        built: summary.built,
        rebased: summary.rebased,
        kept: summary.kept,
        failed: summary.failed,
        skipped: summary.skipped,
        executed: summary.executed,
        reused: summary.reused,
        bytes: summary.bytes,
        downloaded: summary.downloaded,
        seconds: summary.took.as_secs_f64(),
        phases: PhasesDocument { download, unpack, run_native, run_emulated, pack },
        longest: summary.longest.iter().map(|node| graph.name(*node)).collect(),
        interrupted: summary.interrupted,
    }
}

fn node_document<'a>(
    graph: &'a Graph,
    node: NodeId,
    end: &'a End,
    sources: &SourceMap,
) -> NodeDocument<'a> {
    let document = NodeDocument {
        node: graph.name(node),
        thing: ThingDocument::of_node(graph, node),
        platform: graph.platform(node).map(ToString::to_string),
        ..Default::default()
    };
    match end {
        End::Built { digest, executed, reused, bytes } => NodeDocument {
            end: "built",
            digest: Some(digest),
            executed: Some(*executed),
            reused: Some(*reused),
            bytes: Some(*bytes),
            ..document
        },
        End::Kept { digest } => NodeDocument { end: "kept", digest: Some(digest), ..document },
        End::Skipped { because } => {
            NodeDocument { end: "skipped", because: Some(graph.name(*because)), ..document }
        }
        End::Cancelled => NodeDocument { end: "cancelled", ..document },
        End::Failed(failure) => {
            let kind = match failure.kind {
                FailureKind::Step => "step",
                FailureKind::Environment => "environment",
                FailureKind::Upstream => "upstream",
                FailureKind::Bug => "bug",
            };
            let failure = FailureDocument {
                kind,
                message: &failure.message,
                place: failure.span.map(|span| sources.place(span)),
                tail: &failure.tail,
                log: failure.log.as_deref(),
            };
            NodeDocument { end: "failed", failure: Some(failure), ..document }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mabuild_tests::schema::faults;

    use super::*;
    use crate::event::Failure;
    use crate::publish::Published;
    use crate::report::testing::{Remembered, graph, plan_of};
    use crate::report::{publish_document, publish_json, schema};

    fn ends(graph: &Graph) -> HashMap<NodeId, End> {
        let node = |name: &str| *graph.order().iter().find(|n| graph.name(**n) == name).unwrap();
        let because = node("tools@linux/arm64");
        HashMap::from([
            (
                node("busybox@linux/arm64"),
                End::Built { digest: "sha256:b".into(), executed: 0, reused: 1, bytes: 10 },
            ),
            (node("busybox@linux/amd64"), End::Kept { digest: "sha256:a".into() }),
            (
                because,
                End::Failed(Failure {
                    point: None,
                    kind: FailureKind::Step,
                    message: "exit code 3".into(),
                    span: None,
                    tail: vec!["no".into()],
                    log: Some("logs/1".into()),
                }),
            ),
            (node("httpd@linux/arm64"), End::Skipped { because }),
            (node("httpd"), End::Skipped { because }),
        ])
    }

    fn summary(graph: &Graph) -> Summary {
        Summary {
            built: 3,
            rebased: 2,
            kept: 1,
            failed: 1,
            skipped: 2,
            executed: 1,
            reused: 2,
            bytes: 3 << 20,
            took: Duration::from_millis(4200),
            phases: Phases { run_emulated: 2.5, ..Phases::default() },
            longest: graph.order().iter().copied().take(2).collect(),
            ..Summary::default()
        }
    }

    #[test]
    fn says_what_happened_in_a_few_lines() {
        let g = graph();
        let text = run_text(&g, &ends(&g), &summary(&g), Style::Plain);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "skipped because of tools@linux/arm64: httpd@linux/arm64");
        assert_eq!(
            lines[1],
            "failed: 1 built, 2 rebased, 1 up to date, 1 failed, 1 skipped in 4.20 s"
        );
        assert_eq!(lines[2], "  1 step run, 2 reused, 3.00 MiB of layers written");
        assert_eq!(lines[3], "  busy: running emulated 2.50 s");
        assert!(lines[4].starts_with("  longest chain: ") && lines[4].contains(" → "));
    }

    #[test]
    fn json_has_the_stable_fields() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::everything());
        let (ends, summary, sources) = (ends(&g), summary(&g), SourceMap::default());
        let json = |published: Option<&Published>| {
            let publish = published.map(publish_document);
            let text = run_json(&g, "demo", &plan, &ends, &summary, &sources, publish);
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            let schema = serde_json::from_str(schema::RUN).unwrap();
            assert!(faults(&schema, &document).is_empty(), "{:#?}", faults(&schema, &document));
            document
        };
        let published = Published { generation: Some(7), ..Published::default() };
        let text = publish_json(&published);
        let alone: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json(Some(&published))["publish"], alone);
        let json = json(None);
        assert!(json.get("publish").is_none());
        assert_eq!(json["version"], 1);
        assert_eq!(json["result"], "failed");
        assert_eq!(json["summary"]["executed"], 1);
        assert_eq!(json["summary"]["skipped"], 1, "an index is not counted");
        let nodes = json["nodes"].as_array().unwrap();
        let of = |name: &str| nodes.iter().find(|n| n["node"] == name).unwrap();
        assert_eq!(of("tools@linux/arm64")["failure"]["kind"], "step");
        assert_eq!(of("tools@linux/arm64")["failure"]["log"], "logs/1");
        assert_eq!(of("httpd")["because"], "tools@linux/arm64");
        assert_eq!(of("busybox@linux/arm64")["bytes"], 10);
        assert_eq!(of("other@linux/arm64")["end"], "kept");
        assert_eq!(nodes.len(), g.len());
        assert!(nodes.iter().all(|node| node.get("reason").is_none()), "all was up to date");
    }

    #[test]
    fn json_says_why_nodes_were_built() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox"));
        let (ends, summary, sources) = (ends(&g), summary(&g), SourceMap::default());
        let text = run_json(&g, "demo", &plan, &ends, &summary, &sources, None::<()>);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let schema = serde_json::from_str(schema::RUN).unwrap();
        assert!(faults(&schema, &document).is_empty(), "{:#?}", faults(&schema, &document));
        let nodes = document["nodes"].as_array().unwrap();
        let reason = |name: &str| &nodes.iter().find(|n| n["node"] == name).unwrap()["reason"];
        assert_eq!(reason("busybox@linux/arm64")["changes"][0]["field"], "steps[0].content");
        assert_eq!(reason("tools@linux/arm64")["node"], "busybox@linux/arm64");
        assert!(reason("other@linux/arm64").is_null());
    }
}
