//! `debian`: systems of packages of a Debian archive.

use super::address;
use super::check::shown;
use super::package::{self, Form};
use super::text::Cx;
use super::values::{KEEP, one_of, prop, unique};
use crate::config::{Debian, DebianRepository, Text, Trim, Variant};
use crate::diag::Diagnostic;
use crate::schema::{TRIMS, VARIANTS};
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node};

/// Reads the system that a base is made of.
pub(super) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Debian> {
    let suite = node.args().next().and_then(|entry| cx.filled(entry, "the suite"));
    let mut debian = Debian {
        span: node.span,
        // Read on for what else is wrong; without a suite nothing comes of it.
        suite: suite.clone().unwrap_or_else(|| Text::literal("", node.span)),
        mirror: prop(node, "mirror", cx),
        signed_by: prop(node, "signed-by", cx),
        variant: Variant::Extract,
        components: components(node, cx),
        include: Vec::new(),
        exclude: Vec::new(),
        recommends: false,
        repositories: Vec::new(),
        updates: None,
        security: None,
        trim: Vec::new(),
    };
    let mut trim = Vec::new();
    for child in node.kids() {
        match child.name.text.as_ref() {
            "include" => debian.include.extend(package::list(child, Form::Debian, cx)),
            "exclude" => debian.exclude.extend(package::list(child, Form::DebianName, cx)),
            "recommends" => debian.recommends = true,
            "repository" => debian.repositories.extend(repository(child, cx)),
            "updates" => debian.updates = Some(child.span),
            "security" => debian.security = Some(child.span),
            "trim" => trim.extend(trims(child, cx)),
            _ => {}
        }
    }
    match node.kids().iter().find(|child| child.name.text == "variant") {
        None => no_variant(node, cx),
        Some(named) => {
            let variant = variant_of(named, cx);
            if variant == Some(Variant::Extract) {
                nothing_resolved(node, named, cx);
            }
            debian.variant = variant.unwrap_or(Variant::Extract);
        }
    }
    let words = trim.iter().map(|(word, trim): &(&str, Spanned<Trim>)| (*word, trim.span));
    unique(words, "word", KEEP, &mut cx.out);
    debian.trim = trim.into_iter().map(|(_, trim)| trim).collect();
    suite.map(|_| debian)
}

/// The archive areas that a block names, else `main`.
fn components(node: &Node<'_>, cx: &mut Cx<'_>) -> Vec<Text> {
    let named = node.kids().iter().filter(|child| child.name.text == "component");
    let mut components: Vec<Text> =
        named.flat_map(|child| cx.strings(child, "an archive area")).collect();
    if components.is_empty() {
        components.push(Text::literal("main", node.name.span));
    }
    components
}

fn repository(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<DebianRepository> {
    let uri = node.args().next().and_then(|entry| archive(entry, cx));
    if node.prop("suite").is_none() {
        let meant = |entry: &Entry<'_>| {
            let name = entry.name.as_ref();
            name.is_some_and(|name| did_you_mean(&name.text, ["suite"]).is_some())
        };
        // A misspelled one is reported as that.
        if !node.entries.iter().any(meant) {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::missing",
                    node.name.span,
                    "this repository needs a suite",
                    "no suite is named",
                )
                .help("write `suite=\"…\"` behind the address: the name of the folder below `dists` of the archive"),
            );
        }
    }
    let suite = prop(node, "suite", cx);
    let signed_by = prop(node, "signed-by", cx);
    let components = components(node, cx);
    Some(DebianRepository { span: node.span, uri: uri?, suite: suite?, components, signed_by })
}

/// Reads the address of an archive.
pub(super) fn archive(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Text> {
    let text = cx.filled(entry, "the address")?;
    match text.constant().map(address::http) {
        Some(Err(wrong)) => {
            let written = text.constant().unwrap_or_default();
            let message = format!("`{}` is not the address of an archive", shown(written));
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            None
        }
        _ => Some(text),
    }
}

/// Reports what has no meaning where packages are unpacked just as they are named.
fn nothing_resolved(node: &Node<'_>, variant: &Node<'_>, cx: &mut Cx<'_>) {
    let resolves = |child: &&Node<'_>| matches!(&*child.name.text, "exclude" | "recommends");
    for child in node.kids().iter().filter(resolves) {
        let word = child.name.text.as_ref();
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::stray",
                child.name.span,
                format!("`{word}` changes nothing beside `variant \"extract\"`"),
                "no other package would come along",
            )
            .and(variant.span, "unpacks the named packages alone")
            .help(format!("remove `{word}`, or write `variant \"minbase\"`")),
        );
    }
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

/// The variant of a system; none where it cannot be read, which is reported.
fn variant_of(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Variant> {
    let of = |word: &str| match word {
        "extract" => Some(Variant::Extract),
        "minbase" => Some(Variant::Minbase),
        "standard" => Some(Variant::Standard),
        "minideb" => Some(Variant::Minideb),
        _ => None,
    };
    let entry = node.args().next()?;
    one_of(entry, "a variant", VARIANTS, of, cx).map(|variant| variant.value)
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
