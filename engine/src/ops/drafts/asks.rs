//! What specs ask of the world outside.

use std::collections::HashSet;

use rayon::prelude::*;

use super::Drafts;
use super::below::Guess;
use crate::facts::{FilesAsk, UpstreamAsk};
use crate::graph::{NodeId, Selection};
use crate::lower::LowerError;
use crate::spec::AskedSpec;

/// Nodes that one thread asks for facts at least.
const ASKED: usize = 256;

/// The place of a base in the lock.
pub(super) const BASE: &str = "base";
/// The place of a first step `packages`; further ones have a number.
const PACKAGES: &str = "packages";

/// Names the places of the upstreams of a spec in its order.
#[derive(Default)]
pub(super) struct Slots {
    packages: usize,
}

impl Slots {
    pub fn next(&mut self, ask: &UpstreamAsk) -> String {
        if !matches!(ask, UpstreamAsk::Packages(_)) {
            return BASE.to_owned();
        }
        self.packages += 1;
        match self.packages {
            1 => PACKAGES.to_owned(),
            number => format!("{PACKAGES}.{number}"),
        }
    }
}

/// What specs ask of the world outside.
#[derive(Default)]
pub(super) struct Asks {
    pub files: HashSet<FilesAsk>,
    /// What is fetched and neither fixed by its file nor by the lock.
    pub open: Vec<(NodeId, FilesAsk)>,
    pub upstreams: Vec<(NodeId, String, UpstreamAsk)>,
    /// Nodes that ask for packages on what is below.
    pub waiting: Vec<NodeId>,
    /// Nodes that ask for anything.
    pub asking: Vec<NodeId>,
    /// Nodes without a spec.
    pub failed: Vec<NodeId>,
}

impl Asks {
    /// All asks of a selection but those for packages on an image.
    pub fn of(drafts: &Drafts, selection: &Selection) -> Self {
        let spec = |node: NodeId| {
            drafts.lowered.spec(node, &Guess { drafts, known: &|_| None, distros: false })
        };
        selection
            .needed
            .par_iter()
            .with_min_len(ASKED)
            .filter(|node| !drafts.lowered.asks_nothing(**node))
            .filter_map(|node| Some((*node, spec(*node)?)))
            .fold(Self::default, |asks, (node, spec)| asks.with(drafts, node, spec, false))
            .reduce(Self::default, Self::and)
    }

    /// The asks of nodes for packages on what is below them.
    pub fn of_packages(drafts: &Drafts, nodes: &[NodeId]) -> Self {
        let guess = Guess { drafts, known: &|_| None, distros: true };
        nodes.iter().fold(Self::default(), |asks, node| match drafts.lowered.spec(*node, &guess) {
            Some(spec) => asks.with(drafts, *node, spec, true),
            None => asks,
        })
    }

    fn with(
        mut self,
        drafts: &Drafts,
        node: NodeId,
        spec: Result<AskedSpec, LowerError>,
        packages: bool,
    ) -> Self {
        let Ok(spec) = spec else {
            self.failed.push(node);
            return self;
        };
        let mut asking = false;
        for (_, ask) in spec.files() {
            asking = true;
            let effective = drafts.locking.file(&drafts.lowered.graph, node, ask);
            if effective == *ask && !matches!(ask, FilesAsk::Context(_)) {
                self.open.push((node, ask.clone()));
            }
            if !self.files.contains(&effective) {
                self.files.insert(effective);
            }
        }
        let mut slots = Slots::default();
        for ask in spec.upstreams() {
            asking = true;
            let slot = slots.next(ask);
            if packages == (slot != BASE) {
                self.upstreams.push((node, slot, ask.clone()));
            } else if !packages && self.waiting.last() != Some(&node) {
                self.waiting.push(node);
            }
        }
        if asking {
            self.asking.push(node);
        }
        self
    }

    fn and(mut self, mut other: Self) -> Self {
        self.upstreams.append(&mut other.upstreams);
        self.waiting.append(&mut other.waiting);
        self.asking.append(&mut other.asking);
        self.failed.append(&mut other.failed);
        self.open.append(&mut other.open);
        if self.files.len() < other.files.len() {
            std::mem::swap(&mut self.files, &mut other.files);
        }
        self.files.extend(other.files);
        self
    }
}
