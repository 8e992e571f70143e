//! How nodes are published, against what they are.

use std::collections::HashSet;

use crate::config::{Config, Format, Publishing};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::{Span, Spanned};

use super::platforms::{has, names};

/// A base, an image or a variant of one.
struct Node<'a> {
    name: &'a str,
    /// The whole node: what is said outside of it is said of others too.
    span: Span,
    platforms: &'a [Spanned<Platform>],
    publishing: &'a Publishing,
    is_published: bool,
}

impl Node<'_> {
    fn holds(&self, span: Span) -> bool {
        let own = self.span.start <= span.start && span.end <= self.span.end;
        own && self.span.file == span.file
    }
}

/// Reports platforms that a node requires and does not have, and annotations where there is no
/// place for them.
pub(super) fn check(config: &Config, out: &mut Vec<Diagnostic>) {
    let bases = config.bases.iter().map(|base| Node {
        name: &base.name.value,
        span: base.span,
        platforms: &base.platforms,
        publishing: &base.publishing,
        is_published: !base.publish.is_empty(),
    });
    let images = config.images.iter().map(|image| Node {
        name: &image.body.name.value,
        span: image.body.span,
        platforms: &image.platforms,
        publishing: &image.body.publishing,
        is_published: !image.body.publish.is_empty(),
    });
    // One variant of an image is enough.
    let mut told = HashSet::new();
    for node in bases.chain(images) {
        let require = node.publishing.require.as_ref().filter(|require| node.holds(require.span));
        let wanted = require.and_then(|require| require.platforms.as_deref()).unwrap_or_default();
        let lacked = |p: &&Spanned<Platform>| !has(node.platforms, &p.value);
        // Without platforms it was reported itself.
        for platform in wanted.iter().filter(lacked).filter(|_| !node.platforms.is_empty()) {
            if told.insert(platform.span) {
                out.push(lacks(&node, platform));
            }
        }
        let docker = node.publishing.format.as_ref().filter(|f| f.value == Format::Docker);
        let Some(format) = docker.filter(|_| node.is_published) else { continue };
        for (name, _) in node.publishing.annotations.iter().filter(|(n, _)| node.holds(n.span)) {
            if told.insert(name.span) {
                out.push(no_place(name, format.span));
            }
        }
    }
}

fn lacks(node: &Node<'_>, platform: &Spanned<Platform>) -> Diagnostic {
    Diagnostic::error(
        "mabuild::lang::platform",
        platform.span,
        format!("`{}` has no platform `{}`", node.name, platform.value),
        "can never be there",
    )
    .help(format!("its platforms are {}", names(node.platforms)))
}

fn no_place(name: &Spanned<String>, format: Span) -> Diagnostic {
    Diagnostic::warning(
        "mabuild::lang::publish",
        name.span,
        "a manifest list of Docker has no annotations",
        "changes nothing",
    )
    .and(format, "makes such lists")
    .help("remove it, or publish in the format `oci`")
}
