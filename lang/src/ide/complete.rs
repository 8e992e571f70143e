//! What may stand at a place.

use std::ops::Range;
use std::sync::Arc;

use super::marks::family;
use super::names::Top;
use super::tree::{self, Entry, Node};
use super::values::{Spot, item, open_braces};
use super::{File, World, hover, snippet};
use crate::schema::{FILE, Kind, Noun, Prop, Props, Role, Type};
use crate::syntax::lex::{Kind as Lexeme, Token};

/// What an offered text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionKind {
    /// A node.
    Node,
    /// A property of a node.
    Property,
    /// The name of a base, image, template, group or builder.
    Name,
    /// A platform.
    Platform,
    /// A word or value of the language.
    Word,
    /// A name that stands for a value between braces.
    Variable,
}

/// A text that may stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What to show.
    pub label: String,
    /// What it is.
    pub kind: CompletionKind,
    /// A few words beside the label.
    pub detail: String,
    /// Markdown; empty where there is no more to say.
    pub doc: String,
    /// What to write.
    pub insert: String,
    /// The same with places to jump to, in the language of editors' snippets.
    pub snippet: Option<String>,
}

/// What may stand at a place, the likeliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// What the chosen text replaces.
    pub replace: Range<u32>,
    /// What to choose from.
    pub items: Vec<Completion>,
    /// Whether there is more that begins otherwise.
    pub incomplete: bool,
}

impl World {
    /// What may stand at a place of a file, however broken the text is.
    pub fn complete(&self, path: &str, offset: u32) -> Completions {
        let Some(&at) = self.paths.get(path) else { return Completions::default() };
        let Some(file) = self.files.get(at) else { return Completions::default() };
        if file.text.get(..offset as usize).is_none() || file.tree.in_comment(offset) {
            return Completions::default();
        }
        let cursor = Cursor { world: self, at, file, offset };
        match file.tree.head_at(offset).and_then(|at| Some((at, file.tree.nodes.get(at)?))) {
            Some((at, node)) if offset <= node.name.end => {
                let bare = node.entries.is_empty() && node.block.is_none();
                cursor.nodes(node.parent, Some(at), node.name.start..node.name.end, bare)
            }
            Some((_, node)) => cursor.head(node),
            None => cursor.nodes(file.tree.block_at(offset), None, offset..offset, true),
        }
    }
}

/// A place in a file of a world.
pub(super) struct Cursor<'w> {
    pub world: &'w World,
    /// Index of the file.
    pub at: usize,
    pub file: &'w File,
    pub offset: u32,
}

impl Cursor<'_> {
    /// Nodes that may stand in a block, but for those that may stand once and do.
    fn nodes(
        &self,
        parent: Option<usize>,
        own: Option<usize>,
        replace: Range<u32>,
        whole: bool,
    ) -> Completions {
        let tree = &self.file.tree;
        let kind = match parent {
            None => Some(&FILE),
            Some(at) => tree.nodes.get(at).and_then(|node| node.kind),
        };
        let Some(kind) = kind else { return Completions::default() };
        let there: Vec<&Kind> = tree
            .children(parent)
            .filter(|(at, _)| Some(*at) != own)
            .filter_map(|(_, node)| node.kind)
            .collect();
        let free = |child: &&&Kind| {
            !child.once || !there.iter().any(|there| std::ptr::eq(*there, **child))
        };
        let item = |child: &&'static Kind| Completion {
            label: child.name.to_owned(),
            kind: CompletionKind::Node,
            detail: child.usage.to_owned(),
            doc: hover::of_kind(child),
            insert: child.name.to_owned(),
            snippet: whole.then(|| snippet::of_usage(child.usage)),
        };
        let items = kind.children().iter().filter(free).map(item).collect();
        Completions { replace, items, incomplete: false }
    }

    /// Within a line of a node, behind its name.
    fn head(&self, node: &Node) -> Completions {
        let Some(kind) = node.kind else { return Completions::default() };
        let offset = self.offset;
        let mut args = 0;
        for entry in &node.entries {
            let position = args;
            args += usize::from(entry.name.is_none());
            if offset <= entry.start() || offset > entry.end {
                continue;
            }
            let role = match entry.name {
                None => kind.args.role(position),
                Some(name) if offset <= name.end => {
                    let mut found = Completions::default();
                    self.properties(node, kind, entry, name.start..name.end, &mut found);
                    return found;
                }
                Some(name) => self.property(kind, name).map_or(Role::Plain, |prop| prop.role),
            };
            return self.entry(node, kind, entry, role);
        }
        // Two values need a space between them.
        let before = self.file.text.get(..offset as usize).unwrap_or_default();
        if !before.ends_with(|c: char| c.is_whitespace()) {
            return Completions::default();
        }
        let mut found = Completions { replace: offset..offset, ..Completions::default() };
        if kind.args.max.is_none_or(|max| args < max) {
            let args = node.args().take_while(|token| token.end <= offset).count();
            self.values(node, kind.args.role(args), &self.fresh(offset..offset), &mut found);
        }
        let nothing = Entry { name: None, value: None, end: offset };
        self.properties(node, kind, &nothing, offset..offset, &mut found);
        found
    }

    fn property(&self, kind: &Kind, name: Token) -> Option<&'static Prop> {
        kind.prop(&tree::value(&self.file.text, name)?)
    }

    /// Within a value, or where one is missing after `name=`.
    fn entry(&self, node: &Node, kind: &Kind, entry: &Entry, role: Role) -> Completions {
        let offset = self.offset;
        let mut found = Completions { replace: offset..offset, ..Completions::default() };
        if entry.value.is_some_and(|value| offset < value.start) {
            // Between a `=` and its value, which may stand further on.
            return found;
        }
        let quoted = match entry.value {
            Some(value) if matches!(value.kind, Lexeme::Word | Lexeme::Keyword) => {
                found.replace = value.start..value.end;
                None
            }
            value => value,
        };
        let Some(value) = quoted else {
            let spot = self.fresh(found.replace.clone());
            self.axis_values(node, entry, &spot, &mut found);
            self.values(node, role, &spot, &mut found);
            match entry.name {
                None => self.properties(node, kind, entry, spot.replace, &mut found),
                Some(name) => {
                    let boolean =
                        self.property(kind, name).is_some_and(|p| p.kind == Type::Boolean);
                    let words = ["#true", "#false"].iter().filter(|_| boolean);
                    found.items.extend(words.map(|word| item(CompletionKind::Word, word, &spot)));
                }
            }
            return found;
        };
        let inside = tree::inside(&self.file.text, value);
        if offset < inside.start || offset > inside.end {
            return Completions::default();
        }
        let typed = self.file.slice(&(inside.start..offset));
        if let Some(start) = open_braces(typed) {
            return self.variables(node, inside.start + start as u32, inside.end);
        }
        let open = value.kind == Lexeme::Unclosed;
        let spot = Spot {
            replace: inside.start..if open { offset } else { inside.end },
            typed: typed.to_owned(),
            before: "",
            after: if open { "\"" } else { "" },
        };
        found.replace = spot.replace.clone();
        self.axis_values(node, entry, &spot, &mut found);
        self.values(node, role, &spot, &mut found);
        found
    }

    /// Properties that the node does not have yet.
    fn properties(
        &self,
        node: &Node,
        kind: &Kind,
        own: &Entry,
        replace: Range<u32>,
        found: &mut Completions,
    ) {
        found.replace = replace;
        let named = own.name.is_some();
        let given: Vec<String> = node
            .entries
            .iter()
            .filter(|entry| entry.start() != own.start())
            .filter_map(|entry| tree::value(&self.file.text, entry.name?))
            .map(std::borrow::Cow::into_owned)
            .collect();
        let mut offer = |name: &str, kind: Type, detail: &str, doc: String| {
            if given.iter().any(|given| given == name) {
                return;
            }
            let value = if kind == Type::Text { "\"$1\"" } else { "$1" };
            found.items.push(Completion {
                label: name.to_owned(),
                kind: CompletionKind::Property,
                detail: detail.to_owned(),
                doc,
                insert: if named { name.to_owned() } else { format!("{name}=") },
                snippet: (!named).then(|| format!("{name}={value}")),
            });
        };
        for prop in kind.props() {
            offer(prop.name, prop.kind, prop.doc, hover::of_prop(kind, prop));
        }
        if matches!(kind.props, Props::Axes) {
            for axis in self.axes_named(node, kind) {
                offer(&axis, Type::Text, "axis", String::new());
            }
        }
    }

    /// The axes that the properties of a node can name.
    fn axes_named(&self, node: &Node, kind: &Kind) -> Vec<Arc<str>> {
        let world = self.world;
        let tops: Vec<Top> = match kind.args.role(0) {
            Role::Names(_) => {
                let named = node.args().next().and_then(|arg| tree::value(&self.file.text, arg));
                let declared =
                    world.declared(family(named.as_deref().unwrap_or_default()), &[Noun::Image]);
                declared.filter_map(|at| Some((at.file, world.mark(at)?.1.top))).collect()
            }
            _ => vec![(self.at, node.top)],
        };
        let axes = tops.into_iter().flat_map(|top| world.axes(top));
        axes.filter_map(|at| Some(world.mark(at)?.1.name.clone())).collect()
    }
}
