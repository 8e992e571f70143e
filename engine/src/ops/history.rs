//! The history of runs: the list of them, and two of them compared.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::str::FromStr;

use globset::{Glob, GlobSet, GlobSetBuilder};
use mabuild_lang::platform::Platform;

use super::planning::lowered;
use super::{ErrorKind, OpError, Project, RunRequest};
use crate::graph::{SelectError, select};
use crate::plan::{Became, Compared, State, States, between as compare};
pub use crate::store::RunRow;
use crate::store::Store;

/// A run as a person names it: `12` or `#12`; `last`, and `last~2` for the second before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunName {
    /// By its number.
    Number(i64),
    /// So many finished runs of the project before the last.
    Last(usize),
}

impl FromStr for RunName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a number of `mabuild graph runs`, `last`, or `last~1`".to_owned();
        if let Some(rest) = text.strip_prefix("last") {
            return match rest.strip_prefix('~') {
                Some(back) => back.parse().map(Self::Last).map_err(|_| wrong()),
                None if rest.is_empty() => Ok(Self::Last(0)),
                None => Err(wrong()),
            };
        }
        match text.strip_prefix('#').unwrap_or(text).parse() {
            Ok(number) if number > 0 => Ok(Self::Number(number)),
            _ => Err(wrong()),
        }
    }
}

/// Two runs compared.
#[derive(Debug)]
pub struct Comparison {
    /// The first run.
    pub from: RunRow,
    /// The second.
    pub to: RunRow,
    /// The nodes that were asked for; when none were named, those that differ.
    pub nodes: Vec<Compared>,
}

/// The last runs of a project, or of all, newest first.
pub fn runs(store: &Path, project: Option<&Project>, most: usize) -> Result<Vec<RunRow>, OpError> {
    let store = Store::open(store).map_err(OpError::store)?;
    let found = match project {
        Some(project) => store.runs(&project.name, most),
        None => store.all_runs(most),
    };
    found.map_err(OpError::store)
}

/// Compares what nodes were in two runs of a project. Targets may also name nodes that the file
/// does not have any more.
pub fn between(
    project: &Project,
    request: &RunRequest,
    names: (RunName, RunName),
) -> Result<Comparison, OpError> {
    let store = Store::open(&request.store).map_err(OpError::store)?;
    let _use = store.use_guard().map_err(OpError::store)?;
    let from = run(&store, project, names.0)?;
    let to = run(&store, project, names.1)?;
    let (before, now) = (states(&store, &from)?, states(&store, &to)?);
    let known: BTreeSet<&str> = before.keys().chain(now.keys()).map(String::as_str).collect();
    let nodes = chosen(project, request, &known)?;
    let mut nodes = compare(&nodes, &before, &now, &|key| store.body(key));
    if request.targets.is_empty() {
        nodes.retain(|node| !matches!(node.became, Became::Same { .. } | Became::Absent));
    }
    Ok(Comparison { from, to, nodes })
}

fn states(store: &Store, run: &RunRow) -> Result<States, OpError> {
    let rows = store.states(&run.project, run.id).map_err(OpError::store)?;
    let state = |row: crate::store::StateRow| State { key: row.key, digest: row.digest.into() };
    Ok(rows.into_iter().map(|(node, row)| (node, state(row))).collect())
}

fn run(store: &Store, project: &Project, name: RunName) -> Result<RunRow, OpError> {
    let wrong = |message: String| {
        OpError::new(ErrorKind::User, "mabuild::engine::run", message)
            .help("`mabuild graph runs` lists the runs that are kept")
    };
    let found = match name {
        RunName::Number(id) => store.run(id).map_err(OpError::store)?,
        RunName::Last(back) => {
            let runs = store.runs(&project.name, usize::MAX).map_err(OpError::store)?;
            runs.into_iter().filter(|run| run.ended.is_some()).nth(back)
        }
    };
    let run = found.ok_or_else(|| match name {
        RunName::Number(id) => wrong(format!("there is no run {id}")),
        RunName::Last(0) => wrong(format!("there is no finished run of {}", project.name)),
        RunName::Last(back) => {
            wrong(format!("there are not {} finished runs of {}", back + 1, project.name))
        }
    })?;
    if run.project != project.name {
        let (id, other) = (run.id, &run.project);
        return Err(wrong(format!("run {id} is one of {other}, not of {}", project.name)));
    }
    if !run.detailed {
        let id = run.id;
        let message =
            format!("the nodes of run {id} are not known: an older version of the program made it");
        return Err(wrong(message));
    }
    Ok(run)
}

/// The platform nodes that targets mean, in the order of the graph, those that it does not have
/// last.
fn chosen(
    project: &Project,
    request: &RunRequest,
    known: &BTreeSet<&str>,
) -> Result<Vec<String>, OpError> {
    let graph = &lowered(project)?.graph;
    let keep = |platform: Option<&Platform>| {
        request.platforms.is_empty() || platform.is_some_and(|p| request.platforms.contains(p))
    };
    let (mut out, mut seen) = (Vec::new(), HashSet::new());
    let mut add = |name: String| {
        if seen.insert(name.clone()) {
            out.push(name);
        }
    };
    if request.targets.is_empty() {
        return Ok(known
            .iter()
            .filter(|n| keep(split(n).1.as_ref()))
            .map(|n| (*n).into())
            .collect());
    }
    for target in &request.targets {
        match select(graph, std::slice::from_ref(target), &request.platforms) {
            Ok(selection) => {
                let nodes = selection.targets.iter().filter(|n| graph.platform(**n).is_some());
                nodes.for_each(|node| add(graph.name(*node)));
            }
            Err(error) => {
                let named = Past::of(target);
                let past: Vec<&&str> = known
                    .iter()
                    .filter(|name| named.means(name) && keep(split(name).1.as_ref()))
                    .collect();
                if past.is_empty() {
                    return Err(unknown(&error));
                }
                past.into_iter().for_each(|name| add((*name).to_owned()));
            }
        }
    }
    Ok(out)
}

/// The thing and the platform of a node or a target. The name of an image of a registry may hold
/// an `@` of its own.
fn split(node: &str) -> (&str, Option<Platform>) {
    let parts = node.rsplit_once('@');
    let found = parts.and_then(|(name, rest)| Some((name, Platform::parse(rest).ok()?)));
    found.map_or((node, None), |(name, platform)| (name, Some(platform)))
}

/// What a target names of the past, where a thing is no more than its name.
struct Past<'a> {
    name: &'a str,
    platform: Option<Platform>,
    glob: Option<GlobSet>,
}

impl<'a> Past<'a> {
    fn of(target: &'a str) -> Self {
        let (name, platform) = split(target);
        // A set refuses a pattern that is too large; a matcher of its own would panic.
        let glob = Glob::new(name).ok();
        let glob = glob.and_then(|glob| GlobSetBuilder::new().add(glob).build().ok());
        Self { name, platform, glob }
    }

    /// Whether it names a node: in full, by its thing, by the image that this is a variant of, or
    /// by a glob.
    fn means(&self, node: &str) -> bool {
        let (thing, platform) = split(node);
        if self.platform.is_some() && self.platform != platform {
            return false;
        }
        self.name == thing
            || is_variant(thing, self.name)
            || self.glob.as_ref().is_some_and(|glob| glob.is_match(thing))
    }
}

/// Whether a thing is the variant of an image that a name stands for, `python` or
/// `python[version=3.12]`. The names of axes are not kept, so that values alone count.
fn is_variant(thing: &str, name: &str) -> bool {
    let parts = |text| -> Option<(&str, &str)> { str::strip_suffix(text, "]")?.split_once('[') };
    let Some((family, values)) = parts(thing) else { return false };
    let Some((wanted, inside)) = parts(name) else { return family == name };
    let value = |part: &'_ str| {
        let value = part.split_once('=').map_or(part, |(_, value)| value).trim().to_owned();
        values.split(',').any(|known| known == value)
    };
    family == wanted && inside.split(',').all(value)
}

fn unknown(error: &SelectError) -> OpError {
    OpError::new(ErrorKind::User, "mabuild::engine::target", error.to_string())
        .help("`mabuild graph show` lists every node; neither run had one of that name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_number_or_from_the_end() {
        for (text, name) in [
            ("12", Some(RunName::Number(12))),
            ("#12", Some(RunName::Number(12))),
            ("last", Some(RunName::Last(0))),
            ("last~3", Some(RunName::Last(3))),
            ("0", None),
            ("-1", None),
            ("last~", None),
            ("last~x", None),
            ("lastly", None),
            ("99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), name, "{text}");
        }
    }

    #[test]
    fn nodes_of_the_past_are_named_as_those_of_today() {
        for (target, yes) in [
            ("app", true),
            ("a*", true),
            ("app@linux/arm64", true),
            ("app@aarch64", true),
            ("app@linux/amd64", false),
            ("ap", false),
            ("[", false),
        ] {
            assert_eq!(Past::of(target).means("app@linux/arm64"), yes, "{target}");
        }
        for (target, yes) in [
            ("python", true),
            ("python[3.12,bookworm]", true),
            ("python[bookworm]@linux/arm64", true),
            ("python[version=3.12, os=bookworm]", true),
            ("python[3.11]", false),
            ("python[bookworm]@linux/amd64", false),
            ("ruby[3.12]", false),
            ("pyth", false),
        ] {
            let node = "python[3.12,bookworm]@linux/arm64";
            assert_eq!(Past::of(target).means(node), yes, "{target}");
        }
        for target in ["ghcr.io/a/b@sha256:00", "ghcr.io/a/b@sha256:00@linux/arm64"] {
            assert!(Past::of(target).means("ghcr.io/a/b@sha256:00@linux/arm64"), "{target}");
        }
        // Too large for a matcher.
        let large = "{a,b}*".repeat(100_000);
        assert!(!Past::of(&large).means("app@linux/arm64"));
    }
}
