//! Images from repository to repository.

use std::collections::HashSet;
use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Index, Layout, Platform};

use crate::Reference;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Fault};
use crate::manifest::Resolved;
use crate::push::Pushed;

/// Things that refer to an image, and to those in turn, that are copied.
const REFERRERS: usize = 1000;
/// The annotation by which an entry of an index says which other one it describes.
const DESCRIBED: &str = "vnd.docker.reference.digest";

/// What a copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What was written.
    pub pushed: Pushed,
    /// What the copy is: another digest than that of the source where platforms were chosen.
    pub digest: Digest,
}

impl Client {
    /// Copies an image, all of it or for some platforms, perhaps with what refers to it.
    ///
    /// Within one registry blobs are mounted. Between two they pass through memory in pieces; after
    /// a break at the other end they go by way of the layout, and so does a new index. Of several
    /// platforms an index is made, of one its manifest is taken. The tag of `to` is written last,
    /// and only where it is something else; without a tag nothing is tagged.
    pub async fn copy(
        &self,
        from: &Reference,
        to: &Reference,
        layout: &Layout,
        platforms: Option<&[Platform]>,
        referrers: bool,
    ) -> Result<Copied, Error> {
        let whole = self.resolve(from).await?;
        let chosen = match platforms {
            Some(platforms) => self.chosen(from, &whole, platforms).await?,
            None => whole.clone(),
        };
        let writing = |fault: Fault| fault.of_writing(to);
        let digest = chosen.digest;
        if to.digest.is_some_and(|wanted| wanted != digest) {
            let why = format!("the copy of {from} is {digest}");
            return Err(writing(Fault::new(ErrorKind::Unfit, why)));
        }
        if digest != whole.digest && matches!(chosen.document, Document::Index(_)) {
            let kept = layout.write_blob(&chosen.media_type, &chosen.bytes);
            kept.map_err(|e| writing(Fault::local(e)))?;
        }
        let top = Descriptor::of(chosen.media_type.clone(), &chosen.bytes);
        let top = Descriptor { digest, ..top };
        let mut pushed = self.copied(from, to, layout, &top).await.map_err(writing)?;
        if referrers {
            pushed.add(&self.copy_referrers(from, to, layout, &chosen).await?);
        }
        if to.tag.is_some() {
            let tag = Reference { digest: None, ..to.clone() };
            if self.current(&tag).await? != Some(digest) {
                self.put(to, &chosen.media_type, &chosen.bytes).await?;
                pushed.manifests += 1;
            }
        }
        Ok(Copied { pushed, digest })
    }

    /// Brings what a descriptor names from one repository into another.
    async fn copied(
        &self,
        from: &Reference,
        to: &Reference,
        layout: &Layout,
        what: &Descriptor,
    ) -> Result<Pushed, Fault> {
        let is_near = from.host == to.host && from.repository != to.repository;
        let mounts = if is_near { vec![from.whole()] } else { Vec::new() };
        self.placed(layout, what, to, (mounts, vec![from.whole()])).await
    }

    /// Makes an image of some of the platforms of another one.
    async fn chosen(
        &self,
        from: &Reference,
        whole: &Arc<Resolved>,
        platforms: &[Platform],
    ) -> Result<Arc<Resolved>, Error> {
        let mut digests: Vec<(Digest, &Platform)> = Vec::new();
        for platform in platforms {
            let digest = self.choose(&from.with_digest(whole.digest), platform).await?;
            if !digests.iter().any(|(known, _)| *known == digest) {
                digests.push((digest, platform));
            }
        }
        let (Document::Index(index), false) = (&whole.document, digests.is_empty()) else {
            return match digests.is_empty() {
                true => Err(Fault::new(ErrorKind::Unfit, "no platform was chosen").of(from)),
                false => Ok(whole.clone()),
            };
        };
        if let [(digest, _)] = digests[..] {
            return self.fetched(&from.with_digest(digest)).await;
        }
        let is_chosen = |entry: &&Descriptor| {
            let described = entry.annotations.get(DESCRIBED);
            digests.iter().any(|(digest, _)| {
                entry.digest == *digest || described.is_some_and(|d| *d == digest.to_string())
            })
        };
        let mut entries: Vec<Descriptor> =
            index.manifests.iter().filter(is_chosen).cloned().collect();
        for (digest, platform) in &digests {
            // One of an index in the index.
            if !entries.iter().any(|entry| entry.digest == *digest) {
                let found = self.fetched(&from.with_digest(*digest)).await?;
                let entry = Descriptor::of(found.media_type.clone(), &found.bytes);
                let entry = Descriptor { digest: *digest, ..entry };
                entries.push(entry.with_platform((*platform).clone()));
            }
        }
        if entries.len() == index.manifests.len() {
            return Ok(whole.clone());
        }
        let bytes = Index { manifests: entries, ..index.clone() }.to_bytes();
        let bytes = bytes.map_err(|e| Fault::local(e).of(from))?;
        let made = Resolved::of_bytes(Digest::sha256(&bytes), bytes).map_err(|f| f.of(from))?;
        Ok(Arc::new(made))
    }

    /// Copies what refers to an image or to one of its manifests, and what refers to that.
    async fn copy_referrers(
        &self,
        from: &Reference,
        to: &Reference,
        layout: &Layout,
        image: &Resolved,
    ) -> Result<Pushed, Error> {
        let mut open = vec![image.digest];
        if let Document::Index(index) = &image.document {
            open.extend(index.manifests.iter().map(|entry| entry.digest));
        }
        let mut seen: HashSet<Digest> = open.iter().copied().collect();
        let (own, mut pushed) = (seen.len(), Pushed::default());
        while let Some(subject) = open.pop() {
            let list = self.referrers(&from.with_digest(subject), None).await?;
            for one in list.manifests {
                if !seen.insert(one.digest) {
                    continue;
                }
                if seen.len() - own > REFERRERS {
                    let why = format!("more than {REFERRERS} things refer to it");
                    return Err(Fault::new(ErrorKind::Unfit, why).of(from));
                }
                open.push(one.digest);
                let copied = self.copied(from, to, layout, &one).await;
                pushed.add(&copied.map_err(|fault| fault.of_writing(to))?);
            }
        }
        Ok(pushed)
    }
}
