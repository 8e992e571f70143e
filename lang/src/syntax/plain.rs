//! The fast way from tokens to a node: a parser of the common part of KDL. What it does not know
//! it gives up on, and the full parser reads the node; it never accepts what that one refuses.

use std::borrow::Cow;

use super::lex::{Kind, Token};
use super::strings;
use super::tree::{Entry, Node, Value, Word};
use crate::source::{FileId, Span};

/// Reads one top-level node. None when it holds anything unusual or wrong.
pub(crate) fn node<'s>(text: &'s str, tokens: &[Token], file: FileId) -> Option<Node<'s>> {
    let mut parser = Parser { text, tokens, at: 0, file };
    let node = parser.node()?;
    (parser.at == tokens.len()).then_some(node)
}

struct Parser<'s, 't> {
    text: &'s str,
    tokens: &'t [Token],
    at: usize,
    file: FileId,
}

impl<'s> Parser<'s, '_> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn slice(&self, token: Token) -> Option<&'s str> {
        self.text.get(token.start as usize..token.end as usize)
    }

    fn span(&self, start: u32, end: u32) -> Span {
        Span { file: self.file, start, end }
    }

    fn node(&mut self) -> Option<Node<'s>> {
        let head = self.peek()?;
        self.at += 1;
        let name = self.word(head)?;
        let mut node = Node {
            name,
            annotation: None,
            entries: Vec::new(),
            children: None,
            span: self.span(head.start, head.end),
        };
        // Where a value may begin without a space before it: nowhere but after a comment or a
        // line that goes on.
        let mut end = head.end;
        while let Some(token) = self.peek() {
            match token.kind {
                Kind::Newline | Kind::Semicolon | Kind::LineComment | Kind::Close => break,
                Kind::BlockComment => {
                    self.at += 1;
                    end = 0;
                }
                Kind::Continue => {
                    self.continued()?;
                    end = 0;
                }
                Kind::Open => {
                    self.at += 1;
                    node.children = Some(self.children()?);
                    node.span.end = self.tokens.get(self.at.checked_sub(1)?)?.end;
                    self.after_children()?;
                    break;
                }
                _ if token.start > end => {
                    let entry = self.entry(token)?;
                    end = entry.span.end;
                    node.span.end = end;
                    node.entries.push(entry);
                }
                _ => return None,
            }
        }
        Some(node)
    }

    /// `\`, comments, line end.
    fn continued(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let kind = self.peek()?.kind;
            self.at += 1;
            match kind {
                Kind::Newline => return Some(()),
                Kind::LineComment | Kind::BlockComment => {}
                _ => return None,
            }
        }
    }

    /// Nodes up to the closing brace, which is taken.
    fn children(&mut self) -> Option<Vec<Node<'s>>> {
        let mut nodes = Vec::new();
        loop {
            match self.peek()?.kind {
                Kind::Newline | Kind::LineComment | Kind::BlockComment => self.at += 1,
                Kind::Close => {
                    self.at += 1;
                    return Some(nodes);
                }
                _ => {
                    nodes.push(self.node()?);
                    if self.peek()?.kind == Kind::Semicolon {
                        self.at += 1;
                    }
                }
            }
        }
    }

    /// After a block nothing but the end of the node may come.
    fn after_children(&mut self) -> Option<()> {
        match self.peek().map(|token| token.kind) {
            None | Some(Kind::Newline | Kind::Semicolon | Kind::LineComment | Kind::Close) => {
                Some(())
            }
            Some(_) => None,
        }
    }

    fn entry(&mut self, token: Token) -> Option<Entry<'s>> {
        self.at += 1;
        let is_prop = self.peek().is_some_and(|next| next.kind == Kind::Equals);
        if !is_prop {
            let span = self.span(token.start, token.end);
            let value = self.value(token)?;
            return Some(Entry { name: None, annotation: None, value, value_span: span, span });
        }
        let name = self.word(token)?;
        self.at += 1;
        let value_token = self.peek()?;
        self.at += 1;
        let value = self.value(value_token)?;
        Some(Entry {
            name: Some(name),
            annotation: None,
            value,
            value_span: self.span(value_token.start, value_token.end),
            span: self.span(token.start, value_token.end),
        })
    }

    /// A name: a bare identifier or a string.
    fn word(&self, token: Token) -> Option<Word<'s>> {
        let text = match self.value(token)? {
            Value::String(text) => text,
            _ => return None,
        };
        Some(Word { text, span: self.span(token.start, token.end) })
    }

    fn value(&self, token: Token) -> Option<Value<'s>> {
        let literal = self.slice(token)?;
        match token.kind {
            Kind::Word => bare(literal),
            Kind::Keyword => match literal {
                "#true" => Some(Value::Bool(true)),
                "#false" => Some(Value::Bool(false)),
                "#null" => Some(Value::Null),
                _ => None,
            },
            Kind::Quoted | Kind::Raw | Kind::Multiline | Kind::RawMultiline => {
                strings::decode(literal, token.kind).map(Value::String)
            }
            _ => None,
        }
    }
}

/// A bare word: an identifier or a plain whole number.
fn bare(word: &str) -> Option<Value<'_>> {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    match unsigned.bytes().next() {
        Some(b'0'..=b'9') => number(word),
        Some(b'.') => None,
        _ if matches!(unsigned, "true" | "false" | "null" | "inf" | "nan") => None,
        _ => Some(Value::String(Cow::Borrowed(word))),
    }
}

fn number(word: &str) -> Option<Value<'_>> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    word.parse().ok().map(Value::Integer)
}
