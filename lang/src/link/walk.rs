//! Walks over a graph given by lists of neighbours, without recursion.

/// Rings that are kept: nobody reads more, and each may be as long as the graph.
const MAX_RINGS: usize = 50;

/// The result of a walk.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Walk {
    /// All nodes, each after those it has edges to (but for the cut edges).
    pub order: Vec<usize>,
    /// Rings: (node, index of its edge to the next node of the ring). The last edge of each
    /// ring is the one to cut.
    pub rings: Vec<Vec<(usize, usize)>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Colour {
    New,
    /// On the way from the root; its place on the way.
    Open(usize),
    Done,
}

/// Walks over all nodes. An edge that leads out of the graph is passed over.
pub(crate) fn walk(edges: &[Vec<usize>]) -> Walk {
    let mut out = Walk::default();
    let mut colours = vec![Colour::New; edges.len()];
    for root in 0..edges.len() {
        if colours.get(root) == Some(&Colour::New) {
            from(root, edges, &mut colours, &mut out);
        }
    }
    out
}

fn from(root: usize, edges: &[Vec<usize>], colours: &mut [Colour], out: &mut Walk) {
    let mut way: Vec<(usize, usize)> = vec![(root, 0)];
    let set = |colours: &mut [Colour], node: usize, colour| {
        if let Some(slot) = colours.get_mut(node) {
            *slot = colour;
        }
    };
    set(colours, root, Colour::Open(0));
    while let Some((node, edge)) = way.last_mut() {
        let (here, at) = (*node, *edge);
        let Some(next) = edges.get(here).and_then(|edges| edges.get(at)).copied() else {
            set(colours, here, Colour::Done);
            out.order.push(here);
            way.pop();
            continue;
        };
        *edge += 1;
        match colours.get(next).copied() {
            Some(Colour::New) => {
                set(colours, next, Colour::Open(way.len()));
                way.push((next, 0));
            }
            Some(Colour::Open(place)) if out.rings.len() < MAX_RINGS => {
                let ring = way.iter().skip(place);
                out.rings.push(ring.map(|(node, edge)| (*node, edge.saturating_sub(1))).collect());
            }
            Some(Colour::Open(_) | Colour::Done) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::walk;

    #[test]
    fn parents_come_first() {
        let walked = walk(&[vec![1, 2], vec![2], vec![], vec![0]]);
        assert_eq!(walked.order, [2, 1, 0, 3]);
        assert!(walked.rings.is_empty());
    }

    #[test]
    fn rings_are_found_whole() {
        let walked = walk(&[vec![1], vec![2, 3], vec![0], vec![3]]);
        assert_eq!(walked.rings, [vec![(0, 0), (1, 0), (2, 0)], vec![(3, 0)]]);
        assert_eq!(walked.order.len(), 4);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let count = 200_000;
        let edges: Vec<Vec<usize>> = (0..count).map(|at| vec![at + 1]).collect();
        let walked = walk(&edges);
        assert_eq!(walked.order.first(), Some(&(count - 1)));
        assert_eq!(walked.order.len(), count);
    }
}
