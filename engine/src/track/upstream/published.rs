//! When upstreams published what is pinned. What an image or archive says of itself does not
//! change with its digest, so it is asked once.

use std::sync::Arc;

use mabuild_oci::Digest;

use super::{follow, registry::platform};
use crate::facts::{FactError, Pin, UpstreamAsk};
use crate::track::{Shared, is_address, registry};

/// Times by digest and location.
const NOTES: &str = "published";
/// The end of 1980. Times before it are those of builds that want to have none.
const EARLIEST: i64 = 347_155_200;

/// When an upstream published what it is pinned to, in seconds since 1970; none where it does not
/// say, or says nonsense.
pub(in crate::track) async fn published(
    shared: &Arc<Shared>,
    ask: &UpstreamAsk,
    pin: &Pin,
) -> Option<i64> {
    let note = match pin {
        Pin::Archive { digest, location, .. } => format!("{digest} {location}"),
        Pin::Registry { manifest, .. } => manifest.clone(),
        Pin::Debian(_) | Pin::Alpine(_) | Pin::Packages(_) | Pin::Layout { .. } => return None,
    };
    let known = shared.store.memo(NOTES, &note).and_then(|text| text.parse().ok());
    if let Some(known) = known {
        return sensible(shared, known);
    }
    let found = match (ask, pin) {
        (UpstreamAsk::Registry { platform, .. }, Pin::Registry { manifest, location }) => {
            created(shared, platform, manifest, location).await.ok().flatten()
        }
        (UpstreamAsk::Rootfs { follow, .. }, Pin::Archive { location, .. }) => {
            let modified = match is_address(location) {
                true => shared.client.modified(location).await.ok().flatten(),
                false => None,
            };
            match modified.and_then(|time| sensible(shared, time)) {
                Some(modified) => Some(modified),
                // A file of this machine has the time when it was copied here.
                None => follow::dated(shared, location, follow.as_ref()).await,
            }
        }
        _ => None,
    };
    let found = found.and_then(|time| sensible(shared, time))?;
    // A note that could not be written is asked for again.
    let _unkept = shared.store.put_memo(NOTES, &note, &found.to_string());
    Some(found)
}

fn sensible(shared: &Shared, time: i64) -> Option<i64> {
    (EARLIEST..=shared.options.now).contains(&time).then_some(time)
}

/// When the image of a manifest was made.
async fn created(
    shared: &Arc<Shared>,
    wanted: &str,
    manifest: &str,
    location: &str,
) -> Result<Option<i64>, FactError> {
    let wanted = platform(wanted)?;
    let manifest: Digest = crate::track::local::digest(manifest)?;
    let client = registry::client(shared)?;
    let whole = registry::read(location)?;
    // Where the tag still means it, the index says the platform; a manifest alone may not be as
    // exact.
    if client.choose(&whole, &wanted).await.is_ok_and(|digest| digest == manifest) {
        return Ok(client.created(&whole, &wanted).await?);
    }
    Ok(client.created(&whole.with_digest(manifest), &wanted).await?)
}
