//! Static QEMU user emulators, taken out of Debian's own packages, verified like any other.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mabuild_distro::debian::Deb;
use mabuild_distro::qemu::{EMULATORS, emulator_package};
use mabuild_oci::layer::{Content, Entry, EntryKind, Limits, read_tar};

use super::local::blocking;
use super::{Shared, upstream, wrong};
use crate::facts::{ArchiveKeys, DebianArchive, DebianAsk, DebianVariant, FactError, PackageSet};
use crate::store::Store;

/// Suites in which the packages of `emulator_package` have static programs, in its order.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// The folder with the emulators of `targets` for machines of Debian architecture `host`.
pub(super) async fn emulators(
    shared: &Arc<Shared>,
    host: &str,
    targets: &[String],
) -> Result<PathBuf, FactError> {
    let there = |folder: &Path| targets.iter().all(|t| folder.join(file_name(t)).is_file());
    if let Some(package) = shared.store.memo("emulators", host) {
        let folder = shared.store.emulator_path(&package);
        if there(&folder) {
            return Ok(folder);
        }
    }
    let mut failures = Vec::new();
    for (suite, package) in SUITES.iter().zip(emulator_package()) {
        match take(shared, host, suite, package).await {
            Ok((sha256, folder)) if there(&folder) => {
                let noted = shared.store.put_memo("emulators", host, &sha256);
                noted.map_err(|e| wrong(e.to_string()))?;
                return Ok(folder);
            }
            Ok(_) => failures.push(format!("{package} of {suite} lacks some of them")),
            // A mirror that does not answer for one suite need not be asked for the next.
            Err(e) if e.blames_upstream && failures.is_empty() => return Err(e),
            Err(e) => failures.push(e.message),
        }
    }
    let targets = targets.join(", ");
    Err(wrong(format!(
        "no emulator for {targets}: {}; install Debian's qemu-user-static on this machine",
        failures.join("; ")
    )))
}

/// Unpacks the emulators of a package; gives its sha256 and the folder.
async fn take(
    shared: &Arc<Shared>,
    host: &str,
    suite: &str,
    package: &str,
) -> Result<(String, PathBuf), FactError> {
    let archive = DebianArchive {
        uri: None,
        suite: suite.to_owned(),
        components: vec!["main".to_owned()],
        keys: ArchiveKeys::Distribution,
    };
    let ask = DebianAsk {
        arch: host.to_owned(),
        archives: vec![archive],
        variant: DebianVariant::Extract,
        include: vec![package.to_owned()],
        exclude: Vec::new(),
        recommends: false,
        trim: Vec::new(),
    };
    let PackageSet { archives, packages, .. } = upstream::debian(shared, ask).await?;
    let pin = packages.into_iter().next();
    let pin = pin.ok_or_else(|| wrong(format!("{suite} has no {package}")))?;
    let archive = archives.first().ok_or_else(|| wrong(format!("{suite} is of no archive")))?;
    let deb = shared.fetch_package(archive, &pin).await?;
    let store = shared.store.clone();
    blocking(move || {
        let bad = |e: String| wrong(format!("cannot unpack {} {}: {e}", pin.name, pin.version));
        let folder = unpack(&store, &deb, &pin.sha256).map_err(bad)?;
        Ok((pin.sha256.clone(), folder))
    })
    .await
}

fn unpack(store: &Store, deb: &Path, sha256: &str) -> Result<PathBuf, String> {
    let folder = store.emulator_path(sha256);
    let _guard = store.lock(&format!("emulators-{sha256}")).map_err(|e| e.to_string())?;
    // The name appears only when all are in, so what is there is whole.
    if folder.is_dir() {
        return Ok(folder);
    }
    let mut deb =
        Deb::open(File::open(deb).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let spool = store.temp_file().map_err(|e| e.to_string())?;
    let limits = Limits { whiteouts: false, bytes: 4 << 30, ..Limits::default() };
    let data = deb.data().map_err(|e| e.to_string())?;
    let entries = read_tar(data, spool, &limits).map_err(|e| e.to_string())?;
    let new = store.temp_dir().map_err(|e| e.to_string())?;
    let filled = fill(&new, &entries).and_then(|()| std::fs::rename(&new, &folder));
    if let Err(e) = filled {
        let _stays = std::fs::remove_dir_all(&new);
        return Err(format!("cannot make {}: {e}", folder.display()));
    }
    Ok(folder)
}

/// Writes the programs of all known emulators that an archive has.
fn fill(folder: &Path, entries: &[Entry]) -> std::io::Result<()> {
    for emulator in &EMULATORS {
        for name in emulator.binary_names() {
            let path = format!("usr/bin/{name}");
            let program = entries.iter().rev().find(|entry| entry.path == path.as_bytes());
            // Later packages have links in place of programs under the old names.
            if let Some(EntryKind::File { content, size }) = program.map(|entry| &entry.kind) {
                write(&folder.join(file_name(emulator.target)), content, *size)?;
                break;
            }
        }
    }
    std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    File::open(folder)?.sync_all()
}

fn write(path: &Path, content: &Content, size: u64) -> std::io::Result<()> {
    let mut out = File::create(path)?;
    match content {
        Content::Bytes(bytes) => out.write_all(bytes)?,
        Content::Path(from) => {
            std::io::copy(&mut File::open(from)?, &mut out)?;
        }
        Content::Slice { file, offset } => {
            let mut buffer = vec![0; 1 << 20];
            let mut done = 0;
            while done < size {
                let most = usize::try_from(size - done).unwrap_or(usize::MAX).min(buffer.len());
                let piece = buffer.get_mut(..most).unwrap_or_default();
                file.read_exact_at(piece, offset + done)?;
                out.write_all(piece)?;
                done += most as u64;
            }
        }
    }
    out.set_permissions(Permissions::from_mode(0o755))?;
    out.sync_all()
}

/// The name of an emulator in its folder.
fn file_name(target: &str) -> String {
    format!("qemu-{target}")
}
