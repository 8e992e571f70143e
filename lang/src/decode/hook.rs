//! `on`: what is called after a run.

use super::address;
use super::text::Cx;
use super::values::{one_of, says_nothing};
use crate::config::{Event, Hook};
use crate::diag::Diagnostic;
use crate::schema::EVENTS;
use crate::source::Spanned;
use crate::syntax::Node;

/// Reads one `on`; none when its event cannot be read.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Hook> {
    let event = node.args().next().and_then(|entry| one_of(entry, "an event", EVENTS, event, cx));
    let mut webhooks = Vec::new();
    for child in node.kids().iter().filter(|child| child.name.text == "webhook") {
        webhooks.extend(webhook(child, cx));
    }
    if says_nothing(node) {
        cx.out.push(
            Diagnostic::error(
                "mabuild::lang::missing",
                node.name.span,
                "nothing is called when this happens",
                "needs a `webhook`",
            )
            .help("write `webhook \"https://…\"` in its block, or remove it"),
        );
    }
    Some(Hook { event: event?.value, span: node.span, webhooks })
}

fn event(word: &str) -> Option<Event> {
    match word {
        "rebuilt" => Some(Event::Rebuilt),
        "failed" => Some(Event::Failed),
        "published" => Some(Event::Published),
        _ => None,
    }
}

fn webhook(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Spanned<String>> {
    let text = cx.constant(node.args().next()?, "the address of a webhook")?;
    match address::http(&text.value) {
        Ok(()) => Some(text),
        Err(wrong) => {
            // The address may hold a token out of the environment, which no log is to show.
            let message = "this is not an http(s) address";
            cx.out.push(wrong.at("mabuild::lang::value", text.span, message));
            None
        }
    }
}
