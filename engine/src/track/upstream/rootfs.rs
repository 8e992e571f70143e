//! Root file system archives: pinned by the digest in the file, by a checksum file, by a listing
//! that names digests, by a signature, or by the content of a local archive.

use std::sync::Arc;

use mabuild_oci::Digest;
use mabuild_oci::digest::Hasher;

use super::{Answer, Tracker, checksums, follow, memory, signed};
use crate::facts::{FactError, Follow, Pin, VERSION};
use crate::store::Stat;
use crate::track::http::mask;
use crate::track::local::{blocking, digest};
use crate::track::{Shared, added, is_address, wrong};

/// The largest file of checksums that is read.
const LARGEST: u64 = 16 << 20;

/// An archive as the file asks for it.
pub(super) struct Rootfs {
    /// Absolute path or address.
    pub location: String,
    /// Path or address of the file of checksums.
    pub checksums: Option<String>,
    /// Digest that is given.
    pub digest: Option<String>,
    /// Path or address of a signature, and of the keys that may make it.
    pub signature: Option<(String, String)>,
    /// How the version is found that the others have in them.
    pub follow: Option<Follow>,
}

impl Tracker for Rootfs {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let Some(follow) = &self.follow else { return self.pinned(shared, None).await };
            if let Some(digest) = &self.digest {
                return Err(wrong(format!(
                    "{} follows `{}`, but {digest} is the content of one version alone; take one \
                     of them away, or name `checksums` in place of the digest",
                    mask(&self.location),
                    follow.range
                )));
            }
            let found = follow::find(shared, &self.location, follow).await?;
            let filled = |text: &String| text.replace(VERSION, &found.version);
            let one = Self {
                location: filled(&self.location),
                checksums: self.checksums.as_ref().map(filled),
                // What vouches for the archive by name comes before what merely lists it.
                digest: found.digest.filter(|_| self.checksums.is_none()).map(|d| d.to_string()),
                signature: self.signature.as_ref().map(|(at, keys)| (filled(at), filled(keys))),
                follow: None,
            };
            one.pinned(shared, Some(found.version)).await
        })
    }
}

impl Rootfs {
    /// Pins the archive of one version.
    async fn pinned(
        &self,
        shared: &Arc<Shared>,
        version: Option<String>,
    ) -> Result<Pin, FactError> {
        let digest = match (&self.digest, &self.checksums) {
            (Some(given), _) => digest(given)?,
            (None, Some(list)) => self.listed(shared, list).await?,
            (None, None) => self.served(shared).await?,
        };
        if let Some((signature, keys)) = &self.signature {
            let archive = signed::Archive { digest, location: &self.location };
            signed::check(shared, &archive, signature, keys).await?;
        }
        Ok(Pin::Archive { digest: digest.to_string(), location: self.location.clone(), version })
    }

    /// The digest of what is there now, where that can be believed.
    async fn served(&self, shared: &Arc<Shared>) -> Result<Digest, FactError> {
        if !is_address(&self.location) {
            let (shared, path) = (shared.clone(), self.location.clone());
            return blocking(move || hash_of(&shared, &path)).await;
        }
        if self.signature.is_none() {
            return Err(wrong(format!(
                "{} is fetched without a checksum, so nobody could tell whether it was \
                 exchanged; add checksums=\"…\" or sha256=\"…\"",
                mask(&self.location)
            )));
        }
        added::served(shared, &self.location).await
    }

    async fn listed(&self, shared: &Arc<Shared>, list: &str) -> Result<Digest, FactError> {
        let end = self.location.find(['?', '#']).unwrap_or(self.location.len());
        let path = if is_address(&self.location) { self.location.get(..end) } else { None };
        let path = path.unwrap_or(&self.location);
        let name = path.rsplit('/').next().unwrap_or(path);
        let bad = |e: &dyn std::fmt::Display| wrong(format!("the checksums {}: {e}", mask(list)));
        if !is_address(list) {
            let path = list.to_owned();
            let text = blocking(move || {
                std::fs::read(&path).map_err(|e| wrong(format!("cannot read {path}: {e}")))
            });
            return checksums::find(&String::from_utf8_lossy(&text.await?), name)
                .map_err(|e| bad(&e));
        }
        let current = memory::current(shared, "checksums", list, LARGEST).await?;
        let text = String::from_utf8_lossy(&current.bytes);
        let found = checksums::find(&text, name).map_err(|e| bad(&e))?;
        memory::remember(shared, "checksums", list, &current).await?;
        Ok(found)
    }
}

/// The SHA-256 of a local archive, remembered for as long as the file shows no change.
fn hash_of(shared: &Shared, path: &str) -> Result<Digest, FactError> {
    let failed = |e: std::io::Error| wrong(format!("cannot read {path}: {e}"));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let stat = Stat::of(&file.metadata().map_err(failed)?);
    let shown = format!("{} {} {} {}", stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode);
    let note = shared.store.memo("archive", path);
    let known = note.as_deref().and_then(|note| note.split_once('|'));
    if let Some((_, digest)) = known.filter(|(stat, _)| *stat == shown)
        && let Ok(digest) = Digest::parse(digest)
    {
        return Ok(digest);
    }
    let mut hasher = Hasher::sha256();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(failed)? {
            0 => break,
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    let digest = hasher.finish();
    let after = Stat::of(&file.metadata().map_err(failed)?);
    if !after.same_file(&stat) {
        return Err(wrong(format!("{path} changed while it was read; try again")));
    }
    if !stat.is_racy(shared.options.now) {
        let note = format!("{shown}|{digest}");
        shared.store.put_memo("archive", path, &note).map_err(|e| wrong(e.to_string()))?;
    }
    Ok(digest)
}
