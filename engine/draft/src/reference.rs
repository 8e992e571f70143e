//! References of images as they are written in Dockerfiles, bake and compose files.

/// A reference with the parts that Docker fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Registry and path: `docker.io/library/golang`.
    pub repository: String,
    /// Tag, `latest` where none is written; none where a digest stands alone.
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

/// Repositories of others that are well known, whose last part says nothing about this project.
const UPSTREAM: [&str; 8] = [
    "mcr.microsoft.com/",
    "gcr.io/distroless/",
    "cgr.dev/chainguard/",
    "public.ecr.aws/docker/",
    "registry.access.redhat.com/",
    "registry.k8s.io/",
    "docker.elastic.co/",
    "registry.suse.com/",
];

impl Reference {
    /// Reads a reference; none where the text cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (repository, tag) = split_tag(rest);
        let digest_ok = digest.is_none_or(|digest| {
            digest.split_once(':').is_some_and(|(kind, hex)| {
                !kind.is_empty() && !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())
            })
        });
        if !digest_ok || tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        let (host, path) = match repository.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", repository),
        };
        let path_ok = path.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
                })
        });
        let host_ok =
            host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-'));
        if !path_ok || !host_ok {
            return None;
        }
        let official = host == "docker.io" && !path.contains('/');
        let library = if official { "library/" } else { "" };
        let tag = tag.or_else(|| digest.is_none().then_some("latest"));
        Some(Self {
            repository: format!("{host}/{library}{path}"),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The whole reference.
    pub fn full(&self) -> String {
        let mut out = self.repository.clone();
        if let Some(tag) = &self.tag {
            out.push(':');
            out.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            out.push('@');
            out.push_str(digest);
        }
        out
    }

    /// The last part of the repository.
    pub fn last(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is known to come from elsewhere.
    pub fn is_upstream(&self) -> bool {
        self.digest.is_some() || UPSTREAM.iter().any(|known| self.repository.starts_with(known))
    }
}

/// Repository and tag as they are written.
pub(crate) fn split_tag(text: &str) -> (&str, Option<&str>) {
    let slash = text.rfind('/').map_or(0, |at| at + 1);
    match text.get(slash..).and_then(|last| last.rfind(':')) {
        Some(colon) => {
            let at = slash + colon;
            (text.get(..at).unwrap_or_default(), text.get(at + 1..))
        }
        None => (text, None),
    }
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn fills_in_what_docker_does() {
        for (text, full) in [
            ("golang", "docker.io/library/golang:latest"),
            ("golang:1.22-alpine", "docker.io/library/golang:1.22-alpine"),
            ("acme/base:1", "docker.io/acme/base:1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("ghcr.io/a/b:1@sha256:00ff", "ghcr.io/a/b:1@sha256:00ff"),
            ("a@sha256:00ff", "docker.io/library/a@sha256:00ff"),
        ] {
            assert_eq!(Reference::parse(text).map(|r| r.full()).as_deref(), Some(full));
        }
        for text in ["", "A", "a b", "a:", "a:b c", "a@x", "a//b", "a/:1", "{{x}}", "a@sha256:xyz"]
        {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
