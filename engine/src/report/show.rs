//! The graph as an indented tree and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::variant::ThingDocument;
use super::view::View;
use super::{JSON_VERSION, Style, Tone, words};
use crate::graph::{EdgeKind, Graph, NodeId, Selection, ThingKind};

/// A view as a tree. An item stands below the first thing it is made `from`; what it copies from
/// is named beside it.
pub fn tree(view: &View, style: Style) -> String {
    let (mut home, mut copies) = (vec![None; view.items.len()], vec![Vec::new(); view.items.len()]);
    for (from, to, kind) in &view.edges {
        match kind {
            EdgeKind::From | EdgeKind::Member if home[*to].is_none() => home[*to] = Some(*from),
            _ => copies[*to].push(*from),
        }
    }
    let mut children = vec![Vec::new(); view.items.len()];
    for (item, home) in home.iter().enumerate() {
        if let Some(home) = home {
            children[*home].push(item);
        }
    }
    let mut out = String::new();
    // A stack in place of recursion: a chain may be as long as there are images.
    let mut open: Vec<(usize, String, String)> = Vec::new();
    for root in (0..view.items.len()).rev().filter(|item| home[*item].is_none()) {
        open.push((root, String::new(), String::new()));
    }
    while let Some((at, lead, indent)) = open.pop() {
        let item = &view.items[at];
        let _ = write!(out, "{}{}", style.paint(Tone::Dim, &lead), title(item, style));
        if !copies[at].is_empty() {
            let names: Vec<&str> = copies[at].iter().map(|c| &*view.items[*c].id).collect();
            let note = format!("  copies from {}", words::one_line(&names.join(", ")));
            out.push_str(&style.paint(Tone::Maybe, &note));
        }
        out.push('\n');
        for (place, child) in children[at].iter().enumerate().rev() {
            let last = place + 1 == children[at].len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            open.push((*child, format!("{indent}{branch}"), format!("{indent}{below}")));
        }
    }
    out
}

fn title(item: &super::view::Item, style: Style) -> String {
    let name = style.paint(Tone::Strong, &words::one_line(&item.name));
    let kind = match item.kind {
        ThingKind::Base => " (base)",
        ThingKind::Image => "",
    };
    let status = match &item.status {
        Some(status) => format!("  {}", style.paint(status.tone, &status.text)),
        None => String::new(),
    };
    let platforms = words::one_line(&item.platforms.join(" "));
    format!("{name}{kind}  {}{status}", style.paint(Tone::Dim, &platforms))
}

/// A graph as JSON, version 1.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// Bases and images in the order of the file, bases first.
    images: Vec<ImageDocument<'a>>,
    /// One for each image and platform, each after all that it needs.
    nodes: Vec<NodeDocument<'a>>,
}

#[derive(Serialize)]
struct ImageDocument<'a> {
    #[serde(flatten)]
    thing: ThingDocument<'a>,
    /// `base` or `image`.
    kind: &'static str,
    platforms: Vec<String>,
    tags: &'a [String],
    groups: Vec<&'a str>,
    needs: Vec<NeedDocument>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`.
    node: String,
    name: &'a str,
    platform: String,
    needs: Vec<NeedDocument>,
}

#[derive(Serialize)]
struct NeedDocument {
    node: String,
    /// `from` or `copy-from`.
    kind: &'static str,
}

fn need(node: String, kind: EdgeKind) -> NeedDocument {
    let kind = match kind {
        EdgeKind::From | EdgeKind::Member => "from",
        EdgeKind::CopyFrom => "copy-from",
    };
    NeedDocument { node, kind }
}

/// The selected part of a graph as a JSON document: `{"version":1,"images":[…],"nodes":[…]}`.
pub fn graph_json(graph: &Graph, selection: &Selection) -> String {
    let drawn = |node: &NodeId| selection.contains(*node) && !words::is_index(graph, *node);
    let mut images = Vec::new();
    for id in graph.thing_ids() {
        let thing = graph.thing(id);
        let platforms: Vec<String> = graph
            .parts(id)
            .filter(drawn)
            .filter_map(|n| graph.platform(n).map(ToString::to_string))
            .collect();
        if platforms.is_empty() {
            continue;
        }
        let kind = match thing.kind {
            ThingKind::Base => "base",
            ThingKind::Image => "image",
        };
        let groups = thing.groups.iter().map(|g| &**g).collect();
        let needs = graph
            .thing_parents(id)
            .into_iter()
            .map(|(parent, kind)| need(graph.thing(parent).name.to_string(), kind))
            .collect();
        let (thing, tags) = (ThingDocument::of(thing), thing.tags.as_slice());
        images.push(ImageDocument { thing, kind, platforms, tags, groups, needs });
    }
    let nodes = selection.needed.iter().copied().filter(drawn).map(|node| NodeDocument {
        node: graph.name(node),
        name: &graph.thing(graph.node(node).thing).name,
        platform: graph.platform(node).map(ToString::to_string).unwrap_or_default(),
        needs: graph.parents(node).map(|(parent, kind)| need(graph.name(parent), kind)).collect(),
    });
    words::json(&Document { version: JSON_VERSION, images, nodes: nodes.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::select;
    use crate::report::ViewOptions;
    use crate::report::testing::graph;

    #[test]
    fn draws_a_tree() {
        let text = tree(&View::of(&graph(), &ViewOptions::default()), Style::Plain);
        assert_eq!(
            text,
            "\
busybox (base)  amd64 arm64
└─ tools  amd64 arm64
   └─ httpd  amd64 arm64  copies from busybox
other (base)  amd64 arm64
"
        );
    }

    #[test]
    fn json_has_the_stable_fields() {
        let g = graph();
        let selection = select(&g, &["tools@linux/arm64".into()], &[]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&graph_json(&g, &selection)).unwrap();
        assert_eq!(json["version"], 1);
        assert_eq!(json["images"].as_array().unwrap().len(), 2);
        assert_eq!(json["images"][1]["platforms"][0], "linux/arm64");
        assert_eq!(json["images"][1]["needs"][0]["node"], "busybox");
        assert_eq!(json["nodes"][1]["node"], "tools@linux/arm64");
        assert_eq!(json["nodes"][1]["needs"][0]["kind"], "from");
    }
}
