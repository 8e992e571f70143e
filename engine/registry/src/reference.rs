//! Which image is meant.

use std::fmt;

use mabuild_oci::Digest;

/// An image of a registry, in its parts. Whoever reads the text also completes it: the host is
/// never left out, and Docker Hub's is `docker.io`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Host, perhaps with a port: `ghcr.io`, `localhost:5000`.
    pub host: String,
    /// Path of the repository: `library/debian`.
    pub repository: String,
    /// Tag; `latest` is meant where there is neither a tag nor a digest.
    pub tag: Option<String>,
    /// Digest of the manifest or index; it counts more than the tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Names a content of the same repository.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Gives what stands behind `/manifests/` in the address.
    pub(crate) fn name(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// Gives what is remembered under: one text for whatever names the same manifest.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}/{}", self.host, self.repository, self.name())
    }

    /// Names the repository alone.
    pub(crate) fn whole(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// Gives the repository as `HOST/PATH`.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}
