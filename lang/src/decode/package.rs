//! Names of packages, as the systems of Debian and Alpine have them.

use std::collections::HashMap;

use super::check::shown;
use super::text::Cx;
use crate::config::Text;
use crate::diag::{Diagnostic, Wrong};
use crate::source::Span;
use crate::syntax::Node;

const CODE: &str = "mabuild::lang::package";

/// How packages may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `NAME` or `NAME=VERSION` of Debian.
    Debian,
    /// `NAME` of Debian.
    DebianName,
    /// A word of Alpine: `NAME`, `NAME=1.2-r0`, `NAME>1`, `NAME~1.2`, `NAME@TAG`, `!NAME`.
    Alpine,
    /// Any of these: the system is that of an image which is not known yet.
    Either,
}

/// Reads the packages that a node names, and leaves those out that are no names.
pub(super) fn list(node: &Node<'_>, form: Form, cx: &mut Cx<'_>) -> Vec<Text> {
    let mut names = cx.strings(node, "a package");
    names.retain(|name| {
        let Some(text) = name.constant() else { return true };
        let Err(wrong) = form.check(text) else { return true };
        let message = format!("`{}` does not name a package", shown(text));
        cx.out.push(wrong.at(CODE, name.span, message));
        false
    });
    twice(&names, cx);
    names
}

/// Warns of names that one node gives more than once.
fn twice(names: &[Text], cx: &mut Cx<'_>) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for name in names {
        let Some(text) = name.constant() else { continue };
        let Some(first) = seen.get(text) else {
            seen.insert(text, name.span);
            continue;
        };
        cx.out.push(
            Diagnostic::warning(
                CODE,
                name.span,
                format!("the package `{}` is named twice", shown(text)),
                "again here",
            )
            .and(*first, "first here")
            .help("remove one of them"),
        );
    }
}

impl Form {
    /// Whether a text names a package. The error says what is wrong with it.
    fn check(self, text: &str) -> Result<(), Wrong> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let words: Vec<&str> = text.split_whitespace().collect();
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let quoted = quoted.join(" ");
            let help = match words.len() {
                2.. if quoted.chars().count() <= 60 => {
                    format!("write each package as a text of its own: `{quoted}`")
                }
                2.. => "write each package as a text of its own".to_owned(),
                _ => "write it without blanks".to_owned(),
            };
            return Err(Wrong::new("has a blank", help));
        }
        if text.starts_with('-') {
            let help = "write names of packages alone; options of apt and apk have no meaning here";
            return Err(Wrong::new("begins with `-`, as an option does", help));
        }
        match self {
            Self::Debian => debian(text, true),
            Self::DebianName => debian(text, false),
            Self::Alpine => alpine(text),
            Self::Either => debian(text, true).or_else(|_| alpine(text)).map_err(|wrong| {
                let help = "write `NAME` or `NAME=VERSION`; on Alpine also `NAME>1`, `NAME~1.2`, `NAME@TAG` and `!NAME`";
                Wrong::new(wrong.label, help)
            }),
        }
    }
}

/// `NAME` or `NAME=VERSION`, after the rules of Debian's policy for both.
fn debian(text: &str, versions: bool) -> Result<(), Wrong> {
    let (name, version) = match text.split_once('=') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let is_name = |text: &str| {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        text.starts_with(word) && text.chars().all(|c| word(c) || matches!(c, '+' | '-' | '.'))
    };
    if !is_name(name) {
        let lower = name.to_lowercase();
        let help = match is_name(&lower) {
            true => format!("names of packages are in lower case: `{}`", shown(&lower)),
            false => "a name has lower-case letters, digits, `+`, `-` and `.`, and begins with a letter or a digit".to_owned(),
        };
        return Err(Wrong::new(format!("`{}` is no name of Debian", shown(name)), help));
    }
    match version {
        None => Ok(()),
        Some(_) if !versions => {
            Err(Wrong::new("has a version", format!("write the name alone: `{}`", shown(name))))
        }
        Some(version) => is_version(version, name, "1.22.1-9"),
    }
}

/// Letters, digits and what versions of either system have between them.
fn is_version(version: &str, name: &str, example: &str) -> Result<(), Wrong> {
    let good =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':' | '_');
    if !version.is_empty() && version.chars().all(good) {
        return Ok(());
    }
    let label = match version.is_empty() {
        true => "has no version".to_owned(),
        false => format!("`{}` is no version", shown(version)),
    };
    Err(Wrong::new(label, format!("write a version like `{}={example}`", shown(name))))
}

/// How a version of Alpine is compared, as apk reads it.
const OPERATORS: [&str; 14] =
    ["=", "==", "<", "<=", "=<", ">", ">=", "=>", "~", "~=", "=~", "<~", ">~", "><"];

/// What a word of Alpine is made of.
struct Word<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    operator: &'a str,
    version: &'a str,
}

fn word(text: &str) -> Word<'_> {
    let compares = |c: char| matches!(c, '=' | '<' | '>' | '~');
    let rest = text.strip_prefix('!').unwrap_or(text);
    let (name, constraint) = rest.split_at(rest.find(compares).unwrap_or(rest.len()));
    let version = constraint.trim_start_matches(compares);
    let operator = constraint.strip_suffix(version).unwrap_or_default();
    let (name, tag) = match name.split_once('@') {
        Some((name, tag)) => (name, Some(tag)),
        None => (name, None),
    };
    Word { name, tag, operator, version }
}

/// The tag of the repository that a word of Alpine asks for, in `NAME@TAG`.
pub(super) fn tag(text: &str) -> Option<&str> {
    word(text).tag
}

/// Whether a text can be the tag of a repository.
pub(super) fn is_tag(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.chars().all(good)
}

fn alpine(text: &str) -> Result<(), Wrong> {
    let Word { name, tag, operator, version } = word(text);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-' | ':');
    if name.is_empty() || name.starts_with('-') || !name.chars().all(good) {
        let label = match name.is_empty() {
            true => "has no name".to_owned(),
            false => format!("`{}` is no name of a package", shown(name)),
        };
        let help = "write `NAME`, `NAME=1.2-r0`, `NAME>1`, `NAME~1.2`, `NAME@TAG` or `!NAME`";
        return Err(Wrong::new(label, help));
    }
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        let help = format!("write the tag of a repository: `{}@edge`", shown(name));
        return Err(Wrong::new(format!("`@{}` is no tag", shown(tag)), help));
    }
    if operator.is_empty() {
        return Ok(());
    }
    if !OPERATORS.contains(&operator) {
        let help = format!("write one of `=`, `<`, `<=`, `>`, `>=` and `~`: `{}~1.2`", shown(name));
        return Err(Wrong::new(format!("`{}` compares nothing", shown(operator)), help));
    }
    is_version(version, name, "1.2-r0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages() {
        for text in ["nginx", "libstdc++6", "0ad", "nginx=1.22.1-9", "a=1:2.0~rc1+b1", "a.b"] {
            assert_eq!(Form::Debian.check(text), Ok(()), "{text}");
            assert_eq!(Form::Either.check(text), Ok(()), "{text}");
        }
        for text in [
            "nginx",
            "nginx=1.2-r0",
            "nginx>1",
            "nginx>=1.2_rc1",
            "nginx~1.2",
            "nginx@edge",
            "nginx@edge>1",
            "!nginx",
            "so:libX11.so.6",
            ".build-deps",
        ] {
            assert_eq!(Form::Alpine.check(text), Ok(()), "{text}");
            assert_eq!(Form::Either.check(text), Ok(()), "{text}");
        }
        assert_eq!(tag("nginx@edge>1"), Some("edge"));
        assert_eq!(tag("!nginx>1"), None);
    }

    #[test]
    fn what_names_no_package() {
        let every = [Form::Debian, Form::DebianName, Form::Alpine, Form::Either];
        for text in ["-y", "a b", " ", "a\n", "é", "a*", "a/stable", "=1", "a=", "a=b c", "a=\u{7}"]
        {
            for form in every {
                assert!(form.check(text).is_err(), "{form:?} {text}");
            }
        }
        for text in ["", "!", "!-a", "@edge", "a@", "a@b@c", "a<>1", "a>", "a=1@edge", "a=1=2"] {
            assert!(Form::Alpine.check(text).is_err(), "{text}");
            assert!(Form::Either.check(text).is_err(), "{text}");
        }
        for text in ["", "a>1", "a~1", "a@edge", "!a", "Nginx", "+a", "a:amd64", "a==1"] {
            assert!(Form::Debian.check(text).is_err(), "{text}");
        }
        assert!(Form::DebianName.check("a=1").is_err());
    }
}
