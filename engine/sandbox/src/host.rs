//! What this machine can do, found out by trying it in helpers.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};
use serde::{Deserialize, Serialize};

use crate::call::{Call, CancelHandle, call};
use crate::idmap::IdMap;
use crate::inside::root::new_file_system;
use crate::inside::{Context, overlay};
use crate::{seccomp, sys};

/// The operation of a helper that tries things out; no caller's operation begins with NUL.
pub(crate) const PROBE_OP: &str = "\0probe";

/// Whether something works; if not, why, in words for a person.
pub type Feature = Result<(), String>;

/// What this machine can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Release of the kernel, such as `6.18.1-arch1`.
    pub kernel: String,
    /// Major and minor version of the kernel.
    pub kernel_version: (u32, u32),
    /// The best id map that was seen to work; `None` when nothing can be run at all.
    pub id_map: Option<IdMap>,
    /// Whether this program is root with all ids, so that [`IdMap::Full`] works.
    pub full: Feature,
    /// Whether subordinate ids work: [`IdMap::Ranges`].
    pub ranges: Feature,
    /// Whether user namespaces work at all: [`IdMap::Single`].
    pub single: Feature,
    /// Whether a user namespace can mount overlayfs.
    pub overlay: Feature,
    /// Whether a user namespace can register emulators of its own.
    pub binfmt: Feature,
    /// Whether seccomp filters work, with the answers that owner emulation needs.
    pub seccomp: Feature,
    /// Emulators that the host has registered.
    pub handlers: Vec<HostHandler>,
}

/// A binfmt_misc handler of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHandler {
    /// Its name, such as `qemu-aarch64`.
    pub name: String,
    /// Path of its interpreter.
    pub interpreter: PathBuf,
    /// Its flags; with `F` it works in any root.
    pub flags: String,
    /// The first bytes of the files that it is for.
    pub magic: Vec<u8>,
    /// Whether it is switched on.
    pub enabled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tried {
    overlay: Feature,
    binfmt: Feature,
    seccomp: Feature,
}

/// Finds out what this machine can do, by trying it: some milliseconds; the caller keeps the result.
pub fn probe() -> Host {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let full = if rustix::process::geteuid().is_root() {
        attempt(IdMap::Full)
    } else {
        Err("not root".to_string())
    };
    let single = attempt(IdMap::Single);
    let ranges = IdMap::subordinate().and_then(|map| Ok((attempt(map.clone())?, map)));
    let id_map = match (&full, &ranges, &single) {
        (Ok(_), ..) => Some(IdMap::Full),
        (_, Ok((_, map)), _) => Some(map.clone()),
        (.., Ok(_)) => Some(IdMap::Single),
        _ => None,
    };
    let ranges = ranges.map(|(tried, _)| tried);
    let tried = [&full, &ranges, &single].into_iter().find_map(|tried| tried.as_ref().ok());
    let nothing = || Err(single.as_ref().err().cloned().unwrap_or_default());
    let (overlay, binfmt, seccomp) = match tried {
        Some(tried) => (tried.overlay.clone(), tried.binfmt.clone(), tried.seccomp.clone()),
        None => (nothing(), nothing(), nothing()),
    };
    Host {
        kernel_version: version(&kernel),
        kernel,
        id_map,
        overlay,
        binfmt,
        seccomp,
        full: full.map(drop),
        ranges: ranges.map(drop),
        single: single.map(drop),
        handlers: handlers(Path::new("/proc/sys/fs/binfmt_misc")),
    }
}

fn attempt(id_map: IdMap) -> Result<Tried, String> {
    let call = call(Call {
        op: PROBE_OP,
        request: &[],
        id_map,
        output: None,
        cancel: CancelHandle::new(),
        deadline: Some(std::time::Duration::from_secs(10)),
    });
    let json = call.map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// Tries everything out in a helper.
pub(crate) fn probe_inside(_: &mut Context) -> Result<Vec<u8>, String> {
    let tried = Tried { overlay: try_overlay(), binfmt: try_binfmt(), seccomp: try_seccomp() };
    serde_json::to_vec(&tried).map_err(|error| error.to_string())
}

/// Mounts an overlay of directories in memory.
fn try_overlay() -> Feature {
    let memory = new_file_system("tmpfs", &[], MountAttrFlags::empty())
        .map_err(|error| format!("a user namespace cannot mount tmpfs: {error}"))?;
    let base = ["/tmp", "/var", "/mnt"].into_iter().map(Path::new).find(|path| path.is_dir());
    let base = base.ok_or("there is neither /tmp nor /var")?;
    move_mount(&memory, "", CWD, base, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| format!("a user namespace cannot mount on {}: {error}", base.display()))?;
    let dirs = ["lower", "upper", "work", "target"].map(|name| base.join(name));
    for dir in &dirs {
        std::fs::create_dir(dir).map_err(|error| error.to_string())?;
    }
    let [lower, upper, work, target] = dirs;
    overlay::mount(&[lower], &upper, &work, &target)?;
    // A kernel may allow the mount and then refuse every change.
    std::fs::write(target.join("file"), "x")
        .map_err(|error| format!("an overlay in a user namespace cannot be written to: {error}"))
}

fn try_binfmt() -> Feature {
    new_file_system("binfmt_misc", &[], MountAttrFlags::empty()).map(drop).map_err(|error| {
        format!("this kernel has no binfmt_misc for user namespaces (Linux 6.7 or newer): {error}")
    })
}

/// Installs the filter in this helper, which does nothing more.
fn try_seccomp() -> Feature {
    rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
    sys::install_filter(&seccomp::filter(seccomp::Catch::Owners), true).map(drop).map_err(|error| {
        format!(
            "this kernel has no seccomp filters with notifications (Linux 5.0 or newer): {error}"
        )
    })
}

/// Tells the major and minor version of the kernel.
pub(crate) fn kernel_version() -> (u32, u32) {
    version(&rustix::system::uname().release().to_string_lossy())
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Reads the handlers that the host has registered; none where binfmt_misc is not mounted.
fn handlers(dir: &Path) -> Vec<HostHandler> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            parse_handler(name, &std::fs::read_to_string(entry.path()).ok()?)
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn parse_handler(name: String, text: &str) -> Option<HostHandler> {
    let value = |key| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let hex = value("magic ").unwrap_or_default().as_bytes();
    let (pairs, _) = hex.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    Some(HostHandler {
        name,
        interpreter: value("interpreter ")?.into(),
        flags: value("flags:").unwrap_or_default().to_string(),
        magic: pairs.iter().map(byte).collect::<Option<_>>()?,
        enabled: text.starts_with("enabled"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_read_as_the_kernel_shows_them() {
        let text = "enabled\ninterpreter /usr/bin/qemu-arm\nflags: POF\noffset 0\nmagic 7f454c46\nmask ff\n";
        let handler = parse_handler("qemu-arm".into(), text).unwrap();
        assert_eq!(handler.interpreter, Path::new("/usr/bin/qemu-arm"));
        assert_eq!((handler.flags.as_str(), handler.enabled), ("POF", true));
        assert_eq!(handler.magic, b"\x7fELF");
        assert!(parse_handler("status".into(), "enabled\n").is_none());
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("qemu-arm"), text).unwrap();
        std::fs::write(dir.path().join("status"), "enabled\n").unwrap();
        assert_eq!(handlers(dir.path()).len(), 1);
        assert!(handlers(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!(version("6.18.44-fc-v669"), (6, 18));
        assert_eq!(version("7.0"), (7, 0));
        assert_eq!(version("x"), (0, 0));
    }
}
