//! What a change somewhere would reach, as text and as JSON. Everything below the change itself
//! is `maybe`, and every sum is an upper bound over the nodes that have a past.

use std::fmt::Write;

use mabuild_lang::platform::Platform;
use serde::Serialize;

use super::columns::{Cell, columns};
use super::variant::ThingDocument;
use super::{JSON_VERSION, Style, Tone, words};
use crate::graph::{Graph, ThingId};
use crate::plan::{Blast, Past, Reached};

const HEAD: [&str; 6] = ["ACTION", "NODE", "PLATFORMS", "TIME", "LAYERS", "WHY"];

/// A change and what it would reach.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// What changes, as it was asked for.
    pub name: String,
    /// Whether it is a file, in place of a node.
    pub is_file: bool,
    /// What it would reach.
    pub blast: Blast,
    /// Platform nodes that the question was about, reached or not.
    pub of: usize,
    /// Those of them that are refused, when a file changes: what they read is not known.
    pub refused: usize,
}

impl WhatIf {
    /// Platform nodes that the change does not reach for certain.
    fn untouched(&self, reached: usize) -> usize {
        self.of.saturating_sub(reached + self.refused)
    }
}

/// What makes nodes share a row: the thing, whether they are certain, and what they are reached
/// through.
type Like = (ThingId, bool, Option<ThingId>);

/// What a change would reach as a table, its time and its bytes below.
pub fn what_if_text(graph: &Graph, asked: &WhatIf, style: Style) -> String {
    let blast = &asked.blast;
    let name = words::one_line(&asked.name);
    let (certain, maybe) = counts(graph, blast);
    if certain + maybe == 0 {
        return nothing(asked, &name, style);
    }
    let mut out = columns(HEAD, &rows(graph, asked), style);
    let shown = [
        (certain, "to build", Tone::Work),
        (maybe, "to build if what they need changes", Tone::Maybe),
        (asked.untouched(certain + maybe), "not touched", Tone::Good),
        (asked.refused, "refused", Tone::Bad),
    ];
    let shown: Vec<String> = shown
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, what, tone)| style.paint(tone, &format!("{number} {what}")))
        .collect();
    let _ = writeln!(out, "a change of {name}: {}", shown.join(", "));
    sums(graph, blast, certain + maybe, &mut out);
    if asked.refused > 0 {
        out.push_str(&unsaid(asked.refused));
    }
    out
}

/// The line, or two, of a change that reaches nothing.
fn nothing(asked: &WhatIf, name: &str, style: Style) -> String {
    match (asked.is_file, asked.refused) {
        (false, _) => {
            let line = format!("nothing needs {name}: a change of it builds nothing");
            style.paint(Tone::Good, &line) + "\n"
        }
        (true, 0) => {
            let line = format!("no node reads {name}: a change of it builds nothing");
            style.paint(Tone::Good, &line) + "\n"
        }
        (true, refused) => {
            let line = format!("no node that can be built reads {name}");
            format!("{}\n{}", style.paint(Tone::Maybe, &line), unsaid(refused))
        }
    }
}

/// What cannot be said of nodes that are refused.
fn unsaid(refused: usize) -> String {
    let (nodes, verb, they) = match refused {
        1 => ("1 node".to_owned(), "is", "it reads"),
        _ => (words::count(refused, "node"), "are", "they read"),
    };
    format!("{nodes} {verb} refused: what {they} is not known\n")
}

/// Platform nodes that are built for certain, and those that may be.
fn counts(graph: &Graph, blast: &Blast) -> (usize, usize) {
    let platforms = || blast.nodes.iter().filter(|r| !words::is_index(graph, r.node));
    let certain = platforms().filter(|r| r.certain).count();
    (certain, platforms().count() - certain)
}

fn sums(graph: &Graph, blast: &Blast, nodes: usize, out: &mut String) {
    let time = |seconds: f64| words::duration(words::seconds(seconds));
    if blast.untimed < nodes {
        let _ = write!(out, "time:  up to {} of work, by past builds", time(blast.seconds));
        if blast.chain.len() > 1 {
            let _ = write!(out, "; the longest chain takes {}", time(blast.chain_seconds));
            let _ = write!(out, ": {}", words::chain(graph, &blast.chain));
        }
        out.push('\n');
    }
    if blast.unsized_nodes < nodes {
        let (layers, push) = (words::bytes(blast.layers), words::bytes(blast.push));
        let _ = writeln!(out, "bytes: up to {layers} of layers to write, {push} to push");
    }
    for (missing, what) in [(blast.untimed, "time"), (blast.unsized_nodes, "size")] {
        if missing > 0 {
            let nodes = words::count(missing, "node");
            let _ = writeln!(out, "{nodes} of unknown {what}, which no sum contains");
        }
    }
}

fn rows(graph: &Graph, asked: &WhatIf) -> Vec<[Cell; 6]> {
    let mut nodes: Vec<&Reached> = asked.blast.nodes.iter().collect();
    nodes.retain(|r| !words::is_index(graph, r.node));
    nodes.sort_unstable_by_key(|r| r.node);
    let mut groups: Vec<(Like, Vec<&Reached>)> = Vec::new();
    for reached in nodes {
        let through = reached.through.map(|node| graph.node(node).thing);
        let like = (graph.node(reached.node).thing, reached.certain, through);
        // Equal ones stand side by side but for what differs between platforms.
        let mut near = groups.iter_mut().rev().take_while(|((thing, ..), _)| *thing == like.0);
        match near.find(|(other, _)| *other == like) {
            Some((_, list)) => list.push(reached),
            None => groups.push((like, vec![reached])),
        }
    }
    groups.into_iter().map(|(like, list)| row(graph, asked, like, &list)).collect()
}

/// The row of nodes that are alike.
fn row(
    graph: &Graph,
    asked: &WhatIf,
    (thing, certain, through): Like,
    list: &[&Reached],
) -> [Cell; 6] {
    let platforms: Vec<&Platform> = list.iter().filter_map(|r| graph.platform(r.node)).collect();
    let all = list.len() > 1 && list.len() == graph.parts(thing).count();
    let known = |of: fn(&Past) -> Option<f64>, show: &dyn Fn(f64) -> String| {
        let found: Vec<f64> = list.iter().filter_map(|r| of(&r.past)).collect();
        match found.len() {
            0 => "?".to_owned(),
            n if n < list.len() => format!("{} + ?", show(found.iter().sum())),
            _ => show(found.iter().sum()),
        }
    };
    let (action, tone) = match certain {
        true => ("build", Tone::Work),
        false => ("maybe", Tone::Maybe),
    };
    let platforms = if all { format!("all {}", list.len()) } else { words::platforms(platforms) };
    let why = match through {
        Some(through) => format!("needs {}", graph.thing(through).name),
        None if asked.is_file => format!("reads {}", words::one_line(&asked.name)),
        None => "changes".to_owned(),
    };
    [
        (action.to_owned(), Some(tone)),
        (graph.thing(thing).name.to_string(), Some(Tone::Strong)),
        (platforms, None),
        (known(|past| past.seconds, &|s| words::duration(words::seconds(s))), None),
        (known(|past| past.layers.map(|n| n as f64), &|n| words::bytes(n as u64)), None),
        (why, None),
    ]
}

/// What a change would reach as JSON, version 1: [`super::schema::WHAT_IF`].
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    what_if: &'a str,
    /// `node` or `file`.
    kind: &'static str,
    counts: Counts,
    seconds: SecondsDocument,
    bytes: BytesDocument,
    /// Each after all that it needs.
    nodes: Vec<NodeDocument<'a>>,
}

/// Platform nodes; indexes are not counted.
#[derive(Serialize)]
struct Counts {
    build: usize,
    maybe: usize,
    untouched: usize,
    refused: usize,
}

#[derive(Serialize)]
struct SecondsDocument {
    /// Upper bound of all work.
    sum: f64,
    /// Upper bound of the longest chain.
    chain: f64,
    /// Names of its nodes, first to last.
    chain_nodes: Vec<String>,
    /// Platform nodes without a past, which are in no sum.
    unknown: usize,
}

#[derive(Serialize)]
struct BytesDocument {
    /// Upper bound of the layers that would be written.
    layers: u64,
    /// Upper bound of what would be pushed.
    push: u64,
    /// Platform nodes without a past, which are in no sum.
    unknown: usize,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`, or `name` for the index over the platforms.
    node: String,
    #[serde(flatten)]
    thing: ThingDocument<'a>,
    platform: Option<String>,
    /// `build` or `maybe`.
    action: &'static str,
    /// The node that it is reached through; null where the change begins.
    through: Option<String>,
    seconds: Option<f64>,
    layers: Option<u64>,
    push: Option<u64>,
}

/// What a change would reach as a JSON document: `{"version":1,"what_if":…,"nodes":[…]}`.
pub fn what_if_json(graph: &Graph, asked: &WhatIf) -> String {
    let blast = &asked.blast;
    let (build, maybe) = counts(graph, blast);
    let nodes = blast.nodes.iter().map(|reached| {
        let Past { seconds, layers, push } = reached.past;
        NodeDocument {
            node: graph.name(reached.node),
            thing: ThingDocument::of_node(graph, reached.node),
            platform: graph.platform(reached.node).map(ToString::to_string),
            action: if reached.certain { "build" } else { "maybe" },
            through: reached.through.map(|node| graph.name(node)),
            seconds,
            layers,
            push,
        }
    });
    words::json(&Document {
        version: JSON_VERSION,
        what_if: &asked.name,
        kind: if asked.is_file { "file" } else { "node" },
        counts: Counts {
            build,
            maybe,
            untouched: asked.untouched(build + maybe),
            refused: asked.refused,
        },
        seconds: SecondsDocument {
            sum: blast.seconds,
            chain: blast.chain_seconds,
            chain_nodes: blast.chain.iter().map(|node| graph.name(*node)).collect(),
            unknown: blast.untimed,
        },
        bytes: BytesDocument {
            layers: blast.layers,
            push: blast.push,
            unknown: blast.unsized_nodes,
        },
        nodes: nodes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NodeId;
    use crate::plan::{Seed, blast};
    use crate::report::testing::graph;

    fn asked(graph: &Graph, seeds: &[&str], is_file: bool) -> WhatIf {
        let find = |name: &&str| *graph.order().iter().find(|n| graph.name(**n) == *name).unwrap();
        let seeds: Vec<Seed> =
            seeds.iter().map(|name| Seed { node: find(name), certain: true }).collect();
        let past = |node: NodeId| match graph.name(node).as_str() {
            "tools@linux/arm64" => Past::default(),
            "httpd@linux/arm64" => Past { seconds: Some(0.5), layers: None, push: None },
            name if name.starts_with("tools") => {
                Past { seconds: Some(61.0), layers: Some(2048), push: Some(3000) }
            }
            _ => Past { seconds: Some(2.0), layers: Some(1024), push: Some(1500) },
        };
        let blast = blast(graph, &seeds, &|_| true, &past);
        let name = if is_file { "conf/a b" } else { "busybox" }.to_owned();
        WhatIf { name, is_file, blast, of: 8, refused: 0 }
    }

    #[test]
    fn text_says_what_is_certain_and_what_is_known() {
        let g = graph();
        let asked = asked(&g, &["busybox@linux/amd64", "busybox@linux/arm64"], false);
        assert_eq!(
            what_if_text(&g, &asked, Style::Plain),
            "\
ACTION  NODE     PLATFORMS  TIME            LAYERS        WHY
build   busybox  all 2      4.00 s          2.00 KiB      changes
maybe   tools    all 2      1 min 01 s + ?  2.00 KiB + ?  needs busybox
maybe   httpd    all 2      2.50 s          1.00 KiB + ?  needs busybox
a change of busybox: 2 to build, 4 to build if what they need changes, 2 not touched
time:  up to 1 min 08 s of work, by past builds; the longest chain takes 1 min 05 s: busybox@linux/amd64 → tools@linux/amd64 → httpd@linux/amd64
bytes: up to 5.00 KiB of layers to write, 7.32 KiB to push
1 node of unknown time, which no sum contains
2 nodes of unknown size, which no sum contains
"
        );
    }

    #[test]
    fn a_file_that_nobody_reads_builds_nothing() {
        let g = graph();
        let text = what_if_text(&g, &asked(&g, &[], true), Style::Plain);
        assert_eq!(text, "no node reads conf/a b: a change of it builds nothing\n");
        let text = what_if_text(&g, &asked(&g, &["httpd@linux/amd64"], true), Style::Plain);
        assert!(
            text.contains("build   httpd  linux/amd64  2.00 s  1.00 KiB  reads conf/a b"),
            "{text}"
        );
        assert!(!text.contains("longest chain") && !text.contains("unknown"), "{text}");
        // Of nodes that are refused nobody knows what they read.
        let of = |seeds: &[&str], refused| {
            what_if_text(&g, &WhatIf { refused, ..asked(&g, seeds, true) }, Style::Plain)
        };
        let text = of(&[], 3);
        assert!(
            text.starts_with("no node that can be built reads conf/a b\n3 nodes are refused"),
            "{text}"
        );
        let text = of(&["httpd@linux/amd64"], 1);
        assert!(text.contains("1 to build, 6 not touched, 1 refused"), "{text}");
        assert!(text.contains("1 node is refused: what it reads is not known\n"), "{text}");
    }

    #[test]
    fn json_has_the_stable_fields() {
        let g = graph();
        let asked = asked(&g, &["tools@linux/amd64"], false);
        let json: serde_json::Value = serde_json::from_str(&what_if_json(&g, &asked)).unwrap();
        assert_eq!((&json["version"], &json["kind"]), (&1.into(), &"node".into()));
        assert_eq!(
            json["counts"],
            serde_json::json!({"build": 1, "maybe": 1, "untouched": 6, "refused": 0})
        );
        assert_eq!(json["seconds"]["sum"], 63.0);
        assert_eq!(json["seconds"]["chain_nodes"][1], "httpd@linux/amd64");
        assert_eq!(json["bytes"], serde_json::json!({"layers": 3072, "push": 4500, "unknown": 0}));
        let nodes = json["nodes"].as_array().unwrap();
        let of = |name: &str| nodes.iter().find(|n| n["node"] == name).unwrap();
        assert_eq!(of("tools@linux/amd64")["through"], serde_json::Value::Null);
        assert_eq!(of("httpd@linux/amd64")["through"], "tools@linux/amd64");
        assert_eq!(
            (&of("httpd")["action"], &of("tools")["action"]),
            (&"maybe".into(), &"build".into())
        );
    }
}
