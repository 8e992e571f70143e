//! Upstreams: what a file asks for, and what that is pinned to.

use std::sync::Arc;

use super::archive::{AlpineArchive, DebianArchive, Distro, Family, PackageSet};

/// Stands in a location for the version that is to be found.
pub const VERSION: &str = "{{version}}";

/// An upstream as the file asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamAsk {
    /// A root file system archive.
    Rootfs {
        /// Absolute path or http(s) address; with `follow` it has [`VERSION`] in it.
        location: String,
        /// Absolute path or address of the checksum file; it may have [`VERSION`] in it.
        checksums: Option<String>,
        /// Digest given in the file, `sha256:…` or `sha512:…`.
        digest: Option<String>,
        /// Path or address of a detached OpenPGP signature, and of the keys that may make it.
        signature: Option<(String, String)>,
        /// How the version is found.
        follow: Option<Follow>,
    },
    /// A system of packages of Debian archives.
    Debian(DebianAsk),
    /// A system of packages of Alpine repositories.
    Alpine(AlpineAsk),
    /// Packages that are installed on an image.
    Packages(PackagesAsk),
    /// An image of an OCI layout.
    OciLayout {
        /// Absolute folder.
        path: String,
        /// Name in its index.
        reference: Option<String>,
        /// Platform in normal form.
        platform: String,
    },
    /// An image of a registry.
    Registry {
        /// Complete reference, `docker.io/library/debian:12`; with a `range` its tag is [`VERSION`]
        /// or has it in it.
        reference: String,
        /// Range of tags of which the highest is taken, `1.22.*-alpine`.
        range: Option<String>,
        /// Platform in normal form.
        platform: String,
    },
}

/// How the version of an upstream is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Follow {
    /// Range of versions of which the highest is taken, `3.20.*`.
    pub range: String,
    /// Path or address of what lists the versions: an index of a directory, or a
    /// `latest-releases.yaml`. None for the directory of the archive itself.
    pub listing: Option<String>,
}

/// Packages of Debian archives as the file asks for them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DebianAsk {
    /// Debian architecture.
    pub arch: String,
    /// The archives, that of the suite first.
    pub archives: Vec<DebianArchive>,
    /// What is made of them.
    pub variant: DebianVariant,
    /// More packages, `NAME` or `NAME=VERSION`.
    pub include: Vec<String>,
    /// Packages that are kept out.
    pub exclude: Vec<String>,
    /// Whether what packages recommend comes along.
    pub recommends: bool,
    /// What is left out of the files.
    pub trim: Vec<Trim>,
}

/// What is made of packages of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DebianVariant {
    /// Exactly the named packages, unpacked; none of their scripts runs.
    Extract,
    /// The essential and required packages and apt, set up.
    Minbase,
    /// All of priority standard and above, set up.
    Standard,
    /// `Minbase`, trimmed and configured for containers.
    Minideb,
}

/// What can be left out of a Debian system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trim {
    /// Documentation and manual pages; copyright files stay.
    Docs,
    /// Translations.
    Locales,
}

/// Packages of Alpine repositories as the file asks for them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlpineAsk {
    /// Architecture as Alpine calls it, `x86_64`.
    pub arch: String,
    /// The repositories, in order.
    pub archives: Vec<AlpineArchive>,
    /// What the system is to have: words of `/etc/apk/world`.
    pub world: Vec<String>,
}

/// Packages that are installed on an image, as a step asks for them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackagesAsk {
    /// What the image below is; none while that is not known.
    pub below: Option<Arc<Distro>>,
    /// Packages, `NAME` or `NAME=VERSION`.
    pub names: Vec<String>,
    /// Whether what packages recommend comes along.
    pub recommends: bool,
}

/// An upstream, pinned to content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// A root file system archive.
    Archive {
        /// `sha256:…` or `sha512:…` of the archive.
        digest: String,
        /// Path or address it is read from. Not part of the key.
        location: String,
        /// The version that was found. Not part of the key.
        version: Option<String>,
    },
    /// A system of packages of Debian archives.
    Debian(DebianPin),
    /// A system of packages of Alpine repositories.
    Alpine(AlpinePin),
    /// Packages that are installed on an image.
    Packages(PackagesPin),
    /// An image of an OCI layout.
    Layout {
        /// Manifest digest for the platform.
        manifest: String,
        /// Folder it is read from. Not part of the key.
        path: String,
    },
    /// An image of a registry.
    Registry {
        /// Manifest digest for the platform.
        manifest: String,
        /// Complete reference it is pulled by. Not part of the key.
        location: String,
    },
}

/// A system of packages of Debian archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebianPin {
    /// What is made of them.
    pub variant: DebianVariant,
    /// What is left out of the files.
    pub trim: Vec<Trim>,
    /// The packages. But for an unpacked system the archives are part of the key, as the system is
    /// configured with them.
    pub set: PackageSet,
}

/// A system of packages of Alpine repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlpinePin {
    /// Architecture as Alpine calls it.
    pub arch: String,
    /// Words of `/etc/apk/world`.
    pub world: Vec<String>,
    /// The packages in the order in which they are installed. The archives are part of the key.
    pub set: PackageSet,
}

/// Packages that are installed on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagesPin {
    /// What the image below is made by; none while that is not known, and then there are no packages.
    pub family: Option<Family>,
    /// What was asked for.
    pub names: Vec<String>,
    /// What is installed, with what it needs.
    pub set: PackageSet,
    /// Names what is installed below: [`Distro::digest`]. Not part of the key.
    pub below: String,
}

impl Pin {
    /// The packages, where it has some.
    pub fn packages(&self) -> Option<&PackageSet> {
        match self {
            Self::Debian(pin) => Some(&pin.set),
            Self::Alpine(pin) => Some(&pin.set),
            Self::Packages(pin) => Some(&pin.set),
            Self::Archive { .. } | Self::Layout { .. } | Self::Registry { .. } => None,
        }
    }
}
