//! Images that are not in the store: what another repository lacks of them is mounted there, or
//! brought first where that cannot be.

use std::collections::BTreeSet;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest};

use crate::facts::FactError;
use crate::publish::push::Job;
use crate::store::Store;
use crate::track::Tracking;

/// Makes sure that all that a job sends is in the store, or in a repository that it can be mounted
/// from, which is then one of the job's.
pub(super) fn bring(tracking: &Tracking, store: &Store, job: &mut Job) -> Result<(), FactError> {
    let layout = store.layout();
    let host = job.repository.split('/').next().unwrap_or_default().to_owned();
    let mut mounts: BTreeSet<String> = BTreeSet::new();
    let mut wanted: Vec<Descriptor> = Vec::new();
    for member in &job.members {
        let place = store.elsewhere(&member.digest);
        // The repository has it whole.
        if !layout.has(&member.digest) && place.is_some_and(|place| same(&place, &job.repository)) {
            continue;
        }
        tracking.bring_image(&member.digest.to_string())?;
        let Ok(Document::Manifest(manifest)) = layout.document(&member.digest) else { continue };
        for blob in std::iter::once(manifest.config).chain(manifest.layers) {
            match far(store, &blob.digest) {
                None => {}
                Some(place) if place.split('/').next() == Some(&host) => {
                    mounts.insert(repository(&place).to_owned());
                }
                Some(_) => wanted.push(blob),
            }
        }
    }
    mounts.remove(&job.repository);
    let new = mounts.into_iter().filter(|mount| !job.mounts.contains(mount));
    let new: Vec<String> = new.collect();
    job.mounts.extend(new);
    tracking.bring_blobs(&wanted)
}

/// Where a blob is kept that is not in the store.
fn far(store: &Store, blob: &Digest) -> Option<String> {
    if store.layout().has(blob) { None } else { store.elsewhere(blob) }
}

/// A place without its tag or digest.
fn repository(place: &str) -> &str {
    let place = place.split('@').next().unwrap_or(place);
    match place.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => place,
    }
}

fn same(place: &str, target: &str) -> bool {
    repository(place) == target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_by_their_repository() {
        assert_eq!(repository("h:5000/a/b:1"), "h:5000/a/b");
        assert_eq!(repository("h:5000/a/b"), "h:5000/a/b");
        assert_eq!(repository("h/a@sha256:00"), "h/a");
        assert!(same("h:1/a:latest", "h:1/a") && !same("h:1/a", "h:1/b"));
    }
}
