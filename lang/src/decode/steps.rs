//! `steps`: instructions.

use std::sync::Arc;

use super::check::shown;
use super::package::{self, Form};
use super::platforms;
use super::reference::{self, Reference};
use super::settings::{env, first, words};
use super::text::Cx;
use super::values::prop;
use crate::config::{Copy, Network, Run, Step, StepOp, Text};
use crate::diag::Diagnostic;
use crate::platform::Platform;
use crate::source::Spanned;
use crate::syntax::{Entry, Node, Value};

/// Platforms that steps are done on alone.
type Only = Arc<[Spanned<Platform>]>;

/// The steps of an image, and the nodes that they copy from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    pub steps: Vec<Step>,
    pub copies: Vec<Reference>,
}

/// Reads the block of `steps`. A step that is malformed is left out.
pub(crate) fn read(node: &Node<'_>, only: Option<&Only>, into: &mut Steps, cx: &mut Cx<'_>) {
    for node in node.kids() {
        if node.name.text == "on-platform" {
            if only.is_none() {
                let platforms: Only = platforms::list(node, cx).into();
                read(node, Some(&platforms), into, cx);
            }
            continue;
        }
        one(node, only, into, cx);
    }
}

/// Reads the steps of an `on-platform` of an image, where settings stand beside them.
pub(crate) fn read_among_settings(node: &Node<'_>, only: &Only, into: &mut Steps, cx: &mut Cx<'_>) {
    const SETTINGS: [&str; 5] = ["arg", "env", "workdir", "user", "shell"];
    for node in node.kids().iter().filter(|node| !SETTINGS.contains(&node.name.text.as_ref())) {
        one(node, Some(only), into, cx);
    }
}

fn one(node: &Node<'_>, only: Option<&Only>, into: &mut Steps, cx: &mut Cx<'_>) {
    let Some(mut op) = step(node, cx) else { return };
    if let StepOp::Copy(copy) = &mut op
        && let Some(entry) = node.prop("from")
        && let Some(from) = reference::text(entry, cx)
    {
        copy.from = Some(into.copies.len());
        into.copies.push(from);
    }
    into.steps.push(Step { span: node.span, only: only.cloned(), op });
}

fn step(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<StepOp> {
    Some(match node.name.text.as_ref() {
        "copy" => StepOp::Copy(copy(node, cx)?),
        "add" => {
            let add = copy(node, cx)?;
            checksum_fits(&add, cx);
            StepOp::Add(add)
        }
        "file" => {
            let mut args = node.args();
            let (path, content) = (args.next()?, args.next()?);
            StepOp::File {
                path: cx.filled(path, "the path")?,
                content: cx.string(content)?,
                chown: prop(node, "chown", cx),
                mode: mode(node, cx),
            }
        }
        "mkdir" => StepOp::Mkdir {
            paths: some(cx.strings(node, "a path"))?,
            chown: prop(node, "chown", cx),
            mode: mode(node, cx),
        },
        "symlink" => {
            let mut args = node.args();
            let (target, path) = (args.next()?, args.next()?);
            let target = cx.filled(target, "the target of the link")?;
            StepOp::Symlink { target, path: cx.filled(path, "the path of the link")? }
        }
        "packages" => {
            let names = some(package::list(node, Form::Either, cx))?;
            let recommends = node.prop("recommends").map(|entry| &entry.value);
            let recommends = matches!(recommends, Some(Value::Bool(true)));
            StepOp::Packages { names, recommends }
        }
        "remove" => StepOp::Remove { paths: some(cx.strings(node, "a path"))? },
        "run" => StepOp::Run(Run { words: some(words(node, cx))?, network: network(node, cx) }),
        "env" => {
            let pairs = env(node, cx).into_iter().map(|(name, text, _)| (name, text)).collect();
            StepOp::Env { pairs: some(pairs)? }
        }
        "workdir" => StepOp::Workdir { path: first(node, "the working directory", cx)? },
        "user" => StepOp::User { user: first(node, "the user", cx)? },
        "shell" => StepOp::Shell { words: some(words(node, cx))? },
        "arg" => {
            let mut args = node.args();
            let name = arg_name(args.next()?, cx)?;
            StepOp::Arg { name, default: args.next().and_then(|entry| cx.string(entry)) }
        }
        _ => return None,
    })
}

/// The list unless it is empty.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn copy(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Copy> {
    node.args().nth(1)?;
    let mut sources = cx.strings(node, "a path");
    let dest = sources.pop()?;
    if sources.is_empty() {
        return None;
    }
    let chown = prop(node, "chown", cx);
    let mode = mode(node, cx);
    let checksum = node.prop("checksum").and_then(|entry| checksum(entry, cx));
    Some(Copy { sources, dest, from: None, chown, mode, checksum })
}

/// A digest of a fetched file.
fn checksum(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Text> {
    let text = cx.filled(entry, "the digest")?;
    let good = text.constant().is_none_or(|digest| {
        digest.strip_prefix("sha256:").is_some_and(|hex| is_hex(hex, 64))
            || digest.strip_prefix("sha512:").is_some_and(|hex| is_hex(hex, 128))
    });
    if good {
        return Some(text);
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::value",
            text.span,
            "this is not a digest",
            "not of the form sha256:…",
        )
        .help("write `sha256:` and 64 hex digits in lower case"),
    );
    None
}

/// Whether a text is a number of hex digits in lower case.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A digest says nothing of several files, or of files of the context.
fn checksum_fits(add: &Copy, cx: &mut Cx<'_>) {
    let Some(checksum) = &add.checksum else { return };
    let local = add.sources.iter().find(|source| {
        source.constant().is_some_and(|s| !s.starts_with("http://") && !s.starts_with("https://"))
    });
    let (place, label) = match (local, add.sources.get(1)) {
        (Some(local), _) => (local.span, "a file of the context"),
        (None, Some(second)) => (second.span, "a second source"),
        (None, None) => return,
    };
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::value",
            checksum.span,
            "a digest goes with one fetched file",
            "the digest",
        )
        .and(place, label)
        .help("write one `add` for each address, and none of these digests for local files"),
    );
}

/// `mode="0644"`
fn mode(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<u32> {
    let text = cx.constant(node.prop("mode")?, "`mode`")?;
    let digits = text.value.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let mode = u32::from_str_radix(&text.value, 8).ok().filter(|m| digits && *m <= 0o7777);
    if mode.is_none() {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::value",
                text.span,
                format!("`{}` is not a file mode", shown(&text.value)),
                "not an octal number up to 7777",
            )
            .help("write three or four octal digits: `mode=\"0644\"`"),
        );
    }
    mode
}

fn network(node: &Node<'_>, cx: &mut Cx<'_>) -> Network {
    let Some(entry) = node.prop("network") else { return Network::Default };
    let Some(text) = cx.constant(entry, "`network`") else { return Network::Default };
    match text.value.as_str() {
        "none" => Network::None,
        "default" => Network::Default,
        other => {
            cx.out.push(
                Diagnostic::error(
                    "mabuild::lang::value",
                    text.span,
                    format!("`{}` is not a network", shown(other)),
                    "not known",
                )
                .help("write `none` (loopback alone) or `default`"),
            );
            Network::Default
        }
    }
}

/// The name of a build argument.
pub(crate) fn arg_name(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<Arc<str>>> {
    let name = cx.constant(entry, "the name of an argument")?;
    let good = name.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        return Some(Spanned::new(name.value.into(), name.span));
    }
    cx.out.push(
        Diagnostic::error(
            "mabuild::lang::name",
            name.span,
            format!("`{}` cannot be the name of an argument", shown(&name.value)),
            "not a name",
        )
        .help("a name begins with a letter and has letters, digits and `_`: `arg \"VERSION\" \"1.2\"`"),
    );
    None
}
