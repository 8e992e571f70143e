//! `base`: nodes built from an upstream.

use std::sync::Arc;

use super::follow::{self, Following};
use super::platforms::{self, Asked};
use super::text::{Cx, Use};
use super::values::prop;
use super::{alpine, debian, duration, moves, publish, publishing, rootfs, settings, tests};
use crate::config::{Base, BaseSource, Moves, OciLayout, Publishing, Settings, Text};
use crate::diag::Diagnostic;
use crate::source::Spanned;
use crate::syntax::Node;

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
    let follow = follow::read(node, cx);
    let source = source(node, follow.as_ref(), cx);
    let follow = follow.map(|follow| follow.node);
    let min_age = follow.and_then(|node| duration::property(node, "min-age", cx));
    let mut moves = Moves { min_age, ..Moves::default() };
    let mut settings = Settings::default();
    let mut asked = Asked::default();
    let (mut tags, mut repositories, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    let mut arch_tags = None;
    let mut how = Publishing::default();
    for child in node.kids() {
        match child.name.text.as_ref() {
            "platforms" => asked = platforms::asked(child, cx),
            "tags" => cx.undated(|cx| settings::tags(child, &mut tags, cx)),
            "arch-tags" => arch_tags = Some(child.span),
            "hold" | "pin" => moves::read(child, &mut moves, cx),
            "publish" => cx.undated(|cx| publish::read(child, &mut repositories, cx)),
            "test" => cx.undated(|cx| checks.extend(tests::read(child, cx))),
            word if publishing::is_one(word) => publishing::read(child, &mut how, cx),
            _ => settings::read(child, &mut settings, cx),
        }
    }
    moves::together(&moves, follow.map(|node| node.span), cx);
    settings::duplicates(&settings, cx);
    publish::duplicates(&repositories, cx);
    publishing::duplicates(&how, cx);
    if !node.kids().iter().any(|child| child.name.text == "publish") {
        publishing::idle(&how, &name.value, |_| true, cx);
    }
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
        moves,
        settings,
        tags,
        arch_tags,
        publish: repositories,
        publishing: how,
        tests: checks,
    };
    Some(BaseDraft { base, platforms: asked, uses: std::mem::take(&mut cx.uses) })
}

/// The nodes that say where a base comes from.
const SOURCES: [&str; 5] = ["rootfs", "debian", "alpine", "registry", "oci-layout"];

fn source(node: &Node<'_>, follow: Option<&Following<'_>>, cx: &mut Cx<'_>) -> Option<BaseSource> {
    let is_source = |node: &&Node<'_>| SOURCES.contains(&node.name.text.as_ref());
    let mut sources = node.kids().iter().filter(is_source);
    let Some(first) = sources.next() else {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "this base does not say where it comes from",
                "needs an upstream",
            )
            .help("write `rootfs \"…\"`, `debian \"…\" { … }`, `alpine \"…\" { … }`, `registry \"…\"` or `oci-layout \"…\"` in its block"),
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
    let moves = |child: &Node<'_>| matches!(&*child.name.text, "registry" | "rootfs");
    if let Some(follow) = follow.filter(|_| !node.kids().iter().any(moves)) {
        let help = "remove it: `mabuild upstream update` moves a base of this kind";
        follow.stray(first, "`follow` goes with `registry` and `rootfs`", help, cx);
    }
    match first.name.text.as_ref() {
        "rootfs" => rootfs::read(first, follow, cx).map(BaseSource::Rootfs),
        "debian" => debian::read(first, cx).map(BaseSource::Debian),
        "alpine" => alpine::read(first, cx).map(BaseSource::Alpine),
        "registry" => {
            let registry = follow::registry(first, follow, cx).map(BaseSource::Registry);
            cx.version = follow.map_or_else(Default::default, Following::later);
            registry
        }
        _ => oci_layout(first, cx).map(BaseSource::OciLayout),
    }
}

fn oci_layout(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<OciLayout> {
    let path = node.args().next().and_then(|entry| cx.filled(entry, "the folder"));
    let reference = prop(node, "ref", cx);
    Some(OciLayout { span: node.span, path: path?, reference })
}
