//! Columns side by side, boxes inside of cells, and the ways of the lines. Lines bend in the gaps
//! between columns and run level beside boxes.

use super::cells::Cells;
use super::pieces::Pieces;
use super::rank::Ranked;
use super::{FRAME, FRAME_TITLE, Frame, GAP_X, GAP_Y, INNER_GAP_X, Layout, Point, Request, Spot};

/// How far below the middle of a box lines of other classes than the first end, so that they can
/// be told apart where both arrive.
const ASIDE: i32 = 8;
/// Points of lines that close rings; lines beyond run straight.
const MOST_BACKWARDS: usize = 50_000;
/// Most space between two columns.
const MOST_GAP_X: i32 = 260;

/// Finishes a layout.
pub fn route(request: &Request<'_>, ranked: &Ranked, cells: &Cells, tops: &[i32]) -> Layout {
    let columns = columns(request, cells, tops);
    let slots = slots(request, cells, &columns);
    let mut out = Layout { boxes: vec![Spot::default(); request.boxes.len()], ..Layout::default() };
    for (number, (cell, top)) in cells.list.iter().zip(tops).enumerate() {
        let left = columns.get(cell.rank).map_or(0, |c| c.left);
        let loose = cells.loose.contains(&number);
        let above = if cell.columns > 1 { GAP_Y / 2 } else { 0 };
        for (at, item) in cell.items.iter().enumerate() {
            let (row, place) = (at / cell.columns, at % cell.columns);
            let inner = left + place as i32 * (request.width + INNER_GAP_X);
            out.boxes[*item] = Spot {
                x: if loose { slots.get(place).copied().unwrap_or(inner) } else { inner },
                y: top + above + row as i32 * (cell.row + GAP_Y),
                rank: cell.rank,
            };
        }
    }
    let mut router = Router {
        request,
        cells,
        tops,
        columns: &columns,
        boxes: &out.boxes,
        pieces: Pieces::default(),
        trunks: vec![None; cells.chains.len()],
        backwards: MOST_BACKWARDS,
    };
    for (line, ends) in ranked.ends.iter().enumerate() {
        let way = ends.map(|(up, down)| router.way(line, up, down));
        out.ways.push(way);
    }
    out.pieces = router.pieces.finish(&mut out.ways);
    out.frames = request.framed.clone().map(|lane| frame(request, &out.boxes, lane)).collect();
    finish(request, &mut out);
    out
}

/// Where a column of cells is.
struct Column {
    left: i32,
    right: i32,
}

/// Columns as wide as their widest cell. The gap after one grows with the height that its lines
/// have to climb, so that they do not run as one steep bundle.
fn columns(request: &Request<'_>, cells: &Cells, tops: &[i32]) -> Vec<Column> {
    let ranks = cells.list.iter().map(|cell| cell.rank + 1).max().unwrap_or(0);
    let mut width = vec![0; ranks];
    for (number, cell) in cells.list.iter().enumerate() {
        let loose = cells.loose.contains(&number);
        let wide = if loose { request.width } else { cell.width };
        width[cell.rank] = width[cell.rank].max(wide);
    }
    let mut climb = vec![0_i32; ranks];
    let middle = |cell: usize| tops[cell] + cells.list[cell].height / 2;
    for link in &cells.links {
        let rank = cells.list[link.from].rank;
        climb[rank] = climb[rank].max((middle(link.from) - middle(link.to)).abs());
    }
    let framed = !request.framed.is_empty();
    let mut left = if framed { FRAME } else { 0 };
    let mut out = Vec::with_capacity(ranks);
    for (width, climb) in width.into_iter().zip(climb) {
        out.push(Column { left, right: left + width });
        left += width + (GAP_X + climb / 8).min(MOST_GAP_X);
    }
    out
}

/// Left edges for the boxes that no line touches: inside of columns, so that lines to other lanes
/// have the gaps for themselves, and then on to the right, where no line is.
fn slots(request: &Request<'_>, cells: &Cells, columns: &[Column]) -> Vec<i32> {
    let wanted = cells.loose.iter().map(|cell| cells.list[*cell].columns).max().unwrap_or(0);
    let step = request.width + INNER_GAP_X;
    let inside = columns.iter().flat_map(|column| {
        let last = column.right - request.width;
        (0..).map(|at| column.left + at * step).take_while(move |left| *left <= last)
    });
    let mut out: Vec<i32> = inside.take(wanted).collect();
    let mut left = columns.last().map_or(0, |column| column.right + INNER_GAP_X);
    while out.len() < wanted {
        out.push(left);
        left += step;
    }
    out
}

struct Router<'a> {
    request: &'a Request<'a>,
    cells: &'a Cells,
    tops: &'a [i32],
    columns: &'a [Column],
    boxes: &'a [Spot],
    pieces: Pieces,
    /// For each chain the pieces that end behind its passes.
    trunks: Vec<Option<Vec<usize>>>,
    backwards: usize,
}

impl Router<'_> {
    /// The last piece of the way between the ends of a line.
    fn way(&mut self, line: usize, up: usize, down: usize) -> usize {
        let wanted = self.request.lines[line];
        let (first, last) = (self.boxes[up].rank, self.boxes[down].rank);
        let start = (self.boxes[up].x + self.request.width, self.middle(up));
        let aside = i32::from(wanted.class != 0);
        let end = (self.boxes[down].x, self.middle(down) + aside * ASIDE);
        let root = self.pieces.root((up, wanted.class), line, start);
        let mut at = self.pieces.straight(root, line, (self.right(first), start.1));
        if let Some(trunk) = self.trunk(line, at, last - first - 1) {
            at = trunk;
        }
        if end.0 > self.left(last) {
            // An inner column of a block: along above its row, then down into the box.
            let y = self.boxes[down].y - GAP_Y / 2 + aside * ASIDE / 2;
            let mut x = self.left(last);
            at = self.pieces.bend(at, line, (x, y));
            x += self.request.width;
            while x < end.0 {
                at = self.pieces.straight(at, line, (x, y));
                x += self.request.width + INNER_GAP_X;
            }
        }
        match wanted.from == down {
            true => self.backwards(at, line, end),
            false => self.pieces.own(at, line, end),
        }
    }

    /// The piece behind the last of the passes before the column of an end; made with its whole
    /// chain when that is met first.
    fn trunk(&mut self, line: usize, root: usize, between: usize) -> Option<usize> {
        let chain = self.cells.chain_of.get(line).copied().flatten()?;
        let wanted = between.checked_sub(1)?;
        if let Some(Some(trunk)) = self.trunks.get(chain) {
            return trunk.get(wanted).copied();
        }
        let (mut at, mut trunk) = (root, Vec::new());
        for pass in self.cells.chains.get(chain)? {
            let (rank, y) = (self.cells.list[*pass].rank, self.tops[*pass]);
            at = self.pieces.bend(at, line, (self.left(rank), y));
            at = self.pieces.straight(at, line, (self.right(rank), y));
            trunk.push(at);
        }
        let found = trunk.get(wanted).copied();
        self.trunks[chain] = Some(trunk);
        found
    }

    /// The whole way of a line that begins where the others end: it shares nothing.
    fn backwards(&mut self, at: usize, line: usize, from: Point) -> usize {
        let mut points = self.pieces.back_from(at, self.backwards);
        self.backwards -= points.len().min(self.backwards);
        let alone = self.pieces.alone(line, from);
        points.drain(..).fold(alone, |at, (point, bend)| match bend {
            true => self.pieces.bend(at, line, point),
            false => self.pieces.straight(at, line, point),
        })
    }

    fn middle(&self, item: usize) -> i32 {
        self.boxes[item].y + self.request.boxes[item].height / 2
    }

    fn left(&self, rank: usize) -> i32 {
        self.columns.get(rank).map_or(0, |c| c.left)
    }

    fn right(&self, rank: usize) -> i32 {
        self.columns.get(rank).map_or(0, |c| c.right)
    }
}

fn frame(request: &Request<'_>, boxes: &[Spot], lane: usize) -> Frame {
    let members = || (boxes.iter().zip(request.boxes)).filter(|(_, shape)| shape.lane == lane);
    let Some(x) = members().map(|(spot, _)| spot.x).min() else { return Frame::default() };
    let y = members().map(|(spot, _)| spot.y).min().unwrap_or(0);
    let right = members().map(|(spot, _)| spot.x + request.width).max().unwrap_or(x);
    let bottom = members().map(|(spot, shape)| spot.y + shape.height).max().unwrap_or(y);
    Frame {
        x: x - FRAME,
        y: y - FRAME - FRAME_TITLE,
        width: right - x + 2 * FRAME,
        height: bottom - y + 2 * FRAME + FRAME_TITLE,
    }
}

/// The size of the whole; everything is moved to where no coordinate is below zero.
fn finish(request: &Request<'_>, out: &mut Layout) {
    let mut least = (0, 0);
    let mut most = (0, 0);
    let mut meet = |(x, y): Point| {
        least = (least.0.min(x), least.1.min(y));
        most = (most.0.max(x), most.1.max(y));
    };
    for (spot, shape) in out.boxes.iter().zip(request.boxes) {
        meet((spot.x, spot.y));
        meet((spot.x + request.width, spot.y + shape.height));
    }
    for frame in &out.frames {
        meet((frame.x, frame.y));
        meet((frame.x + frame.width, frame.y + frame.height));
    }
    for piece in &out.pieces {
        meet(piece.start);
        piece.legs.iter().for_each(|leg| meet(leg.to));
    }
    let (x, y) = (-least.0, -least.1);
    let shift = |point: &mut Point| *point = (point.0 + x, point.1 + y);
    out.boxes.iter_mut().for_each(|spot| (spot.x, spot.y) = (spot.x + x, spot.y + y));
    out.frames.iter_mut().for_each(|frame| (frame.x, frame.y) = (frame.x + x, frame.y + y));
    for piece in &mut out.pieces {
        shift(&mut piece.start);
        piece.legs.iter_mut().for_each(|leg| shift(&mut leg.to));
    }
    (out.width, out.height) = (most.0 + x, most.1 + y);
}
