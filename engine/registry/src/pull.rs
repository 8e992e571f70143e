//! Whole images into layouts.

use std::collections::HashSet;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Layout, Manifest, Platform, media_type};
use tokio::task::JoinSet;

use crate::Reference;
use crate::blob::is_there;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Fault};

/// Layers of an image at most.
pub(crate) const LAYERS: usize = 1024;

impl Client {
    /// Brings the image of a platform into a layout and gives the digest of its manifest.
    ///
    /// Blobs that are there are not fetched. The manifest comes last, so that whoever finds it
    /// finds the whole image. A digest of a manifest that is there whole needs no network.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: &Platform,
        layout: &Layout,
    ) -> Result<Digest, Error> {
        let digest = self.choose(reference, platform).await?;
        self.pull_manifest(&reference.with_digest(digest), layout).await
    }

    /// Brings an image into a layout whose manifest the reference names by digest.
    pub async fn pull_manifest(
        &self,
        reference: &Reference,
        layout: &Layout,
    ) -> Result<Digest, Error> {
        let digest = self.digest(reference).await?;
        let kept = layout.has(&digest).then(|| layout.read(&digest).ok()).flatten();
        let bytes = match &kept {
            Some(bytes) => bytes.clone(),
            None => self.fetched(&reference.with_digest(digest)).await?.bytes.clone(),
        };
        let manifest = image(&bytes).map_err(|fault| fault.of(reference))?;
        self.blobs(reference, &manifest, layout).await?;
        if kept.is_none() {
            keep(layout, &digest, &bytes).map_err(|fault| fault.of(reference))?;
        }
        Ok(digest)
    }

    /// Brings the manifest that the reference names by digest into a layout with its config, and
    /// none of its layers; gives what the manifest says.
    pub async fn pull_bare(
        &self,
        reference: &Reference,
        layout: &Layout,
    ) -> Result<Manifest, Error> {
        let digest = self.digest(reference).await?;
        let found = self.fetched(&reference.with_digest(digest)).await?;
        let manifest = image(&found.bytes).map_err(|fault| fault.of(reference))?;
        self.pull_blob(reference, &manifest.config, layout).await?;
        keep(layout, &digest, &found.bytes).map_err(|fault| fault.of(reference))?;
        Ok(manifest)
    }

    /// Brings a blob of the repository of a reference into a layout; what is there is not fetched.
    pub async fn pull_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        layout: &Layout,
    ) -> Result<(), Error> {
        self.inner.blob(reference, blob, layout).await.map_err(|fault| fault.of(reference))
    }

    /// Fetches what a manifest refers to, side by side.
    async fn blobs(
        &self,
        reference: &Reference,
        manifest: &Manifest,
        layout: &Layout,
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut tasks = JoinSet::new();
        for descriptor in std::iter::once(&manifest.config).chain(&manifest.layers) {
            if is_there(layout, descriptor) || !seen.insert(descriptor.digest) {
                continue;
            }
            let (client, reference) = (self.clone(), reference.clone());
            let (descriptor, layout) = (Descriptor::clone(descriptor), layout.clone());
            tasks.spawn(async move { client.inner.blob(&reference, &descriptor, &layout).await });
        }
        // The first failure ends the others: dropping the set stops them.
        while let Some(done) = tasks.join_next().await {
            done.map_err(Fault::local).flatten().map_err(|fault| fault.of(reference))?;
        }
        Ok(())
    }
}

/// Puts a manifest into a layout, checked.
fn keep(layout: &Layout, digest: &Digest, bytes: &[u8]) -> Result<(), Fault> {
    let mut writer = layout.blob_writer_for(digest).map_err(Fault::local)?;
    std::io::Write::write_all(&mut writer, bytes)
        .map_err(|e| Fault::local(format!("cannot keep the manifest: {e}")))?;
    writer.commit(Some(*digest)).map_err(Fault::local).map(|_| ())
}

/// Reads the manifest of an image, and refuses what is none.
fn image(bytes: &[u8]) -> Result<Manifest, Fault> {
    let document = Document::from_bytes(bytes).map_err(|e| Fault::broken(e.to_string()))?;
    let Document::Manifest(manifest) = document else {
        let why = "it is an index of several images; a platform has to be chosen first";
        return Err(Fault::new(ErrorKind::Unfit, why));
    };
    if !media_type::is_config(&manifest.config.media_type) {
        let kind = crate::error::shown(&manifest.config.media_type);
        let why = format!("it is no image but an artifact of the kind {kind:?}");
        return Err(Fault::new(ErrorKind::Unfit, why));
    }
    if manifest.layers.len() > LAYERS {
        let why = format!("it has {} layers, and {LAYERS} are too many", manifest.layers.len());
        return Err(Fault::broken(why));
    }
    Ok(manifest)
}
