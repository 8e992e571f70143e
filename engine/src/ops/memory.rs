//! What is remembered of earlier builds: by the store, and by the registries that the project is
//! published to. An index that is published carries the key of each platform, so that a machine
//! with an empty store knows with one request an image what is up to date.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_oci::{Descriptor, Digest, media_type};

use super::planning::lowered;
use super::{OpError, Project, RunRequest};
use crate::facts::Pin;
use crate::graph::{NodeId, Part, ThingId};
use crate::key::{Key, Record, write_hashed};
use crate::lower::Lowered;
use crate::plan::{History, index_key};
use crate::publish::{KEY_ANNOTATION, oci_platform};
use crate::run::Remembered;
use crate::spec::{BuildSpec, Source};
use crate::store::Store;
use crate::track::{TagIndex, Tracking};

/// What is remembered of a project.
pub(super) struct Memory {
    lowered: Arc<Lowered>,
    project: String,
    store: Arc<Store>,
    tracking: Arc<Tracking>,
    /// Whether registries are asked.
    asks: bool,
    known: Mutex<Known>,
    /// Held by whoever asks.
    asking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    things: HashMap<ThingId, Arc<Published>>,
    /// Keys of what was built elsewhere, by `name@platform`; the store knows what was hashed.
    recalled: HashMap<String, Key>,
    /// Manifests that registries keep, as their indexes have them.
    entries: HashMap<Digest, Descriptor>,
    /// Why registries could not be asked, by host.
    problems: BTreeMap<String, String>,
}

/// What a registry has of a thing.
#[derive(Default)]
struct Published {
    /// The digest of the index, and the key that it would have here.
    index: Option<(Digest, Key)>,
    /// The index itself.
    bytes: Vec<u8>,
    by_key: HashMap<Key, Digest>,
    platforms: HashMap<mabuild_oci::Platform, Key>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Memory {
    pub fn new(
        project: &Project,
        request: &RunRequest,
        store: &Arc<Store>,
        tracking: &Arc<Tracking>,
    ) -> Result<Self, OpError> {
        let lowered = lowered(project)?.clone();
        let asks = !request.offline && lowered.is_published();
        let (project, store, tracking) = (project.name.clone(), store.clone(), tracking.clone());
        Ok(Self {
            lowered,
            project,
            store,
            tracking,
            asks,
            known: Mutex::default(),
            asking: Mutex::default(),
        })
    }

    /// Why registries could not be asked what is published, a line for each host.
    pub fn problems(&self) -> Vec<String> {
        self.lock().problems.values().cloned().collect()
    }

    /// What asks registries.
    pub fn tracking(&self) -> &Arc<Tracking> {
        &self.tracking
    }

    /// A manifest that a registry keeps, as its index has it.
    pub fn entry(&self, digest: &Digest) -> Option<Descriptor> {
        self.lock().entries.get(digest).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks registries for things that were not asked for yet.
    fn ask(&self, things: impl IntoIterator<Item = ThingId>) {
        // Nodes of one thing are planned by several threads, and it is asked for once.
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let open: HashSet<ThingId> = {
            let known = self.lock();
            things.into_iter().filter(|thing| !known.things.contains_key(thing)).collect()
        };
        let mut asked = Vec::new();
        for thing in open {
            let publication = self.lowered.publication(thing);
            let place = publication.as_ref().and_then(|publication| {
                Some((publication.repositories.first()?.clone(), publication.tags.first()?))
            });
            match place {
                Some((repository, tag)) => {
                    asked.push((thing, format!("{repository}:{tag}"), repository))
                }
                None => drop(self.lock().things.insert(thing, Arc::default())),
            }
        }
        if asked.is_empty() {
            return;
        }
        let tags = asked.iter().map(|(_, tag, _)| tag.clone()).collect();
        let mut found = Vec::with_capacity(asked.len());
        for ((thing, tag, repository), answer) in
            asked.into_iter().zip(self.tracking.tag_indexes(tags))
        {
            let published = match answer {
                Ok(Some(index)) => self.read(thing, index),
                Ok(None) => Published::default(),
                Err(e) => {
                    let host = repository.split('/').next().unwrap_or_default().to_owned();
                    let message = format!("what {tag} holds is not known: {}", e.message);
                    self.lock().problems.entry(host).or_insert(message);
                    Published::default()
                }
            };
            found.push((thing, repository, published));
        }
        let places = found.iter().flat_map(|(_, repository, published)| {
            let manifests = published.by_key.values();
            manifests.map(move |manifest| (*manifest, repository.as_str()))
        });
        // What cannot be noted could not be brought later either.
        let is_noted = self.store.put_places(places).is_ok();
        let kept = found.into_iter().map(|(thing, _, published)| match is_noted {
            true => (thing, Arc::new(published)),
            false => (thing, Arc::default()),
        });
        self.lock().things.extend(kept);
    }

    /// Puts an index that a registry keeps into the store, where it lacks that.
    pub fn keep_index(&self, node: NodeId, digest: &str) -> Result<(), OpError> {
        let thing = self.lowered.graph.node(node).thing;
        let Some(published) = self.lock().things.get(&thing).cloned() else { return Ok(()) };
        let Published { index: Some((known, _)), bytes, .. } = &*published else { return Ok(()) };
        if known.to_string() == digest && !self.store.layout().has(known) {
            let written = self.store.layout().write_blob(media_type::INDEX, bytes);
            written.map_err(OpError::store)?;
        }
        Ok(())
    }

    /// Asks what nodes were built from that are published and were never built here.
    pub fn recall(&self, nodes: Vec<NodeId>) {
        if !self.asks || nodes.is_empty() {
            return;
        }
        let graph = &self.lowered.graph;
        self.ask(nodes.iter().map(|node| graph.node(*node).thing));
        let Some(cache) = self.lowered.remote_cache() else { return };
        let unknown = nodes.into_iter().filter_map(|node| {
            let name = graph.name(node);
            let key = self.published(node)?;
            self.store.last_key(&self.project, &name).is_none().then_some((name, key))
        });
        let unknown: Vec<(String, Key)> = unknown.collect();
        let mut open: Vec<Key> = unknown.iter().map(|(_, key)| *key).collect();
        open.retain(|key| self.store.body(key).is_none());
        for (key, answer) in open.iter().zip(self.tracking.recall_records(&cache, open.clone())) {
            match answer {
                // What cannot be noted is not told.
                Ok(Some(record)) => drop(self.store.put_body(key, &record)),
                Ok(None) => {}
                Err(e) => {
                    let message = format!("what was built elsewhere is not known: {}", e.message);
                    self.lock().problems.entry(cache.clone()).or_insert(message);
                }
            }
        }
        self.lock().recalled.extend(unknown);
    }

    /// The key that a registry has a node by.
    fn published(&self, node: NodeId) -> Option<Key> {
        let graph = &self.lowered.graph;
        let published = self.lock().things.get(&graph.node(node).thing).cloned()?;
        let on = graph.platform(node).map(oci_platform)?;
        published.platforms.get(&on).copied()
    }

    /// Takes over what an index says of the platforms of a thing.
    fn read(&self, thing: ThingId, found: TagIndex) -> Published {
        let mut members = HashMap::new();
        for descriptor in &found.index.manifests {
            let key = descriptor.annotations.get(KEY_ANNOTATION).and_then(|hex| Key::parse(hex));
            if let (Some(key), Some(platform)) = (key, descriptor.platform())
                && media_type::is_manifest(&descriptor.media_type)
            {
                members.insert(platform, (key, descriptor));
            }
        }
        let graph = &self.lowered.graph;
        let mut whole = Vec::new();
        let mut by_key = HashMap::new();
        let mut entries: Vec<Descriptor> = Vec::new();
        for part in graph.parts(thing) {
            let Some(platform) = graph.platform(part) else { continue };
            let Some((key, descriptor)) = members.get(&oci_platform(platform)) else { continue };
            whole.push((platform.to_string(), *key, descriptor.digest.to_string().into()));
            by_key.insert(*key, descriptor.digest);
            entries.push((*descriptor).clone());
        }
        if by_key.is_empty() {
            return Published::default();
        }
        self.lock().entries.extend(entries.into_iter().map(|entry| (entry.digest, entry)));
        let platforms = members.into_iter().map(|(platform, (key, _))| (platform, key)).collect();
        let index = Some((found.digest, index_key(&whole)));
        Published { index, bytes: found.bytes, by_key, platforms }
    }

    fn elsewhere(&self, node: NodeId, key: &Key) -> Option<Arc<str>> {
        let node = self.lowered.graph.node(node);
        let published = self.lock().things.get(&node.thing).cloned()?;
        let digest = match node.part {
            Part::On(_) => published.by_key.get(key).copied(),
            Part::Index => published.index.filter(|(_, own)| own == key).map(|(digest, _)| digest),
        }?;
        Some(digest.to_string().into())
    }
}

impl History for Memory {
    fn result(&self, key: &Key) -> Option<Arc<str>> {
        self.store.result(key).map(|row| row.digest.into())
    }

    fn results(&self, nodes: &[(NodeId, Key)]) -> Vec<Option<Arc<str>>> {
        let keys: Vec<Key> = nodes.iter().map(|(_, key)| *key).collect();
        let mut found = self.store.digests(&keys);
        if self.asks && found.iter().any(Option::is_none) {
            let missing = || nodes.iter().zip(&found).filter(|(_, found)| found.is_none());
            let thing = |node: NodeId| self.lowered.graph.node(node).thing;
            self.ask(missing().map(|((node, _), _)| thing(*node)));
            for ((node, key), found) in nodes.iter().zip(&mut found).filter(|(_, f)| f.is_none()) {
                *found = self.elsewhere(*node, key);
            }
        }
        found
    }

    fn given(&self, spec: &BuildSpec) -> Option<Arc<str>> {
        let [stage] = spec.stages.as_slice() else { return None };
        let is_bare = stage.steps.is_empty() && spec.settings == crate::spec::Settings::default();
        let Source::Upstream(pin) = &stage.source else { return None };
        let Pin::Registry { manifest, location } = &**pin else { return None };
        if !self.asks || !is_bare {
            return None;
        }
        let digest = Digest::parse(manifest).ok()?;
        if !self.store.layout().has(&digest) {
            self.store.put_elsewhere(&[digest], location).ok()?;
            self.tracking.bring_image(manifest).ok()?;
        }
        // An image of an older variant is made into one of the wanted platform.
        let (_, config) = self.store.image(&digest).ok()?;
        (config.platform() == oci_platform(&spec.platform)).then(|| manifest.as_str().into())
    }

    fn is_published(&self, node: NodeId) -> bool {
        self.published(node).is_some()
    }

    fn last(&self, node: &str) -> Option<Record> {
        let here = self.store.record(&self.project, node).map(|(_, record)| record);
        here.or_else(|| {
            let key = self.lock().recalled.get(node).copied()?;
            self.store.body(&key)
        })
    }
}

impl Remembered for Memory {
    fn result(&self, node: NodeId, key: &Key) -> Option<Arc<str>> {
        if !self.asks {
            return None;
        }
        self.ask([self.lowered.graph.node(node).thing]);
        self.elsewhere(node, key)
    }

    fn given(&self, spec: &BuildSpec) -> Option<Arc<str>> {
        History::given(self, spec)
    }

    fn descriptor(&self, digest: &Digest) -> Option<Descriptor> {
        if let Some(entry) = self.entry(digest) {
            return Some(Descriptor::new(entry.media_type, entry.digest, entry.size));
        }
        // It was given by its digest alone.
        self.tracking.bring_image(&digest.to_string()).ok()?;
        let (_, size) = self.store.layout().open_blob(digest).ok()?;
        Some(Descriptor::new(media_type::MANIFEST, *digest, size))
    }

    fn keep(&self, node: NodeId, key: &Key, spec: &BuildSpec) {
        // What nobody publishes, nobody else learns the key of.
        let thing = self.lowered.graph.node(node).thing;
        if self.asks
            && let Some(cache) = self.lowered.remote_cache()
            && self.lowered.publication(thing).is_some()
        {
            self.tracking.keep_record(&cache, key, write_hashed(spec));
        }
    }
}
