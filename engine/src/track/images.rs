//! Images of registries for whoever reads them: their documents first, blobs when they are read.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Layout, Platform, media_type};
use mabuild_registry::{Copied, Pushed, Reference};
use tokio::task::JoinSet;

use super::registry::{client, read};
use super::{Shared, Tracking, doubtful, wrong};
use crate::facts::FactError;

/// The largest configuration, in bytes.
const LARGEST: u64 = 8 << 20;
/// Indexes in indexes that are followed.
const DEEPEST: usize = 4;
/// Documents of one image at most.
const MOST: usize = 4096;

impl Tracking {
    /// Asks a registry for an image with one request, and keeps its manifest or index in the store;
    /// none where there is no such image. What the store has by digest needs no network.
    pub fn find_image(&self, reference: &str) -> Result<Option<Descriptor>, FactError> {
        let reference = reference.to_owned();
        self.block(|shared| async move { find(&shared, &reference).await })?
    }

    /// The same for many, side by side; answers come in the order of the questions.
    pub fn find_images(
        &self,
        references: Vec<String>,
    ) -> Vec<Result<Option<Descriptor>, FactError>> {
        let count = references.len();
        let asked = self.block(|shared| async move {
            let ask = |reference: String| {
                let shared = shared.clone();
                tokio::spawn(async move { find(&shared, &reference).await })
            };
            let tasks: Vec<_> = references.into_iter().map(ask).collect();
            let mut answers = Vec::with_capacity(tasks.len());
            for task in tasks {
                answers.push(task.await.map_err(|e| wrong(e.to_string())).flatten());
            }
            answers
        });
        asked.unwrap_or_else(|e| (0..count).map(|_| Err(e.clone())).collect())
    }

    /// Copies an image from registry to registry, for some platforms or for all of them, perhaps
    /// with what refers to it.
    pub fn copy_image(
        &self,
        from: &str,
        to: &str,
        platforms: Option<Vec<Platform>>,
        referrers: bool,
    ) -> Result<Copied, FactError> {
        let (from, to) = (read(from)?, read(to)?);
        self.block(|shared| async move {
            let layout = shared.store.layout();
            let client = client(&shared)?;
            Ok(client.copy(&from, &to, layout, platforms.as_deref(), referrers).await?)
        })?
    }

    /// Puts an image of the store into a repository, then points the tag at it. Blobs that one of
    /// `mounts` has, repositories of the same registry, need not be in the store.
    pub fn push_image(
        &self,
        image: &Descriptor,
        to: &str,
        mounts: Vec<String>,
    ) -> Result<Pushed, FactError> {
        let (image, to) = (image.clone(), read(to)?);
        let mounts: Vec<Reference> = mounts.iter().map(|m| read(m)).collect::<Result<_, _>>()?;
        self.block(|shared| async move {
            let (layout, client) = (shared.store.layout(), client(&shared)?);
            let mut pushed = client.push(layout, &image, &to, &mounts).await?;
            let tag = Reference { digest: None, ..to.clone() };
            if to.tag.is_some() && client.current(&tag).await? != Some(image.digest) {
                let bytes = layout.read(&image.digest).map_err(|e| wrong(e.to_string()))?;
                client.put(&to, &image.media_type, &bytes).await?;
                pushed.manifests += 1;
            }
            Ok(pushed)
        })?
    }

    /// Brings the documents that an image of the store leads to, side by side: indexes, manifests
    /// and configurations, and no layers. Remembers where what they name is kept.
    pub fn bring_documents(&self, root: &Digest) -> Result<(), FactError> {
        let root = *root;
        self.block(|shared| async move {
            let mut tasks = JoinSet::new();
            let mut seen = HashSet::from([root]);
            tasks.spawn(bring(shared.clone(), root, 0));
            // The first failure ends the others: dropping the set stops them.
            while let Some(done) = tasks.join_next().await {
                let (children, depth) = done.map_err(|e| wrong(e.to_string())).flatten()?;
                for child in children.into_iter().filter(|child| seen.insert(*child)) {
                    tasks.spawn(bring(shared.clone(), child, depth));
                }
                if depth > DEEPEST || seen.len() > MOST {
                    let why = "its indexes are nested too deep, or name too many images";
                    return Err(doubtful(format!("{root} cannot be read: {why}")));
                }
            }
            Ok(())
        })?
    }

    /// The repository, `HOST/PATH`, that keeps a blob, where one is known.
    pub fn kept_in(&self, blob: &Digest) -> Option<String> {
        self.shared.store.elsewhere(blob)
    }

    /// Notes that blobs are kept where another one is.
    pub fn kept_with(&self, other: Digest, blobs: Vec<Digest>) -> Result<(), FactError> {
        let Some(place) = self.kept_in(&other) else { return Ok(()) };
        let store = &self.shared.store;
        store.put_elsewhere(&blobs, &place).map_err(|e| wrong(e.to_string()))
    }

    /// What refers to manifests and indexes, in the repositories that are known to keep them.
    pub fn referrers(&self, of: &[Digest]) -> Result<HashMap<Digest, Vec<Descriptor>>, FactError> {
        let place = |digest: &Digest| Some((*digest, self.kept_in(digest)?));
        let places: Vec<(Digest, String)> = of.iter().filter_map(place).collect();
        self.block(|shared| async move {
            let mut tasks = JoinSet::new();
            for (digest, place) in places {
                let (client, of) = (client(&shared)?.clone(), read(&place)?.with_digest(digest));
                tasks.spawn(async move { (digest, client.referrers(&of, None).await) });
            }
            let mut out = HashMap::new();
            while let Some(done) = tasks.join_next().await {
                let (digest, found) = done.map_err(|e| wrong(e.to_string()))?;
                out.insert(digest, found?.manifests);
            }
            Ok(out)
        })?
    }
}

async fn find(shared: &Arc<Shared>, reference: &str) -> Result<Option<Descriptor>, FactError> {
    let reference = read(reference)?;
    let layout = shared.store.layout();
    let place = format!("{}/{}", reference.host, reference.repository);
    let note = |digest: Digest| {
        shared.store.put_elsewhere(&[digest], &place).map_err(|e| wrong(e.to_string()))
    };
    if let Some(digest) = reference.digest.filter(|digest| layout.has(digest)) {
        let kind = kind_of(&document(layout, &digest)?).to_owned();
        let (_, size) = layout.open_blob(&digest).map_err(|e| wrong(e.to_string()))?;
        note(digest)?;
        return Ok(Some(Descriptor::new(kind, digest, size)));
    }
    let Some(found) = client(shared)?.look(&reference).await? else { return Ok(None) };
    keep(layout, &found.digest, &found.bytes)?;
    note(found.digest)?;
    let size = found.bytes.len() as u64;
    Ok(Some(Descriptor::new(&found.media_type, found.digest, size)))
}

/// Brings one document; gives those that it leads to, and how deep they are.
async fn bring(
    shared: Arc<Shared>,
    digest: Digest,
    depth: usize,
) -> Result<(Vec<Digest>, usize), FactError> {
    let layout = shared.store.layout();
    let place = shared.store.elsewhere(&digest);
    if !layout.has(&digest) {
        let Some(place) = &place else { return Err(lost(&digest)) };
        let reference = read(place)?.with_digest(digest);
        let found = client(&shared)?.resolve(&reference).await?;
        keep(layout, &digest, &found.bytes)?;
    }
    let document = document(layout, &digest)?;
    if let Some(place) = &place {
        let named = document.references().into_iter().map(|child| child.digest);
        let absent: Vec<Digest> = named.filter(|child| !layout.has(child)).collect();
        shared.store.put_elsewhere(&absent, place).map_err(|e| wrong(e.to_string()))?;
    }
    match document {
        Document::Index(index) => {
            let nested = index.manifests.iter().filter(|child| {
                media_type::is_index(&child.media_type)
                    || media_type::is_manifest(&child.media_type)
            });
            Ok((nested.map(|child| child.digest).collect(), depth + 1))
        }
        Document::Manifest(manifest) => {
            let config = &manifest.config;
            if media_type::is_config(&config.media_type) && !layout.has(&config.digest) {
                if config.size > LARGEST {
                    let size = config.size;
                    let why = format!("the configuration of {digest} is said to have {size} bytes");
                    return Err(doubtful(why));
                }
                let place = shared.store.elsewhere(&config.digest);
                let place = place.ok_or_else(|| lost(&config.digest))?;
                client(&shared)?.pull_blob(&read(&place)?, config, layout).await?;
            }
            Ok((Vec::new(), depth))
        }
    }
}

fn document(layout: &Layout, digest: &Digest) -> Result<Document, FactError> {
    layout.document(digest).map_err(|e| wrong(e.to_string()))
}

fn kind_of(document: &Document) -> &str {
    match document {
        Document::Manifest(manifest) => manifest.media_type(),
        Document::Index(index) => index.media_type(),
    }
}

fn keep(layout: &Layout, digest: &Digest, bytes: &[u8]) -> Result<(), FactError> {
    let failed = |e: &dyn std::fmt::Display| wrong(format!("{digest} cannot be kept: {e}"));
    let mut writer = layout.blob_writer_for(digest).map_err(|e| failed(&e))?;
    writer.write_all(bytes).map_err(|e| failed(&e))?;
    writer.commit(Some(*digest)).map(drop).map_err(|e| failed(&e))
}

fn lost(digest: &Digest) -> FactError {
    wrong(format!("the store does not have {digest}, and no registry is known to keep it"))
}
