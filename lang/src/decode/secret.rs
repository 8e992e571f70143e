//! `secret`: what a build may read and must not keep.

use super::check::shown;
use super::text::Cx;
use super::values::{RENAME, located, says_nothing, unique};
use crate::config::{Secret, SecretSource};
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};
use crate::syntax::{Entry, Node};

/// Reads one `secret`; none when its id or its source cannot be read.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Secret> {
    let id = node.args().next().and_then(|entry| id(entry, cx));
    let source = source(node, id.as_ref().map(|id| id.value.as_str()), cx);
    let id = id?;
    Some(Secret { id: Spanned::new(id.value.into(), id.span), span: node.span, source: source? })
}

/// Reports ids that two secrets of one image have.
pub(crate) fn duplicates(secrets: &[Secret], cx: &mut Cx<'_>) {
    let ids = secrets.iter().map(|secret| (secret.id.value.as_ref(), secret.id.span));
    unique(ids, "secret", RENAME, &mut cx.out);
}

/// An id as it can stand in `--mount=type=secret,id=…`.
fn id(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let id = cx.constant(entry, "the name of a secret")?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '"' | '=');
    if !id.value.contains(odd) {
        return Some(id);
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::name",
            id.span,
            format!("`{}` cannot be the name of a secret", shown(&id.value)),
            "has a space, a `,`, a `=` or a quote",
        )
        .help("a RUN --mount=type=secret,id=NAME names it: write one word, `netrc`"),
    );
    None
}

fn source(node: &Node<'_>, id: Option<&str>, cx: &mut Cx<'_>) -> Option<SecretSource> {
    match (node.prop("env"), node.prop("file")) {
        (Some(env), Some(file)) => {
            let (first, second) = if env.span < file.span { (env, file) } else { (file, env) };
            two(first.span, second.span, cx);
            None
        }
        (Some(entry), None) => variable(entry, cx).map(SecretSource::Env),
        (None, Some(entry)) => located(entry, "the path of a secret", cx).map(SecretSource::File),
        (None, None) => {
            if says_nothing(node) {
                missing(node, id.unwrap_or("NAME"), cx);
            }
            None
        }
    }
}

fn two(first: Span, second: Span, cx: &mut Cx<'_>) {
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::duplicate",
            second,
            "this secret comes from two places",
            "the second",
        )
        .and(first, "the first")
        .help("keep one of them"),
    );
}

fn missing(node: &Node<'_>, id: &str, cx: &mut Cx<'_>) {
    let variable: String = id
        .chars()
        .take(60)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::missing",
            node.name.span,
            "this secret does not say where it comes from",
            "needs `env` or `file`",
        )
        .help(format!(
            "write `env=\"{variable}\"` for a variable of the environment, or `file=\"PATH\"`"
        )),
    );
}

/// The name of a variable of the environment.
fn variable(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let name = cx.constant(entry, "the name of a variable")?;
    let good = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    if good(&name.value) {
        return Some(name);
    }
    let bare = name.value.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let help = if good(bare) {
        format!("write the name alone: `{}`", shown(bare))
    } else {
        "a name has letters, digits and `_`; the value itself does not belong into this file"
            .to_owned()
    };
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::name",
            name.span,
            "this is not the name of a variable",
            "not a name",
        )
        .help(help),
    );
    None
}
