//! What images lead to: from indexes over manifests to configs, layers and chains.

use std::collections::HashSet;

use mabuild_oci::image::{Document, chain_ids};
use mabuild_oci::{Descriptor, Digest, ImageConfig, Index, media_type};

use super::{Result, Store, StoreError};

/// Everything that some images need.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Blobs that are named, there or not.
    pub blobs: HashSet<Digest>,
    /// Diff ids of the layers.
    pub diff_ids: HashSet<Digest>,
    /// Chain ids of the layers with those below.
    pub chains: HashSet<Digest>,
    /// Blobs that are named but not there, or damaged.
    pub missing: Vec<Digest>,
}

impl Store {
    /// Digests that garbage collection starts from: roots and every entry of `index.json`.
    pub(super) fn root_digests(&self) -> Result<Vec<Digest>> {
        let mut out: Vec<Digest> = self.refs()?.into_iter().map(|d| d.digest).collect();
        out.extend(self.roots()?.iter().filter_map(|(_, _, digest)| Digest::parse(digest).ok()));
        out.sort_unstable();
        out.dedup();
        Ok(out)
    }

    /// The entries of `index.json`, named or not.
    pub(super) fn refs(&self) -> Result<Vec<Descriptor>> {
        let path = self.dir().join("index.json");
        let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
        Ok(Index::from_bytes(&bytes)?.manifests)
    }

    /// Follows images to all that they need.
    pub(super) fn reach(&self, roots: impl IntoIterator<Item = Digest>) -> Reach {
        let mut reach = Reach::default();
        let mut open: Vec<Digest> = roots.into_iter().collect();
        while let Some(digest) = open.pop() {
            if !reach.blobs.insert(digest) {
                continue;
            }
            let Ok(bytes) = self.layout().read(&digest) else {
                reach.missing.push(digest);
                continue;
            };
            match Document::from_bytes(&bytes) {
                Ok(Document::Index(index)) => {
                    open.extend(index.manifests.iter().map(|d| d.digest));
                }
                Ok(Document::Manifest(manifest)) => {
                    for layer in &manifest.layers {
                        self.leaf(layer.digest, &mut reach);
                    }
                    self.leaf(manifest.config.digest, &mut reach);
                    if media_type::is_config(&manifest.config.media_type) {
                        self.config(&manifest.config.digest, &mut reach);
                    }
                }
                // Something that is no image: it leads nowhere, but it was named.
                Err(_) => {}
            }
        }
        reach
    }

    fn leaf(&self, digest: Digest, reach: &mut Reach) {
        if reach.blobs.insert(digest) && !self.layout().path_of(&digest).is_file() {
            reach.missing.push(digest);
        }
    }

    fn config(&self, digest: &Digest, reach: &mut Reach) {
        let config = self.layout().read(digest).and_then(|b| ImageConfig::from_bytes(&b));
        if let Ok(config) = config {
            reach.chains.extend(chain_ids(&config.rootfs.diff_ids));
            reach.diff_ids.extend(config.rootfs.diff_ids);
        }
    }
}
