//! Texts that name a node: `from`, `copy … from=`, members of groups.

use std::sync::Arc;

use super::text::Cx;
use crate::config::Text;
use crate::source::{Span, Spanned};
use crate::syntax::{Entry, Node};

/// A node that is named, before it is looked up.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// `NAME`, `NAME[axis=value,…]`, or a reference of a registry; may differ by variant.
    pub text: Text,
    /// Axes with their values, given as properties.
    pub picks: Vec<(Spanned<Arc<str>>, Text)>,
    /// Whether it may have such properties.
    pub is_from: bool,
    pub span: Span,
}

/// Reads the text of an entry as the name of a node.
pub(crate) fn text(entry: &Entry<'_>, cx: &mut Cx<'_>) -> Option<Reference> {
    let text = cx.of_variant(entry, "the name of a node")?;
    Some(Reference { span: text.span, text, picks: Vec::new(), is_from: false })
}

/// Reads `from "NAME" axis="value"`.
pub(crate) fn node(node: &Node<'_>, cx: &mut Cx<'_>) -> Option<Reference> {
    let mut reference = Reference { is_from: true, ..text(node.args().next()?, cx)? };
    for entry in &node.entries {
        if let Some(name) = &entry.name
            && let Some(value) = cx.of_variant(entry, "the value of an axis")
            && reference.picks.len() < 64
        {
            let name = Spanned::new(Arc::from(name.text.as_ref()), name.span);
            reference.picks.push((name, value));
        }
    }
    Some(reference)
}
