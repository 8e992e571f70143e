//! A set of nodes, one bit each.

use crate::graph::{Graph, NodeId, Part};

/// Bits of one word.
const BITS: usize = u64::BITS as usize;

/// Nodes of a graph, none of them an index over platforms. All sets of one graph are of one
/// length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    /// The set without a node.
    pub(super) fn none(graph: &Graph) -> Self {
        Self { words: vec![0; graph.len().div_ceil(BITS)] }
    }

    /// All platform nodes.
    pub(super) fn all(graph: &Graph) -> Self {
        let mut set = Self::none(graph);
        for thing in graph.thing_ids() {
            graph.parts(thing).for_each(|node| _ = set.insert(node));
        }
        set
    }

    /// The platform nodes among some nodes.
    pub(super) fn of(graph: &Graph, nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let mut set = Self::none(graph);
        for node in nodes {
            if graph.node(node).part != Part::Index {
                set.insert(node);
            }
        }
        set
    }

    /// Puts a node in; whether it was not there before.
    pub(super) fn insert(&mut self, node: NodeId) -> bool {
        let Some(word) = self.words.get_mut(node.0 as usize / BITS) else { return false };
        let bit = 1 << (node.0 as usize % BITS);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether a node is in the set.
    pub fn contains(&self, node: NodeId) -> bool {
        let word = self.words.get(node.0 as usize / BITS);
        word.is_some_and(|word| word >> (node.0 as usize % BITS) & 1 == 1)
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no node is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The nodes: those of a thing side by side, things in the order of the graph.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(NodeId((at * BITS) as u32 + bit))
            })
        })
    }

    /// Takes out the nodes for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(NodeId) -> bool) {
        for (at, word) in self.words.iter_mut().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                if !keep(NodeId((at * BITS) as u32 + bit)) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// Adds the nodes of another set.
    pub(super) fn add(&mut self, other: &Self) {
        self.combine(other, |a, b| a | b);
    }

    /// Takes out the nodes of another set.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.combine(other, |a, b| a & !b);
    }

    /// Takes out the nodes that are not in another set.
    pub(super) fn intersect(&mut self, other: &Self) {
        self.combine(other, |a, b| a & b);
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word = with(*word, *other);
        }
    }
}
