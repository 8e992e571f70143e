//! What is known of images below: of those that are built, of those that are foretold by what they
//! are to be made of, and of others what they were when they were last built.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mabuild_oci::Digest;

use super::{Drafts, Telling, lock};
use crate::facts::{DebianVariant, Distro, Family, ImageFacts, Installed, PackageSet, Pin};
use crate::graph::NodeId;
use crate::lower::Below;
use crate::plan::{Known, Specs};
use crate::spec::{DraftSpec, Op, Source};
use crate::store::Store;

/// What a distribution is known by, or why it is not; none while that is open.
type Told = Option<Telling>;

/// Tells what is below.
pub(super) struct Guess<'a> {
    pub drafts: &'a Drafts,
    pub known: Known<'a>,
    /// Whether distributions are told, too.
    pub distros: bool,
}

impl Below for Guess<'_> {
    fn image(&self, node: NodeId) -> Option<Arc<ImageFacts>> {
        let digest = (self.known)(node).or_else(|| self.drafts.last(node))?;
        self.drafts.image(&digest)
    }

    fn distro(&self, node: NodeId) -> Told {
        if !self.distros {
            return None;
        }
        match (self.known)(node) {
            Some(digest) if self.drafts.is_far(&digest) => None,
            Some(digest) => Some(self.drafts.distro(&digest, node)),
            None => self.drafts.foretell(node),
        }
    }
}

impl Drafts {
    /// The manifest that a node had when it was last built.
    fn last(&self, node: NodeId) -> Option<Arc<str>> {
        let name = self.lowered.graph.name(node);
        self.store.last_digest(&self.project, &name).map(Into::into)
    }

    /// Whether an image is not in the store, and is fetched for no plan: its lock says what stands
    /// on it.
    fn is_far(&self, manifest: &str) -> bool {
        let absent = Digest::parse(manifest).is_ok_and(|d| !self.store.layout().has(&d));
        absent && !self.running.load(Ordering::SeqCst)
    }

    /// What is known of an image, in the store or elsewhere.
    fn image(&self, digest: &Arc<str>) -> Option<Arc<ImageFacts>> {
        if let Some(known) = lock(&self.images).get(digest) {
            return Some(known.clone());
        }
        // Whoever builds on it says what is wrong.
        let _brought = self.tracking.bring_image(digest);
        let facts = Arc::new(read(&self.store, digest)?);
        lock(&self.images).insert(digest.clone(), facts.clone());
        Some(facts)
    }

    /// What an image in the store is of.
    pub fn distro(&self, manifest: &Arc<str>, node: NodeId) -> Result<Arc<Distro>, String> {
        if let Some(known) = lock(&self.distros).get(manifest) {
            return known.clone();
        }
        let platform = self.lowered.graph.platform(node);
        let read = match platform {
            Some(platform) => self.tracking.distro(manifest, platform).map(Arc::new),
            None => Err("it has no platform".to_owned()),
        };
        lock(&self.distros).insert(manifest.clone(), read.clone());
        read
    }

    /// What a node that is still to be built will be of.
    fn foretell(&self, node: NodeId) -> Told {
        if let Some(known) = lock(&self.foretold).get(&node) {
            return known.clone();
        }
        let told = self.told(node);
        lock(&self.foretold).insert(node, told.clone());
        told
    }

    fn told(&self, node: NodeId) -> Told {
        let last = || self.last(node).map(|digest| self.distro(&digest, node));
        let Ok(spec) = self.spec(node, &|_| None) else { return last() };
        let stage = spec.stages.last()?;
        let is_run = stage.steps.iter().any(|step| matches!(step.op, Op::Run(_)));
        // What programs install is not foretold, but is mostly what it was.
        if is_run && let Some(last) = last() {
            return Some(last);
        }
        let below = match &stage.source {
            Source::Parent(parent) => self.foretell(*parent)?,
            Source::Upstream(pin) => self.of_pin(pin, node)?,
            Source::Scratch => Err("there is no distribution in an empty image".to_owned()),
            Source::Stage(_) => return last(),
        };
        Some(below.map(|below| installed(&below, &spec)))
    }

    /// What a base will be of.
    fn of_pin(&self, pin: &Pin, node: NodeId) -> Told {
        let platform = self.lowered.graph.platform(node)?;
        let system = |family: Family, arch: Option<&str>, set: &PackageSet| {
            Some(Ok(Arc::new(Distro {
                family,
                arch: arch?.to_owned(),
                archives: set.archives.clone(),
                installed: packages(set),
            })))
        };
        match pin {
            Pin::Debian(pin) if pin.variant == DebianVariant::Extract => {
                Some(Err("its packages are unpacked only: it has no package manager".to_owned()))
            }
            Pin::Debian(pin) => system(Family::Debian, platform.debian(), &pin.set),
            Pin::Alpine(pin) => system(Family::Alpine, platform.alpine(), &pin.set),
            Pin::Packages(_) => None,
            Pin::Layout { manifest, .. } => {
                let known = Digest::parse(manifest).is_ok_and(|d| self.store.layout().has(&d));
                known.then(|| self.distro(&manifest.as_str().into(), node))
            }
            Pin::Registry { manifest, location } => {
                let known = Digest::parse(manifest).is_ok_and(|d| self.store.layout().has(&d));
                // A plan does not pull images to say more.
                if !known && !self.locking.is_thorough() {
                    return None;
                }
                if !known && let Err(e) = self.tracking.pull(manifest, location) {
                    return Some(Err(e.message));
                }
                Some(self.distro(&manifest.as_str().into(), node))
            }
            Pin::Archive { digest, location, .. } => {
                let last = || self.last(node).map(|digest| self.distro(&digest, node));
                if !self.locking.is_thorough() {
                    return last();
                }
                Some(self.tracking.distro_of_archive(digest, location, platform).map(Arc::new))
            }
        }
    }
}

/// The packages of a set as installed ones.
fn packages(set: &PackageSet) -> Vec<Installed> {
    let mut out: Vec<Installed> = set
        .packages
        .iter()
        .map(|package| Installed {
            name: package.name.clone(),
            version: package.version.clone(),
            arch: package.arch.clone(),
            provides: None,
        })
        .collect();
    out.sort_unstable();
    out
}

/// What is installed after the steps of a spec.
fn installed(below: &Arc<Distro>, spec: &DraftSpec) -> Arc<Distro> {
    let steps = spec.stages.last().map(|stage| stage.steps.as_slice()).unwrap_or_default();
    let mut distro = below.clone();
    for step in steps {
        let Op::Packages(step) = &step.op else { continue };
        let Pin::Packages(pin) = &*step.from else { continue };
        let distro = Arc::make_mut(&mut distro);
        let new = packages(&pin.set);
        distro.installed.retain(|old| new.iter().all(|package| package.name != old.name));
        distro.installed.extend(new);
        distro.installed.sort_unstable();
    }
    distro
}

fn read(store: &Store, digest: &str) -> Option<ImageFacts> {
    let (_, config) = store.image(&Digest::parse(digest).ok()?).ok()?;
    let env = config.config.env.iter().map(|line| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    });
    Some(ImageFacts { env: env.collect(), triggers: config.config.on_build.clone() })
}
