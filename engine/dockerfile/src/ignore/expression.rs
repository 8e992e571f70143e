//! Patterns with brackets and backslashes. Moby makes regular expressions of patterns and looks
//! neither at brackets nor at what a backslash means there: `[*]` is no set with a star in it, and
//! `\d` is any digit. To match the same files, the same expression is made here and read.

use super::pattern::Token;

const OPEN: &str = "the `[` is never closed; `\\[` is a plain bracket";
const MEMBER: &str = "`-` and `]` within brackets need a `\\` before them";
const ORDER: &str = "a range within brackets goes from the smaller to the greater";
const END: &str = "a `\\` at the end escapes nothing";
const ESCAPE: &str = "a `\\` stands before a letter or digit; write `/` between folders";

/// Reads a pattern.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    check(text)?;
    Parser { rest: &expression(text) }.all()
}

/// Checks the syntax as Go's `filepath.Match` does, which moby calls before anything else.
fn check(text: &str) -> Result<(), &'static str> {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next().ok_or(END)?),
            '[' => {
                chars.next_if_eq(&'^');
                let mut count = 0;
                while count == 0 || chars.next_if_eq(&']').is_none() {
                    member(&mut chars)?;
                    if chars.next_if_eq(&'-').is_some() {
                        member(&mut chars)?;
                    }
                    count += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn member(chars: &mut impl Iterator<Item = char>) -> Result<(), &'static str> {
    match chars.next() {
        None => Err(OPEN),
        Some('-' | ']') => Err(MEMBER),
        Some('\\') => chars.next().map(drop).ok_or(OPEN),
        Some(_) => Ok(()),
    }
}

/// Makes the expression that moby makes, without the marks for start and end.
fn expression(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                out.push_str(if chars.peek().is_none() { ".*" } else { FOLDERS });
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => out.extend(['\\', c]),
            '\\' => out.extend(['\\'].into_iter().chain(chars.next())),
            c => out.push(c),
        }
    }
    out
}

/// What `**/` becomes.
const FOLDERS: &str = "(.*/)?";

type Ranges = Vec<(char, char)>;

/// What a backslash and the character behind it mean.
enum Escaped {
    Char(char),
    Class(Ranges),
    Token(Token),
}

/// Reads the expression.
struct Parser<'e> {
    rest: &'e str,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or("");
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn all(&mut self) -> Result<Vec<Token>, &'static str> {
        let mut tokens = Vec::new();
        loop {
            if self.take(FOLDERS) {
                tokens.push(Token::Folders);
                continue;
            }
            if self.take(".*") {
                tokens.push(Token::Rest);
                continue;
            }
            let Some(c) = self.next() else { return Ok(tokens) };
            tokens.push(match c {
                '[' => {
                    let (negated, ranges) = self.class()?;
                    match (self.take("*"), negated, ranges.as_slice()) {
                        (true, true, [('/', '/')]) => Token::Star,
                        (true, ..) => Token::Repeat(negated, ranges),
                        (false, true, [('/', '/')]) => Token::Any,
                        (false, ..) => Token::Set(negated, ranges),
                    }
                }
                '^' => Token::Begin,
                '\\' => match self.escape()? {
                    Escaped::Char(c) => Token::Char(c),
                    Escaped::Class(ranges) => Token::Set(false, ranges),
                    Escaped::Token(token) => token,
                },
                c => Token::Char(c),
            });
        }
    }

    /// Reads a set behind its bracket.
    fn class(&mut self) -> Result<(bool, Ranges), &'static str> {
        let negated = self.take("^");
        let mut ranges = Ranges::new();
        let mut is_first = true;
        while is_first || !self.take("]") {
            is_first = false;
            if let Some(named) = self.named()? {
                ranges.extend(named);
                continue;
            }
            let low = match self.single()? {
                Escaped::Char(low) => low,
                Escaped::Class(class) => {
                    ranges.extend(class);
                    continue;
                }
                Escaped::Token(_) => return Err(ESCAPE),
            };
            let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            let high = if is_range && self.take("-") {
                match self.single()? {
                    Escaped::Char(high) => high,
                    _ => return Err(ESCAPE),
                }
            } else {
                low
            };
            if low > high {
                return Err(ORDER);
            }
            ranges.push((low, high));
        }
        Ok((negated, ranges))
    }

    fn single(&mut self) -> Result<Escaped, &'static str> {
        match self.next().ok_or(OPEN)? {
            '\\' => self.escape(),
            c => Ok(Escaped::Char(c)),
        }
    }

    /// Reads a named class such as `[:alpha:]`, which stands within a set.
    fn named(&mut self) -> Result<Option<Ranges>, &'static str> {
        let Some((name, rest)) =
            self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]"))
        else {
            return Ok(None);
        };
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let ranges: &[(char, char)] = match name {
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "ascii" => &[('\0', '\x7f')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
            "digit" => &[('0', '9')],
            "graph" => &[('!', '~')],
            "lower" => &[('a', 'z')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "upper" => &[('A', 'Z')],
            "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => {
                return Err(
                    "within brackets `[:` begins the name of a class, and there is no such one",
                );
            }
        };
        self.rest = rest;
        Ok(Some(if negated { others(ranges) } else { ranges.to_vec() }))
    }

    /// Reads what stands behind a backslash. Letters and digits mean something to the expression;
    /// those that nobody writes on purpose are refused, as most of them are by moby.
    fn escape(&mut self) -> Result<Escaped, &'static str> {
        const DIGIT: [(char, char); 1] = [('0', '9')];
        const SPACE: [(char, char); 3] = [('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
        const WORD: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
        Ok(match self.next().ok_or(END)? {
            'a' => Escaped::Char('\x07'),
            'f' => Escaped::Char('\x0c'),
            'n' => Escaped::Char('\n'),
            'r' => Escaped::Char('\r'),
            't' => Escaped::Char('\t'),
            'v' => Escaped::Char('\x0b'),
            'd' => Escaped::Class(DIGIT.to_vec()),
            's' => Escaped::Class(SPACE.to_vec()),
            'w' => Escaped::Class(WORD.to_vec()),
            'D' => Escaped::Class(others(&DIGIT)),
            'S' => Escaped::Class(others(&SPACE)),
            'W' => Escaped::Class(others(&WORD)),
            'A' => Escaped::Token(Token::Begin),
            'z' => Escaped::Token(Token::End),
            'b' => Escaped::Token(Token::Boundary(true)),
            'B' => Escaped::Token(Token::Boundary(false)),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Escaped::Char(c),
            _ => return Err(ESCAPE),
        })
    }
}

/// Gives all characters that are not in ranges, which come in their order.
fn others(ranges: &[(char, char)]) -> Ranges {
    let mut out = Ranges::new();
    let mut from = Some('\0');
    for (low, high) in ranges {
        let before = char::from_u32(u32::from(*low).wrapping_sub(1));
        if let (Some(from), Some(before)) = (from, before)
            && from <= before
        {
            out.push((from, before));
        }
        from = char::from_u32(u32::from(*high) + 1);
    }
    out.extend(from.map(|from| (from, char::MAX)));
    out
}
