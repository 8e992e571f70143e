//! Files that several packages have: deb(5) packages may overwrite each other's files where they
//! say so in `Replaces`.

use std::collections::{BTreeMap, HashMap};

use super::super::depends;
use super::Unpacked;

/// A file that belongs to one of several packages that have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overwritten {
    /// Of each package, by its place: the paths that are another one's.
    pub lost: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl Overwritten {
    /// Whether a path of a package is another one's.
    pub fn has_lost(&self, package: usize, path: &[u8]) -> bool {
        self.lost.get(&package).is_some_and(|paths| paths.iter().any(|lost| lost == path))
    }
}

/// Finds out whose each file is. `is_file` tells of a package by its place and of a path by its
/// place whether it is anything but a directory: those may be shared.
///
/// # Errors
/// Says which file two packages have of which neither replaces the other.
pub fn overwritten(
    packages: &[Unpacked],
    is_file: impl Fn(usize, usize) -> bool,
) -> Result<Overwritten, String> {
    let mut owners: HashMap<&[u8], usize> = HashMap::new();
    let mut out = Overwritten::default();
    for (at, package) in packages.iter().enumerate() {
        for (number, path) in package.paths.iter().enumerate() {
            if !is_file(at, number) {
                continue;
            }
            let Some(other) = owners.insert(path, at).filter(|other| *other != at) else {
                continue;
            };
            let Some(earlier) = packages.get(other) else { continue };
            if replaces(package, earlier) {
                out.lost.entry(other).or_default().push(path.clone());
            } else if replaces(earlier, package) {
                owners.insert(path, other);
                out.lost.entry(at).or_default().push(path.clone());
            } else {
                return Err(format!(
                    "the packages {} and {} both have /{}, and neither replaces the other",
                    earlier.name(),
                    package.name(),
                    String::from_utf8_lossy(path)
                ));
            }
        }
    }
    Ok(out)
}

/// Whether a package says that it may overwrite files of another one.
fn replaces(package: &Unpacked, other: &Unpacked) -> bool {
    depends::groups(package.field("Replaces"))
        .filter_map(|group| depends::Relation::parse(group).ok())
        .any(|relation| {
            let own = relation.name == other.name() && relation.accepts(other.field("Version"));
            own || depends::groups(other.field("Provides"))
                .filter_map(|group| depends::Relation::parse(group).ok())
                .any(|given| given.name == relation.name && relation.accepts_provided(&given))
        })
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    fn lost(fields: [&str; 2]) -> Result<Overwritten, String> {
        let [a, b] = fields;
        let paths = ["", "etc", "etc/f"];
        overwritten(&[package(a, &[], &paths), package(b, &[], &paths)], |_, path| path == 2)
    }

    #[test]
    fn whoever_replaces_the_other_has_the_file_in_either_order() {
        let old = "Package: old\nVersion: 1.0";
        let new = "Package: new\nVersion: 1\nReplaces: other, old (<< 2)";
        let of = |at| Overwritten { lost: [(at, vec![b"etc/f".to_vec()])].into() };
        assert_eq!(lost([old, new]).unwrap(), of(0));
        assert_eq!(lost([new, old]).unwrap(), of(1));
        assert!(lost([old, new]).unwrap().has_lost(0, b"etc/f"));
    }

    #[test]
    fn a_file_that_nobody_gave_up_is_an_error() {
        let old = "Package: old\nVersion: 3";
        let new = "Package: new\nVersion: 1\nReplaces: old (<< 2)";
        let error = lost([old, new]).unwrap_err();
        assert!(error.contains("old") && error.contains("new") && error.contains("/etc/f"));
    }
}
