//! What refers to a manifest: signatures, bills of materials, provenance.
//!
//! Format: OCI distribution specification 1.1, "Listing Referrers" and the tag `sha256-HEX` of
//! registries that cannot list them.

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Index};
use reqwest::Method;

use crate::Reference;
use crate::client::{Client, Inner};
use crate::error::{Error, ErrorKind, Fault};
use crate::manifest::{LARGEST, Resolved, some};
use crate::tags::next;
use crate::upload::Goal;

/// Pages that are read.
const PAGES: usize = 100;
/// Referrers that are read.
const MOST: usize = 10_000;

impl Client {
    /// Gives what refers to a manifest or index, which the reference names by digest; perhaps only
    /// artifacts of one type. No mirror is asked.
    pub async fn referrers(
        &self,
        of: &Reference,
        artifact_type: Option<&str>,
    ) -> Result<Index, Error> {
        let found = async {
            let digest = of.digest.ok_or_else(|| {
                Fault::local("what refers to it can be asked for by its digest alone")
            })?;
            let list = match self.inner.listed(of, digest, artifact_type).await {
                Ok(list) => list,
                // The registry does not know the question.
                Err(fault) if matches!(fault.kind, ErrorKind::NotFound | ErrorKind::Broken) => {
                    self.inner.tagged_referrers(of, digest).await?.manifests
                }
                Err(fault) => return Err(fault),
            };
            let fits = |one: &Descriptor| {
                artifact_type.is_none_or(|wanted| one.artifact_type.as_deref() == Some(wanted))
            };
            Ok(Index::new(list.into_iter().filter(fits).collect()))
        };
        found.await.map_err(|fault| fault.of(of))
    }
}

impl Inner {
    /// The list of the registry, page by page.
    async fn listed(
        &self,
        of: &Reference,
        digest: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Fault> {
        let mut ask = self.ask(Method::GET, of, "referrers", &digest.to_string())?;
        if let Some(wanted) = artifact_type {
            ask.url.query_pairs_mut().append_pair("artifactType", wanted);
        }
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let answer = self.answer(&ask, LARGEST).await?;
            let page = Index::from_bytes(&answer.body).map_err(|e| Fault::broken(e.to_string()))?;
            all.extend(page.manifests);
            match next(&answer.headers, &ask.url)? {
                Some(url) if all.len() <= MOST && url != ask.url => ask.url = url,
                Some(_) => break,
                None => return Ok(all),
            }
        }
        // Not `Broken`: a list without an end is not one that the registry lacks.
        let why = format!("more than {MOST} things refer to it, or the list has no end");
        Err(Fault::new(ErrorKind::Unfit, why))
    }

    /// The list that clients keep under a tag; empty where there is none.
    async fn tagged_referrers(&self, of: &Reference, digest: Digest) -> Result<Index, Fault> {
        let at = fallback(of, digest);
        match some(self.document((&at).into()).await)? {
            None => Ok(Index::new(Vec::new())),
            Some(Resolved { document: Document::Index(index), .. }) => Ok(index),
            Some(_) => {
                let why = format!("{at}, where what refers to it should be listed, is no index");
                Err(Fault::broken(why))
            }
        }
    }

    /// Puts a document into the list of its subject.
    pub async fn list_referrer(
        &self,
        goal: Goal<'_>,
        subject: Digest,
        found: &Resolved,
    ) -> Result<(), Fault> {
        let at = fallback(goal.reference, subject);
        let lock = self.listing.of(at.key());
        let _guard = lock.lock().await;
        let mut index = self.tagged_referrers(goal.reference, subject).await?;
        if index.manifests.iter().any(|one| one.digest == found.digest) {
            return Ok(());
        }
        index.manifests.push(entry(found));
        let bytes = index.to_bytes().map_err(Fault::local)?;
        let list = Resolved::of_bytes(Digest::sha256(&bytes), bytes)?;
        self.put_bytes(goal, &at.name(), &list).await.map(drop)
    }
}

/// The tag under which clients list what refers to a manifest.
fn fallback(of: &Reference, digest: Digest) -> Reference {
    let tag = format!("{}-{}", digest.algorithm(), digest.hex());
    // A tag has 128 characters at most.
    let tag = tag.chars().take(128).collect();
    Reference { tag: Some(tag), digest: None, ..of.clone() }
}

/// A document as a list of referrers names it.
fn entry(found: &Resolved) -> Descriptor {
    let size = found.bytes.len() as u64;
    let mut entry = Descriptor::new(found.media_type.clone(), found.digest, size);
    match &found.document {
        Document::Manifest(manifest) => {
            entry.annotations.clone_from(&manifest.annotations);
            let own = manifest.artifact_type.clone().filter(|kind| !kind.is_empty());
            entry.artifact_type = own.or_else(|| Some(manifest.config.media_type.clone()));
        }
        Document::Index(index) => {
            entry.annotations.clone_from(&index.annotations);
            entry.artifact_type.clone_from(&index.artifact_type);
        }
    }
    entry
}
