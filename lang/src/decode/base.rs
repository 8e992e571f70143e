//! `base`: nodes built from an upstream.

use std::sync::Arc;

use super::check::shown;
use super::platforms::{self, Asked};
use super::steps::is_hex;
use super::text::{Cx, Use};
use super::values::{KEEP, one_of, unique};
use super::{duration, publish, settings, tests};
use crate::config::{
    Base, BaseSource, Debian, Follow, OciLayout, RegistryBase, Rootfs, Settings, Text, Trim,
    Variant,
};
use crate::diag::Diagnostic;
use crate::reference;
use crate::schema::{FOLLOWED, TRIMS, VARIANTS};
use crate::source::Spanned;
use crate::suggest::did_you_mean;
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
    let (mut tags, mut repositories, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    let mut arch_tags = None;
    for child in node.kids() {
        match child.name.text.as_ref() {
            "platforms" => asked = platforms::asked(child, cx),
            "tags" => cx.undated(|cx| settings::tags(child, &mut tags, cx)),
            "arch-tags" => arch_tags = Some(child.span),
            "publish" => cx.undated(|cx| publish::read(child, &mut repositories, cx)),
            "test" => cx.undated(|cx| checks.extend(tests::read(child, cx))),
            _ => settings::read(child, &mut settings, cx),
        }
    }
    settings::duplicates(&settings, cx);
    publish::duplicates(&repositories, cx);
    tests::duplicates(&checks, cx);
    cx.report_dates();
    if tags.is_empty() {
        tags.push(Text::literal("latest", name.span));
    }
    let base = Base {
        name,
        span: node.span,
        folder: cx.folder.clone(),
        implicit: false,
        platforms: Arc::from([]),
        source: source?,
        settings,
        tags,
        arch_tags,
        publish: repositories,
        tests: checks,
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
            .help("write `rootfs \"…\"`, `debian \"…\" { … }`, `registry \"…\"` or `oci-layout \"…\"` in its block"),
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
    let follow = node.kids().iter().find(|child| child.name.text == "follow");
    let is_followed = node.kids().iter().any(|child| child.name.text == "registry");
    if let Some(follow) = follow.filter(|_| !is_followed) {
        stray_follow(follow, first, cx);
    }
    match first.name.text.as_ref() {
        "rootfs" => rootfs(first, cx).map(BaseSource::Rootfs),
        "debian" => debian(first, cx).map(BaseSource::Debian),
        "registry" => registry(first, follow, cx).map(BaseSource::Registry),
        _ => oci_layout(first, cx).map(BaseSource::OciLayout),
    }
}

/// Reports a `follow` beside a source that has nothing to follow.
fn stray_follow(follow: &Node<'_>, source: &Node<'_>, cx: &mut Cx<'_>) {
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::stray",
            follow.name.span,
            "`follow` goes with `registry`",
            "nothing to follow",
        )
        .and(source.name.span, "what this base comes from")
        .help("remove it: `mabuild upstream update` moves a base of this kind"),
    );
}

fn registry(node: &Node<'_>, follow: Option<&Node<'_>>, cx: &mut Cx<'_>) -> Option<RegistryBase> {
    let text = node.args().next().and_then(|entry| cx.filled(entry, "the reference"));
    let follow = follow.map(|node| self::follow(node, cx));
    let text = text?;
    let written = text.constant().unwrap_or_default();
    match (text.constant().map(reference::parse), &follow) {
        (Some(Err(wrong)), _) => {
            let message = format!("`{}` is not a reference of an image", shown(written));
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            return None;
        }
        (Some(Ok(read)), Some(follow)) if read.digest.is_some() => {
            still(&text, written, follow, cx);
        }
        _ => {}
    }
    Some(RegistryBase { span: node.span, reference: text, follow })
}

/// Reports a `follow` of a reference that can only mean one image.
fn still(text: &Text, written: &str, follow: &Follow, cx: &mut Cx<'_>) {
    let tagged = written.split('@').next().unwrap_or_default();
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::stray",
            follow.span,
            "a base with a digest does not move",
            "follows nothing",
        )
        .and(text.span, "says which image it is, once and for all")
        .help(format!("remove it, or write `{}` without the digest", shown(tagged))),
    );
}

fn follow(node: &Node<'_>, cx: &mut Cx<'_>) -> Follow {
    let of = |word: &str| (word == "digest").then_some(());
    // There is but one word, so that what it says is known once it is read.
    if let Some(entry) = node.args().next() {
        one_of(entry, "something to follow", FOLLOWED, of, cx);
    }
    Follow { span: node.span, min_age: duration::property(node, "min-age", cx) }
}

fn prop(node: &Node<'_>, name: &str, cx: &mut Cx<'_>) -> Option<Text> {
    node.prop(name).and_then(|entry| cx.filled(entry, &format!("`{name}`")))
}

fn rootfs(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Rootfs> {
    // The version cannot name itself; it is known to everything after it in this base.
    // One of another type is reported at its place, and not where it is used.
    let version = prop(node, "version", cx)
        .or_else(|| node.prop("version").map(|entry| Text::literal("", entry.value_span)));
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
    let (mut variant, mut updates, mut security) = (None, None, None);
    let mut trim = Vec::new();
    for child in node.kids() {
        match child.name.text.as_ref() {
            "variant" => variant = Some(variant_of(child, cx)),
            "component" => components.extend(cx.strings(child, "an archive area")),
            "include" => include.extend(cx.strings(child, "a package")),
            "updates" => updates = Some(child.span),
            "security" => security = Some(child.span),
            "trim" => trim.extend(trims(child, cx)),
            _ => {}
        }
    }
    if variant.is_none() {
        no_variant(node, cx);
    }
    if components.is_empty() {
        components.push(Text::literal("main", node.name.span));
    }
    let words = trim.iter().map(|(word, trim): &(&str, Spanned<Trim>)| (*word, trim.span));
    unique(words, "word", KEEP, &mut cx.out);
    Some(Debian {
        span: node.span,
        suite: suite?,
        mirror,
        signed_by,
        variant: variant.unwrap_or(Variant::Extract),
        components,
        include,
        updates,
        security,
        trim: trim.into_iter().map(|(_, trim)| trim).collect(),
    })
}

/// Reports that no variant is named, unless one is misspelled and reported as that.
fn no_variant(node: &Node<'_>, cx: &mut Cx<'_>) {
    let meant = |child: &Node<'_>| did_you_mean(&child.name.text, ["variant"]).is_some();
    if node.kids().iter().any(meant) || node.prop("variant").is_some() {
        return;
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::missing",
            node.name.span,
            "`debian` needs a variant",
            "no variant is named",
        )
        .help("write `variant \"minbase\"` in its block, or `variant \"extract\"` to run no script of a package"),
    );
}

/// The variant of a system; one that cannot be read is reported, and any does for what follows.
fn variant_of(node: &Node<'_>, cx: &mut Cx<'_>) -> Variant {
    let of = |word: &str| match word {
        "extract" => Some(Variant::Extract),
        "minbase" => Some(Variant::Minbase),
        _ => None,
    };
    let entry = node.args().next();
    let variant = entry.and_then(|entry| one_of(entry, "a variant", VARIANTS, of, cx));
    variant.map_or(Variant::Extract, |variant| variant.value)
}

/// What one `trim` leaves out, with the word for each.
fn trims(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<(&'static str, Spanned<Trim>)> {
    let of = |word: &str| match word {
        "docs" => Some(("docs", Trim::Docs)),
        "locales" => Some(("locales", Trim::Locales)),
        _ => None,
    };
    let words = node.args().filter_map(|entry| one_of(entry, "a part to leave out", TRIMS, of, cx));
    words.map(|word| (word.value.0, Spanned::new(word.value.1, word.span))).collect()
}

fn oci_layout(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<OciLayout> {
    let path = node.args().next().and_then(|entry| cx.filled(entry, "the folder"));
    let reference = prop(node, "ref", cx);
    Some(OciLayout { span: node.span, path: path?, reference })
}
