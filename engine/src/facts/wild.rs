//! The wildcards of `copy` sources: those of Go's `path.Match`, which BuildKit holds against the
//! paths of a source. `**` is no more than `*`.

/// A pattern, part by part: no wildcard goes over a `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wild {
    parts: Vec<Vec<Token>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A character as it is.
    Char(char),
    /// `?`
    Any,
    /// `*`
    Many,
    /// `[a-z]`, `[^a-z]`
    Set { ranges: Vec<(char, char)>, negated: bool },
}

/// Whether a part of a source has a wildcard; `\` takes the next character as it is.
pub fn has_wildcard(part: &str) -> bool {
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' => return true,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    false
}

/// A part without wildcards as the name it means.
pub fn unescaped(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

impl Wild {
    /// Reads the parts of a pattern. The error says what is wrong with it.
    pub fn of(parts: &[&str]) -> Result<Self, String> {
        let parts: Result<_, _> = parts.iter().map(|part| tokens(part)).collect();
        Ok(Self { parts: parts? })
    }

    /// How many parts a path has that fits.
    pub fn depth(&self) -> usize {
        self.parts.len()
    }

    /// Whether a name fits one part of the pattern, counted from 0. Bytes that are no UTF-8 count
    /// as one character each.
    pub fn fits(&self, part: usize, name: &[u8]) -> bool {
        let name: Vec<char> = name
            .utf8_chunks()
            .flat_map(|chunk| {
                let bad = chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER);
                chunk.valid().chars().chain(bad)
            })
            .collect();
        self.parts.get(part).is_some_and(|part| matches(part, &name))
    }

    /// Whether a whole path fits.
    pub fn fits_path(&self, path: &str) -> bool {
        let names = || path.split('/');
        names().count() == self.depth()
            && names().enumerate().all(|(part, name)| self.fits(part, name.as_bytes()))
    }
}

fn tokens(part: &str) -> Result<Vec<Token>, String> {
    let bad = |why: &str| format!("`{part}` is no pattern: {why}");
    let mut out = Vec::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '*' if out.last() == Some(&Token::Many) => continue,
            '*' => Token::Many,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next().ok_or_else(|| bad("nothing is behind `\\`"))?),
            '[' => set(&mut chars).ok_or_else(|| bad("a `[` has no right end"))?,
            c => Token::Char(c),
        });
    }
    Ok(out)
}

fn set(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = chars.as_str().starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if chars.as_str().starts_with(']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Set { ranges, negated });
        }
        let low = member(chars)?;
        let high = match chars.as_str().starts_with('-') {
            true => {
                chars.next();
                member(chars)?
            }
            false => low,
        };
        ranges.push((low, high));
    }
}

fn member(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

/// Whether tokens fit a name. Where it does not go on, only the last star can have taken too
/// little.
fn matches(tokens: &[Token], name: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), name.get(at)) {
            (Some(Token::Many), _) => {
                star = Some((token, at));
                token += 1;
                continue;
            }
            (Some(wanted), Some(c)) if wanted.fits(*c) => {
                (token, at) = (token + 1, at + 1);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match star {
            Some((place, from)) if from < name.len() => {
                star = Some((place, from + 1));
                (token, at) = (place + 1, from + 1);
            }
            _ => return false,
        }
    }
}

impl Token {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => true,
            Self::Many => false,
            Self::Set { ranges, negated } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> bool {
        Wild::of(&pattern.split('/').collect::<Vec<_>>()).unwrap().fits_path(path)
    }

    #[test]
    fn wildcards_stay_within_a_name() {
        for (pattern, path) in [
            ("*", "abc"),
            ("*", ""),
            ("a*b*c", "a-b-bc"),
            ("*.tx?", ".txt"),
            ("[a-c]x", "bx"),
            ("[^a-c]x", "dx"),
            ("[a\\-c]", "-"),
            ("[\\]]", "]"),
            ("a\\*", "a*"),
            ("?", "é"),
            ("[а-я]", "д"),
            ("**/a", "q/a"),
            ("q/*/a", "q/l/a"),
            ("***", "x"),
        ] {
            assert!(fits(pattern, path), "{pattern} on {path}");
        }
        for (pattern, path) in [
            ("*", "a/b"),
            ("**/a", "a"),
            ("**/a", "x/y/a"),
            ("a*b*c", "a-b-b"),
            ("?", ""),
            ("[^a-c]x", "ax"),
            ("[!a]", "b"),
            ("a", "A"),
            ("a\\*", "ab"),
            ("q/*", "q"),
        ] {
            assert!(!fits(pattern, path), "{pattern} on {path}");
        }
    }

    #[test]
    fn bad_patterns_are_told() {
        for pattern in ["[a", "[]", "[", "[a-]", "[-a]", "a\\", "[]a]", "[^]", "[a\\"] {
            assert!(Wild::of(&[pattern]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn wildcards_are_seen() {
        assert!(has_wildcard("a*") && has_wildcard("?") && has_wildcard("\\a[b]"));
        assert!(!has_wildcard("a\\*") && !has_wildcard("plain") && !has_wildcard("\\"));
        assert_eq!(unescaped("a\\*\\\\b\\"), "a*\\b");
    }

    #[test]
    fn long_names_take_no_time() {
        let pattern = "*a".repeat(2000);
        assert!(!fits(&pattern, &"a".repeat(1999)));
        assert!(fits(&pattern, &"a".repeat(4000)));
    }

    #[test]
    fn bytes_that_are_no_text_are_characters() {
        let wild = Wild::of(&["a?b*"]).unwrap();
        assert!(wild.fits(0, b"a\xffb\xfe\xfe"));
        assert!(!wild.fits(0, b"a\xff\xffb"));
    }
}
