//! Words for the mistakes people make in KDL: called for a node that the parsers refuse, to say
//! what is wrong in place of their general messages.

use super::full::Refusal;
use super::lex::{Kind, Token, is_newline, is_space};
use super::strings;
use crate::diag::Diagnostic;
use crate::source::{FileId, Span};

const CODE: &str = "mabuild::lang::syntax";

/// What is wrong with a refused node; the refusals themselves when no known mistake is found.
pub(crate) fn explain(
    text: &str,
    tokens: &[Token],
    file: FileId,
    refusals: Vec<Refusal>,
) -> Vec<Diagnostic> {
    let mut finder =
        Finder { text, tokens, file, out: Vec::new(), at: 0, state: State::Start, last: None };
    finder.run();
    if !finder.out.is_empty() {
        return finder.out;
    }
    let say = |refusal: Refusal| {
        let span = Span { file, start: refusal.start, end: refusal.end.max(refusal.start) };
        let help = refusal.help.unwrap_or_else(|| {
            "a node is a name, then values with spaces between them, then `{ … }` for its children"
                .to_owned()
        });
        Diagnostic::error(CODE, span, refusal.message, "here").help(help)
    };
    refusals.into_iter().take(1).map(say).collect()
}

/// A `;` with no node before it on its line.
pub(crate) fn lone_semicolon(span: Span) -> Diagnostic {
    Diagnostic::error(CODE, span, "this `;` ends nothing", "no node stands before it")
        .help("remove it")
}

/// Where in a node the finder stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the name.
    Start,
    /// Right after the name.
    Named,
    /// Among the values.
    Values,
    /// After the closing brace.
    Closed,
}

struct Finder<'a> {
    text: &'a str,
    tokens: &'a [Token],
    file: FileId,
    out: Vec<Diagnostic>,
    at: usize,
    state: State,
    /// The value before, for values without a space between them.
    last: Option<Token>,
}

impl<'a> Finder<'a> {
    fn run(&mut self) {
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            self.token(token);
            if self.out.len() > 20 {
                break;
            }
        }
    }

    fn token(&mut self, token: Token) {
        match token.kind {
            Kind::Newline if self.continues() => {}
            Kind::Semicolon if self.state == State::Start => {
                self.out.push(lone_semicolon(self.span(token)));
            }
            Kind::Newline | Kind::Semicolon => self.restart(State::Start),
            Kind::LineComment | Kind::BlockComment | Kind::Slashdash => self.last = None,
            Kind::Open => {
                if self.state == State::Start && !self.after_slashdash() {
                    self.say(
                        token,
                        "this block has no node",
                        "the node of a block stands before it on the same line",
                        "write the `{` at the end of the line that names the node",
                    );
                }
                self.restart(State::Start);
            }
            Kind::Close => self.restart(State::Closed),
            Kind::Equals => self.equals(token),
            Kind::Stray => self.stray(token),
            Kind::Continue => self.continue_line(token),
            Kind::ParenOpen | Kind::ParenClose => self.last = None,
            _ => self.value(token),
        }
    }

    fn restart(&mut self, state: State) {
        self.state = state;
        self.last = None;
    }

    /// Whether the line end just read is one that a backslash takes away.
    fn continues(&self) -> bool {
        let before = self.tokens.iter().take(self.at.saturating_sub(1)).rev();
        let mut before =
            before.skip_while(|t| matches!(t.kind, Kind::LineComment | Kind::BlockComment));
        before.next().is_some_and(|t| matches!(t.kind, Kind::Continue | Kind::Slashdash))
    }

    fn after_slashdash(&self) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        before.is_some_and(|token| token.kind == Kind::Slashdash)
    }

    fn value(&mut self, token: Token) {
        let text = self.slice(token);
        if self.state == State::Closed {
            self.state = State::Values;
            self.last = Some(token);
            self.say(
                token,
                "something follows the `}` of a node on its line",
                "a node ends with its `}`",
                "begin a new line here",
            );
            return;
        }
        if let Some(last) = self.last.filter(|last| last.end == token.start) {
            self.glued(last, token, text);
        } else if token.kind == Kind::Word {
            self.bare(token, text);
        } else if token.kind == Kind::Keyword {
            self.keyword(token, text);
        } else {
            self.string(token, text);
        }
        self.last = Some(token);
        self.state = if self.state == State::Start { State::Named } else { State::Values };
    }

    fn glued(&mut self, last: Token, token: Token, text: &str) {
        if text.starts_with(',') {
            self.say(
                token,
                "values are not separated by commas",
                "a space is enough",
                "remove the comma",
            );
            return;
        }
        let both = Token { start: last.start, ..token };
        self.say(
            both,
            "two values stand without a space between them",
            "this reads as two values",
            "put a space between them, or quotes around the whole",
        );
    }

    fn bare(&mut self, token: Token, text: &str) {
        if self.state == State::Start && !text.starts_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        if matches!(text, "true" | "false" | "null" | "inf" | "nan") {
            self.say(
                token,
                &format!("`{text}` needs a `#` before it"),
                "a bare word here",
                &format!("write `#{text}`, or `\"{text}\"` for the text"),
            );
            return;
        }
        let sign = text.trim_start_matches(['-', '+']);
        let looks_like_number = sign.starts_with(|c: char| c.is_ascii_digit())
            || sign
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if looks_like_number && !is_number(sign) {
            self.say(
                token,
                &format!("`{text}` is neither a number nor a word"),
                "a word that begins like a number",
                &format!("put it in quotes: `\"{text}\"`"),
            );
        } else if looks_like_number && is_too_large(sign) {
            self.say(
                token,
                "this number is too large",
                "more than 38 digits",
                &format!("put it in quotes: `\"{text}\"`"),
            );
        } else if text.len() > 1 && text.ends_with(',') {
            self.say(
                token,
                "values are not separated by commas",
                "the comma would be part of the value",
                "remove the comma",
            );
        }
    }

    fn keyword(&mut self, token: Token, text: &str) {
        if matches!(text, "#true" | "#false" | "#null" | "#inf" | "#-inf" | "#nan") {
            return;
        }
        let help =
            "comments begin with `//`; the words with a `#` are `#true`, `#false` and `#null`";
        self.say(token, &format!("`{text}` means nothing"), "not a value", help);
    }

    fn string(&mut self, token: Token, text: &str) {
        if strings::decode(text, token.kind).is_some() {
            return;
        }
        if let Some((start, end)) = bad_escape(text, token.kind) {
            let bad = Token {
                start: token.start + start as u32,
                end: token.start + end as u32,
                kind: token.kind,
            };
            let written = self.slice(bad).to_owned();
            self.say(
                bad,
                &format!("`{written}` is no escape sequence"),
                "in this string",
                "write `\\\\` for a backslash, or a raw string `#\"…\"#` in which backslashes mean nothing",
            );
        } else if matches!(token.kind, Kind::Multiline | Kind::RawMultiline) {
            self.multiline(token, text);
        } else if token.kind == Kind::Raw {
            self.say(
                token,
                "this raw string is malformed",
                "here",
                "use a plain string `\"\\\"\"`",
            );
        }
    }

    fn multiline(&mut self, token: Token, text: &str) {
        let opener = text.bytes().take_while(|b| matches!(b, b'#' | b'"')).count();
        let head = text.get(opener..).unwrap_or_default();
        let start = Token { end: token.start + opener as u32, ..token };
        if !head.starts_with(is_newline) {
            self.say(
                start,
                "the text of a `\"\"\"` string begins on the next line",
                "a line end must follow here",
                "break the line after `\"\"\"`",
            );
            return;
        }
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let last = text.get(line..).unwrap_or_default();
        let indent = last.len() - last.trim_start_matches(is_space).len();
        let close = Token { start: token.start + (line + indent) as u32, ..token };
        if !last.get(indent..).is_some_and(|rest| rest.starts_with(['"', '#'])) {
            self.say(
                close,
                "the closing `\"\"\"` stands on a line of its own",
                "text before the closing quotes",
                "break the line before `\"\"\"`",
            );
            return;
        }
        let indent = last.get(..indent).unwrap_or_default();
        let mut at = 0;
        for part in text.split_inclusive('\n') {
            let blank = part.chars().all(|c| is_space(c) || is_newline(c));
            if at > 0 && at < line && !blank && !part.starts_with(indent) {
                let shown = part.len() - part.trim_start_matches(is_space).len();
                let first = Token {
                    start: token.start + at as u32,
                    end: token.start + (at + shown.max(1)) as u32,
                    kind: token.kind,
                };
                self.out.push(
                    Diagnostic::error(
                        CODE,
                        self.span(first),
                        "a line of this string is indented less than its closing quotes",
                        "this line",
                    )
                    .and(self.span(close), "the closing quotes set the indentation")
                    .help(
                        "indent the line as far as the closing `\"\"\"`, with the same characters",
                    ),
                );
                return;
            }
            at += part.len();
        }
    }

    fn equals(&mut self, token: Token) {
        let next = self.tokens.get(self.at).copied();
        let state = self.state;
        let has_value = next.is_some_and(|next| {
            !matches!(
                next.kind,
                Kind::Newline | Kind::Semicolon | Kind::Open | Kind::Close | Kind::LineComment
            )
        });
        if state == State::Named {
            self.say(
                token,
                "a node takes its value without `=`",
                "no `=` here",
                "write the value after the name: `name \"value\"`",
            );
        } else if !has_value {
            self.say(
                token,
                "this property has no value",
                "a value must follow",
                "write `name=\"value\"`",
            );
        }
        self.last = None;
        self.state = if state == State::Start { State::Named } else { State::Values };
    }

    fn stray(&mut self, token: Token) {
        match self.slice(token) {
            text if text.starts_with('#') => {
                self.say(
                    token,
                    "`#` begins no comment",
                    "not a comment",
                    "write `//` before a comment",
                );
                // The rest of the line is prose.
                while self.tokens.get(self.at).is_some_and(|t| t.kind != Kind::Newline) {
                    self.at += 1;
                }
            }
            "/" => {
                let whole = self.glued_run();
                let written = self.slice(whole).to_owned();
                self.say(
                    whole,
                    "a value with a `/` needs quotes",
                    "a path or an address",
                    &format!("write `\"{written}\"`"),
                );
                self.last = None;
                self.state = State::Values;
            }
            text => {
                let message = format!("`{text}` means nothing in KDL");
                let help =
                    "a list is written as values one after the other: `tags \"1.27\" \"latest\"`";
                self.say(token, &message, "here", help);
            }
        }
    }

    /// The run of tokens without space around the one just read; goes behind it.
    fn glued_run(&mut self) -> Token {
        let stops = |token: &Token| {
            matches!(
                token.kind,
                Kind::Newline | Kind::Semicolon | Kind::Open | Kind::Close | Kind::Equals
            )
        };
        let mut first = self.at.saturating_sub(1);
        while let (Some(before), Some(here)) =
            (first.checked_sub(1).and_then(|at| self.tokens.get(at)), self.tokens.get(first))
        {
            if before.end != here.start || stops(before) {
                break;
            }
            first -= 1;
        }
        while let (Some(here), Some(next)) =
            (self.tokens.get(self.at.saturating_sub(1)), self.tokens.get(self.at))
        {
            if next.start != here.end || stops(next) {
                break;
            }
            self.at += 1;
        }
        let start = self.tokens.get(first).map_or(0, |token| token.start);
        let end = self.tokens.get(self.at.saturating_sub(1)).map_or(start, |token| token.end);
        Token { kind: Kind::Word, start, end }
    }

    fn continue_line(&mut self, token: Token) {
        self.last = None;
        let next = self.tokens.get(self.at).map(|token| token.kind);
        let fine =
            matches!(next, None | Some(Kind::Newline | Kind::LineComment | Kind::BlockComment));
        if !fine {
            self.say(
                token,
                "a `\\` outside of a string stands at the end of its line",
                "something follows it",
                "put quotes around the value, or break the line after the `\\`",
            );
        }
    }

    fn say(&mut self, token: Token, message: &str, label: &str, help: &str) {
        self.out.push(Diagnostic::error(CODE, self.span(token), message, label).help(help));
    }

    fn slice(&self, token: Token) -> &'a str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    fn span(&self, token: Token) -> Span {
        Span { file: self.file, start: token.start, end: token.end }
    }
}

/// Whether a word without its sign is a number in any of KDL's forms.
fn is_number(word: &str) -> bool {
    let digits = |rest: &str, radix: u32| {
        rest.starts_with(|c: char| c.is_digit(radix))
            && rest.chars().all(|c| c == '_' || c.is_digit(radix))
    };
    match word.get(..2) {
        Some("0x" | "0X") => return digits(word.get(2..).unwrap_or_default(), 16),
        Some("0o" | "0O") => return digits(word.get(2..).unwrap_or_default(), 8),
        Some("0b" | "0B") => return digits(word.get(2..).unwrap_or_default(), 2),
        _ => {}
    }
    let plain = word.replace('_', "");
    word.starts_with(|c: char| c.is_ascii_digit())
        && plain
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && plain.parse::<f64>().is_ok()
        && !plain.ends_with('.')
}

/// Whether a whole number has no place in 128 bits.
fn is_too_large(word: &str) -> bool {
    let digits = word.replace('_', "");
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<i128>().is_err()
}

/// Byte range of the first bad escape of a literal.
fn bad_escape(literal: &str, kind: Kind) -> Option<(usize, usize)> {
    if !matches!(kind, Kind::Quoted | Kind::Multiline) {
        return None;
    }
    let mut chars = literal.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            continue;
        }
        let (_, next) = chars.next()?;
        let good = matches!(next, '\\' | '"' | 'b' | 'f' | 'n' | 'r' | 't' | 's')
            || is_space(next)
            || is_newline(next);
        if good {
            continue;
        }
        let rest = literal.get(at + 1..)?;
        let end = rest.find('}').map_or(0, |end| end + 1);
        if next == 'u'
            && strings::decode(&format!("\"\\{}\"", rest.get(..end)?), Kind::Quoted).is_some()
        {
            continue;
        }
        return Some((at, at + 1 + next.len_utf8()));
    }
    None
}
