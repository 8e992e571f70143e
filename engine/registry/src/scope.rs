//! Permissions, as token servers give them.
//!
//! Format: `repository:NAME:ACTION,…`, of the token authentication of the distribution project;
//! several are parted by spaces.

use crate::Reference;

/// The permission that a request needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    text: String,
    is_writing: bool,
}

impl Scope {
    /// Reads a repository.
    pub fn reading(reference: &Reference) -> Self {
        Self { text: part(reference, "pull"), is_writing: false }
    }

    /// Writes into a repository, and takes blobs out of others of the same registry.
    pub fn writing(reference: &Reference, mounts: &[Reference]) -> Self {
        let mut parts: Vec<String> = mounts.iter().map(|from| part(from, "pull")).collect();
        parts.sort_unstable();
        parts.dedup();
        parts.insert(0, part(reference, "pull,push"));
        Self { text: parts.join(" "), is_writing: true }
    }

    /// Takes something out of a repository for good.
    pub fn deleting(reference: &Reference) -> Self {
        Self { text: part(reference, "pull,delete"), is_writing: true }
    }

    /// Whether something is written.
    pub fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The permission for each repository.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.text.split(' ')
    }

    /// Whether whoever has this permission has the other one, too.
    pub fn covers(&self, other: &Self) -> bool {
        let split = |part| str::rsplit_once(part, ':').unwrap_or((part, ""));
        other.parts().map(split).all(|(name, actions)| {
            self.parts().map(split).any(|(own, allowed)| {
                own == name && actions.split(',').all(|a| allowed.split(',').any(|b| a == b))
            })
        })
    }
}

fn part(reference: &Reference, actions: &str) -> String {
    format!("repository:{}:{actions}", reference.repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(repository: &str) -> Reference {
        Reference {
            host: "r.example".to_owned(),
            repository: repository.to_owned(),
            tag: None,
            digest: None,
        }
    }

    #[test]
    fn wide_permissions_cover_narrow_ones() {
        let wide = Scope::writing(&of("a/x"), &[of("base"), of("a"), of("base")]);
        assert_eq!(wide.text(), "repository:a/x:pull,push repository:a:pull repository:base:pull");
        for (other, covered) in [
            (Scope::reading(&of("a/x")), true),
            (Scope::reading(&of("base")), true),
            (Scope::writing(&of("a/x"), &[]), true),
            (Scope::writing(&of("a/x"), &[of("base")]), true),
            (Scope::writing(&of("base"), &[]), false),
            (Scope::deleting(&of("a/x")), false),
            (Scope::reading(&of("a/xy")), false),
            (Scope::reading(&of("x")), false),
        ] {
            assert_eq!(wide.covers(&other), covered, "{other:?}");
        }
        assert!(!Scope::reading(&of("a")).covers(&Scope::writing(&of("a"), &[])));
    }
}
