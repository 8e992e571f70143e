//! What hover and completion share: the value at a place, the children of a node by name, and
//! words for people.

use super::names::Top;
use super::tree::{self, Node, Tree};
use super::{File, World};
use crate::platform::Platform;
use crate::schema::{Kind, Noun, Role};
use crate::syntax::lex::Token;

/// Longest text of a file that is shown, in characters.
const MAX_SHOWN: usize = 120;

/// The value at a place of a node's head, and what it stands for.
pub(super) fn value_at(text: &str, node: &Node, kind: &Kind, offset: u32) -> Option<(Role, Token)> {
    let mut args = 0;
    for entry in &node.entries {
        let role = match entry.name {
            Some(name) => {
                let prop = tree::value(text, name).and_then(|name| kind.prop(&name));
                prop.map_or(Role::Plain, |prop| prop.role)
            }
            None => {
                args += 1;
                kind.args.role(args - 1)
            }
        };
        let value = entry.value.filter(|value| value.start <= offset && offset <= value.end);
        if let Some(value) = value {
            return Some((role, value));
        }
    }
    None
}

/// The children of a node that have a name.
pub(super) fn named<'t, 'n>(
    text: &'t str,
    tree: &'t Tree,
    parent: Option<usize>,
    name: &'n str,
) -> impl Iterator<Item = (usize, &'t Node)> + use<'t, 'n> {
    tree.children(parent)
        .filter(move |(_, node)| tree::value(text, node.name).is_some_and(|word| word == name))
}

/// The arguments of a node as texts.
pub(super) fn args(text: &str, node: &Node) -> Vec<String> {
    let values = node.args().filter_map(|token| tree::value(text, token));
    values.map(std::borrow::Cow::into_owned).collect()
}

/// A property of a node as a text.
pub(super) fn prop(text: &str, node: &Node, name: &str) -> Option<String> {
    let named = |entry: &&tree::Entry| {
        entry.name.is_some_and(|token| tree::value(text, token).is_some_and(|word| word == name))
    };
    let value = node.entries.iter().rev().find(named)?.value?;
    tree::value(text, value).map(std::borrow::Cow::into_owned)
}

/// A text of a file between backticks, shortened.
pub(super) fn code(text: &str) -> String {
    let short: String = text.chars().take(MAX_SHOWN).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    let plain = |c: char| if c == '`' || c.is_control() { ' ' } else { c };
    format!("`{}{more}`", short.chars().map(plain).collect::<String>())
}

/// Texts between backticks with commas between, the first few of them.
pub(super) fn codes(texts: &[String]) -> String {
    const MOST: usize = 12;
    let shown: Vec<String> = texts.iter().take(MOST).map(|text| code(text)).collect();
    match texts.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

impl World {
    /// The nearest child of a name: of the node itself, else of the templates that it uses.
    pub(super) fn setting(&self, top: Top, name: &str) -> Option<(&File, &Node)> {
        self.lineage(top).into_iter().find_map(|(file, top)| {
            let file = self.files.get(file)?;
            let node = named(&file.text, &file.tree, Some(top), name).next()?.1;
            Some((file.as_ref(), node))
        })
    }

    /// The platforms that a top-level node says it has, and whether they are the default.
    pub(super) fn platforms_of(&self, top: Top) -> (Vec<String>, bool) {
        let own = self.setting(top, "platforms");
        let listed = own.map(|(file, node)| args(&file.text, node)).unwrap_or_default();
        if !listed.is_empty() {
            return (listed, false);
        }
        let except = own.and_then(|(file, node)| prop(&file.text, node, "except"));
        let except: Vec<Platform> = except
            .iter()
            .flat_map(|list| list.split(','))
            .filter_map(|name| Platform::parse(name.trim()).ok())
            .collect();
        let mut default = self.default_platforms();
        default.retain(|name| Platform::parse(name).map_or(true, |p| !except.contains(&p)));
        (default, except.is_empty())
    }

    /// The platforms at the top of the files.
    fn default_platforms(&self) -> Vec<String> {
        let found = self.files.iter().find_map(|file| {
            let node = named(&file.text, &file.tree, None, "platforms").next()?.1;
            Some(args(&file.text, node))
        });
        found.unwrap_or_default()
    }

    /// Whether a top-level node is one that is built: interpolation knows its platform.
    pub(super) fn is_built(&self, top: Top) -> bool {
        [Noun::Base, Noun::Image, Noun::Template]
            .iter()
            .any(|noun| self.declares(top, *noun).is_some())
    }
}
