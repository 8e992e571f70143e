//! OCI images as plain values and files: digests, manifests, layer archives, image layouts.
//!
//! Everything here is blocking and synchronous. This crate opens no connection, reads no
//! environment and knows nothing of how an image came to be; it turns directories into
//! layers, layers into directories, and keeps both in image layouts.

pub mod archive;
pub mod digest;
mod error;
pub mod image;
pub mod layer;
pub mod layout;
pub mod media_type;
pub mod platform;
pub mod validate;

pub use digest::Digest;
pub use error::{Error, Result};
pub use image::{Descriptor, ImageConfig, Index, Manifest, chain_id};
pub use layout::Layout;
/// An image name as the distribution specification reads it: registry, repository, tag, digest.
pub use oci_spec::distribution::Reference;
pub use platform::Platform;
