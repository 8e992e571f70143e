//! Upstreams: what a question pins to, one kind a file.

mod checksums;
mod debian;
mod memory;
mod oci_layout;
mod registry;
mod rootfs;

use std::future::Future;
use std::pin::Pin as Pinned;
use std::sync::Arc;

use super::Shared;
use crate::facts::{FactError, Pin, UpstreamAsk};

pub(super) use debian::DebianRun;

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
        UpstreamAsk::Rootfs { location, checksums, digest } => {
            Box::new(rootfs::Rootfs { location, checksums, digest })
        }
        UpstreamAsk::Debian(ask) => Box::new(debian::Debian { ask }),
        UpstreamAsk::OciLayout { path, reference, platform } => {
            Box::new(oci_layout::OciLayout { path, reference, platform })
        }
        UpstreamAsk::Registry { reference, platform } => {
            Box::new(registry::Registry { reference, platform })
        }
    }
}

/// Pins packages of a Debian archive, for those who need packages for themselves.
pub(super) async fn debian(
    shared: &Arc<Shared>,
    ask: crate::facts::DebianAsk,
) -> Result<Vec<crate::facts::PackagePin>, FactError> {
    debian::pins(shared, &ask).await
}
