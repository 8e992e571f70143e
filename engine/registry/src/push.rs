//! Images out of layouts into registries, and what else is written there.

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Layout};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::Reference;
use crate::client::{Client, Inner};
use crate::error::{Error, ErrorKind, Fault, Trouble};
use crate::holdings::Kind;
use crate::manifest::{LARGEST, Resolved, some};
use crate::place::Walk;
use crate::scope::Scope;
use crate::upload::{Goal, same};

/// What registries call a digest that is not that of the content.
const INVALID: &str = "DIGEST_INVALID";
/// What a registry answers to a manifest, at most, in bytes.
const ANSWER: u64 = 1 << 20;
/// Where a registry says that it keeps the relation of a manifest to its subject.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Blobs that were uploaded.
    pub uploaded: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Blobs that were mounted from another repository of the registry.
    pub mounted: u64,
    /// Blobs that were there.
    pub present: u64,
    /// Manifests and indexes that were written.
    pub manifests: u64,
}

impl Pushed {
    /// Adds what another push did.
    pub fn add(&mut self, other: &Self) {
        self.uploaded += other.uploaded;
        self.bytes += other.bytes;
        self.mounted += other.mounted;
        self.present += other.present;
        self.manifests += other.manifests;
    }
}

impl Client {
    /// Puts a manifest and all that it names into a repository, by digest alone: no tag moves.
    /// Blobs that the repository has are not sent; those that one of `mounts` has (repositories of
    /// the same registry) are mounted. A blob that the layout lacks must be in one of both. A
    /// manifest that is there is taken to be there whole.
    pub async fn push(
        &self,
        layout: &Layout,
        manifest: &Descriptor,
        to: &Reference,
        mounts: &[Reference],
    ) -> Result<Pushed, Error> {
        let near = |from: &&Reference| from.host == to.host && from.repository != to.repository;
        let mut near: Vec<Reference> = mounts.iter().filter(near).map(Reference::whole).collect();
        near.dedup();
        let pushed = self.placed(layout, manifest, to, (near.clone(), near)).await;
        pushed.map_err(|fault| fault.of_writing(to))
    }

    /// Brings an image into a repository; what the layout lacks comes out of `origins`.
    pub(crate) async fn placed(
        &self,
        layout: &Layout,
        manifest: &Descriptor,
        to: &Reference,
        (mut mounts, origins): (Vec<Reference>, Vec<Reference>),
    ) -> Result<Pushed, Fault> {
        let mut is_sure = false;
        loop {
            let walk = Walk::new(self, to, mounts.clone(), origins.clone(), layout);
            let fault = match walk.clone().document(manifest.clone(), 0).await {
                Ok(pushed) => return Ok(pushed),
                Err(fault) => fault,
            };
            match fault.kind {
                // Some token servers give nothing to whom they do not give all.
                ErrorKind::Denied if !mounts.is_empty() => mounts.clear(),
                // What was there may be gone since.
                ErrorKind::Refused | ErrorKind::NotFound if walk.has_trusted() && !is_sure => {
                    is_sure = true;
                    for known in mounts.iter().chain(&origins).chain([to]) {
                        self.inner.holdings.forget(known);
                    }
                }
                _ => return Err(fault),
            }
        }
    }

    /// Writes a manifest or index under the tag of a reference, else under its digest.
    pub async fn put(
        &self,
        to: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        let written = async {
            let found = checked(to, media_type, bytes)?;
            let name = to.tag.clone().unwrap_or_else(|| found.digest.to_string());
            let scope = Scope::writing(to, &[]);
            let goal = Goal { reference: to, scope: &scope };
            self.inner.put_document(goal, &name, &found).await?;
            let digest = found.digest;
            let tagged = Reference { digest: None, ..to.clone() };
            self.inner.holdings.add(to, Kind::Manifest, digest);
            match to.tag {
                Some(_) => self.inner.remember(&tagged, &found.into()),
                None => self.inner.remember(&to.with_digest(digest), &found.into()),
            }
            Ok(digest)
        };
        written.await.map_err(|fault: Fault| fault.of_writing(to))
    }

    /// Deletes a manifest or index by digest, or a tag; gives whether it was there.
    pub async fn delete(&self, what: &Reference) -> Result<bool, Error> {
        let inner = &self.inner;
        let deleted = async {
            let mut ask = inner.ask(Method::DELETE, what, "manifests", &what.name())?;
            ask.scope = Scope::deleting(what);
            some(inner.answer(&ask, ANSWER).await)
        };
        let was_there = deleted.await.map_err(|fault| fault.of_deleting(what))?.is_some();
        inner.tags.forget(&what.key());
        inner.documents.forget(&what.key());
        inner.lists.forget(&what.whole().to_string());
        inner.holdings.forget(what);
        Ok(was_there)
    }
}

impl Inner {
    /// Writes a manifest or index under a name, and where it says something about another one and
    /// the registry does not keep that by itself, into the list of that one.
    pub async fn put_document(
        &self,
        goal: Goal<'_>,
        name: &str,
        found: &Resolved,
    ) -> Result<(), Fault> {
        let headers = self.put_bytes(goal, name, found).await?;
        let subject = match &found.document {
            Document::Manifest(manifest) => &manifest.subject,
            Document::Index(index) => &index.subject,
        };
        match subject {
            Some(subject) if !headers.contains_key(SUBJECT) => {
                self.list_referrer(goal, subject.digest, found).await
            }
            _ => Ok(()),
        }
    }

    /// Writes a manifest or index under a name.
    pub async fn put_bytes(
        &self,
        goal: Goal<'_>,
        name: &str,
        found: &Resolved,
    ) -> Result<HeaderMap, Fault> {
        let mut ask = self.ask(Method::PUT, goal.reference, "manifests", name)?;
        ask.scope = goal.scope.clone();
        let kind = HeaderValue::from_str(&found.media_type);
        ask.headers.insert(CONTENT_TYPE, kind.map_err(Fault::local)?);
        ask.payload = crate::body::Payload::Whole(found.bytes.clone().into());
        let mut tries = self.tries(false);
        let answer = loop {
            match self.answer(&ask, ANSWER).await {
                // The digest is right. A registry that keeps its contents in files says so while
                // another writes one of those that are named here.
                Err(fault) if fault.kind == ErrorKind::Refused && fault.why.contains(INVALID) => {
                    Trouble::Again { fault, wait: None }.retry(&mut tries).await?;
                }
                answer => break answer?,
            }
        };
        same(&ask, &answer.headers, found.digest)?;
        self.lists.forget(&goal.reference.whole().to_string());
        Ok(answer.headers)
    }
}

/// Reads what is to be written, and refuses what no registry would take.
fn checked(to: &Reference, media_type: &str, bytes: &[u8]) -> Result<Resolved, Fault> {
    let unfit = |why: String| Fault::new(ErrorKind::Unfit, why);
    let length = bytes.len();
    if length as u64 > LARGEST {
        let why = format!("it has {length} bytes, and registries take no more than {LARGEST}");
        return Err(unfit(why));
    }
    let digest = match to.digest {
        Some(digest) => {
            digest.verify("what is to be written", bytes).map_err(|e| unfit(e.to_string()))?;
            digest
        }
        None => Digest::sha256(bytes),
    };
    let found = Resolved::of_bytes(digest, bytes.to_vec())?;
    match found.media_type == media_type {
        true => Ok(found),
        false => {
            let own = found.media_type;
            Err(unfit(format!("it says that it is {own:?}, and should be {media_type:?}")))
        }
    }
}
