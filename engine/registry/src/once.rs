//! Work that several callers share and that is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OnceCell};

/// Bytes that are remembered at most, as far as they are counted.
const HELD: u64 = 64 << 20;

type Cell<V> = Arc<OnceCell<V>>;

/// Values by name, each made once.
#[derive(Debug)]
pub(crate) struct Once<K, V> {
    cells: Mutex<HashMap<K, Cell<V>>>,
    held: AtomicU64,
}

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self { cells: Mutex::default(), held: AtomicU64::new(0) }
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    /// Gives the value of a name; the first to ask makes it and the others wait.
    pub async fn get(&self, name: K, make: impl Future<Output = V>) -> V {
        let cell = self.lock().entry(name).or_default().clone();
        cell.get_or_init(|| make).await.clone()
    }

    /// Gives the value of a name, where it is made already.
    pub fn known(&self, name: &K) -> Option<V> {
        self.lock().get(name)?.get().cloned()
    }

    /// Remembers a value, whatever was remembered before.
    pub fn put(&self, name: K, value: V) {
        self.lock().insert(name, Arc::new(OnceCell::new_with(Some(value))));
    }

    /// Forgets the value of a name.
    pub fn forget(&self, name: &K) {
        self.lock().remove(name);
    }

    /// Counts the bytes of a new value, and forgets all values when they become too many; what is
    /// under way stays with those who wait for it.
    pub fn count(&self, bytes: u64) {
        if self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > HELD {
            self.held.store(0, Ordering::Relaxed);
            self.lock().clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Cell<V>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks by name, of which one holder does what others wait for.
#[derive(Debug)]
pub(crate) struct Locks<K>(Mutex<HashMap<K, Arc<AsyncMutex<()>>>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Locks<K> {
    /// Gives the lock of a name.
    pub fn of(&self, name: K) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whom nobody holds any more, nobody waits for.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(name).or_default().clone()
    }
}
