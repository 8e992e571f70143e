//! `.dockerignore`: which files of a context do not exist for a build, and the globs that
//! `copy` sources are written in. The rules are those of moby's pattern matcher.

/// The patterns of one ignore file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

/// One pattern, read once: it is held against every file of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Whether it takes files back.
    negated: bool,
    text: String,
    /// The text again when it has wildcards; none when only the text itself fits.
    glob: Option<Vec<char>>,
}

impl Ignore {
    /// Reads the text of an ignore file: a pattern a line, `#` comments, `!` takes back.
    pub fn parse(text: &str) -> Self {
        let mut patterns = Vec::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (negated, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let text = clean(pattern);
            if !text.is_empty() {
                let glob = text.contains(['*', '?', '[', '\\']).then(|| text.chars().collect());
                patterns.push(Pattern { negated, text, glob });
            }
        }
        Self { patterns }
    }

    /// Whether there is any pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path below the context is ignored; the last pattern that fits it or a folder
    /// above it decides.
    pub fn ignores(&self, path: &str) -> bool {
        let mut ignored = false;
        for pattern in &self.patterns {
            if pattern.negated == ignored && pattern.fits_or_above(path) {
                ignored = !pattern.negated;
            }
        }
        ignored
    }

    /// Whether nothing below an ignored folder can be taken back, so that it need not be read.
    pub fn prunes(&self, folder: &str) -> bool {
        self.ignores(folder) && !self.patterns.iter().any(|pattern| pattern.negated)
    }
}

fn clean(pattern: &str) -> String {
    let parts: Vec<&str> =
        pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

impl Pattern {
    fn fits_or_above(&self, path: &str) -> bool {
        match &self.glob {
            Some(glob) => fits(glob, path, true),
            None => path
                .strip_prefix(&*self.text)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

/// Whether a glob fits a whole path: `*` and `?` stay within a name, `**` crosses folders,
/// `[a-z]` and `[^a]` are sets, `\` takes the next character as it is.
pub fn glob_fits(pattern: &str, path: &str) -> bool {
    fits(&pattern.chars().collect::<Vec<char>>(), path, false)
}

/// Whether a glob fits a whole path or, with `above`, a folder on the way to it.
fn fits(pattern: &[char], path: &str, above: bool) -> bool {
    // Reachable pattern positions, advanced one character at a time: linear in both lengths.
    let mut states = vec![false; pattern.len() + 1];
    let mut next = states.clone();
    states[0] = true;
    close(pattern, &mut states, None);
    for c in path.chars() {
        if above && c == '/' && states[pattern.len()] {
            return true;
        }
        next.fill(false);
        for from in (0..pattern.len()).filter(|s| states[*s]) {
            advance(pattern, from, c, &mut next);
        }
        // Most files differ from most patterns in their first characters.
        if !next.contains(&true) {
            return false;
        }
        close(pattern, &mut next, Some(c));
        std::mem::swap(&mut states, &mut next);
    }
    states[pattern.len()]
}

fn advance(pattern: &[char], from: usize, c: char, next: &mut [bool]) {
    match pattern[from] {
        '*' if pattern.get(from + 1) == Some(&'*') => next[from] = true,
        '*' if c != '/' => next[from] = true,
        '*' => {}
        '?' => {
            if c != '/' {
                next[from + 1] = true;
            }
        }
        '[' => {
            if let Some((end, true)) = set(pattern, from, c) {
                next[end] = true;
            }
        }
        '\\' => {
            if pattern.get(from + 1) == Some(&c) {
                next[from + 2] = true;
            }
        }
        literal => {
            if literal == c {
                next[from + 1] = true;
            }
        }
    }
}

/// Steps over stars that may stand for nothing; `**/` may stand for no folder at all.
fn close(pattern: &[char], states: &mut [bool], last: Option<char>) {
    for at in 0..pattern.len() {
        if !states[at] || pattern[at] != '*' || at > 0 && pattern[at - 1] == '\\' {
            continue;
        }
        if pattern.get(at + 1) == Some(&'*') {
            match pattern.get(at + 2) {
                Some('/') if matches!(last, None | Some('/')) => states[at + 3] = true,
                Some('/') => {}
                _ => states[at + 2] = true,
            }
        } else {
            states[at + 1] = true;
        }
    }
}

/// Reads the set that starts at `from`; gives the position behind it and whether `c` is in it.
fn set(pattern: &[char], from: usize, c: char) -> Option<(usize, bool)> {
    let mut at = from + 1;
    let negated = matches!(pattern.get(at), Some('^'));
    if negated {
        at += 1;
    }
    let mut found = false;
    let first = at;
    loop {
        let low = *pattern.get(at)?;
        if low == ']' && at > first {
            return Some((at + 1, found != negated && c != '/'));
        }
        if pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|h| *h != ']') {
            found |= low <= c && c <= *pattern.get(at + 2)?;
            at += 3;
        } else {
            found |= low == c;
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, path, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*.go", "x.go", true),
            ("*.go", "d/x.go", false),
            ("**/*.go", "x.go", true),
            ("**/*.go", "d/e/x.go", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("**/b", "ab", false),
            ("?", "/", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a", false),
            ("", "", true),
        ] {
            assert_eq!(glob_fits(pattern, path), fits, "{pattern} on {path}");
        }
    }

    #[test]
    fn the_last_pattern_decides() {
        let ignore = Ignore::parse("# c\n/target/\n*.log\n!keep.log\n\n./docs\n");
        assert!(ignore.ignores("target/x/y"));
        assert!(ignore.ignores("a.log"));
        assert!(!ignore.ignores("keep.log"));
        assert!(!ignore.ignores("sub/a.log"));
        assert!(ignore.ignores("docs/a"));
        assert!(!ignore.prunes("target"));
        assert!(Ignore::parse("target").prunes("target"));
    }

    #[test]
    fn a_pattern_covers_what_is_below_what_it_fits() {
        let ignores = |pattern: &str, path: &str| Ignore::parse(pattern).ignores(path);
        for pattern in ["a/b", "a/*", "a/?", "*/b", "**/b", "\\a/b", "a/[b]"] {
            assert!(ignores(pattern, "a/b"), "{pattern}");
            assert!(ignores(pattern, "a/b/c/d"), "{pattern}");
            assert!(!ignores(pattern, "a"), "{pattern}");
            assert!(!ignores(pattern, "x/y"), "{pattern}");
        }
        assert!(!ignores("a/b", "a/bc"));
        assert!(!ignores("a/?", "a/bc/d"));
        assert!(!ignores("é", "éé"));
    }
}
