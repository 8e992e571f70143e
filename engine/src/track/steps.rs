//! Results of steps in a registry, so that a machine with an empty store reuses them. Each is an
//! artifact of its own, under a tag that carries the key of the step.

use std::sync::Arc;

use mabuild_oci::{Descriptor, Digest, Manifest};
use mabuild_registry::Reference;

use super::registry::read;
use super::{Shared, Tracking, artifact, wrong};
use crate::facts::FactError;
use crate::key::Key;
use crate::store::StepRow;

/// What is kept; the version is that of this form.
const KIND: &str = "application/vnd.mabuild.step.v1";
/// Annotation with the diff id of the layer; absent where the step changed nothing.
const DIFF_ID: &str = "dev.mabuild.step.diff-id";
/// Annotation with the date of the step, in seconds since 1970.
const DATE: &str = "dev.mabuild.step.date";
/// Kind of the note that holds the date of a step.
const BASE_DATE: &str = "base-date";

fn reference(repository: &str, key: &Key) -> Result<Reference, FactError> {
    read(&format!("{repository}:step-v1-{}", key.hex()))
}

impl Tracking {
    /// Looks a step up in a repository; where it is there the store knows it afterwards, and its
    /// layer is brought when it is read. Gives whether it is there.
    pub fn recall_step(&self, repository: &str, key: &Key) -> Result<bool, FactError> {
        let (repository, key) = (repository.to_owned(), *key);
        self.block(|shared| async move { recall(&shared, &repository, &key).await })?
    }

    /// Writes a step of the store to a repository, in the background. Failures are told by
    /// [`Tracking::settle_kept`].
    pub fn keep_step(&self, repository: &str, key: &Key) {
        let (repository, key) = (repository.to_owned(), *key);
        self.keep(|shared| async move { keep(&shared, &repository, &key).await });
    }
}

async fn recall(shared: &Arc<Shared>, repository: &str, key: &Key) -> Result<bool, FactError> {
    let reference = reference(repository, key)?;
    let Some(found) = artifact::look(shared, &reference, KIND).await? else { return Ok(false) };
    let Some(row) = row_of(&found) else { return Ok(false) };
    let date = found.annotations.get(DATE).and_then(|date| date.parse::<i64>().ok());
    let store = &shared.store;
    let layer = row.as_ref().and_then(|row| Digest::parse(&row.digest).ok());
    let noted = layer.map_or(Ok(()), |layer| store.put_elsewhere(&[layer], repository));
    let noted = noted.and_then(|()| match date {
        Some(date) => store.put_memo(BASE_DATE, &key.hex(), &date.to_string()),
        None => Ok(()),
    });
    noted.and_then(|()| store.put_step(key, &row)).map_err(|e| wrong(e.to_string()))?;
    Ok(true)
}

/// What a manifest says of a step; the inner value is none where it changed nothing.
fn row_of(manifest: &Manifest) -> Option<Option<StepRow>> {
    let Some(diff_id) = manifest.annotations.get(DIFF_ID) else { return Some(None) };
    let [layer] = manifest.layers.as_slice() else { return None };
    Digest::parse(diff_id).ok()?;
    Some(Some(StepRow {
        diff_id: diff_id.clone(),
        digest: layer.digest.to_string(),
        size: layer.size,
        media_type: layer.media_type.clone(),
    }))
}

async fn keep(shared: &Arc<Shared>, repository: &str, key: &Key) -> Result<(), FactError> {
    let (store, key_text) = (&shared.store, key.hex());
    let Some(row) = store.step(key) else { return Ok(()) };
    let layer = |row: &StepRow| {
        let digest = Digest::parse(&row.digest).map_err(|e| wrong(e.to_string()))?;
        Ok::<_, FactError>(Descriptor::new(row.media_type.clone(), digest, row.size))
    };
    let layers = row.iter().map(layer).collect::<Result<Vec<_>, _>>()?;
    let diff_id = row.map(|row| (DIFF_ID.to_owned(), row.diff_id));
    let date = store.memo(BASE_DATE, &key_text).map(|date| (DATE.to_owned(), date));
    let annotations = diff_id.into_iter().chain(date);
    artifact::put(shared, &reference(repository, key)?, KIND, layers, annotations).await?;
    Ok(())
}
