//! Values that several nouns share: words of a list, names that must be unique, paths.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::check::{range, shown};
use super::text::Cx;
use crate::config::{Located, Text};
use crate::diag::Diagnostic;
use crate::source::{Span, Spanned};
use crate::suggest::did_you_mean;
use crate::syntax::{Entry, Node, Value};

/// Reads one word of a list; `what` is one of them, "a mode", and `of` gives its meaning.
pub(super) fn one_of<T>(
    entry: &Entry<'_>,
    what: &str,
    words: &'static [&'static str],
    of: fn(&str) -> Option<T>,
    cx: &mut Cx<'_>,
) -> Option<Spanned<T>> {
    let text = cx.constant(entry, what)?;
    if let Some(value) = of(&text.value) {
        return Some(Spanned::new(value, text.span));
    }
    let help = match (did_you_mean(&text.value, words.iter().copied()), words) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, [only]) => format!("write `{only}`"),
        (None, _) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("write one of {}", words.join(", "))
        }
    };
    let message = format!("`{}` is not {what}", shown(&text.value));
    let error = Diagnostic::error("mabuild::lang::value", text.span, message, "not known");
    cx.out.push(error.help(help));
    None
}

/// A name that has to be the same everywhere, and is written where others read it: in one line.
pub(super) fn label(entry: &Entry<'_>, what: &str, cx: &mut Cx<'_>) -> Option<Spanned<Arc<str>>> {
    let name = cx.constant(entry, what)?;
    if name.value.contains(char::is_control) || name.value.trim() != name.value {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::name",
                name.span,
                format!("{what} is one line of text"),
                "has control characters, or space at an end",
            )
            .help("write some words on one line"),
        );
        return None;
    }
    Some(Spanned::new(name.value.into(), name.span))
}

/// What to do about two things of the same name.
pub(super) const RENAME: &str = "keep one of them, or give one another name";
/// What to do about the same thing twice.
pub(super) const KEEP: &str = "keep one of them";

/// Reports what stands twice in one node; `what` is the thing that has the name, "test".
pub(super) fn unique<'n>(
    names: impl Iterator<Item = (&'n str, Span)>,
    what: &str,
    help: &str,
    out: &mut Vec<Diagnostic>,
) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for (name, span) in names {
        let Some(first) = seen.get(name) else {
            seen.insert(name, span);
            continue;
        };
        out.push(
            Diagnostic::error(
                "mabuild::lang::duplicate",
                span,
                format!("the {what} `{}` stands here twice", shown(name)),
                "again here",
            )
            .and(*first, "first here")
            .help(help),
        );
    }
}

/// The text that a property gives.
pub(super) fn prop(node: &Node<'_>, name: &str, cx: &mut Cx<'_>) -> Option<Text> {
    node.prop(name).and_then(|entry| cx.filled(entry, &format!("`{name}`")))
}

/// A path of the file that is read.
pub(super) fn located(entry: &Entry<'_>, what: &str, cx: &mut Cx<'_>) -> Option<Located> {
    let text = cx.filled(entry, what)?;
    Some(Located { folder: cx.folder.clone(), text })
}

/// The path of a certificate or a key, which is the same for whatever is built.
pub(super) fn pem(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Located> {
    let path = cx.constant(entry, "the path of a certificate or a key")?;
    Some(Located { folder: cx.folder.clone(), text: Text::literal(path.value, path.span) })
}

/// The integer of a property that has to lie in a range. A value of another type is reported
/// elsewhere.
pub(super) fn integer(
    node: &Node<'_>,
    name: &str,
    allowed: RangeInclusive<i32>,
    cx: &mut Cx<'_>,
) -> Option<i32> {
    bounded(node.prop(name)?, (name, "="), allowed, cx)
}

/// The same for the one argument of a node.
pub(super) fn number(
    node: &Node<'_>,
    allowed: RangeInclusive<i32>,
    cx: &mut Cx<'_>,
) -> Option<i32> {
    bounded(node.args().next()?, (&node.name.text, " "), allowed, cx)
}

/// An integer in a range; `name` is what it is of, with what stands between the two.
fn bounded(
    entry: &Entry<'_>,
    (name, gap): (&str, &str),
    allowed: RangeInclusive<i32>,
    cx: &mut Cx<'_>,
) -> Option<i32> {
    let Value::Integer(number) = entry.value else { return None };
    let small = i32::try_from(number).ok().filter(|number| allowed.contains(number));
    if small.is_none() {
        let (first, last) = (allowed.start(), allowed.end());
        let help = if number > i128::from(*last) {
            format!("write `{name}{gap}{last}` at most")
        } else {
            format!("write `{name}{gap}{first}` at least")
        };
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::value",
                entry.value_span,
                format!("`{name}` is a number from {first} to {last}"),
                "out of these bounds",
            )
            .help(help),
        );
    }
    small
}

/// Whether a node has neither a block nor properties. What it has of these is right, or was
/// reported as unknown.
pub(super) fn says_nothing(node: &Node<'_>) -> bool {
    node.kids().is_empty() && node.entries.iter().all(|entry| entry.name.is_none())
}

/// The place of a range of bytes of a text in the literal it came from; the whole literal where
/// the two differ.
pub(super) fn part_of(text: &Spanned<String>, part: Range<usize>, cx: &Cx<'_>) -> Span {
    let literal = cx.text.get(range(text.span)).unwrap_or_default();
    let quoted = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if quoted.unwrap_or(literal) != text.value {
        return text.span;
    }
    let start = text.span.start + u32::from(quoted.is_some());
    // A file is smaller than what these can hold.
    Span { start: start + part.start as u32, end: start + part.end as u32, ..text.span }
}
