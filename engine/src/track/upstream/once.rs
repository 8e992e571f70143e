//! Work that several questions of a run share and that is done once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::facts::FactError;

type Cell<T> = Arc<OnceCell<Result<T, FactError>>>;

/// Values by name, each made once; a failure is a value, too.
pub(super) struct Once<T>(Mutex<HashMap<String, Cell<T>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Once<T> {
    /// The value of a name; the first to ask makes it and the others wait.
    pub async fn get(
        &self,
        name: String,
        make: impl Future<Output = Result<T, FactError>>,
    ) -> Result<T, FactError> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cells.entry(name).or_default().clone()
        };
        cell.get_or_init(|| make).await.clone()
    }
}
