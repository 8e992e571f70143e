//! Whether the nodes that an image needs have the platforms that it needs them on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::{Build, Config, Image, NodeRef, Place, StepOp};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::{Span, Spanned};

use super::platforms::{List, Wished, has, names, of};
use super::variants::Family;

/// Reports platforms that nodes lack.
pub(super) fn check(config: &Config, families: &[Family], out: &mut Vec<Diagnostic>) {
    let all = families.iter().flat_map(|family| family.variants.iter().map(move |_| family));
    // Variants that are built alike are checked once.
    let mut checked: HashSet<(*const Family, *const Arc<Build>)> = HashSet::new();
    let mut told: HashSet<(*const Family, Span, NodeRef)> = HashSet::new();
    for (image, family) in config.images.iter().zip(all) {
        if matches!(family.platforms, Wished::Own(_)) {
            from(image, config, out);
        }
        copies(image, config, out);
        if image.builds.is_empty() || !checked.insert((family, image.builds.as_ptr())) {
            continue;
        }
        for (target, build) in image.platforms.iter().zip(image.builds.iter()) {
            for (node, place) in build.nodes() {
                if let Some(missing) = named(image, target, node, place, config)
                    && told.insert((family, place.span, node))
                {
                    out.push(missing);
                }
            }
        }
    }
}

/// Checks the node of `from`; where the Dockerfile names it, what that says counts.
fn from(image: &Image, config: &Config, out: &mut Vec<Diagnostic>) {
    let Some(from) = &image.from else { return };
    let Some(parent) = of(config, from.value).filter(|(_, list, _)| !list.is_empty()) else {
        return;
    };
    for (at, platform) in image.platforms.iter().enumerate() {
        let build = image.builds.get(at);
        if !build.is_some_and(|build| build.nodes().any(|(node, _)| node == from.value)) {
            lacks(platform, parent, from.span, "is built from", &image.body.name.value, out);
        }
    }
}

fn copies(image: &Image, config: &Config, out: &mut Vec<Diagnostic>) {
    let list = &image.platforms;
    let mut only = None;
    for (at, copy) in image.copies.iter().enumerate() {
        let Some(copy) = copy else { continue };
        let Some(from) = of(config, copy.value) else { continue };
        let (_, had, _) = from;
        if had.is_empty() || Arc::ptr_eq(had, list) {
            continue;
        }
        let only = only.get_or_insert_with(|| copied_on(image));
        let copied = |p: &Platform| only.get(&at).is_none_or(|only| has(only, p));
        if let Some(platform) = list.iter().find(|p| !has(had, &p.value) && copied(&p.value)) {
            lacks(platform, from, copy.span, "copies from", &image.body.name.value, out);
        }
    }
}

/// The error for a node that a Dockerfile names on a platform that it lacks.
fn named(
    image: &Image,
    target: &Spanned<Platform>,
    node: NodeRef,
    place: &Place,
    config: &Config,
) -> Option<Diagnostic> {
    let (name, had, at) = of(config, node)?;
    let platform = &place.platform;
    if had.is_empty() || has(had, platform) {
        return None;
    }
    let image_name = &image.body.name;
    let own = &image_name.value;
    let verb = if place.is_from { "is built from" } else { "copies from" };
    let error = Diagnostic::error(
        "mabuild::lang::platform",
        place.span,
        format!("`{name}` has no `{platform}`, which the Dockerfile of `{own}` asks for"),
        format!("`{own}` {verb} `{name}`"),
    );
    let (error, help) = match *platform == target.value {
        true => (
            error.and(target.span, format!("`{own}` is built for it")),
            format!("give `{own}` only `platforms` that `{name}` has"),
        ),
        false => (
            error.and(image_name.span, "is built by this Dockerfile"),
            "name a platform that it has in `--platform`".to_owned(),
        ),
    };
    let error = error.and(at, format!("has {}", names(had)));
    Some(error.help(format!("{help}, or add `{platform}` to `{name}`")))
}

/// The copies that are done on some platforms alone, by their number, with these platforms.
fn copied_on(image: &Image) -> HashMap<usize, &[Spanned<Platform>]> {
    let steps = image.body.steps.iter();
    let copies = steps.filter_map(|step| match &step.op {
        StepOp::Copy(copy) | StepOp::Add(copy) => Some((copy.from?, step.only.as_deref()?)),
        _ => None,
    });
    copies.collect()
}

/// Reports that a node lacks a platform that one above it asks for.
fn lacks(
    platform: &Spanned<Platform>,
    (name, had, place): (&str, &List, Span),
    edge: Span,
    verb: &str,
    image: &str,
    out: &mut Vec<Diagnostic>,
) {
    if has(had, &platform.value) {
        return;
    }
    out.push(
        Diagnostic::error(
            "mabuild::lang::platform",
            platform.span,
            format!("`{name}` has no `{}`, which `{image}` asks for", platform.value),
            "asked for here",
        )
        .and(edge, format!("`{image}` {verb} `{name}`"))
        .and(place, format!("has {}", names(had)))
        .help(format!(
            "give `{image}` only `platforms` that `{name}` has, or add `{}` to `{name}`",
            platform.value
        )),
    );
}
