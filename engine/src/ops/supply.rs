//! What an executor needs from outside, brought by the adapters of `track`.

use std::path::PathBuf;
use std::sync::Arc;

use mabuild_distro::{debian, qemu};
use mabuild_lang::platform::Platform;
use mabuild_oci::Descriptor;

use crate::event::FailureKind;
use crate::exec::native::host_arch;
use crate::exec::{Fault, Supply};
use crate::facts::{Archive, FactError, PackagePin};
use crate::key::Key;
use crate::track::Tracking;

/// Brings files and emulators over the network or from disk.
pub(super) struct Outside {
    pub tracking: Arc<Tracking>,
    /// The repository that keeps steps, where there is one.
    pub cache: Option<String>,
    /// The lock that says what is brought; none where there is none.
    pub lock: Option<PathBuf>,
}

fn fault(error: FactError) -> Fault {
    let kind = if error.blames_upstream { FailureKind::Upstream } else { FailureKind::Environment };
    Fault::new(kind, error.message)
}

impl Outside {
    /// The fault of something that an upstream does not serve any more, with the line of the lock
    /// that asks for it. `digest` is `sha256:…` or `sha512:…`.
    fn missing(&self, error: FactError, digest: &str) -> Fault {
        let mut fault = fault(error);
        let line = self.lock.as_ref().filter(|_| fault.kind == FailureKind::Upstream);
        let text = line.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let found = text.lines().enumerate().find(|(_, line)| line.contains(digest));
        if let (Some(path), Some((at, line))) = (&self.lock, found) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let node = line.split(' ').next().unwrap_or_default();
            fault.message.push_str(&format!(
                "; {name}:{} asks for it, and `mabuild upstream update {node}` moves that to what \
                 is served now",
                at + 1
            ));
        }
        fault
    }
}

impl Supply for Outside {
    fn file(&self, digest: &str, location: &str) -> Result<PathBuf, Fault> {
        self.tracking.fetch(digest, location).map_err(|e| self.missing(e, digest))
    }

    fn package(&self, archive: &Archive, package: &PackagePin) -> Result<PathBuf, Fault> {
        let digest = format!("sha256:{}", package.sha256);
        self.tracking.fetch_package(archive, package).map_err(|e| self.missing(e, &digest))
    }

    fn image(&self, manifest: &str, location: &str) -> Result<(), Fault> {
        self.tracking.pull(manifest, location).map_err(|e| self.missing(e, manifest))
    }

    fn bring_image(&self, manifest: &str) -> Result<(), Fault> {
        self.tracking.bring_image(manifest).map_err(fault)
    }

    fn bring_blobs(&self, blobs: &[Descriptor]) -> Result<(), Fault> {
        self.tracking.bring_blobs(blobs).map_err(fault)
    }

    fn recall_step(&self, key: &Key) -> bool {
        // A step that cannot be looked up is run; what could not be asked for is told when it is
        // kept.
        let recalled = self.cache.as_ref().map(|cache| self.tracking.recall_step(cache, key));
        matches!(recalled, Some(Ok(true)))
    }

    fn keep_step(&self, key: &Key) {
        if let Some(cache) = &self.cache {
            self.tracking.keep_step(cache, key);
        }
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
