//! Secrets in what a step prints.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::exec::Private;

/// Values that are shorter are in too much that is no secret.
const SHORTEST: usize = 4;

/// What stands in place of a secret.
const MASK: &[u8] = b"***";

/// Finds the values of secrets.
#[derive(Default)]
pub(super) struct Masks {
    search: Option<AhoCorasick>,
    longest: usize,
}

impl Masks {
    /// Looks for the secrets of a node. Output is looked at line by line, and so are secrets.
    pub fn of(private: &Private) -> Self {
        let lines = private.secrets.values().flat_map(|value| value.split(|b| *b == b'\n'));
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut values: Vec<&[u8]> = lines.filter(|line| line.len() >= SHORTEST).collect();
        values.sort_unstable();
        values.dedup();
        if values.is_empty() {
            return Self::default();
        }
        let longest = values.iter().map(|value| value.len()).max().unwrap_or(0);
        // Of secrets that begin alike the longer one is masked whole.
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(values);
        Self { search: search.ok(), longest }
    }

    /// A text with the secrets taken out.
    pub fn mask<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        match &self.search {
            Some(search) if search.is_match(text) => {
                let mut out = Vec::with_capacity(text.len());
                search.replace_all_with_bytes(text, &mut out, |_, _, out| {
                    out.extend_from_slice(MASK);
                    true
                });
                Cow::Owned(out)
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Bytes of a text that may go before more of it is known: no secret goes on behind them.
    pub fn settled(&self, text: &[u8]) -> usize {
        let Some(search) = &self.search else { return text.len() };
        let mut end = text.len().saturating_sub(self.longest.saturating_sub(1));
        for found in search.find_iter(text) {
            if found.start() < end && end < found.end() {
                end = found.end();
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(values: &[&str]) -> Masks {
        let secret = |(at, value): (usize, &&str)| (at.to_string(), value.as_bytes().into());
        let secrets = values.iter().enumerate().map(secret).collect();
        Masks::of(&Private { secrets, ..Private::default() })
    }

    fn masked(values: &[&str], text: &str) -> String {
        String::from_utf8_lossy(&masks(values).mask(text.as_bytes())).into_owned()
    }

    #[test]
    fn secrets_are_masked_whole_and_short_ones_not_at_all() {
        assert_eq!(masked(&["hunter2"], "a hunter2, hunter22"), "a ***, ***2");
        assert_eq!(masked(&["hunter", "hunter2"], "hunter2 hunter"), "*** ***");
        assert_eq!(masked(&["abc"], "abc"), "abc");
        assert_eq!(masked(&[], "abc"), "abc");
        assert_eq!(masked(&["first\r\nsecond\n"], "second first"), "*** ***");
    }

    #[test]
    fn what_may_be_the_begin_of_a_secret_waits() {
        let masks = masks(&["hunter2"]);
        assert_eq!(masks.settled(b"0123456789"), 4);
        // The cut would go through a secret.
        assert_eq!(masks.settled(b"01hunter2"), 9);
        assert_eq!(Masks::default().settled(b"0123"), 4);
    }
}
