//! Heights: each cell as near to the mean height of its neighbours as the order in its column
//! allows.

use super::cells::Cells;
use super::order::{Beside, neighbours};
use super::{FRAME, FRAME_TITLE, GAP_Y, Request};

/// Times that the whole drawing is gone through.
const SWEEPS: usize = 16;
/// Space between lines that pass beside each other.
const GAP_PASS: i32 = 10;

/// Upper edge of each cell.
pub fn place(request: &Request<'_>, cells: &Cells, layers: &[Vec<usize>]) -> Vec<i32> {
    let (before, after) = neighbours(cells);
    let mut middle = vec![0.0; cells.list.len()];
    let lanes: Vec<Vec<&[usize]>> = layers.iter().map(|layer| by_lane(cells, layer)).collect();
    let none: Beside = vec![Vec::new(); cells.list.len()];
    for part in lanes.iter().flatten() {
        settle(cells, part, [&none, &none], &mut middle);
    }
    for sweep in 0..SWEEPS {
        // The last rounds look both ways and leave nothing hanging on one side.
        let beside = match (sweep + 4 > SWEEPS, sweep % 2) {
            (true, _) => [&before, &after],
            (false, 0) => [&before, &none],
            (false, _) => [&none, &after],
        };
        if sweep % 2 == 0 {
            lanes.iter().flatten().for_each(|part| settle(cells, part, beside, &mut middle));
        } else {
            lanes.iter().rev().flatten().for_each(|part| settle(cells, part, beside, &mut middle));
        }
    }
    stack(request, cells, &middle)
}

/// The cells of a column, cut where the lane changes.
fn by_lane<'a>(cells: &Cells, layer: &'a [usize]) -> Vec<&'a [usize]> {
    layer.chunk_by(|a, b| cells.list[*a].lane == cells.list[*b].lane).collect()
}

/// Least distance between the middles of two cells above each other.
fn distance(cells: &Cells, upper: usize, lower: usize) -> f64 {
    let (upper, lower) = (&cells.list[upper], &cells.list[lower]);
    let gap = if upper.is_pass() && lower.is_pass() { GAP_PASS } else { GAP_Y };
    f64::from(upper.height + lower.height) / 2.0 + f64::from(gap)
}

/// Places the cells of one column and lane where the sum of squared distances from where they
/// want to be is least: cells that push each other move as one, to the mean of their wishes.
fn settle(cells: &Cells, part: &[usize], beside: [&Beside; 2], middle: &mut [f64]) {
    struct Pushed {
        cells: usize,
        weight: f64,
        place: f64,
    }
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(part.len());
    let mut groups: Vec<Pushed> = Vec::new();
    for (at, cell) in part.iter().enumerate() {
        if let Some(above) = at.checked_sub(1).and_then(|above| part.get(above)) {
            offset += distance(cells, *above, *cell);
        }
        offsets.push(offset);
        let (wish, weight) = wish(cells, *cell, beside, middle);
        let mut group = Pushed { cells: 1, weight, place: wish - offset };
        while let Some(above) = groups.pop_if(|above| above.place > group.place) {
            let weight = above.weight + group.weight;
            group = Pushed {
                cells: above.cells + group.cells,
                weight,
                place: (above.place * above.weight + group.place * group.weight) / weight,
            };
        }
        groups.push(group);
    }
    let places = groups.iter().flat_map(|group| std::iter::repeat_n(group.place, group.cells));
    for ((cell, offset), place) in part.iter().zip(offsets).zip(places) {
        middle[*cell] = place + offset;
    }
}

/// Where a cell wants to be, and how much: the mean of its neighbours, else where it is.
fn wish(cells: &Cells, cell: usize, beside: [&Beside; 2], middle: &[f64]) -> (f64, f64) {
    let lane = cells.list[cell].lane;
    let near = beside.into_iter().flat_map(|beside| &beside[cell]);
    let (mut sum, mut weights) = (0.0, 0.0);
    for (other, weight) in near.filter(|(other, _)| cells.list[*other].lane == lane) {
        sum += middle[*other] * weight;
        weights += weight;
    }
    match weights > 0.0 {
        true => (sum / weights, weights),
        false => (middle[cell], 0.1),
    }
}

/// Puts the lanes below each other, and below each what no line touches.
fn stack(request: &Request<'_>, cells: &Cells, middle: &[f64]) -> Vec<i32> {
    let mut tops: Vec<i32> = (cells.list.iter().zip(middle))
        .map(|(cell, middle)| (middle - f64::from(cell.height) / 2.0).round() as i32)
        .collect();
    let lanes = cells.list.iter().map(|cell| cell.lane + 1).max().unwrap_or(0);
    let mut of_lane: Vec<Vec<usize>> = vec![Vec::new(); lanes];
    for (at, cell) in cells.list.iter().enumerate() {
        of_lane[cell.lane].push(at);
    }
    let mut loose = vec![false; cells.list.len()];
    cells.loose.iter().for_each(|cell| loose[*cell] = true);
    let mut y = 0;
    for (lane, members) in of_lane.into_iter().enumerate() {
        let framed = request.framed.contains(&lane);
        if members.is_empty() {
            continue;
        }
        let start = if framed { y + FRAME_TITLE + FRAME } else { y };
        let bound = members.iter().filter(|cell| !loose[**cell]);
        let least = bound.clone().map(|cell| tops[*cell]).min().unwrap_or(0);
        let mut end = start;
        for cell in bound {
            tops[*cell] += start - least;
            end = end.max(tops[*cell] + cells.list[*cell].height);
        }
        for cell in members.iter().filter(|cell| loose[**cell]) {
            tops[*cell] = if end > start { end + GAP_Y } else { start };
            end = tops[*cell] + cells.list[*cell].height;
        }
        y = end + if framed { FRAME + GAP_Y } else { 2 * GAP_Y };
    }
    tops
}
