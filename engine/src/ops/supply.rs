//! What an executor needs from outside, brought by the adapters of `track`.

use std::path::PathBuf;
use std::sync::Arc;

use mabuild_distro::{debian, qemu};
use mabuild_lang::platform::Platform;

use crate::event::FailureKind;
use crate::exec::native::host_arch;
use crate::exec::{Fault, Supply};
use crate::facts::FactError;
use crate::track::Tracking;

/// Brings files and emulators over the network or from disk.
pub(super) struct Outside {
    pub tracking: Arc<Tracking>,
}

fn fault(error: FactError) -> Fault {
    let kind = if error.blames_upstream { FailureKind::Upstream } else { FailureKind::Environment };
    Fault::new(kind, error.message)
}

impl Supply for Outside {
    fn file(&self, digest: &str, location: &str) -> Result<PathBuf, Fault> {
        self.tracking.fetch(digest, location).map_err(fault)
    }

    fn image(&self, manifest: &str, location: &str) -> Result<(), Fault> {
        self.tracking.pull(manifest, location).map_err(fault)
    }

    fn emulator(&self, platform: &Platform) -> Result<PathBuf, Fault> {
        let host = debian::arch::debian_arch("linux", host_arch(), None);
        let target = qemu::emulator(&platform.os, &platform.arch);
        let (Some(host), Some(target)) = (host, target) else {
            return Err(Fault::environment(format!(
                "there is no emulator for {platform} on this machine"
            )));
        };
        let folder = self.tracking.emulators(host, &[target.target]).map_err(fault)?;
        Ok(folder.join(format!("qemu-{}", target.target)))
    }
}
