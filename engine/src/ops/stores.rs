//! `store du`, `store gc`, `store verify`.

use std::path::Path;

use super::OpError;
use crate::exec::native::remove_tree;
use crate::store::Store;
pub use crate::store::{GcReport, GcRequest, Problem, Usage};

/// What the store holds, kind by kind.
pub fn du(store: &Path) -> Result<Vec<Usage>, OpError> {
    Store::open(store).and_then(|store| store.du()).map_err(OpError::store)
}

/// Removes what nothing needs any more.
pub fn gc(store: &Path, request: &GcRequest) -> Result<GcReport, OpError> {
    let host = mabuild_sandbox::probe();
    let remover = |path: &Path| remove_tree(&host, path);
    Store::open(store).and_then(|store| store.gc(request, &remover)).map_err(OpError::store)
}

/// Looks whether every blob still has its digest; what is damaged is set aside, so that the next
/// run makes it again. With `deep` layers are unpacked to see their diff ids.
pub fn verify(store: &Path, deep: bool) -> Result<Vec<Problem>, OpError> {
    Store::open(store).and_then(|store| store.verify(deep)).map_err(OpError::store)
}
