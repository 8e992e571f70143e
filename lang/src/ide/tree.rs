//! A tree that every text has: half-typed nodes, open quotes and missing braces included. What
//! can be read as a node is one; nothing is reported here, that is for [`crate::load`].

use std::borrow::Cow;
use std::ops::Range;

use crate::schema::{self, Kind};
use crate::syntax::lex::{self, Kind as Lexeme, Token};
use crate::syntax::strings;

/// Most nodes of one file that are looked at; no file that people edit has as many.
const MAX_NODES: usize = 500_000;
/// Most values of one node that are looked at.
const MAX_ENTRIES: usize = 100_000;

/// The nodes of a text in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    /// Comments, for the places where nothing is to be offered and for folding.
    pub comments: Vec<Token>,
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub parent: Option<usize>,
    /// The top-level node that it is in, or that it is.
    pub top: usize,
    pub name: Token,
    /// What may stand in it; none for a node that the table does not know.
    pub kind: Option<&'static Kind>,
    pub entries: Vec<Entry>,
    /// Where its line, or its part of a line, ends: at a line end, `;`, `{`, `}` or comment.
    pub head_end: u32,
    pub block: Option<Block>,
    /// First byte after all of it.
    pub end: u32,
    /// Index after its last descendant.
    pub after: usize,
    /// Taken away by a `/-`.
    pub dead: bool,
}

/// What stands between the braces of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub start: u32,
    /// The closing brace, or where the block must have ended.
    pub end: u32,
}

/// An argument or a property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// None for an argument.
    pub name: Option<Token>,
    /// None right after `name=`.
    pub value: Option<Token>,
    /// First byte after it.
    pub end: u32,
}

impl Entry {
    /// First byte.
    pub fn start(&self) -> u32 {
        self.name.or(self.value).map_or(self.end, |token| token.start)
    }
}

impl Node {
    /// Arguments without the properties.
    pub fn args(&self) -> impl Iterator<Item = Token> + '_ {
        self.entries.iter().filter(|entry| entry.name.is_none()).filter_map(|entry| entry.value)
    }
}

impl Tree {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        let tokens = lex::lex(text).tokens;
        let (tree, closed) = Builder::new(text, false).run(&tokens);
        if closed {
            return tree;
        }
        // A brace is missing: now a word that can only begin a top-level node begins one.
        Builder::new(text, true).run(&tokens).0
    }

    /// The node whose head, from its name to its end of the line, a place is in.
    pub fn head_at(&self, offset: u32) -> Option<usize> {
        let at = self.nodes.partition_point(|node| node.name.start <= offset).checked_sub(1)?;
        self.nodes.get(at).filter(|node| offset <= node.head_end).map(|_| at)
    }

    /// The node in whose block a place is; none at the top of the file.
    pub fn block_at(&self, offset: u32) -> Option<usize> {
        let at = self.nodes.partition_point(|node| node.name.start <= offset).checked_sub(1)?;
        let holds = |node: &Node| {
            node.block.is_some_and(|block| block.start <= offset && offset <= block.end)
        };
        self.up(at).find(|at| self.nodes.get(*at).is_some_and(holds))
    }

    /// A node, its parent, and so on.
    pub fn up(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(at), |at| self.nodes.get(*at)?.parent)
    }

    /// The children of a node, or the top-level nodes, but for those that a `/-` takes away.
    pub fn children(&self, parent: Option<usize>) -> impl Iterator<Item = (usize, &Node)> {
        let (first, end) = match parent {
            None => (0, self.nodes.len()),
            Some(at) => (at + 1, self.nodes.get(at).map_or(0, |node| node.after)),
        };
        let inside = move |at: &usize| *at < end;
        let next = move |at: &usize| self.nodes.get(*at).map(|node| node.after.max(*at + 1));
        std::iter::successors(Some(first).filter(inside), move |at| next(at).filter(inside))
            .filter_map(|at| Some((at, self.nodes.get(at)?)))
            .filter(|(_, node)| !node.dead)
    }

    /// Whether a place is within a comment.
    pub fn in_comment(&self, offset: u32) -> bool {
        let at = self.comments.partition_point(|comment| comment.start < offset);
        let comment = at.checked_sub(1).and_then(|at| self.comments.get(at));
        comment.is_some_and(|comment| {
            // A comment to the end of its line still goes on there.
            offset < comment.end || (offset == comment.end && comment.kind != Lexeme::BlockComment)
        })
    }
}

/// The text of a token; "" where there is none.
pub(super) fn slice(text: &str, token: Token) -> &str {
    text.get(token.start as usize..token.end as usize).unwrap_or_default()
}

/// The place of a value without its quotes.
pub(super) fn inside(text: &str, token: Token) -> Range<u32> {
    let literal = slice(text, token);
    let hashes = literal.bytes().take_while(|byte| *byte == b'#').count() as u32;
    let (open, close) = match token.kind {
        Lexeme::Quoted | Lexeme::Raw => (hashes + 1, hashes + 1),
        Lexeme::Multiline | Lexeme::RawMultiline => (hashes + 3, hashes + 3),
        Lexeme::Unclosed => (hashes + 1, 0),
        _ => (0, 0),
    };
    let start = (token.start + open).min(token.end);
    start..token.end.saturating_sub(close).max(start)
}

/// The value of a token as a text; an open string has all that stands in it so far.
pub(super) fn value(text: &str, token: Token) -> Option<Cow<'_, str>> {
    let literal = slice(text, token);
    match token.kind {
        Lexeme::Word | Lexeme::Keyword => Some(Cow::Borrowed(literal)),
        Lexeme::Unclosed => {
            let range = inside(text, token);
            text.get(range.start as usize..range.end as usize).map(Cow::Borrowed)
        }
        _ => strings::decode(literal, token.kind),
    }
}

/// An open brace.
struct Frame {
    /// None for a brace that no node stands before.
    node: Option<usize>,
    /// The node that what follows is in.
    parent: Option<usize>,
    dead: bool,
    /// Taken away itself: behind it, its node goes on.
    dashed: bool,
}

struct Builder<'s> {
    text: &'s str,
    recovering: bool,
    tree: Tree,
    open: Vec<Frame>,
    /// The node whose head is being read.
    head: Option<usize>,
    /// A `\` stands before.
    continued: bool,
    /// A `/-` stands before.
    dashed: bool,
    /// The last word was taken away by a `/-`; or, behind a `=`, the next one is.
    skipped: bool,
    skip_value: bool,
    /// Within the parentheses of a type.
    annotation: bool,
}

impl<'s> Builder<'s> {
    fn new(text: &'s str, recovering: bool) -> Self {
        Self {
            text,
            recovering,
            tree: Tree::default(),
            open: Vec::new(),
            head: None,
            continued: false,
            dashed: false,
            skipped: false,
            skip_value: false,
            annotation: false,
        }
    }

    /// The tree, and whether all braces are closed.
    fn run(mut self, tokens: &[Token]) -> (Tree, bool) {
        for token in tokens {
            if self.tree.nodes.len() >= MAX_NODES {
                break;
            }
            self.token(*token);
        }
        let end = self.text.len() as u32;
        let closed = self.open.is_empty();
        self.end_head(end);
        self.close_all(end);
        (self.tree, closed)
    }

    fn token(&mut self, token: Token) {
        match token.kind {
            Lexeme::LineComment | Lexeme::BlockComment | Lexeme::UnclosedComment => {
                self.tree.comments.push(token);
                if token.kind != Lexeme::BlockComment && !self.continued && !self.dashed {
                    self.end_head(token.start);
                }
            }
            // What is taken away may stand on the next line.
            Lexeme::Newline if self.continued || self.dashed => self.continued = false,
            Lexeme::Semicolon if self.dashed && self.head.is_none() => {}
            Lexeme::Newline | Lexeme::Semicolon => self.end_head(token.start),
            Lexeme::Continue => self.continued = true,
            Lexeme::Slashdash => self.dashed = true,
            Lexeme::Open => self.open(token),
            Lexeme::Close => self.close(token),
            Lexeme::ParenOpen => self.annotation = true,
            Lexeme::ParenClose => self.annotation = false,
            Lexeme::Equals => self.equals(token),
            Lexeme::Stray | Lexeme::Forbidden => {}
            _ if self.annotation => {}
            _ => self.word(token),
        }
    }

    /// A name or a value.
    fn word(&mut self, token: Token) {
        if self.recovering && !self.open.is_empty() && self.starts_node(token) {
            self.end_head(token.start);
            self.close_all(token.start);
        }
        let Some(node) = self.head.and_then(|at| self.tree.nodes.get_mut(at)) else {
            self.begin(token);
            return;
        };
        let count = node.entries.len();
        self.skipped = false;
        match node.entries.last_mut() {
            Some(entry) if entry.value.is_none() => {
                (entry.value, entry.end) = (Some(token), token.end);
            }
            _ if self.skip_value => self.skip_value = false,
            _ if self.dashed => (self.dashed, self.skipped) = (false, true),
            _ if count >= MAX_ENTRIES => {}
            _ => node.entries.push(Entry { name: None, value: Some(token), end: token.end }),
        }
    }

    fn starts_node(&self, token: Token) -> bool {
        let before = self.text.as_bytes().get(..token.start as usize).unwrap_or_default();
        before.last().is_none_or(|byte| *byte == b'\n')
            && schema::starts_node(slice(self.text, token))
    }

    fn begin(&mut self, name: Token) {
        let at = self.tree.nodes.len();
        let parent = self.open.last().and_then(|frame| frame.parent);
        let kind = match parent {
            None if self.open.is_empty() => Some(&schema::FILE),
            None => None,
            Some(at) => self.tree.nodes.get(at).and_then(|node| node.kind),
        };
        let word = value(self.text, name);
        let dead = self.dashed || self.open.last().is_some_and(|frame| frame.dead);
        self.dashed = false;
        self.tree.nodes.push(Node {
            parent,
            top: parent.and_then(|at| self.tree.nodes.get(at)).map_or(at, |node| node.top),
            name,
            kind: kind.zip(word).and_then(|(kind, word)| kind.child(&word)),
            entries: Vec::new(),
            head_end: name.end,
            block: None,
            end: name.end,
            after: at + 1,
            dead,
        });
        self.head = Some(at);
    }

    /// The last argument turns out to be the name of a property.
    fn equals(&mut self, token: Token) {
        if std::mem::take(&mut self.skipped) {
            self.skip_value = true;
            return;
        }
        let Some(node) = self.head.and_then(|at| self.tree.nodes.get_mut(at)) else { return };
        if let Some(entry) = node.entries.last_mut()
            && entry.name.is_none()
        {
            *entry = Entry { name: entry.value, value: None, end: token.end };
        }
    }

    /// The head of a node ends before a place.
    fn end_head(&mut self, at: u32) {
        (self.continued, self.annotation, self.dashed) = (false, false, false);
        (self.skipped, self.skip_value) = (false, false);
        if let Some(node) = self.head.take().and_then(|node| self.tree.nodes.get_mut(node)) {
            node.head_end = at;
            node.end = node.entries.last().map_or(node.end, |entry| entry.end.max(node.end));
        }
    }

    fn open(&mut self, brace: Token) {
        let (node, dashed) = (self.head, self.dashed);
        self.end_head(brace.start);
        let block = Block { start: brace.end, end: self.text.len() as u32 };
        let outer = self.open.last();
        let mut dead = dashed || outer.is_some_and(|frame| frame.dead);
        let parent = node.or(outer.and_then(|frame| frame.parent));
        if let Some(node) = node.and_then(|at| self.tree.nodes.get_mut(at)) {
            dead |= node.dead;
            node.block = if dashed { node.block } else { Some(block) };
        }
        self.open.push(Frame { node, parent, dead, dashed });
    }

    fn close(&mut self, brace: Token) {
        self.end_head(brace.start);
        if let Some(frame) = self.open.pop() {
            self.finish(&frame, brace.start, brace.end);
            self.head = frame.node.filter(|_| frame.dashed);
        }
    }

    /// Ends all open blocks at a place where no brace stands.
    fn close_all(&mut self, at: u32) {
        while let Some(frame) = self.open.pop() {
            self.finish(&frame, at, at);
        }
    }

    fn finish(&mut self, frame: &Frame, block_end: u32, end: u32) {
        let after = self.tree.nodes.len();
        let Some(node) = frame.node.and_then(|at| self.tree.nodes.get_mut(at)) else { return };
        (node.after, node.end) = (after, end);
        if let Some(block) = node.block.as_mut().filter(|_| !frame.dashed) {
            block.end = block_end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::FileId;
    use crate::syntax;

    /// Names of nodes with their depth.
    fn shape(text: &str) -> Vec<String> {
        let tree = Tree::of(text);
        let line = |(at, node): (usize, &Node)| {
            let depth = tree.up(at).count() - 1;
            let known = if node.kind.is_some() { "" } else { "?" };
            let dead = if node.dead { " dead" } else { "" };
            format!("{}{}{known}{dead}", "-".repeat(depth), slice(text, node.name))
        };
        tree.nodes.iter().enumerate().map(line).collect()
    }

    #[test]
    fn reads_what_is_whole() {
        let text =
            "mabuild 1\nimage \"a\" { from \"b\"; steps {\n run \"x\" \\\n \"y\" /- \"z\"\n } }\n";
        assert_eq!(shape(text), ["mabuild", "image", "-from", "-steps", "--run"]);
        let tree = Tree::of(text);
        assert_eq!(tree.nodes[4].entries.len(), 2);
        assert_eq!(tree.nodes[1].after, 5);
        assert_eq!(tree.nodes[1].end as usize, text.len() - 1);
    }

    /// Holds the tree against what the parser of the language reads, where that reads all; whether
    /// it does.
    fn same_as_parsed(text: &str) -> bool {
        let (mut out, file) = (Vec::new(), FileId(0));
        let scan = syntax::scan(text, file, schema::starts_node, &mut out);
        let document = scan.read(text, file, &mut out);
        // What two of these take away is known to the parser alone.
        let dashes = |t: &[Token]| t.iter().all(|token| token.kind == Lexeme::Slashdash);
        if lex::lex(text).tokens.windows(2).any(dashes) {
            return false;
        }
        if out.is_empty() {
            let tree = Tree::of(text);
            compare(text, &tree, None, &document.nodes);
        }
        out.is_empty()
    }

    fn compare(text: &str, tree: &Tree, parent: Option<usize>, parsed: &[syntax::Node<'_>]) {
        let ours: Vec<(usize, &Node)> = tree.children(parent).collect();
        assert_eq!(ours.len(), parsed.len(), "{text}");
        for ((at, ours), parsed) in ours.into_iter().zip(parsed) {
            assert_eq!(
                (ours.name.start, ours.name.end),
                (parsed.name.span.start, parsed.name.span.end)
            );
            let entries = ours.entries.iter().map(|entry| {
                (entry.name.map(|name| name.start), entry.value.map(|v| (v.start, v.end)))
            });
            let wanted = parsed.entries.iter().map(|entry| {
                let value = (entry.value_span.start, entry.value_span.end);
                (entry.name.as_ref().map(|name| name.span.start), Some(value))
            });
            assert_eq!(entries.collect::<Vec<_>>(), wanted.collect::<Vec<_>>(), "{text}");
            compare(text, tree, Some(at), parsed.kids());
        }
    }

    #[test]
    fn a_text_that_can_be_read_is_read_alike() {
        for text in [
            include_str!("../../tests/it/whole.kdl"),
            "/-\nimage a {}\nlet /- // c\n x=1 y /- z=2 w=3 \\\n v; b /-{ c } { d } /- { e }\n",
            "(t)a (u)\"b\" c=(v)1 #true #\"x\"# \"\"\"\n  y\n  \"\"\"\n",
            "a { b; c { d 1 }; }; e /* x */ 1 /* y */\n/- f { g }\n",
        ] {
            assert!(same_as_parsed(text), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            // A `/-` before a `;` or another `/-` is read otherwise: the seed is one without.
            rng_seed: proptest::test_runner::RngSeed::Fixed(3),
            ..ProptestConfig::default()
        })]

        #[test]
        fn an_edited_text_that_can_be_read_is_read_alike(
            edits in proptest::collection::vec(
                (any::<prop::sample::Index>(), 0_usize..3, prop_oneof![
                    Just("/-"), Just("/- "), Just("\\\n"), Just("\n"), Just(";"), Just(" "), Just("{"),
                    Just("}"), Just("{ a 1 }"), Just("x=1 "), Just("(t)"), Just("/* c */"),
                    Just("// c\n"), Just("\""), Just("=")
                ]),
                1..4,
            ),
        ) {
            let mut text = "/- a 1\nb \"x\" y=2 { c; d e=\"f\" /- g=1 h }\ni \\\n  j { /- k { l } }\n".to_owned();
            for (place, length, new) in edits {
                let start = place.index(text.len() + 1);
                let end = (start + length).min(text.len());
                text.replace_range(start..end, new);
            }
            same_as_parsed(&text);
        }
    }

    #[test]
    fn a_missing_brace_costs_one_node() {
        let text = "image \"a\" {\n  steps {\n    run \"x\"\nimage \"b\" {\n  from \"a\"\n}\n";
        assert_eq!(shape(text), ["image", "-steps", "--run", "image", "-from"]);
    }

    #[test]
    fn an_open_quote_costs_one_line() {
        let text = "image \"a\" {\n  from \"b\n  tags \"x\"\n}\n";
        assert_eq!(shape(text), ["image", "-from", "-tags"]);
        let tree = Tree::of(text);
        let value = tree.nodes[1].args().next().unwrap();
        assert_eq!(&text[inside(text, value).start as usize..][..1], "b");
    }

    #[test]
    fn what_a_slashdash_takes_away_is_dead() {
        let text = "/- image \"a\" { from \"b\" }\nimage \"c\" /- { from \"d\" }\nlet x 1\n";
        assert_eq!(shape(text), ["image dead", "-from dead", "image", "-from dead", "let"]);
        assert_eq!(Tree::of(text).children(None).count(), 2);
    }

    #[test]
    fn places_know_their_node() {
        let text = "image \"a\" {\n  from \"b\" \n\n}\n";
        let tree = Tree::of(text);
        assert_eq!(tree.head_at(text.find("\"b\" ").unwrap() as u32 + 4), Some(1));
        let empty = text.find("\n\n").unwrap() as u32 + 1;
        assert_eq!((tree.head_at(empty), tree.block_at(empty)), (None, Some(0)));
        assert_eq!(tree.block_at(text.len() as u32), None);
    }

    #[test]
    fn properties_without_a_value_are_kept() {
        let text = "follow \"digest\" min-age=";
        let entry = Tree::of(text).nodes[0].entries[1];
        assert!(entry.name.is_some() && entry.value.is_none());
    }
}
