//! Manifests and indexes: fetched, checked, and chosen from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, ImageConfig, Platform, media_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use serde_json::Value;

use crate::address::server;
use crate::client::{Ask, Client, Inner, Tries};
use crate::error::{Error, ErrorKind, Fault, Trouble, shown};
use crate::{Reference, platform, wire};

/// The largest manifest or index, in bytes; registries refuse larger ones, too.
pub(crate) const LARGEST: u64 = 4 << 20;
/// Bytes of documents that are remembered at most.
const HELD: u64 = 64 << 20;
/// Indexes in indexes that are followed.
const DEEPEST: usize = 4;
/// Indexes in an index that are followed, all together.
const NESTED: usize = 64;
/// Entries that are looked at, of an index and those in it.
const ENTRIES: usize = 4096;
/// Entries without a platform whose configuration is asked.
const UNNAMED: usize = 16;
/// What manifests may be.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json, \
                        application/vnd.oci.image.manifest.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json";
/// Where a registry says what it serves.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A manifest or index as the registry keeps it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its digest; the bytes have it.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub document: Document,
}

impl Client {
    /// Gives the digest that a reference means. A tag is asked for once and does not change later.
    pub async fn digest(&self, reference: &Reference) -> Result<Digest, Error> {
        if let Some(digest) = reference.digest {
            return Ok(digest);
        }
        let find = async {
            match self.inner.head(reference).await.map_err(|fault| fault.of(reference))? {
                Some(digest) => Ok(digest),
                // The registry does not say, or what it says is better said of the whole.
                None => Ok(self.fetched(reference).await?.digest),
            }
        };
        self.inner.tags.get(reference.to_string(), find).await
    }

    /// Gets the manifest or index that a reference means.
    pub async fn resolve(&self, reference: &Reference) -> Result<Arc<Resolved>, Error> {
        let digest = self.digest(reference).await?;
        self.fetched(&reference.with_digest(digest)).await
    }

    /// Gives the digest of the manifest for a platform. The error lists the platforms there are.
    pub async fn choose(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Digest, Error> {
        let whole = self.resolve(reference).await?;
        let (mut named, mut unnamed) = (Vec::new(), Vec::new());
        match &whole.document {
            Document::Manifest(_) => unnamed.push(whole.digest),
            Document::Index(_) => self.listed(reference, &whole, &mut named, &mut unnamed).await?,
        }
        if let Some(found) = chosen(&named, platform) {
            return Ok(found);
        }
        for digest in unnamed.into_iter().take(UNNAMED) {
            if let Some(own) = self.platform_of(reference, digest).await? {
                named.push((own, digest));
            }
        }
        chosen(&named, platform).ok_or_else(|| {
            let mut has: Vec<String> = named.iter().map(|(p, _)| p.to_string()).collect();
            has.sort_unstable();
            has.dedup();
            let has = if has.is_empty() { "no image".to_owned() } else { has.join(", ") };
            let why = format!("it has no image for {platform}; it has {}", shown(&has));
            Fault::new(ErrorKind::Unfit, why).of(reference)
        })
    }

    /// Collects the images of an index and of those in it.
    async fn listed(
        &self,
        reference: &Reference,
        whole: &Arc<Resolved>,
        named: &mut Vec<(Platform, Digest)>,
        unnamed: &mut Vec<Digest>,
    ) -> Result<(), Error> {
        let mut open = vec![(whole.clone(), 0)];
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
                        Some(platform) => named.push((platform, entry.digest)),
                        None => unnamed.push(entry.digest),
                    }
                }
            }
        }
        Ok(())
    }

    /// The platform that the configuration of an image says; none where it is no image.
    async fn platform_of(
        &self,
        reference: &Reference,
        digest: Digest,
    ) -> Result<Option<Platform>, Error> {
        let manifest = self.fetched(&reference.with_digest(digest)).await?;
        let Document::Manifest(manifest) = &manifest.document else { return Ok(None) };
        if !media_type::is_config(&manifest.config.media_type) {
            return Ok(None);
        }
        let bytes = self.inner.config(reference, &manifest.config).await;
        let bytes = bytes.map_err(|fault| fault.of(reference))?;
        let config = ImageConfig::from_bytes(&bytes)
            .map_err(|e| Fault::broken(e.to_string()).of(reference))?;
        Ok(Some(config.platform()))
    }

    /// Fetches a document, once for each digest.
    pub(crate) async fn fetched(&self, reference: &Reference) -> Result<Arc<Resolved>, Error> {
        let inner = &self.inner;
        if reference.digest.is_none() {
            return inner.document(reference).await.map_err(|fault| fault.of(reference));
        }
        let find = async {
            let found = inner.document(reference).await.map_err(|fault| fault.of(reference))?;
            let size = found.bytes.len() as u64;
            if inner.held.fetch_add(size, Ordering::Relaxed) + size > HELD {
                inner.held.store(0, Ordering::Relaxed);
                inner.documents.clear();
            }
            Ok(found)
        };
        inner.documents.get(reference.to_string(), find).await
    }
}

impl Inner {
    /// Asks for the digest of a tag alone, which registries do not count as a pull.
    async fn head(&self, reference: &Reference) -> Result<Option<Digest>, Fault> {
        let ask = self.manifest(Method::HEAD, reference)?;
        let mut tries = Tries::new(self);
        loop {
            let sent = async {
                let _permit = self.permits.acquire().await;
                self.send(&ask).await
            };
            match sent.await {
                Ok(response) => return Ok(content_digest(&response)),
                // An answer to this question has no body that would say why.
                Err(Trouble::Fatal(fault)) if is_about_it(fault.kind) => return Ok(None),
                Err(trouble) => tries.again(trouble).await?,
            }
        }
    }

    async fn document(&self, reference: &Reference) -> Result<Arc<Resolved>, Fault> {
        let ask = self.manifest(Method::GET, reference)?;
        let mut tries = Tries::new(self);
        loop {
            match self.document_once(&ask).await {
                Ok(resolved) => return Ok(Arc::new(resolved)),
                Err(trouble) => tries.again(trouble).await?,
            }
        }
    }

    async fn document_once(&self, ask: &Ask<'_>) -> Result<Resolved, Trouble> {
        let _permit = self.permits.acquire().await;
        let response = self.send(ask).await?;
        let kind = wire::text(response.headers(), CONTENT_TYPE).map(str::to_owned);
        let said = content_digest(&response);
        let at = server(&ask.url);
        let bytes = self.small(response, LARGEST).await?;
        // What the registry says of a tag's content must be true, too.
        let expected = ask.reference.digest.or(said);
        let digest = expected.unwrap_or_else(|| Digest::sha256(&bytes));
        digest
            .verify(format!("what {at} sends"), &bytes)
            .map_err(|e| Fault::broken(e.to_string()))?;
        Ok(read(digest, kind.as_deref(), bytes)?)
    }

    /// Reads the configuration of an image into memory.
    async fn config(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, Fault> {
        let ask = self.ask(Method::GET, reference, "blobs", &descriptor.digest.to_string())?;
        let mut tries = Tries::new(self);
        let bytes = loop {
            let once = async {
                let _permit = self.permits.acquire().await;
                self.small(self.send(&ask).await?, LARGEST).await
            };
            match once.await {
                Ok(bytes) => break bytes,
                Err(trouble) => tries.again(trouble).await?,
            }
        };
        descriptor
            .digest
            .verify("its configuration", &bytes)
            .map_err(|e| Fault::broken(e.to_string()))?;
        Ok(bytes)
    }

    fn manifest<'a>(&self, method: Method, reference: &'a Reference) -> Result<Ask<'a>, Fault> {
        let mut ask = self.ask(method, reference, "manifests", &reference.name())?;
        ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        Ok(ask)
    }
}

/// Reads a document and decides what it is.
fn read(digest: Digest, kind: Option<&str>, bytes: Vec<u8>) -> Result<Resolved, Fault> {
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let one = serde_json::from_slice::<Value>(&bytes).ok();
    let version = one.and_then(|value| value.get("schemaVersion").and_then(Value::as_u64));
    if version == Some(1) || kind.starts_with("application/vnd.docker.distribution.manifest.v1+") {
        let why = "it is kept in Docker's image format of before 2016 (schema 1), which says too \
                   little to be built on; push it again with a current docker or with skopeo";
        return Err(Fault::new(ErrorKind::Unfit, why));
    }
    let document = Document::from_bytes(&bytes).map_err(|e| Fault::broken(e.to_string()))?;
    let (own, is_index) = match &document {
        Document::Manifest(manifest) => (manifest.media_type(), false),
        Document::Index(index) => (index.media_type(), true),
    };
    // Bytes that one reader takes for a manifest and another for an index would be two images.
    let other = if is_index { media_type::is_manifest(kind) } else { media_type::is_index(kind) };
    if other {
        let why = format!("the registry sends it as {kind:?}, and it is none");
        return Err(Fault::broken(why));
    }
    Ok(Resolved { digest, media_type: own.to_owned(), bytes, document })
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

fn content_digest(response: &Response) -> Option<Digest> {
    Digest::parse(wire::text(response.headers(), CONTENT_DIGEST)?.trim()).ok()
}

/// Whether a refusal is about what was asked for, not about the way there.
fn is_about_it(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Broken)
}
