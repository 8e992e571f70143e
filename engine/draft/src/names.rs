//! Names of nodes: `[a-z0-9][a-z0-9._-]*`, each once.

use std::collections::BTreeSet;

/// Longest name that is made, in bytes.
const MAX_NAME: usize = 100;

/// The nearest name to a text; `image` where nothing of it can stay.
pub(crate) fn clean(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            '.' | '_' | '-' if name.is_empty() => {}
            '.' | '_' | '-' => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
        if name.len() >= MAX_NAME {
            break;
        }
    }
    let name = name.trim_end_matches(['.', '_', '-']);
    if name.is_empty() { "image".to_owned() } else { name.to_owned() }
}

/// Whether a text is a name as it is.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
        })
}

/// Whether a text can be the name of a `let` or of an axis.
pub(crate) fn is_let_name(text: &str) -> bool {
    const RESERVED: [&str; 7] = ["version", "platform", "image", "git", "date", "exclude", "only"];
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && !RESERVED.contains(&text)
}

/// Names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Taken(BTreeSet<String>);

impl Taken {
    /// Takes the first free of some names, or the last of them with a number.
    pub fn take(&mut self, wanted: &[String]) -> String {
        if let Some(name) = wanted.iter().find(|name| !self.0.contains(*name)) {
            self.0.insert(name.clone());
            return name.clone();
        }
        let last = wanted.last().map_or("image", String::as_str);
        let mut number = 2_usize;
        loop {
            let name = format!("{last}-{number}");
            if self.0.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }

    /// Marks a name as taken; whether it was free.
    pub fn insert(&mut self, name: &str) -> bool {
        self.0.insert(name.to_owned())
    }

    /// Whether a name is taken.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        for (text, name) in [
            ("Web App", "web-app"),
            ("_x", "x"),
            ("a//b", "a-b"),
            ("ÄÖ", "image"),
            ("", "image"),
            ("1.0_", "1.0"),
            ("..", "image"),
        ] {
            assert_eq!(clean(text), name);
            assert!(is_name(&clean(text)));
        }
        assert!(is_name(&clean(&"x/".repeat(500))));
    }

    #[test]
    fn numbers_what_is_taken() {
        let mut taken = Taken::default();
        let wanted = ["a".to_owned(), "x-a".to_owned()];
        let names: Vec<String> = (0..4).map(|_| taken.take(&wanted)).collect();
        assert_eq!(names, ["a", "x-a", "x-a-2", "x-a-3"]);
    }
}
