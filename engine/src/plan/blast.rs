//! What a change somewhere would reach: the nodes below it, what their past builds took, and
//! how large they came out.

use std::collections::HashMap;

use crate::graph::{Graph, NodeId, Part};

/// A node that a change begins at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The node.
    pub node: NodeId,
    /// Whether the change is one of the node's inputs for certain.
    pub certain: bool,
}

/// What is known of a node from its past.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Past {
    /// Seconds of a build.
    pub seconds: Option<f64>,
    /// Bytes of the layers that the node puts on top of what it stands on.
    pub layers: Option<u64>,
    /// Bytes that a push of the node alone sends: its own layers, config and manifest.
    pub push: Option<u64>,
}

/// A node that a change reaches.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// The node.
    pub node: NodeId,
    /// Whether it would be built for certain; the others only if what they need comes out
    /// different.
    pub certain: bool,
    /// The node that it is reached through; none for those that the change begins at.
    pub through: Option<NodeId>,
    /// What is known of it; of an index nothing.
    pub past: Past,
}

/// All that a change reaches. Sums are upper bounds over the nodes that have a past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blast {
    /// The nodes, each after all that it needs.
    pub nodes: Vec<Reached>,
    /// Seconds of all builds.
    pub seconds: f64,
    /// The chain of nodes that takes longest, first to last.
    pub chain: Vec<NodeId>,
    /// Its seconds.
    pub chain_seconds: f64,
    /// Platform nodes whose time is not known.
    pub untimed: usize,
    /// Bytes of layers that would be written.
    pub layers: u64,
    /// Bytes that would be pushed.
    pub push: u64,
    /// Platform nodes whose size is not known.
    pub unsized_nodes: usize,
}

/// What a change of the seeds would reach, among the nodes that `within` allows.
pub fn blast(
    graph: &Graph,
    seeds: &[Seed],
    within: &dyn Fn(NodeId) -> bool,
    past: &dyn Fn(NodeId) -> Past,
) -> Blast {
    let seeds: HashMap<NodeId, bool> = seeds.iter().map(|s| (s.node, s.certain)).collect();
    let mut reached: HashMap<NodeId, bool> = HashMap::new();
    // The longest chain that ends at a node, and the node before it there.
    let mut chains: HashMap<NodeId, (f64, Option<NodeId>)> = HashMap::new();
    let mut out = Blast::default();
    for node in graph.order().iter().copied().filter(|node| within(*node)) {
        let above = || graph.parents(node).filter_map(|(p, _)| Some((p, *reached.get(&p)?)));
        let index = graph.node(node).part == Part::Index;
        let certain = match seeds.get(&node) {
            Some(certain) => *certain,
            None if above().next().is_none() => continue,
            // An index is made again with any of its platforms.
            None => index && above().any(|(_, certain)| certain),
        };
        let through = match seeds.contains_key(&node) {
            true => None,
            false => above().map(|(p, _)| p).min(),
        };
        reached.insert(node, certain);
        let past = if index { Past::default() } else { past(node) };
        if !index {
            out.add(&past);
            let best = graph.parents(node).filter_map(|(p, _)| Some((chains.get(&p)?.0, p)));
            let best = best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            let before = best.map_or(0.0, |(seconds, _)| seconds);
            let own = past.seconds.unwrap_or_default();
            chains.insert(node, (before + own, best.map(|(_, p)| p)));
        }
        out.nodes.push(Reached { node, certain, through, past });
    }
    let last = chains.iter().max_by(|a, b| a.1.0.total_cmp(&b.1.0).then(b.0.cmp(a.0)));
    out.chain_seconds = last.map_or(0.0, |(_, (seconds, _))| *seconds);
    let before = |node: &NodeId| chains.get(node).and_then(|(_, before)| *before);
    out.chain = std::iter::successors(last.map(|(node, _)| *node), before).collect();
    out.chain.reverse();
    out
}

impl Blast {
    fn add(&mut self, past: &Past) {
        let Past { seconds, layers, push } = *past;
        match seconds {
            Some(seconds) => self.seconds += seconds,
            None => self.untimed += 1,
        }
        match (layers, push) {
            (Some(layers), Some(push)) => {
                self.layers = self.layers.saturating_add(layers);
                self.push = self.push.saturating_add(push);
            }
            _ => self.unsized_nodes += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::sample;

    fn find(graph: &Graph, name: &str) -> NodeId {
        *graph.order().iter().find(|n| graph.name(**n) == name).unwrap()
    }

    fn seed(graph: &Graph, name: &str) -> Seed {
        Seed { node: find(graph, name), certain: true }
    }

    fn past(seconds: f64) -> Past {
        Past { seconds: Some(seconds), layers: Some(10), push: Some(11) }
    }

    #[test]
    fn reaches_what_is_below_and_nothing_else() {
        let g = sample();
        let blast = blast(&g, &[seed(&g, "base@linux/amd64")], &|_| true, &|n| match g.name(n) {
            name if name.starts_with("tool") => Past::default(),
            name if name.starts_with("app") => past(5.0),
            _ => past(2.0),
        });
        let mut names: Vec<String> = blast
            .nodes
            .iter()
            .map(|r| {
                let through = r.through.map(|n| g.name(n)).unwrap_or_default();
                format!("{} {} {through}", g.name(r.node), r.certain)
            })
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "app false app@linux/amd64",
                "app@linux/amd64 false base@linux/amd64",
                "base true base@linux/amd64",
                "base@linux/amd64 true ",
                "tool false tool@linux/amd64",
                "tool@linux/amd64 false base@linux/amd64",
            ]
        );
        assert_eq!((blast.seconds, blast.untimed), (7.0, 1));
        assert_eq!((blast.layers, blast.push, blast.unsized_nodes), (20, 22, 1));
        let chain: Vec<String> = blast.chain.iter().map(|n| g.name(*n)).collect();
        // The tool has no time, so that the chain does not get longer by it.
        assert_eq!(chain, ["base@linux/amd64", "app@linux/amd64"]);
        assert_eq!(blast.chain_seconds, 7.0);
    }

    #[test]
    fn uncertain_seeds_and_limits() {
        let g = sample();
        let arm = find(&g, "app@linux/arm64");
        let unsure = Seed { node: arm, certain: false };
        let all =
            blast(&g, &[unsure.clone(), seed(&g, "app@linux/amd64")], &|_| true, &|_| past(1.0));
        let of = |blast: &Blast, name: &str| {
            blast.nodes.iter().find(|r| g.name(r.node) == name).map(|r| (r.certain, r.through))
        };
        assert_eq!(of(&all, "app@linux/arm64"), Some((false, None)));
        assert_eq!(of(&all, "app").map(|(certain, _)| certain), Some(true));
        let narrow = blast(&g, &[unsure], &|n| n == arm, &|_| past(1.0));
        assert_eq!(narrow.nodes.len(), 1);
        assert_eq!(narrow.chain, [arm]);
        let none = blast(&g, &[], &|_| true, &|_| past(1.0));
        assert_eq!(none, Blast::default());
    }
}
