//! `format`, `require`, `late` and `annotation`: how bases and images are published.

use std::sync::Arc;

use super::check::shown;
use super::text::Cx;
use super::values::{KEEP, label, one_of, unique};
use super::{duration, platforms};
use crate::config::{Format, Publishing, Require, Text};
use crate::diag::Diagnostic;
use crate::schema::{FORMATS, LATENESS};
use crate::source::{Span, Spanned};
use crate::syntax::{Node, Value};

/// What annotations of mabuild itself begin with.
const RESERVED: &str = "dev.mabuild.";

/// Whether a node is one of these.
pub(crate) fn is_one(word: &str) -> bool {
    matches!(word, "format" | "require" | "late" | "annotation")
}

/// Reads one of these nodes.
pub(crate) fn read(node: &Node<'_>, into: &mut Publishing, cx: &mut Cx<'_>) {
    match node.name.text.as_ref() {
        "format" => {
            let first = node.args().next();
            let format = first.and_then(|entry| one_of(entry, "a format", FORMATS, format_of, cx));
            into.format = format.map(|format| Spanned::new(format.value, node.span));
        }
        "require" => into.require = require(node, cx),
        "late" => {
            let mut args = node.args();
            let word = |word: &str| LATENESS.contains(&word).then_some(());
            let is_known = args.next().and_then(|e| {
                one_of(e, "what can be done with a late platform", LATENESS, word, cx)
            });
            let time = args.next().and_then(|e| duration::read(e, "the span of `late`", cx));
            let time = time.map(|time| Spanned::new(time.value, node.span));
            into.carry = is_known.and(time);
        }
        _ => into.annotations.extend(cx.undated(|cx| annotation(node, cx))),
    }
}

fn format_of(word: &str) -> Option<Format> {
    match word {
        "oci" => Some(Format::Oci),
        "docker" => Some(Format::Docker),
        _ => None,
    }
}

fn require(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Require> {
    let is_all = |value: &Value<'_>| matches!(value, Value::String(text) if text == "all");
    let Some(all) = node.args().find(|entry| is_all(&entry.value)) else {
        let platforms = platforms::list(node, cx);
        // Of a list of which nothing could be read nothing is known.
        let platforms = (!platforms.is_empty()).then_some(platforms)?;
        return Some(Require { span: node.span, platforms: Some(platforms) });
    };
    if node.args().nth(1).is_some() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                all.value_span,
                "`all` stands alone",
                "other values stand beside it",
            )
            .help("write `require all`, or the platforms that must be there"),
        );
    }
    Some(Require { span: node.span, platforms: None })
}

fn annotation(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<(Spanned<String>, Text)> {
    let mut args = node.args();
    let (name, value) = (args.next()?, args.next()?);
    let name: Option<Spanned<Arc<str>>> = label(name, "the name of an annotation", cx);
    let value = cx.per_variant(value, "an annotation");
    let (name, value) = (name?, value?);
    if name.value.starts_with(RESERVED) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::publish",
                name.span,
                format!("`{}` is a name that mabuild itself gives", shown(&name.value)),
                format!("begins with `{RESERVED}`"),
            )
            .help("choose a name under a domain of your own: `org.example.team`"),
        );
        return None;
    }
    Some((Spanned::new(name.value.to_string(), name.span), value))
}

/// Reports annotations that one node names twice.
pub(crate) fn duplicates(publishing: &Publishing, cx: &mut Cx<'_>) {
    let names = publishing.annotations.iter().map(|(name, _)| (name.value.as_str(), name.span));
    unique(names, "annotation", KEEP, &mut cx.out);
}

/// Warns of what is said of the publishing of a node that is not published. `is_own` tells whether
/// a place is in the node: a template may well say more than each of its images needs.
pub(crate) fn idle(
    publishing: &Publishing,
    name: &str,
    is_own: impl Fn(Span) -> bool,
    cx: &mut Cx<'_>,
) {
    let Publishing { format, require, carry, annotations } = publishing;
    let format = format.iter().map(|format| ("format", format.span));
    let require = require.iter().map(|require| ("require", require.span));
    let carry = carry.iter().map(|carry| ("late", carry.span));
    let annotations = annotations.iter().map(|(name, _)| ("annotation", name.span));
    let all = format.chain(require).chain(carry).chain(annotations);
    for (word, span) in all.filter(|(_, span)| is_own(*span)) {
        cx.out.push(
            Diagnostic::warning(
                "mabuild::lang::publish",
                span,
                format!("`{word}` says how `{name}` is published, and it is not"),
                "changes nothing",
            )
            .help(format!("write `publish \"{name}\"` beside it, or remove it")),
        );
    }
}
