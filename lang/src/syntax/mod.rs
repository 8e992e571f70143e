//! Text to a tree of nodes with their places. Knows KDL, and nothing of what the nodes mean.
//! The only room that names `kdl`.
//!
//! The text is cut into top-level nodes, which are read side by side: by the fast parser where
//! they hold nothing unusual, by the full one otherwise. A node that cannot be read is reported
//! and left out; the others stand.

mod full;
pub(crate) mod lex;
mod mistakes;
mod plain;
mod split;
pub(crate) mod strings;
mod tree;

use rayon::prelude::*;

pub(crate) use tree::{Broken, Document, Entry, Node, Value};

use crate::diag::Diagnostic;
use crate::source::{FileId, Span};
use lex::{Kind, Lexed, Token};
use split::Chunk;

/// Chunks that one task of the pool takes.
const BATCH: usize = 64;

/// A text cut into top-level nodes that are not read yet.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    lexed: Lexed,
    chunks: Vec<Chunk>,
}

/// Cuts a text and reports what harms more than one node. `starts_node` is true for a word that
/// can only name a top-level node.
pub(crate) fn scan(
    text: &str,
    file: FileId,
    starts_node: fn(&str) -> bool,
    out: &mut Vec<Diagnostic>,
) -> Scan {
    let lexed = lex::lex(text);
    let chunks = split::split(text, &lexed, file, starts_node, out);
    Scan { lexed, chunks }
}

impl Scan {
    fn tokens(&self, chunk: &Chunk) -> &[Token] {
        self.lexed.tokens.get(chunk.first..chunk.end).unwrap_or_default()
    }

    /// The tokens of the whole text, for a printer.
    pub fn all_tokens(&self) -> &[Token] {
        &self.lexed.tokens
    }

    /// Reads the nodes that a word names, silently.
    pub fn named<'s>(&self, text: &'s str, file: FileId, word: &str) -> Vec<Node<'s>> {
        let wanted = |chunk: &&Chunk| {
            let head = self.lexed.tokens.get(chunk.first);
            let head = head.and_then(|t| text.get(t.start as usize..t.end as usize));
            !chunk.broken && head.is_some_and(|head| head.trim_matches('"') == word)
        };
        let chunks: Vec<&Chunk> = self.chunks.iter().filter(wanted).collect();
        let read = |chunk: &&Chunk| {
            let tokens = self.tokens(chunk);
            plain::node(text, tokens, file)
                .map(|node| vec![node])
                .or_else(|| full::nodes(text, tokens, file).ok())
        };
        full::on_deep_stacks(&chunks, read).into_iter().flatten().flatten().flatten().collect()
    }

    /// Reads all nodes.
    pub fn read<'s>(&self, text: &'s str, file: FileId, out: &mut Vec<Diagnostic>) -> Document<'s> {
        self.read_with(text, file, out, plain::node)
    }

    /// The same with another fast parser; what it gives up on the full one reads.
    fn read_with<'s>(
        &self,
        text: &'s str,
        file: FileId,
        out: &mut Vec<Diagnostic>,
        fast: impl Fn(&'s str, &[Token], FileId) -> Option<Node<'s>> + Sync,
    ) -> Document<'s> {
        let read = |chunk: &Chunk| match chunk.broken {
            true => None,
            false => fast(text, self.tokens(chunk), file),
        };
        let nodes: Vec<Option<Node<'s>>> =
            self.chunks.par_iter().with_min_len(BATCH).map(read).collect();
        let unread = self.chunks.iter().zip(&nodes);
        let unread = unread.filter(|(chunk, node)| node.is_none() && !chunk.broken);
        let left: Vec<&Chunk> = unread.map(|(chunk, _)| chunk).collect();
        let slow = full::on_deep_stacks(&left, |chunk| full::nodes(text, self.tokens(chunk), file));
        let mut slow = slow.into_iter();
        let mut document = Document::default();
        for (chunk, node) in self.chunks.iter().zip(nodes) {
            if let Some(node) = node {
                document.nodes.push(node);
                continue;
            }
            if !chunk.broken {
                match slow.next().flatten() {
                    Some(Ok(nodes)) => {
                        document.nodes.extend(nodes);
                        continue;
                    }
                    Some(Err(refusals)) => {
                        let tokens = self.tokens(chunk);
                        out.extend(mistakes::explain(text, tokens, file, refusals));
                    }
                    None => out.push(died(self.tokens(chunk), file)),
                }
            }
            document.broken.push(promise(text, self.tokens(chunk)));
        }
        document
    }
}

/// The full parser did not come back.
fn died(tokens: &[Token], file: FileId) -> Diagnostic {
    let span = tokens.first().map_or(Span { file, start: 0, end: 0 }, |token| Span {
        file,
        start: token.start,
        end: token.end,
    });
    Diagnostic::error(
        "mabuild::lang::syntax",
        span,
        "this node could not be read",
        "the parser failed here",
    )
    .help("write the node in a simpler way; this is a fault of mabuild, please report it")
}

/// What the head of an unreadable node says: its kind, and the name that follows.
fn promise(text: &str, tokens: &[Token]) -> Broken {
    let slice = |token: &Token| text.get(token.start as usize..token.end as usize);
    let kind = tokens.first().filter(|head| head.kind == Kind::Word).and_then(slice);
    let name = tokens.get(1).filter(|_| kind.is_some()).and_then(|name| {
        let literal = slice(name)?;
        match name.kind {
            Kind::Quoted => strings::decode(literal, name.kind).map(|name| name.into_owned()),
            Kind::Word => Some(literal.to_owned()),
            Kind::Unclosed => literal.split(['"', ' ', '{']).nth(1).map(str::to_owned),
            _ => None,
        }
    });
    Broken { kind: kind.map(str::to_owned), name }
}

#[cfg(test)]
mod tests;
