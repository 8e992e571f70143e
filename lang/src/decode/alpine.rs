//! `alpine`: systems of packages of an Alpine archive.

use std::collections::BTreeSet;

use super::check::shown;
use super::debian::archive;
use super::package::{self, Form};
use super::text::Cx;
use super::values::{part_of, prop};
use crate::config::{Alpine, AlpineRepository, Text};
use crate::diag::{Diagnostic, Wrong};
use crate::source::Spanned;
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node};

/// Reads the system that a base is made of.
pub(super) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Alpine> {
    let branch = node.args().next().and_then(|entry| cx.filled(entry, "the branch"));
    let mirror = prop(node, "mirror", cx);
    let signed_by = prop(node, "signed-by", cx);
    let (mut include, mut repositories) = (Vec::new(), Vec::new());
    // A repository that cannot be read may be the one that has the tag.
    let mut is_broken = false;
    for child in node.kids() {
        match child.name.text.as_ref() {
            "include" => include.extend(package::list(child, Form::Alpine, cx)),
            "repository" => match repository(child, cx) {
                Some(repository) => repositories.push(repository),
                None => is_broken = true,
            },
            _ => {}
        }
    }
    includes_something(node, cx);
    if !is_broken {
        tags(&include, &repositories, cx);
    }
    Some(Alpine { span: node.span, branch: branch?, mirror, signed_by, include, repositories })
}

/// Reports that no package is named, unless `include` is misspelled and reported as that.
fn includes_something(node: &Node<'_>, cx: &mut Cx<'_>) {
    let meant = |child: &Node<'_>| did_you_mean(&child.name.text, ["include"]).is_some();
    if node.kids().iter().any(meant) || node.prop("include").is_some() {
        return;
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::missing",
            node.name.span,
            "this system has no packages",
            "nothing is included",
        )
        .help("write `include \"alpine-baselayout\" \"busybox\"` in its block; `\"apk-tools\"` too where packages are to be installed later"),
    );
}

fn repository(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<AlpineRepository> {
    let uri = node.args().next().and_then(|entry| location(entry, cx));
    let (tag, is_read) = match node.prop("tag") {
        Some(entry) => {
            let tag = tag(entry, cx);
            let is_read = tag.is_some();
            (tag, is_read)
        }
        None => (None, true),
    };
    let signed_by = prop(node, "signed-by", cx);
    let repository = AlpineRepository { span: node.span, uri: uri?, tag, signed_by };
    is_read.then_some(repository)
}

/// Reads an address, or the name of a repository of the branch.
fn location(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Text> {
    let text = cx.filled(entry, "the address")?;
    let Some(written) = text.constant() else { return Some(text) };
    if written.contains("://") {
        return archive(entry, cx);
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if written.chars().all(good) && !written.starts_with('.') {
        return Some(text);
    }
    let help = "write `testing` or another name of a repository of the branch, or an address with `https://` before it";
    let message = format!("`{}` is not a repository", shown(written));
    let wrong = Wrong::new("neither an address nor a name", help);
    cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
    None
}

fn tag(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Text> {
    let text = cx.constant(entry, "`tag`")?;
    if package::is_tag(&text.value) {
        return Some(Text::literal(text.value, text.span));
    }
    let bare = text.value.trim_start_matches('@');
    let help = match package::is_tag(bare) {
        true => format!("leave the `@` out: `tag=\"{}\"`", shown(bare)),
        false => "a tag has letters, digits, `.`, `_` and `-`: `tag=\"edge\"`".to_owned(),
    };
    let message = format!("`{}` is not the tag of a repository", shown(&text.value));
    let wrong = Wrong::new("not a tag", help);
    cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
    None
}

/// Reports packages that are asked of repositories which are not there.
fn tags(include: &[Text], repositories: &[AlpineRepository], cx: &mut Cx<'_>) {
    let known: BTreeSet<&str> =
        repositories.iter().filter_map(|repository| repository.tag.as_ref()?.constant()).collect();
    for name in include {
        let Some(text) = name.constant() else { continue };
        let Some(tag) = package::tag(text).filter(|tag| !known.contains(tag)) else { continue };
        let start = text.find('@').unwrap_or_default();
        let written = Spanned::new(text.to_owned(), name.span);
        let span = part_of(&written, start..start + 1 + tag.len(), cx);
        let help = match did_you_mean(tag, known.iter().take(1000).copied()) {
            Some(near) => format!("did you mean `@{near}`?"),
            None => format!(
                "write `repository \"…\" tag=\"{0}\"` beside the `include`, or leave `@{0}` out",
                shown(tag)
            ),
        };
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::package",
                span,
                format!("no repository of this system has the tag `{}`", shown(tag)),
                "names no repository",
            )
            .help(help),
        );
    }
}
