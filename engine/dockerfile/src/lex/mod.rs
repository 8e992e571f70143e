//! The shell lexer of Dockerfiles: quotes, escapes, `$name` and `${name…}`.

mod variable;

use std::collections::BTreeSet;

/// Looks a variable up.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How the lexer reads. The default is how words are expanded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// The escape character.
    pub(crate) escape: char,
    /// Quotes stay in the result.
    pub(crate) raw_quotes: bool,
    /// Escape characters stay in the result.
    pub(crate) raw_escapes: bool,
    /// Quotes mean nothing, as in a heredoc.
    pub(crate) no_quotes: bool,
    /// References to unknown variables stay in the result.
    pub(crate) keep_unset: bool,
    /// The result is split into words too.
    pub(crate) words: bool,
}

impl Mode {
    /// Gives the mode in which words are expanded, to one text.
    pub(crate) fn new(escape: char) -> Self {
        let (raw_quotes, raw_escapes, no_quotes) = (false, false, false);
        Self { escape, raw_quotes, raw_escapes, no_quotes, keep_unset: false, words: false }
    }
}

/// What went wrong, as positions in the lexed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

/// One word of the result, and where it was in the lexed text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A lexed text.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    /// The result as one text.
    pub(crate) text: String,
    /// The result split at white space that is not quoted, when the mode asks for that.
    pub(crate) words: Vec<Piece>,
    keeps_words: bool,
    piece: Piece,
    in_word: bool,
}

impl Lexed {
    fn raw(&mut self, text: &str, start: usize, end: usize) {
        if !self.keeps_words {
            return;
        }
        if !self.in_word {
            self.in_word = true;
            self.piece.start = start;
        }
        self.piece.text.push_str(text);
        self.piece.end = end;
    }

    fn split(&mut self, text: &str, start: usize, end: usize) {
        if !self.keeps_words {
            return;
        }
        let mut utf8 = [0; 4];
        for c in text.chars() {
            if !c.is_whitespace() {
                self.raw(c.encode_utf8(&mut utf8), start, end);
            } else if self.in_word && !self.piece.text.is_empty() {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        if !self.piece.text.is_empty() {
            self.words.push(std::mem::take(&mut self.piece));
        }
        self.in_word = false;
    }
}

/// How deep `${a:-${b:-…}}` nests.
const DEEPEST: usize = 64;
/// How much text one expansion may produce or look at, in bytes.
const BUDGET: usize = 32 << 20;
/// How many steps the patterns of one expansion may take.
const STEPS: usize = 1 << 28;

/// Reads one text.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    mode: Mode,
    env: Env<'a>,
    depth: usize,
    budget: usize,
    steps: usize,
    /// Names that were looked up and had a value.
    pub(crate) found: BTreeSet<String>,
    /// Names that were looked up and had none.
    pub(crate) missing: BTreeSet<String>,
}

pub(super) type Result<T> = std::result::Result<T, LexError>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, mode: Mode, env: Env<'a>) -> Self {
        let (found, missing) = (BTreeSet::new(), BTreeSet::new());
        Self { text, at: 0, mode, env, depth: 0, budget: BUDGET, steps: STEPS, found, missing }
    }

    /// Reads to the end.
    pub(crate) fn run(&mut self) -> Result<Lexed> {
        self.until(None, self.mode.raw_escapes, 0)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn error(&self, start: usize, message: impl Into<String>, help: &'static str) -> LexError {
        LexError { start, end: self.at, message: message.into(), help: Some(help) }
    }

    fn unclosed(&self, start: usize) -> LexError {
        self.error(start, "the `}` of this variable is missing", "write `${name}`")
    }

    fn spend(&mut self, bytes: usize, start: usize) -> Result<()> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.error(start, "the expanded text is too long", "use shorter values")),
        }
    }

    /// Reads up to a character, or to the end. What began at `start` is underlined when the
    /// character is missing.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool, start: usize) -> Result<Lexed> {
        if self.depth >= DEEPEST {
            return Err(self.error(
                start,
                "variables are nested too deep",
                "use fewer `${…:-${…}}`",
            ));
        }
        let outer = std::mem::replace(&mut self.mode.raw_escapes, raw_escapes);
        self.depth += 1;
        let result = self.pieces(stop, start);
        self.depth -= 1;
        self.mode.raw_escapes = outer;
        result
    }

    fn pieces(&mut self, stop: Option<char>, start: usize) -> Result<Lexed> {
        let mut out = Lexed { keeps_words: self.mode.words, ..Lexed::default() };
        while let Some(c) = self.peek() {
            let from = self.at;
            if !out.keeps_words && self.run_of_plain(stop, &mut out) {
                continue;
            }
            if Some(c) == stop {
                self.bump();
                out.flush();
                return Ok(out);
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    self.spend(value.len(), from)?;
                    out.split(&value, from, self.at);
                    out.text.push_str(&value);
                }
                '\'' | '"' if !self.mode.no_quotes => {
                    let value =
                        if c == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    out.raw(&value, from, self.at);
                    out.text.push_str(&value);
                }
                '<' => {
                    let value = self.maybe_heredoc();
                    out.raw(value, from, self.at);
                    out.text.push_str(value);
                }
                _ => self.plain(c, &mut out),
            }
        }
        match stop {
            None => {
                out.flush();
                Ok(out)
            }
            Some(c) => {
                let message = format!("the `{c}` of this variable is missing");
                Err(self.error(
                    start,
                    message,
                    "close the `${…}`; put quotes around it when it holds spaces",
                ))
            }
        }
    }

    /// Takes all characters up to the next one that may mean something; says whether there are any.
    fn run_of_plain(&mut self, stop: Option<char>, out: &mut Lexed) -> bool {
        let rest = self.text.get(self.at..).unwrap_or("");
        let escape = self.mode.escape;
        let means = |c| matches!(c, '$' | '\'' | '"' | '<') || c == escape || Some(c) == stop;
        let run = rest.get(..rest.find(means).unwrap_or(rest.len())).unwrap_or("");
        out.text.push_str(run);
        self.at += run.len();
        !run.is_empty()
    }

    fn plain(&mut self, c: char, out: &mut Lexed) {
        let from = self.at;
        self.bump();
        let mut utf8 = [0; 4];
        if c != self.mode.escape {
            out.split(c.encode_utf8(&mut utf8), from, self.at);
            out.text.push(c);
            return;
        }
        if self.mode.raw_escapes {
            out.raw(c.encode_utf8(&mut utf8), from, self.at);
            out.text.push(c);
        }
        if let Some(next) = self.bump() {
            out.raw(next.encode_utf8(&mut utf8), from, self.at);
            out.text.push(next);
        }
    }

    /// White space between `<<` and its word does not end a word, so that `<< EOF` is one.
    fn maybe_heredoc(&mut self) -> &'a str {
        let from = self.at;
        self.bump();
        if self.peek() == Some('<') {
            self.bump();
            while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n')) {
                self.bump();
            }
        }
        self.text.get(from..self.at).unwrap_or("")
    }

    fn single_quoted(&mut self) -> Result<String> {
        let start = self.at;
        self.bump();
        let rest = self.text.get(self.at..).unwrap_or("");
        let Some(len) = rest.find('\'') else {
            self.at = self.text.len();
            let help = "close it, or escape it if it is meant as it is";
            return Err(self.error(start, "this single quote is never closed", help));
        };
        self.at += len + 1;
        let (from, to) =
            if self.mode.raw_quotes { (start, self.at) } else { (start + 1, self.at - 1) };
        Ok(self.text.get(from..to).unwrap_or("").to_owned())
    }

    fn double_quoted(&mut self) -> Result<String> {
        let start = self.at;
        let mut out = String::new();
        self.quote_mark(&mut out);
        loop {
            match self.peek() {
                None => {
                    let help = "close it, or escape it if it is meant as it is";
                    return Err(self.error(start, "this double quote is never closed", help));
                }
                Some('"') => {
                    self.quote_mark(&mut out);
                    return Ok(out);
                }
                Some('$') => {
                    let from = self.at;
                    let value = self.dollar()?;
                    self.spend(value.len(), from)?;
                    out.push_str(&value);
                }
                Some(c) => {
                    self.bump();
                    self.quoted_char(c, &mut out);
                }
            }
        }
    }

    fn quote_mark(&mut self, out: &mut String) {
        self.bump();
        if self.mode.raw_quotes {
            out.push('"');
        }
    }

    /// Within double quotes the escape character works on `"`, `$` and itself only.
    fn quoted_char(&mut self, c: char, out: &mut String) {
        if c != self.mode.escape {
            return out.push(c);
        }
        if self.mode.raw_escapes {
            out.push(c);
        }
        match self.peek() {
            None => {}
            Some(next) if matches!(next, '"' | '$') || next == self.mode.escape => {
                self.bump();
                out.push(next);
            }
            Some(_) => out.push(c),
        }
    }
}
