//! Images of registries: pinned to the manifest of the wanted platform.
//!
//! What a tag meant last, and which tag of a range was the highest, is remembered for runs without
//! network; what an index has for a platform is remembered for good, as neither can change without
//! its digest. Of what is asked, only the digest of the tag is asked in a run without news, which
//! registries do not count as a pull.

mod budget;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use mabuild_lang::reference;
use mabuild_oci::{Digest, Platform};
use mabuild_registry::Reference;

pub(in crate::track) use budget::{over_budget, registry_of};

use super::{Answer, Tracker};
use crate::facts::{FactError, Pin, VERSION};
use crate::track::{Shared, doubtful, registry, versions, wrong};

/// What tags meant last.
const TAGS: &str = "registry-tag";
/// The highest tags of ranges.
const RANGES: &str = "registry-range";
/// What indexes have for platforms.
const PLATFORMS: &str = "registry-platform";

/// An image as the file asks for it.
pub(super) struct Registry {
    /// Complete reference; with a range its tag has the version in it.
    pub reference: String,
    /// Range of the versions.
    pub range: Option<String>,
    /// Platform in normal form.
    pub platform: String,
}

impl Tracker for Registry {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let reference = match &self.range {
                Some(range) => Cow::Owned(self.highest(shared, range).await?),
                None => Cow::Borrowed(&self.reference),
            };
            let whole = registry::read(&reference)?;
            let digest = meant(shared, &whole, &reference).await?;
            let note = format!("{digest} {}", self.platform);
            let manifest = match digest_of(shared, PLATFORMS, &note) {
                Some(manifest) => manifest,
                None => {
                    let platform = platform(&self.platform)?;
                    let client = registry::client(shared)?;
                    let found = client.choose(&whole.with_digest(digest), &platform).await?;
                    remember(shared, PLATFORMS, &note, &found.to_string())?;
                    found
                }
            };
            let location = reference.into_owned();
            Ok(Pin::Registry { manifest: manifest.to_string(), location })
        })
    }
}

impl Registry {
    /// The reference with the highest tag of the range.
    async fn highest(&self, shared: &Arc<Shared>, range: &str) -> Result<String, FactError> {
        let parsed = versions::range(range)?;
        let (name, form) = self
            .reference
            .rsplit_once(':')
            .filter(|(_, tag)| tag.contains(VERSION) && !tag.contains(['/', '@']))
            .ok_or_else(|| {
                wrong(format!(
                    "`{}` has no `{VERSION}` in its tag, so there is nothing to follow",
                    self.reference
                ))
            })?;
        // Only a reference with a tag that can be one is completed and read.
        let filled = |tag: &str| reference::normal(&format!("{name}:{tag}"));
        let note = format!("{} {range}", self.reference);
        let known = shared.store.memo(RANGES, &note);
        if let Some(tag) = known.as_ref().filter(|_| shared.client.is_offline()) {
            return Ok(filled(tag));
        }
        let whole = registry::read(&filled("latest"))?;
        let tags = registry::client(shared)?.tags(&whole).await?;
        let of_form = |tag: &str| versions::version_in(form, tag).is_some();
        let named: BTreeSet<&str> =
            tags.iter().filter_map(|tag| versions::version_in(form, tag)).collect();
        let Some(version) = parsed.highest(named.iter().copied()) else {
            let has = match named.is_empty() {
                true => versions::some(tags.iter().map(String::as_str)),
                false => versions::some(tags.iter().map(String::as_str).filter(|tag| of_form(tag))),
            };
            return Err(doubtful(format!(
                "no tag of {}/{} has a version that fits `{parsed}`; there are {has}",
                whole.host, whole.repository
            )));
        };
        let tag = form.replace(VERSION, version);
        if known.as_ref() != Some(&tag) {
            remember(shared, RANGES, &note, &tag)?;
        }
        Ok(filled(&tag))
    }
}

/// The digest that a reference means now, or meant last where there is no network.
async fn meant(
    shared: &Arc<Shared>,
    whole: &Reference,
    reference: &str,
) -> Result<Digest, FactError> {
    if let Some(digest) = whole.digest {
        return Ok(digest);
    }
    match digest_of(shared, TAGS, reference) {
        Some(digest) if shared.client.is_offline() => Ok(digest),
        known => {
            let digest = registry::client(shared)?.digest_since(whole, known).await?;
            if known != Some(digest) {
                remember(shared, TAGS, reference, &digest.to_string())?;
            }
            Ok(digest)
        }
    }
}

/// What an image meant last has for a platform, where it was looked at.
fn remembered(
    shared: &Shared,
    image: &Reference,
    reference: &str,
    platform: &str,
) -> Option<Digest> {
    let digest = image.digest.or_else(|| digest_of(shared, TAGS, reference))?;
    digest_of(shared, PLATFORMS, &format!("{digest} {platform}"))
}

fn digest_of(shared: &Shared, kind: &str, name: &str) -> Option<Digest> {
    Digest::parse(&shared.store.memo(kind, name)?).ok()
}

/// Reads a platform in normal form.
pub(super) fn platform(text: &str) -> Result<Platform, FactError> {
    text.parse().map_err(|e: mabuild_oci::Error| wrong(e.to_string()))
}

fn remember(shared: &Shared, kind: &str, name: &str, text: &str) -> Result<(), FactError> {
    shared.store.put_memo(kind, name, text).map_err(|e| wrong(e.to_string()))
}
