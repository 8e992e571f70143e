//! The names in one file: where they are declared and where they are used, by the roles that the
//! table of the schema gives to texts.

use std::ops::Range;
use std::sync::Arc;

use super::tree::{self, Node, Tree};
use crate::decode::dockerfile::NODE;
use crate::schema::{Children, Kind, Noun, Props, Role};
use crate::syntax::lex::{Kind as Lexeme, Token};
use crate::syntax::strings;

/// Most names of one file that are looked at.
const MAX_MARKS: usize = 1_000_000;
/// What a path that begins with [`NODE`] can name.
pub(super) const NODES: &[Noun] = &[Noun::Base, Noun::Image];

/// A name at its place, without quotes.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub range: Range<u32>,
    pub name: Arc<str>,
    pub what: What,
    /// The node that it stands in.
    pub node: usize,
    /// The top-level node that it stands in.
    pub top: usize,
    /// Written without quotes, so that another name may need them.
    pub bare: bool,
}

/// What a name does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// Makes the name.
    Declares(Noun),
    /// Names one of these.
    Names(&'static [Noun]),
    /// Stands between `{{` and `}}`.
    Interpolates,
    /// An axis of the node of this name.
    AxisOf(Arc<str>),
    /// An axis of the node that it stands in.
    OwnAxis,
}

/// The row of the axes, where a kind of node has axes for children.
pub(super) fn axis_row(parent: &Kind) -> Option<&'static Kind> {
    match parent.children {
        Children::Open(_, other) => Some(other),
        Children::None | Children::Known(_) => None,
    }
}

/// Whether a node declares an axis: it has no name of its own in the table.
pub(super) fn is_axis(tree: &Tree, node: &Node) -> bool {
    let parent = node.parent.and_then(|at| tree.nodes.get(at)).and_then(|parent| parent.kind);
    let row = parent.and_then(axis_row);
    row.zip(node.kind).is_some_and(|(row, kind)| std::ptr::eq(row, kind))
}

/// The name of the image in `NAME[…]`.
pub(super) fn family(name: &str) -> &str {
    name.split_once('[').map_or(name, |(name, _)| name)
}

/// All names of a file in the order of their nodes.
pub(super) fn of(text: &str, tree: &Tree) -> Vec<Mark> {
    let mut finder = Finder { text, found: Vec::new(), node: 0, top: 0 };
    for (at, node) in tree.nodes.iter().enumerate() {
        if finder.found.len() >= MAX_MARKS {
            break;
        }
        if node.dead {
            continue;
        }
        (finder.node, finder.top) = (at, node.top);
        if is_axis(tree, node) {
            finder.whole(node.name, What::Declares(Noun::Axis));
        }
        finder.node(node);
    }
    finder.found
}

/// The ranges of the names between `{{` and `}}` in a text, without the space around them.
pub(super) fn interpolations(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find("{{")) {
        let rest = text.get(at + open..).unwrap_or_default();
        if rest.starts_with("{{{{") {
            at += open + 4;
            continue;
        }
        let Some(close) = rest.find("}}") else { break };
        let inner = rest.get(2..close).unwrap_or_default();
        let start = at + open + 2 + (inner.len() - inner.trim_start().len());
        found.push(start..start + inner.trim().len());
        at += open + close + 2;
    }
    found
}

struct Finder<'s> {
    text: &'s str,
    found: Vec<Mark>,
    node: usize,
    top: usize,
}

impl Finder<'_> {
    fn push(&mut self, range: Range<u32>, what: What, bare: bool) {
        let name = self.text.get(range.start as usize..range.end as usize).unwrap_or_default();
        if !name.is_empty() {
            self.found.push(Mark {
                name: name.into(),
                range,
                what,
                node: self.node,
                top: self.top,
                bare,
            });
        }
    }

    fn node(&mut self, node: &Node) {
        let Some(kind) = node.kind else { return };
        // What the first argument names is what the axes beside it are of.
        let named = match kind.args.role(0) {
            Role::Names(_) => node.args().next().and_then(|token| tree::value(self.text, token)),
            _ => None,
        };
        let named: Option<Arc<str>> = named.map(|name| family(&name).into());
        let mut args = 0;
        for entry in &node.entries {
            let role = match entry.name {
                None => {
                    args += 1;
                    kind.args.role(args - 1)
                }
                Some(name) => {
                    if matches!(kind.props, Props::Axes) {
                        let axis = named.clone().map_or(What::OwnAxis, What::AxisOf);
                        self.whole(name, axis);
                    }
                    let word = tree::value(self.text, name);
                    word.and_then(|word| kind.prop(&word)).map_or(Role::Plain, |prop| prop.role)
                }
            };
            if let Some(value) = entry.value {
                self.value(value, role);
            }
        }
    }

    /// A token that is a name from its first character to its last.
    fn whole(&mut self, token: Token, what: What) {
        let range = tree::inside(self.text, token);
        let written = self.text.get(range.start as usize..range.end as usize);
        // A name with an escape in it cannot be renamed, and none has one.
        if token.kind != Lexeme::Unclosed && tree::value(self.text, token).as_deref() == written {
            self.push(range, what, token.kind == Lexeme::Word);
        }
    }

    fn value(&mut self, token: Token, role: Role) {
        let literal = tree::slice(self.text, token);
        if literal.contains("{{") {
            self.interpolated(token, literal);
            let known = literal.split("{{").next().unwrap_or_default();
            if let (Role::Names(nouns), true) = (role, known.contains('[')) {
                self.variant(tree::inside(self.text, token), nouns);
            }
            return;
        }
        match role {
            Role::Declares(noun) => self.whole(token, What::Declares(noun)),
            Role::Names(nouns) => match literal.find('[') {
                Some(_) => self.variant(tree::inside(self.text, token), nouns),
                None => self.whole(token, What::Names(nouns)),
            },
            Role::Path => {
                let range = tree::inside(self.text, token);
                let path = self.text.get(range.start as usize..range.end as usize);
                if path.is_some_and(|path| path.starts_with(NODE)) {
                    self.variant(range.start + NODE.len() as u32..range.end, NODES);
                }
            }
            _ => {}
        }
    }

    /// `NAME`, or `NAME[axis=value,axis=value]`.
    fn variant(&mut self, range: Range<u32>, nouns: &'static [Noun]) {
        let Some(text) = self.text.get(range.start as usize..range.end as usize) else { return };
        let Some((name, axes)) = text.split_once('[') else {
            self.push(range, What::Names(nouns), false);
            return;
        };
        let mut at = range.start + name.len() as u32;
        let of: Arc<str> = name.into();
        self.push(range.start..at, What::Names(nouns), false);
        for pair in axes.trim_end_matches(']').split(',') {
            at += 1;
            if let Some((axis, _)) = pair.split_once('=') {
                let space = (axis.len() - axis.trim_start().len()) as u32;
                let start = at + space;
                let end = start + axis.trim().len() as u32;
                if !axis.contains("{{") {
                    self.push(start..end, What::AxisOf(of.clone()), false);
                }
            }
            at += pair.len() as u32;
        }
    }

    fn interpolated(&mut self, token: Token, literal: &str) {
        let Some((text, map)) = strings::decode_mapped(literal, token.kind) else { return };
        for name in interpolations(&text) {
            let start = token.start + map.literal(name.start) as u32;
            let end = start + name.len() as u32;
            let written = self.text.get(start as usize..end as usize);
            if written.is_some() && written == text.get(name) {
                self.push(start..end, What::Interpolates, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<String> {
        let tree = Tree::of(text);
        let show = |mark: Mark| {
            let range = mark.range.start as usize..mark.range.end as usize;
            assert_eq!(&text[range], &*mark.name);
            match mark.what {
                What::Declares(noun) => format!("+{noun:?} {}", mark.name),
                What::Names(_) => format!("={}", mark.name),
                What::Interpolates => format!("{{{}}}", mark.name),
                What::AxisOf(of) => format!("{of}.{}", mark.name),
                What::OwnAxis => format!(".{}", mark.name),
            }
        };
        of(text, &tree).into_iter().map(show).collect()
    }

    #[test]
    fn every_role_is_found() {
        assert_eq!(
            marks(
                "let suite \"x\"\nimage \"a\" { matrix { py \"{{suite}}\"; exclude py=\"1\" }; from \"b\" py=\"{{ py }}\"; use t u }"
            ),
            [
                "+Let suite",
                "+Image a",
                "+Axis py",
                "{suite}",
                ".py",
                "=b",
                "b.py",
                "{py}",
                "=t",
                "=u"
            ]
        );
        assert_eq!(
            marks("image i { from \"py[a={{x}},{{y}}=1]\" b=c; named-context n \"node:q[d=1]\" }"),
            ["+Image i", "{x}", "{y}", "=py", "py.a", "py.b", "=q", "q.d"]
        );
        assert_eq!(
            marks(
                "group g { image \"py[py=3.12, suite=x]\" }\nimage i { named-context n \"node:b\" }"
            ),
            ["+Group g", "=py", "py.py", "py.suite", "+Image i", "=b"]
        );
    }

    #[test]
    fn places_are_right_behind_escapes_and_over_lines() {
        assert_eq!(marks("let a \"\\n\\u{1F600}{{b}}{{{{c}}\""), ["+Let a", "{b}"]);
        assert_eq!(marks("let a \"\"\"\n  é\n  {{b}}\n  \"\"\""), ["+Let a", "{b}"]);
        assert_eq!(marks("let a #\"{{b}}\"#"), ["+Let a", "{b}"]);
    }

    #[test]
    fn what_does_not_count_names_nothing() {
        assert!(marks("/- let a \"{{b}}\"\nlabel { from \"x\" }").is_empty());
        assert_eq!(marks("image \"a\" { from \"b\n }"), ["+Image a"]);
        assert_eq!(marks("let a \"{{\"\nlet b \"{{}}\""), ["+Let a", "+Let b"]);
    }
}
