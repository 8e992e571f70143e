//! The order in each column: cells are sorted by the mean place of their neighbours, forth and
//! back, and the order with the fewest crossings is kept.

use super::cells::Cells;

/// Times that the whole drawing is gone through.
const SWEEPS: usize = 12;

/// Links of each cell by their other end, with weights.
pub type Beside = Vec<Vec<(usize, f64)>>;

/// The links of each cell to the column before and to the column after.
pub fn neighbours(cells: &Cells) -> (Beside, Beside) {
    let mut before: Beside = vec![Vec::new(); cells.list.len()];
    let mut after: Beside = vec![Vec::new(); cells.list.len()];
    for link in &cells.links {
        before[link.to].push((link.from, link.weight));
        after[link.from].push((link.to, link.weight));
    }
    (before, after)
}

/// Cells by column, in their order from above. Loose cells are in no column.
pub fn order(cells: &Cells) -> Vec<Vec<usize>> {
    let (before, after) = neighbours(cells);
    let mut layers = first_order(cells, &after);
    let mut at = vec![0; cells.list.len()];
    number(&layers, &mut at);
    let mut best = (crossings(&layers, &after, &at), layers.clone());
    for sweep in 0..SWEEPS {
        if best.0 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let beside = if down { &before } else { &after };
        let mut ranks: Vec<usize> = (0..layers.len()).collect();
        if !down {
            ranks.reverse();
        }
        for rank in ranks {
            sort(cells, &mut layers, rank, beside, &mut at, down);
        }
        let crossed = crossings(&layers, &after, &at);
        if crossed < best.0 {
            best = (crossed, layers.clone());
        }
    }
    let mut layers = best.1;
    number(&layers, &mut at);
    swap_neighbours(cells, &mut layers, &before, &after, &mut at);
    layers
}

/// Walks down from each first box, so that what belongs together begins together.
fn first_order(cells: &Cells, after: &Beside) -> Vec<Vec<usize>> {
    let ranks = cells.list.iter().map(|cell| cell.rank + 1).max().unwrap_or(0);
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); ranks];
    let mut seen = vec![false; cells.list.len()];
    cells.loose.iter().for_each(|cell| seen[*cell] = true);
    let mut starts: Vec<usize> = (0..cells.list.len()).collect();
    starts.sort_by_key(|cell| cells.list[*cell].rank);
    for start in starts {
        let mut open = vec![start];
        while let Some(cell) = open.pop() {
            if !std::mem::replace(&mut seen[cell], true) {
                layers[cells.list[cell].rank].push(cell);
                open.extend(after[cell].iter().rev().map(|(to, _)| *to));
            }
        }
    }
    for layer in &mut layers {
        layer.sort_by_key(|cell| cells.list[*cell].lane);
    }
    layers
}

fn number(layers: &[Vec<usize>], at: &mut [usize]) {
    for layer in layers {
        for (place, cell) in layer.iter().enumerate() {
            at[*cell] = place;
        }
    }
}

/// Sorts one column by the mean place of the neighbours in another. A cell without neighbours
/// keeps its share of the height.
fn sort(
    cells: &Cells,
    layers: &mut [Vec<usize>],
    rank: usize,
    beside: &Beside,
    at: &mut [usize],
    down: bool,
) {
    let other = if down { rank.checked_sub(1) } else { Some(rank + 1) };
    let Some(other) = other.and_then(|other| layers.get(other)).map(Vec::len) else { return };
    let share = |place: usize, of: usize| (place as f64 + 0.5) / of.max(1) as f64;
    let own = layers[rank].len();
    let mut keyed: Vec<(usize, f64, usize)> = layers[rank]
        .iter()
        .map(|cell| {
            let sum: f64 = beside[*cell].iter().map(|(_, w)| w).sum();
            let mean: f64 = beside[*cell].iter().map(|(n, w)| w * share(at[*n], other)).sum();
            let key = if sum > 0.0 { mean / sum } else { share(at[*cell], own) };
            (cells.list[*cell].lane, key, *cell)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    layers[rank] = keyed.into_iter().map(|(_, _, cell)| cell).collect();
    for (place, cell) in layers[rank].iter().enumerate() {
        at[*cell] = place;
    }
}

/// Number of pairs of links that cross, by a tree of sums over the places of the later column.
fn crossings(layers: &[Vec<usize>], after: &Beside, at: &[usize]) -> u64 {
    let mut total = 0;
    for pair in layers.windows(2) {
        let mut sums = vec![0_u64; pair[1].len() + 1];
        let mut met = 0;
        for cell in &pair[0] {
            let mut ends: Vec<usize> = after[*cell].iter().map(|(to, _)| at[*to]).collect();
            ends.sort_unstable();
            for end in &ends {
                let mut not_above = 0;
                let mut node = end + 1;
                while node > 0 {
                    not_above += sums[node];
                    node &= node - 1;
                }
                total += met - not_above;
            }
            for end in ends {
                met += 1;
                let mut node = end + 1;
                while node < sums.len() {
                    sums[node] += 1;
                    node += node & node.wrapping_neg();
                }
            }
        }
    }
    total
}

/// Swaps neighbours wherever that makes fewer crossings: what the means leave undone.
fn swap_neighbours(
    cells: &Cells,
    layers: &mut [Vec<usize>],
    before: &Beside,
    after: &Beside,
    at: &mut [usize],
) {
    /// Pairs of links that may be compared for one swap.
    const MOST: usize = 4096;
    for _ in 0..4 {
        let mut swapped = false;
        for layer in layers.iter_mut() {
            for place in 1..layer.len() {
                let (a, b) = (layer[place - 1], layer[place]);
                let work = before[a].len() * before[b].len() + after[a].len() * after[b].len();
                if cells.list[a].lane != cells.list[b].lane || work > MOST {
                    continue;
                }
                let now = crossed(&before[a], &before[b], at) + crossed(&after[a], &after[b], at);
                let then = crossed(&before[b], &before[a], at) + crossed(&after[b], &after[a], at);
                if then < now {
                    layer.swap(place - 1, place);
                    at.swap(a, b);
                    swapped = true;
                }
            }
        }
        if !swapped {
            break;
        }
    }
}

/// Crossings between the links of two cells when the first stands above the second.
fn crossed(upper: &[(usize, f64)], lower: &[(usize, f64)], at: &[usize]) -> usize {
    upper.iter().map(|(u, _)| lower.iter().filter(|(l, _)| at[*u] > at[*l]).count()).sum()
}
