//! Specs with their facts. Made when they are asked for: held for every node, they would be most
//! of the memory of a plan.

mod asks;
mod below;
mod locking;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mabuild_lang::source::Span;

use crate::facts::{
    Distro, FactError, Facts, FileSet, FilesAsk, ImageFacts, PackageSet, PackagesPin, Pin,
    UpstreamAsk,
};
use crate::graph::{NodeId, Selection};
use crate::lower::Lowered;
use crate::plan::{Known, SpecError, Specs};
use crate::spec::{Draft, DraftSpec};
use crate::store::Store;
use crate::track::{Tracking, find_facts};
use asks::{Asks, Slots};
use below::Guess;
pub(super) use locking::{Judge, Locking, names};

/// What an image is of, or why that cannot be told.
type Telling = Result<Arc<Distro>, String>;

/// Makes specs out of what was lowered and what was found out.
pub(super) struct Drafts {
    lowered: Arc<Lowered>,
    project: String,
    store: Arc<Store>,
    tracking: Arc<Tracking>,
    locking: Locking,
    facts: Mutex<Facts>,
    /// What each place of a node is pinned to, where that is settled.
    pins: Mutex<HashMap<(NodeId, String), Arc<Pin>>>,
    images: Mutex<HashMap<Arc<str>, Arc<ImageFacts>>>,
    /// What images are of, by manifest.
    distros: Mutex<HashMap<Arc<str>, Telling>>,
    /// What nodes that are still to be built will be of.
    foretold: Mutex<HashMap<NodeId, Option<Telling>>>,
    /// What is fetched and neither fixed by its file nor by the lock.
    open: Mutex<Vec<(NodeId, FilesAsk)>>,
    /// Whether nodes are built, so that what they stand on is fetched to be looked at.
    running: AtomicBool,
    /// Nodes whose spec may not be known.
    doubtful: HashSet<NodeId>,
}

impl std::fmt::Debug for Drafts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drafts").field("project", &self.project).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drafts {
    /// Finds out what the specs of a selection ask of the world outside and the lock does not say.
    pub fn new(
        lowered: &Arc<Lowered>,
        selection: &Selection,
        project: &str,
        store: &Arc<Store>,
        tracking: &Arc<Tracking>,
        locking: Locking,
    ) -> Self {
        let mut drafts = Self {
            lowered: lowered.clone(),
            project: project.to_owned(),
            store: store.clone(),
            tracking: tracking.clone(),
            locking,
            facts: Mutex::default(),
            pins: Mutex::default(),
            images: Mutex::default(),
            distros: Mutex::default(),
            foretold: Mutex::default(),
            open: Mutex::default(),
            running: AtomicBool::new(false),
            doubtful: HashSet::new(),
        };
        let mut asks = Asks::of(&drafts, selection);
        drafts.find(&asks);
        drafts.open = Mutex::new(std::mem::take(&mut asks.open));
        drafts.doubtful.extend(asks.failed.iter().copied());
        // Packages are chosen for what is below, so that what stands on others comes after them.
        let mut waiting = asks.waiting.clone();
        waiting.sort_unstable_by_key(|node| (lowered.graph.level(*node), *node));
        let level = |node: &NodeId| lowered.graph.level(*node);
        for level in waiting.chunk_by(|a, b| level(a) == level(b)) {
            let more = Asks::of_packages(&drafts, level);
            drafts.find(&more);
            drafts.doubtful.extend(more.failed);
        }
        if lock(&drafts.facts).has_errors() {
            drafts.doubtful.extend(asks.asking);
        }
        drafts
    }

    /// Finds facts out and settles what they say.
    fn find(&self, asks: &Asks) {
        let mut seen = HashSet::new();
        let mut upstreams = Vec::new();
        for (node, slot, ask) in &asks.upstreams {
            let is_open = self.locked(*node, slot, ask).is_none();
            if is_open && self.locking.may_ask(ask) && seen.insert(ask) {
                if let Some(pin) = self.remembered(*node, slot, ask) {
                    self.tracking.expect_newer(&pin);
                }
                upstreams.push(ask.clone());
            }
        }
        let mut files: Vec<FilesAsk> = asks.files.iter().cloned().collect();
        // Neighbours read the same folders.
        files.sort_unstable();
        if !files.is_empty() || !upstreams.is_empty() {
            let found = find_facts(&self.tracking, files, upstreams);
            lock(&self.facts).extend(found);
        }
        for (node, slot, ask) in &asks.upstreams {
            // Failures are told by whoever needs the answer.
            let _settled = self.pin(*node, slot, ask);
        }
    }

    /// What the lock has for a place of a node, as far as it fits the question.
    fn locked(&self, node: NodeId, slot: &str, ask: &UpstreamAsk) -> Option<Pin> {
        if self.locking.anew.contains(&node) {
            return None;
        }
        self.remembered(node, slot, ask)
    }

    /// The same, also for what is asked anew.
    fn remembered(&self, node: NodeId, slot: &str, ask: &UpstreamAsk) -> Option<Pin> {
        let pin = self.locking.pin(&self.lowered.graph, node, slot, ask)?;
        fits(&pin, ask).then_some(pin)
    }

    /// What a place of a node is pinned to: by the lock, else by what the upstream serves now.
    fn pin(&self, node: NodeId, slot: &str, ask: &UpstreamAsk) -> Result<Arc<Pin>, FactError> {
        let place = (node, slot.to_owned());
        if let Some(known) = lock(&self.pins).get(&place).filter(|pin| fits(pin, ask)) {
            return Ok(known.clone());
        }
        let pin = match self.locked(node, slot, ask) {
            Some(pin) => Arc::new(self.tracking.keyed(pin)?),
            None => self.found(node, slot, ask)?,
        };
        lock(&self.pins).insert(place, pin.clone());
        Ok(pin)
    }

    /// What an upstream serves now, or what is kept in its place.
    fn found(&self, node: NodeId, slot: &str, ask: &UpstreamAsk) -> Result<Arc<Pin>, FactError> {
        if let UpstreamAsk::Packages(packages) = ask
            && packages.below.is_none()
        {
            // They are asked for again when the image below is there.
            let (names, set) = (packages.names.clone(), PackageSet::default());
            let below = String::new();
            return Ok(Arc::new(Pin::Packages(PackagesPin { family: None, names, set, below })));
        }
        if !self.locking.may_ask(ask) {
            return Err(self.locking.lacks(&self.lowered.graph, node));
        }
        if !lock(&self.facts).knows_upstream(ask) {
            let found = find_facts(&self.tracking, Vec::new(), vec![ask.clone()]);
            lock(&self.facts).extend(found);
        }
        let found = lock(&self.facts).upstream(ask)?;
        let before = self.remembered(node, slot, ask);
        Ok(match self.locking.settle(&self.lowered.graph, node, slot, ask, before, &found) {
            Some(kept) => Arc::new(self.tracking.keyed(kept)?),
            None => found,
        })
    }

    /// The files of an ask, which is new where an image below turned out to say other than it did.
    fn files(&self, ask: &FilesAsk) -> Result<Arc<FileSet>, String> {
        if !lock(&self.facts).knows(ask) {
            let found = find_facts(&self.tracking, vec![ask.clone()], Vec::new());
            lock(&self.facts).extend(found);
        }
        lock(&self.facts).files(ask)
    }

    /// From now on nodes are built.
    pub fn begin(&self) {
        self.running.store(true, Ordering::SeqCst);
    }

    /// What the run uses the lock for, and what it added.
    pub fn locking(&self) -> &Locking {
        &self.locking
    }

    /// Newer packages of the archives of a node as it was last built: name and version. None where
    /// it was not built with this store.
    pub fn newer(
        &self,
        node: NodeId,
        security: bool,
    ) -> Result<Option<Vec<(String, String)>>, String> {
        let name = self.lowered.graph.name(node);
        let Some(manifest) = self.store.last_digest(&self.project, &name) else { return Ok(None) };
        let distro = self.distro(&manifest.into(), node)?;
        let newer = self.tracking.newer(&distro, security).map_err(|e| e.message)?;
        Ok(Some(newer.into_iter().map(|package| (package.name, package.candidate)).collect()))
    }

    /// Writes down what addresses and repositories of a node serve, where the lock lacks it.
    pub fn lock_files(&self) {
        let open = std::mem::take(&mut *lock(&self.open));
        if open.is_empty() || !self.locking.is_kept() {
            return;
        }
        let questions: Vec<FilesAsk> = open.iter().map(|(_, ask)| ask.clone()).collect();
        let answers = self.tracking.file_pins(&questions);
        for ((node, ask), answer) in open.iter().zip(answers) {
            if let Ok(Some(pinned)) = answer {
                self.locking.put_file(&self.lowered.graph, *node, ask, &pinned);
            }
        }
    }
}

/// Whether a pin of packages is for what is below now.
fn fits(pin: &Pin, ask: &UpstreamAsk) -> bool {
    match (pin, ask) {
        (Pin::Packages(pin), UpstreamAsk::Packages(ask)) => {
            ask.below.as_ref().is_none_or(|distro| distro.digest() == pin.below)
        }
        _ => true,
    }
}

impl Specs for Drafts {
    fn spec(&self, node: NodeId, known: Known<'_>) -> Result<DraftSpec, SpecError> {
        let here = self.lowered.span(self.lowered.graph.node(node).thing);
        let wrong = |message: String, span: Option<Span>, blames_upstream: bool| SpecError {
            message,
            span,
            blames_upstream,
        };
        let guess = Guess { drafts: self, known, distros: true };
        let asked = match self.lowered.spec(node, &guess) {
            Some(asked) => asked.map_err(|e| wrong(e.message, Some(e.span), false))?,
            None => return Err(wrong("no spec is made for it".to_owned(), here, false)),
        };
        let effective = |ask: &FilesAsk| self.locking.file(&self.lowered.graph, node, ask);
        // A missing file is shown at its own instruction.
        for (step, ask) in asked.files() {
            let locked = effective(ask);
            if self.locking.refuses(ask, &locked) {
                let lacks = self.locking.lacks(&self.lowered.graph, node);
                return Err(wrong(lacks.message, Some(step.span), false));
            }
            self.files(&locked).map_err(|message| wrong(message, Some(step.span), false))?;
        }
        let mut slots = Slots::default();
        let mut draft = asked.advance::<Draft, SpecError>(
            Ok,
            |ask| self.files(&effective(&ask)).map_err(|message| wrong(message, here, false)),
            |ask| {
                let pin = self.pin(node, &slots.next(&ask), &ask);
                pin.map_err(|e| wrong(e.message, here, e.blames_upstream))
            },
        )?;
        if self.lowered.watch(node).is_some() {
            draft.watched = self.locking.watched(&self.lowered.graph, node);
        }
        Ok(draft)
    }

    fn is_doubtful(&self, node: NodeId) -> bool {
        self.doubtful.contains(&node)
    }
}
