//! Bytes of entries, wherever they are.

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
    content.read(size).map_err(|e| Fault::environment(format!("cannot read a layer: {e}")))
}
