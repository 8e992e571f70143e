//! Root file system archives: pinned by the digest in the file, by a checksum file, or by the
//! content of a local archive.

use std::sync::Arc;

use mabuild_oci::Digest;
use mabuild_oci::digest::Hasher;

use super::{Answer, Tracker, checksums, memory};
use crate::facts::{FactError, Pin};
use crate::store::Stat;
use crate::track::http::mask;
use crate::track::local::{blocking, digest};
use crate::track::{Shared, is_address, wrong};

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
}

impl Tracker for Rootfs {
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a> {
        Box::pin(async move {
            let digest = match (&self.digest, &self.checksums) {
                (Some(given), _) => digest(given)?,
                (None, Some(list)) => self.listed(shared, list).await?,
                (None, None) if is_address(&self.location) => {
                    return Err(wrong(format!(
                        "{} is fetched without a checksum, so nobody could tell whether it was \
                         exchanged; add checksums=\"…\" or sha256=\"…\"",
                        mask(&self.location)
                    )));
                }
                (None, None) => {
                    let (shared, path) = (shared.clone(), self.location.clone());
                    blocking(move || hash_of(&shared, &path)).await?
                }
            };
            Ok(Pin::Archive { digest: digest.to_string(), location: self.location.clone() })
        })
    }
}

impl Rootfs {
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
