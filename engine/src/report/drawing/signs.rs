//! The legend: what the signs mean that occur in a drawing.

use super::super::Tone;
use super::super::view::View;
use super::{kind, outline, tone};
use crate::graph::{EdgeKind, ThingKind};

/// A sign and its meaning.
pub struct Sign {
    /// Shapes in a space of 30 by 20.
    pub shape: String,
    /// What it means.
    pub word: &'static str,
}

/// The signs of a view.
pub fn signs(view: &View) -> Vec<Sign> {
    let mut out = Vec::new();
    let small = |of, class: &str| {
        let shape = outline(of, 30, 20);
        format!("<g class=\"{class}\" transform=\"translate(15,0)\">{shape}</g>")
    };
    for of in [ThingKind::Base, ThingKind::Image] {
        if view.items.iter().any(|item| item.kind == of) {
            let word = kind(of);
            out.push(Sign { shape: small(of, word), word });
        }
    }
    for (copy, class, word) in [(false, "e", "is made from"), (true, "e copy", "copies from")] {
        if view.edges.iter().any(|(_, _, kind)| (*kind == EdgeKind::CopyFrom) == copy) {
            let shape = format!("<path class=\"{class}\" d=\"M0,10L30,10\"/>");
            out.push(Sign { shape, word });
        }
    }
    let statuses = [
        (Tone::Good, "keep"),
        (Tone::Work, "build"),
        (Tone::Maybe, "maybe"),
        (Tone::Bad, "refused"),
    ];
    for (of, word) in statuses {
        if view.items.iter().any(|i| i.status.as_ref().is_some_and(|s| s.tone == of)) {
            let shape = small(ThingKind::Image, &format!("s-{}", tone(of)));
            out.push(Sign { shape, word });
        }
    }
    out
}
