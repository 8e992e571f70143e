//! Hashing one file, and noticing when it changes meanwhile.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::store::Stat;

/// Files from this size on are hashed on several threads.
const LARGE: usize = 1 << 20;

/// Hashes a regular file; no link is followed, and no mapping is used, since a file that shrinks
/// under a mapping kills the process.
pub(super) fn hash(path: &Path) -> Result<Stat, String> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    for _ in 0..3 {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        let mut file = options.read(true).custom_flags(flags).open(path).map_err(failed)?;
        let before = file.metadata().map_err(failed)?;
        if !before.is_file() {
            break;
        }
        let (digest, read) = content(&mut file, before.len()).map_err(failed)?;
        let after = Stat::of(&file.metadata().map_err(failed)?);
        if after.same_file(&Stat::of(&before)) && read == after.size {
            return Ok(Stat { digest, ..after });
        }
    }
    Err(format!(
        "{} changes while it is read; stop what writes to it and try again",
        path.display()
    ))
}

fn content(file: &mut File, size: u64) -> std::io::Result<([u8; 32], u64)> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut hasher = blake3::Hasher::new();
    // One byte more than expected, so that a small file is at its end after one full read.
    let mut buffer = vec![0; size.saturating_add(1).min(4 * LARGE)];
    loop {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let piece = buffer.get(..filled).unwrap_or_default();
        if piece.len() >= LARGE {
            hasher.update_rayon(piece);
        } else {
            hasher.update(piece);
        }
        if filled < buffer.len() {
            return Ok((*hasher.finalize().as_bytes(), hasher.count()));
        }
    }
}
