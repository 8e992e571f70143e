//! Builds on this machine: overlayfs over unpacked layers inside a user namespace, no daemon, no
//! root. `stages` puts the stages of a build in order, `stage` walks the steps of one; the other files
//! are one kind of work each; `inner` runs in the
//! sandbox's helper process.

mod alpine;
mod base;
mod build;
mod cache;
mod chmod;
mod config;
mod content;
mod copy;
mod debian;
mod difference;
mod files;
mod from;
mod history;
mod inner;
mod item;
mod layers;
mod machine;
mod mounts;
mod packages;
mod place;
mod point;
mod run;
pub mod shell;
mod stage;
mod stages;
mod trees;
mod unpack;
mod users;
mod windows;

#[cfg(test)]
mod testing;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use mabuild_oci::Digest;
use mabuild_oci::layer::FsView;

use mabuild_sandbox::{Host, IdMap};

use super::{Executor, Fault, Knobs, Outcome, Supply};
use crate::key::Key;
use crate::spec::BuildSpec;
use crate::store::Store;

/// Must be the first call of a program's `main`: in a helper process it does the work of the
/// helper and never returns.
pub fn init() {
    mabuild_sandbox::init(inner::handle);
}

/// The architecture of this machine in OCI's spelling.
pub fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Removes a tree whose files belong to mapped ids.
pub fn remove_tree(host: &Host, path: &std::path::Path) -> Result<(), String> {
    match &host.id_map {
        Some(map) => trees::remove(map, path),
        None => std::fs::remove_dir_all(path)
            .map_err(|e| format!("cannot remove {}: {e}", path.display())),
    }
}

/// Builds specs natively.
pub struct Native {
    store: Arc<Store>,
    supply: Arc<dyn Supply>,
    host: Host,
    overlay: bool,
    jobs: usize,
    slots: run::Slots,
    machine: machine::Machine,
    /// Steps that ran in this run of the program.
    ran: Mutex<HashSet<Key>>,
    /// Merged views of chains of layers, the newest last.
    views: Mutex<VecDeque<(Vec<Digest>, Arc<FsView>)>>,
}

/// What stops a build early.
enum Stop {
    Fault(Fault),
    Cancelled,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Native {
    /// An executor over a store. At most `jobs` steps run at once. Without `overlay`, or where
    /// the kernel has no overlayfs for it, layers are copied.
    pub fn new(
        store: Arc<Store>,
        supply: Arc<dyn Supply>,
        host: Host,
        jobs: usize,
        overlay: bool,
    ) -> Self {
        Self {
            store,
            supply,
            host,
            overlay,
            jobs,
            slots: run::Slots::new(jobs),
            machine: machine::Machine::default(),
            ran: Mutex::default(),
            views: Mutex::default(),
        }
    }

    /// Whether layers are copied in place of being mounted.
    fn copies(&self) -> bool {
        !self.overlay || self.host.overlay.is_err()
    }

    /// How ids appear in the sandbox; a fault where nothing can be run at all.
    fn id_map(&self) -> Result<&IdMap, Fault> {
        self.host.id_map.as_ref().ok_or_else(|| {
            let reason = self.host.single.as_ref().err().cloned().unwrap_or_default();
            Fault::environment(format!("this machine cannot run steps in a sandbox: {reason}"))
        })
    }

    /// Whether a step ran already in this run of the program.
    fn ran(&self, key: &Key) -> bool {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Notes that a step ran.
    fn note(&self, key: &Key) {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).insert(*key);
    }

    /// Removes a folder whose files may belong to mapped ids.
    fn remove(&self, path: &std::path::Path) -> Result<(), String> {
        remove_tree(&self.host, path)
    }
}

impl Executor for Native {
    fn execute(&self, spec: &BuildSpec, knobs: &Knobs) -> Outcome {
        match build::build(self, spec, knobs) {
            Ok(built) => Outcome::Done(built),
            Err(Stop::Cancelled) => Outcome::Cancelled,
            Err(Stop::Fault(_)) if knobs.cancel.is_cancelled() => Outcome::Cancelled,
            Err(Stop::Fault(fault)) => Outcome::Failed(fault),
        }
    }

    fn difference(&self, one: &str, other: &str) -> Result<String, Fault> {
        difference::first(self, one, other)
    }
}
