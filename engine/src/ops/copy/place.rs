//! Where images are copied from and to, and how that is spelled.

use std::path::PathBuf;

use mabuild_lang::reference;

/// Where an image is, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a registry, by its reference with the host.
    Registry(String),
    /// In the store, as NAME, NAME:TAG or a digest.
    Store(String),
    /// In a folder that is an image layout.
    Layout(Filed),
    /// In an image layout in one tar.
    OciArchive(Filed),
    /// In an archive that `docker save` writes and `docker load` reads.
    DockerArchive(Filed),
}

/// A file or folder, and the name of an image in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The path.
    pub path: PathBuf,
    /// The name; none where there is one image alone, or where it is to get none.
    pub name: Option<String>,
}

impl Filed {
    fn parse(text: &str) -> Result<Self, String> {
        let (path, name) = match text.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (text, None),
        };
        if path.is_empty() || name == Some("") {
            return Err("write a path, and perhaps `:` and a name behind it".to_owned());
        }
        Ok(Self { path: path.into(), name: name.map(str::to_owned) })
    }
}

impl Place {
    /// Reads a place as skopeo spells it; without a transport it is an image of a registry. The
    /// error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = |prefix: &str| text.strip_prefix(prefix);
        if let Some(rest) = read("oci:") {
            return Filed::parse(rest).map(Self::Layout);
        }
        if let Some(rest) = read("oci-archive:") {
            return Filed::parse(rest).map(Self::OciArchive);
        }
        if let Some(rest) = read("docker-archive:") {
            return Filed::parse(rest).map(Self::DockerArchive);
        }
        if let Some(rest) = read("store:").filter(|rest| !rest.is_empty()) {
            return Ok(Self::Store(rest.to_owned()));
        }
        let plain = read("docker://").unwrap_or(text);
        let parsed = reference::parse(plain).map_err(|e| format!("it {}: {}", e.label, e.help))?;
        match parsed.repository.host {
            Some(_) => Ok(Self::Registry(plain.to_owned())),
            None if plain != text => Ok(Self::Registry(reference::normal(plain))),
            None => Err(format!(
                "it names no registry: write `store:{text}` for an image of the store, or \
                 `docker://{text}` for one of Docker Hub"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spelled_as_skopeo_spells_them() {
        let filed = |path: &str, name: Option<&str>| Filed {
            path: path.into(),
            name: name.map(str::to_owned),
        };
        let registry = |text: &str| Ok(Place::Registry(text.to_owned()));
        for (text, place) in [
            ("ghcr.io/acme/app:1", registry("ghcr.io/acme/app:1")),
            ("localhost:5000/app", registry("localhost:5000/app")),
            ("docker://ghcr.io/acme/app", registry("ghcr.io/acme/app")),
            ("docker://debian:12", registry("docker.io/library/debian:12")),
            ("oci:dir", Ok(Place::Layout(filed("dir", None)))),
            ("oci:/a/dir:tag", Ok(Place::Layout(filed("/a/dir", Some("tag"))))),
            ("oci-archive:f.tar:a:b", Ok(Place::OciArchive(filed("f.tar", Some("a:b"))))),
            (
                "docker-archive:f:ghcr.io/a/b:1",
                Ok(Place::DockerArchive(filed("f", Some("ghcr.io/a/b:1")))),
            ),
            ("store:web:1.0", Ok(Place::Store("web:1.0".to_owned()))),
        ] {
            assert_eq!(Place::parse(text), place, "{text}");
        }
        for (text, word) in [
            ("web:1.0", "store:web:1.0"),
            ("oci:", "path"),
            ("oci-archive:f:", "path"),
            ("ghcr.io/Acme/app", "it "),
            ("https://ghcr.io/a", "it "),
            ("", "it "),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
