//! What was hashed for each node, in a registry, so that a machine that did not build it can say
//! what differs. Each is an artifact of its own, under a tag that carries the key.

use std::io::{Read, Write};
use std::sync::Arc;

use flate2::write::GzEncoder;
use mabuild_oci::Descriptor;
use mabuild_oci::layer::decompress;
use mabuild_registry::Reference;

use super::registry::read;
use super::{Shared, Tracking, artifact, wrong};
use crate::facts::FactError;
use crate::key::{Key, Record, read_hashed};

/// What is kept; the version is that of this form.
const KIND: &str = "application/vnd.mabuild.record.v1";
/// What its document is.
const DOCUMENT: &str = "application/vnd.mabuild.record.v1+json";
/// The same when it is compressed.
const COMPRESSED: &str = "application/vnd.mabuild.record.v1+json+gzip";
/// Bytes of a document from which on it is compressed.
const LARGE: usize = 4096;
/// Most bytes of a document, as it is kept and whole. The second are some 300,000 files.
const LARGEST: [u64; 2] = [16 << 20, 32 << 20];

fn reference(repository: &str, key: &Key) -> Result<Reference, FactError> {
    read(&format!("{repository}:record-v1-{}", key.hex()))
}

impl Tracking {
    /// Looks up in a repository what was hashed to keys, side by side, in their order. None where
    /// it is not there, and where something else is there.
    pub fn recall_records(
        &self,
        repository: &str,
        keys: Vec<Key>,
    ) -> Vec<Result<Option<Record>, FactError>> {
        let repository: Arc<str> = repository.into();
        self.side_by_side(keys, move |shared, key| {
            let repository = repository.clone();
            async move { recall(&shared, &repository, &key).await }
        })
    }

    /// Writes what was hashed to a key to a repository, in the background; `json` is that of
    /// [`crate::key::write_hashed`]. What is too large to be read again is left out. Failures are
    /// told by [`Tracking::settle_kept`].
    pub fn keep_record(&self, repository: &str, key: &Key, json: Vec<u8>) {
        if json.len() as u64 > LARGEST[1] {
            return;
        }
        let written = packed(json).and_then(|(kind, bytes)| {
            let layout = self.shared.store.layout();
            layout.write_blob(kind, &bytes).map_err(|e| wrong(e.to_string()))
        });
        let (repository, key) = (repository.to_owned(), *key);
        self.keep(|shared| async move { keep(&shared, &repository, &key, written?).await });
    }
}

async fn keep(
    shared: &Arc<Shared>,
    repository: &str,
    key: &Key,
    document: Descriptor,
) -> Result<(), FactError> {
    artifact::put(shared, &reference(repository, key)?, KIND, vec![document], []).await?;
    Ok(())
}

async fn recall(
    shared: &Arc<Shared>,
    repository: &str,
    key: &Key,
) -> Result<Option<Record>, FactError> {
    let reference = reference(repository, key)?;
    let Some(found) = artifact::look(shared, &reference, KIND).await? else { return Ok(None) };
    let bytes = artifact::document(shared, &reference, &found, LARGEST[0]).await?;
    Ok(unpacked(&bytes).and_then(|json| read_hashed(&json, key)))
}

/// A document as it is kept, with its media type.
fn packed(json: Vec<u8>) -> Result<(&'static str, Vec<u8>), FactError> {
    if json.len() < LARGE {
        return Ok((DOCUMENT, json));
    }
    let mut out = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let bytes = out.write_all(&json).and_then(|()| out.finish());
    Ok((COMPRESSED, bytes.map_err(|e| wrong(e.to_string()))?))
}

/// The document itself; none where it is too large.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    decompress(bytes).ok()?.take(LARGEST[1] + 1).read_to_end(&mut json).ok()?;
    (json.len() as u64 <= LARGEST[1]).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_documents_are_compressed_and_all_come_back() {
        for (length, kind) in [(0, DOCUMENT), (LARGE - 1, DOCUMENT), (LARGE, COMPRESSED)] {
            let json = vec![b'{'; length];
            let (media_type, bytes) = packed(json.clone()).unwrap();
            assert_eq!(media_type, kind);
            assert!(bytes.len() < LARGE);
            assert_eq!(unpacked(&bytes), Some(json));
        }
    }

    #[test]
    fn what_unpacks_to_too_much_is_not_read() {
        let (_, bytes) = packed(vec![b' '; LARGEST[1] as usize + 1]).unwrap();
        assert!((bytes.len() as u64) < LARGEST[0]);
        assert_eq!(unpacked(&bytes), None);
        assert_eq!(unpacked(&bytes[..9]), None);
    }
}
