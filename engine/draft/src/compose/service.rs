//! One service: its `build`, and what of the rest matters for it.

use std::cell::RefCell;
use std::ops::Range;

use super::vars::Interpolation;
use super::yaml::{Node, Yaml};
use crate::build::Build;
use crate::error::DraftError;
use crate::model::{Secret, SecretSource};
use crate::text::Text;

/// Errors that are told.
const MAX_ERRORS: usize = 50;

/// Reads services and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    pub vars: Interpolation<'a>,
    secrets: Option<&'a Node>,
    pub errors: RefCell<Vec<DraftError>>,
}

impl<'a> Reader<'a> {
    /// A reader of the services of one file, with its top-level secrets.
    pub fn new(
        path: &'a str,
        text: &'a str,
        vars: Interpolation<'a>,
        secrets: Option<&'a Node>,
    ) -> Self {
        Self { path, text, vars, secrets, errors: RefCell::default() }
    }

    /// The build of a service; none where it is not built.
    pub fn service(&self, name: &str, service: &Node) -> Option<Build> {
        let Yaml::Map(_) = &service.value else {
            self.wanted(service, &format!("the service `{name}`"), "a map");
            return None;
        };
        let node = service.get("build")?;
        let mut build = Build { who: format!("service `{name}`"), ..Build::default() };
        match &node.value {
            Yaml::Map(pairs) => {
                for (key, value) in pairs {
                    self.attribute(&mut build, key, value);
                }
            }
            Yaml::Text(_) => build.context = self.one(node, "`build`"),
            _ => self.wanted(node, "`build`", "a folder or a map"),
        }
        if let Some(image) = service.get("image").and_then(|image| self.one(image, "`image`")) {
            build.tags.insert(0, image);
        }
        if build.platforms.is_empty() {
            let platform = service.get("platform").and_then(|node| self.one(node, "`platform`"));
            build.platforms.extend(platform);
        }
        if service.get("extends").is_some() {
            build.leave("extends", "`extends` is not followed: look at what it takes from there");
        }
        Some(build)
    }

    /// A service that is not built, with its image.
    pub fn pulled(&self, name: &str, service: &Node) -> Option<String> {
        let image = self.one(service.get("image")?, "`image`")?;
        Some(format!("{name} ({})", image.value()))
    }

    fn attribute(&self, build: &mut Build, key: &str, node: &Node) {
        match key {
            "context" => build.context = self.one(node, key),
            "dockerfile" => build.dockerfile = self.one(node, key),
            "dockerfile_inline" => build.inline = self.one(node, key).map(|text| text.value()),
            "target" => build.target = self.one(node, key),
            "args" => build.args = self.pairs(node, key),
            "labels" => {
                let pairs = self.pairs(node, key).into_iter();
                build.labels = pairs.map(|(k, v)| (k, v.unwrap_or_default())).collect();
            }
            "additional_contexts" => {
                let pairs = self.pairs(node, key).into_iter();
                build.contexts = pairs.filter_map(|(k, v)| Some((k, v?))).collect();
            }
            "platforms" => build.platforms = self.list(node, key),
            "tags" => build.tags.extend(self.list(node, key)),
            "secrets" => self.take_secrets(build, node),
            _ if key.starts_with("x-") => {}
            _ => build.leave_setting(key, &shown(node), reason(key)),
        }
    }

    fn wrong(&self, span: Range<usize>, message: impl Into<String>) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < MAX_ERRORS {
            errors.push(DraftError::at(self.path, self.text, span, message));
        }
    }

    fn wanted(&self, node: &Node, what: &str, kind: &str) {
        self.wrong(node.span.clone(), format!("{what} is {kind}, and this is {}", node.kind()));
    }

    /// A single value, none where there is nothing.
    fn one(&self, node: &Node, what: &str) -> Option<Text> {
        match &node.value {
            Yaml::Null => None,
            Yaml::Text(text) => match self.vars.text(text) {
                Ok(text) => Some(text),
                Err((_, message)) => {
                    self.wrong(node.span.clone(), message);
                    None
                }
            },
            _ => {
                self.wanted(node, what, "a single value");
                None
            }
        }
    }

    fn list(&self, node: &Node, what: &str) -> Vec<Text> {
        match &node.value {
            Yaml::Null => Vec::new(),
            Yaml::List(list) => list.iter().filter_map(|item| self.one(item, what)).collect(),
            _ => {
                self.wanted(node, what, "a list");
                Vec::new()
            }
        }
    }

    /// Pairs of a map, or of a list of `NAME=value`; the last of each name.
    fn pairs(&self, node: &Node, what: &str) -> Vec<(String, Option<Text>)> {
        let mut out: Vec<(String, Option<Text>)> = Vec::new();
        let mut add =
            |name: String, value: Option<Text>| match out.iter_mut().find(|(n, _)| *n == name) {
                Some((_, known)) => *known = value,
                None => out.push((name, value)),
            };
        match &node.value {
            Yaml::Null => {}
            Yaml::Map(pairs) => {
                for (name, value) in pairs {
                    add(name.clone(), self.one(value, what));
                }
            }
            Yaml::List(list) => {
                for item in list.iter().filter_map(|item| self.one(item, what)) {
                    let value = item.value();
                    match value.split_once('=') {
                        Some((name, _)) => {
                            add(name.to_owned(), Some(item.cut(name.len()).1.cut(1).1));
                        }
                        None => add(value, None),
                    }
                }
            }
            Yaml::Text(_) => self.wanted(node, what, "a map or a list"),
        }
        out
    }

    fn take_secrets(&self, build: &mut Build, node: &Node) {
        let Yaml::List(list) = &node.value else {
            self.wanted(node, "`secrets`", "a list");
            return;
        };
        for item in list {
            let (source, id) = match &item.value {
                Yaml::Map(_) => {
                    let source = item.get("source").and_then(|node| self.one(node, "`source`"));
                    let target = item.get("target").and_then(|node| self.one(node, "`target`"));
                    (source.clone(), target.or(source))
                }
                _ => {
                    let source = self.one(item, "a secret");
                    (source.clone(), source)
                }
            };
            let (Some(source), Some(id)) = (source, id) else { continue };
            let (source, id) = (source.value(), id.value());
            match self.secret_source(&source) {
                Some(source) => {
                    build.secrets.retain(|known| known.id != id);
                    build.secrets.push(Secret { id, source });
                }
                None => build.leave(
                    format!("secret {}", crate::quote::quoted(&Text::plain(&id).interpolation())),
                    format!("the secret `{source}` has no file and no variable in this file"),
                ),
            }
        }
    }

    /// Where a secret of the file comes from.
    fn secret_source(&self, name: &str) -> Option<SecretSource> {
        let secret = self.secrets?.get(name)?;
        if let Some(variable) = secret.get("environment").and_then(|n| self.one(n, "`environment`"))
        {
            return Some(SecretSource::Env(variable.value()));
        }
        let file = secret.get("file").and_then(|node| self.one(node, "`file`"))?;
        Some(SecretSource::File(crate::build::clean(&file)))
    }
}

/// A value on one line, for a comment.
fn shown(node: &Node) -> String {
    const LONGEST: usize = 200;
    let mut out = String::new();
    show(node, &mut out);
    if out.chars().count() > LONGEST {
        out = out.chars().take(LONGEST).chain(['…']).collect();
    }
    out
}

fn show(node: &Node, out: &mut String) {
    match &node.value {
        Yaml::Null => out.push_str("null"),
        Yaml::Text(text) => out.push_str(&crate::quote::quoted(text)),
        Yaml::List(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                show(item, out);
            }
            out.push(']');
        }
        Yaml::Map(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(key);
                out.push_str(": ");
                show(value, out);
            }
            out.push('}');
        }
    }
}

/// Why a key has no counterpart, and what there is in its place.
fn reason(key: &str) -> &'static str {
    match key {
        "cache_from" | "cache_to" => {
            "is not needed: results are kept in the store and the registry"
        }
        "no_cache" => "is left out: use `mabuild graph rebuild --force TARGET`",
        "pull" => {
            "is left out: bases are pinned in the lock and move with `mabuild upstream update`"
        }
        "provenance" | "sbom" => "is left out: both are made for every published image",
        "ssh" => "has no counterpart; use a `secret`",
        _ => "has no counterpart and is left out",
    }
}
