//! Detached OpenPGP signatures over archives. Verifying one means reading the whole archive, so it
//! is remembered which content was verified by which keys; both are named by their digests.

use std::sync::Arc;

use mabuild_distro::debian::{Keyring, verify_file};
use mabuild_oci::Digest;

use super::memory;
use crate::facts::FactError;
use crate::track::http::mask;
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, is_address, wrong};

/// What was verified: fingerprints of who signed, by digest of the archive and of the keys.
const NOTES: &str = "signed-archive";
/// The largest signature, in bytes.
const LARGEST: u64 = 256 << 10;
/// The largest file of keys, in bytes.
const LARGEST_KEYS: u64 = 4 << 20;

/// An archive that is to be signed.
pub(super) struct Archive<'a> {
    /// What it must be.
    pub digest: Digest,
    /// Path or address it is read from.
    pub location: &'a str,
}

/// Checks that one of the keys has signed an archive, which is brought into the store for it.
/// `signature` and `keys` are paths or addresses.
pub(super) async fn check(
    shared: &Arc<Shared>,
    archive: &Archive<'_>,
    signature: &str,
    keys: &str,
) -> Result<(), FactError> {
    if keys.starts_with("http://") {
        return Err(wrong(format!(
            "the keys {} would come over plain http, where anybody could exchange them; keep them \
             in a file, or name an address with https",
            mask(keys)
        )));
    }
    let ring = read(shared, "keys", keys, LARGEST_KEYS).await?;
    let note = format!("{} {}", archive.digest, Digest::sha256(&ring));
    if shared.store.memo(NOTES, &note).is_some() {
        return Ok(());
    }
    let path = shared.fetch(&archive.digest.to_string(), archive.location).await?;
    let made = read(shared, "signature", signature, LARGEST).await?;
    let (shared, what) = (shared.clone(), mask(archive.location));
    let (signature, keys) = (mask(signature), mask(keys));
    blocking(move || {
        let ring =
            Keyring::from_bytes(&ring).map_err(|e| wrong(format!("the keys {keys}: {e}")))?;
        let open = || std::fs::File::open(&path).map(std::io::BufReader::new);
        let by = verify_file(&open, &made, &ring, shared.options.now).map_err(|e| {
            doubtful(format!("{what} is not signed as it should be by {signature}: {e}"))
        })?;
        shared.store.put_memo(NOTES, &note, &by.join(" ")).map_err(|e| wrong(e.to_string()))
    })
    .await
}

/// The bytes at a path or address; those of an address are remembered for runs without the network.
async fn read(
    shared: &Arc<Shared>,
    kind: &'static str,
    at: &str,
    limit: u64,
) -> Result<Vec<u8>, FactError> {
    if is_address(at) {
        let current = memory::current(shared, kind, at, limit).await?;
        memory::remember(shared, kind, at, &current).await?;
        return Ok(current.bytes);
    }
    let path = at.to_owned();
    blocking(move || {
        let failed = |e: &dyn std::fmt::Display| wrong(format!("cannot read {path}: {e}"));
        let file = std::fs::File::open(&path).map_err(|e| failed(&e))?;
        let mut bytes = Vec::new();
        let mut file = std::io::Read::take(file, limit + 1);
        std::io::Read::read_to_end(&mut file, &mut bytes).map_err(|e| failed(&e))?;
        match bytes.len() as u64 > limit {
            true => Err(failed(&format!("it is larger than {limit} bytes"))),
            false => Ok(bytes),
        }
    })
    .await
}
