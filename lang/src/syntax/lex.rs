//! Text to tokens. Total: every byte of every text belongs to a token or to the space between two.
//! Knows where strings, comments and braces begin and end, not what they mean.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Newline,
    Semicolon,
    Open,
    Close,
    Equals,
    ParenOpen,
    ParenClose,
    /// `/-`: the thing after it does not count.
    Slashdash,
    /// `\` at the end of a line: the node goes on in the next one.
    Continue,
    /// `// …` without its line end.
    LineComment,
    /// `/* … */`
    BlockComment,
    /// A bare run of characters: an identifier or a number.
    Word,
    /// `#true` and its like.
    Keyword,
    /// `"…"`
    Quoted,
    /// `"""` over several lines.
    Multiline,
    /// `#"…"#` with any number of `#`.
    Raw,
    /// `#"""` over several lines.
    RawMultiline,
    /// A quoted or raw string that its line or the file ends before its closing quote.
    Unclosed,
    /// `/*` without its `*/`.
    UnclosedComment,
    /// A character that can stand nowhere outside of a string.
    Stray,
    /// A character that can stand nowhere at all: control and text-direction characters.
    Forbidden,
}

impl Kind {
    /// Whether the token is a value or a name.
    pub fn is_value(self) -> bool {
        matches!(
            self,
            Self::Word
                | Self::Keyword
                | Self::Quoted
                | Self::Multiline
                | Self::Raw
                | Self::RawMultiline
        )
    }
}

/// One token: a byte range of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
}

/// The tokens of a text.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub tokens: Vec<Token>,
    /// All forbidden characters, those within strings and comments too.
    pub forbidden: Vec<Token>,
}

/// Splits a text of less than 4 GiB into tokens.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, out: Lexed::default() };
    lexer.out.tokens.reserve(text.len() / 6);
    if text.starts_with('\u{feff}') {
        lexer.at = 3;
    }
    while lexer.at < lexer.bytes.len() {
        lexer.token();
    }
    lexer.out
}

struct Lexer<'s> {
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    out: Lexed,
}

impl Lexer<'_> {
    fn token(&mut self) {
        let start = self.at;
        let kind = match self.bytes.get(start).copied().unwrap_or(0) {
            b' ' | b'\t' => {
                self.at += 1;
                return;
            }
            b'\n' | 0x0b | 0x0c => self.take(1, Kind::Newline),
            b'\r' => self.take(if self.peek(1) == b'\n' { 2 } else { 1 }, Kind::Newline),
            b';' => self.take(1, Kind::Semicolon),
            b'{' => self.take(1, Kind::Open),
            b'}' => self.take(1, Kind::Close),
            b'=' => self.take(1, Kind::Equals),
            b'(' => self.take(1, Kind::ParenOpen),
            b')' => self.take(1, Kind::ParenClose),
            b'\\' => self.take(1, Kind::Continue),
            b'[' | b']' => self.take(1, Kind::Stray),
            b'"' => self.quoted(),
            b'#' => self.hash(),
            b'/' => match self.peek(1) {
                b'-' => self.take(2, Kind::Slashdash),
                b'/' => self.line_comment(),
                b'*' => self.block_comment(),
                _ => self.take(1, Kind::Stray),
            },
            byte if byte.is_ascii() && !is_forbidden_ascii(byte) => self.word(),
            _ => match self.char_at(start) {
                c if is_space(c) => {
                    self.at += c.len_utf8();
                    return;
                }
                c if is_newline(c) => self.take(c.len_utf8(), Kind::Newline),
                c if is_forbidden(c) => {
                    self.step();
                    Kind::Forbidden
                }
                _ => self.word(),
            },
        };
        self.out.tokens.push(Token { kind, start: start as u32, end: self.at as u32 });
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    fn char_at(&self, at: usize) -> char {
        self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\0')
    }

    /// Steps over one character; reports one that no text may hold.
    fn step(&mut self) {
        let c = self.char_at(self.at);
        if is_forbidden(c) {
            let end = self.at + c.len_utf8();
            let token = Token { kind: Kind::Forbidden, start: self.at as u32, end: end as u32 };
            self.out.forbidden.push(token);
        }
        self.at += c.len_utf8();
    }

    fn word(&mut self) -> Kind {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            if byte.is_ascii() {
                if !is_word_ascii(byte) {
                    break;
                }
                self.at += 1;
                continue;
            }
            let c = self.char_at(self.at);
            if is_space(c) || is_newline(c) || is_forbidden(c) {
                break;
            }
            self.at += c.len_utf8();
        }
        Kind::Word
    }

    fn line_comment(&mut self) -> Kind {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            if matches!(byte, b'\n' | b'\r' | 0x0b | 0x0c) {
                break;
            }
            if byte.is_ascii() && !is_forbidden_ascii(byte) {
                self.at += 1;
            } else if is_newline(self.char_at(self.at)) {
                break;
            } else {
                self.step();
            }
        }
        Kind::LineComment
    }

    fn block_comment(&mut self) -> Kind {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match (byte, self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Kind::BlockComment;
                    }
                }
                _ if byte.is_ascii() && !is_forbidden_ascii(byte) => self.at += 1,
                _ => self.step(),
            }
        }
        Kind::UnclosedComment
    }

    /// `"…"` or `"""…"""`, with escapes.
    fn quoted(&mut self) -> Kind {
        if self.peek(1) == b'"' && self.peek(2) == b'"' {
            self.at += 3;
            return self.until_close(0, true, Kind::Multiline);
        }
        self.at += 1;
        self.until_close(0, false, Kind::Quoted)
    }

    /// `#true`, or a raw string.
    fn hash(&mut self) -> Kind {
        let hashes = self.bytes.iter().skip(self.at).take_while(|b| **b == b'#').count();
        if self.peek(hashes) != b'"' {
            self.at += hashes;
            if hashes != 1 {
                return Kind::Stray;
            }
            return match self.word_follows() {
                true => {
                    self.word();
                    Kind::Keyword
                }
                false => Kind::Stray,
            };
        }
        self.at += hashes + 1;
        // `#""…` is the empty raw string or one that starts with a quote; three quotes open a
        // raw string of several lines only when the line ends after them.
        if self.peek(0) == b'"' && self.peek(1) == b'"' && is_newline(self.char_at(self.at + 2)) {
            self.at += 2;
            return self.until_close(hashes, true, Kind::RawMultiline);
        }
        self.until_close(hashes, false, Kind::Raw)
    }

    fn word_follows(&self) -> bool {
        let c = self.char_at(self.at);
        self.at < self.bytes.len()
            && !(is_space(c) || is_newline(c) || is_forbidden(c))
            && (!c.is_ascii() || is_word_ascii(c as u8))
    }

    /// Goes to the end of a string whose opening quotes are behind. A string of one line ends at
    /// the line end at the latest, so that a missing quote harms that line alone.
    fn until_close(&mut self, hashes: usize, lines: bool, kind: Kind) -> Kind {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match byte {
                b'"' if self.closes(hashes, lines) => {
                    self.at += if lines { 3 } else { 1 } + hashes;
                    return kind;
                }
                b'\\' if hashes == 0 => self.escape(),
                _ if byte.is_ascii() && !is_forbidden_ascii(byte) => {
                    if !lines && matches!(byte, b'\n' | b'\r' | 0x0b | 0x0c) {
                        return Kind::Unclosed;
                    }
                    self.at += 1;
                }
                _ if !lines && is_newline(self.char_at(self.at)) => return Kind::Unclosed,
                _ => self.step(),
            }
        }
        Kind::Unclosed
    }

    fn closes(&self, hashes: usize, lines: bool) -> bool {
        let quotes = if lines { 3 } else { 1 };
        (0..quotes).all(|ahead| self.peek(ahead) == b'"')
            && (quotes..quotes + hashes).all(|ahead| self.peek(ahead) == b'#')
    }

    /// A backslash in a string: it takes all space and line ends after it, or one character.
    fn escape(&mut self) {
        self.at += 1;
        let c = self.char_at(self.at);
        if !is_space(c) && !is_newline(c) {
            if self.at < self.bytes.len() {
                self.step();
            }
            return;
        }
        while self.at < self.bytes.len() {
            let c = self.char_at(self.at);
            if !is_space(c) && !is_newline(c) {
                break;
            }
            self.at += c.len_utf8();
        }
    }
}

/// Space within a line.
pub(crate) fn is_space(c: char) -> bool {
    matches!(
        c,
        '\t' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// A character that ends a line.
pub(crate) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A character that KDL allows nowhere.
pub(crate) fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_forbidden_ascii(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0e..=0x1f)
}

fn is_word_ascii(byte: u8) -> bool {
    !matches!(
        byte,
        0..=b' '
            | b'\\'
            | b'/'
            | b'('
            | b')'
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b';'
            | b'"'
            | b'#'
            | b'='
    )
}
