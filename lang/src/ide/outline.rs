//! The outline of a file, and what of it can be folded.

use std::ops::Range;

use super::marks::is_axis;
use super::tree::{self, Node, Tree};
use super::{File, World};
use crate::schema::{Noun, Role};
use crate::syntax::lex::{Kind as Lexeme, Token};

/// Deepest level of an outline.
const MAX_LEVEL: usize = 3;

/// One line of an outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name that is declared, or the word of the node.
    pub name: String,
    /// The word of the node, where the name is another.
    pub detail: String,
    /// What is declared, if anything.
    pub noun: Option<Noun>,
    /// The whole node.
    pub range: Range<u32>,
    /// The name in it.
    pub name_range: Range<u32>,
    /// What stands in it.
    pub children: Vec<Symbol>,
}

/// A part of a file that can be folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// From the end of its first line to the end of the part.
    pub range: Range<u32>,
    /// Whether it is a comment.
    pub comment: bool,
}

impl World {
    /// The outline of a file: what is declared at its top, and what has a block or a name within.
    pub fn symbols(&self, path: &str) -> Vec<Symbol> {
        self.file(path).map_or_else(Vec::new, |file| below(file, None, 0))
    }

    /// What can be folded: blocks, and comments over several lines.
    pub fn folds(&self, path: &str) -> Vec<Fold> {
        let Some(file) = self.file(path) else { return Vec::new() };
        let lines = |range: &Range<u32>| file.slice(range).contains('\n');
        let blocks = file.tree.nodes.iter().filter_map(|node| node.block);
        let blocks = blocks.map(|block| Fold { range: block.start..block.end, comment: false });
        let blocks = blocks.filter(|fold| lines(&fold.range));
        blocks.chain(comments(file).into_iter().filter(|fold| lines(&fold.range))).collect()
    }
}

/// Runs of comments with nothing but space between them.
fn comments(file: &File) -> Vec<Fold> {
    let mut folds: Vec<Fold> = Vec::new();
    for comment in &file.tree.comments {
        let joined = folds.last_mut().filter(|last| {
            let between = file.slice(&(last.range.end..comment.start));
            let blank = between.chars().all(char::is_whitespace);
            blank && between.matches('\n').count() == 1 && comment.kind == Lexeme::LineComment
        });
        match joined {
            Some(last) => last.range.end = comment.end,
            None => folds.push(Fold { range: comment.start..comment.end, comment: true }),
        }
    }
    folds
}

fn below(file: &File, parent: Option<usize>, level: usize) -> Vec<Symbol> {
    let shown = |node: &Node| level == 0 || node.block.is_some() || is_axis(&file.tree, node);
    let nodes = file.tree.children(parent).filter(|(_, node)| shown(node));
    nodes.filter_map(|(at, node)| symbol(file, at, node, level)).collect()
}

fn symbol(file: &File, at: usize, node: &Node, level: usize) -> Option<Symbol> {
    // Editors refuse a name without a letter.
    let word =
        tree::value(&file.text, node.name).filter(|word| !word.trim().is_empty())?.into_owned();
    let (noun, place) = declared(&file.tree, node);
    let name = place.and_then(|token| tree::value(&file.text, token));
    let name = name.filter(|name| !name.trim().is_empty());
    let place = place.filter(|_| name.is_some()).unwrap_or(node.name);
    let children = if level < MAX_LEVEL { below(file, Some(at), level + 1) } else { Vec::new() };
    Some(Symbol {
        detail: if name.is_some() && place != node.name { word.clone() } else { String::new() },
        name: name.map_or(word, std::borrow::Cow::into_owned),
        noun,
        range: node.name.start..node.end.max(node.name.end),
        name_range: place.start..place.end,
        children,
    })
}

/// What a node declares and where its name stands; a node that declares nothing is told by its
/// first value.
fn declared(tree: &Tree, node: &Node) -> (Option<Noun>, Option<Token>) {
    if is_axis(tree, node) {
        return (Some(Noun::Axis), Some(node.name));
    }
    let noun = match node.kind.map(|kind| kind.args.role(0)) {
        Some(Role::Declares(noun)) => Some(noun),
        _ => None,
    };
    (noun, node.args().next())
}
