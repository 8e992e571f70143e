//! The one table of what may stand in a file: nodes, their arguments, properties and children,
//! each with a line of documentation. From it come the checks of [`crate::load`], suggestions, the
//! reference, the description as JSON, the layout of `fmt`, and what an editor offers. It decodes
//! nothing itself.

mod base;
mod builder;
mod file;
mod image;
pub(crate) mod names;
mod node;
mod registry;
mod steps;

pub(crate) use base::{FOLLOWED, TRIMS, VARIANTS};
pub(crate) use file::EVENTS;
pub use file::FILE;
pub(crate) use image::{MODES, WATCHED, WATCHED_ONLY, is_dockerfile, is_from};
pub use names::{BUILTINS, Builtin};
pub(crate) use node::{FORMATS, LATENESS};

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// `#true` or `#false`.
    Boolean,
    /// A string, a number or a boolean.
    Any,
}

/// What a text stands for, beyond being a text: an editor completes, follows and renames by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing but itself.
    Plain,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, or another text.
    Suggests(&'static [&'static str]),
    /// Makes a name.
    Declares(Noun),
    /// Names something that is declared elsewhere.
    Names(&'static [Noun]),
    /// A platform, `linux/arm/v7`.
    Platform,
    /// Several platforms, with commas between.
    Platforms,
    /// A path of a file or folder, relative to the folder of the file it is written in.
    Path,
    /// A pattern for other files of the description.
    Include,
    /// A span of time: `30s`, `10m`, `12h`, `3d`.
    Duration,
    /// Permission bits in octal.
    Mode,
}

/// What can have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Noun {
    /// `base`
    Base,
    /// `image`
    Image,
    /// `group`
    Group,
    /// `template`
    Template,
    /// `builder`
    Builder,
    /// `let`
    Let,
    /// A child of `matrix`.
    Axis,
}

impl Noun {
    /// The word for it in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Image => "image",
            Self::Group => "group",
            Self::Template => "template",
            Self::Builder => "builder",
            Self::Let => "let",
            Self::Axis => "axis",
        }
    }
}

/// Arguments of a node.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    /// Fewest.
    pub min: usize,
    /// Most; none for any number.
    pub max: Option<usize>,
    /// Type of each.
    pub kind: Type,
    /// What they are, for messages: "a name".
    pub what: &'static str,
    /// What each of them stands for; the last is that of all that follow.
    pub roles: &'static [Role],
}

/// A property of a node.
#[derive(Clone, Copy, Debug)]
pub struct Prop {
    /// Name.
    pub name: &'static str,
    /// Type of its value.
    pub kind: Type,
    /// What its value stands for.
    pub role: Role,
    /// One line for people.
    pub doc: &'static str,
}

/// The properties of a node.
#[derive(Clone, Copy, Debug)]
pub enum Props {
    /// These alone.
    Known(&'static [Prop]),
    /// Any name with a text: `env A="1"`.
    Free,
    /// The axes of a matrix: `from "python" python="3.12"`.
    Axes,
}

/// Where the children of a node come from.
#[derive(Clone, Copy, Debug)]
pub enum Children {
    /// No block.
    None,
    /// These nodes.
    Known(&'static [&'static Kind]),
    /// These nodes, and any other name as a node of the second kind.
    Open(&'static [&'static Kind], &'static Kind),
}

/// What happens where a template and the image that uses it both have a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The image's counts, and those of the template do not.
    Replace,
    /// Both count, the template's first.
    Join,
}

/// A kind of node.
#[derive(Debug)]
pub struct Kind {
    /// Name.
    pub name: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// How it is written, for help lines.
    pub usage: &'static str,
    /// Arguments.
    pub args: Args,
    /// Properties.
    pub props: Props,
    /// Children.
    pub children: Children,
    /// Whether it may stand but once in its parent.
    pub once: bool,
    /// What a template's means beside the image's own.
    pub merge: Merge,
}

const NO_ARGS: Args =
    Args { min: 0, max: Some(0), kind: Type::Text, what: "no value", roles: &[Role::Plain] };

const fn exactly(count: usize, what: &'static str) -> Args {
    Args { min: count, max: Some(count), ..at_least(0, what) }
}

const fn between(min: usize, max: usize, what: &'static str) -> Args {
    Args { max: Some(max), ..at_least(min, what) }
}

const fn at_least(min: usize, what: &'static str) -> Args {
    Args { min, max: None, kind: Type::Text, what, roles: &[Role::Plain] }
}

impl Args {
    /// The same, with what they stand for.
    const fn of(self, roles: &'static [Role]) -> Self {
        Self { roles, ..self }
    }

    /// What an argument stands for, counted from zero.
    pub fn role(&self, at: usize) -> Role {
        self.roles.get(at).or(self.roles.last()).copied().unwrap_or(Role::Plain)
    }
}

const fn prop(name: &'static str, doc: &'static str) -> Prop {
    Prop { name, kind: Type::Text, role: Role::Plain, doc }
}

impl Prop {
    const fn of(self, role: Role) -> Self {
        Self { role, ..self }
    }

    const fn typed(self, kind: Type) -> Self {
        Self { kind, ..self }
    }
}

/// A node without properties and children that may be repeated.
const fn leaf(name: &'static str, usage: &'static str, args: Args, doc: &'static str) -> Kind {
    Kind {
        name,
        doc,
        usage,
        args,
        props: Props::Known(&[]),
        children: Children::None,
        once: false,
        merge: Merge::Join,
    }
}

/// The same, at most once in its parent.
const fn single(name: &'static str, usage: &'static str, args: Args, doc: &'static str) -> Kind {
    Kind { once: true, merge: Merge::Replace, ..leaf(name, usage, args, doc) }
}

/// A copy of a row, to change a part of.
const fn shared(kind: &Kind) -> Kind {
    Kind {
        name: kind.name,
        doc: kind.doc,
        usage: kind.usage,
        args: kind.args,
        props: kind.props,
        children: kind.children,
        once: kind.once,
        merge: kind.merge,
    }
}

impl Kind {
    /// Kinds that may stand in its block under a name of their own.
    pub fn children(&self) -> &'static [&'static Kind] {
        match self.children {
            Children::None => &[],
            Children::Known(kinds) | Children::Open(kinds, _) => kinds,
        }
    }

    /// The kind of a child by its name.
    pub fn child(&self, name: &str) -> Option<&'static Kind> {
        let own = self.children().iter().copied().find(|kind| kind.name == name);
        match self.children {
            Children::Open(_, other) => own.or(Some(other)),
            _ => own,
        }
    }

    /// The properties that have a name of their own.
    pub fn props(&self) -> &'static [Prop] {
        match self.props {
            Props::Known(props) => props,
            Props::Free | Props::Axes => &[],
        }
    }

    /// A property by its name.
    pub fn prop(&self, name: &str) -> Option<&'static Prop> {
        self.props().iter().find(|prop| prop.name == name)
    }
}

/// Whether a word names a node that can only stand at the top of a file.
pub(crate) fn starts_node(word: &str) -> bool {
    matches!(
        word,
        "mabuild" | "let" | "base" | "image" | "group" | "template" | "builder" | "strict-bases"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kinds, each once, with the way to it.
    fn all() -> Vec<(String, &'static Kind)> {
        let mut found: Vec<(String, &'static Kind)> = Vec::new();
        let mut open = vec![(String::new(), &FILE)];
        while let Some((way, kind)) = open.pop() {
            if found.iter().any(|(_, known)| std::ptr::eq(*known, kind)) {
                continue;
            }
            let other = match kind.children {
                Children::Open(_, other) => Some(other),
                _ => None,
            };
            let children = kind.children().iter().copied().chain(other);
            open.extend(children.map(|child| (format!("{way}/{}", child.name), child)));
            found.push((way, kind));
        }
        found
    }

    #[test]
    fn every_row_says_what_it_is_and_how_it_is_written() {
        for (way, kind) in all() {
            let last = |doc: &str| doc.ends_with('.');
            assert!(last(kind.doc), "{way}: {}", kind.doc);
            assert!(way.is_empty() || kind.usage.starts_with(kind.name), "{way}: {}", kind.usage);
            for prop in kind.props() {
                assert!(!prop.doc.is_empty(), "{way} {}", prop.name);
            }
            for pair in kind.children().iter().map(|k| k.name).collect::<Vec<_>>().windows(2) {
                assert_ne!(pair[0], pair[1], "{way}");
            }
        }
    }

    #[test]
    fn what_may_stand_once_replaces() {
        for (way, kind) in all().into_iter().filter(|(_, kind)| kind.once) {
            // The steps of a template come before those of the image.
            let wanted = if kind.name == "steps" { Merge::Join } else { Merge::Replace };
            assert_eq!(kind.merge, wanted, "{way}");
        }
    }
}
