//! Versions in names, and which of them are wanted.

use std::collections::BTreeSet;

use mabuild_registry::versions::Range;

use super::wrong;
use crate::facts::{FactError, VERSION};

/// How many versions an error names.
const SHOWN: usize = 8;
/// Characters of a version that an error shows.
const LONGEST: usize = 64;

/// Reads a range of versions.
pub(super) fn range(text: &str) -> Result<Range, FactError> {
    text.parse().map_err(|e| wrong(format!("`{}` is no range to follow: {e}", shown(text))))
}

/// The version in a name of a form such as `app-{{version}}.tar.gz`.
pub(super) fn version_in<'a>(form: &str, name: &'a str) -> Option<&'a str> {
    let (before, _) = form.split_once(VERSION)?;
    if !name.starts_with(before) {
        return None;
    }
    let count = form.matches(VERSION).count();
    let length = name.len().checked_sub(form.len() - count * VERSION.len())? / count;
    let version = name.get(before.len()..before.len() + length)?;
    (length > 0 && form.replace(VERSION, version) == name).then_some(version)
}

/// The versions that a range takes, the highest first, at most so many.
pub(super) fn taken<'a>(
    range: &Range,
    mut versions: BTreeSet<&'a str>,
    most: usize,
) -> Vec<&'a str> {
    let mut out = Vec::new();
    while let Some(version) = range.highest(versions.iter().copied()).filter(|_| out.len() < most) {
        versions.remove(version);
        out.push(version);
    }
    out
}

/// The highest of some versions of any form, for a message.
pub(super) fn some<'a>(versions: impl Iterator<Item = &'a str>) -> String {
    let mut versions: Vec<&str> = versions.filter(|one| one.len() <= LONGEST).collect();
    versions.sort_by_cached_key(|one| std::cmp::Reverse(natural(one)));
    versions.dedup();
    let more = if versions.len() > SHOWN { ", …" } else { "" };
    versions.truncate(SHOWN);
    match versions.as_slice() {
        [] => "none".to_owned(),
        versions => format!("{}{more}", versions.join(", ")),
    }
}

/// A text of which no more is shown than a person reads.
pub(super) fn shown(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(LONGEST).collect()
}

/// Parts of a text, so that numbers in it compare as numbers.
fn natural(text: &str) -> Vec<(usize, String)> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        let number = part.trim_start_matches('0');
        out.push(if is_number {
            (number.len() + 1, number.to_owned())
        } else {
            (0, part.to_owned())
        });
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_out_of_names() {
        for (form, name, wanted) in [
            ("a-{{version}}-x86_64.tar.gz", "a-3.20.3-x86_64.tar.gz", Some("3.20.3")),
            ("a-{{version}}-x86.tar.gz", "a-3.20.3-x86_64.tar.gz", None),
            ("a-{{version}}.tar.gz", "a-.tar.gz", None),
            ("a-{{version}}.tar.gz", "a-1.tar.gz.asc", None),
            ("a-{{version}}.tar.gz", "a-.gz", None),
            ("{{version}}", "v1", Some("v1")),
            ("{{version}}-{{version}}", "1.2-1.2", Some("1.2")),
            ("{{version}}-{{version}}", "1.2-1.3", None),
            ("{{version}}-{{version}}", "1.2-1.23", None),
            ("ä{{version}}", "ä1", Some("1")),
            ("{{version}}a{{version}}", "éaé", Some("é")),
            ("{{version}}aa{{version}}", "éaé", None),
            ("plain", "plain", None),
        ] {
            assert_eq!(version_in(form, name), wanted, "{form} {name}");
        }
    }

    #[test]
    fn errors_name_the_highest_few() {
        let many: Vec<String> = (1..=12).map(|n| format!("3.{n}.0")).collect();
        let text = some(many.iter().map(String::as_str));
        assert!(text.starts_with("3.12.0, 3.11.0, 3.10.0, 3.9.0"), "{text}");
        assert!(text.ends_with("3.5.0, …"), "{text}");
        assert_eq!(some(["1", "1"].into_iter()), "1");
        assert_eq!(some(["x".repeat(65).as_str()].into_iter()), "none");
    }

    #[test]
    fn versions_come_from_the_highest_down() {
        let range = range("3.*.*").unwrap();
        let all = BTreeSet::from(["3.9.9", "3.20.1", "4.0.0", "3.20.10", "3.20"]);
        assert_eq!(taken(&range, all.clone(), 2), ["3.20.10", "3.20.1"]);
        assert_eq!(taken(&range, all, 9), ["3.20.10", "3.20.1", "3.9.9"]);
        assert!(super::range("^1").unwrap_err().message.contains("no operator"));
    }
}
