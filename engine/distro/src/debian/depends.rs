//! Relations between packages: the fields Depends, Pre-Depends, Recommends, Conflicts, Breaks,
//! Provides and Replaces (Debian Policy 7.1, deb-control(5)).

use super::version;
use std::cmp::Ordering;
use std::fmt;

/// Alternatives of one group beyond this are refused; Debian's longest group has some dozen.
const MAX_ALTERNATIVES: usize = 1_000;
/// Of a faulty text, an error shows this many characters.
const SHOWN: usize = 80;

/// A relation field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("package {package}: {field} has {text:?}: {problem}")]
pub struct RelationError {
    /// Name of the package whose field it is.
    pub package: String,
    /// Name of the field.
    pub field: &'static str,
    /// The faulty relation as written, shortened.
    pub text: String,
    /// What is wrong.
    pub problem: &'static str,
}

/// How a version is compared with the one that a relation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<<`
    Less,
    /// `<=`, and the obsolete `<`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`, and the obsolete `>`
    GreaterOrEqual,
    /// `>>`
    Greater,
}

impl Operator {
    /// Whether `version` stands in this relation to `named`, in dpkg's order.
    pub fn holds(self, version: &str, named: &str) -> bool {
        let order = version::compare(version, named);
        match self {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Greater => order == Ordering::Greater,
        }
    }

    /// Splits the operator off the start of a text.
    fn split(text: &str) -> Option<(Self, &str)> {
        // The longer ones first: `<` starts three of them.
        [
            ("<<", Operator::Less),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            (">>", Operator::Greater),
            ("=", Operator::Equal),
            ("<", Operator::LessOrEqual),
            (">", Operator::GreaterOrEqual),
        ]
        .into_iter()
        .find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operator::Less => "<<",
            Operator::LessOrEqual => "<=",
            Operator::Equal => "=",
            Operator::GreaterOrEqual => ">=",
            Operator::Greater => ">>",
        })
    }
}

/// One package name with its conditions, as it stands in a relation field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Name of a package, or one that packages provide.
    pub name: &'a str,
    /// What follows the colon after the name: `any`, `native` or an architecture.
    pub qualifier: Option<&'a str>,
    /// The version that is asked for or, in Provides, given.
    pub version: Option<(Operator, &'a str)>,
    /// Inside of the brackets: architectures, or such that are left out; empty without brackets.
    pub architectures: &'a str,
}

impl<'a> Relation<'a> {
    /// Reads one relation, such as `libc6:any (>= 2.36) [amd64 !i386] <!nocheck>`.
    ///
    /// Build profiles in angle brackets are checked for their form and otherwise ignored: they
    /// mean nothing in the relations of a binary package.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        let text = text.trim();
        let end = text.find(|c: char| c.is_ascii_whitespace() || "([<:".contains(c));
        let (name, mut rest) = text.split_at(end.unwrap_or(text.len()));
        if !is_name(name) {
            return Err("there is no package name");
        }
        let mut qualifier = None;
        if let Some(after) = rest.strip_prefix(':') {
            let end = after.find(|c: char| c.is_ascii_whitespace() || "([<".contains(c));
            let (word, after) = after.split_at(end.unwrap_or(after.len()));
            if !is_architecture(word) {
                return Err("what follows the colon is no architecture");
            }
            (qualifier, rest) = (Some(word), after);
        }
        let mut relation = Relation { name, qualifier, version: None, architectures: "" };
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('(') {
            let (inside, after) = after.split_once(')').ok_or("a parenthesis is not closed")?;
            relation.version = Some(parse_version(inside.trim())?);
            rest = after.trim_start();
        }
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']').ok_or("a bracket is not closed")?;
            relation.architectures = inside.trim();
            if relation.architectures.is_empty() {
                return Err("the brackets name no architecture");
            }
            rest = after.trim_start();
        }
        while let Some(after) = rest.strip_prefix('<') {
            let (_, after) = after.split_once('>').ok_or("an angle bracket is not closed")?;
            rest = after.trim_start();
        }
        if rest.is_empty() { Ok(relation) } else { Err("there is more after the relation") }
    }

    /// Whether the relation counts for an architecture, as its brackets say.
    ///
    /// Without brackets it counts for all. Architectures with an exclamation mark are left out,
    /// and then all others are meant.
    pub fn counts_for(&self, architecture: &str) -> bool {
        let mut words = self.architectures.split_ascii_whitespace().peekable();
        let Some(first) = words.peek() else { return true };
        let excludes = first.starts_with('!');
        let named = words.any(|word| {
            let word = word.trim_start_matches('!');
            word == architecture || word == "any" || word == "linux-any"
        });
        named != excludes
    }

    /// Whether a version is one that the relation asks for.
    pub fn accepts(&self, version: &str) -> bool {
        self.version.is_none_or(|(operator, named)| operator.holds(version, named))
    }

    /// Whether what a package provides is what the relation asks for.
    ///
    /// As Policy 7.5 has it, a provided name without a version meets no relation with one.
    pub fn accepts_provided(&self, provided: &Relation<'_>) -> bool {
        match (self.version, provided.version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((operator, named)), Some((_, version))) => operator.holds(version, named),
        }
    }
}

/// Gives the groups of a relation field as written: what the commas separate, without empty ones.
pub fn groups(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|group| !group.is_empty())
}

/// Reads one group: what is separated by `|`, of which one is enough.
///
/// # Errors
/// What is wrong with the first faulty relation.
pub fn alternatives(group: &str) -> Result<Vec<Relation<'_>>, &'static str> {
    let relations: Vec<_> = group
        .split('|')
        .take(MAX_ALTERNATIVES + 1)
        .map(Relation::parse)
        .collect::<Result<_, _>>()?;
    if relations.len() > MAX_ALTERNATIVES {
        return Err("there are too many alternatives");
    }
    Ok(relations)
}

/// Reads a whole relation field: groups of alternatives. `package` and `field` are for the error.
///
/// # Errors
/// When a relation has not the form that deb-control(5) gives.
pub fn parse<'a>(
    package: &str,
    field: &'static str,
    value: &'a str,
) -> Result<Vec<Vec<Relation<'a>>>, RelationError> {
    let read = |group: &'a str| {
        alternatives(group).map_err(|problem| RelationError {
            package: package.chars().take(SHOWN).collect(),
            field,
            text: group.chars().take(SHOWN).collect(),
            problem,
        })
    };
    groups(value).map(read).collect()
}

fn parse_version(inside: &str) -> Result<(Operator, &str), &'static str> {
    let (operator, named) =
        Operator::split(inside).ok_or("the parentheses have no <<, <=, =, >= or >>")?;
    let named = named.trim();
    if version::is_plausible(named) {
        Ok((operator, named))
    } else {
        Err("what is compared with is no version")
    }
}

/// Policy 5.6.1 asks for lower case; some third-party archives have capitals, which are harmless.
pub(super) fn is_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

fn is_architecture(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Relation<'_> {
        Relation::parse(text).unwrap()
    }

    #[test]
    fn a_field_is_groups_of_alternatives() {
        let parsed =
            parse("x", "Depends", "a,\n b (>= 1:2~) | c:any(<<3) ,, d <!nocheck> <x y>,").unwrap();
        let shape: Vec<Vec<_>> = parsed
            .iter()
            .map(|group| group.iter().map(|r| (r.name, r.qualifier, r.version)).collect())
            .collect();
        assert_eq!(
            shape,
            [
                vec![("a", None, None)],
                vec![
                    ("b", None, Some((Operator::GreaterOrEqual, "1:2~"))),
                    ("c", Some("any"), Some((Operator::Less, "3")))
                ],
                vec![("d", None, None)],
            ]
        );
        assert_eq!(parse("x", "Depends", " \n "), Ok(vec![]));
    }

    #[test]
    fn operators_compare_as_dpkg_does() {
        for (text, below, same, above) in [
            ("a (<< 2)", true, false, false),
            ("a (<= 2)", true, true, false),
            ("a (< 2)", true, true, false),
            ("a (= 2)", false, true, false),
            ("a (> 2)", false, true, true),
            ("a (>=2)", false, true, true),
            ("a (>> 2)", false, false, true),
            ("a", true, true, true),
        ] {
            let relation = one(text);
            assert_eq!(
                [relation.accepts("2~rc1"), relation.accepts("2-0"), relation.accepts("1:0")],
                [below, same, above],
                "{text}"
            );
        }
    }

    #[test]
    fn a_provided_version_is_compared_and_none_meets_no_versioned_relation() {
        for (asked, provided, want) in [
            ("v", "v", true),
            ("v", "v (= 1)", true),
            ("v (>= 1)", "v", false),
            ("v (>= 1)", "v (= 1)", true),
            ("v (>> 1)", "v (= 1)", false),
        ] {
            assert_eq!(one(asked).accepts_provided(&one(provided)), want, "{asked} by {provided}");
        }
    }

    #[test]
    fn brackets_choose_architectures() {
        for (text, amd64, i386) in [
            ("a", true, true),
            ("a [amd64]", true, false),
            ("a [!amd64]", false, true),
            ("a [!amd64 !i386]", false, false),
            ("a (>= 1) [arm64 i386] <!stage1>", false, true),
            ("a [linux-any]", true, true),
        ] {
            let relation = one(text);
            assert_eq!(
                (relation.counts_for("amd64"), relation.counts_for("i386")),
                (amd64, i386),
                "{text}"
            );
        }
    }

    #[test]
    fn faults_name_the_package_the_field_and_the_text() {
        let error = parse("bad", "Pre-Depends", "fine, broken (>= ), other").unwrap_err();
        assert_eq!(
            error.to_string(),
            "package bad: Pre-Depends has \"broken (>= )\": what is compared with is no version"
        );
        for bad in [
            "a |",
            "| a",
            "a (1)",
            "a (>= 1",
            "a (>= 1 2)",
            "a [",
            "a []",
            "a <x",
            "a b",
            "${misc}",
            "a:",
            "a:b/c",
            "é",
            "a (>= 1) (<< 2)",
        ] {
            assert!(alternatives(bad).is_err(), "{bad}");
        }
        let long = "a|".repeat(2_000) + "a";
        assert_eq!(alternatives(&long), Err("there are too many alternatives"));
        assert!(parse("p", "Depends", &"é".repeat(1 << 16)).unwrap_err().to_string().len() < 300);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c0-9 |,:<>=!()\\[\\]~é]{0,40}") {
            if let Ok(groups) = parse("p", "Depends", &text) {
                prop_assert!(groups.iter().all(|group| !group.is_empty()));
            }
        }
    }
}
