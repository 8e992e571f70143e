//! Archives of packages, what is taken out of them, and what an image has of them.

use std::sync::Arc;

/// Where Debian's own archive is for everybody.
pub const DEBIAN_MIRROR: &str = "http://ftp.debian.org/debian";
/// Where Debian's updates of security are for everybody.
pub const DEBIAN_SECURITY_MIRROR: &str = "http://security.debian.org/debian-security";
/// Where Alpine's own packages are for everybody.
pub const ALPINE_MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";

/// A family of distributions: decides the form of archives, packages and of the database in an
/// image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Debian and what is derived from it: dpkg and apt.
    Debian,
    /// Alpine: apk.
    Alpine,
}

/// An archive of packages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Archive {
    /// A suite of a Debian archive.
    Debian(DebianArchive),
    /// A repository of Alpine.
    Alpine(AlpineArchive),
}

/// A suite of a Debian archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DebianArchive {
    /// Address of the archive, `https://apt.example.org/debian`; none for Debian's own, which each
    /// machine gets from the mirror next to it.
    pub uri: Option<String>,
    /// Suite or codename, `bookworm`, `bookworm-security`.
    pub suite: String,
    /// Archive areas.
    pub components: Vec<String>,
    /// Who may sign it.
    pub keys: ArchiveKeys,
}

/// A repository of Alpine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlpineArchive {
    /// Address of the repository without the architecture, `https://apk.example.org/main`; none for
    /// Alpine's own, which each machine gets from the mirror next to it.
    pub uri: Option<String>,
    /// Of Alpine's own archive, `v3.20/main`; else empty.
    pub path: String,
    /// The tag that packages have to name to come out of it, `edge` in `nginx@edge`.
    pub tag: Option<String>,
    /// Who may sign it.
    pub keys: ArchiveKeys,
}

/// Keys that may sign an archive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ArchiveKeys {
    /// The keys of the distribution, which come with the program.
    Distribution,
    /// A file, absolute; or a folder with such files.
    File(String),
    /// Keys by the name of their file, as they are.
    Given(Vec<(String, Arc<[u8]>)>),
}

/// What is installed in an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Distro {
    /// What it is made by.
    pub family: Family,
    /// Architecture as the distribution calls it.
    pub arch: String,
    /// The archives that it is configured with, in order.
    pub archives: Vec<Archive>,
    /// Its packages, sorted by name.
    pub installed: Vec<Installed>,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Installed {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture, or `all`.
    pub arch: String,
    /// What it provides, as its archive says it; of Alpine its whole stanza of an index. None where
    /// that has to be looked up there.
    pub provides: Option<String>,
}

/// Packages, pinned, with where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageSet {
    /// The archives, in order. Not part of the key by themselves.
    pub archives: Vec<Archive>,
    /// What was seen of the archives. Not part of the key.
    pub releases: Vec<ReleasePin>,
    /// The packages, sorted by name.
    pub packages: Vec<PackagePin>,
}

/// A release of an archive that packages were chosen from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleasePin {
    /// Suite, or the path or address of a repository.
    pub archive: String,
    /// When it was made, in seconds since 1970.
    pub date: i64,
}

/// One package, pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagePin {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture as the distribution calls it, or `all`.
    pub arch: String,
    /// sha256 of the package file in hex.
    pub sha256: String,
    /// Size of the package file in bytes. Not part of the key.
    pub size: u64,
    /// Which archive of the set it comes from. Not part of the key.
    pub archive: usize,
    /// Path of the package file below the address of the archive. Not part of the key.
    pub path: String,
}

impl Archive {
    /// Name for messages, the lock and reports: the suite, or the path or address of a repository.
    pub fn label(&self) -> &str {
        match self {
            Self::Debian(archive) => &archive.suite,
            Self::Alpine(AlpineArchive { uri: Some(uri), .. }) => uri,
            Self::Alpine(archive) => &archive.path,
        }
    }
}

impl Distro {
    /// Names what is installed: blake3 over names and versions, in hex.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for Installed { name, version, arch, provides: _ } in &self.installed {
            for word in [name, version, arch] {
                hasher.update(&(word.len() as u64).to_le_bytes());
                hasher.update(word.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}
