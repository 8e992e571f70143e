//! Specs with their facts. Made when they are asked for: held for every node, they would be most
//! of the memory of a plan.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_lang::source::Span;
use mabuild_oci::{Digest, ImageConfig, Manifest};
use rayon::prelude::*;

use crate::facts::{FactError, Facts, FileSet, FilesAsk, ImageFacts, Pin, UpstreamAsk};
use crate::graph::{NodeId, Selection};
use crate::lower::{LowerError, Lowered};
use crate::plan::{Known, SpecError, Specs};
use crate::spec::{AskedSpec, Draft, DraftSpec};
use crate::store::Store;
use crate::track::{Tracking, find_facts};

/// Nodes that one thread asks for facts at least.
const ASKED: usize = 256;

/// Makes specs out of what was lowered and what was found out.
pub(super) struct Drafts {
    lowered: Arc<Lowered>,
    project: String,
    store: Arc<Store>,
    tracking: Arc<Tracking>,
    facts: Mutex<Facts>,
    images: Mutex<HashMap<Arc<str>, Arc<ImageFacts>>>,
    /// Nodes whose spec may not be known.
    doubtful: HashSet<NodeId>,
}

impl std::fmt::Debug for Drafts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drafts").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Drafts {
    /// Finds out what the specs of a selection ask of the world outside.
    pub fn new(
        lowered: &Arc<Lowered>,
        selection: &Selection,
        project: &str,
        store: &Arc<Store>,
        tracking: &Arc<Tracking>,
    ) -> Self {
        let mut drafts = Self {
            lowered: lowered.clone(),
            project: project.to_owned(),
            store: store.clone(),
            tracking: tracking.clone(),
            facts: Mutex::default(),
            images: Mutex::default(),
            doubtful: HashSet::new(),
        };
        let asks = selection
            .needed
            .par_iter()
            .with_min_len(ASKED)
            .filter(|node| !lowered.asks_nothing(**node))
            .filter_map(|node| Some((*node, lowered.spec(*node, &|below| drafts.last(below))?)))
            .fold(Asks::default, |asks, (node, spec)| asks.with(node, spec))
            .reduce(Asks::default, Asks::and);
        let mut files: Vec<FilesAsk> = asks.files.into_iter().collect();
        // Neighbours read the same folders.
        files.sort_unstable();
        let mut seen = HashSet::new();
        let mut upstreams = asks.upstreams;
        upstreams.retain(|ask| seen.insert(ask.clone()));
        let facts = find_facts(tracking, files, upstreams);
        drafts.doubtful = asks.failed.into_iter().collect();
        if facts.has_errors() {
            drafts.doubtful.extend(asks.asking);
        }
        drafts.facts = Mutex::new(facts);
        drafts
    }

    /// What an image was when it was last built, for a guess while it is not built anew.
    fn last(&self, node: NodeId) -> Option<Arc<ImageFacts>> {
        let name = self.lowered.graph.name(node);
        self.image(&self.store.last_digest(&self.project, &name)?.into())
    }

    /// What is known of an image in the store.
    fn image(&self, digest: &Arc<str>) -> Option<Arc<ImageFacts>> {
        let lock = || self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(digest) {
            return Some(known.clone());
        }
        let facts = Arc::new(read(&self.store, digest)?);
        lock().insert(digest.clone(), facts.clone());
        Some(facts)
    }

    /// The files of an ask, which is new where an image below turned out to say other than it did.
    fn files(&self, ask: &FilesAsk) -> Result<Arc<FileSet>, String> {
        let lock = || self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if !lock().knows(ask) {
            let found = find_facts(&self.tracking, vec![ask.clone()], Vec::new());
            lock().put_files(ask.clone(), found.files(ask));
        }
        lock().files(ask)
    }

    fn upstream(&self, ask: &UpstreamAsk) -> Result<Arc<Pin>, FactError> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).upstream(ask)
    }
}

fn read(store: &Store, digest: &str) -> Option<ImageFacts> {
    let layout = store.layout();
    let manifest = Manifest::from_bytes(&layout.read(&Digest::parse(digest).ok()?).ok()?).ok()?;
    let config = ImageConfig::from_bytes(&layout.read(&manifest.config.digest).ok()?).ok()?;
    let env = config.config.env.iter().map(|line| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    });
    Some(ImageFacts { env: env.collect(), triggers: config.config.on_build.clone() })
}

impl Specs for Drafts {
    fn spec(&self, node: NodeId, known: Known<'_>) -> Result<DraftSpec, SpecError> {
        let here = self.lowered.span(self.lowered.graph.node(node).thing);
        let wrong = |message: String, span: Option<Span>, blames_upstream: bool| SpecError {
            message,
            span,
            blames_upstream,
        };
        let below = |parent: NodeId| match known(parent) {
            Some(digest) => self.image(&digest),
            None => self.last(parent),
        };
        let asked = match self.lowered.spec(node, &below) {
            Some(asked) => asked.map_err(|e| wrong(e.message, Some(e.span), false))?,
            None => return Err(wrong("no spec is made for it".to_owned(), here, false)),
        };
        // A missing file is shown at its own instruction.
        for (step, ask) in asked.files() {
            self.files(ask).map_err(|message| wrong(message, Some(step.span), false))?;
        }
        asked.advance::<Draft, SpecError>(
            Ok,
            |ask| self.files(&ask).map_err(|message| wrong(message, here, false)),
            |ask| self.upstream(&ask).map_err(|e| wrong(e.message, here, e.blames_upstream)),
        )
    }

    fn is_doubtful(&self, node: NodeId) -> bool {
        self.doubtful.contains(&node)
    }
}

/// What specs ask of the world outside.
#[derive(Default)]
struct Asks {
    files: HashSet<FilesAsk>,
    upstreams: Vec<UpstreamAsk>,
    /// Nodes that ask for anything.
    asking: Vec<NodeId>,
    /// Nodes without a spec.
    failed: Vec<NodeId>,
}

impl Asks {
    fn with(mut self, node: NodeId, spec: Result<AskedSpec, LowerError>) -> Self {
        let Ok(spec) = spec else {
            self.failed.push(node);
            return self;
        };
        let mut asking = false;
        for (_, ask) in spec.files() {
            asking = true;
            if !self.files.contains(ask) {
                self.files.insert(ask.clone());
            }
        }
        for ask in spec.upstreams() {
            asking = true;
            self.upstreams.push(ask.clone());
        }
        if asking {
            self.asking.push(node);
        }
        self
    }

    fn and(mut self, mut other: Self) -> Self {
        self.upstreams.append(&mut other.upstreams);
        self.asking.append(&mut other.asking);
        self.failed.append(&mut other.failed);
        if self.files.len() < other.files.len() {
            std::mem::swap(&mut self.files, &mut other.files);
        }
        self.files.extend(other.files);
        self
    }
}
