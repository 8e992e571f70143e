//! The choice of packages for a base that is only unpacked: exactly those that are named.
//!
//! Nothing is resolved here: a dependency that is not named is not taken.

use super::packages::{Package, PackageIndex};

const MAX_SUGGESTIONS: usize = 3;

/// A name that no package in the index has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no package {name:?} in the archive{}", did_you_mean(nearest))]
pub struct UnknownPackage {
    /// The name that was asked for.
    pub name: String,
    /// Names like it, the nearest first; at most three.
    pub nearest: Vec<String>,
}

/// Returns exactly the named packages, each in its highest version, in the order of first naming
/// and without repetition. Dependencies are not followed.
///
/// # Errors
/// For the first name that the index does not have.
pub fn closure<'i>(
    index: &'i PackageIndex,
    names: &[&str],
) -> Result<Vec<Package<'i>>, UnknownPackage> {
    let mut chosen: Vec<Package<'i>> = Vec::with_capacity(names.len());
    for name in names {
        if chosen.iter().any(|package| package.name == *name) {
            continue;
        }
        chosen.push(index.highest(name).ok_or_else(|| unknown(index, name))?);
    }
    Ok(chosen)
}

/// Makes the error for a name that the index does not have, with the names nearest to it.
pub(super) fn unknown(index: &PackageIndex, name: &str) -> UnknownPackage {
    // Distances cost the product of the lengths, so an absurd name gets no suggestion.
    let allowed = if name.len() > 100 { 0 } else { name.chars().count().div_ceil(3).min(4) };
    let mut near: Vec<(usize, &str)> = index
        .names()
        .filter(|known| known.len().abs_diff(name.len()) <= allowed)
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort_unstable();
    let nearest = near.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect();
    UnknownPackage { name: name.to_owned(), nearest }
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", nearest.join(", "))
    }
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let change = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = change.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(packages: &[(&str, &str)]) -> PackageIndex {
        let text: String = packages
            .iter()
            .map(|(name, version)| {
                format!(
                    "Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: pool/{name}.deb\n\
                     Size: 1\nSHA256: {}\nDepends: other\n\n",
                    "0".repeat(64)
                )
            })
            .collect();
        PackageIndex::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn exactly_the_named_packages_in_their_highest_version() {
        let index =
            index(&[("libc6", "2.9"), ("base-files", "12"), ("libc6", "2.36"), ("other", "1")]);
        let chosen = closure(&index, &["libc6", "base-files", "libc6"]).unwrap();
        let got: Vec<_> = chosen.iter().map(|p| (p.name, p.version)).collect();
        assert_eq!(got, [("libc6", "2.36"), ("base-files", "12")]);
    }

    #[test]
    fn an_unknown_name_brings_the_nearest() {
        let index = index(&[("libssl3", "1"), ("libssl-dev", "1"), ("zsh", "1"), ("libssh2", "1")]);
        let error = closure(&index, &["zsh", "libssl"]).unwrap_err();
        assert_eq!(error.nearest, ["libssl3", "libssh2"]);
        assert_eq!(
            error.to_string(),
            "there is no package \"libssl\" in the archive; did you mean libssl3, libssh2?"
        );
        let far = closure(&index, &["postgresql"]).unwrap_err();
        assert_eq!(far.to_string(), "there is no package \"postgresql\" in the archive");
        assert!(closure(&index, &["x".repeat(1 << 20).as_str(), "é"]).is_err());
    }

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, want) in [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }
}
