//! The one form that a reason has in every JSON document.

use mabuild_lang::source::SourceMap;
use serde::Serialize;

use super::words;
use crate::graph::Graph;
use crate::key::Change;
use crate::plan::Reason;

/// A reason in JSON documents.
#[derive(Default, Serialize)]
pub(super) struct ReasonDocument<'a> {
    /// One of the words of [`words::reason`].
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeDocument<'a>>>,
    /// The node that this one waits for or that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// `path:line:column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blames_upstream: Option<bool>,
}

#[derive(Serialize)]
struct ChangeDocument<'a> {
    field: &'a str,
    before: Option<&'a str>,
    now: Option<&'a str>,
}

/// The reason of a node, with places as `path:line:column`.
pub(super) fn reason_document<'a>(
    graph: &Graph,
    reason: &'a Reason,
    sources: &SourceMap,
) -> ReasonDocument<'a> {
    let mut document = ReasonDocument { kind: words::reason(reason), ..Default::default() };
    match reason {
        Reason::Changed(changes) => {
            let change = |c: &'a Change| ChangeDocument {
                field: &c.field,
                before: c.before.as_deref(),
                now: c.now.as_deref(),
            };
            document.changes = Some(changes.iter().map(change).collect());
        }
        Reason::Waits(node) | Reason::Below(node) => document.node = Some(graph.name(*node)),
        Reason::Unknowable { message, span, blames_upstream } => {
            document.message = Some(message);
            document.place = span.map(|span| sources.place(span));
            document.blames_upstream = Some(*blames_upstream);
        }
        _ => {}
    }
    document
}
