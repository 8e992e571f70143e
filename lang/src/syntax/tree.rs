//! The tree of a text: nodes, entries and values with their places.

use std::borrow::Cow;

use crate::source::Span;

/// A word with its place: the name of a node or a property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word<'s> {
    pub text: Cow<'s, str>,
    pub span: Span,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node<'s> {
    pub name: Word<'s>,
    /// Place of a type annotation, `(type)`.
    pub annotation: Option<Span>,
    /// Arguments and properties in the order written.
    pub entries: Vec<Entry<'s>>,
    /// None without a `{ }` block.
    pub children: Option<Vec<Node<'s>>>,
    /// From the name (or its annotation) to the last value or the closing brace.
    pub span: Span,
}

/// An argument or a property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry<'s> {
    /// None for an argument.
    pub name: Option<Word<'s>>,
    pub annotation: Option<Span>,
    pub value: Value<'s>,
    /// The value as written, quotes included.
    pub value_span: Span,
    /// The whole entry.
    pub span: Span,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'s> {
    String(Cow<'s, str>),
    Integer(i128),
    Float(f64),
    Bool(bool),
    Null,
}

/// A top-level node that could not be read: what its head promises, so that others that name it
/// are not reported on top.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Broken {
    pub kind: Option<String>,
    pub name: Option<String>,
}

/// A whole text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Document<'s> {
    pub nodes: Vec<Node<'s>>,
    pub broken: Vec<Broken>,
}

impl<'s> Node<'s> {
    /// Arguments without the properties.
    pub fn args(&self) -> impl Iterator<Item = &Entry<'s>> {
        self.entries.iter().filter(|entry| entry.name.is_none())
    }

    /// The last property of a name, as KDL has it.
    pub fn prop(&self, name: &str) -> Option<&Entry<'s>> {
        self.entries.iter().rev().find(|e| e.name.as_ref().is_some_and(|n| n.text == name))
    }

    /// Children, none without a block.
    pub fn kids(&self) -> &[Node<'s>] {
        self.children.as_deref().unwrap_or_default()
    }
}
