//! The images of a reference: for which platforms there are some, which one is for a platform, and
//! what their configurations say.

use jiff::Timestamp;
use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, ImageConfig, Platform, media_type};
use reqwest::Method;

use crate::client::{Client, Inner};
use crate::error::{Error, ErrorKind, Fault, shown};
use crate::mirror::{At, Place};
use crate::{Reference, platform};

/// The largest configuration, in bytes.
const LARGEST: u64 = 8 << 20;
/// Indexes in indexes that are followed.
pub(crate) const DEEPEST: usize = 4;
/// Indexes in an index that are followed, all together.
pub(crate) const NESTED: usize = 64;
/// Entries that are looked at, of an index and those in it.
pub(crate) const ENTRIES: usize = 4096;
/// Entries without a platform whose configuration is asked.
const UNNAMED: usize = 16;
/// The end of 1970, in seconds; times before it are those of builds that want to have none.
const EARLIEST: i64 = 365 * 24 * 3600;

/// What a configuration says.
#[derive(Clone, Debug)]
pub(crate) struct About {
    platform: Platform,
    created: Option<i64>,
}

/// The images of a reference.
#[derive(Default)]
struct Entries {
    /// Those whose index says the platform.
    named: Vec<(Platform, Digest)>,
    /// Those of which only their configuration says it.
    unnamed: Vec<Digest>,
}

impl Client {
    /// Gives the digest of the manifest for a platform. The error lists the platforms there are.
    pub async fn choose(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Digest, Error> {
        let entries = self.entries(reference).await?;
        if let Some(found) = chosen(&entries.named, platform) {
            return Ok(found);
        }
        let named = self.named(reference, entries).await?;
        chosen(&named, platform).ok_or_else(|| {
            let mut has: Vec<String> = named.iter().map(|(p, _)| p.to_string()).collect();
            has.sort_unstable();
            has.dedup();
            let has = if has.is_empty() { "no image".to_owned() } else { has.join(", ") };
            let why = format!("it has no image for {platform}; it has {}", shown(&has));
            Fault::new(ErrorKind::Unfit, why).of(reference)
        })
    }

    /// Gives the platforms that there are images for, in normal form and in the order of the
    /// index, each with its manifest; of several for one platform, the first. An image without an
    /// index has the platform that its configuration says; entries of an index that say none are
    /// asked the same, the first 16 of them, and stand last. What only describes an image
    /// (attestations) is left out.
    pub async fn platforms(&self, reference: &Reference) -> Result<Vec<(Platform, Digest)>, Error> {
        let entries = self.entries(reference).await?;
        let mut out: Vec<(Platform, Digest)> = Vec::new();
        for (own, digest) in self.named(reference, entries).await? {
            let own = platform::normal(&own);
            if !out.iter().any(|(known, _)| *known == own) {
                out.push((own, digest));
            }
        }
        Ok(out)
    }

    /// Gives when the image for a platform was made, as its configuration says it, in seconds
    /// since 1970; none where it says nothing, or 1970 or before, as reproducible builds do.
    pub async fn created(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Option<i64>, Error> {
        let digest = self.choose(reference, platform).await?;
        Ok(self.about(reference, digest).await?.and_then(|about| about.created))
    }

    /// Collects the images of a reference: those of its index and of the indexes in that.
    async fn entries(&self, reference: &Reference) -> Result<Entries, Error> {
        let whole = self.resolve(reference).await?;
        let mut entries = Entries::default();
        if let Document::Manifest(_) = &whole.document {
            entries.unnamed.push(whole.digest);
        }
        let mut open = vec![(whole, 0)];
        let (mut seen, mut nested) = (0, 0);
        while let Some((index, depth)) = open.pop() {
            let Document::Index(index) = &index.document else { continue };
            for entry in &index.manifests {
                seen += 1;
                if seen > ENTRIES {
                    let why = format!("its index has more than {ENTRIES} entries");
                    return Err(Fault::broken(why).of(reference));
                }
                if is_attestation(entry) {
                    continue;
                }
                if media_type::is_index(&entry.media_type) {
                    nested += 1;
                    if depth >= DEEPEST || nested > NESTED {
                        let why = "its indexes are nested too deep, or are too many";
                        return Err(Fault::broken(why).of(reference));
                    }
                    let inner = self.fetched(&reference.with_digest(entry.digest)).await?;
                    open.push((inner, depth + 1));
                } else if media_type::is_manifest(&entry.media_type) {
                    match entry.platform() {
                        Some(platform) => entries.named.push((platform, entry.digest)),
                        None => entries.unnamed.push(entry.digest),
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Asks the images for their platforms whose index does not say them.
    async fn named(
        &self,
        reference: &Reference,
        entries: Entries,
    ) -> Result<Vec<(Platform, Digest)>, Error> {
        let mut named = entries.named;
        for digest in entries.unnamed.into_iter().take(UNNAMED) {
            if let Some(about) = self.about(reference, digest).await? {
                named.push((about.platform, digest));
            }
        }
        Ok(named)
    }

    /// What the configuration of an image says; none where a manifest is of no image.
    async fn about(&self, reference: &Reference, digest: Digest) -> Result<Option<About>, Error> {
        let manifest = self.fetched(&reference.with_digest(digest)).await?;
        let Document::Manifest(manifest) = &manifest.document else { return Ok(None) };
        if !media_type::is_config(&manifest.config.media_type) {
            return Ok(None);
        }
        let Descriptor { digest, size, .. } = manifest.config;
        if size > LARGEST {
            let why = format!("its configuration is said to have {size} bytes");
            return Err(Fault::broken(why).of(reference));
        }
        let inner = &self.inner;
        let about = |place: Place| async move { inner.about(place.at(), digest).await };
        let find = inner.anywhere(reference, about);
        let about = inner.about.get(reference.with_digest(digest).key(), find).await;
        about.map(Some).map_err(|fault| fault.of(reference))
    }
}

impl Inner {
    /// Fetches the configuration of an image and reads it.
    async fn about(&self, at: At<'_>, digest: Digest) -> Result<About, Fault> {
        let ask = self.ask(Method::GET, at, "blobs", &digest.to_string())?;
        let bytes = self.answer(&ask, LARGEST).await?.body;
        let broken = |e: mabuild_oci::Error| Fault::broken(e.to_string());
        digest.verify("its configuration", &bytes).map_err(broken)?;
        let config = ImageConfig::from_bytes(&bytes).map_err(broken)?;
        let created = config.created.as_deref().and_then(time);
        Ok(About { platform: config.platform(), created })
    }
}

/// A time that means something, in seconds since 1970.
fn time(text: &str) -> Option<i64> {
    let time = text.trim().parse::<Timestamp>().ok()?.as_second();
    Some(time).filter(|time| *time >= EARLIEST)
}

/// Whether an entry of an index says something about another one.
fn is_attestation(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
        || entry.annotations.contains_key("vnd.docker.reference.type")
}

fn chosen(named: &[(Platform, Digest)], platform: &Platform) -> Option<Digest> {
    let at = platform::best(platform, named.iter().map(|(platform, _)| platform))?;
    named.get(at).map(|(_, digest)| *digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_mean_nothing_are_none() {
        for none in [
            "",
            "0",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:01.5Z",
            "1970-12-31T23:59:59Z",
            "99999-01-01T00:00:00Z",
        ] {
            assert_eq!(time(none), None, "{none}");
        }
        assert_eq!(time("1971-01-01T00:00:00Z"), Some(EARLIEST));
        assert_eq!(time("2024-05-01T10:00:00.123456789Z"), Some(1_714_557_600));
        assert_eq!(time("2024-05-01T12:00:00+02:00"), Some(1_714_557_600));
    }
}
