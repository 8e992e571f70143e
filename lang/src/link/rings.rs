//! Images that need each other in a ring.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::{Build, Config, Image, NodeRef};
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};

use super::images::Stand;
use super::walk;

/// Reports rings and cuts them. `stands` says of each image what it stands on: one of a ring may
/// have no platforms, and no builds then.
pub(super) fn cut(config: &mut Config, stands: &[Stand], out: &mut Vec<Diagnostic>) {
    let none = Stand::Nothing;
    let edges: Vec<Vec<(usize, Span)>> = config
        .images
        .iter()
        .enumerate()
        .map(|(at, image)| edges(image, stands.get(at).unwrap_or(&none)))
        .collect();
    let targets: Vec<Vec<usize>> =
        edges.iter().map(|edges| edges.iter().map(|(to, _)| *to).collect()).collect();
    let mut told = HashSet::new();
    for ring in &walk::walk(&targets).rings {
        cut_one(config, ring, &edges, &mut told, out);
    }
}

/// The images that an image needs, with the places that say so.
fn edges(image: &Image, stand: &Stand) -> Vec<(usize, Span)> {
    let stand = match stand {
        Stand::Node(node) => Some(node),
        Stand::Nothing | Stand::Unknown => None,
    };
    let written = image.from.iter().chain(image.copies.iter().flatten()).chain(stand);
    let written = written.map(|node| (node.value, node.span));
    // Platforms with the same build stand beside each other.
    let mut builds: Vec<&Arc<Build>> = image.builds.iter().collect();
    builds.dedup_by(|a, b| Arc::ptr_eq(a, b));
    let named = builds.into_iter().flat_map(|build| build.nodes());
    let mut met = HashSet::new();
    let named = named.map(|(node, place)| (node, place.span));
    let images = written.chain(named).filter_map(|(node, span)| match node {
        NodeRef::Image(id) => Some((id.0 as usize, span)),
        NodeRef::Base(_) => None,
    });
    images.filter(|edge| met.insert(*edge)).collect()
}

fn cut_one(
    config: &mut Config,
    ring: &[(usize, usize)],
    edges: &[Vec<(usize, Span)>],
    told: &mut HashSet<Vec<Span>>,
    out: &mut Vec<Diagnostic>,
) {
    let name = |at: usize| config.images.get(at).map_or("", |image| image.name.as_ref());
    let places: Vec<(usize, usize, Span)> = ring
        .iter()
        .filter_map(|(node, edge)| {
            let (to, span) = edges.get(*node)?.get(*edge)?;
            Some((*node, *to, *span))
        })
        .collect();
    let Some((first, ..)) = places.first().copied() else { return };
    let mut shown: Vec<&str> = places.iter().take(20).map(|(node, ..)| name(*node)).collect();
    shown.push(if places.len() > 20 { "…" } else { name(first) });
    let labels = places
        .iter()
        .take(20)
        .map(|(node, to, span)| (*span, format!("`{}` needs `{}`", name(*node), name(*to))))
        .collect();
    let message = match places.len() {
        1 => format!("`{}` is built from itself", name(first)),
        count => format!("{count} images need each other in a ring: {}", shown.join(" → ")),
    };
    // The variants of one image make the same ring many times.
    let mut spans: Vec<Span> = places.iter().map(|(.., span)| *span).collect();
    spans.sort_unstable_by_key(|span| (span.file, span.start, span.end));
    if told.insert(spans) {
        let diagnostic = Diagnostic::nowhere("mabuild::lang::cycle", message);
        out.push(Diagnostic { labels, ..diagnostic }.help(
            "an image can only be built from images that are there before it; cut one of these",
        ));
    }
    let Some((node, _, span)) = places.last().copied() else { return };
    if let Some(image) = config.images.get_mut(node) {
        let is_cut = |known: &Spanned<NodeRef>| known.span == span;
        image.from = image.from.take().filter(|from| !is_cut(from));
        if image.builds.iter().any(|build| build.places.iter().any(|place| place.span == span)) {
            let cut = |build: &Arc<Build>| {
                let kept = build.places.iter().filter(|place| place.span != span);
                Arc::new(Build { recipe: build.recipe.clone(), places: kept.cloned().collect() })
            };
            image.builds = image.builds.iter().map(cut).collect();
        }
        if image.copies.iter().flatten().any(is_cut) {
            image.copies =
                image.copies.iter().map(|copy| copy.clone().filter(|c| !is_cut(c))).collect();
        }
    }
}
