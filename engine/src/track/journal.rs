//! The journal of publishes in a registry: one document under one tag.

use mabuild_oci::{Descriptor, Digest};
use mabuild_registry::Reference;

use super::registry::read;
use super::{Tracking, artifact, wrong};
use crate::facts::FactError;

/// What it is; the version is that of the artifact.
const KIND: &str = "application/vnd.mabuild.journal.v1";
/// What its document is.
const DOCUMENT: &str = "application/vnd.mabuild.journal.v1+json";
/// Its tag.
const TAG: &str = "journal-v1";
/// Most bytes of the document.
const LARGEST: u64 = 64 << 20;

fn reference(repository: &str) -> Result<Reference, FactError> {
    read(&format!("{repository}:{TAG}"))
}

impl Tracking {
    /// Reads the journal that a repository has now; none where it has none.
    pub fn journal(&self, repository: &str) -> Result<Option<Vec<u8>>, FactError> {
        let reference = reference(repository)?;
        self.block(|shared| async move {
            match artifact::look(&shared, &reference, KIND).await? {
                Some(found) => {
                    artifact::document(&shared, &reference, &found, LARGEST).await.map(Some)
                }
                None => Ok(None),
            }
        })?
    }

    /// Writes the journal of a repository in the place of the one that it has.
    pub fn put_journal(&self, repository: &str, bytes: &[u8]) -> Result<Digest, FactError> {
        let reference = reference(repository)?;
        let layout = self.shared.store.layout();
        let written = layout.write_blob(DOCUMENT, bytes).map_err(|e| wrong(e.to_string()))?;
        let layer = Descriptor::new(DOCUMENT, written.digest, written.size);
        self.block(|shared| async move {
            artifact::put(&shared, &reference, KIND, vec![layer], []).await
        })?
    }
}
