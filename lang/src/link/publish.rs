//! Where nodes are published: whole repositories, and who else publishes the same tag there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::{Config, NodeRef, Text};
use crate::decode::settings::{is_tag, not_a_tag};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::reference;
use crate::source::{Span, Spanned};

/// What a base or an image says of where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Published<'a> {
    pub node: NodeRef,
    /// As it is called.
    pub name: &'a str,
    /// What its variants share in its name.
    pub family: &'a str,
    pub axes: &'a [Arc<str>],
    pub values: &'a [Arc<str>],
    pub tags: &'a [Text],
    pub publish: &'a [Text],
}

impl Published<'_> {
    /// Its repositories with their hosts, each with where it is written; those that are wrong are
    /// left out.
    fn repositories(&self, registry: Option<&str>) -> Vec<(String, Span)> {
        let whole = |text: &Text| {
            let rendered = text.of_variant(self.values)?;
            Some((whole(&rendered, registry).ok()?, text.span))
        };
        self.publish.iter().filter_map(whole).collect()
    }
}

/// Why a repository cannot be told.
enum Missing {
    Registry,
    Wrong(crate::diag::Wrong),
}

/// `HOST/PATH` of what `publish` names.
fn whole(text: &str, registry: Option<&str>) -> Result<String, Missing> {
    let repository = reference::repository(text).map_err(Missing::Wrong)?;
    match (repository.host, registry) {
        (Some(host), _) => Ok(format!("{host}/{}", repository.path)),
        (None, Some(registry)) => Ok(format!("{registry}/{}", repository.path)),
        (None, None) => Err(Missing::Registry),
    }
}

/// Nodes by the references under which they are published.
pub(crate) fn index<'a>(
    nodes: impl Iterator<Item = Published<'a>>,
    registry: Option<&str>,
) -> HashMap<String, NodeRef> {
    let mut index = HashMap::new();
    for node in nodes {
        for (repository, _) in node.repositories(registry) {
            for tag in node.tags.iter().filter_map(|tag| tag.of_variant(node.values)) {
                let name = reference::normal(&format!("{repository}:{tag}"));
                index.entry(name).or_insert(node.node);
            }
        }
    }
    index
}

/// What a tag of a place is taken by.
struct Taken<'a> {
    node: NodeRef,
    name: &'a str,
    span: Span,
    /// Whether `arch-tags` makes it.
    of_arch: bool,
}

/// Reports repositories that cannot be told, tags that are none, and tags that two nodes would
/// give to the same repository, or two variants of one image in the store.
pub(crate) fn check(config: &Config, out: &mut Vec<Diagnostic>) {
    let registry = config.registry.as_ref().map(|registry| registry.value.as_str());
    let bases = config.bases.iter().enumerate().map(|(at, base)| {
        let platforms = base.arch_tags.map(|span| (span, &*base.platforms));
        (of_base(at, base), platforms)
    });
    let images = config.images.iter().enumerate().map(|(at, image)| {
        let platforms = image.body.arch_tags.map(|span| (span, &*image.platforms));
        (of_image(at as u32, &image.body, &image.name, &image.values), platforms)
    });
    let mut checker = Checker { registry, taken: HashMap::new(), told: HashSet::new(), out };
    for (node, platforms) in bases.chain(images) {
        checker.node(&node, platforms);
    }
}

/// A declared base.
pub(crate) fn of_base(at: usize, base: &crate::config::Base) -> Published<'_> {
    Published {
        node: NodeRef::Base(crate::config::BaseId(at as u32)),
        name: &base.name.value,
        family: &base.name.value,
        axes: &[],
        values: &[],
        tags: &base.tags,
        publish: &base.publish,
    }
}

/// An image, or a variant of one.
pub(crate) fn of_image<'a>(
    at: u32,
    body: &'a crate::config::Body,
    name: &'a str,
    values: &'a [Arc<str>],
) -> Published<'a> {
    Published {
        node: NodeRef::Image(crate::config::ImageId(at)),
        name,
        family: &body.name.value,
        axes: &body.axes,
        values,
        tags: &body.tags,
        publish: &body.publish,
    }
}

struct Checker<'a, 'o> {
    registry: Option<&'a str>,
    /// By place and tag. Variants of an image share a place in the store.
    taken: HashMap<(Arc<str>, String), Taken<'a>>,
    /// What was reported: one variant is enough.
    told: HashSet<(Span, Span)>,
    out: &'o mut Vec<Diagnostic>,
}

impl<'a> Checker<'a, '_> {
    fn node(&mut self, node: &Published<'a>, platforms: Option<(Span, &'a [Spanned<Platform>])>) {
        self.repositories(node);
        let mut places: Vec<Arc<str>> = Vec::new();
        for (repository, _) in node.repositories(self.registry) {
            places.push(Arc::from(reference::normal(&repository).trim_end_matches(":latest")));
        }
        // What is published is told apart by its repositories.
        if !node.axes.is_empty() && node.publish.is_empty() {
            places.push(node.family.into());
        }
        if places.is_empty() {
            return;
        }
        for tag in node.tags {
            let Some(text) = tag.of_variant(node.values) else { continue };
            if !is_tag(&text) {
                self.bad_tag(tag.span, &text, node.name);
                continue;
            }
            for place in &places {
                self.take(place, text.clone().into_owned(), tag.span, node, false);
                for (_, platform) in
                    platforms.iter().flat_map(|(at, list)| list.iter().map(move |p| (at, p)))
                {
                    let variant = platform.value.variant.as_deref().unwrap_or_default();
                    let text = format!("{text}-{}{variant}", platform.value.arch);
                    self.take(place, text, tag.span, node, true);
                }
            }
        }
    }

    fn repositories(&mut self, node: &Published<'_>) {
        for text in node.publish {
            let Some(rendered) = text.of_variant(node.values) else { continue };
            let error = match whole(&rendered, self.registry) {
                Ok(_) => continue,
                Err(Missing::Registry) => Diagnostic::error(
                    "mabuild::lang::publish",
                    text.span,
                    format!("`{rendered}` names no registry, and the file names none"),
                    "which registry?",
                )
                .help(format!(
                    "write `registry \"ghcr.io/acme\"` at the top of the file, or the host here: `ghcr.io/acme/{rendered}`"
                )),
                // Without an axis in it the text was looked at before.
                Err(Missing::Wrong(_)) if text.constant().is_some() => continue,
                Err(Missing::Wrong(wrong)) => wrong.at(
                    "mabuild::lang::publish",
                    text.span,
                    format!("`{rendered}`, for `{}`, is not a repository", node.name),
                ),
            };
            if self.told.insert((text.span, text.span)) {
                self.out.push(error);
            }
        }
    }

    fn take(
        &mut self,
        place: &Arc<str>,
        tag: String,
        span: Span,
        node: &Published<'a>,
        of_arch: bool,
    ) {
        let key = (place.clone(), tag);
        match self.taken.get(&key) {
            Some(first) if first.node == node.node && first.of_arch != of_arch => {
                if self.told.insert((first.span, span)) {
                    let (made, own) = if of_arch { (span, first.span) } else { (first.span, span) };
                    self.out.push(made_twice(&key.1, made, own));
                }
            }
            // A node may come to the same tag in two ways.
            Some(first) if first.node == node.node => {}
            Some(first) => {
                if self.told.insert((first.span, span)) {
                    let error = collision(&key.0, &key.1, first, span, node);
                    self.out.push(error);
                }
            }
            None => {
                self.taken.insert(key, Taken { node: node.node, name: node.name, span, of_arch });
            }
        }
    }

    fn bad_tag(&mut self, span: Span, text: &str, node: &str) {
        if self.told.insert((span, span)) {
            let mut error = not_a_tag(text, span);
            for (_, label) in &mut error.labels {
                *label = format!("is `{text}` for `{node}`");
            }
            self.out.push(error);
        }
    }
}

/// The error for a tag of all platforms that is that of a single one too.
fn made_twice(tag: &str, made: Span, own: Span) -> Diagnostic {
    Diagnostic::error(
        "mabuild::lang::tag",
        own,
        format!("`arch-tags` makes the tag `{tag}` too, for one platform"),
        "for all platforms",
    )
    .and(made, "`arch-tags` puts the architecture behind this")
    .help("remove this tag, or `arch-tags`")
}

fn collision(
    place: &str,
    tag: &str,
    first: &Taken<'_>,
    span: Span,
    node: &Published<'_>,
) -> Diagnostic {
    let whose = format!("`{}` gets it here", node.name);
    let is_family = place == node.family;
    let message = match is_family {
        true => format!("`{}` and `{}` both get the tag `{tag}`", first.name, node.name),
        false => format!("`{}` and `{}` both publish `{place}:{tag}`", first.name, node.name),
    };
    let error = Diagnostic::error("mabuild::lang::tag", span, message, whose);
    let error = match first.span == span {
        true => error,
        false => error.and(first.span, format!("`{}` gets it here", first.name)),
    };
    match node.axes {
        [] => error.help("give one of them other tags, or another repository"),
        axes => {
            let axes: Vec<String> = axes.iter().map(|axis| format!("{{{{{axis}}}}}")).collect();
            error.help(format!(
                "put all axes into the tag that tell the variants apart: `tags \"{}\"`",
                axes.join("-")
            ))
        }
    }
}
