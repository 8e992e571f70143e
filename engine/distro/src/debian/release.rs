//! Release files: verification of their signature and dates, and the list of files they vouch for.
//!
//! Format: the Debian repository format (`InRelease`, or `Release` with `Release.gpg`).

use super::clearsign;
use super::deb822;
use super::keyring::Keyring;
use super::openpgp::{Certificate, MAX_CLOCK_SKEW, Verdict, format_time};
use pgp::armor::{BlockType, Dearmor};
use pgp::packet::{Packet, PacketParser, Signature};
use std::collections::BTreeMap;
use std::io::BufReader;

const MAX_RELEASE_BYTES: usize = 32 << 20;
const MAX_SIGNATURE_BYTES: usize = 256 << 10;
const MAX_SIGNATURES: usize = 32;

/// Why a release is not to be believed or cannot be read. The caller adds which URL it was.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The clear-signed message or the signature file is not built as it must be.
    #[error("the signed release is malformed: {0}")]
    Signature(String),
    /// A key that is known and valid did not sign this text: it was changed on the way.
    #[error(
        "the release does not match the signature of key {key}: it was altered after signing, \
         or the mirror is in the middle of an update; try again or take another mirror"
    )]
    Tampered {
        /// Fingerprint of the certificate, upper-case hexadecimal.
        key: String,
    },
    /// No signature counts: unknown keys, expired keys, weak algorithms.
    #[error(
        "no acceptable signature on the release ({}); a newer archive keyring may be needed",
        reasons.join("; ")
    )]
    Untrusted {
        /// One reason for each signature.
        reasons: Vec<String>,
    },
    /// The signed text is not a usable Release file.
    #[error("the release file is malformed: {0}")]
    Malformed(String),
    /// The release was signed for use until a time that has passed.
    #[error(
        "the release of suite {suite} expired at {} (now {}): the mirror is out of date, or this \
         machine's clock is wrong", format_time(*valid_until), format_time(*now)
    )]
    Expired {
        /// The suite, as the release names it.
        suite: String,
        /// Valid-Until, seconds since 1970.
        valid_until: i64,
        /// The time that was compared with, seconds since 1970.
        now: i64,
    },
    /// The release says it was made later than now, by more than a day.
    #[error(
        "the release of suite {suite} is dated {}, which is in the future (now {}): check this \
         machine's clock", format_time(*date), format_time(*now)
    )]
    FromTheFuture {
        /// The suite, as the release names it.
        suite: String,
        /// Date, seconds since 1970.
        date: i64,
        /// The time that was compared with, seconds since 1970.
        now: i64,
    },
}

/// A file that a release vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFile {
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

/// A verified release of one suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Origin, such as `Debian`; empty when not given.
    pub origin: String,
    /// Suite, such as `stable`; empty when not given.
    pub suite: String,
    /// Codename, such as `bookworm`; empty when not given.
    pub codename: String,
    /// Version, such as `12.5`; empty for suites that are not released.
    pub version: String,
    /// Date, seconds since 1970.
    pub date: i64,
    /// Valid-Until, seconds since 1970.
    pub valid_until: Option<i64>,
    /// Whether index files can also be fetched under their digest.
    pub acquire_by_hash: bool,
    /// Whether packages of the architecture `all` are in indexes of their own, and not (only) in
    /// those of each architecture.
    pub separate_all: bool,
    /// Debian architectures.
    pub architectures: Vec<String>,
    /// Components, such as `main`.
    pub components: Vec<String>,
    /// Index files by path relative to the suite's directory.
    pub files: BTreeMap<String, ReleaseFile>,
    /// Certificates with a good signature: primary fingerprints, upper-case hexadecimal.
    pub signed_by: Vec<String>,
}

/// Verifies a clear-signed `InRelease` and reads it; `now` is in seconds since 1970.
///
/// # Errors
/// See [`ReleaseError`]. At least one signature must be good and none of a valid known key bad.
pub fn verify_inrelease(text: &[u8], keyring: &Keyring, now: i64) -> Result<Release, ReleaseError> {
    check_size(text)?;
    let signed =
        clearsign::split(text).map_err(|error| ReleaseError::Signature(error.to_string()))?;
    let signatures = read_signatures(signed.armor)?;
    let signed_by = check_signatures(&signatures, &signed.canonical, keyring, now)?;
    Release::parse(&signed.canonical, signed_by)?.check_dates(now)
}

/// Verifies a `Release` with its detached `Release.gpg` (armoured or binary) and reads it; `now`
/// is in seconds since 1970.
///
/// # Errors
/// As [`verify_inrelease`].
pub fn verify_detached(
    release: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    now: i64,
) -> Result<Release, ReleaseError> {
    check_size(release)?;
    let signatures = read_signatures(signature)?;
    let signed_by = check_signatures(&signatures, release, keyring, now)?;
    Release::parse(release, signed_by)?.check_dates(now)
}

impl Release {
    /// Returns the index of binary packages of a component and architecture in every form the
    /// release lists, the smallest to fetch first: `(path, file)`.
    pub fn packages_indexes(&self, component: &str, arch: &str) -> Vec<(String, &ReleaseFile)> {
        [".xz", ".gz", ""]
            .iter()
            .map(|ending| format!("{component}/binary-{arch}/Packages{ending}"))
            .filter_map(|path| self.files.get(&path).map(|file| (path, file)))
            .collect()
    }

    /// Returns the path under which a listed file stays fetchable while the mirror is updated, or
    /// `None` when the archive has no such paths or does not list the file.
    pub fn by_hash_path(&self, path: &str) -> Option<String> {
        let file = self.files.get(path).filter(|_| self.acquire_by_hash)?;
        let directory = path.rfind('/').map_or("", |slash| path.split_at(slash + 1).0);
        Some(format!("{directory}by-hash/SHA256/{}", file.sha256))
    }

    fn parse(text: &[u8], signed_by: Vec<String>) -> Result<Self, ReleaseError> {
        let fields = read_fields(text)?;
        let text_of = |name: &str| fields.get(name).copied().unwrap_or_default();
        let words = |name| text_of(name).split_ascii_whitespace().map(str::to_owned).collect();
        let has = |name, word| text_of(name).split_ascii_whitespace().any(|other| other == word);
        let date = match text_of("date") {
            "" => return Err(malformed("it has no Date field")),
            date => parse_date("Date", date)?,
        };
        let valid_until = match text_of("valid-until") {
            "" => None,
            date => Some(parse_date("Valid-Until", date)?),
        };
        let files = fields.get("sha256").ok_or_else(|| malformed("it has no SHA256 field"))?;
        Ok(Release {
            origin: text_of("origin").to_owned(),
            suite: text_of("suite").to_owned(),
            codename: text_of("codename").to_owned(),
            version: text_of("version").to_owned(),
            date,
            valid_until,
            acquire_by_hash: text_of("acquire-by-hash").eq_ignore_ascii_case("yes"),
            separate_all: has("architectures", "all")
                && !has("no-support-for-architecture-all", "Packages"),
            architectures: words("architectures"),
            components: words("components"),
            files: parse_files(files)?,
            signed_by,
        })
    }

    fn check_dates(self, now: i64) -> Result<Self, ReleaseError> {
        let name = if self.suite.is_empty() { &self.codename } else { &self.suite };
        if self.date > now.saturating_add(MAX_CLOCK_SKEW) {
            return Err(ReleaseError::FromTheFuture { suite: name.clone(), date: self.date, now });
        }
        match self.valid_until {
            Some(valid_until) if valid_until < now => {
                Err(ReleaseError::Expired { suite: name.clone(), valid_until, now })
            }
            _ => Ok(self),
        }
    }
}

fn malformed(detail: impl Into<String>) -> ReleaseError {
    ReleaseError::Malformed(detail.into())
}

fn check_size(text: &[u8]) -> Result<(), ReleaseError> {
    if text.len() > MAX_RELEASE_BYTES {
        return Err(malformed(format!("it has {} bytes, more than 32 MiB", text.len())));
    }
    Ok(())
}

pub(super) fn read_signatures(bytes: &[u8]) -> Result<Vec<Signature>, ReleaseError> {
    let bad = |detail: String| ReleaseError::Signature(detail);
    if bytes.len() > MAX_SIGNATURE_BYTES {
        return Err(bad("its signature block has more than 256 KiB".into()));
    }
    // A binary packet starts with the high bit set, which no armoured text does.
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        return collect_signatures(PacketParser::new(bytes));
    }
    let mut dearmor = Dearmor::new(bytes);
    dearmor.read_header().map_err(|error| bad(format!("its signature armour: {error}")))?;
    if dearmor.typ != Some(BlockType::Signature) {
        return Err(bad("its armoured block is not a signature".into()));
    }
    collect_signatures(PacketParser::new(BufReader::new(dearmor)))
}

fn collect_signatures(
    packets: impl Iterator<Item = pgp::errors::Result<Packet>>,
) -> Result<Vec<Signature>, ReleaseError> {
    let mut signatures = Vec::new();
    for packet in packets {
        match packet {
            Ok(Packet::Signature(signature)) if signatures.len() < MAX_SIGNATURES => {
                signatures.push(signature);
            }
            Ok(Packet::Signature(_)) => {
                return Err(ReleaseError::Signature("it has too many signatures".into()));
            }
            Ok(_) => {
                let detail = "its signature block holds something that is no signature";
                return Err(ReleaseError::Signature(detail.into()));
            }
            Err(error) => return Err(ReleaseError::Signature(error.to_string())),
        }
    }
    Ok(signatures)
}

/// Returns the fingerprints of the certificates that signed `data`.
fn check_signatures(
    signatures: &[Signature],
    data: &[u8],
    keyring: &Keyring,
    now: i64,
) -> Result<Vec<String>, ReleaseError> {
    signers(signatures, keyring, |certificate, signature| certificate.check(signature, data, now))
}

/// Returns the fingerprints of the certificates that signed what `check` holds signatures against.
pub(super) fn signers(
    signatures: &[Signature],
    keyring: &Keyring,
    check: impl Fn(&Certificate, &Signature) -> Option<Verdict>,
) -> Result<Vec<String>, ReleaseError> {
    let (mut good, mut reasons) = (Vec::new(), Vec::new());
    for signature in signatures {
        let found = keyring.certificates().iter().find_map(|certificate| {
            let verdict = check(certificate, signature)?;
            Some((certificate.fingerprint().to_owned(), verdict))
        });
        match found {
            Some((key, Verdict::Bad)) => return Err(ReleaseError::Tampered { key }),
            Some((key, Verdict::Good)) if !good.contains(&key) => good.push(key),
            Some((_, Verdict::Good)) => {}
            Some((key, Verdict::Refused(reason))) => reasons.push(format!("key {key}: {reason}")),
            None => reasons.push(format!("key {} is not in the keyring", issuer(signature))),
        }
    }
    if good.is_empty() {
        if reasons.is_empty() {
            reasons.push("it has no signature at all".to_owned());
        }
        return Err(ReleaseError::Untrusted { reasons });
    }
    Ok(good)
}

fn issuer(signature: &Signature) -> String {
    let fingerprint =
        signature.issuer_fingerprint().first().map(|f| hex::encode_upper(f.as_bytes()));
    let key_id = || signature.issuer_key_id().first().map(hex::encode_upper);
    fingerprint.or_else(key_id).unwrap_or_else(|| "(not named)".to_owned())
}

/// Reads the one stanza of a Release file; field names become lower case.
fn read_fields(text: &[u8]) -> Result<BTreeMap<String, &str>, ReleaseError> {
    let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8"))?;
    let mut reader = deb822::Reader::new(text.as_bytes());
    let mut fields = BTreeMap::new();
    let mut ended = false;
    loop {
        match reader.next().map_err(|error| malformed(error.to_string()))? {
            deb822::Event::Field { .. } if ended => {
                return Err(malformed("it has more than one stanza"));
            }
            deb822::Event::Field { name, value } => {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                let value = std::str::from_utf8(value).map_err(|_| malformed("not UTF-8"))?;
                if let Some(name) = fields.contains_key(&name).then_some(&name) {
                    return Err(malformed(format!("field {name} is there twice")));
                }
                fields.insert(name, value);
            }
            deb822::Event::EndOfStanza => ended = true,
            deb822::Event::End => return Ok(fields),
        }
    }
}

fn parse_date(field: &str, text: &str) -> Result<i64, ReleaseError> {
    let bad = || {
        malformed(format!("{field} {text:?} is not a date like \"Sat, 10 Feb 2024 11:04:02 UTC\""))
    };
    let (local, zone) = text.rsplit_once(' ').ok_or_else(bad)?;
    if !matches!(zone, "UTC" | "GMT" | "Z" | "+0000") {
        return Err(bad());
    }
    jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(format!("{local} +0000"))
        .map(jiff::Timestamp::as_second)
        .map_err(|_| bad())
}

fn parse_files(list: &str) -> Result<BTreeMap<String, ReleaseFile>, ReleaseError> {
    let mut files = BTreeMap::new();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_ascii_whitespace();
        let entry = (|| {
            let sha256 = words.next().filter(|hash| is_sha256(hash))?;
            let size = words.next()?.parse().ok()?;
            let path = words.next().filter(|path| is_relative(path))?;
            words.next().is_none().then(|| (path, ReleaseFile { sha256: sha256.to_owned(), size }))
        })();
        let Some((path, file)) = entry else {
            return Err(malformed(format!("{line:?} is no \"digest size path\" line in SHA256")));
        };
        if files.get(path).is_some_and(|known| *known != file) {
            return Err(malformed(format!("{path} is in SHA256 twice, with different digests")));
        }
        files.insert(path.to_owned(), file);
    }
    Ok(files)
}

/// Tells whether a text is a SHA-256 in lower-case hexadecimal.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells whether a path from the archive stays below the directory it is joined to, and can be
/// put into a URL without changing its meaning.
pub(crate) fn is_relative(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"\\?#\"<>".contains(&b))
}

#[cfg(test)]
mod tests;
