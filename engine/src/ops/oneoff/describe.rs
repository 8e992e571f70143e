//! The description of one Dockerfile.

use std::collections::HashSet;
use std::path::Path;

use mabuild_draft::literal;
use mabuild_lang::platform::Platform;
use mabuild_oci::Layout;

use super::{NamedContext, OneOff, folder, text};
use crate::ops::{Env, OpError};

/// A description in memory.
pub(super) struct Description {
    /// Its text.
    pub text: String,
    /// The flag that each line comes from; empty where there is none.
    pub flags: Vec<String>,
    /// The node that is the image.
    pub image: String,
}

/// Longest name of a node that is made of something else, in bytes.
const LONGEST: usize = 60;

impl Description {
    /// Describes a Dockerfile. `path` and `context` are where it and its context are.
    pub fn of(
        one: &OneOff,
        env: &Env,
        path: &str,
        context: &Path,
        content: &[u8],
        machine: &Platform,
    ) -> Result<Self, OpError> {
        let mut names = Names::new(content, &one.args);
        let wanted = context.file_name().map(|name| name.to_string_lossy().into_owned());
        let image = names.free(wanted.as_deref().unwrap_or_default(), "image");
        let mut out = Self { text: String::new(), flags: Vec::new(), image: image.clone() };
        out.line("", "mabuild 1");
        let platforms = match one.platforms.as_slice() {
            [] => vec![machine.to_string()],
            given => given.iter().map(ToString::to_string).collect(),
        };
        let mut contexts = Vec::new();
        for (name, source) in &one.contexts {
            let flag = format!("--build-context {name}");
            let source = match source {
                NamedContext::Image(reference) => format!("docker-image://{reference}"),
                NamedContext::Folder(path) => {
                    let path = folder(&format!("the context `{name}`"), &env.cwd.join(path))?;
                    text(&format!("the context `{name}`"), &path)?
                }
                NamedContext::Layout { path, reference } => {
                    let what = format!("the image layout `{name}`");
                    let path = text(&what, &folder(&what, &env.cwd.join(path))?)?;
                    let node = names.context(name);
                    let reference = reference.clone().or_else(|| usual(&path));
                    out.layout(&flag, &node, (&path, reference.as_deref()), &platforms, machine);
                    format!("node:{node}")
                }
            };
            contexts.push((flag, format!("{} {}", literal(name), literal(&source))));
        }
        out.line("", &format!("image {} {{", literal(&image)));
        out.line("--file", &format!("dockerfile {}", literal(path)));
        let context = text("the build context", context)?;
        out.line("the build context", &format!("context {}", literal(&context)));
        if let Some(target) = &one.target {
            out.line(&format!("--target {target}"), &format!("target {}", literal(target)));
        }
        for (flag, values) in contexts {
            out.line(&flag, &format!("named-context {values}"));
        }
        for (name, value) in &one.args {
            let values = format!("{} {}", literal(name), literal(value));
            out.line(&format!("--build-arg {name}"), &format!("arg {values}"));
        }
        for (name, value) in &one.labels {
            let values = format!("{} {}", literal(name), literal(value));
            out.line(&format!("--label {name}"), &format!("label {values}"));
        }
        out.line("--platform", &format!("platforms {}", literals(&platforms)));
        out.line("", "}");
        Ok(out)
    }

    /// A base out of an image layout, for every platform that a FROM may ask for: those it lacks
    /// matter only where they are needed.
    fn layout(
        &mut self,
        flag: &str,
        node: &str,
        (path, reference): (&str, Option<&str>),
        platforms: &[String],
        machine: &Platform,
    ) {
        let mut all: Vec<String> = platforms.to_vec();
        let known = Platform::known().map(str::to_owned);
        for platform in known.chain([machine.to_string()]) {
            if !all.contains(&platform) {
                all.push(platform);
            }
        }
        let reference = reference.map(|name| format!(" ref={}", literal(name)));
        self.line(flag, &format!("base {} {{", literal(node)));
        let layout = format!("oci-layout {}{}", literal(path), reference.unwrap_or_default());
        self.line(flag, &layout);
        self.line(flag, &format!("platforms {}", literals(&all)));
        self.line("", "}");
    }

    fn line(&mut self, flag: &str, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.flags.push(flag.to_owned());
    }
}

fn literals(texts: &[String]) -> String {
    texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(" ")
}

/// The image of a layout that is meant where none is named: of several that with the tag `latest`.
/// What is wrong with the layout is said when it is read for its image.
fn usual(path: &str) -> Option<String> {
    let index = Layout::open(path).and_then(|layout| layout.index()).ok()?;
    let names: HashSet<Option<&str>> = index.manifests.iter().map(|d| d.ref_name()).collect();
    let latest = names.contains(&Some("latest")) && names.len() > 1;
    latest.then(|| "latest".to_owned())
}

/// Names of nodes that the Dockerfile does not mean when it names an image.
struct Names {
    meant: HashSet<String>,
    used: HashSet<String>,
}

/// Whether a character may stand in the name of a node.
fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
}

impl Names {
    fn new(content: &[u8], args: &[(String, String)]) -> Self {
        let text = String::from_utf8_lossy(content).to_ascii_lowercase();
        let text = text.replace("\\\n", " ");
        let names = |line: &str| -> Vec<String> {
            line.split(|c| !is_plain(c)).map(str::to_owned).collect()
        };
        // Names of images stand in FROM and behind `from=`, or come there out of an ARG.
        let lines = text.lines().filter(|line| line.contains("from") || line.contains("arg"));
        let values = args.iter().map(|(_, value)| value.as_str());
        Self { meant: lines.chain(values).flat_map(names).collect(), used: HashSet::new() }
    }

    /// The name of a context, which the Dockerfile may well mean: a context counts before a node.
    fn context(&mut self, name: &str) -> String {
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && name.chars().all(is_plain) && self.used.insert(name.to_owned()) {
            return name.to_owned();
        }
        self.free(name, "base")
    }

    /// A name like the one that is wanted.
    fn free(&mut self, wanted: &str, kind: &str) -> String {
        let plain = |c: char| Some(c.to_ascii_lowercase()).filter(|c| is_plain(*c)).unwrap_or('-');
        let name: String = wanted.chars().map(plain).take(LONGEST).collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let name = if name.is_empty() { kind } else { name };
        let others = (1..).map(|number| match number {
            1 => format!("{name}-{kind}"),
            number => format!("{name}-{kind}-{number}"),
        });
        let is_free = |name: &String| !self.meant.contains(name) && !self.used.contains(name);
        let found = [name.to_owned()].into_iter().chain(others).find(is_free);
        let found = found.unwrap_or_else(|| kind.to_owned());
        self.used.insert(found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_none_that_the_dockerfile_means() {
        let file =
            b"ARG BASE=alpine\nFROM $BASE\nFROM --platform=x \\\n  debian:12\nCOPY app /app\n";
        let mut names = Names::new(file, &[("X".into(), "docker.io/library/nginx:1".into())]);
        assert_eq!(names.free("Alpine", "image"), "alpine-image");
        assert_eq!(names.free("debian", "image"), "debian-image");
        assert_eq!(names.free("nginx", "image"), "nginx-image");
        assert_eq!(names.free("app", "image"), "app");
        assert_eq!(names.free("app", "image"), "app-image");
        assert_eq!(names.free("App", "image"), "app-image-2");
        assert_eq!(names.free(".-Über uns/x", "image"), "ber-uns-x");
        assert_eq!(names.free("…", "image"), "image");
        assert_eq!(names.context("alpine"), "alpine");
        assert_eq!(names.context("app"), "app-base");
        assert_eq!(names.context("docker.io/x"), "docker.io-x");
    }
}
