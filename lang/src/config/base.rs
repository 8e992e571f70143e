//! Bases: nodes built from an upstream.

use std::sync::Arc;
use std::time::Duration;

use super::{Publishing, Settings, Test, Text};
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
    /// When it moves.
    pub moves: Moves,
    /// What the image config says.
    pub settings: Settings,
    /// Tags, `latest` when the file names none.
    pub tags: Vec<Text>,
    /// The `arch-tags` node, where each platform gets tags of its own too.
    pub arch_tags: Option<Span>,
    /// Repositories that it is pushed to.
    pub publish: Vec<Text>,
    /// How it is pushed there, what its file says put in.
    pub publishing: Publishing,
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
    /// Packages of an Alpine archive.
    Alpine(Alpine),
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
    /// Path or address of a detached OpenPGP signature, and the file of the keys that may make it.
    pub signature: Option<(Text, Text)>,
    /// How the version is found; location, checksums and signature then have `{{version}}` in them
    /// as it stands.
    pub follow: Option<Follow>,
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
    /// Packages named by `exclude`.
    pub exclude: Vec<Text>,
    /// Whether what packages recommend comes along.
    pub recommends: bool,
    /// More archives, in order.
    pub repositories: Vec<DebianRepository>,
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
    /// `minbase`: the essential and required packages and apt are set up, with their scripts.
    Minbase,
    /// `standard`: all of priority standard and above are set up.
    Standard,
    /// `minideb`: `minbase`, trimmed and configured for containers.
    Minideb,
}

/// `repository ADDRESS suite=… signed-by=… { component … }` of a Debian system.
#[derive(Clone, Debug, PartialEq)]
pub struct DebianRepository {
    /// The `repository` node.
    pub span: Span,
    /// Address of the archive.
    pub uri: Text,
    /// Suite or codename.
    pub suite: Text,
    /// Archive areas, `main` when none is named.
    pub components: Vec<Text>,
    /// Key file that may sign it, relative to the folder; the keys of Debian when none is named.
    pub signed_by: Option<Text>,
}

/// `alpine BRANCH mirror=… signed-by=… { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Alpine {
    /// The `alpine` node.
    pub span: Span,
    /// Branch, `3.20` or `edge`.
    pub branch: Text,
    /// Address of the archive when the file names one.
    pub mirror: Option<Text>,
    /// Key file, or folder of such files, in place of the keys shipped, relative to the folder.
    pub signed_by: Option<Text>,
    /// Packages named by `include`.
    pub include: Vec<Text>,
    /// More repositories, in order; `main` and `community` count without being named.
    pub repositories: Vec<AlpineRepository>,
}

/// `repository ADDRESS tag=… signed-by=…` of an Alpine system.
#[derive(Clone, Debug, PartialEq)]
pub struct AlpineRepository {
    /// The `repository` node.
    pub span: Span,
    /// Address of the repository, without the architecture; or the name of one of Alpine's own,
    /// `testing`.
    pub uri: Text,
    /// What packages have to be named with to come out of it, `edge` in `nginx@edge`.
    pub tag: Option<Text>,
    /// Key file, or folder of such files, relative to the folder.
    pub signed_by: Option<Text>,
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
    /// `[HOST/]PATH[:TAG][@DIGEST]` as written; [`crate::reference::normal`] completes it. With a
    /// range to follow the tag is `{{version}}`, or has it in it.
    pub reference: Text,
    /// The range of tags of which the highest is taken; none where it is the digest of one tag that
    /// moves.
    pub follow: Option<Follow>,
}

/// `follow RANGE listing=…`: the base moves with the highest version of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Follow {
    /// The `follow` node.
    pub span: Span,
    /// Range of versions, `3.20.*`.
    pub range: Text,
    /// Path or address of what lists the versions of an archive: an index of a directory, or a
    /// `latest-releases.yaml`. None for the directory of the archive itself.
    pub listing: Option<Text>,
}

/// When a node moves: `follow … min-age=…`, `hold until=…`, `pin`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moves {
    /// How old what is new has to be before it is taken.
    pub min_age: Option<Duration>,
    /// `hold`: the time before which it does not move, in seconds since 1970, and why.
    pub hold: Option<Spanned<(i64, Option<String>)>>,
    /// The `pin` node: it moves only when it is updated by its name.
    pub pin: Option<Span>,
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
