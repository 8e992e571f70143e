//! Tokens to chunks: one top-level node each. Everything that would harm more than its own node
//! (open braces, open strings, too deep nesting) is found and reported here, before any parser.

use super::lex::{Kind, Lexed, Token};
use super::mistakes;
use crate::diag::Diagnostic;
use crate::source::{FileId, Span};

/// Deepest nesting of braces.
pub(crate) const MAX_DEPTH: usize = 64;
/// Deepest nesting of `/-`; the full parser takes twice as long for each level.
const MAX_SLASHDASH: u8 = 3;
/// How far the start of a line is looked for, in bytes.
const MAX_LINE: usize = 200;

/// A top-level node, as a range of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub first: usize,
    pub end: usize,
    /// Already reported; not to be parsed.
    pub broken: bool,
}

/// Splits a text at its top-level nodes. `starts_node` says whether a word at the start of a line
/// can only be a top-level node; with it a missing `}` harms one node and not the whole rest.
pub(crate) fn split(
    text: &str,
    lexed: &Lexed,
    file: FileId,
    starts_node: fn(&str) -> bool,
    out: &mut Vec<Diagnostic>,
) -> Vec<Chunk> {
    let mut splitter = Splitter {
        text,
        tokens: &lexed.tokens,
        file,
        starts_node,
        chunks: Vec::new(),
        chunk: Open::default(),
        recovering: false,
        out,
    };
    splitter.forbidden(&lexed.forbidden);
    splitter.run();
    let mut chunks = splitter.chunks;
    mark_forbidden(&mut chunks, lexed);
    chunks
}

/// Marks the chunks that hold a forbidden character.
fn mark_forbidden(chunks: &mut [Chunk], lexed: &Lexed) {
    for bad in &lexed.forbidden {
        let at = chunks.partition_point(|chunk| {
            lexed.tokens.get(chunk.first).is_some_and(|token| token.start <= bad.start)
        });
        if let Some(chunk) = at.checked_sub(1).and_then(|at| chunks.get_mut(at)) {
            let end = chunk.end.checked_sub(1).and_then(|last| lexed.tokens.get(last));
            chunk.broken |= end.is_some_and(|last| bad.start < last.end);
        }
    }
}

/// An open brace.
#[derive(Clone, Copy, Debug)]
struct Brace {
    token: usize,
    /// How many slashdashed nodes it stands in.
    dashes: u8,
    /// Whether its node had a slashdash before the brace.
    node_dash: bool,
}

/// The chunk that is being read.
#[derive(Debug, Default)]
struct Open {
    first: Option<usize>,
    /// Diagnostics before it, for a second reading.
    reported: usize,
    broken: bool,
    /// Whether it holds more than a `\`.
    has_node: bool,
    stack: Vec<Brace>,
    /// The brace whose closing one seems to be missing, by the indentation.
    suspect: Option<usize>,
    dash_pending: bool,
    continued: bool,
    node_dash: bool,
    swallowed: bool,
    too_deep: bool,
}

struct Splitter<'a> {
    text: &'a str,
    tokens: &'a [Token],
    file: FileId,
    starts_node: fn(&str) -> bool,
    chunks: Vec<Chunk>,
    chunk: Open,
    recovering: bool,
    out: &'a mut Vec<Diagnostic>,
}

impl Splitter<'_> {
    fn run(&mut self) {
        for at in 0..self.tokens.len() {
            self.token(at);
        }
        if let Some(first) = self.chunk.first
            && !self.chunk.stack.is_empty()
            && !self.chunk.swallowed
        {
            // Some brace is never closed: the open chunk is read again, now with an eye on where
            // the next node begins.
            self.out.truncate(self.chunk.reported);
            self.chunk = Open::default();
            self.recovering = true;
            for at in first..self.tokens.len() {
                self.token(at);
            }
        }
        if self.chunk.first.is_some() {
            if !self.chunk.stack.is_empty() && !self.chunk.swallowed {
                self.unclosed_brace(None);
            }
            self.finish(self.tokens.len());
        }
    }

    fn token(&mut self, at: usize) {
        let Some(token) = self.tokens.get(at).copied() else { return };
        match token.kind {
            Kind::Newline | Kind::LineComment | Kind::Semicolon => {
                if token.kind == Kind::LineComment {
                    self.bare_address(at, token);
                }
                self.line_end(at, token);
            }
            Kind::BlockComment => {}
            Kind::Close => self.close(at, token),
            _ => {
                if self.recovering && !self.chunk.stack.is_empty() && self.starts_node_at(token) {
                    self.unclosed_brace(Some(token));
                    self.finish(at);
                }
                if self.chunk.first.is_none() {
                    self.chunk.first = Some(at);
                    self.chunk.reported = self.out.len();
                }
                self.inner(at, token);
            }
        }
    }

    /// A token that belongs to a node.
    fn inner(&mut self, at: usize, token: Token) {
        let chunk = &mut self.chunk;
        chunk.dash_pending = token.kind == Kind::Slashdash;
        chunk.continued = token.kind == Kind::Continue;
        chunk.has_node |= !chunk.continued;
        match token.kind {
            Kind::Slashdash => chunk.node_dash = true,
            Kind::Open => self.open(at, token),
            Kind::Unclosed | Kind::UnclosedComment => self.unclosed_text(at, token),
            Kind::Forbidden => chunk.broken = true,
            _ => {}
        }
    }

    fn line_end(&mut self, at: usize, token: Token) {
        let kind = token.kind;
        let chunk = &mut self.chunk;
        if kind != Kind::Semicolon && (chunk.dash_pending || chunk.continued) {
            chunk.continued &= kind == Kind::LineComment;
            return;
        }
        chunk.node_dash = false;
        let alone = kind == Kind::Semicolon && !chunk.has_node;
        if chunk.stack.is_empty() && chunk.first.is_some() && (!alone || chunk.continued) {
            // A `\` or `/-` right before a `;` is a mistake that shows only together with it.
            let lost = chunk.continued || chunk.dash_pending;
            self.finish(if lost { at + 1 } else { at });
        } else if chunk.stack.is_empty() && alone {
            self.chunk = Open::default();
            self.out.push(mistakes::lone_semicolon(Span {
                file: self.file,
                start: token.start,
                end: token.end,
            }));
        }
    }

    /// `https://…` without quotes: a word and a comment to KDL, an address to people.
    fn bare_address(&mut self, at: usize, token: Token) {
        let before = at.checked_sub(1).and_then(|at| self.tokens.get(at)).copied();
        let Some(word) = before.filter(|word| word.kind == Kind::Word && word.end == token.start)
        else {
            return;
        };
        if !self.slice(word).ends_with(':') {
            return;
        }
        let address: &str = self.text.get(word.start as usize..).unwrap_or_default();
        let length = address.find(char::is_whitespace).unwrap_or(address.len());
        let span = Span { file: self.file, start: word.start, end: word.start + length as u32 };
        let shown: String = address.chars().take(length.min(60)).collect();
        self.chunk.broken = true;
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::syntax",
                span,
                "an address needs quotes",
                "`//` begins a comment here",
            )
            .help(format!("write `\"{shown}\"`")),
        );
    }

    fn open(&mut self, at: usize, token: Token) {
        if self.chunk.first == Some(at)
            && let Some(before) = self.chunks.last_mut()
        {
            // A block on a line of its own was meant for the node before it.
            before.broken = true;
        }
        let outer = self.chunk.stack.last().map_or(0, |brace| brace.dashes);
        let node_dash = self.chunk.node_dash;
        let dashes = outer.saturating_add(u8::from(node_dash));
        if dashes > MAX_SLASHDASH && !self.chunk.too_deep {
            self.too_deep(
                token,
                format!("`/-` is nested more than {MAX_SLASHDASH} deep"),
                "use `/* … */` to leave out a larger part",
            );
        }
        if self.chunk.stack.len() >= MAX_DEPTH && !self.chunk.too_deep {
            self.too_deep(
                token,
                format!("braces are nested more than {MAX_DEPTH} deep"),
                "no part of the language nests more than a few braces",
            );
        }
        self.chunk.stack.push(Brace { token: at, dashes, node_dash });
        self.chunk.node_dash = false;
    }

    fn too_deep(&mut self, token: Token, message: String, help: &str) {
        self.chunk.too_deep = true;
        self.chunk.broken = true;
        let label = "one level too many";
        self.out.push(
            Diagnostic::error("mabuild::lang::nesting", self.span(token), message, label)
                .help(help),
        );
    }

    fn close(&mut self, at: usize, token: Token) {
        self.chunk.dash_pending = false;
        self.chunk.continued = false;
        if let Some(brace) = self.chunk.stack.pop() {
            self.chunk.node_dash = brace.node_dash;
            if self.recovering && self.chunk.suspect.is_none() {
                let opener = self.tokens.get(brace.token).copied().unwrap_or(token);
                let (indent, begins_line) = self.indent(token);
                if begins_line && indent < self.indent(opener).0 {
                    self.chunk.suspect = Some(brace.token);
                }
            }
            return;
        }
        if self.chunk.first.is_some() {
            self.finish(at);
        }
        self.out.push(
            Diagnostic::error(
                "mabuild::lang::brace",
                self.span(token),
                "this `}` closes nothing",
                "no `{` is open here",
            )
            .help("remove it, or add the `{` that is missing above"),
        );
    }

    fn finish(&mut self, end: usize) {
        let chunk = std::mem::take(&mut self.chunk);
        if let Some(first) = chunk.first {
            self.chunks.push(Chunk { first, end, broken: chunk.broken });
        }
    }

    /// A string or comment without its end.
    fn unclosed_text(&mut self, at: usize, token: Token) {
        self.chunk.broken = true;
        let text = self.text;
        let literal = text.get(token.start as usize..token.end as usize).unwrap_or_default();
        let (lines, what, close) = match token.kind {
            Kind::UnclosedComment => (true, "comment", "*/".to_owned()),
            _ => {
                let hashes: String = literal.chars().take_while(|c| *c == '#').collect();
                let lines = literal.get(hashes.len()..).is_some_and(|q| q.starts_with("\"\"\""));
                (lines, "string", format!("{}{hashes}", if lines { "\"\"\"" } else { "\"" }))
            }
        };
        let opener = literal.find(|c| !matches!(c, '#' | '"' | '/' | '*')).unwrap_or(literal.len());
        if !lines {
            self.braces_within(at, literal);
        }
        self.chunk.swallowed |= lines;
        let help = if lines {
            format!("write `{close}` where the {what} ends")
        } else {
            format!(
                "write `{close}` where the string ends; a string of several lines stands between `\"\"\"`, each on the line of its own"
            )
        };
        let end = token.start + opener.min(6) as u32;
        let span = Span { file: self.file, start: token.start, end };
        let message = format!("this {what} is never closed");
        let label = format!("the {what} begins here");
        self.out
            .push(Diagnostic::error("mabuild::lang::unclosed", span, message, label).help(help));
    }

    /// Counts the braces of a string that its line cut off: those that do not pair up there were
    /// not meant as text.
    fn braces_within(&mut self, at: usize, literal: &str) {
        let count = |brace: u8| literal.bytes().filter(|byte| *byte == brace).count();
        let (opens, closes) = (count(b'{'), count(b'}'));
        if opens > closes && self.chunk.stack.len() < MAX_DEPTH {
            self.chunk.stack.push(Brace { token: at, dashes: 0, node_dash: false });
        }
        let left = self.chunk.stack.len().saturating_sub(closes.saturating_sub(opens));
        self.chunk.stack.truncate(left);
    }

    fn unclosed_brace(&mut self, next: Option<Token>) {
        self.chunk.broken = true;
        let left = self.chunk.stack.last().map(|brace| brace.token);
        let opener = self.chunk.suspect.or(left).and_then(|at| self.tokens.get(at)).copied();
        let Some(opener) = opener.filter(|token| token.kind == Kind::Open) else { return };
        let mut diagnostic = Diagnostic::error(
            "mabuild::lang::brace",
            self.span(opener),
            "this `{` is never closed",
            "opened here",
        )
        .help("write the `}` that is missing");
        if let Some(next) = next {
            diagnostic = diagnostic.and(self.span(next), "a new node begins here, still inside");
        }
        self.out.push(diagnostic);
    }

    fn forbidden(&mut self, forbidden: &[Token]) {
        for token in forbidden {
            let code = self.slice(*token).chars().next().map_or(0, u32::from);
            let what = if code < 0x20 { "a control character" } else { "an invisible character" };
            self.out.push(
                Diagnostic::error(
                    "mabuild::lang::character",
                    self.span(*token),
                    format!("{what}, U+{code:04X}, stands in the file"),
                    "here",
                )
                .help(format!("remove it; in a string it can be written as `\\u{{{code:x}}}`")),
            );
        }
    }

    fn starts_node_at(&self, token: Token) -> bool {
        let before = (token.start as usize).checked_sub(1);
        let newline = before.is_none_or(|at| self.text.as_bytes().get(at) == Some(&b'\n'));
        newline && token.kind == Kind::Word && (self.starts_node)(self.slice(token))
    }

    /// Bytes of space at the start of the token's line, and whether only they stand before it.
    /// Looks back a little way only: no line that people indent is longer.
    fn indent(&self, token: Token) -> (usize, bool) {
        let before = self.text.as_bytes().get(..token.start as usize).unwrap_or_default();
        let before = before.get(before.len().saturating_sub(MAX_LINE)..).unwrap_or_default();
        let line = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = before.get(line..).unwrap_or_default();
        let indent = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        (indent, indent == line.len() && line.len() < MAX_LINE)
    }

    fn slice(&self, token: Token) -> &str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    fn span(&self, token: Token) -> Span {
        Span { file: self.file, start: token.start, end: token.end }
    }
}
