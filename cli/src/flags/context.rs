//! The build context, and `--build-context`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use mabuild_engine::ops::NamedContext;
use mabuild_lang::reference;

/// Where the build context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildContext(pub PathBuf);

impl FromStr for BuildContext {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty; write `.` for this folder".to_owned()),
            "-" => {
                Err("a context cannot be read from standard input; name a folder, and read the \
                        Dockerfile alone with `-f -`"
                    .to_owned())
            }
            text if is_remote(text) => Err(remote(text)),
            text => Ok(Self(PathBuf::from(text))),
        }
    }
}

fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}

fn remote(text: &str) -> String {
    format!(
        "`{text}` is not on this machine, and contexts are not fetched; clone or unpack it, and name the folder"
    )
}

/// `NAME=SOURCE` of `--build-context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContextArg {
    /// The name, as a Dockerfile writes it.
    pub name: String,
    source: String,
}

/// Reads `NAME=SOURCE`.
pub fn named_context(text: &str) -> Result<NamedContextArg, String> {
    let (name, source) = text.split_once('=').ok_or("write it as NAME=SOURCE")?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("its name is one word, as FROM writes it".to_owned());
    }
    match source {
        "" => return Err(format!("nothing stands behind `{name}=`")),
        "-" => return Err("a context cannot be read from standard input".to_owned()),
        _ => {}
    }
    if let Some(reference) = source.strip_prefix("docker-image://") {
        reference::parse(reference).map_err(|wrong| format!("{}: {}", wrong.label, wrong.help))?;
    } else if !source.starts_with("oci-layout://") && is_remote(source) {
        return Err(remote(source));
    }
    Ok(NamedContextArg { name: familiar(name), source: source.to_owned() })
}

/// The name as it is written without what goes without saying.
fn familiar(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name).to_owned()
}

impl NamedContextArg {
    /// Gives what the name stands for. Relative paths start at `cwd`.
    pub fn source(&self, cwd: &Path) -> NamedContext {
        if let Some(reference) = self.source.strip_prefix("docker-image://") {
            return NamedContext::Image(reference.to_owned());
        }
        let Some(layout) = self.source.strip_prefix("oci-layout://") else {
            return NamedContext::Folder(PathBuf::from(&self.source));
        };
        let (path, reference) = layout_of(layout, &|path| cwd.join(path).is_dir());
        NamedContext::Layout { path: PathBuf::from(path), reference: reference.map(str::to_owned) }
    }
}

/// Path and name in it of `PATH[:TAG][@DIGEST]`; a folder may have a `:` or `@` in its name.
fn layout_of<'t>(text: &'t str, is_folder: &dyn Fn(&str) -> bool) -> (&'t str, Option<&'t str>) {
    if is_folder(text) {
        return (text, None);
    }
    if let Some((path, digest)) = text.rsplit_once('@') {
        // A digest says more than a tag.
        return (layout_of(path, is_folder).0, Some(digest));
    }
    match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_folders() {
        assert_eq!("a b".parse(), Ok(BuildContext("a b".into())));
        for bad in ["", "-", "https://example.org/a.git", "git@example.org:a/b"] {
            assert!(bad.parse::<BuildContext>().is_err(), "{bad}");
        }
    }

    #[test]
    fn named_contexts_are_folders_layouts_or_images() {
        let source = |text: &str| named_context(text).unwrap().source(Path::new("/none"));
        let layout = |path: &str, reference: Option<&str>| NamedContext::Layout {
            path: path.into(),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(source("a=../b"), NamedContext::Folder("../b".into()));
        assert_eq!(source("a=oci-layout:///b"), layout("/b", None));
        assert_eq!(source("a=oci-layout://b:1.0"), layout("b", Some("1.0")));
        assert_eq!(source("a=oci-layout://b:1@sha256:00"), layout("b", Some("sha256:00")));
        assert_eq!(source("a=docker-image://b:1"), NamedContext::Image("b:1".into()));
        assert_eq!(layout_of("a:b@c", &|path| path == "a:b"), ("a:b", Some("c")));
        let name = |text: &str| named_context(text).unwrap().name;
        assert_eq!(name("docker.io/library/alpine:latest=x"), "alpine");
        assert_eq!(name("Base=x"), "Base");
    }

    #[test]
    fn bad_named_contexts_are_refused() {
        for bad in ["a", "=b", "a=", "a b=c", "a=-", "a=https://x/y", "a=docker-image://A B"] {
            assert!(named_context(bad).is_err(), "{bad}");
        }
    }
}
