//! Puts the platforms of an image under one index.

use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_oci::image::PlatformObject;
use mabuild_oci::{Descriptor, Digest, Index, Layout, media_type};

use crate::key::Key;

/// Annotation of a platform's descriptor that carries the key it was built by. It stands on the
/// index, because a manifest must change only when its content does.
pub const KEY_ANNOTATION: &str = "dev.mabuild.key.v1";

/// Writes the index over finished platforms and gives its descriptor.
pub fn assemble(
    layout: &Layout,
    members: &[(Platform, Key, Arc<str>)],
) -> Result<Descriptor, String> {
    let mut list = Vec::with_capacity(members.len());
    for (platform, key, digest) in members {
        let digest = Digest::parse(digest).map_err(|e| e.to_string())?;
        let (_, size) = layout.open_blob(&digest).map_err(|e| e.to_string())?;
        let mut descriptor = Descriptor::new(media_type::MANIFEST, digest, size);
        descriptor.platform = Some(PlatformObject::from(oci_platform(platform)));
        descriptor.annotations.insert(KEY_ANNOTATION.to_owned(), key.hex());
        list.push(descriptor);
    }
    let bytes = Index::new(list).to_bytes().map_err(|e| e.to_string())?;
    layout.write_blob(media_type::INDEX, &bytes).map_err(|e| e.to_string())
}

/// The same platform as the OCI formats write it.
pub fn oci_platform(platform: &Platform) -> mabuild_oci::Platform {
    mabuild_oci::Platform {
        os: platform.os.clone(),
        architecture: platform.arch.clone(),
        variant: platform.variant.clone(),
    }
}
