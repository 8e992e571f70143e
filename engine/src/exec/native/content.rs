//! Bytes of entries, wherever they are.

use std::os::unix::fs::FileExt;

use mabuild_oci::layer::Content;

use crate::exec::Fault;

/// Largest file that is read into memory here; such files are user tables.
const LIMIT: u64 = 16 << 20;

/// The bytes of a small file.
pub(super) fn bytes(content: &Content, size: u64) -> Result<Vec<u8>, Fault> {
    if size > LIMIT {
        return Err(Fault::step(format!(
            "a user table of {size} bytes is over the limit of {LIMIT}"
        )));
    }
    let unreadable = |e: std::io::Error| Fault::environment(format!("cannot read a layer: {e}"));
    match content {
        Content::Bytes(bytes) => Ok(bytes.clone()),
        Content::Path(path) => std::fs::read(path).map_err(unreadable),
        Content::Slice { file, offset } => {
            let mut out = vec![0; size as usize];
            file.read_exact_at(&mut out, *offset).map_err(unreadable)?;
            Ok(out)
        }
    }
}
