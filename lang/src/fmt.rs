//! The canonical layout of a file: one node a line, four spaces for each level, one space between
//! values. Works on tokens, so that comments and the way values are written stay as they are.

use std::sync::Arc;

use crate::diag::{Diagnostic, Severity};
use crate::schema;
use crate::source::SourceMap;
use crate::syntax::{
    self,
    lex::{Kind, Token, is_newline},
};

/// A text that has no canonical layout because it cannot be read.
#[derive(Debug)]
pub struct Unformatted {
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    /// The text, for rendering.
    pub sources: SourceMap,
}

/// Widest line that a block on one line may make, in characters.
const WIDTH: usize = 100;
const INDENT: &str = "    ";

/// Gives a text its canonical layout. The meaning does not change, and the layout of the result
/// is the result itself. The error says why a text cannot be read.
pub fn format(path: &str, text: &str) -> Result<String, Unformatted> {
    let mut sources = SourceMap::default();
    let mut diagnostics = Vec::new();
    if text.len() > crate::MAX_FILE {
        let message = format!("`{path}` is too large: {} bytes", text.len());
        diagnostics.push(Diagnostic::nowhere("mabuild::lang::file", message));
        return Err(Unformatted { diagnostics, sources });
    }
    let text: Arc<str> = text.into();
    let id = sources.add(path, text.clone());
    let scan = syntax::scan(&text, id, schema::starts_node, &mut diagnostics);
    scan.read(&text, id, &mut diagnostics);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(Unformatted { diagnostics, sources });
    }
    let mut printer = Printer {
        text: &text,
        tokens: scan.all_tokens(),
        at: 0,
        depth: 0,
        inline: false,
        out: String::with_capacity(text.len() + text.len() / 8),
    };
    printer.nodes();
    Ok(printer.out)
}

struct Printer<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    /// Within a block that stands on one line.
    inline: bool,
    out: String,
}

impl<'a> Printer<'a> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn kind(&self) -> Option<Kind> {
        self.peek().map(|token| token.kind)
    }

    fn slice(&self, token: Token) -> &'a str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n(INDENT, depth));
    }

    /// Ends the line without space at its end.
    fn end_line(&mut self) {
        self.trim_spaces();
        self.out.push('\n');
    }

    fn trim_spaces(&mut self) {
        let length = self.out.trim_end_matches(' ').len();
        self.out.truncate(length);
    }

    /// Prints nodes and comments, a line each, up to the end of their block. Empty lines stay,
    /// one where there were several.
    fn nodes(&mut self) {
        let (mut breaks, mut first) = (0_usize, true);
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Close => break,
                Kind::Newline => breaks += 1,
                Kind::Semicolon => {}
                Kind::Continue => {
                    self.lone_continue();
                    continue;
                }
                _ => {
                    if breaks > 1 && !first {
                        self.out.push('\n');
                    }
                    self.indent(self.depth);
                    self.line();
                    self.end_line();
                    (breaks, first) = (0, false);
                    continue;
                }
            }
            self.at += 1;
        }
    }

    /// Prints one node with the comments before and after it on its line, or comments alone.
    fn line(&mut self) {
        self.comments("", " ");
        while self.kind() == Some(Kind::Continue) && self.starts_line() {
            self.lone_continue();
            self.comments("", " ");
        }
        if matches!(self.kind(), None | Some(Kind::Newline | Kind::Close | Kind::Semicolon)) {
            return;
        }
        if self.starts_line() {
            self.node();
            while self.kind() == Some(Kind::Semicolon) {
                self.at += 1;
            }
            self.comments("  ", "");
        }
    }

    /// Passes over a `\` before a node, which is nothing but space.
    fn lone_continue(&mut self) {
        self.at += 1;
        self.at += usize::from(self.kind() == Some(Kind::Newline));
    }

    /// Whether a node comes next and not the rest of a line that a comment ended.
    fn starts_line(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.is_none_or(|token| token.kind != Kind::LineComment)
    }

    /// Prints the comments that come next on the line.
    fn comments(&mut self, before: &str, after: &str) {
        while let Some(token) = self.peek() {
            let text = self.slice(token);
            match token.kind {
                Kind::LineComment => {
                    self.out.push_str(before);
                    self.out.push_str(text.trim_end());
                    self.at += 1;
                    return;
                }
                Kind::BlockComment => {
                    // At the start of a line that goes on, the space is there.
                    let apart = before.is_empty() || self.out.ends_with(' ');
                    self.out.push_str(if apart { "" } else { " " });
                    self.out.push_str(text);
                    self.out.push_str(after);
                    self.at += 1;
                }
                _ => return,
            }
        }
    }

    /// Prints one node up to what ends it.
    fn node(&mut self) {
        let mut space = false;
        while let Some(token) = self.peek() {
            match token.kind {
                Kind::Newline | Kind::Semicolon | Kind::Close | Kind::LineComment => return,
                Kind::BlockComment if self.ends_after_comments() => return,
                Kind::Continue => {
                    self.continue_line();
                    space = false;
                    continue;
                }
                _ => {}
            }
            let glued = matches!(token.kind, Kind::Equals | Kind::ParenClose);
            if space && !glued {
                self.out.push(' ');
            }
            self.at += 1;
            match token.kind {
                Kind::Open => self.block(),
                Kind::Slashdash => self.slashdash(),
                _ => self.out.push_str(self.slice(token)),
            }
            let holds = matches!(
                token.kind,
                Kind::Equals | Kind::ParenOpen | Kind::ParenClose | Kind::Slashdash
            );
            space = !holds;
        }
    }

    /// Whether nothing but comments stands before the end of the node.
    fn ends_after_comments(&self) -> bool {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let next = rest.iter().find(|token| token.kind != Kind::BlockComment);
        next.is_none_or(|token| {
            matches!(token.kind, Kind::Newline | Kind::Semicolon | Kind::Close | Kind::LineComment)
        })
    }

    /// `\`, comments, line end; the node goes on one level deeper.
    fn continue_line(&mut self) {
        // Several in a row are one, and one before the end of the node is none.
        let mut end = self.at;
        while self.tokens.get(end).is_some_and(|token| token.kind == Kind::Continue) {
            self.at = end;
            end += 1;
            match self.tokens.get(end).map(|token| token.kind) {
                None => break,
                Some(Kind::Newline) => end += 1,
                Some(_) => end = self.tokens.len() + 1,
            }
        }
        let next = self.tokens.get(end).map(|token| token.kind);
        let ends = matches!(next, None | Some(Kind::Newline | Kind::Semicolon | Kind::Close));
        if ends && end <= self.tokens.len() {
            self.at = end;
            return;
        }
        self.at += 1;
        self.out.push_str(if self.out.ends_with(' ') { "\\" } else { " \\" });
        self.comments(" ", "");
        if self.kind() == Some(Kind::Newline) {
            self.at += 1;
            self.end_line();
            self.indent(self.depth + 1);
        }
    }

    /// `/-` stands right before what it takes away.
    fn slashdash(&mut self) {
        self.out.push_str("/-");
        while let Some(token) = self.peek() {
            match token.kind {
                Kind::Newline | Kind::Continue => {}
                Kind::LineComment | Kind::BlockComment => {
                    self.trim_spaces();
                    self.out.push(' ');
                    self.out.push_str(self.slice(token).trim_end());
                    if token.kind == Kind::LineComment {
                        self.end_line();
                        self.indent(self.depth + 1);
                    } else {
                        self.out.push(' ');
                    }
                }
                _ => return,
            }
            self.at += 1;
        }
    }

    /// Prints the block whose brace was read; on one line when it was written so and fits.
    fn block(&mut self) {
        let (at, length) = (self.at, self.out.len());
        if self.is_on_one_line() {
            let outer = std::mem::replace(&mut self.inline, true);
            self.inline_block();
            self.inline = outer;
            if outer {
                return;
            }
            let line = self.out.rfind('\n').map_or(0, |at| at + 1);
            let width = self.out.get(line..).map_or(0, |line| line.chars().count());
            if width <= WIDTH {
                return;
            }
            self.out.truncate(length);
            self.at = at;
        }
        self.out.push('{');
        self.comments("  ", "");
        self.end_line();
        self.depth += 1;
        self.nodes();
        self.depth -= 1;
        self.indent(self.depth);
        self.close();
    }

    fn close(&mut self) {
        if self.kind() == Some(Kind::Close) {
            self.at += 1;
        }
        self.out.push('}');
    }

    fn inline_block(&mut self) {
        self.out.push('{');
        let mut first = true;
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Close => break,
                Kind::Semicolon => self.at += 1,
                _ => {
                    self.out.push_str(if first { " " } else { "; " });
                    first = false;
                    self.comments("", " ");
                    self.node();
                    self.trim_spaces();
                    self.comments("  ", "");
                }
            }
        }
        if !first {
            self.out.push(' ');
        }
        self.close();
    }

    /// Whether the block that begins here was written on one line.
    fn is_on_one_line(&self) -> bool {
        let mut depth = 0_usize;
        for token in self.tokens.get(self.at..).unwrap_or_default() {
            match token.kind {
                Kind::Newline | Kind::LineComment | Kind::Continue => return false,
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => return true,
                Kind::Close => depth -= 1,
                Kind::Multiline | Kind::RawMultiline | Kind::BlockComment | Kind::Quoted
                    if self.slice(*token).contains(is_newline) =>
                {
                    return false;
                }
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
