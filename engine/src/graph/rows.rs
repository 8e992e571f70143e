//! Neighbours of all nodes, row by row in three flat lists (compressed sparse rows): a million
//! nodes cost a few bytes each, and a walk reads memory in order.

use super::{EdgeKind, NodeId};

/// The neighbours of each node in one direction.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where the row of each node starts; one more than there are nodes.
    starts: Vec<u32>,
    neighbours: Vec<NodeId>,
    kinds: Vec<EdgeKind>,
}

impl Rows {
    /// No row, with room for all that will come.
    pub fn with_capacity(nodes: usize, edges: usize) -> Self {
        let mut starts = Vec::with_capacity(nodes + 1);
        starts.push(0);
        Self { starts, neighbours: Vec::with_capacity(edges), kinds: Vec::with_capacity(edges) }
    }

    /// Adds the row of the next node.
    pub fn push(&mut self, row: impl IntoIterator<Item = (NodeId, EdgeKind)>) {
        for (neighbour, kind) in row {
            self.neighbours.push(neighbour);
            self.kinds.push(kind);
        }
        self.starts.push(self.neighbours.len() as u32);
    }

    /// The row of a node; empty for one that is not there.
    pub fn of(&self, node: NodeId) -> impl Iterator<Item = (NodeId, EdgeKind)> + '_ {
        let at = node.0 as usize;
        let end = self.starts.get(at + 1).map_or(0, |end| *end as usize);
        let row = self.starts.get(at).map_or(0, |start| *start as usize)..end;
        let kinds = self.kinds.get(row.clone()).unwrap_or_default();
        self.neighbours.get(row).unwrap_or_default().iter().copied().zip(kinds.iter().copied())
    }

    /// The same edges seen from their other ends, each row in the order of the nodes.
    pub fn turned(&self) -> Self {
        let nodes = self.starts.len().saturating_sub(1);
        let mut starts = vec![0; nodes + 1];
        for neighbour in &self.neighbours {
            starts[neighbour.0 as usize + 1] += 1;
        }
        for at in 0..nodes {
            starts[at + 1] += starts[at];
        }
        let mut free = starts.clone();
        let mut neighbours = vec![NodeId(0); self.neighbours.len()];
        let mut kinds = vec![EdgeKind::Member; self.kinds.len()];
        for node in (0..nodes as u32).map(NodeId) {
            for (neighbour, kind) in self.of(node) {
                let at = &mut free[neighbour.0 as usize];
                neighbours[*at as usize] = node;
                kinds[*at as usize] = kind;
                *at += 1;
            }
        }
        Self { starts, neighbours, kinds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_can_be_seen_from_both_ends() {
        let mut rows = Rows::with_capacity(4, 4);
        rows.push([]);
        rows.push([(NodeId(0), EdgeKind::From)]);
        rows.push([(NodeId(0), EdgeKind::CopyFrom), (NodeId(1), EdgeKind::From)]);
        rows.push([(NodeId(2), EdgeKind::Member)]);
        let of = |rows: &Rows, at| rows.of(NodeId(at)).collect::<Vec<_>>();
        let turned = rows.turned();
        assert_eq!(of(&turned, 0), [(NodeId(1), EdgeKind::From), (NodeId(2), EdgeKind::CopyFrom)]);
        assert_eq!(of(&turned, 2), [(NodeId(3), EdgeKind::Member)]);
        assert_eq!(of(&turned, 3), []);
        assert_eq!(of(&turned, 4), []);
        for at in 0..4 {
            assert_eq!(of(&turned.turned(), at), of(&rows, at));
        }
    }
}
