//! Runs a plan: `machine` decides (pure), `driver` does, `work` is what is done for one node.

pub mod driver;
mod log;
pub mod machine;
mod masks;
mod progress;
mod work;

pub use work::{Privates, Remembered, Shared};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mabuild_sandbox::CancelHandle;
use tokio::sync::watch;

/// Ends a run from another thread; clones are the same handle.
#[derive(Clone, Debug)]
pub struct Cancel {
    handle: CancelHandle,
    seen: Arc<watch::Sender<bool>>,
    begun: Arc<AtomicBool>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self {
            handle: CancelHandle::new(),
            seen: Arc::new(watch::channel(false).0),
            begun: Arc::default(),
        }
    }
}

impl Cancel {
    /// Stops what runs and starts nothing more.
    pub fn cancel(&self) {
        self.handle.cancel();
        self.seen.send_replace(true);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.handle.is_cancelled()
    }

    /// Whether nodes are worked on. Before that there is nothing to be stopped in order, and the
    /// program may just end.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    pub(crate) fn handle(&self) -> &CancelHandle {
        &self.handle
    }

    /// Ends when the run is cancelled.
    pub(crate) async fn cancelled(&self) {
        let mut seen = self.seen.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = seen.wait_for(|cancelled| *cancelled).await;
    }
}
