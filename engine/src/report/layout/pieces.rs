//! The ways of lines as a forest: pieces that several lines take are made once.

use std::collections::HashMap;

use super::{Leg, Piece, Point};

/// Pieces in the making, one leg each; a root has none.
#[derive(Default)]
pub struct Pieces {
    list: Vec<Piece>,
    roots: HashMap<(usize, u8), usize>,
    next: HashMap<(usize, Point), usize>,
}

impl Pieces {
    /// Where the lines of one class leave a box.
    pub fn root(&mut self, from: (usize, u8), line: usize, start: Point) -> usize {
        if let Some(known) = self.roots.get(&from) {
            return *known;
        }
        let made = self.alone(line, start);
        self.roots.insert(from, made);
        made
    }

    /// Where a single line begins.
    pub fn alone(&mut self, line: usize, start: Point) -> usize {
        self.list.push(Piece { parent: None, line, start, legs: Vec::new() });
        self.list.len() - 1
    }

    fn end(&self, at: usize) -> Point {
        self.list.get(at).map_or((0, 0), Piece::end)
    }

    fn push(&mut self, at: usize, line: usize, to: Point, bend: bool) -> usize {
        let start = self.end(at);
        // Between equal heights a curve is a straight line.
        let legs = vec![Leg { to, bend: bend && start.1 != to.1 }];
        self.list.push(Piece { parent: Some(at), line, start, legs });
        self.list.len() - 1
    }

    fn share(&mut self, at: usize, line: usize, to: Point, bend: bool) -> usize {
        if self.end(at) == to {
            return at;
        }
        if let Some(known) = self.next.get(&(at, to)) {
            return *known;
        }
        let made = self.push(at, line, to, bend);
        self.next.insert((at, to), made);
        made
    }

    /// Goes on straight, together with all that do so.
    pub fn straight(&mut self, at: usize, line: usize, to: Point) -> usize {
        self.share(at, line, to, false)
    }

    /// Goes on in a curve, together with all that do so.
    pub fn bend(&mut self, at: usize, line: usize, to: Point) -> usize {
        self.share(at, line, to, true)
    }

    /// The end of a line, which it shares with no other.
    pub fn own(&mut self, at: usize, line: usize, to: Point) -> usize {
        self.push(at, line, to, true)
    }

    /// The points of a way from its end to its start, and whether the way to each is a curve. Of
    /// a way with more points than `most`, the start alone.
    pub fn back_from(&self, last: usize, most: usize) -> Vec<(Point, bool)> {
        let mut points = vec![(self.end(last), true)];
        let mut at = self.list.get(last);
        while let Some(piece) = at {
            if let Some(leg) = piece.legs.first() {
                points.push((piece.start, leg.bend));
            }
            if points.len() > most {
                let first = points.split_off(1);
                return first.last().map(|(point, _)| vec![(*point, true)]).unwrap_or(points);
            }
            at = piece.parent.and_then(|parent| self.list.get(parent));
        }
        points
    }

    /// All pieces, where each goes on until lines part or one ends. `ways` are the last pieces.
    pub fn finish(self, ways: &mut [Option<usize>]) -> Vec<Piece> {
        // What only lines that close rings went along is of no line, and left out.
        let mut uses = vec![0_usize; self.list.len()];
        let mut wanted = vec![false; self.list.len()];
        ways.iter().flatten().for_each(|way| wanted[*way] = true);
        for at in (0..self.list.len()).rev().filter(|at| self.list[*at].parent.is_some()) {
            if let (true, Some(parent)) = (wanted[at], self.list[at].parent) {
                wanted[parent] = true;
                uses[parent] += 1;
            }
        }
        let mut out: Vec<Piece> = Vec::new();
        let mut place: Vec<Option<usize>> = vec![None; self.list.len()];
        for (at, piece) in self.list.into_iter().enumerate().filter(|(at, _)| wanted[*at]) {
            match piece.parent {
                Some(parent) if uses[parent] == 1 => {
                    place[at] = place[parent];
                    if let Some(first) = place[at].and_then(|at| out.get_mut(at)) {
                        first.legs.extend(piece.legs);
                    }
                }
                // A root has no legs: where lines part at once, each begins anew.
                None if uses[at] != 1 => {}
                parent => {
                    place[at] = Some(out.len());
                    let parent = parent.and_then(|parent| place[parent]);
                    out.push(Piece { parent, ..piece });
                }
            }
        }
        ways.iter_mut().for_each(|way| *way = way.and_then(|way| place[way]));
        out
    }
}
