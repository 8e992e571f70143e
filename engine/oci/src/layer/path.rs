//! Paths inside a layer: bytes, relative, no `.`, no `..`, no empty component.

use crate::{Error, Result};

/// Marks a path of the layers below as gone.
pub(crate) const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// Marks what the layers below have in a directory as gone.
pub(crate) const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

/// Returns the components of a path; `.` and empty ones are left out, `..` stays.
pub(crate) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|c| !c.is_empty() && *c != b".")
}

/// Splits a clean path into its parent and its last component; the root has no name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Joins a clean parent and a name.
pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        return name.to_vec();
    }
    [parent, b"/", name].concat()
}

/// Makes a path of an archive clean; refuses `..` and NUL bytes.
pub(crate) fn clean(path: &[u8]) -> Result<Vec<u8>> {
    if path.contains(&0) {
        return Err(Error::archive(path, "the path has a NUL byte"));
    }
    let mut out = Vec::with_capacity(path.len());
    for part in components(path) {
        if part == b".." {
            return Err(Error::archive(path, "the path has a \"..\" component"));
        }
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(part);
    }
    Ok(out)
}

/// Makes a path of an archive clean; `..` goes up as far as the root and no further.
pub(crate) fn clean_in_root(path: &[u8]) -> Result<Vec<u8>> {
    let mut out: Vec<&[u8]> = Vec::new();
    for part in components(path) {
        match part {
            b".." => drop(out.pop()),
            part => out.push(part),
        }
    }
    clean(&out.join(&b'/'))
}

/// Tells whether a path is already what [`clean`] makes of it.
pub(crate) fn is_clean(path: &[u8]) -> bool {
    path.is_empty()
        || path
            .split(|b| *b == b'/')
            .all(|part| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_clean() {
        for (from, to) in [
            ("./usr/bin/", "usr/bin"),
            ("/etc//passwd", "etc/passwd"),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("a/./b", "a/b"),
            ("...", "..."),
        ] {
            let cleaned = clean(from.as_bytes()).unwrap();
            assert_eq!(cleaned, to.as_bytes());
            assert!(is_clean(&cleaned));
        }
        for bad in ["..", "../x", "a/../b", "a/..", "a\0b"] {
            assert!(clean(bad.as_bytes()).is_err(), "{bad:?} was accepted");
            assert!(!is_clean(bad.as_bytes()), "{bad:?} is said to be clean");
        }
        assert!(!is_clean(b"/a") && !is_clean(b"a/") && !is_clean(b"a//b") && !is_clean(b"./a"));
    }

    #[test]
    fn a_root_is_not_left() {
        for (from, to) in
            [("../x", "x"), ("a/../../../b/c", "b/c"), ("/..", ""), ("a/..", ""), ("a/./b", "a/b")]
        {
            assert_eq!(clean_in_root(from.as_bytes()).unwrap(), to.as_bytes());
        }
        assert!(clean_in_root(b"a\0").is_err());
    }

    #[test]
    fn split_and_join_are_inverse() {
        for path in ["a", "a/b", "a/b/c"] {
            let (parent, name) = split(path.as_bytes());
            assert_eq!(join(parent, name), path.as_bytes());
        }
    }
}
