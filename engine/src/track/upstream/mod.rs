//! Upstreams: what a question pins to, one kind a file.

mod alpine;
mod checksums;
mod debian;
mod follow;
mod listing;
mod memory;
mod noted;
mod oci_layout;
mod once;
mod packages;
mod published;
mod registry;
mod rootfs;
mod signed;

use std::future::Future;
use std::pin::Pin as Pinned;
use std::sync::Arc;

use super::Newer;
use super::Shared;
use crate::facts::{Archive, DebianAsk, Distro, FactError, Family, PackageSet, Pin, UpstreamAsk};

pub(super) use alpine::{AlpineRun, alpine_distro};
pub(super) use debian::DebianRun;
pub(super) use follow::Listings;
use listing::{Entry, Listing};
use memory::Current;
use noted::remembered;
use once::Once;
pub(super) use published::published;
pub(super) use registry::{over_budget, registry_of};

/// A pin that is being found out.
type Answer<'a> = Pinned<Box<dyn Future<Output = Result<Pin, FactError>> + Send + 'a>>;

/// Pins one upstream to content.
pub(super) trait Tracker: Sync {
    /// Finds out what the upstream serves now.
    fn track<'a>(&'a self, shared: &'a Arc<Shared>) -> Answer<'a>;
}

/// Who answers a question.
pub(super) fn tracker(ask: &UpstreamAsk) -> Box<dyn Tracker + Send> {
    match ask.clone() {
        UpstreamAsk::Rootfs { location, checksums, digest, signature, follow } => {
            Box::new(rootfs::Rootfs { location, checksums, digest, signature, follow })
        }
        UpstreamAsk::Debian(ask) => Box::new(debian::Debian { ask }),
        UpstreamAsk::Alpine(ask) => Box::new(alpine::Alpine { ask }),
        UpstreamAsk::Packages(ask) => Box::new(packages::Packages { ask }),
        UpstreamAsk::OciLayout { path, reference, platform } => {
            Box::new(oci_layout::OciLayout { path, reference, platform })
        }
        UpstreamAsk::Registry { reference, range, platform } => {
            Box::new(registry::Registry { reference, range, platform })
        }
    }
}

/// The address of a package file for this machine, from its path in an archive.
pub(super) fn address(shared: &Shared, archive: &Archive, path: &str) -> String {
    match archive {
        Archive::Debian(archive) => debian::address(shared, archive, path),
        Archive::Alpine(archive) => alpine::address(shared, archive, path),
    }
}

/// Pins packages of a Debian archive, for those who need packages for themselves.
pub(super) async fn debian(shared: &Arc<Shared>, ask: DebianAsk) -> Result<PackageSet, FactError> {
    debian::pins(shared, &ask).await
}

/// Refuses releases of an archive that are older.
pub(super) fn expect_at_least(shared: &Shared, archive: &Archive, date: i64) {
    match archive {
        Archive::Debian(archive) => debian::expect_at_least(shared, archive, date),
        Archive::Alpine(archive) => alpine::expect_at_least(shared, archive, date),
    }
}

/// The installed packages that the archives of an image have in a higher version.
pub(super) async fn newer(
    shared: &Arc<Shared>,
    distro: &Arc<Distro>,
) -> Result<Vec<Newer>, FactError> {
    match distro.family {
        Family::Debian => debian::newer(shared, distro).await,
        Family::Alpine => alpine::newer(shared, distro).await,
    }
}
