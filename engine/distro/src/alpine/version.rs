//! apk's version order: numbers by dots, a letter, suffixes that come before (`_alpha`, `_beta`,
//! `_pre`, `_rc`) or after (`_cvs`, `_svn`, `_git`, `_hg`, `_p`) what they follow, a commit
//! (`~abc`) and the revision `-rN`.
//!
//! Source: apk-package(5) and `src/version.c` of apk-tools.

use std::cmp::Ordering;

/// Compares two versions in apk's order.
///
/// A total preorder on any input: what is no version is ordered by the part that is one, and two
/// versions that stop being valid at the same place are equal.
pub fn compare(a: &str, b: &str) -> Ordering {
    match first_difference(a, b) {
        Some((a, b)) => compare_tokens(a, b),
        None => Ordering::Equal,
    }
}

/// Whether `version` begins with all parts of `prefix`, as the operator `~` asks: `1.2.3` begins
/// with `1.2`, and `1.20` does not.
pub fn begins_with(version: &str, prefix: &str) -> bool {
    match first_difference(version, prefix) {
        Some((a, Token::End)) => a != Token::Invalid,
        Some(_) => false,
        None => true,
    }
}

/// Whether a string is a version that apk accepts.
pub fn is_valid(version: &str) -> bool {
    Tokens::new(version).last() == Some(Token::End)
}

fn first_difference<'v>(a: &'v str, b: &'v str) -> Option<(Token<'v>, Token<'v>)> {
    Tokens::new(a).zip(Tokens::new(b)).find(|(a, b)| compare_tokens(*a, *b) != Ordering::Equal)
}

/// One part of a version. The derived order of [`Token::rank`] is what decides between parts of
/// different kinds at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'v> {
    First(&'v str),
    Number(&'v str),
    Letter(u8),
    Suffix(Suffix),
    SuffixNumber(&'v str),
    Commit(&'v str),
    Revision(&'v str),
    End,
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suffix {
    Alpha,
    Beta,
    Pre,
    Rc,
    Cvs,
    Svn,
    Git,
    Hg,
    P,
}

impl Suffix {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "alpha" => Self::Alpha,
            "beta" => Self::Beta,
            "pre" => Self::Pre,
            "rc" => Self::Rc,
            "cvs" => Self::Cvs,
            "svn" => Self::Svn,
            "git" => Self::Git,
            "hg" => Self::Hg,
            "p" => Self::P,
            _ => return None,
        })
    }
}

impl Token<'_> {
    /// The longer version is the newer one, unless what it has more is a suffix of a version that
    /// is still to come.
    fn rank(self) -> u8 {
        match self {
            Token::Suffix(suffix) if suffix <= Suffix::Rc => 0,
            Token::Invalid => 1,
            Token::End => 2,
            Token::Revision(_) => 3,
            Token::Commit(_) => 4,
            Token::SuffixNumber(_) => 5,
            Token::Suffix(_) => 6,
            Token::Letter(_) => 7,
            Token::Number(_) => 8,
            Token::First(_) => 9,
        }
    }
}

fn compare_tokens(a: Token, b: Token) -> Ordering {
    match (a, b) {
        // With a leading zero digits are compared like those after a decimal point.
        (Token::Number(a), Token::Number(b)) if a.starts_with('0') || b.starts_with('0') => {
            a.cmp(b)
        }
        (Token::First(a), Token::First(b))
        | (Token::Number(a), Token::Number(b))
        | (Token::SuffixNumber(a), Token::SuffixNumber(b))
        | (Token::Revision(a), Token::Revision(b)) => compare_numbers(a, b),
        (Token::Letter(a), Token::Letter(b)) => a.cmp(&b),
        (Token::Suffix(a), Token::Suffix(b)) => a.cmp(&b),
        (Token::Commit(a), Token::Commit(b)) => a.cmp(b),
        _ => a.rank().cmp(&b.rank()),
    }
}

/// Orders two runs of decimal digits of any length by value; an empty run is zero.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The parts of a version, the last of which is [`Token::End`] or [`Token::Invalid`].
struct Tokens<'v> {
    rest: &'v str,
    previous: Option<Token<'v>>,
}

impl<'v> Tokens<'v> {
    fn new(version: &'v str) -> Self {
        Tokens { rest: version, previous: None }
    }

    fn take_while(&mut self, wanted: fn(&u8) -> bool) -> &'v str {
        let end = self.rest.bytes().position(|byte| !wanted(&byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn first(&mut self) -> Token<'v> {
        match self.take_while(u8::is_ascii_digit) {
            "" => Token::Invalid,
            digits => Token::First(digits),
        }
    }

    fn after(&mut self, previous: Token) -> Option<Token<'v>> {
        let in_numbers = matches!(previous, Token::First(_) | Token::Number(_));
        let Some(byte) = self.rest.bytes().next() else {
            return Some(Token::End);
        };
        if byte.is_ascii_digit() {
            let digits = self.take_while(u8::is_ascii_digit);
            return matches!(previous, Token::Suffix(_)).then_some(Token::SuffixNumber(digits));
        }
        if byte.is_ascii_lowercase() {
            self.rest = self.rest.get(1..).unwrap_or_default();
            return in_numbers.then_some(Token::Letter(byte));
        }
        if let Some(rest) = self.rest.strip_prefix("-r") {
            self.rest = rest;
            let digits = self.take_while(u8::is_ascii_digit);
            let twice = matches!(previous, Token::Revision(_));
            return (!twice && !digits.is_empty()).then_some(Token::Revision(digits));
        }
        self.rest = self.rest.get(1..)?;
        match byte {
            b'.' => {
                let digits = self.take_while(u8::is_ascii_digit);
                (in_numbers && !digits.is_empty()).then_some(Token::Number(digits))
            }
            b'_' => {
                let name = self.take_while(u8::is_ascii_lowercase);
                let late = matches!(previous, Token::Commit(_) | Token::Revision(_));
                Suffix::from_name(name).filter(|_| !late).map(Token::Suffix)
            }
            b'~' => {
                let commit = self.take_while(u8::is_ascii_hexdigit);
                let late = matches!(previous, Token::Commit(_) | Token::Revision(_));
                (!late && !commit.is_empty()).then_some(Token::Commit(commit))
            }
            _ => None,
        }
    }
}

impl<'v> Iterator for Tokens<'v> {
    type Item = Token<'v>;

    fn next(&mut self) -> Option<Token<'v>> {
        let token = match self.previous {
            None => self.first(),
            Some(Token::End | Token::Invalid) => return None,
            Some(previous) => self.after(previous).unwrap_or(Token::Invalid),
        };
        self.previous = Some(token);
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_apk_orders_them() {
        let ascending = [
            ["1.0_alpha", "1.0_alpha2", "1.0_beta", "1.0_pre3", "1.0_rc1", "1.0", "1.0-r0"],
            ["1.0-r0", "1.0-r1", "1.0-r10", "1.0_cvs1", "1.0_svn1", "1.0_git2024", "1.0_hg1"],
            ["1.0_hg1", "1.0_p1", "1.0_p1-r1", "1.0_p9", "1.0_p10", "1.0a", "1.0b-r2"],
            ["1.0b-r2", "1.0.0", "1.0.1", "1.1", "1.2", "1.10", "2"],
            ["0.9", "1", "9", "10", "20060720", "20060720_p1", "20060721"],
            ["1.001", "1.01", "1.010", "1.02", "1.09", "1.1", "1.9"],
            ["0.1.0_alpha_pre2", "0.1.0_alpha", "0.1.0_alpha1", "0.1.0", "1.0_rc1", "1.0", "1.0~a"],
            ["1", "2", "99999999999999999999", "199999999999999999999", "2e9", "3", "4"],
        ];
        for row in &ascending[..7] {
            for pair in row.windows(2) {
                assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{} < {}", pair[0], pair[1]);
                assert_eq!(compare(pair[1], pair[0]), Ordering::Greater);
            }
        }
        assert_eq!(compare(ascending[7][2], ascending[7][3]), Ordering::Less);
        assert_eq!(compare("1.0-r007", "1.0-r7"), Ordering::Equal);
    }

    #[test]
    fn only_real_versions_are_valid() {
        for good in ["1", "1.2.3", "1.2a", "1.2_p1_git20240101-r3", "007", "1.0~deadbeef-r1"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a", "1.", "1..2", "1.0bc", "1_foo", "1-1", "1-r", "1-r1-r2", "1 ", "1.2é"]
        {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn a_prefix_ends_between_parts() {
        for (version, prefix) in [("1.2.3-r4", "1.2"), ("1.2", "1.2"), ("1.2_p3", "1.2_p3")] {
            assert!(begins_with(version, prefix), "{version} ~ {prefix}");
        }
        for (version, prefix) in [("1.20", "1.2"), ("1.2", "1.2.3"), ("1.2_alpha", "1.2_beta")] {
            assert!(!begins_with(version, prefix), "{version} ~ {prefix}");
        }
    }

    fn version() -> impl Strategy<Value = String> {
        "(0|00|1|2|10)(\\.(0|00|01|1|10)){0,3}[ab]?(_(alpha|rc|p|git|foo)[0-2]?){0,2}(-r[0-2])?"
    }

    proptest! {
        #[test]
        fn order_is_total(a in version(), b in version(), c in version()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            let mut sorted = [a, b, c];
            sorted.sort_by(|x, y| compare(x, y));
            let [a, b, c] = &sorted;
            prop_assert_ne!(compare(a, c), Ordering::Greater);
            if compare(a, b) == Ordering::Equal && compare(b, c) == Ordering::Equal {
                prop_assert_eq!(compare(a, c), Ordering::Equal);
            }
            if compare(a, b) == Ordering::Less || compare(b, c) == Ordering::Less {
                prop_assert_eq!(compare(a, c), Ordering::Less);
            }
        }

        #[test]
        fn any_text_is_compared(a in ".{0,12}", b in ".{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            prop_assert!(begins_with(&a, &a));
        }
    }
}
