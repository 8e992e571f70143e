//! Puts the platforms of an image under one index, and that under tags of registries.
//!
//! ```text
//! Target + what its tags are now ─policy→ seats ─assemble→ index ─plan→ moves ─order→ waves
//!                                        generation: moves to finish, undo and prune
//! ```
//!
//! [`push`] alone does input and output; the rest is pure.

mod assemble;
mod docker;
pub mod generation;
pub mod journal;
mod order;
mod outcome;
mod plan;
pub mod policy;
pub mod prune;
pub mod push;
pub mod scan;

#[cfg(test)]
pub(crate) mod testing;

use mabuild_lang::platform::Platform;

pub use assemble::{About, Made, assemble};
pub use docker::{Unfit, docker_manifest};
pub use order::waves;
pub use outcome::{Failed, Image, Outcome, Published, Pushed, Resumed, TagEnd};
pub use plan::{Plan, Planned, Target, plan};
pub use policy::{Blocked, Late, Part, Seat, State, Tagged};

/// Where a thing is published, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// Repositories, `HOST/PATH`.
    pub repositories: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether each platform gets tags of its own, `TAG-ARCH[VARIANT]`.
    pub arch_tags: bool,
    /// In which form.
    pub format: Format,
    /// When the index is whole.
    pub require: Require,
    /// Seconds for which a platform that fails keeps its previous manifest; none carries nothing.
    pub carry: Option<u64>,
    /// Annotations of the index.
    pub annotations: Vec<(String, String)>,
}

/// The form of what is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OCI manifests and indexes.
    #[default]
    Oci,
    /// Docker's manifests, version 2, schema 2, and manifest lists.
    Docker,
}

/// When an index is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// With every platform.
    #[default]
    All,
    /// With these; the others may be missing.
    Only(Vec<Platform>),
}

impl Require {
    /// Whether an index is not whole without a platform.
    pub fn needs(&self, platform: &Platform) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.contains(platform),
        }
    }
}

/// Annotation of a platform's descriptor that carries the key it was built by. It stands on the
/// index, because a manifest must change only when its content does.
pub const KEY_ANNOTATION: &str = "dev.mabuild.key.v1";
/// Annotation of a platform's descriptor that is older than its index: RFC 3339, since when.
pub const LATE_ANNOTATION: &str = "dev.mabuild.late.v1";
/// When the newest platform was made, on the index; when this one was, on a descriptor.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The repository of the description.
pub const SOURCE: &str = "org.opencontainers.image.source";
/// The commit of the description.
pub const REVISION: &str = "org.opencontainers.image.revision";
/// The first tag.
pub const VERSION: &str = "org.opencontainers.image.version";
/// The image that a platform stands on.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The manifest of that image on this platform.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The same platform as the OCI formats write it.
pub fn oci_platform(platform: &Platform) -> mabuild_oci::Platform {
    mabuild_oci::Platform {
        os: platform.os.clone(),
        architecture: platform.arch.clone(),
        variant: platform.variant.clone(),
    }
}

/// The platform of a descriptor in normal form; none where it names none that can be read, as
/// attestations do.
pub fn platform_of(descriptor: &mabuild_oci::Descriptor) -> Option<Platform> {
    let platform = descriptor.platform().filter(|platform| platform.os != "unknown")?;
    Platform::parse(&platform.to_string()).ok()
}

/// The tag that one platform has beside a tag of its image: `latest-armv7`; systems other than
/// Linux stand before the architecture.
pub fn arch_tag(tag: &str, platform: &Platform) -> String {
    let os = match platform.os.as_str() {
        "linux" => String::new(),
        os => format!("{os}-"),
    };
    let variant = platform.variant.as_deref().unwrap_or_default();
    format!("{tag}-{os}{}{variant}", platform.arch)
}
