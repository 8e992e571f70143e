//! Work that several callers share and that is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

type Cell<V> = Arc<OnceCell<V>>;

/// Values by name, each made once.
#[derive(Debug)]
pub(crate) struct Once<K, V>(Mutex<HashMap<K, Cell<V>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    /// Gives the value of a name; the first to ask makes it and the others wait.
    pub async fn get(&self, name: K, make: impl Future<Output = V>) -> V {
        let cell = self.lock().entry(name).or_default().clone();
        cell.get_or_init(|| make).await.clone()
    }

    /// Forgets everything; what is under way stays with those who wait for it.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Cell<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
