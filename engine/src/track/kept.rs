//! What is written to a registry for other machines, while the run goes on.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{Shared, Tracking, locked, wrong};
use crate::facts::FactError;

/// How much is written at once.
const AT_ONCE: usize = 16;

/// What is on its way.
pub(super) struct Kept {
    tasks: Mutex<Vec<JoinHandle<Result<(), FactError>>>>,
    /// Closed by the first failure: a registry that takes nothing, or cannot be reached, must not
    /// be tried a thousand times.
    room: Semaphore,
}

impl Default for Kept {
    fn default() -> Self {
        Self { tasks: Mutex::default(), room: Semaphore::new(AT_ONCE) }
    }
}

impl Tracking {
    /// Writes something to a registry in the background.
    pub(super) fn keep<F>(&self, work: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = Result<(), FactError>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return };
        let (shared, work) = (self.shared.clone(), work(self.shared.clone()));
        let task = runtime.spawn(async move {
            let Ok(_room) = shared.kept.room.acquire().await else { return Ok(()) };
            let done = work.await;
            if done.is_err() {
                shared.kept.room.close();
            }
            done
        });
        locked(&self.shared.kept.tasks).push(task);
    }

    /// Waits for what is on its way to other machines. The error is that of the first that failed.
    pub fn settle_kept(&self) -> Result<(), FactError> {
        let tasks = std::mem::take(&mut *locked(&self.shared.kept.tasks));
        self.block(|_| async move {
            let mut first = Ok(());
            for task in tasks {
                let done = task.await.map_err(|e| wrong(e.to_string())).flatten();
                first = first.and(done);
            }
            first
        })?
    }
}
