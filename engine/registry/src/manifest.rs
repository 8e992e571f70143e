//! Manifests and indexes: fetched once, and checked.

use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Digest, media_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::client::{Answer, Ask, Client, Inner};
use crate::error::{Error, ErrorKind, Fault};
use crate::mirror::{At, Place};
use crate::{Reference, wire};

/// The largest manifest or index, in bytes; registries refuse larger ones, too.
pub(crate) const LARGEST: u64 = 4 << 20;
/// What manifests may be.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
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
        self.digest_since(reference, None).await
    }

    /// Gives the digest that a reference means, where what its tag meant last may be known: a
    /// registry can then say that it is the same, and need not send it.
    pub async fn digest_since(
        &self,
        reference: &Reference,
        known: Option<Digest>,
    ) -> Result<Digest, Error> {
        if let Some(digest) = reference.digest {
            return Ok(digest);
        }
        let inner = &self.inner;
        let ask = |place: Place| async move { inner.meaning(place.at(), known).await };
        let meaning = inner.anywhere(reference, ask);
        let meant = inner.tags.get(reference.key(), meaning).await;
        meant.map_err(|fault| fault.of(reference))
    }

    /// Gets the manifest or index that a reference means.
    pub async fn resolve(&self, reference: &Reference) -> Result<Arc<Resolved>, Error> {
        let digest = self.digest(reference).await?;
        self.fetched(&reference.with_digest(digest)).await
    }

    /// Asks what a tag or digest is now, whatever was asked before; none where there is no such
    /// thing, or no such repository. No mirror is asked.
    pub async fn current(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let asked = self.inner.head(reference.into(), None).await;
        match some(asked).map_err(|fault| fault.of(reference))? {
            None => Ok(None),
            Some(Some(digest)) => Ok(Some(digest)),
            // The registry does not say.
            Some(None) => Ok(self.look(reference).await?.map(|found| found.digest)),
        }
    }

    /// Gets the manifest or index that a tag or digest is now with one request, whatever was asked
    /// before; none where there is no such thing, or no such repository. No mirror is asked.
    pub async fn look(&self, reference: &Reference) -> Result<Option<Arc<Resolved>>, Error> {
        let asked = some(self.inner.document(reference.into()).await);
        let Some(found) = asked.map_err(|fault| fault.of(reference))? else { return Ok(None) };
        let found = Arc::new(found);
        self.inner.remember(reference, &found);
        Ok(Some(found))
    }

    /// Gives what [`Client::look`] found for a tag last, without asking again; none where nobody
    /// looked.
    pub fn seen(&self, tag: &Reference) -> Option<Arc<Resolved>> {
        let digest = self.inner.tags.known(&tag.key())?.ok()?;
        self.inner.documents.known(&tag.with_digest(digest).key())?.ok()
    }

    /// Fetches a document that the reference names by digest, once for each.
    pub(crate) async fn fetched(&self, reference: &Reference) -> Result<Arc<Resolved>, Error> {
        let inner = &self.inner;
        // What is remembered is shared by tags, and a failure names the one that was asked for.
        inner.known_document(reference).await.map_err(|fault| fault.of(reference))
    }
}

impl Resolved {
    /// Reads a document that was kept under its digest.
    pub(crate) fn of_bytes(digest: Digest, bytes: Vec<u8>) -> Result<Self, Fault> {
        let document = Document::from_bytes(&bytes)
            .map_err(|e| Fault::new(ErrorKind::Unfit, format!("{digest}: {e}")))?;
        let media_type = match &document {
            Document::Manifest(manifest) => manifest.media_type(),
            Document::Index(index) => index.media_type(),
        };
        Ok(Self { digest, media_type: media_type.to_owned(), bytes, document })
    }
}

impl Inner {
    /// Asks what a tag means.
    async fn meaning(&self, at: At<'_>, known: Option<Digest>) -> Result<Digest, Fault> {
        match self.head(at, known).await {
            Ok(Some(digest)) => return Ok(digest),
            // The registry does not say.
            Ok(None) => {}
            // An answer to this question has no body that would say why.
            Err(fault) if is_about_it(fault.kind) => {}
            Err(fault) => return Err(fault),
        }
        let found = match self.tagged(at, known).await? {
            Found::Same(digest) => return Ok(digest),
            Found::New(found) => found,
        };
        let digest = found.digest;
        self.documents.count(found.bytes.len() as u64);
        let keep = async { Ok(found) };
        // Whoever wants the whole as well finds it; it cannot have failed.
        let _kept = self.documents.get(at.reference.with_digest(digest).key(), keep).await;
        Ok(digest)
    }

    /// Fetches a document that the reference names by digest, once for each.
    pub(crate) async fn known_document(
        &self,
        reference: &Reference,
    ) -> Result<Arc<Resolved>, Fault> {
        let find = async {
            let find = |place: Place| async move { self.document(place.at()).await };
            let found = self.anywhere(reference, find).await?;
            self.documents.count(found.bytes.len() as u64);
            Ok(Arc::new(found))
        };
        self.documents.get(reference.key(), find).await
    }

    /// Keeps what a reference is now.
    pub fn remember(&self, reference: &Reference, found: &Arc<Resolved>) {
        let digest = found.digest;
        if reference.digest.is_none() {
            self.tags.put(reference.key(), Ok(digest));
        }
        self.documents.count(found.bytes.len() as u64);
        self.documents.put(reference.with_digest(digest).key(), Ok(found.clone()));
    }

    /// Asks for the digest of a tag alone, which registries do not count as a pull.
    async fn head(&self, at: At<'_>, known: Option<Digest>) -> Result<Option<Digest>, Fault> {
        let answer = self.answer(&self.manifest(Method::HEAD, at, known)?, LARGEST).await?;
        let same = known.filter(|_| answer.status == StatusCode::NOT_MODIFIED);
        Ok(content_digest(&answer.headers).or(same))
    }

    /// Gets what a tag means, where that is not what it meant last.
    async fn tagged(&self, at: At<'_>, known: Option<Digest>) -> Result<Found, Fault> {
        let answer = self.answer(&self.manifest(Method::GET, at, known)?, LARGEST).await?;
        match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => Ok(Found::Same(known)),
            _ => Ok(Found::New(Arc::new(read(at.reference, answer)?))),
        }
    }

    pub(crate) async fn document(&self, at: At<'_>) -> Result<Resolved, Fault> {
        let answer = self.answer(&self.manifest(Method::GET, at, None)?, LARGEST).await?;
        read(at.reference, answer)
    }

    /// Makes a question about a manifest; `known` is the digest of what is not to be sent again.
    fn manifest<'a>(
        &self,
        method: Method,
        at: At<'a>,
        known: Option<Digest>,
    ) -> Result<Ask<'a>, Fault> {
        let mut ask = self.ask(method, at, "manifests", &at.reference.name())?;
        ask.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        // Registries take the digest for the entity tag of a manifest.
        let tag = known.and_then(|known| HeaderValue::from_str(&format!("\"{known}\"")).ok());
        if let Some(tag) = tag {
            ask.headers.insert(IF_NONE_MATCH, tag);
        }
        Ok(ask)
    }
}

/// What a tag means now.
enum Found {
    /// What it meant last.
    Same(Digest),
    New(Arc<Resolved>),
}

/// Takes what is not there for no failure.
pub(crate) fn some<T>(asked: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.kind == ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Checks a document and decides what it is.
fn read(reference: &Reference, answer: Answer) -> Result<Resolved, Fault> {
    let Answer { headers, body: bytes, .. } = answer;
    // What the registry says of a tag's content must be true, too.
    let expected = reference.digest.or_else(|| content_digest(&headers));
    let digest = expected.unwrap_or_else(|| Digest::sha256(&bytes));
    digest
        .verify(format!("what {} sends", reference.host), &bytes)
        .map_err(|e| Fault::broken(e.to_string()))?;
    let kind = wire::text(&headers, CONTENT_TYPE).and_then(|kind| kind.split(';').next());
    let kind = kind.unwrap_or_default().trim();
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

pub(crate) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(wire::text(headers, CONTENT_DIGEST)?.trim()).ok()
}

/// Whether a refusal is about what was asked for, not about the way there.
fn is_about_it(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Broken)
}
