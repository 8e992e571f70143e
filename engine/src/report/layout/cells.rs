//! What is ordered and placed: a box, a block of boxes that have the same first parent and nothing
//! below them, or the spot where lines pass through a column.

use std::collections::{BTreeMap, HashMap};

use super::rank::Ranked;
use super::{GAP_Y, INNER_GAP_X, Request};

/// Boxes in a row of a block that is wider than high.
const MOST_COLUMNS: f64 = 8.0;
/// Spots for passing lines in the whole drawing; lines beyond run straight.
const MOST_PASSES: usize = 50_000;

/// What stands in one place of a column.
#[derive(Debug)]
pub struct Cell {
    /// Its column.
    pub rank: usize,
    /// Its lane.
    pub lane: usize,
    /// Its width; 0 where lines pass.
    pub width: i32,
    /// Its height.
    pub height: i32,
    /// Boxes, row by row; none where lines pass.
    pub items: Vec<usize>,
    /// Boxes in a row.
    pub columns: usize,
    /// Height of a row.
    pub row: i32,
}

impl Cell {
    /// Whether lines pass here.
    pub fn is_pass(&self) -> bool {
        self.items.is_empty()
    }
}

/// That lines run from one cell to one in the next column.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Cell in the earlier column.
    pub from: usize,
    /// Cell in the later column.
    pub to: usize,
    /// How much it matters that it is straight.
    pub weight: f64,
}

/// All cells.
#[derive(Debug)]
pub struct Cells {
    /// The cells.
    pub list: Vec<Cell>,
    /// The cell of each box.
    pub of_item: Vec<usize>,
    /// Cells with boxes that no line touches; they stand below their lane, in no column.
    pub loose: Vec<usize>,
    /// Links between neighbouring columns, each pair once.
    pub links: Vec<Link>,
    /// For each line the cells that it passes, by the number of a chain; none runs straight.
    pub chain_of: Vec<Option<usize>>,
    /// Passes from the column after a box on.
    pub chains: Vec<Vec<usize>>,
}

/// Makes the cells; blocks are about `ratio` times as wide as they are high.
pub fn cells(request: &Request<'_>, ranked: &Ranked, ratio: f64) -> Cells {
    let mut out = Cells {
        list: Vec::new(),
        of_item: vec![0; request.boxes.len()],
        loose: Vec::new(),
        links: Vec::new(),
        chain_of: vec![None; request.lines.len()],
        chains: Vec::new(),
    };
    boxes(request, ranked, ratio, &mut out);
    passes(request, ranked, &mut out);
    out
}

/// Boxes that are equal in this stand together when nothing is below them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    lane: usize,
    rank: usize,
    /// The class of a line from above and where it comes from, the least of all.
    parent: Option<(u8, usize)>,
}

fn boxes(request: &Request<'_>, ranked: &Ranked, ratio: f64, out: &mut Cells) {
    let mut parents: Vec<Option<(u8, usize)>> = vec![None; request.boxes.len()];
    let mut has_children = vec![false; request.boxes.len()];
    for (line, ends) in request.lines.iter().zip(&ranked.ends) {
        if let Some((up, down)) = ends {
            let parent = (line.class, *up);
            parents[*down] = Some(parents[*down].map_or(parent, |least| least.min(parent)));
            has_children[*up] = true;
        }
    }
    let mut alike: BTreeMap<Alike, Vec<usize>> = BTreeMap::new();
    for (item, shape) in request.boxes.iter().enumerate() {
        match has_children[item] {
            true => add(request, ranked, vec![item], 1, out),
            false => {
                let (rank, parent) = (ranked.rank[item], parents[item]);
                alike.entry(Alike { lane: shape.lane, rank, parent }).or_default().push(item);
            }
        }
    }
    for (Alike { parent, .. }, items) in alike {
        let loose = parent.is_none();
        let columns = columns(request, &items, if loose { ratio.max(2.0) } else { ratio });
        if loose {
            out.loose.push(out.list.len());
        }
        match loose || columns > 1 {
            true => add(request, ranked, items, columns, out),
            false => items.into_iter().for_each(|item| add(request, ranked, vec![item], 1, out)),
        }
    }
}

/// How many boxes side by side make a block about `ratio` times as wide as it is high. Blocks
/// wider than high have a limit: their lines would be long.
fn columns(request: &Request<'_>, items: &[usize], ratio: f64) -> usize {
    let high = f64::from(row(request, items) + GAP_Y);
    let wide = f64::from(request.width + INNER_GAP_X);
    let square = items.len() as f64 * high / wide;
    let most = square.sqrt().max(MOST_COLUMNS);
    ((square * ratio).sqrt().min(most).round() as usize).clamp(1, items.len().max(1))
}

fn row(request: &Request<'_>, items: &[usize]) -> i32 {
    items.iter().map(|item| request.boxes[*item].height).max().unwrap_or(0)
}

fn add(request: &Request<'_>, ranked: &Ranked, items: Vec<usize>, columns: usize, out: &mut Cells) {
    let Some(first) = items.first().copied() else { return };
    let row = row(request, &items);
    let rows = items.len().div_ceil(columns) as i32;
    // Lines to the inner columns run above each row, the first one too.
    let above = if columns > 1 { GAP_Y / 2 } else { 0 };
    for item in &items {
        out.of_item[*item] = out.list.len();
    }
    out.list.push(Cell {
        rank: ranked.rank[first],
        lane: request.boxes[first].lane,
        width: columns as i32 * (request.width + INNER_GAP_X) - INNER_GAP_X,
        height: rows * (row + GAP_Y) - GAP_Y + above,
        items,
        columns,
        row,
    });
}

/// Leads each line through the columns between its ends. Lines of one class from one box into one
/// lane share their passes.
fn passes(request: &Request<'_>, ranked: &Ranked, out: &mut Cells) {
    let mut chains: HashMap<(usize, u8, usize), usize> = HashMap::new();
    let mut links: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let mut left = MOST_PASSES;
    // The longest lines first, so that a chain is made once and in its full length.
    let mut by_length: Vec<(usize, usize, usize)> = (ranked.ends.iter().enumerate())
        .filter_map(|(line, ends)| ends.map(|(up, down)| (line, up, down)))
        .collect();
    by_length.sort_by_key(|(_, up, down)| std::cmp::Reverse(ranked.rank[*down] - ranked.rank[*up]));
    for (line, up, down) in by_length {
        let between = ranked.rank[down] - ranked.rank[up] - 1;
        let lane = request.boxes[down].lane;
        let key = (up, request.lines[line].class, lane);
        let chain = match chains.get(&key) {
            Some(chain) => *chain,
            // Another and shorter line may still find room.
            None if between > left => continue,
            None => {
                left -= between;
                let first = out.list.len();
                let ranks = ranked.rank[up] + 1..ranked.rank[down];
                out.list.extend(ranks.map(|rank| pass(rank, lane)));
                let cells: Vec<usize> = (first..out.list.len()).collect();
                for pair in cells.windows(2) {
                    links.insert((pair[0], pair[1]), 4.0);
                }
                chains.insert(key, out.chains.len());
                out.chains.push(cells);
                out.chains.len() - 1
            }
        };
        out.chain_of[line] = Some(chain);
        let way = out.chains[chain].get(..between).unwrap_or_default();
        let (of_up, of_down) = (out.of_item[up], out.of_item[down]);
        let mut add = |from, to| *links.entry((from, to)).or_insert(0.0) += 1.0;
        match (way.first(), way.last()) {
            (Some(first), Some(last)) => {
                add(of_up, *first);
                add(*last, of_down);
            }
            _ => add(of_up, of_down),
        }
    }
    // A hundred lines do not matter a hundred times as much as one.
    let link =
        |((from, to), weight): ((usize, usize), f64)| Link { from, to, weight: weight.min(4.0) };
    out.links = links.into_iter().map(link).collect();
}

fn pass(rank: usize, lane: usize) -> Cell {
    Cell { rank, lane, width: 0, height: 0, items: Vec::new(), columns: 1, row: 0 }
}
