//! Bases: nodes built from an upstream.

use std::sync::Arc;
use std::time::Duration;

use super::{Settings, Test, Text};
use crate::platform::Platform;
use crate::source::{Span, Spanned};

/// A node built from an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// Name, unique over bases and images.
    pub name: Spanned<Arc<str>>,
    /// The whole node, for labels that mean "this base".
    pub span: Span,
    /// Folder of the file that declares it; relative paths start there.
    pub folder: Arc<str>,
    /// Whether no `base` declares it: an image of a registry that something is built from.
    pub implicit: bool,
    /// Platforms, each once, in the order written; shared when they are the default.
    pub platforms: Arc<[Spanned<Platform>]>,
    /// Where its content comes from.
    pub source: BaseSource,
    /// What the image config says.
    pub settings: Settings,
    /// Tags, `latest` when the file names none.
    pub tags: Vec<Text>,
    /// The `arch-tags` node, where each platform gets tags of its own too.
    pub arch_tags: Option<Span>,
    /// Repositories that it is pushed to.
    pub publish: Vec<Text>,
    /// Checks of the built image, each name once.
    pub tests: Vec<Test>,
}

/// Where the content of a base comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum BaseSource {
    /// A published root file system archive.
    Rootfs(Rootfs),
    /// Packages of a Debian archive.
    Debian(Debian),
    /// An image of a registry.
    Registry(RegistryBase),
    /// An image out of an OCI layout on disk.
    OciLayout(OciLayout),
}

/// `rootfs LOCATION checksums=… sha256=… sha512=…`
#[derive(Clone, Debug, PartialEq)]
pub struct Rootfs {
    /// The `rootfs` node.
    pub span: Span,
    /// Path (relative to the folder of the file) or http(s) address of the archive.
    pub location: Text,
    /// Path or address of a checksum file that names the archive.
    pub checksums: Option<Text>,
    /// Digest written in the file itself, `sha256:…` or `sha512:…`.
    pub digest: Option<Text>,
}

/// `debian SUITE { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Debian {
    /// The `debian` node.
    pub span: Span,
    /// Suite or codename, `bookworm`.
    pub suite: Text,
    /// Address of the mirror when the file names one.
    pub mirror: Option<Text>,
    /// Key file that may sign the archive in place of the keys shipped, relative to the folder.
    pub signed_by: Option<Text>,
    /// What is made of the packages.
    pub variant: Variant,
    /// Archive areas, `main` when none is named.
    pub components: Vec<Text>,
    /// Packages named by `include`.
    pub include: Vec<Text>,
    /// The `updates` node, where the suite's `-updates` counts too.
    pub updates: Option<Span>,
    /// The `security` node, where the suite's `-security` counts too.
    pub security: Option<Span>,
    /// What is left out, each once.
    pub trim: Vec<Spanned<Trim>>,
}

/// What is made of the packages of a Debian archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// `extract`: the packages are unpacked, and none of their scripts runs.
    Extract,
    /// `minbase`: a system is set up, with the scripts of its packages.
    Minbase,
}

/// What can be left out of a Debian system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// `docs`: documentation.
    Docs,
    /// `locales`: translations.
    Locales,
}

/// `registry REFERENCE`, with the `follow` beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryBase {
    /// The `registry` node.
    pub span: Span,
    /// `[HOST/]PATH[:TAG][@DIGEST]` as written; [`crate::reference::normal`] completes it.
    pub reference: Text,
    /// How the base moves; none where it stays at what the lock says.
    pub follow: Option<Follow>,
}

/// `follow "digest" min-age=…`: the base moves with the digest of its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// The `follow` node.
    pub span: Span,
    /// How old a new digest has to be before it is taken.
    pub min_age: Option<Duration>,
}

/// `oci-layout PATH ref=…`
#[derive(Clone, Debug, PartialEq)]
pub struct OciLayout {
    /// The `oci-layout` node.
    pub span: Span,
    /// Folder of the layout, relative to the folder of the file.
    pub path: Text,
    /// Name in the layout's `index.json`; may be left out when the layout holds one image.
    pub reference: Option<Text>,
}
