//! File systems in memory.

use std::ffi::CString;
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Error, Result};

/// An attribute of the kind that owners are recorded in.
const PROBE: &str = "user.mabuild.probe";

pub(crate) fn mount(target: &Path, bytes: u64) -> Result<()> {
    let shown = target.display();
    let options = CString::new(format!("size={bytes},mode=0755")).unwrap_or_default();
    rustix::mount::mount("tmpfs", target, "tmpfs", MountFlags::empty(), &*options)
        .map_err(Error::at(format_args!("cannot mount a file system in memory at {shown}")))?;
    let probed = rustix::fs::setxattr(target, PROBE, b"", XattrFlags::empty())
        .and_then(|()| rustix::fs::removexattr(target, PROBE));
    probed.map_err(|e| {
        // It ends with the helper at the latest.
        let _ = rustix::mount::unmount(target, UnmountFlags::DETACH);
        Error::Unsupported(format!("files in memory have no user attributes: {e}"))
    })
}
