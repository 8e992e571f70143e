//! Names of nodes, apart from the graph, which a listener cannot borrow.

use std::sync::Arc;

use mabuild_engine::graph::{Graph, NodeId, Part};

/// Names of all nodes; what is equal for many is stored once.
#[derive(Default)]
pub struct Names {
    things: Vec<Arc<str>>,
    platforms: Vec<String>,
    nodes: Vec<(u32, Part)>,
}

impl Names {
    /// The names of a graph.
    pub fn of(graph: &Graph) -> Self {
        let count = u32::try_from(graph.len()).unwrap_or(u32::MAX);
        Self {
            things: graph.things().iter().map(|thing| thing.name.clone()).collect(),
            platforms: graph.platforms().iter().map(ToString::to_string).collect(),
            nodes: (0..count)
                .map(|node| graph.node(NodeId(node)))
                .map(|node| (node.thing.0, node.part))
                .collect(),
        }
    }

    /// `name@os/arch`, or `name` for an index.
    pub fn get(&self, node: NodeId) -> String {
        let Some((thing, part)) = self.nodes.get(node.0 as usize) else { return String::new() };
        let name = self.things.get(*thing as usize).map_or("", |name| &**name);
        match part {
            Part::On(platform) => {
                let platform = self.platforms.get(usize::from(*platform)).map_or("", |p| p);
                format!("{name}@{platform}")
            }
            Part::Index => name.to_owned(),
        }
    }

    /// Whether a node is the index over the platforms of a thing.
    pub fn is_index(&self, node: NodeId) -> bool {
        self.nodes.get(node.0 as usize).is_some_and(|(_, part)| *part == Part::Index)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use mabuild_engine::graph::{Builder, ThingKind};
    use mabuild_lang::platform::Platform;

    use super::*;

    /// web on two platforms: nodes 0 and 1, and the index 2.
    pub fn web() -> Graph {
        let both = ["linux/amd64", "linux/arm64"].map(|p| Platform::parse(p).unwrap());
        let mut builder = Builder::default();
        builder.thing("web".into(), ThingKind::Image, &both, vec![], vec![]);
        builder.build().unwrap()
    }

    #[test]
    fn names_are_those_of_the_graph() {
        let graph = web();
        let names = Names::of(&graph);
        for node in (0..3).map(NodeId) {
            assert_eq!(names.get(node), graph.name(node));
        }
        assert!(names.is_index(NodeId(2)) && !names.is_index(NodeId(0)));
        assert_eq!(names.get(NodeId(99)), "");
    }
}
