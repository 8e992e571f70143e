//! Dependencies as they stand in `D:`, `p:`, `i:` and `r:` fields and in the world:
//! `[!]NAME[@TAG][OPERATOR VERSION]`, without spaces.

use super::version;
use std::cmp::Ordering;
use std::fmt;

/// Which versions a dependency accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~`: the same leading parts.
    Fuzzy,
    /// `<~`: less, or the same leading parts.
    LessOrFuzzy,
    /// `>~`: greater, or the same leading parts.
    GreaterOrFuzzy,
    /// `><`: the package with this checksum.
    Checksum,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" | "==" => Self::Equal,
            "<" => Self::Less,
            "<=" | "=<" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" | "=>" => Self::GreaterOrEqual,
            "~" | "~=" | "=~" => Self::Fuzzy,
            "<~" => Self::LessOrFuzzy,
            ">~" => Self::GreaterOrFuzzy,
            "><" => Self::Checksum,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Fuzzy => "~",
            Self::LessOrFuzzy => "<~",
            Self::GreaterOrFuzzy => ">~",
            Self::Checksum => "><",
        }
    }
}

/// A dependency, a provided name, or an entry of the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// The package, `so:`, `cmd:` or `pc:` name, or path.
    pub name: String,
    /// Whether it is a conflict (`!name`): what it matches must not be installed.
    pub conflict: bool,
    /// The operator and the version; none matches every version.
    pub version: Option<(Operator, String)>,
    /// The tag of the repository that it may come from (`@edge`), in the world only.
    pub tag: Option<String>,
}

/// A text that is no dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no dependency of the form [!]name[@tag][operator version]")]
pub struct BadDependency {
    /// The text, or its beginning.
    pub text: String,
}

impl Dependency {
    /// Reads one dependency.
    ///
    /// # Errors
    /// When the name is missing, the operator is unknown, or it has no version.
    pub fn parse(text: &str) -> Result<Self, BadDependency> {
        let bad = || BadDependency { text: text.chars().take(80).collect() };
        let (conflict, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let comparer = |c: char| matches!(c, '=' | '<' | '>' | '~');
        let start = rest.find(comparer).unwrap_or(rest.len());
        let (name, constraint) = rest.split_at_checked(start).ok_or_else(bad)?;
        let version_text = constraint.trim_start_matches(comparer);
        let operator = constraint.get(..constraint.len() - version_text.len()).unwrap_or_default();
        let version = match operator {
            "" => None,
            operator => Some((Operator::parse(operator).ok_or_else(bad)?, version_text.to_owned())),
        };
        let (name, tag) = match name.split_once('@') {
            Some((name, tag)) => (name, Some(tag)),
            None => (name, None),
        };
        let printable = |text: &str| text.chars().all(|c| !c.is_control() && c != ' ');
        let empty = name.is_empty()
            || tag == Some("")
            || version.as_ref().is_some_and(|(_, version)| version.is_empty());
        if empty || !printable(text) {
            return Err(bad());
        }
        Ok(Dependency { name: name.to_owned(), conflict, version, tag: tag.map(str::to_owned) })
    }

    /// Reads a list separated by white space.
    ///
    /// # Errors
    /// When one of them is no dependency.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BadDependency> {
        text.split_ascii_whitespace().map(Self::parse).collect()
    }

    /// Whether a version is one that this dependency is about, whether as need or as conflict.
    ///
    /// A name that is provided without version (`None`) matches only a dependency without one, as
    /// in apk; the checksum matches no version.
    pub fn matches(&self, provided: Option<&str>) -> bool {
        let Some((operator, wanted)) = &self.version else { return true };
        let Some(provided) = provided else { return false };
        let order = || version::compare(provided, wanted);
        match operator {
            Operator::Equal => order() == Ordering::Equal,
            Operator::Less => order() == Ordering::Less,
            Operator::LessOrEqual => order() != Ordering::Greater,
            Operator::Greater => order() == Ordering::Greater,
            Operator::GreaterOrEqual => order() != Ordering::Less,
            Operator::Fuzzy => version::begins_with(provided, wanted),
            Operator::LessOrFuzzy => {
                order() == Ordering::Less || version::begins_with(provided, wanted)
            }
            Operator::GreaterOrFuzzy => {
                order() == Ordering::Greater || version::begins_with(provided, wanted)
            }
            Operator::Checksum => false,
        }
    }

    /// The version alone, as a provided name has it.
    pub fn provided_version(&self) -> Option<&str> {
        self.version.as_ref().map(|(_, version)| version.as_str())
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if self.conflict { "!" } else { "" })?;
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, "@{tag}")?;
        }
        if let Some((operator, version)) = &self.version {
            write!(f, "{}{version}", operator.as_str())?;
        }
        Ok(())
    }
}

/// Writes a list as it stands in a field or in the world.
pub(crate) fn join(list: &[Dependency], separator: &str) -> String {
    list.iter().map(Dependency::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_and_written_alike() {
        for text in [
            "musl",
            "so:libc.musl-x86_64.so.1",
            "/bin/sh",
            "busybox=1.36.1-r29",
            "musl>=1.2.3_git20230424",
            "!libressl-dev",
            "!a<2",
            "python3~3.12",
            "a>~1.2",
            "nginx@edge>1.27",
            "x><Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=",
        ] {
            assert_eq!(Dependency::parse(text).unwrap().to_string(), text);
        }
        let checksum = Dependency::parse("x><Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=").unwrap();
        assert_eq!(checksum.provided_version(), Some("Q1qKcZ+j23xssAXmgQhkOO8dHnbWw="));
        let pinned = Dependency::parse("nginx@edge>1.27").unwrap();
        assert_eq!((pinned.name.as_str(), pinned.tag.as_deref()), ("nginx", Some("edge")));
    }

    #[test]
    fn what_is_no_dependency_is_refused() {
        for text in ["", "!", "=1", "a=", "a<>1", "a===1", "a@", "@edge", "a@=1", "a b", "a\u{7}"] {
            assert!(Dependency::parse(text).is_err(), "{text:?}");
        }
        let long = "=".repeat(100_000);
        assert_eq!(Dependency::parse(&long).unwrap_err().text.len(), 80);
    }

    #[test]
    fn operators_accept_their_versions() {
        let accepts = |dependency: &str, version: &str| {
            Dependency::parse(dependency).unwrap().matches(Some(version))
        };
        for (dependency, yes, no) in [
            ("a=1.2", "1.2", "1.2-r0"),
            ("a<1.2", "1.2_rc1", "1.2"),
            ("a<=1.2", "1.2", "1.2.1"),
            ("a>1.2", "1.2-r1", "1.2"),
            ("a>=1.2", "1.2", "1.2_rc1"),
            ("a~1.2", "1.2.7-r1", "1.20"),
            ("a<~1.2", "1.2.7", "1.3"),
            ("a>~1.2", "1.2_rc1", "1.1"),
        ] {
            assert!(accepts(dependency, yes), "{dependency} {yes}");
            assert!(!accepts(dependency, no), "{dependency} {no}");
        }
        assert!(!Dependency::parse("a>5").unwrap().matches(None));
        assert!(Dependency::parse("a").unwrap().matches(None));
        assert!(Dependency::parse("a").unwrap().matches(Some("1")));
    }
}
