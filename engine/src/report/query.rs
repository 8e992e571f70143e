//! What a query found, as lines of text and as JSON.

use std::fmt::Write;

use mabuild_lang::platform::Platform;
use serde::Serialize;

use super::columns::WIDEST;
use super::variant::ThingDocument;
use super::{By, JSON_VERSION, words};
use crate::graph::{Graph, NodeId, Part, ThingId, ThingKind};
use crate::query::NodeSet;

/// A set as text, a line each: by image its name and platforms, by platform the node, which is a
/// target as it stands. What is needed comes before what needs it; of those that are as far
/// above the bases, the order is that of the file.
pub fn query_text(graph: &Graph, set: &NodeSet, by: By) -> String {
    let found = found(graph, set);
    let mut out = String::new();
    match by {
        By::Image => images_text(graph, &found, &mut out),
        By::Platform => {
            for node in found.iter().flat_map(|found| &found.nodes) {
                let _ = writeln!(out, "{}", words::one_line(&graph.name(*node)));
            }
        }
    }
    out
}

fn images_text(graph: &Graph, found: &[Found], out: &mut String) {
    let names: Vec<String> =
        found.iter().map(|found| words::one_line(&graph.thing(found.thing).name)).collect();
    let widths = names.iter().map(|name| name.chars().count());
    let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    for (found, name) in found.iter().zip(&names) {
        let all = graph.thing(found.thing).platforms.len();
        let platforms = match found.nodes.len() {
            number if number == all && all > 1 => format!("all {all}"),
            _ => words::platforms(found.platforms(graph)),
        };
        let _ = writeln!(out, "{name:<width$}  {}", words::one_line(&platforms));
    }
}

/// What a query found as JSON, version 1.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// Bases and images with a node in the set, each after all that it needs.
    images: Vec<ImageDocument<'a>>,
    /// The nodes of these, in the same order.
    nodes: Vec<NodeDocument<'a>>,
}

#[derive(Serialize)]
struct ImageDocument<'a> {
    #[serde(flatten)]
    thing: ThingDocument<'a>,
    /// `base` or `image`.
    kind: &'static str,
    /// Those of its platforms that are in the set.
    platforms: Vec<String>,
    /// Whether these are all that it has.
    complete: bool,
    tags: &'a [String],
    groups: Vec<&'a str>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    /// `name@os/arch`.
    node: String,
    name: &'a str,
    platform: String,
}

/// A set as a JSON document: `{"version":1,"images":[…],"nodes":[…]}`, in the order of the text.
pub fn query_json(graph: &Graph, set: &NodeSet) -> String {
    let (mut images, mut nodes) = (Vec::new(), Vec::new());
    for found in found(graph, set) {
        let thing = graph.thing(found.thing);
        let platforms: Vec<String> = found.platforms(graph).map(ToString::to_string).collect();
        nodes.extend(found.nodes.iter().zip(&platforms).map(|(node, platform)| NodeDocument {
            node: graph.name(*node),
            name: &thing.name,
            platform: platform.clone(),
        }));
        images.push(ImageDocument {
            thing: ThingDocument::of(thing),
            kind: match thing.kind {
                ThingKind::Base => "base",
                ThingKind::Image => "image",
            },
            complete: platforms.len() == thing.platforms.len(),
            platforms,
            tags: &thing.tags,
            groups: thing.groups.iter().map(|group| &**group).collect(),
        });
    }
    words::json(&Document { version: JSON_VERSION, images, nodes })
}

/// A thing with those of its nodes that are in the set.
struct Found {
    thing: ThingId,
    nodes: Vec<NodeId>,
}

impl Found {
    fn platforms<'g>(&self, graph: &'g Graph) -> impl Iterator<Item = &'g Platform> {
        self.nodes.iter().filter_map(|node| graph.platform(*node))
    }
}

/// The things of a set: by their height above the bases, then in the order of the file. An image
/// added elsewhere moves none of them.
fn found(graph: &Graph, set: &NodeSet) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for node in set.iter() {
        let thing = graph.node(node).thing;
        match all.last_mut().filter(|last| last.thing == thing) {
            Some(last) => last.nodes.push(node),
            None => all.push(Found { thing, nodes: vec![node] }),
        }
    }
    let heights = heights(graph);
    all.sort_by_key(|found| heights.get(found.thing.0 as usize).copied());
    all
}

/// For each thing, the longest way down from it to one that needs nothing, in steps.
fn heights(graph: &Graph) -> Vec<u32> {
    let mut heights = vec![0_u32; graph.things().len()];
    for node in graph.order().iter().filter(|node| graph.node(**node).part != Part::Index) {
        let height = |thing: ThingId| heights.get(thing.0 as usize).map_or(0, |height| height + 1);
        let above = graph.parents(*node).map(|(parent, _)| height(graph.node(parent).thing)).max();
        if let Some(own) = heights.get_mut(graph.node(*node).thing.0 as usize) {
            *own = (*own).max(above.unwrap_or(0));
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{World, evaluate, parse};
    use crate::report::testing::graph;

    fn ask(graph: &Graph, query: &str) -> NodeSet {
        evaluate(&parse(query).unwrap(), &World { graph, plan: None }).unwrap()
    }

    #[test]
    fn images_fold_their_platforms_and_nodes_are_targets() {
        let g = graph();
        let set = ask(&g, "deps(httpd) - busybox@linux/amd64");
        assert_eq!(
            query_text(&g, &set, By::Image),
            "busybox  linux/arm64\ntools    all 2\nhttpd    all 2\n"
        );
        assert_eq!(
            query_text(&g, &set, By::Platform),
            "\
busybox@linux/arm64
tools@linux/amd64
tools@linux/arm64
httpd@linux/amd64
httpd@linux/arm64
"
        );
        assert_eq!(query_text(&g, &ask(&g, "tools - tools"), By::Image), "");
    }

    #[test]
    fn json_has_the_stable_fields() {
        let g = graph();
        let text = query_json(&g, &ask(&g, "httpd@linux/arm64 + busybox"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "version": 1,
            "images": [
                {
                    "name": "busybox",
                    "family": null,
                    "axes": {},
                    "kind": "base",
                    "platforms": ["linux/amd64", "linux/arm64"],
                    "complete": true,
                    "tags": ["latest"],
                    "groups": [],
                },
                {
                    "name": "httpd",
                    "family": null,
                    "axes": {},
                    "kind": "image",
                    "platforms": ["linux/arm64"],
                    "complete": false,
                    "tags": ["latest"],
                    "groups": ["all"],
                },
            ],
            "nodes": [
                { "node": "busybox@linux/amd64", "name": "busybox", "platform": "linux/amd64" },
                { "node": "busybox@linux/arm64", "name": "busybox", "platform": "linux/arm64" },
                { "node": "httpd@linux/arm64", "name": "httpd", "platform": "linux/arm64" },
            ],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_is_needed_comes_first_whatever_the_order_of_the_file() {
        use crate::graph::{Builder, EdgeKind};
        let platform = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        let names = ["top", "middle", "low", "other"];
        let ids = names.map(|n| b.thing(n.into(), ThingKind::Image, &platform, vec![], vec![]));
        b.edge(ids[2], ids[1], EdgeKind::From);
        b.edge(ids[1], ids[0], EdgeKind::From);
        let g = b.build().unwrap();
        let text = query_text(&g, &ask(&g, "all()"), By::Image);
        let shown: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
        assert_eq!(shown, ["low", "other", "middle", "top"]);
    }
}
