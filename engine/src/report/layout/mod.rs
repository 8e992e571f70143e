//! Places for boxes and ways for the lines between them: columns from left to right, each box in
//! a column after all that it needs. Knows neither images nor SVG.
//!
//! The classic four steps, a file each: [`rank`] gives columns, [`cells`] puts what belongs
//! together into one cell and leads long lines through the columns between, [`order`] sorts each
//! column so that few lines cross, [`place`] gives heights; [`route`] draws the lines in the gaps
//! between boxes, so that none runs over a box, and [`pieces`] keeps what lines share once. Time and memory grow about linearly, and equal
//! input gives equal output.

mod cells;
mod order;
mod pieces;
mod place;
mod rank;
mod route;

/// Space between boxes above each other.
const GAP_Y: i32 = 18;
/// Least space between columns, where the lines bend.
const GAP_X: i32 = 72;
/// Space between the columns inside of one cell.
const INNER_GAP_X: i32 = 34;
/// Space between a frame and what is in it.
const FRAME: i32 = 16;
/// Height of the name of a frame.
const FRAME_TITLE: i32 = 24;

/// What is to be laid out.
#[derive(Debug)]
pub struct Request<'a> {
    /// Width of every box.
    pub width: i32,
    /// The boxes.
    pub boxes: &'a [Shape],
    /// The lines; one that names no box is passed over.
    pub lines: &'a [Line],
    /// Lanes to draw a frame around; boxes of other lanes stand outside of frames.
    pub framed: std::ops::Range<usize>,
}

/// A box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its height.
    pub height: i32,
    /// Boxes of one lane keep together, and lanes stand below each other.
    pub lane: usize,
}

/// A line from one box to another, both positions in the list of boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// Lines of one class from one box share their way.
    pub class: u8,
}

/// Where a box stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Its column: greater than that of all it needs.
    pub rank: usize,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// A point.
pub type Point = (i32, i32);

/// A piece of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Where it ends.
    pub to: Point,
    /// Whether it is a curve that begins and ends level; else it is straight.
    pub bend: bool,
}

/// A piece of the way of one line or of several: what lines share is there once. The way of a line
/// is its last piece, before that the piece's parent, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The piece before it; its number is smaller.
    pub parent: Option<usize>,
    /// A line that it belongs to.
    pub line: usize,
    /// Where it begins: where its parent ends.
    pub start: Point,
    /// How it goes on.
    pub legs: Vec<Leg>,
}

impl Piece {
    /// Where it ends.
    pub fn end(&self) -> Point {
        self.legs.last().map_or(self.start, |leg| leg.to)
    }
}

/// A finished layout. No coordinate is below zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Width of the whole.
    pub width: i32,
    /// Height of the whole.
    pub height: i32,
    /// A spot for each box.
    pub boxes: Vec<Spot>,
    /// Pieces of ways.
    pub pieces: Vec<Piece>,
    /// For each line its last piece, which is of no other; none for a line that has not two ends.
    pub ways: Vec<Option<usize>>,
    /// A frame for each framed lane; empty for one without boxes.
    pub frames: Vec<Frame>,
}

/// How wide blocks of boxes are for their height: the first that gives a drawing which is not
/// much higher than wide, else the last.
const RATIOS: [f64; 4] = [1.0, 3.0, 8.0, 24.0];

/// Lays boxes and lines out.
pub fn layout(request: &Request<'_>) -> Layout {
    let ranked = rank::rank(request.boxes.len(), request.lines);
    let mut found = Layout::default();
    for ratio in RATIOS {
        let cells = cells::cells(request, &ranked, ratio);
        let layers = order::order(&cells);
        let tops = place::place(request, &cells, &layers);
        found = route::route(request, &ranked, &cells, &tops);
        // What a screen shows anyhow needs no wider blocks.
        if found.height < 2_000 || found.height < 2 * found.width {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests;
