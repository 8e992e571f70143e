//! A view as shapes: what the SVG file and the HTML page have in common.
//!
//! Nodes are written in the order of the view and pieces of edges in that of the layout, so that
//! the script of the page finds the n-th as the n-th shape.

mod signs;
mod style;
mod text;

use std::fmt::Write;
use std::sync::Arc;

use super::layout::{Frame, Layout, Leg, Line, Piece, Request, Shape, layout};
use super::view::{Item, View};
use super::{Tone, words};
use crate::graph::{EdgeKind, ThingKind};

pub use signs::{Sign, signs};
pub use style::{ARROW, RULES, Theme, literal, variables};
use text::{cut_to, small_width, wrap};
pub use text::{escaped, name_width};

/// Least width of a box.
const NARROW: i32 = 124;
/// Greatest width of a box; longer names are cut.
const WIDE: i32 = 320;
/// Space beside the text of a box.
const PAD_X: i32 = 14;
/// Space above and below the text of a box.
const PAD_Y: i32 = 9;
/// Height of the line of a name.
const NAME: i32 = 17;
/// Height of a line of small text.
const SMALL: i32 = 14;
/// Lines of platforms in a box.
const PLATFORM_LINES: usize = 3;
/// Height of the lid of a base, and of half of it.
const LID: i32 = 12;

/// A view with a place for everything.
pub struct Drawing<'a> {
    view: &'a View,
    faces: Vec<Face>,
    groups: Vec<Arc<str>>,
    framed: bool,
    /// Width of every box.
    pub width: i32,
    /// Where all is.
    pub layout: Layout,
}

/// What stands in a box.
struct Face {
    name: String,
    platforms: Vec<String>,
    status: Option<String>,
    height: i32,
}

impl<'a> Drawing<'a> {
    /// Lays a view out. With `cluster` the members of a group stand in a frame of their own.
    pub fn of(view: &'a View, cluster: bool) -> Self {
        let width = view.items.iter().map(wanted_width).max().unwrap_or(0).clamp(NARROW, WIDE);
        let faces: Vec<Face> = view.items.iter().map(|item| face(item, width)).collect();
        let groups = groups(view);
        let lane = |item: &Item| match &item.group {
            Some(group) if cluster => groups.iter().position(|g| g == group).map_or(0, |at| at + 1),
            _ => 0,
        };
        let boxes: Vec<Shape> = (view.items.iter().zip(&faces))
            .map(|(item, face)| Shape { height: face.height, lane: lane(item) })
            .collect();
        let line = |(from, to, kind): &(usize, usize, EdgeKind)| Line {
            from: *from,
            to: *to,
            class: u8::from(*kind == EdgeKind::CopyFrom),
        };
        let lines: Vec<Line> = view.edges.iter().map(line).collect();
        let framed = if cluster { 1..groups.len() + 1 } else { 0..0 };
        let layout = layout(&Request { width, boxes: &boxes, lines: &lines, framed });
        Self { view, faces, groups, framed: cluster, width, layout }
    }

    /// Names of the groups of a view, in the order they are met.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    /// Height of the box of an item.
    pub fn height(&self, item: usize) -> i32 {
        self.faces.get(item).map_or(0, |face| face.height)
    }

    /// Frames, edges and nodes. With `titles` every edge says what it means.
    pub fn shapes(&self, titles: bool, out: &mut String) {
        if self.framed {
            out.push_str("<g class=\"frames\">\n");
            for (frame, group) in self.layout.frames.iter().zip(&self.groups) {
                frame_shape(*frame, group, out);
            }
            out.push_str("</g>\n");
        }
        out.push_str("<g class=\"edges\">\n");
        let edges = self.edges_of_pieces();
        for (piece, edges) in self.layout.pieces.iter().zip(edges) {
            self.piece(piece, edges, titles, out);
        }
        out.push_str("</g>\n<g class=\"nodes\">\n");
        for ((item, face), spot) in self.view.items.iter().zip(&self.faces).zip(&self.layout.boxes)
        {
            let middle = spot.x + self.width / 2;
            node(item, face, (middle, spot.y), self.width, out);
        }
        out.push_str("</g>\n");
    }

    /// For each piece, how many edges take it, and whether one ends with it.
    fn edges_of_pieces(&self) -> Vec<(usize, bool)> {
        let mut out = vec![(0, false); self.layout.pieces.len()];
        for way in self.layout.ways.iter().flatten() {
            out[*way] = (1, true);
        }
        for (at, piece) in self.layout.pieces.iter().enumerate().rev() {
            if let Some(parent) = piece.parent {
                out[parent].0 += out[at].0;
            }
        }
        out
    }

    fn piece(&self, piece: &Piece, edges: (usize, bool), titles: bool, out: &mut String) {
        let Some((from, to, kind)) = self.view.edges.get(piece.line).copied() else { return };
        let (class, one, many) = match kind {
            EdgeKind::CopyFrom => (" copy", "copies from", "copy from"),
            EdgeKind::From | EdgeKind::Member => ("", "is made from", "are made from"),
        };
        let (number, ends) = edges;
        let ends = if ends { "" } else { " way" };
        let _ = write!(out, "<path class=\"e{class}{ends}\" d=\"{}\"", path(piece));
        let boxes = (self.view.items.get(from), self.view.items.get(to));
        if let ((Some(from), Some(to)), true) = (boxes, titles) {
            let title = match number {
                1 => format!("{} {one} {}", to.id, from.id),
                _ => format!("{number} images {many} {}", from.id),
            };
            let _ = writeln!(out, "><title>{}</title></path>", escaped(&title));
        } else {
            out.push_str("/>\n");
        }
    }
}

fn groups(view: &View) -> Vec<Arc<str>> {
    let mut seen = std::collections::HashSet::new();
    let all = view.items.iter().filter_map(|item| item.group.clone());
    all.filter(|group| seen.insert(group.clone())).collect()
}

/// The width that shows the whole name, and all platforms in about two lines.
fn wanted_width(item: &Item) -> i32 {
    let longest = item.platforms.iter().map(|p| small_width(p)).max().unwrap_or(0);
    let platforms = (small_width(&item.platforms.join(text::BETWEEN)) + longest) / 2;
    let status = item.status.as_ref().map_or(0, |status| small_width(&status.text));
    name_width(&item.name).max(platforms).max(longest).max(status) + 2 * PAD_X
}

fn face(item: &Item, width: i32) -> Face {
    let room = width - 2 * PAD_X;
    let platforms = wrap(&item.platforms, room, PLATFORM_LINES);
    let status = item.status.as_ref().map(|s| cut_to(&s.text, room, small_width));
    let small = platforms.len() + usize::from(status.is_some());
    let lid = if item.kind == ThingKind::Base { LID } else { 0 };
    Face {
        name: cut_to(&item.name, room, name_width),
        height: lid + 2 * PAD_Y + NAME + small as i32 * SMALL,
        platforms,
        status,
    }
}

/// The word for a kind.
pub fn kind(kind: ThingKind) -> &'static str {
    match kind {
        ThingKind::Base => "base",
        ThingKind::Image => "image",
    }
}

/// The word for a tone in classes.
pub fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Work => "work",
        Tone::Maybe => "maybe",
        Tone::Bad => "bad",
        Tone::Dim | Tone::Strong => "dim",
    }
}

fn node(item: &Item, face: &Face, at: (i32, i32), width: i32, out: &mut String) {
    let kind = kind(item.kind);
    let status = item.status.as_ref();
    let class = status.map_or(String::new(), |s| format!(" s-{}", tone(s.tone)));
    let mut title = format!("{}: {kind}", item.id);
    for part in [Some(item.platforms.join(", ")), status.map(|s| s.text.clone())] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            let _ = write!(title, "; {part}");
        }
    }
    let (x, y) = at;
    let _ = write!(
        out,
        "<g class=\"n {kind}{class}\" transform=\"translate({x},{y})\"><title>{}</title>{}",
        escaped(&title),
        outline(item.kind, width, face.height)
    );
    let lid = if item.kind == ThingKind::Base { LID } else { 0 };
    let mut y = lid + PAD_Y + NAME - 4;
    let _ = write!(out, "<text class=\"t\" y=\"{y}\">{}</text>", escaped(&face.name));
    for line in &face.platforms {
        y += SMALL;
        let _ = write!(out, "<text class=\"p\" y=\"{y}\">{}</text>", escaped(line));
    }
    if let Some(status) = &face.status {
        y += SMALL;
        let _ = write!(out, "<text class=\"s\" y=\"{y}\">{}</text>", escaped(status));
    }
    out.push_str("</g>\n");
}

/// The shape of a box around x = 0: a rounded rectangle, for a base a drum.
pub fn outline(kind: ThingKind, width: i32, height: i32) -> String {
    let half = width / 2;
    match kind {
        ThingKind::Image => format!(
            "<rect class=\"b\" x=\"-{half}\" width=\"{width}\" height=\"{height}\" rx=\"9\"/>"
        ),
        ThingKind::Base => {
            let (lid, side) = (LID / 2, height - LID);
            format!(
                "<path class=\"b\" d=\"M-{half},{lid}a{half},{lid} 0 0 1 {width},0v{side}a{half},{lid} 0 0 1 -{width},0zM{half},{lid}a{half},{lid} 0 0 1 -{width},0\"/>"
            )
        }
    }
}

/// A piece as the data of a path: absolute, every point as `x,y`.
fn path(piece: &Piece) -> String {
    let mut out = format!("M{},{}", piece.start.0, piece.start.1);
    let mut at = piece.start;
    for Leg { to, bend } in piece.legs.iter().copied() {
        let middle = at.0 + (to.0 - at.0) / 2;
        let _ = match bend {
            true => write!(out, "C{middle},{} {middle},{} {},{}", at.1, to.1, to.0, to.1),
            false => write!(out, "L{},{}", to.0, to.1),
        };
        at = to;
    }
    out
}

fn frame_shape(frame: Frame, group: &str, out: &mut String) {
    if frame.width == 0 {
        return;
    }
    let Frame { x, y, width, height } = frame;
    let name = escaped(&cut_to(group, width - 24, name_width));
    let _ = writeln!(
        out,
        "<g class=\"f\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"12\"/><text x=\"{}\" y=\"{}\">{name}</text></g>",
        escaped(&format!("group {}", words::one_line(group))),
        x + 14,
        y + 21
    );
}

#[cfg(test)]
mod tests;
