//! The table of functions: what they are called, what they take, what they mean.

use super::walk::{Between, Walk};

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is written, `deps(X[, N])`.
    pub usage: &'static str,
    /// What it gives, a phrase.
    pub doc: &'static str,
    /// What it takes, in order.
    pub(super) takes: &'static [Parameter],
    /// How many of these must be given.
    pub(super) least: usize,
    /// What it does.
    pub(super) does: Does,
}

/// What a function takes at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// An expression.
    Set,
    /// A number of steps.
    Depth,
    /// A platform or a glob of platforms.
    Platform,
    /// `base` or `image`.
    Kind,
    /// A tag or a glob of tags.
    Tag,
    /// Name of a group.
    Group,
}

/// What a function does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// All nodes.
    All,
    /// Nodes that a rebuild would not keep.
    Stale,
    /// Nodes that meet the condition in its argument.
    Ask,
    /// Walks the graph from a set.
    Walk(Walk),
    /// Walks the graph between two sets.
    Between(Between),
}

/// All functions.
#[rustfmt::skip]
pub const FUNCTIONS: &[Function] = &[
    Function { name: "deps", usage: "deps(X[, N])", takes: &[Parameter::Set, Parameter::Depth], least: 1, does: Does::Walk(Walk::Needs),
        doc: "X and all that it needs, or at most N steps of it" },
    Function { name: "rdeps", usage: "rdeps(X[, N])", takes: &[Parameter::Set, Parameter::Depth], least: 1, does: Does::Walk(Walk::NeededBy),
        doc: "X and all that needs it, or at most N steps of it" },
    Function { name: "direct", usage: "direct(X)", takes: &[Parameter::Set], least: 1, does: Does::Walk(Walk::Direct),
        doc: "what X needs without anything between" },
    Function { name: "base", usage: "base(X)", takes: &[Parameter::Set], least: 1, does: Does::Walk(Walk::Bases),
        doc: "the bases that X stands on: `from` alone, not what is copied" },
    Function { name: "allpaths", usage: "allpaths(X, Y)", takes: &[Parameter::Set, Parameter::Set], least: 2, does: Does::Between(Between::AllPaths),
        doc: "all nodes on all ways between X and Y, ends included" },
    Function { name: "somepath", usage: "somepath(X, Y)", takes: &[Parameter::Set, Parameter::Set], least: 2, does: Does::Between(Between::SomePath),
        doc: "the nodes on one shortest way between X and Y" },
    Function { name: "roots", usage: "roots([X])", takes: &[Parameter::Set], least: 0, does: Does::Walk(Walk::Roots),
        doc: "nodes of X that need no other of X; of all nodes without X" },
    Function { name: "leaves", usage: "leaves([X])", takes: &[Parameter::Set], least: 0, does: Does::Walk(Walk::Leaves),
        doc: "nodes of X that no other of X needs; of all nodes without X" },
    Function { name: "platform", usage: "platform(P)", takes: &[Parameter::Platform], least: 1, does: Does::Ask,
        doc: "nodes of a platform: `linux/arm64`, or a glob such as `*/arm*`" },
    Function { name: "kind", usage: "kind(base|image)", takes: &[Parameter::Kind], least: 1, does: Does::Ask,
        doc: "nodes of bases, or of images" },
    Function { name: "tag", usage: "tag(T)", takes: &[Parameter::Tag], least: 1, does: Does::Ask,
        doc: "nodes of what has a tag that is T, or that the glob T matches" },
    Function { name: "group", usage: "group(G)", takes: &[Parameter::Group], least: 1, does: Does::Ask,
        doc: "nodes of the members of a group" },
    Function { name: "stale", usage: "stale()", takes: &[], least: 0, does: Does::Stale,
        doc: "nodes that a rebuild would not keep as they are" },
    Function { name: "all", usage: "all()", takes: &[], least: 0, does: Does::All,
        doc: "all nodes" },
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}
