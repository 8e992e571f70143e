//! Sources of ADD that are fetched: addresses and git repositories.

/// Where a source of ADD is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// A file of the build context.
    No,
    /// A file at an `http` or `https` address.
    Http,
    /// A git repository: `git://…`, `ssh://…`, `user@host:path`, or a web address of a `.git`.
    Git,
}

/// Tells where an expanded source of ADD is, as BuildKit does.
pub fn remote(source: &str) -> Remote {
    let Some((scheme, rest)) = source.split_once("://") else {
        return if is_ssh(source) { Remote::Git } else { Remote::No };
    };
    match scheme.to_ascii_lowercase().as_str() {
        "git" | "ssh" => Remote::Git,
        "http" | "https" if path(rest).ends_with(".git") => Remote::Git,
        // Only these are fetched as they are; in capitals they are a path.
        "http" | "https" if matches!(scheme, "http" | "https") => Remote::Http,
        _ => Remote::No,
    }
}

/// The path of an address without its scheme.
fn path(rest: &str) -> &str {
    let path = rest.split(['?', '#']).next().unwrap_or("");
    path.split_once('/').map_or("", |(_, path)| path)
}

/// Whether a text reads `user@host:path`, as for `scp`.
fn is_ssh(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let is_word = |part: &str, extra: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    is_word(user, "-_") && is_word(host, "-_.") && !path.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        for (text, expected) in [
            ("a/b", Remote::No),
            ("./git@x:y", Remote::No),
            ("git@host", Remote::No),
            ("git@host:", Remote::No),
            ("git@host:a/b", Remote::Git),
            ("git@host.org:a/b.git#v1:sub", Remote::Git),
            ("git://host/a", Remote::Git),
            ("ssh://git@host/a", Remote::Git),
            ("https://host/a.git", Remote::Git),
            ("https://host/a.git#v1:sub", Remote::Git),
            ("https://host/a.git?ref=v1", Remote::Git),
            ("https://host/a.git/b", Remote::Http),
            ("https://host.git", Remote::Http),
            ("http://host/a.tar.gz", Remote::Http),
            ("ftp://host/a", Remote::No),
            ("HTTP://host/a", Remote::No),
            ("github.com/a/b", Remote::No),
            ("", Remote::No),
        ] {
            assert_eq!(remote(text), expected, "{text}");
        }
    }
}
