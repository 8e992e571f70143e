//! What registries hold of a project already: indexes of tags, and blobs of images that are not in
//! the store.

use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Index, Manifest};
use mabuild_registry::Reference;
use tokio::task::JoinSet;

use super::registry::{client, read};
use super::{Shared, Tracking, wrong};
use crate::facts::FactError;

/// The index that a tag means now.
#[derive(Clone, Debug)]
pub struct TagIndex {
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub index: Index,
    /// The same as the registry sent it.
    pub bytes: Vec<u8>,
}

impl Tracking {
    /// Asks what tags mean now, with one request each, side by side; none where there is no such
    /// tag, or where it is no index. Answers come in the order of the questions.
    pub fn tag_indexes(&self, tags: Vec<String>) -> Vec<Result<Option<TagIndex>, FactError>> {
        self.side_by_side(tags, |shared, tag| async move { tag_index(&shared, &tag).await })
    }

    /// Asks several questions at once. Answers come in the order of the questions.
    pub(super) fn side_by_side<Q, A, F>(
        &self,
        questions: Vec<Q>,
        ask: impl Fn(Arc<Shared>, Q) -> F + Send + 'static,
    ) -> Vec<Result<Option<A>, FactError>>
    where
        Q: Send + 'static,
        A: Send + 'static,
        F: Future<Output = Result<Option<A>, FactError>> + Send + 'static,
    {
        let count = questions.len();
        let asked = self.block(|shared| async move {
            let mut tasks = JoinSet::new();
            for (at, question) in questions.into_iter().enumerate() {
                let answer = ask(shared.clone(), question);
                tasks.spawn(async move { (at, answer.await) });
            }
            let mut answers: Vec<_> = (0..tasks.len()).map(|_| Ok(None)).collect();
            while let Some(done) = tasks.join_next().await {
                if let Ok((at, answer)) = done
                    && let Some(place) = answers.get_mut(at)
                {
                    *place = answer;
                }
            }
            answers
        });
        asked.unwrap_or_else(|e| (0..count).map(|_| Err(e.clone())).collect())
    }

    /// Brings the manifest and the config of an image that is kept elsewhere into the store; its
    /// layers come when they are asked for. What the store has, and what is kept nowhere else, is
    /// left as it is.
    pub fn bring_image(&self, manifest: &str) -> Result<(), FactError> {
        let digest = super::local::digest(manifest)?;
        let layout = self.shared.store.layout();
        if layout.has(&digest) {
            return Ok(());
        }
        let Some(place) = self.shared.store.elsewhere(&digest) else { return Ok(()) };
        let reference = read(&place)?.with_digest(digest);
        self.block(|shared| async move {
            let layout = shared.store.layout();
            let manifest = client(&shared)?.pull_bare(&reference, layout).await?;
            let layers: Vec<Digest> = manifest.layers.iter().map(|layer| layer.digest).collect();
            shared.store.put_elsewhere(&layers, &place).map_err(|e| wrong(e.to_string()))
        })?
    }

    /// Brings blobs that are kept elsewhere into the store, side by side. Those that it has, and
    /// those that are kept nowhere else, are left as they are.
    pub fn bring_blobs(&self, blobs: &[Descriptor]) -> Result<(), FactError> {
        let store = &self.shared.store;
        let missing = blobs.iter().filter(|blob| !store.layout().has(&blob.digest));
        let missing: Vec<(Descriptor, String)> = missing
            .filter_map(|blob| Some((blob.clone(), store.elsewhere(&blob.digest)?)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.block(|shared| async move {
            let mut tasks = JoinSet::new();
            for (blob, place) in missing {
                let shared = shared.clone();
                let reference = read(&place)?;
                tasks.spawn(async move {
                    let layout = shared.store.layout();
                    Ok(client(&shared)?.pull_blob(&reference, &blob, layout).await?)
                });
            }
            // The first failure ends the others: dropping the set stops them.
            while let Some(done) = tasks.join_next().await {
                done.map_err(|e| wrong(e.to_string())).flatten()?;
            }
            Ok(())
        })?
    }

    /// Brings all that a manifest or index of the store names, as far as it is kept elsewhere.
    pub fn bring_whole(&self, digest: &Digest) -> Result<(), FactError> {
        self.bring_image(&digest.to_string())?;
        match self.shared.store.layout().document(digest) {
            Ok(Document::Index(index)) => {
                index.manifests.iter().try_for_each(|member| self.bring_whole(&member.digest))
            }
            Ok(Document::Manifest(Manifest { config, layers, .. })) => {
                self.bring_blobs(std::slice::from_ref(&config))?;
                self.bring_blobs(&layers)
            }
            // Whoever reads it says what is wrong with it.
            Err(_) => Ok(()),
        }
    }
}

async fn tag_index(shared: &Arc<Shared>, tag: &str) -> Result<Option<TagIndex>, FactError> {
    let reference: Reference = read(tag)?;
    let Some(found) = client(shared)?.look(&reference).await? else { return Ok(None) };
    Ok(match &found.document {
        Document::Index(index) => {
            let (digest, bytes) = (found.digest, found.bytes.clone());
            Some(TagIndex { digest, index: index.clone(), bytes })
        }
        Document::Manifest(_) => None,
    })
}
