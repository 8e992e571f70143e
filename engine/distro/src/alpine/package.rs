//! One `.apk` file (format 2): signatures, a control segment with `.PKGINFO` and scripts, and a
//! data segment that is a tar stream of the files.
//!
//! The SHA-1 of the compressed control segment is the package's identity in an index, and
//! `.PKGINFO` has the SHA-256 of the compressed data segment: a package that a trusted index
//! names is checked to its last byte without its own signature.

use super::index::{Checksum, Package, shown};
use super::keys::Keys;
use super::segment::{Bounds, FormatError, Member, SmallFile, Tap, malformed, small_files};
use super::signature::{SignatureError, Signatures, read_signatures};
use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

/// Bounds of the control segment; real ones have some kilobytes.
const CONTROL_BOUNDS: Bounds =
    Bounds { what: "control segment", compressed: 16 << 20, content: 64 << 20 };

/// Most bytes that a data segment may unpack to unless the caller sets another limit.
pub const DEFAULT_DATA_LIMIT: u64 = 16 << 30;

/// The scripts of a package, in the order in which apk stores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Script {
    /// Runs before the files are unpacked.
    PreInstall,
    /// Runs after the files are unpacked.
    PostInstall,
    /// Runs before removal.
    PreDeinstall,
    /// Runs after removal.
    PostDeinstall,
    /// Runs instead of [`Script::PreInstall`] when another version was there.
    PreUpgrade,
    /// Runs instead of [`Script::PostInstall`] when another version was there.
    PostUpgrade,
    /// Runs when files below the package's trigger paths changed.
    Trigger,
}

impl Script {
    /// All kinds.
    pub const ALL: [Script; 7] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDeinstall,
        Self::PostDeinstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::Trigger,
    ];

    /// Gives the name as in packages: `post-install`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDeinstall => "pre-deinstall",
            Self::PostDeinstall => "post-deinstall",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::Trigger => "trigger",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|script| script.as_str() == name)
    }
}

/// Why a package is not used.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file is damaged or no package.
    #[error("this is no .apk package: {0}")]
    Format(#[from] FormatError),
    /// It is not the package that the index has.
    #[error("the package {wanted} is not the one that the index describes: {detail}")]
    NotTheIndexed {
        /// Name and version in the index.
        wanted: String,
        /// What differs.
        detail: String,
    },
    /// It is not signed by a trusted key.
    #[error("the package cannot be trusted: {0}")]
    Signature(#[from] SignatureError),
}

/// A package whose control segment was read and checked.
#[derive(Debug)]
pub struct Apk<R> {
    /// What `.PKGINFO` says. The size of the file is not known to it.
    pub package: Package,
    /// The scripts.
    pub scripts: BTreeMap<Script, Vec<u8>>,
    /// The folders whose change runs the trigger script.
    pub triggers: Vec<String>,
    data_hash: [u8; 32],
    reader: R,
}

impl<R: BufRead> Apk<R> {
    /// Opens a package that a trusted index describes.
    ///
    /// # Errors
    /// When its control segment has another checksum than the index says, or is damaged.
    pub fn open(mut reader: R, indexed: &Package) -> Result<Self, PackageError> {
        let (_, control) = read_signatures(&mut reader, CONTROL_BOUNDS)?;
        let differs = |detail: String| PackageError::NotTheIndexed {
            wanted: format!("{} {}", indexed.name, indexed.version),
            detail,
        };
        let found = Checksum::of(&control.raw);
        if found != indexed.checksum {
            let detail = format!("its checksum is {found}, not {}", indexed.checksum);
            return Err(differs(detail));
        }
        let apk = Self::from_control(&control, reader)?;
        let Package { name, version, .. } = &apk.package;
        if (name, version) != (&indexed.name, &indexed.version) {
            return Err(differs(format!("it is {name} {version}")));
        }
        Ok(apk)
    }

    /// Opens a package by its own signature.
    ///
    /// # Errors
    /// When no trusted key signed it, or it is damaged.
    pub fn open_signed(mut reader: R, keys: &Keys) -> Result<Self, PackageError> {
        let (signatures, control): (Signatures, Member) =
            read_signatures(&mut reader, CONTROL_BOUNDS)?;
        signatures.verify(&control.raw, keys)?;
        Ok(Self::from_control(&control, reader)?)
    }

    /// Opens a package whose whole file the caller has verified by its digest.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn open_known(mut reader: R) -> Result<Self, PackageError> {
        let (_, control) = read_signatures(&mut reader, CONTROL_BOUNDS)?;
        Ok(Self::from_control(&control, reader)?)
    }

    fn from_control(control: &Member, reader: R) -> Result<Self, FormatError> {
        let mut info = None;
        let mut scripts = BTreeMap::new();
        for SmallFile { name, data } in small_files(&control.content)? {
            if name == ".PKGINFO" {
                let text = String::from_utf8(data);
                info = Some(text.map_err(|_| malformed(".PKGINFO is not UTF-8"))?);
            } else if let Some(script) = name.strip_prefix('.').and_then(Script::from_name) {
                scripts.insert(script, data);
            } else if !name.starts_with('.') {
                return Err(malformed(format!("its control segment has a file {}", shown(&name))));
            }
        }
        let info = info.ok_or_else(|| malformed("it has no .PKGINFO"))?;
        let info = parse_info(&info)?;
        let mut package = info.package;
        package.checksum = Checksum::of(&control.raw);
        let data_hash = info.data_hash.ok_or_else(|| malformed(".PKGINFO has no datahash"))?;
        Ok(Apk { package, scripts, triggers: info.triggers, data_hash, reader })
    }

    /// Gives the tar stream of the files, of at most [`DEFAULT_DATA_LIMIT`] bytes.
    ///
    /// Its end is reached only when the checksum of the whole segment is right: what was read
    /// before is not to be trusted until then.
    pub fn data(self) -> Data<R> {
        self.data_with_limit(DEFAULT_DATA_LIMIT)
    }

    /// Gives the tar stream of the files, of at most `limit` bytes.
    pub fn data_with_limit(self, limit: u64) -> Data<R> {
        let decoder = GzDecoder::new(Tap::new(self.reader, Sha256::new()));
        Data { decoder, expected: self.data_hash, left: limit, limit, checked: false }
    }
}

#[derive(Default)]
struct Info {
    package: Package,
    triggers: Vec<String>,
    data_hash: Option<[u8; 32]>,
}

/// Reads `.PKGINFO`: lines of `key = value`, and comments.
fn parse_info(text: &str) -> Result<Info, FormatError> {
    let mut info = Info::default();
    for (at, line) in text.lines().enumerate() {
        let bad = |detail| malformed(format!("line {} of .PKGINFO: {detail}", at + 1));
        let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let field = match key {
            "pkgname" => 'P',
            "pkgver" => 'V',
            "pkgdesc" => 'T',
            "url" => 'U',
            "size" => 'I',
            "license" => 'L',
            "arch" => 'A',
            "origin" => 'o',
            "maintainer" => 'm',
            "builddate" => 't',
            "commit" => 'c',
            "provider_priority" => 'k',
            "replaces_priority" => 'q',
            "depend" | "provides" | "replaces" | "install_if" => {
                let mut one = Package::default();
                one.set('D', value).map_err(bad)?;
                let list = match key {
                    "depend" => &mut info.package.depends,
                    "provides" => &mut info.package.provides,
                    "replaces" => &mut info.package.replaces,
                    _ => &mut info.package.install_if,
                };
                list.extend(one.depends);
                continue;
            }
            "triggers" => {
                info.triggers.extend(value.split_ascii_whitespace().map(str::to_owned));
                continue;
            }
            "datahash" => {
                let mut hash = [0; 32];
                hex::decode_to_slice(value.trim(), &mut hash)
                    .map_err(|_| bad("datahash is no SHA-256".into()))?;
                info.data_hash = Some(hash);
                continue;
            }
            _ => continue,
        };
        info.package.set(field, value).map_err(bad)?;
    }
    if info.package.name.is_empty() || info.package.version.is_empty() {
        return Err(malformed(".PKGINFO has no pkgname or no pkgver"));
    }
    Ok(info)
}

/// The tar stream of a package's files; its last read checks the whole.
pub struct Data<R> {
    decoder: GzDecoder<Tap<R, Sha256>>,
    expected: [u8; 32],
    left: u64,
    limit: u64,
    checked: bool,
}

impl<R: BufRead> Data<R> {
    fn check_end(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.checked, true) {
            return Ok(());
        }
        let tap = self.decoder.get_mut();
        if !tap.inner.fill_buf()?.is_empty() {
            return Err(invalid("there is something after the data of the package".into()));
        }
        let found: [u8; 32] = tap.seen.clone().finalize().into();
        if found != self.expected {
            let (found, expected) = (hex::encode(found), hex::encode(self.expected));
            let detail = format!("the sha256 of the package's data is {found}, not {expected}");
            return Err(invalid(detail));
        }
        Ok(())
    }
}

fn invalid(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

impl<R: BufRead> Read for Data<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.check_end()?;
        }
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            invalid(format!("the data of the package unpacks to more than {} bytes", self.limit))
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
