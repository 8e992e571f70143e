//! `image inspect`.

use mabuild_oci::{Digest, media_type};
use serde_json::Value;

use super::reader::{ReadRequest, Reader};
use super::unreadable;
use crate::ops::{Env, OpError};

/// All documents of an image.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Digest of the index, or of the manifest of an image without one.
    pub digest: String,
    /// The index; null for an image without one.
    pub index: Value,
    /// Platform and digest of each manifest.
    pub members: Vec<(String, String)>,
    /// Manifests, in the order of the index.
    pub manifests: Vec<Value>,
    /// Configs, in the order of the index; null for what is no image.
    pub configs: Vec<Value>,
}

/// Gives all documents of an image.
pub fn inspect(env: &Env, request: &ReadRequest, reference: &str) -> Result<Inspection, OpError> {
    let reader = Reader::open(env, request)?;
    let root = reader.find(reference)?.root;
    let json = |digest: &Digest| -> Result<Value, OpError> {
        serde_json::from_slice(&reader.layout().read(digest).map_err(unreadable)?)
            .map_err(unreadable)
    };
    let (mut members, mut manifests, mut configs) = (Vec::new(), Vec::new(), Vec::new());
    for member in reader.members(&root)? {
        members.push((member.shown(), member.descriptor.digest.to_string()));
        manifests.push(json(&member.descriptor.digest)?);
        configs.push(match member.config {
            Some(_) => json(&member.manifest.config.digest)?,
            None => Value::Null,
        });
    }
    let index = match media_type::is_index(&root.media_type) {
        true => json(&root.digest)?,
        false => Value::Null,
    };
    Ok(Inspection { digest: root.digest.to_string(), index, members, manifests, configs })
}
