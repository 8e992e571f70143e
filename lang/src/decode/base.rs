//! `base`: nodes built from an upstream.

use std::sync::Arc;

use super::check::unsupported;
use super::platforms::{self, Asked};
use super::settings;
use super::steps::is_hex;
use super::text::{Cx, Use};
use crate::config::{Base, BaseSource, Debian, OciLayout, Rootfs, Settings, Text};
use crate::diag::Diagnostic;
use crate::source::Spanned;
use crate::syntax::{Entry, Node};

/// A base before its platforms are known.
#[derive(Clone, Debug)]
pub(crate) struct BaseDraft {
    pub base: Base,
    pub platforms: Asked,
    pub uses: Vec<Use>,
}

/// Reads a base; none when where it comes from cannot be read.
pub(crate) fn read(node: &Node<'_>, name: Spanned<Arc<str>>, cx: &mut Cx<'_>) -> Option<BaseDraft> {
    cx.name = Some(name.value.clone());
    let source = source(node, cx);
    let mut settings = Settings::default();
    let mut asked = Asked::default();
    let mut tags = Vec::new();
    for child in node.kids() {
        match child.name.text.as_ref() {
            "platforms" => asked = platforms::asked(child, cx),
            "tags" => settings::tags(child, &mut tags, cx),
            _ => settings::read(child, &mut settings, cx),
        }
    }
    settings::duplicates(&settings, cx);
    if tags.is_empty() {
        tags.push(Text::literal("latest", name.span));
    }
    let base = Base {
        name,
        span: node.span,
        folder: cx.folder.clone(),
        platforms: Arc::from([]),
        source: source?,
        settings,
        tags,
    };
    Some(BaseDraft { base, platforms: asked, uses: std::mem::take(&mut cx.uses) })
}

fn source(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<BaseSource> {
    let is_source = |node: &&Node<'_>| {
        matches!(node.name.text.as_ref(), "rootfs" | "debian" | "oci-layout" | "registry")
    };
    let mut sources = node.kids().iter().filter(is_source);
    let Some(first) = sources.next() else {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "this base does not say where it comes from",
                "needs an upstream",
            )
            .help("write `rootfs \"…\"`, `debian \"…\" { … }` or `oci-layout \"…\"` in its block"),
        );
        return None;
    };
    for second in sources.filter(|second| second.name.text != first.name.text) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                second.name.span,
                "this base comes from two places",
                "the second",
            )
            .and(first.name.span, "the first")
            .help("keep one of them; two bases can hold the two"),
        );
    }
    match first.name.text.as_ref() {
        "rootfs" => rootfs(first, cx).map(BaseSource::Rootfs),
        "debian" => debian(first, cx).map(BaseSource::Debian),
        "oci-layout" => oci_layout(first, cx).map(BaseSource::OciLayout),
        _ => None,
    }
}

fn prop(node: &Node<'_>, name: &str, cx: &mut Cx<'_>) -> Option<Text> {
    node.prop(name).and_then(|entry| cx.filled(entry, &format!("`{name}`")))
}

fn rootfs(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Rootfs> {
    // The version cannot name itself; it is known to everything after it in this base.
    let version = prop(node, "version", cx);
    cx.version = version;
    let location = node.args().next().and_then(|entry| cx.filled(entry, "the location"));
    let checksums = prop(node, "checksums", cx);
    let digest = match (node.prop("sha256"), node.prop("sha512")) {
        (Some(first), Some(second)) => {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::duplicate",
                    second.span,
                    "this archive has two digests",
                    "the second",
                )
                .and(first.span, "the first")
                .help("keep one of them"),
            );
            None
        }
        (Some(entry), None) => digest(entry, "sha256", 64, cx),
        (None, Some(entry)) => digest(entry, "sha512", 128, cx),
        (None, None) => None,
    };
    Some(Rootfs { span: node.span, location: location?, checksums, digest })
}

/// A digest with the name of its algorithm before it.
fn digest(entry: &Entry<'_>, algorithm: &str, digits: usize, cx: &mut Cx<'_>) -> Option<Text> {
    let text = cx.constant(entry, "the digest of an archive")?;
    let prefix = format!("{algorithm}:");
    let hex = text.value.strip_prefix(&prefix).unwrap_or(&text.value);
    if is_hex(hex, digits) {
        return Some(Text::literal(format!("{prefix}{hex}"), text.span));
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::value",
            text.span,
            format!("this is not a {algorithm} digest"),
            format!("{} characters", hex.chars().count()),
        )
        .help(format!("write {digits} hex digits in lower case, as `{algorithm}sum` prints them")),
    );
    None
}

fn debian(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Debian> {
    let suite = node.args().next().and_then(|entry| cx.filled(entry, "the suite"));
    let mirror = prop(node, "mirror", cx);
    let signed_by = prop(node, "signed-by", cx);
    let (mut components, mut include) = (Vec::new(), Vec::new());
    let mut variant = false;
    for child in node.kids() {
        match child.name.text.as_ref() {
            "variant" => {
                variant = true;
                check_variant(child, cx);
            }
            "component" => components.extend(cx.strings(child, "an archive area")),
            "include" => include.extend(cx.strings(child, "a package")),
            _ => {}
        }
    }
    if !variant {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "`debian` needs a variant",
                "no variant is named",
            )
            .help("write `variant \"extract\"` in its block"),
        );
    }
    if components.is_empty() {
        components.push(Text::literal("main", node.name.span));
    }
    Some(Debian { span: node.span, suite: suite?, mirror, signed_by, components, include })
}

fn check_variant(node: &Node<'_>, cx: &mut Cx<'_>) {
    let Some(entry) = node.args().next() else { return };
    if let Some(variant) = cx.constant(entry, "the variant")
        && variant.value != "extract"
    {
        let what = format!("the variant `{}`", super::check::shown(&variant.value));
        cx.out.push(unsupported(variant.span, &what).help("write `variant \"extract\"`"));
    }
}

fn oci_layout(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<OciLayout> {
    let path = node.args().next().and_then(|entry| cx.filled(entry, "the folder"));
    let reference = prop(node, "ref", cx);
    Some(OciLayout { span: node.span, path: path?, reference })
}
