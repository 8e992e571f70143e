//! Keys of archives out of files, so that a pin holds them as they are.

use std::path::Path;
use std::sync::Arc;

use super::{Tracking, wrong};
use crate::facts::{Archive, ArchiveKeys, FactError, PackageSet, Pin};

/// The largest file of keys, in bytes.
const LARGEST: u64 = 4 << 20;

impl Tracking {
    /// A pin out of the lock, with the keys of its archives read from their files.
    pub fn keyed(&self, mut pin: Pin) -> Result<Pin, FactError> {
        match &mut pin {
            Pin::Debian(pin) => keyed(&mut pin.set)?,
            Pin::Alpine(pin) => keyed(&mut pin.set)?,
            Pin::Packages(pin) => keyed(&mut pin.set)?,
            Pin::Archive { .. } | Pin::Layout { .. } | Pin::Registry { .. } => {}
        }
        Ok(pin)
    }
}

fn keyed(set: &mut PackageSet) -> Result<(), FactError> {
    for archive in &mut set.archives {
        let keys = match archive {
            Archive::Debian(archive) => &mut archive.keys,
            Archive::Alpine(archive) => &mut archive.keys,
        };
        if let ArchiveKeys::File(path) = keys {
            *keys = ArchiveKeys::Given(read(path)?);
        }
    }
    Ok(())
}

/// Keys by the name of their file.
type Keys = Vec<(String, Arc<[u8]>)>;

/// The keys of a file, or of all files of a folder, by name.
pub(super) fn read(path: &str) -> Result<Keys, FactError> {
    let unread = |e: std::io::Error| wrong(format!("cannot read the keys {path}: {e}"));
    let one = |path: &Path| -> Result<(String, Arc<[u8]>), FactError> {
        if std::fs::metadata(path).map_err(unread)?.len() > LARGEST {
            return Err(wrong(format!("{} is too large for a file of keys", path.display())));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok((name.unwrap_or_default(), std::fs::read(path).map_err(unread)?.into()))
    };
    let at = Path::new(path);
    if !at.is_dir() {
        return Ok(vec![one(at)?]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(at).map_err(unread)? {
        let entry = entry.map_err(unread)?.path();
        if entry.is_file() {
            files.push(one(&entry)?);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(wrong(format!("the folder of keys {path} is empty"))),
        false => Ok(files),
    }
}
