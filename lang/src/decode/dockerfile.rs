//! `dockerfile`, `named-context` and `mode`: images built from a Dockerfile.

use super::check::shown;
use super::text::Cx;
use super::values::{RENAME, located, one_of, unique};
use crate::config::{ContextSource, Dockerfile, Located, Mode, NamedContext, Part, Text};
use crate::diag::{Diagnostic, Wrong};
use crate::reference;
use crate::schema::MODES;
use crate::source::Spanned;
use crate::syntax::{Entry, Node};

/// What is put before the name of a base or an image.
pub(crate) const NODE: &str = "node:";
/// What is put before a reference.
const IMAGE: &str = "docker-image://";

/// Reads `dockerfile`.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Dockerfile> {
    let path = located(node.args().next()?, "the path of the Dockerfile", cx)?;
    Some(Dockerfile { span: node.span, path })
}

/// Reads `mode`; the default when it cannot be read.
pub(crate) fn mode(node: &Node<'_>, cx: &mut Cx<'_>) -> Mode {
    let of = |word: &str| match word {
        "auto" => Some(Mode::Auto),
        "emulate" => Some(Mode::Emulate),
        "cross" => Some(Mode::Cross),
        "native" => Some(Mode::Native),
        _ => None,
    };
    let mode = node.args().next().and_then(|entry| one_of(entry, "a mode", MODES, of, cx));
    mode.map(|mode| mode.value).unwrap_or_default()
}

/// Reads one `named-context`; none when its name or its source cannot be read.
pub(crate) fn named_context(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<NamedContext> {
    let mut args = node.args();
    let name = args.next().and_then(|entry| context_name(entry, cx));
    let source = args.next().and_then(|entry| source(entry, cx));
    Some(NamedContext { name: name?, span: node.span, source: source? })
}

/// Reports names that two contexts of one image have.
pub(crate) fn duplicates(contexts: &[NamedContext], cx: &mut Cx<'_>) {
    let names = contexts.iter().map(|context| (context.name.value.as_ref(), context.name.span));
    unique(names, "named context", RENAME, &mut cx.out);
}

/// A name as it can stand in FROM and COPY --from.
fn context_name(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Spanned<std::sync::Arc<str>>> {
    let name = cx.constant(entry, "the name of a context")?;
    if name.value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::name",
                name.span,
                format!("`{}` cannot be the name of a context", shown(&name.value)),
                "has a space",
            )
            .help("a Dockerfile names it in FROM or COPY --from: write one word, `src`"),
        );
        return None;
    }
    Some(Spanned::new(name.value.into(), name.span))
}

fn source(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<ContextSource> {
    let text = cx.filled(entry, "the source of a context")?;
    let message = |what| format!("`{}` is not {what}", shown(text.constant().unwrap_or_default()));
    let (wrong, message, source) = if let Some(name) = after(&text, NODE) {
        (name.constant().and_then(node_wrong), message("a node"), ContextSource::Node(name))
    } else if let Some(image) = after(&text, IMAGE) {
        let wrong = image.constant().and_then(|text| reference::parse(text).err());
        (wrong, message("an image"), ContextSource::Image(image))
    } else {
        let (wrong, message) = (text.constant().and_then(folder_wrong), message("a folder"));
        (wrong, message, ContextSource::Folder(Located { folder: cx.folder.clone(), text }))
    };
    let Some(wrong) = wrong else { return Some(source) };
    cx.out.push(wrong.at("mabuild::lang::value", entry.value_span, message));
    None
}

/// The rest of a text that begins with a prefix.
fn after(text: &Text, prefix: &str) -> Option<Text> {
    let (Part::Literal(first), parts) = text.parts.split_first()? else { return None };
    let rest = first.strip_prefix(prefix)?;
    let rest = (!rest.is_empty()).then(|| Part::Literal(rest.to_owned()));
    Some(Text { parts: rest.into_iter().chain(parts.iter().cloned()).collect(), span: text.span })
}

/// Names that nothing has are reported where all names are known.
fn node_wrong(name: &str) -> Option<Wrong> {
    let help = "write the name of a base or an image after `node:`";
    name.is_empty().then(|| Wrong::new("names nothing", help))
}

fn folder_wrong(text: &str) -> Option<Wrong> {
    if let Some(rest) = text.strip_prefix("docker-image:") {
        let help = format!("write `{IMAGE}{}`", shown(rest.trim_start_matches('/')));
        return Some(Wrong::new("lacks a `/`", help));
    }
    let help = "write a folder, `node:NAME` for a base or an image, or `docker-image://REFERENCE`";
    text.contains("://").then(|| Wrong::new("not a form that is known", help))
}
