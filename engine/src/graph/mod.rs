//! The graph over (image × platform). Closed, resolved and acyclic once built.
//!
//! Knows no executor, key, file or KDL. Names are stored once per thing, never per platform.

mod select;

use std::sync::Arc;

use mabuild_lang::platform::Platform;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

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
    dag: DiGraph<Node, EdgeKind, u32>,
    order: Vec<NodeId>,
}

/// Collects things and edges; [`Builder::build`] checks and closes the graph.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
}

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
        let first = graph.dag.node_count() as u32;
        let platforms: Vec<u16> = platforms.iter().map(|p| graph.platform_number(p)).collect();
        for platform in &platforms {
            graph.dag.add_node(Node { thing: id, part: Part::On(*platform) });
        }
        let index = graph.dag.add_node(Node { thing: id, part: Part::Index });
        for at in 0..platforms.len() as u32 {
            graph.dag.add_edge(NodeIndex::from(first + at), index, EdgeKind::Member);
        }
        for group in &groups {
            if !graph.groups.contains(group) {
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
        let Some(of_child) = self.graph.things.get(child.0 as usize) else { return };
        for (at, platform) in of_child.platforms.clone().into_iter().enumerate() {
            let child_node = NodeIndex::from(of_first(&self.graph, child) + at as u32);
            let Some(parent_node) = self.graph.on(parent, platform) else { continue };
            let parent_node = NodeIndex::from(parent_node.0);
            // A child has few parents, a parent may have thousands of children: look from below.
            let mut above = self.graph.dag.edges_directed(child_node, Direction::Incoming);
            if let Some(known) = above.find(|edge| edge.source() == parent_node).map(|e| e.id()) {
                self.graph.dag[known] = kind;
            } else {
                self.graph.dag.add_edge(parent_node, child_node, kind);
            }
        }
    }

    /// Checks that there is no cycle and orders the nodes.
    pub fn build(mut self) -> Result<Graph, Cycle> {
        let order = petgraph::algo::toposort(&self.graph.dag, None);
        match order {
            Ok(order) => {
                self.graph.order = order.into_iter().map(|n| NodeId(n.index() as u32)).collect();
                Ok(self.graph)
            }
            Err(at) => Err(Cycle(self.graph.name(NodeId(at.node_id().index() as u32)))),
        }
    }
}

fn of_first(graph: &Graph, thing: ThingId) -> u32 {
    graph.things.get(thing.0 as usize).map_or(0, |t| t.first)
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
        self.things.iter().position(|t| &*t.name == name).map(|at| ThingId(at as u32))
    }

    /// Ids of all things.
    pub fn thing_ids(&self) -> impl Iterator<Item = ThingId> + use<> {
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
        self.dag.node_count()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All nodes, each after all that it needs.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// A node by its id.
    pub fn node(&self, id: NodeId) -> Node {
        self.dag[NodeIndex::from(id.0)]
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
        self.neighbours(id, Direction::Incoming)
    }

    /// What needs a node, with the reason, in no particular order.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = (NodeId, EdgeKind)> + '_ {
        self.neighbours(id, Direction::Outgoing)
    }

    /// What a thing needs: `from` and `copy from=`, each parent once, sorted.
    pub fn thing_parents(&self, id: ThingId) -> Vec<(ThingId, EdgeKind)> {
        let mut out: Vec<(ThingId, EdgeKind)> = self
            .parts(id)
            .flat_map(|node| self.parents(node).collect::<Vec<_>>())
            .map(|(parent, kind)| (self.node(parent).thing, kind))
            .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    fn neighbours(
        &self,
        id: NodeId,
        direction: Direction,
    ) -> impl Iterator<Item = (NodeId, EdgeKind)> + '_ {
        self.dag.edges_directed(NodeIndex::from(id.0), direction).map(move |edge| {
            let other = match direction {
                Direction::Incoming => edge.source(),
                Direction::Outgoing => edge.target(),
            };
            (NodeId(other.index() as u32), *edge.weight())
        })
    }

    fn platform_number(&mut self, platform: &Platform) -> u16 {
        if let Some(at) = self.platforms.iter().position(|p| p == platform) {
            return at as u16;
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
}
