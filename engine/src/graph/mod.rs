//! The graph over (image × platform). Closed, resolved and acyclic once built.
//!
//! Knows no executor, key, file or KDL. Names are stored once per thing, never per platform.
//! petgraph finds rings and an order while the graph is built; what is kept are flat rows.

mod order;
mod rows;
mod select;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use mabuild_lang::platform::Platform;

use order::{Order, order};
use rows::Rows;

pub use select::{SelectError, Selection, named_by, select};

/// A base or an image, without a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThingId(pub u32);

/// A node: a thing on one platform, or the index over all its platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThingKind {
    /// Made from an upstream.
    Base,
    /// Made from another node.
    Image,
}

/// A base or an image.
#[derive(Clone, Debug)]
pub struct Thing {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Base or image.
    pub kind: ThingKind,
    /// Its platforms, in the order of the file; indexes of [`Graph::platforms`].
    pub platforms: Vec<u16>,
    /// Names of the groups it is a member of.
    pub groups: Vec<Arc<str>>,
    /// Tags, for display.
    pub tags: Vec<String>,
    /// Which variant of an image with a matrix it is.
    pub variant: Option<Variant>,
    first: u32,
}

/// A variant of an image with a matrix.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The name of the image in the file.
    pub family: Arc<str>,
    /// Names of its axes.
    pub axes: Arc<[Arc<str>]>,
    /// The value on each of them.
    pub values: Arc<[Arc<str>]>,
}

/// What a node makes of its thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The manifest of one platform (an index of [`Graph::platforms`]).
    On(u16),
    /// The index that puts all platforms under one digest.
    Index,
}

/// Why one node needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// `from`.
    From,
    /// `copy … from=`.
    CopyFrom,
    /// A platform of an index.
    Member,
}

/// A node with its thing and part.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Thing that it belongs to.
    pub thing: ThingId,
    /// Platform or index.
    pub part: Part,
}

/// The whole graph. Edges run from what is needed to what needs it.
#[derive(Debug, Default)]
pub struct Graph {
    things: Vec<Thing>,
    platforms: Vec<Platform>,
    groups: Vec<Arc<str>>,
    nodes: Vec<Node>,
    parents: Rows,
    children: Rows,
    order: Order,
    /// Made when the first name is looked up: most graphs are planned whole.
    names: OnceLock<HashMap<Arc<str>, ThingId>>,
}

/// Collects things and edges; [`Builder::build`] checks and closes the graph.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
    groups: HashSet<Arc<str>>,
    /// Child, parent, why; of equal pairs the last counts.
    needs: Vec<(ThingId, ThingId, EdgeKind)>,
    /// Edges of single nodes, sorted before they are used.
    single: Vec<Single>,
}

/// What one node needs: child, its platform, parent, its platform, why.
type Single = (ThingId, u16, ThingId, u16, EdgeKind);

/// The nodes that need each other in a ring.
#[derive(Debug, thiserror::Error)]
#[error("these nodes need each other: {0}")]
pub struct Cycle(pub String);

impl Builder {
    /// Adds a thing and a node for each platform, and one for the index over them.
    pub fn thing(
        &mut self,
        name: Arc<str>,
        kind: ThingKind,
        platforms: &[Platform],
        groups: Vec<Arc<str>>,
        tags: Vec<String>,
    ) -> ThingId {
        let graph = &mut self.graph;
        let id = ThingId(graph.things.len() as u32);
        let first = graph.nodes.len() as u32;
        let platforms: Vec<u16> = platforms.iter().map(|p| graph.platform_number(p)).collect();
        for platform in &platforms {
            graph.nodes.push(Node { thing: id, part: Part::On(*platform) });
        }
        graph.nodes.push(Node { thing: id, part: Part::Index });
        for group in &groups {
            if self.groups.insert(group.clone()) {
                graph.groups.push(group.clone());
            }
        }
        graph.things.push(Thing { name, kind, platforms, groups, tags, variant: None, first });
        id
    }

    /// Says which variant of an image a thing is.
    pub fn variant(&mut self, thing: ThingId, variant: Variant) {
        if let Some(thing) = self.graph.things.get_mut(thing.0 as usize) {
            thing.variant = Some(variant);
        }
    }

    /// Says that `child` on a platform needs `parent` on the same platform. Platforms that the
    /// parent lacks are passed over: linking has refused them before.
    pub fn edge(&mut self, parent: ThingId, child: ThingId, kind: EdgeKind) {
        let known = |thing: ThingId| (thing.0 as usize) < self.graph.things.len();
        if known(parent) && known(child) {
            self.needs.push((child, parent, kind));
        }
    }

    /// Says that `child` on a platform needs `parent` on one, perhaps another. What the parent
    /// lacks is passed over.
    pub fn edge_on(
        &mut self,
        (parent, of): (ThingId, &Platform),
        (child, on): (ThingId, &Platform),
        kind: EdgeKind,
    ) {
        let number = |platform: &Platform| self.graph.number_of(platform);
        if let (Some(of), Some(on)) = (number(of), number(on)) {
            self.single.push((child, on, parent, of, kind));
        }
    }

    /// Checks that there is no cycle and orders the nodes.
    pub fn build(mut self) -> Result<Graph, Cycle> {
        let mut graph = self.graph;
        // A stable sort, so that of an edge that was told twice the last word stands first.
        self.needs.reverse();
        self.needs.sort_by_key(|(child, parent, _)| (*child, *parent));
        self.needs.dedup_by_key(|(child, parent, _)| (*child, *parent));
        // Of an edge that is told with two reasons the first in their order counts.
        self.single.sort_unstable();
        self.single.dedup_by_key(|(child, on, parent, of, _)| (*child, *on, *parent, *of));
        graph.parents = parents(&graph, &self.needs, &self.single);
        graph.children = graph.parents.turned();
        let needs = self.needs.iter().map(|(child, parent, _)| (*child, *parent));
        let needs = needs.chain(self.single.iter().map(|(child, _, parent, ..)| (*child, *parent)));
        graph.order = order(&graph, &graph.parents, needs)?;
        Ok(graph)
    }
}

/// What each node needs: its thing's parents on its own platform and its own parents, or the parts
/// of an index. Both lists are sorted.
fn parents(graph: &Graph, needs: &[(ThingId, ThingId, EdgeKind)], single: &[Single]) -> Rows {
    let platforms = graph.nodes.len().div_ceil(graph.things.len().max(1));
    let edges = graph.nodes.len() + needs.len().saturating_mul(platforms) + single.len();
    let mut rows = Rows::with_capacity(graph.nodes.len(), edges);
    let mut of_things = needs.chunk_by(|a, b| a.0 == b.0).peekable();
    let mut singles = single.chunk_by(|a, b| a.0 == b.0).peekable();
    for thing in graph.thing_ids() {
        let is_own = |chunk: &&[(ThingId, ThingId, EdgeKind)]| {
            chunk.first().is_some_and(|(child, ..)| *child == thing)
        };
        let above = of_things.next_if(is_own).unwrap_or_default();
        let is_own = |chunk: &&[Single]| chunk.first().is_some_and(|(child, ..)| *child == thing);
        let single = singles.next_if(is_own).unwrap_or_default();
        for platform in &graph.thing(thing).platforms {
            let common = above.iter().filter_map(|(_, parent, kind)| {
                graph.on(*parent, *platform).map(|node| (node, *kind))
            });
            if single.is_empty() {
                rows.push(common);
                continue;
            }
            let mut all: Vec<(NodeId, EdgeKind)> = common.collect();
            for (_, on, parent, of, kind) in single {
                if on == platform
                    && let Some(node) = graph.on(*parent, *of)
                    && all.iter().all(|(known, _)| *known != node)
                {
                    all.push((node, *kind));
                }
            }
            rows.push(all);
        }
        rows.push(graph.parts(thing).map(|part| (part, EdgeKind::Member)));
    }
    rows
}

impl Graph {
    /// All things, in the order of the file, bases first.
    pub fn things(&self) -> &[Thing] {
        &self.things
    }

    /// A thing by its id.
    pub fn thing(&self, id: ThingId) -> &Thing {
        &self.things[id.0 as usize]
    }

    /// The id of a name.
    pub fn find(&self, name: &str) -> Option<ThingId> {
        let names = self.names.get_or_init(|| {
            let ids = self.thing_ids().map(|id| (self.thing(id).name.clone(), id));
            // Names are unique once linked; of equal ones the first is found.
            ids.rev().collect()
        });
        names.get(name).copied()
    }

    /// Ids of all things.
    pub fn thing_ids(&self) -> impl DoubleEndedIterator<Item = ThingId> + use<> {
        (0..self.things.len() as u32).map(ThingId)
    }

    /// Names of all groups, in the order they were met.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    /// All platforms that any thing has.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All nodes, each after all that it needs: level by level, and each level in the order of
    /// the file.
    pub fn order(&self) -> &[NodeId] {
        &self.order.nodes
    }

    /// How many nodes stand above one another on the longest way from a node up. Nodes of one
    /// level do not need each other.
    pub fn level(&self, id: NodeId) -> u32 {
        self.order.levels.get(id.0 as usize).copied().unwrap_or(0)
    }

    /// A node by its id.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize]
    }

    /// The platform of a node, none for an index.
    pub fn platform(&self, id: NodeId) -> Option<&Platform> {
        match self.node(id).part {
            Part::On(platform) => self.platforms.get(platform as usize),
            Part::Index => None,
        }
    }

    /// `name@os/arch`, or `name` for an index.
    pub fn name(&self, id: NodeId) -> String {
        let thing = self.thing(self.node(id).thing);
        match self.platform(id) {
            Some(platform) => format!("{}@{platform}", thing.name),
            None => thing.name.to_string(),
        }
    }

    /// The node of a thing on a platform number.
    pub fn on(&self, thing: ThingId, platform: u16) -> Option<NodeId> {
        let thing = self.things.get(thing.0 as usize)?;
        let at = thing.platforms.iter().position(|p| *p == platform)?;
        Some(NodeId(thing.first + at as u32))
    }

    /// The node of a thing on a platform.
    pub fn at(&self, thing: ThingId, platform: &Platform) -> Option<NodeId> {
        self.on(thing, self.number_of(platform)?)
    }

    fn number_of(&self, platform: &Platform) -> Option<u16> {
        self.platforms.iter().position(|known| known == platform).map(|at| at as u16)
    }

    /// The platform nodes of a thing, in the order of its platforms.
    pub fn parts(&self, thing: ThingId) -> impl Iterator<Item = NodeId> + use<> {
        let thing = &self.things[thing.0 as usize];
        (thing.first..thing.first + thing.platforms.len() as u32).map(NodeId)
    }

    /// The index node of a thing.
    pub fn index_of(&self, thing: ThingId) -> NodeId {
        let thing = &self.things[thing.0 as usize];
        NodeId(thing.first + thing.platforms.len() as u32)
    }

    /// What a node needs, with the reason, in no particular order.
    pub fn parents(&self, id: NodeId) -> impl Iterator<Item = (NodeId, EdgeKind)> + '_ {
        self.parents.of(id)
    }

    /// What needs a node, with the reason, in no particular order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = (NodeId, EdgeKind)> + '_ {
        self.children.of(id)
    }

    /// What a thing needs: `from` and `copy from=`, each parent once, sorted.
    pub fn thing_parents(&self, id: ThingId) -> Vec<(ThingId, EdgeKind)> {
        let mut out: Vec<(ThingId, EdgeKind)> = self
            .parts(id)
            .flat_map(|node| self.parents(node))
            .map(|(parent, kind)| (self.node(parent).thing, kind))
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    fn platform_number(&mut self, platform: &Platform) -> u16 {
        if let Some(at) = self.number_of(platform) {
            return at;
        }
        self.platforms.push(platform.clone());
        (self.platforms.len() - 1) as u16
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Graph {
        let p = |s: &str| Platform::parse(s).unwrap();
        let both = [p("linux/amd64"), p("linux/arm64")];
        let mut b = Builder::default();
        let base = b.thing("base".into(), ThingKind::Base, &both, vec![], vec!["latest".into()]);
        let app = b.thing("app".into(), ThingKind::Image, &both, vec!["all".into()], vec![]);
        let tool = b.thing("tool".into(), ThingKind::Image, &both[..1], vec![], vec![]);
        b.edge(base, app, EdgeKind::From);
        b.edge(base, tool, EdgeKind::From);
        b.edge(app, tool, EdgeKind::CopyFrom);
        b.build().unwrap()
    }

    #[test]
    fn orders_parents_before_children() {
        let g = sample();
        assert_eq!(g.len(), 3 + 3 + 2);
        let at = |name: &str| g.order().iter().position(|n| g.name(*n) == name).unwrap();
        assert!(at("base@linux/arm64") < at("app@linux/arm64"));
        assert!(at("app@linux/amd64") < at("tool@linux/amd64"));
        assert!(at("tool@linux/amd64") < at("tool"));
    }

    #[test]
    fn joins_only_equal_platforms() {
        let g = sample();
        let tool = g.find("tool").unwrap();
        let node = g.parts(tool).next().unwrap();
        let parents: Vec<String> = g.parents(node).map(|(n, _)| g.name(n)).collect();
        assert_eq!(parents.len(), 2);
        assert!(parents.iter().all(|n| n.ends_with("@linux/amd64")), "{parents:?}");
        assert_eq!(g.thing_parents(tool).len(), 2);
    }

    #[test]
    fn refuses_a_ring() {
        let p = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        let x = b.thing("x".into(), ThingKind::Image, &p, vec![], vec![]);
        let y = b.thing("y".into(), ThingKind::Image, &p, vec![], vec![]);
        b.edge(x, y, EdgeKind::From);
        b.edge(y, x, EdgeKind::CopyFrom);
        assert!(b.build().is_err());
    }

    #[test]
    fn of_an_edge_that_is_told_twice_the_last_word_counts() {
        let p = [Platform::parse("linux/amd64").unwrap()];
        let mut b = Builder::default();
        let x = b.thing("x".into(), ThingKind::Image, &p, vec![], vec![]);
        let y = b.thing("y".into(), ThingKind::Image, &p, vec![], vec![]);
        b.edge(x, y, EdgeKind::CopyFrom);
        b.edge(x, y, EdgeKind::From);
        let g = b.build().unwrap();
        let below = |thing| g.parents(g.parts(thing).next().unwrap()).collect::<Vec<_>>();
        assert_eq!(below(x), []);
        assert_eq!(below(y), [(g.parts(x).next().unwrap(), EdgeKind::From)]);
    }

    #[test]
    fn things_may_need_each_other_on_different_platforms() {
        let p = |s: &str| Platform::parse(s).unwrap();
        let (a, b, c) = (p("linux/amd64"), p("linux/arm64"), p("linux/386"));
        let mut builder = Builder::default();
        let image = ThingKind::Image;
        let x = builder.thing("x".into(), image, &[a.clone(), c.clone()], vec![], vec![]);
        let y = builder.thing("y".into(), image, &[a, b.clone()], vec![], vec![]);
        let z = builder.thing("z".into(), image, &[b, c], vec![], vec![]);
        builder.edge(x, y, EdgeKind::From);
        builder.edge(y, z, EdgeKind::From);
        builder.edge(z, x, EdgeKind::CopyFrom);
        let g = builder.build().unwrap();
        for node in (0..g.len() as u32).map(NodeId) {
            assert!(g.parents(node).all(|(parent, _)| g.level(parent) < g.level(node)));
            for (child, kind) in g.children(node) {
                assert!(g.parents(child).any(|edge| edge == (node, kind)));
            }
        }
        let levels: Vec<u32> = g.order().iter().map(|node| g.level(*node)).collect();
        assert_eq!(levels, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    }
}
