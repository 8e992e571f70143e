//! Indexes of a run: each read once for all who want it at the same time, and not all of them
//! held at once, as those of many architectures are larger than all else that a run needs.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::OnceCell;

use super::index::Packages;
use crate::facts::FactError;

/// Bytes of texts of indexes that are held when nobody waits for them.
const HELD: usize = 128 << 20;

type Slot = OnceCell<Result<Arc<Packages>, FactError>>;

/// Indexes by name.
#[derive(Default)]
pub(super) struct Indexes {
    /// Those that somebody waits for or that are held.
    slots: Mutex<HashMap<String, Weak<Slot>>>,
    /// The latest ones, the newest last.
    held: Mutex<VecDeque<(Arc<Slot>, usize)>>,
}

impl Indexes {
    /// The index of a name; the first to ask makes it and the others wait.
    pub async fn get(
        &self,
        name: String,
        make: impl Future<Output = Result<Arc<Packages>, FactError>>,
    ) -> Result<Arc<Packages>, FactError> {
        let slot = {
            let mut slots = lock(&self.slots);
            slots.retain(|_, slot| slot.strong_count() > 0);
            let known = slots.get(&name).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let slot = Arc::new(Slot::new());
                slots.insert(name, Arc::downgrade(&slot));
                slot
            })
        };
        let made = slot
            .get_or_init(|| async {
                let made = make.await;
                self.hold(&slot, made.as_ref().map_or(0, |index| index.size));
                made
            })
            .await;
        made.clone()
    }

    /// Holds an index for later, and lets go of older ones.
    fn hold(&self, slot: &Arc<Slot>, size: usize) {
        let mut held = lock(&self.held);
        held.push_back((slot.clone(), size));
        let mut sum: usize = held.iter().map(|(_, size)| size).sum();
        while sum > HELD && held.len() > 1 {
            sum -= held.pop_front().map_or(0, |(_, size)| size);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
