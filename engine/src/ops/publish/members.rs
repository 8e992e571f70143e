//! What of a project is published: each image in each of its repositories, with its platforms.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::Arc;

use mabuild_lang::{Files, Git};
use mabuild_oci::image::{Document, PlatformObject};
use mabuild_oci::{Descriptor, Digest, ImageConfig, Manifest, media_type};

use super::super::files::Disk;
use super::super::planning::lowered;
use super::super::rebuild::{result, whole};
use super::super::{ErrorKind, OpError, Planning, Project};
use crate::event::End;
use crate::facts::{UpstreamAsk, VERSION as OPEN_VERSION};
use crate::graph::{Graph, NodeId, Part as GraphPart, ThingId};
use crate::key::Key;
use crate::lower::{Lowered, Unknown};
use crate::plan::{Action, Reason};
use crate::publish::{
    About, BASE_DIGEST, BASE_NAME, CREATED, Format, KEY_ANNOTATION, Part, Publication, State,
    Target, docker_manifest, oci_platform,
};
use crate::spec::Source;
use crate::store::Store;

/// Most repositories that a layer is looked for in.
const MOUNTS: usize = 8;

/// What is known of the nodes of a project.
pub(super) struct Members<'a> {
    pub store: &'a Store,
    pub project: &'a Project,
    pub planning: &'a Planning,
    /// How nodes ended, where there was a run.
    pub ends: Option<&'a HashMap<NodeId, End>>,
}

/// The error of having nothing to publish.
pub(super) fn nothing(message: String) -> OpError {
    OpError::new(ErrorKind::User, "mabuild::engine::publish-nothing", message)
        .help("write `publish \"HOST/REPOSITORY\"` and `tags` into an image or a base")
}

impl Members<'_> {
    /// Every image that is published and was asked for whole, in each of its repositories.
    pub fn targets(&self) -> Result<Vec<Target>, OpError> {
        let lowered = lowered(self.project)?;
        let graph = &lowered.graph;
        let known: HashMap<ThingId, Arc<Publication>> = graph
            .thing_ids()
            .filter_map(|thing| Some((thing, Arc::new(lowered.publication(thing)?))))
            .collect();
        let mut out = Vec::new();
        for thing in graph.thing_ids() {
            let (Some(publication), Some(index)) = (known.get(&thing), index(graph, thing)) else {
                continue;
            };
            let is_asked = self.planning.selection.targets.contains(&index);
            if !is_asked || !whole(graph, self.planning, index) {
                continue;
            }
            let parts = graph.parts(thing).filter_map(|node| self.part(lowered, &known, node));
            let parts = Arc::new(parts.collect::<Vec<Part>>());
            let sources = sources(graph, &known, thing);
            for repository in &publication.repositories {
                out.push(Target {
                    image: graph.thing(thing).name.clone(),
                    repository: repository.clone(),
                    level: graph.level(index),
                    publication: publication.clone(),
                    parts: parts.clone(),
                    mounts: mounts(&sources, repository),
                });
            }
        }
        match out.is_empty() {
            true => Err(nothing("nothing of what is asked for is published whole".to_owned())),
            false => Ok(out),
        }
    }

    /// What a run or a plan left of a platform.
    fn part(
        &self,
        lowered: &Lowered,
        known: &HashMap<ThingId, Arc<Publication>>,
        node: NodeId,
    ) -> Option<Part> {
        let platform = lowered.graph.platform(node)?.clone();
        let publication = known.get(&lowered.graph.node(node).thing)?;
        let state = match self.result(node) {
            None => State::Late { why: self.why(&lowered.graph, node) },
            Some(digest) => {
                let member = self.member(&lowered.graph, node, &digest, publication.format);
                match member {
                    Ok(mut descriptor) => {
                        self.base(lowered, known, node, &mut descriptor);
                        State::Ready(descriptor.into())
                    }
                    Err(why) => State::Late { why },
                }
            }
        };
        Some(Part { platform, state })
    }

    fn result(&self, node: NodeId) -> Option<Arc<str>> {
        match self.ends {
            Some(ends) => result(self.planning, ends, node),
            None => self.planning.plan.result(node),
        }
    }

    /// The key that a node was built by.
    fn key(&self, graph: &Graph, node: NodeId) -> Option<Key> {
        let planned = self.planning.plan.get(node)?;
        match planned.action {
            Action::Keep { .. } => planned.key,
            _ => self.store.last_key(&self.project.name, &graph.name(node)),
        }
    }

    /// The manifest of a node as it goes into an index: with its platform, its key, and when it
    /// was made. The error says why it cannot be had.
    fn member(
        &self,
        graph: &Graph,
        node: NodeId,
        digest: &str,
        format: Format,
    ) -> Result<Descriptor, String> {
        let layout = self.store.layout();
        let read = |digest: &Digest| layout.read(digest).map_err(|e| e.to_string());
        let digest = Digest::parse(digest).map_err(|e| e.to_string())?;
        if !layout.has(&digest) {
            // What is kept elsewhere alone is in the index that was read there. Docker's form is
            // made of the manifest itself.
            let memory = &self.planning.memory;
            match memory.entry(&digest).filter(|_| format == Format::Oci) {
                Some(entry) => return Ok(entry),
                None => {
                    memory.tracking().bring_image(&digest.to_string()).map_err(|e| e.message)?;
                }
            }
        }
        let bytes = read(&digest)?;
        let Document::Manifest(manifest) =
            Document::from_bytes(&bytes).map_err(|e| e.to_string())?
        else {
            return Err(format!("{digest} is an index, not the manifest of a platform"));
        };
        let mut out = match format {
            Format::Oci => Descriptor::new(manifest.media_type(), digest, bytes.len() as u64),
            Format::Docker => self.converted(&manifest)?,
        };
        let platform = graph.platform(node).map(oci_platform);
        out.platform = platform.map(PlatformObject::from);
        let config = ImageConfig::from_bytes(&read(&manifest.config.digest)?);
        if let Some(created) = config.map_err(|e| e.to_string())?.created {
            out.annotations.insert(CREATED.to_owned(), created);
        }
        if let Some(key) = self.key(graph, node) {
            out.annotations.insert(KEY_ANNOTATION.to_owned(), key.hex());
        }
        Ok(out)
    }

    /// The same image in Docker's form; the store has it then, too.
    fn converted(&self, manifest: &Manifest) -> Result<Descriptor, String> {
        let docker = docker_manifest(manifest).map_err(|e| e.to_string())?;
        let bytes = docker.to_bytes().map_err(|e| e.to_string())?;
        let written = self.store.layout().write_blob(media_type::DOCKER_MANIFEST, &bytes);
        written.map_err(|e| e.to_string())
    }

    /// Says what a platform stands on. That is told by the index and not by the manifest, which
    /// has to be the same wherever its base is published.
    fn base(
        &self,
        lowered: &Lowered,
        known: &HashMap<ThingId, Arc<Publication>>,
        node: NodeId,
        descriptor: &mut Descriptor,
    ) {
        let Some(parent) = ground(lowered, node) else { return };
        let publication = known.get(&lowered.graph.node(parent).thing);
        let name = match publication.map(|p| (p.repositories.first(), p.tags.first())) {
            Some((Some(repository), Some(tag))) => Some(format!("{repository}:{tag}")),
            _ => upstream(lowered, parent),
        };
        let is_converted = publication.is_some_and(|p| p.format == Format::Docker);
        let digest = self.result(parent).filter(|_| !is_converted);
        if let (Some(name), Some(digest)) = (name, digest) {
            descriptor.annotations.insert(BASE_NAME.to_owned(), name);
            descriptor.annotations.insert(BASE_DIGEST.to_owned(), digest.to_string());
        }
    }

    /// Why a platform is late, for people.
    fn why(&self, graph: &Graph, node: NodeId) -> String {
        match self.ends.and_then(|ends| ends.get(&node)) {
            Some(End::Failed(failure)) => {
                let line = failure.message.lines().next().unwrap_or_default();
                format!("failed: {line}")
            }
            Some(End::Skipped { because }) => {
                format!("skipped, because {} failed", graph.name(*because))
            }
            Some(_) => "not built, because the run was stopped".to_owned(),
            None => match self.planning.plan.get(node).map(|planned| &planned.reason) {
                Some(Reason::Unknowable { message, .. }) => {
                    message.lines().next().unwrap_or_default().to_owned()
                }
                Some(Reason::Below(other)) => {
                    format!("nothing can be said of {}, which it needs", graph.name(*other))
                }
                _ => "not up to date; bring it there with `mabuild graph rebuild`".to_owned(),
            },
        }
    }
}

fn index(graph: &Graph, thing: ThingId) -> Option<NodeId> {
    let first = graph.parts(thing).next()?;
    let mut children = graph.children(first).map(|(child, _)| child);
    children.find(|child| {
        let node = graph.node(*child);
        node.thing == thing && node.part == GraphPart::Index
    })
}

/// The node that the last stage of a node stands on.
fn ground(lowered: &Lowered, node: NodeId) -> Option<NodeId> {
    let spec = lowered.spec(node, &Unknown)?.ok()?;
    let mut stage = spec.stages.last()?;
    for _ in 0..spec.stages.len() {
        match &stage.source {
            Source::Parent(parent) => return Some(*parent),
            Source::Stage(other) => stage = spec.stages.get(*other)?,
            Source::Scratch | Source::Upstream(_) => return None,
        }
    }
    None
}

/// The reference of a base that is an image of a registry.
fn upstream(lowered: &Lowered, node: NodeId) -> Option<String> {
    match &lowered.spec(node, &Unknown)?.ok()?.stages.last()?.source {
        Source::Upstream(UpstreamAsk::Registry { reference, .. }) => {
            (!reference.contains(OPEN_VERSION)).then(|| reference.clone())
        }
        _ => None,
    }
}

/// The repositories that may have layers of a thing: its own and those of what it stands on, the
/// nearest first.
fn sources<'a>(
    graph: &Graph,
    known: &'a HashMap<ThingId, Arc<Publication>>,
    thing: ThingId,
) -> Vec<&'a str> {
    let (mut out, mut seen) = (Vec::new(), HashSet::from([thing]));
    let mut open = vec![thing];
    while !open.is_empty() {
        let repositories = open.iter().filter_map(|thing| known.get(thing));
        out.extend(repositories.flat_map(|p| p.repositories.iter().map(String::as_str)));
        let parents = open.iter().flat_map(|thing| graph.parts(*thing));
        let parents =
            parents.flat_map(|part| graph.parents(part)).map(|(p, _)| graph.node(p).thing);
        let parents: Vec<ThingId> = parents.filter(|parent| seen.insert(*parent)).collect();
        open = parents;
    }
    out
}

/// Those of them that are on the host of a repository.
fn mounts(sources: &[&str], repository: &str) -> Vec<String> {
    let host = |repository: &str| repository.split('/').next().map(str::to_owned);
    let same = |other: &&&str| **other != repository && host(other) == host(repository);
    sources.iter().filter(same).take(MOUNTS).map(|s| (*s).to_owned()).collect()
}

/// What is told of the description: the commit, and the address of its repository where that is
/// a plain one.
pub(super) fn about(project: &Project) -> About {
    let disk = Disk { root: project.root.clone() };
    let remote = || {
        let mut git = Command::new("git");
        git.arg("-C").arg(&project.root).args(["config", "--get", "remote.origin.url"]);
        let output = git.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    About {
        source: remote().and_then(|text| address(text.trim())),
        revision: disk.git(Git::Commit).ok(),
    }
}

/// The address of a git remote that a browser opens. Whatever may be a secret is left out: a name,
/// a password, a query.
fn address(remote: &str) -> Option<String> {
    let (host, path) = match remote.split_once("://") {
        Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?,
        Some(_) => return None,
        None => remote.split_once(':')?,
    };
    let host = host.rsplit('@').next()?;
    let host = host.split(':').next()?;
    let path = path.trim_matches('/').trim_end_matches(".git");
    let plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    (plain(host, "-.") && host.contains('.') && plain(path, "-._~/"))
        .then(|| format!("https://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_of_a_remote_has_no_secret() {
        for (remote, shown) in [
            ("https://git.example/acme/a.git", Some("https://git.example/acme/a")),
            ("https://joe:geheim@git.example/acme/a.git", Some("https://git.example/acme/a")),
            ("git@git.example:acme/a.git", Some("https://git.example/acme/a")),
            ("ssh://git@git.example:2222/acme/a/", Some("https://git.example/acme/a")),
            ("https://git.example/a?token=geheim", None),
            ("https://joe:ge@heim@git.example/a", Some("https://git.example/a")),
            ("/srv/git/a.git", None),
            ("file:///srv/git/a.git", None),
            ("backup:a.git", None),
            ("", None),
        ] {
            assert_eq!(address(remote).as_deref(), shown, "{remote}");
        }
    }

    #[test]
    fn layers_are_looked_for_on_the_same_host() {
        let sources = ["r.example/app", "q.example/app", "r.example/base", "r.example:5000/base"];
        assert_eq!(mounts(&sources, "r.example/app"), ["r.example/base"]);
        assert!(mounts(&sources, "q.example/app").is_empty());
    }
}
