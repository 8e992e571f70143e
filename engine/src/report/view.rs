//! The graph as a drawing sees it: one item an image, or one an image and platform.

use std::sync::Arc;

use super::{Tone, words};
use crate::graph::{EdgeKind, Graph, NodeId, Selection, ThingId, ThingKind};
use crate::plan::{Action, Plan};

/// What one item stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// An image with all its platforms.
    #[default]
    Image,
    /// An image on one platform.
    Platform,
}

/// What is drawn.
#[derive(Clone, Copy, Default)]
pub struct ViewOptions<'a> {
    /// What one item stands for.
    pub by: By,
    /// Draws these nodes alone.
    pub selection: Option<&'a Selection>,
    /// Colours items by what a rebuild would do.
    pub plan: Option<&'a Plan>,
    /// Leaves out edges that follow from others.
    pub reduce: bool,
}

/// One box.
#[derive(Debug)]
pub struct Item {
    /// Unique: `name` or `name@os/arch`.
    pub id: String,
    /// Name of the thing.
    pub name: Arc<str>,
    /// Base or image.
    pub kind: ThingKind,
    /// Its platforms, without `linux/` when the whole view is of Linux.
    pub platforms: Vec<String>,
    /// The first group that it is a member of, else the image that it is a variant of.
    pub group: Option<Arc<str>>,
    /// What a rebuild would do.
    pub status: Option<Status>,
}

/// What a rebuild would do to an item.
#[derive(Debug)]
pub struct Status {
    /// That of its most urgent node.
    pub tone: Tone,
    /// `3 build · 4 maybe`, or the one word that is true of all.
    pub text: String,
}

/// Items and the edges between them, in a stable order.
#[derive(Debug)]
pub struct View {
    /// Boxes, in the order of the file.
    pub items: Vec<Item>,
    /// Positions in `items`: what is needed, what needs it, why.
    pub edges: Vec<(usize, usize, EdgeKind)>,
}

impl View {
    /// The view of a graph.
    pub fn of(graph: &Graph, options: &ViewOptions<'_>) -> Self {
        let plain_linux = graph.platforms().iter().all(|p| p.os == "linux");
        let maker = Maker { graph, options, plain_linux };
        let (items, mut edges) = match options.by {
            By::Image => maker.by_image(),
            By::Platform => maker.by_platform(),
        };
        edges.sort_unstable();
        if options.reduce {
            reduce(items.len(), &mut edges);
        }
        Self { items, edges }
    }
}

struct Maker<'a> {
    graph: &'a Graph,
    options: &'a ViewOptions<'a>,
    plain_linux: bool,
}

type Parts = (Vec<Item>, Vec<(usize, usize, EdgeKind)>);

impl Maker<'_> {
    fn by_image(&self) -> Parts {
        let (mut items, mut at) = (Vec::new(), vec![None; self.graph.things().len()]);
        for thing in self.graph.thing_ids() {
            let nodes = self.nodes(thing);
            if !nodes.is_empty() {
                at[thing.0 as usize] = Some(items.len());
                items.push(self.item(thing, &nodes, self.graph.thing(thing).name.to_string()));
            }
        }
        let place = |thing: ThingId| at.get(thing.0 as usize).copied().flatten();
        let mut edges = Vec::new();
        for thing in self.graph.thing_ids() {
            for (parent, kind) in self.graph.thing_parents(thing) {
                if let (Some(from), Some(to)) = (place(parent), place(thing)) {
                    edges.push((from, to, kind));
                }
            }
        }
        (items, edges)
    }

    fn by_platform(&self) -> Parts {
        let (mut items, mut at) = (Vec::new(), vec![None; self.graph.len()]);
        for thing in self.graph.thing_ids() {
            for node in self.nodes(thing) {
                at[node.0 as usize] = Some(items.len());
                items.push(self.item(thing, &[node], self.graph.name(node)));
            }
        }
        let mut edges = Vec::new();
        for (number, to) in at.iter().enumerate() {
            let Some(to) = to else { continue };
            for (parent, kind) in self.graph.parents(NodeId(number as u32)) {
                if let Some(from) = at.get(parent.0 as usize).copied().flatten() {
                    edges.push((from, *to, kind));
                }
            }
        }
        (items, edges)
    }

    /// The platform nodes of a thing that are drawn.
    fn nodes(&self, thing: ThingId) -> Vec<NodeId> {
        let drawn = |n: &NodeId| self.options.selection.is_none_or(|s| s.contains(*n));
        self.graph.parts(thing).filter(drawn).collect()
    }

    fn item(&self, thing: ThingId, nodes: &[NodeId], id: String) -> Item {
        let found = self.graph.thing(thing);
        let platforms = nodes.iter().filter_map(|n| self.graph.platform(*n));
        Item {
            id,
            name: found.name.clone(),
            kind: found.kind,
            platforms: platforms
                .map(|p| if self.plain_linux { words::architecture(p) } else { p.to_string() })
                .collect(),
            group: found.groups.first().or(found.variant.as_ref().map(|v| &v.family)).cloned(),
            status: self.options.plan.map(|plan| status(plan, nodes)),
        }
    }
}

fn status(plan: &Plan, nodes: &[NodeId]) -> Status {
    let actions: Vec<&Action> =
        nodes.iter().filter_map(|n| plan.get(*n)).map(|planned| &planned.action).collect();
    let number = |word: &str| actions.iter().filter(|a| words::action(a) == word).count();
    let present: Vec<(&str, usize)> = ["refused", "build", "maybe", "keep"]
        .into_iter()
        .map(|word| (word, number(word)))
        .filter(|(_, number)| *number > 0)
        .collect();
    let text = match present.as_slice() {
        [(word, _)] => (*word).to_owned(),
        several => {
            let parts: Vec<String> = several.iter().map(|(w, n)| format!("{n} {w}")).collect();
            parts.join(" · ")
        }
    };
    let urgent = present.first().map_or("", |(word, _)| word);
    let tone = actions.iter().find(|a| words::action(a) == urgent).map(|a| words::tone(a));
    Status { tone: tone.unwrap_or(Tone::Dim), text }
}

/// Leaves out every edge whose ends are joined by a longer way.
fn reduce(items: usize, edges: &mut Vec<(usize, usize, EdgeKind)>) {
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); items];
    for (from, to, _) in edges.iter() {
        parents[*to].push(*from);
    }
    // `seen[a] == n + 1` says that `a` was met above item `n`; one list serves all items.
    let mut seen = vec![0; items];
    let mut redundant = std::collections::HashSet::new();
    for (item, above) in parents.iter().enumerate().filter(|(_, above)| above.len() > 1) {
        let mut open: Vec<usize> = above.iter().flat_map(|p| parents[*p].iter().copied()).collect();
        while let Some(at) = open.pop() {
            if seen[at] != item + 1 {
                seen[at] = item + 1;
                open.extend(&parents[at]);
            }
        }
        redundant.extend(above.iter().filter(|p| seen[**p] == item + 1).map(|p| (*p, item)));
    }
    edges.retain(|(from, to, _)| !redundant.contains(&(*from, *to)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::select;
    use crate::report::testing::{Remembered, graph, plan_of};

    fn edges(view: &View) -> Vec<String> {
        let id = |at: usize| view.items[at].id.as_str();
        view.edges.iter().map(|(f, t, k)| format!("{} {} {k:?}", id(*f), id(*t))).collect()
    }

    #[test]
    fn one_item_an_image_or_a_node() {
        let g = graph();
        let view = View::of(&g, &ViewOptions::default());
        assert_eq!(view.items.len(), 4);
        assert_eq!(
            edges(&view),
            ["busybox tools From", "busybox httpd CopyFrom", "tools httpd From"]
        );
        let view = View::of(&g, &ViewOptions { by: By::Platform, ..Default::default() });
        assert_eq!(view.items.len(), 8);
        assert_eq!(view.edges.len(), 6);
        assert!(edges(&view).contains(&"busybox@linux/arm64 tools@linux/arm64 From".into()));
    }

    #[test]
    fn reduce_leaves_out_what_follows() {
        let view = View::of(&graph(), &ViewOptions { reduce: true, ..Default::default() });
        assert_eq!(edges(&view), ["busybox tools From", "tools httpd From"]);
    }

    #[test]
    fn a_selection_draws_itself_alone() {
        let g = graph();
        let selection = select(&g, &["tools@linux/arm64".into()], &[]).unwrap();
        let options = ViewOptions { selection: Some(&selection), ..Default::default() };
        let view = View::of(&g, &options);
        let ids: Vec<&str> = view.items.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids, ["busybox", "tools"]);
        assert_eq!(view.items[0].platforms, ["arm64"]);
    }

    #[test]
    fn the_most_urgent_status_gives_the_tone() {
        let g = graph();
        let (plan, _) = plan_of(&g, &Remembered::after_edit_of("busybox@linux/arm64"));
        let view = View::of(&g, &ViewOptions { plan: Some(&plan), ..Default::default() });
        let status = view.items[0].status.as_ref().unwrap();
        assert_eq!((status.tone, status.text.as_str()), (Tone::Work, "1 build · 1 keep"));
        assert_eq!(view.items[1].status.as_ref().unwrap().text, "keep");
    }

    #[test]
    fn reduce_is_right_on_a_long_ladder() {
        // Each item needs all before it: only the neighbours stay.
        let mut edges: Vec<(usize, usize, EdgeKind)> =
            (0..60).flat_map(|to| (0..to).map(move |from| (from, to, EdgeKind::From))).collect();
        reduce(60, &mut edges);
        assert_eq!(edges.len(), 59);
        assert!(edges.iter().all(|(from, to, _)| from + 1 == *to));
    }
}
