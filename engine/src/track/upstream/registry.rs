//! Images of registries: pinned to the manifest of the wanted platform.
//!
//! What a tag meant last is remembered for runs without network; what an index has for a platform
//! is remembered for good, as neither can change without its digest. Of what is asked, only the
//! digest of the tag is asked in a run without news, which registries do not count as a pull.

use std::sync::Arc;

use mabuild_oci::{Digest, Platform};
use mabuild_registry::Reference;

use super::{Answer, Tracker};
use crate::facts::{FactError, Pin};
use crate::track::{Shared, registry, wrong};

/// What tags meant last.
const TAGS: &str = "registry-tag";
/// What indexes have for platforms.
const PLATFORMS: &str = "registry-platform";

/// An image as the file asks for it.
pub(super) struct Registry {
    /// Complete reference.
    pub reference: String,
    /// Platform in normal form.
    pub platform: String,
}

impl Tracker for Registry {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let whole = registry::read(&self.reference)?;
            let digest = self.meant(shared, &whole).await?;
            let note = format!("{digest} {}", self.platform);
            let known = shared.store.memo(PLATFORMS, &note);
            let manifest = match known.and_then(|text| Digest::parse(&text).ok()) {
                Some(manifest) => manifest,
                None => {
                    let platform: Platform = self
                        .platform
                        .parse()
                        .map_err(|e: mabuild_oci::Error| wrong(e.to_string()))?;
                    let client = registry::client(shared)?;
                    let found = client.choose(&whole.with_digest(digest), &platform).await?;
                    remember(shared, PLATFORMS, &note, &found)?;
                    found
                }
            };
            let location = self.reference.clone();
            Ok(Pin::Registry { manifest: manifest.to_string(), location })
        })
    }
}

impl Registry {
    /// The digest that the reference means now, or meant last where there is no network.
    async fn meant(&self, shared: &Arc<Shared>, whole: &Reference) -> Result<Digest, FactError> {
        if let Some(digest) = whole.digest {
            return Ok(digest);
        }
        let known = shared.store.memo(TAGS, &self.reference);
        let known = known.and_then(|text| Digest::parse(&text).ok());
        match known {
            Some(digest) if shared.client.is_offline() => Ok(digest),
            known => {
                let digest = registry::client(shared)?.digest(whole).await?;
                if known != Some(digest) {
                    remember(shared, TAGS, &self.reference, &digest)?;
                }
                Ok(digest)
            }
        }
    }
}

fn remember(shared: &Shared, kind: &str, name: &str, digest: &Digest) -> Result<(), FactError> {
    let text = digest.to_string();
    shared.store.put_memo(kind, name, &text).map_err(|e| wrong(e.to_string()))
}
