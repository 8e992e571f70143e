//! Files of this machine that are pinned by digest, and small helpers of the trackers.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use mabuild_oci::Digest;

use super::wrong;
use crate::facts::FactError;
use crate::store::Store;

/// Reads a digest that came with a question.
pub(super) fn digest(text: &str) -> Result<Digest, FactError> {
    Digest::parse(text).map_err(|e| wrong(e.to_string()))
}

/// Runs something that blocks away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, FactError> + Send + 'static,
) -> Result<T, FactError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(done) => done,
        Err(e) => Err(wrong(format!("a worker thread stopped ({e}); this is a defect"))),
    }
}

/// Copies a local file into the store, hashing what is copied, so that nobody can exchange it
/// between the check and its use.
pub(super) fn adopt(store: &Store, expected: &Digest, path: &str) -> Result<PathBuf, FactError> {
    let kept = store.download_path(&expected.to_string());
    if kept.is_file() {
        return Ok(kept);
    }
    let failed = |e: &dyn std::fmt::Display| wrong(format!("cannot read {path}: {e}"));
    let unkept = |e: &dyn std::fmt::Display| wrong(format!("cannot keep {path}: {e}"));
    let mut file = File::open(path).map_err(|e| failed(&e))?;
    let mut copy = store.temp_named().map_err(|e| unkept(&e))?;
    let mut hasher = expected.hasher();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = file.read(&mut buffer).map_err(|e| failed(&e))?;
        let piece = buffer.get(..length).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        hasher.update(piece);
        copy.write_all(piece).map_err(|e| unkept(&e))?;
    }
    let actual = hasher.finish();
    if actual != *expected {
        return Err(wrong(format!(
            "{path} has {actual}, but {expected} was expected: check the digest, or get the file \
             again"
        )));
    }
    store.adopt_download(copy, &expected.to_string()).map_err(|e| unkept(&e))
}
