//! `rootfs`: published root file systems.

use super::follow::{Following, What, is_open};
use super::steps::is_hex;
use super::text::{Cx, Version};
use super::values::prop;
use crate::config::{Rootfs, Text};
use crate::diag::Diagnostic;
use crate::source::Span;
use crate::syntax::{Entry, Node};

/// Reads the archive that a base is made of, with what is followed of it.
pub(super) fn read(
    node: &Node<'_>,
    follow: Option<&Following<'_>>,
    cx: &mut Cx<'_>,
) -> Option<Rootfs> {
    let later = follow.map_or(Version::Unknown, Following::later);
    // The version cannot name itself; it is known to everything after it in this base.
    // One of another type is reported at its place, and not where it is used.
    cx.version = later.clone();
    let version = prop(node, "version", cx)
        .or_else(|| node.prop("version").map(|entry| Text::literal("", entry.value_span)));
    let is_fixed = version.is_some();
    // Of a version that is given twice the written one counts, for what else is wrong.
    let (own, later) = match version {
        Some(version) => (Version::Is(version.clone()), Version::Is(version)),
        None => (follow.map_or(Version::Unknown, Following::version), later),
    };
    cx.version = own;
    let location = node.args().next().and_then(|entry| cx.filled(entry, "the location"));
    let checksums = prop(node, "checksums", cx);
    let digest = digests(node, cx);
    let signature = prop(node, "signature", cx);
    cx.version = later;
    let keys = prop(node, "signed-by", cx);
    signed(node, cx);
    if let Some(follow) = follow
        && matches!(follow.what, What::Range(_))
    {
        moves(node, follow, cx);
        if let Some(location) = location.as_ref().filter(|text| !is_fixed && !is_open(text)) {
            let example = "https://example.org/{{version}}/rootfs-{{version}}.tar.gz";
            follow.no_version(location, "the location", example, cx);
        }
    }
    let follow = follow.and_then(|follow| follow.of_rootfs(node, cx));
    let signature = signature.zip(keys);
    Some(Rootfs { span: node.span, location: location?, checksums, digest, signature, follow })
}

/// Reports what says that the archive is always the same where a range of versions is followed.
fn moves(node: &Node<'_>, follow: &Following<'_>, cx: &mut Cx<'_>) {
    if let Some(version) = node.prop("version") {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                version.span,
                "this base has a version, and looks for one",
                "one version, once and for all",
            )
            .and(follow.node.span, "the highest of a range")
            .help("remove `version` to follow the range, or `follow` to stay at this version"),
        );
    }
    for name in ["sha256", "sha512"] {
        let Some(digest) = node.prop(name) else { continue };
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                digest.span,
                "an archive that moves has no digest of its own in the file",
                "the digest of one version",
            )
            .and(follow.node.span, "takes whatever version is the highest")
            .help("write `checksums=\"…\"` in place of it; what is taken is kept in `mabuild.lock` with its digest"),
        );
    }
}

/// Reports a signature without keys, and keys without a signature.
fn signed(node: &Node<'_>, cx: &mut Cx<'_>) {
    let mut one = |span: Span, message: &str, label: &str, help: &str| {
        let error = Diagnostic::error("mabuild::lang::missing", span, message, label);
        cx.out.push(error.help(help));
    };
    match (node.prop("signature"), node.prop("signed-by")) {
        (Some(signature), None) => one(
            signature.span,
            "nothing says whose signature this is",
            "needs keys",
            "write `signed-by=\"keys/….asc\"` beside it: the file of the keys that may make it",
        ),
        (None, Some(keys)) => one(
            keys.span,
            "these keys have no signature to check",
            "needs a signature",
            "write `signature=\"https://….asc\"` beside it, or remove it",
        ),
        _ => {}
    }
}

/// The digest that is written in the file itself.
fn digests(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Text> {
    match (node.prop("sha256"), node.prop("sha512")) {
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
    }
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
