//! `graph plan --what-if`: from a name or a file to the nodes that a change of it begins at, and
//! what is known of the past of all that it reaches. Asks no upstream.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Manifest};
use rayon::prelude::*;

use super::planning::{chosen, lowered, tracking};
use super::{Env, ErrorKind, OpError, Project, RunRequest};
use crate::facts::{ArchiveKeys, ContextAsk, Facts, FilesAsk, UpstreamAsk, Wild};
use crate::graph::{EdgeKind, Graph, NodeId, SelectError, select};
use crate::lower::Unknown;
use crate::plan::{Blast, Past, Seed, blast};
use crate::spec::AskedSpec;
use crate::store::Store;
use crate::track::{Hidden, find_facts};

/// What a change would reach.
#[derive(Debug)]
pub struct What {
    /// Whether it is a file that changes.
    pub is_file: bool,
    /// What it would reach.
    pub blast: Blast,
    /// Platform nodes that the question was about, reached or not.
    pub of: usize,
    /// Those of them that are refused, when a file changes: what they read is not known.
    pub refused: usize,
}

/// What a change of `name` would reach among the nodes that the request needs. It is a base, an
/// image, a group, a glob, `NAME@PLATFORM`, or the path of a file; `./` in front makes it a path.
pub fn what_if(
    env: &Env,
    project: &Project,
    request: &RunRequest,
    name: &str,
) -> Result<What, OpError> {
    let store = Arc::new(Store::open(&request.store).map_err(OpError::store)?);
    let _use = store.use_guard().map_err(OpError::store)?;
    let graph = &lowered(project)?.graph;
    let selection = chosen(graph, &request.targets, request)?;
    let is_path = [".", "..", "/"].iter().any(|start| Path::new(name).starts_with(start));
    let named = match is_path {
        true => None,
        false => match select(graph, &[name.to_owned()], &[]) {
            Ok(named) => Some(named),
            Err(SelectError::Unknown { .. }) => None,
            // A file may have any name.
            Err(_) if placed(env, project, name).exists() => None,
            Err(error) => return Err(unknown(&error.to_string())),
        },
    };
    let mut refused = 0;
    let seeds = match &named {
        Some(named) => {
            let nodes = named.targets.iter().filter(|n| graph.platform(**n).is_some());
            nodes.map(|node| Seed { node: *node, certain: true }).collect()
        }
        None => {
            let found = file_seeds(env, project, request, &store, &selection.needed, name)?;
            refused = found.refused;
            found.seeds
        }
    };
    let memory = Memory::read(&store, project)?;
    let within = |node: NodeId| selection.contains(node);
    let blast = blast(graph, &seeds, &within, &|node| memory.past(graph, node));
    let of = selection.needed.iter().filter(|n| graph.platform(**n).is_some()).count();
    Ok(What { is_file: named.is_none(), blast, of, refused })
}

fn unknown(message: &str) -> OpError {
    OpError::new(ErrorKind::User, "mabuild::engine::what-if", message).help(
        "name a base, an image, NAME@PLATFORM, or a file: `mabuild graph show` lists the nodes",
    )
}

/// The nodes that read a file.
struct FileSeeds {
    seeds: Vec<Seed>,
    /// Nodes of which it cannot be said.
    refused: usize,
}

/// Looks which nodes read a file.
fn file_seeds(
    env: &Env,
    project: &Project,
    request: &RunRequest,
    store: &Arc<Store>,
    nodes: &[NodeId],
    name: &str,
) -> Result<FileSeeds, OpError> {
    let path = placed(env, project, name);
    let mut sources = project.loaded.sources.iter();
    if sources.any(|(_, file)| absolute(&project.root.join(&**file.path())) == path) {
        let message =
            format!("{name} describes the graph; what an edit changes depends on the edit");
        return Err(OpError::new(ErrorKind::User, "mabuild::engine::what-if", message)
            .help("edit it and run `mabuild graph plan`, or name what you mean to change"));
    }
    let lowered = lowered(project)?;
    let found: Vec<(NodeId, Option<AskedSpec>)> = nodes
        .par_iter()
        .filter_map(|node| Some((*node, lowered.spec(*node, &Unknown)?.ok())))
        .collect();
    let refused = found.iter().filter(|(_, spec)| spec.is_none()).count();
    let specs: Vec<(NodeId, AskedSpec)> =
        found.into_iter().filter_map(|(node, spec)| Some((node, spec?))).collect();
    // Many nodes copy the same. What is fetched is no file of the project, and is not fetched for
    // a question.
    let asks: HashSet<&ContextAsk> = specs.iter().flat_map(|(_, spec)| copies(spec)).collect();
    let offline = RunRequest { offline: true, ..request.clone() };
    let tracking = tracking(env, Some(project), &offline, store, None)?;
    let files = asks.iter().copied().cloned().map(FilesAsk::Context).collect();
    let facts = find_facts(&tracking, files, Vec::new());
    let wanted = Wanted { path: &path, facts: &facts, contexts: contexts(&asks) };
    let copied: HashMap<&ContextAsk, bool> =
        asks.into_iter().filter_map(|ask| Some((ask, wanted.copied(ask)?))).collect();
    let reads = |spec: &AskedSpec| {
        let copied = copies(spec).filter_map(|ask| copied.get(ask).copied());
        copied.chain(spec.upstreams().filter_map(|ask| wanted.upstream(ask))).max()
    };
    let seeds: Vec<Seed> = specs
        .iter()
        .filter_map(|(node, spec)| Some(Seed { node: *node, certain: reads(spec)? }))
        .collect();
    match seeds.is_empty() && !path.exists() {
        true => Err(unknown(&format!("nothing is called `{name}`, and there is no such file"))),
        false => Ok(FileSeeds { seeds, refused }),
    }
}

/// A path from the working directory; from the project when only that has it.
fn placed(env: &Env, project: &Project, name: &str) -> PathBuf {
    let (here, there) = (env.cwd.join(name), project.root.join(name));
    absolute(if !here.exists() && there.exists() { &there } else { &here })
}

/// A path without `.` and `..`, and without links in the folders above it as far as they exist.
fn absolute(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    let real = plain.parent().zip(plain.file_name());
    let real = real.and_then(|(folder, name)| Some(folder.canonicalize().ok()?.join(name)));
    real.unwrap_or(plain)
}

/// The files of contexts that a spec reads.
fn copies(spec: &AskedSpec) -> impl Iterator<Item = &ContextAsk> {
    spec.files().filter_map(|(_, ask)| match ask {
        FilesAsk::Context(ask) => Some(ask),
        FilesAsk::Url { .. } | FilesAsk::Git(_) => None,
    })
}

/// A folder that is copied from.
struct Context {
    root: PathBuf,
    /// None when it cannot be read.
    hidden: Option<Hidden>,
}

type Contexts<'a> = HashMap<(&'a str, Option<&'a str>), Context>;

fn contexts<'a>(asks: &HashSet<&'a ContextAsk>) -> Contexts<'a> {
    let mut out = Contexts::new();
    for ask in asks {
        out.entry((&ask.context, ask.ignore.as_deref())).or_insert_with(|| {
            let path = Path::new(&*ask.context);
            let root = path.canonicalize().unwrap_or_else(|_| absolute(path));
            Context { root, hidden: Hidden::read(ask).ok() }
        });
    }
    out
}

/// A file, and what is known of the contexts.
struct Wanted<'a> {
    path: &'a Path,
    facts: &'a Facts,
    contexts: Contexts<'a>,
}

impl Wanted<'_> {
    /// Whether a `copy` reads the file: surely, perhaps, or not at all.
    fn copied(&self, ask: &ContextAsk) -> Option<bool> {
        let key = (&*ask.context, ask.ignore.as_deref());
        let Context { root, hidden } = self.contexts.get(&key)?;
        if root.starts_with(self.path) {
            return Some(true);
        }
        let ignore_file = hidden.as_ref().and_then(|hidden| hidden.path.as_deref());
        let of_dockerfile = ask.ignore.as_deref().map(Path::new);
        let of_context = root.join(".dockerignore");
        if [ignore_file, of_dockerfile, Some(&of_context)].contains(&Some(self.path)) {
            // Which files it hides may be the same after a change.
            return Some(false);
        }
        let below = self.path.strip_prefix(root).ok()?.to_string_lossy().into_owned();
        let inside = |file: &str| Path::new(file).starts_with(&below);
        let found = self.facts.files(&FilesAsk::Context(ask.clone())).is_ok_and(|set| {
            let mut matches = set.matches.iter();
            matches.any(|found| inside(&found.path) || found.files.iter().any(|f| inside(&f.path)))
        });
        // A file that is yet to come is read when a source of the copy fits it.
        let would = || ask.sources.iter().any(|source| fits(source, &below));
        let is_hidden = hidden.as_ref().is_some_and(|hidden| hidden.hides(&below));
        (found || !is_hidden && would()).then_some(true)
    }

    /// Whether a base reads the file: surely, perhaps, or not at all.
    fn upstream(&self, ask: &UpstreamAsk) -> Option<bool> {
        let is = |path: &str| !path.contains("://") && absolute(Path::new(path)) == self.path;
        let option = |path: &Option<String>| path.as_deref().is_some_and(is);
        match ask {
            UpstreamAsk::Rootfs { location, .. } if is(location) => Some(true),
            // The node is made of what these vouch for, not of them.
            UpstreamAsk::Rootfs { checksums, .. } => option(checksums).then_some(false),
            UpstreamAsk::Debian(debian) => {
                let mut keys = debian.archives.iter().map(|archive| &archive.keys);
                keys.any(|keys| signed(keys, &is)).then_some(false)
            }
            UpstreamAsk::Alpine(alpine) => {
                let mut keys = alpine.archives.iter().map(|archive| &archive.keys);
                keys.any(|keys| signed(keys, &is)).then_some(false)
            }
            UpstreamAsk::OciLayout { path, .. } => {
                let folder = absolute(Path::new(path));
                self.path.starts_with(folder).then_some(false)
            }
            UpstreamAsk::Registry { .. } | UpstreamAsk::Packages(_) => None,
        }
    }
}

/// Whether keys are read from a file.
fn signed(keys: &ArchiveKeys, is: &dyn Fn(&str) -> bool) -> bool {
    matches!(keys, ArchiveKeys::File(path) if is(path))
}

/// Whether a source of a `copy`, a path or a pattern, names a path or a folder above it.
fn fits(source: &str, path: &str) -> bool {
    let parts: Vec<&str> = source.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let pattern = parts.join("/");
    let wild = Wild::of(&parts).ok();
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let fits = |p: &str| p == pattern || wild.as_ref().is_some_and(|wild| wild.fits_path(p));
    pattern.is_empty() || ends.filter_map(|end| path.get(..end)).any(fits)
}

/// What the store remembers of the nodes of a project.
struct Memory<'a> {
    store: &'a Store,
    builds: HashMap<String, crate::store::BuildRow>,
    states: HashMap<String, crate::store::StateRow>,
}

impl<'a> Memory<'a> {
    fn read(store: &'a Store, project: &Project) -> Result<Self, OpError> {
        let builds = store.builds(&project.name).map_err(OpError::store)?;
        let states = store.states(&project.name, i64::MAX).map_err(OpError::store)?;
        Ok(Self { store, builds, states })
    }

    fn past(&self, graph: &Graph, node: NodeId) -> Past {
        let build = self.builds.get(&graph.name(node));
        let size = self.size(graph, node);
        Past {
            seconds: build.map(|build| build.seconds),
            layers: size.map(|(layers, _)| layers),
            push: size.map(|(layers, rest)| layers.saturating_add(rest)),
        }
    }

    /// Bytes of the layers that the last result of a node has on top of what it stands on, and
    /// those of its config and manifest.
    fn size(&self, graph: &Graph, node: NodeId) -> Option<(u64, u64)> {
        let (manifest, bytes) = self.manifest(graph, node)?;
        let from = graph.parents(node).find(|(_, kind)| *kind == EdgeKind::From);
        let below: HashSet<Digest> = match from {
            None => HashSet::new(),
            Some((parent, _)) => {
                let layers = self.manifest(graph, parent)?.0.layers;
                layers.into_iter().map(|layer| layer.digest).collect()
            }
        };
        let own = |layer: &&Descriptor| !below.contains(&layer.digest);
        let layers = manifest.layers.iter().filter(own).map(|layer| layer.size);
        let layers = layers.fold(0, u64::saturating_add);
        Some((layers, manifest.config.size.saturating_add(bytes)))
    }

    fn manifest(&self, graph: &Graph, node: NodeId) -> Option<(Manifest, u64)> {
        let state = self.states.get(&graph.name(node))?;
        let bytes = self.store.layout().read(&Digest::parse(&state.digest).ok()?).ok()?;
        match Document::from_bytes(&bytes).ok()? {
            Document::Manifest(manifest) => Some((manifest, bytes.len() as u64)),
            Document::Index(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_what_is_below_them() {
        for (source, path, yes) in [
            ("conf/", "conf/app.txt", true),
            ("./conf", "conf/a/b", true),
            ("conf", "configuration", false),
            ("conf/*.txt", "conf/app.txt", true),
            ("conf/*.txt", "conf/app.sh", false),
            ("con*", "conf/app.sh", true),
            ("/", "anything", true),
            (".", "any/thing", true),
            ("a.txt", "a.txt", true),
            ("a.txt", "b/a.txt", false),
        ] {
            assert_eq!(fits(source, path), yes, "{source} on {path}");
        }
    }
}
