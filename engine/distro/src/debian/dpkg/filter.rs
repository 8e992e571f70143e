//! Which paths dpkg leaves out of what it unpacks: `path-exclude` and `path-include` of dpkg(1).

/// Rules of which the last one that fits a path decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    include: bool,
    pattern: String,
}

impl Filter {
    /// Adds rules after those that are there: `-/usr/share/doc/*` leaves out, `+…` takes in.
    pub fn add(&mut self, rules: &[&str]) {
        self.rules.extend(rules.iter().filter_map(|rule| {
            let include = rule.starts_with('+');
            let pattern = rule.strip_prefix(['+', '-'])?.to_owned();
            Some(Rule { include, pattern })
        }));
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a path without a slash in front is left out. A directory, and a link that may lead
    /// to one, stays where a rule takes in something below it.
    pub fn skips(&self, path: &[u8], is_directory_or_link: bool) -> bool {
        let path = [b"/", path].concat();
        let fits = |rule: &&Rule| matches(rule.pattern.as_bytes(), &path);
        let Some(rule) = self.rules.iter().rev().find(fits) else { return false };
        !(rule.include || is_directory_or_link && self.may_be_below(&path))
    }

    fn may_be_below(&self, path: &[u8]) -> bool {
        self.rules.iter().filter(|rule| rule.include).any(|rule| {
            let fixed = rule.pattern.split(['*', '?', '[', '\\']).next().unwrap_or_default();
            path.starts_with(fixed.trim_end_matches('/').as_bytes())
        })
    }

    /// Gives the lines that configure dpkg the same.
    pub fn config(&self) -> String {
        let line = |rule: &Rule| {
            let word = if rule.include { "path-include" } else { "path-exclude" };
            format!("{word}={}\n", rule.pattern)
        };
        self.rules.iter().map(line).collect()
    }
}

/// Whether a pattern of characters, `*` and `?` fits a whole text; a star fits slashes too.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star did not fit.
    let mut again: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p + 1, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                (p, t) = (p + 1, t + 1);
            }
            _ => match again {
                Some((after, from)) => {
                    again = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_fits_decides() {
        let mut filter = Filter::default();
        filter.add(&["-/usr/share/doc/*", "+/usr/share/doc/*/copyright", "-/usr/share/doc/x/*"]);
        let gone = |path: &str| filter.skips(path.as_bytes(), false);
        assert!(gone("usr/share/doc/bash/README"));
        assert!(gone("usr/share/doc/bash/deep/NEWS.gz"));
        assert!(!gone("usr/share/doc/bash/copyright"));
        assert!(gone("usr/share/doc/x/copyright"));
        assert!(!gone("usr/share/docs"));
        // A directory that may hold a copyright file stays, and so does a link to one.
        assert!(!filter.skips(b"usr/share/doc/bash", true));
        assert!(gone("usr/share/doc/bash"));
    }

    #[test]
    fn patterns_are_those_of_the_shell_with_slashes_in_stars() {
        for (pattern, text, fits) in [
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/a", false),
            ("/a*b*c", "/axbxbxc", true),
            ("/a*b*c", "/axbxbx", false),
            ("/?", "/x", true),
            ("/?", "/", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        // Many stars take no more than linear steps each.
        assert!(!matches(&b"*a".repeat(2000), &b"a".repeat(1999)));
    }

    #[test]
    fn dpkg_is_configured_the_same() {
        let mut filter = Filter::default();
        filter.add(&["-/a/*", "+/a/b"]);
        assert_eq!(filter.config(), "path-exclude=/a/*\npath-include=/a/b\n");
    }
}
