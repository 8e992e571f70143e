//! Values that may stand at a place: names, platforms, words, and what braces can hold.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::complete::{Completion, CompletionKind, Completions, Cursor};
use super::marks::NODES;
use super::tree::{self, Entry, Node};
use super::words::args;
use crate::decode::dockerfile::NODE;
use crate::platform::Platform;
use crate::schema::names::Source;
use crate::schema::{BUILTINS, Noun, Props, Role, is_from};

/// Most names that are offered at once; with more, an editor asks again as one types.
const MAX_ITEMS: usize = 500;
/// The empty image.
pub(super) const SCRATCH: &str = "scratch";

/// A value that is being written.
pub(super) struct Spot {
    /// What is replaced.
    pub replace: Range<u32>,
    /// What of it stands before the cursor.
    pub typed: String,
    /// Written before and after the text.
    pub before: &'static str,
    pub after: &'static str,
}

impl Spot {
    /// The part of the value that begins at a place.
    fn behind(&self, start: u32) -> Self {
        let replace = start..self.replace.end.max(start);
        // A word without quotes goes on without them.
        let after = if self.before.is_empty() { self.after } else { "" };
        Self { replace, typed: String::new(), before: "", after }
    }
}

impl Cursor<'_> {
    /// A place for a value that has no quotes yet.
    pub(super) fn fresh(&self, replace: Range<u32>) -> Spot {
        let typed = self.file.slice(&(replace.start..self.offset)).to_owned();
        Spot { replace, typed, before: "\"", after: "\"" }
    }

    /// Texts of a role.
    pub(super) fn values(&self, node: &Node, role: Role, spot: &Spot, found: &mut Completions) {
        match role {
            Role::Names(nouns) => match spot.typed.split_once('[') {
                Some((name, inside)) => self.variants(name, inside, spot, found),
                None => {
                    self.names(node, nouns, spot, found);
                    if node.kind.is_some_and(is_from)
                        && SCRATCH.contains(&*spot.typed.to_lowercase())
                    {
                        let detail = "the empty image".to_owned();
                        let scratch = item(CompletionKind::Word, SCRATCH, spot);
                        found.items.push(Completion { detail, ..scratch });
                    }
                }
            },
            Role::Path => {
                // What may stand behind `node:` is known; what paths there are is not.
                let Some(name) = spot.typed.strip_prefix(NODE) else { return };
                let start = spot.replace.start + NODE.len() as u32;
                let rest = Spot { typed: name.to_owned(), ..spot.behind(start) };
                found.replace = rest.replace.clone();
                self.values(node, Role::Names(NODES), &rest, found);
            }
            Role::OneOf(words) | Role::Suggests(words) => {
                let given = self.given(node);
                let words = words.iter().filter(|word| !given.iter().any(|given| given == *word));
                found.items.extend(words.map(|word| item(CompletionKind::Word, word, spot)));
            }
            Role::Platform => {
                let given = self.given(node);
                let free = Platform::known().filter(|name| !given.iter().any(|g| g == name));
                found.items.extend(free.map(|name| item(CompletionKind::Platform, name, spot)));
            }
            Role::Platforms => {
                // With commas between, only the part at the cursor is replaced.
                let last = spot.typed.rfind(',').map_or(0, |comma| comma + 1);
                let rest = self.file.slice(&(self.offset..spot.replace.end.max(self.offset)));
                let end = rest.find(',').unwrap_or(rest.len()) as u32;
                let first = spot.replace.start + last as u32;
                found.replace = first..self.offset.max(spot.replace.start) + end;
                let given: Vec<&str> = spot.typed.split(',').map(str::trim).collect();
                let free = Platform::known().filter(|name| !given.contains(name));
                found.items.extend(free.map(|name| item(CompletionKind::Platform, name, spot)));
            }
            _ => {}
        }
    }

    /// Other arguments of the node.
    fn given(&self, node: &Node) -> Vec<String> {
        let others =
            node.args().filter(|token| self.offset < token.start || token.end < self.offset);
        others
            .filter_map(|token| tree::value(&self.file.text, token))
            .map(std::borrow::Cow::into_owned)
            .collect()
    }

    fn names(&self, node: &Node, nouns: &'static [Noun], spot: &Spot, found: &mut Completions) {
        let top = (self.at, node.top);
        let own: Vec<Arc<str>> = nouns
            .iter()
            .filter_map(|noun| self.world.declares(top, *noun))
            .map(|mark| mark.name.clone())
            .collect();
        let typed = spot.typed.trim_start_matches('"').to_lowercase();
        for noun in nouns {
            for name in self.world.all_declared(&[*noun]) {
                if own.contains(&name) || !name.contains(&typed) {
                    continue;
                }
                if found.items.len() >= MAX_ITEMS {
                    found.incomplete = true;
                    return;
                }
                let detail = noun.word().to_owned();
                found.items.push(Completion { detail, ..item(CompletionKind::Name, &name, spot) });
            }
        }
    }

    /// What may stand in `NAME[…]`: the values of the axes, as `AXIS=VALUE`; behind `AXIS=` the
    /// values of that axis.
    fn variants(&self, name: &str, inside: &str, spot: &Spot, found: &mut Completions) {
        let part = inside.rsplit(',').next().unwrap_or_default();
        let (axis, value) = match part.split_once('=') {
            Some((axis, value)) => (Some(axis.trim()), value),
            None => (None, part),
        };
        let typed = value.trim_start().len() as u32;
        let rest = self.file.slice(&(self.offset..spot.replace.end.max(self.offset)));
        let more = rest.find([',', ']', '"']).unwrap_or(rest.len()) as u32;
        let start = self.offset.saturating_sub(typed);
        let spot = Spot { replace: start..self.offset + more, after: "", ..spot.behind(start) };
        found.replace = spot.replace.clone();
        let images = self.world.declared(name.trim_start_matches('"'), &[Noun::Image]);
        let tops = images.filter_map(|at| Some((at.file, self.world.mark(at)?.1.top)));
        for (file, mark) in tops
            .flat_map(|top| self.world.axes(top))
            .filter_map(|at| self.world.mark(at))
            .filter(|(_, mark)| axis.is_none_or(|axis| *axis == *mark.name))
        {
            let values = file.tree.nodes.get(mark.node).map(|node| args(&file.text, node));
            for value in values.unwrap_or_default().into_iter().take(MAX_ITEMS) {
                let text = match axis {
                    Some(_) => value,
                    None => format!("{}={value}", mark.name),
                };
                found.items.push(item(CompletionKind::Word, &text, &spot));
            }
        }
    }

    /// Values of the axis that a property names.
    pub(super) fn axis_values(
        &self,
        node: &Node,
        entry: &Entry,
        spot: &Spot,
        found: &mut Completions,
    ) {
        let axes = matches!(node.kind.map(|kind| kind.props), Some(Props::Axes));
        let Some(name) = entry.name.filter(|_| axes) else { return };
        let Some(path) = self.world.files.get(self.at).map(|file| &file.path) else { return };
        let Some(at) = self.world.at(path, name.start) else { return };
        for (file, mark) in self.world.targets(at).into_iter().filter_map(|at| self.world.mark(at))
        {
            let values = file.tree.nodes.get(mark.node).map(|node| args(&file.text, node));
            for value in values.unwrap_or_default().into_iter().take(MAX_ITEMS) {
                found.items.push(item(CompletionKind::Word, &value, spot));
            }
        }
    }

    /// Names between `{{` and `}}`.
    pub(super) fn variables(&self, node: &Node, start: u32, limit: u32) -> Completions {
        let world = self.world;
        let top = (self.at, node.top);
        let rest = self.file.slice(&(self.offset..limit));
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let more = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
        let closed = rest.get(more..).is_some_and(|rest| rest.trim_start().starts_with("}}"));
        let spot = Spot {
            replace: start..self.offset + more as u32,
            typed: String::new(),
            before: "",
            after: if closed { "" } else { "}}" },
        };
        let mut found = Completions { replace: spot.replace.clone(), ..Completions::default() };
        let mut offer = |name: &str, detail: &str| {
            if found.items.len() < MAX_ITEMS {
                let item = item(CompletionKind::Variable, name, &spot);
                found.items.push(Completion { detail: detail.to_owned(), ..item });
            } else {
                found.incomplete = true;
            }
        };
        let axes = world.users(top).into_iter().flat_map(|top| world.axes(top));
        let axes: BTreeSet<Arc<str>> =
            axes.filter_map(|at| Some(world.mark(at)?.1.name.clone())).collect();
        axes.iter().for_each(|name| offer(name, "axis"));
        let lets = world.all_declared(&[Noun::Let]);
        lets.iter().filter(|name| !axes.contains(*name)).for_each(|name| offer(name, "let"));
        let built = world.is_built(top);
        let version = world.version(top).is_some();
        let known = |source: Source| match source {
            Source::Version => built && version,
            Source::Platform(_) | Source::Node => built,
            Source::Git(_) | Source::Date => true,
        };
        let builtins = BUILTINS.iter().filter(|builtin| known(builtin.source));
        builtins.for_each(|builtin| offer(builtin.name, builtin.doc));
        found
    }
}

/// A text at a spot.
pub(super) fn item(kind: CompletionKind, text: &str, spot: &Spot) -> Completion {
    Completion {
        label: text.to_owned(),
        kind,
        detail: String::new(),
        doc: String::new(),
        insert: format!("{}{text}{}", spot.before, spot.after),
        snippet: None,
    }
}

/// Where the name begins in a text that ends between `{{` and `}}`.
pub(super) fn open_braces(typed: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let open = at + typed.get(at..)?.find("{{")?;
        let rest = typed.get(open..)?;
        at = match rest.find("}}") {
            _ if rest.starts_with("{{{{") => open + 4,
            Some(close) => open + close + 2,
            None => {
                let name = rest.get(2..)?;
                return Some(open + 2 + name.len() - name.trim_start().len());
            }
        };
    }
}
