//! One stanza of a `Packages` file, on its way into the index.

use super::PackagesError;
use crate::debian::depends::is_name;
use crate::debian::release::{is_relative, is_sha256};
use crate::debian::version;

/// The fields kept as text, in the order of a record's spans.
pub(super) const NAMES: [&[u8]; FIELDS] = [
    b"Package",
    b"Version",
    b"Architecture",
    b"Filename",
    b"SHA256",
    b"Depends",
    b"Pre-Depends",
    b"Recommends",
    b"Provides",
    b"Conflicts",
    b"Breaks",
    b"Replaces",
    b"Priority",
    b"Multi-Arch",
    b"Section",
    b"Source",
];
pub(super) const FIELDS: usize = 16;
/// The first fields of `NAMES` must be in every stanza.
const REQUIRED: usize = 5;
/// Place of the name.
pub(super) const NAME: usize = 0;
const VERSION: usize = 1;
const ARCHITECTURE: usize = 2;
const FILENAME: usize = 3;
const SHA256: usize = 4;
/// Place of Provides.
pub(super) const PROVIDES: usize = 8;

/// The wanted fields of the stanza that is being read, still as bytes of the file.
#[derive(Default)]
pub(super) struct Stanza<'a> {
    pub(super) values: [&'a [u8]; FIELDS],
    pub(super) size: &'a [u8],
    pub(super) installed_size: &'a [u8],
    pub(super) essential: &'a [u8],
}

impl<'a> Stanza<'a> {
    pub(super) fn take(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), String> {
        let slot = match name {
            b"Size" => Some(&mut self.size),
            b"Installed-Size" => Some(&mut self.installed_size),
            b"Essential" => Some(&mut self.essential),
            _ => NAMES
                .iter()
                .position(|known| *known == name)
                .and_then(|field| self.values.get_mut(field)),
        };
        match slot {
            Some(slot) if slot.is_empty() => *slot = value,
            Some(_) => {
                return Err(format!("field {} is there twice", String::from_utf8_lossy(name)));
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn error(&self, stanza: usize, problem: String) -> PackagesError {
        let name = self.values.first().copied().unwrap_or_default();
        let package = if name.is_empty() {
            "of unknown name".to_owned()
        } else {
            String::from_utf8_lossy(name).chars().take(80).collect()
        };
        PackagesError::Stanza { stanza, package, problem }
    }
}

pub(super) fn number_field(name: &str, value: &[u8]) -> Result<u64, String> {
    match std::str::from_utf8(value).unwrap_or_default() {
        "" => Err(format!("field {name} is missing")),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| format!("field {name} is too large a number"))
        }
        _ => Err(format!("field {name} is not a number")),
    }
}

/// Checks the fields that later become part of a path, a URL or a digest comparison.
pub(super) fn check_values(values: &[&str; FIELDS]) -> Result<(), String> {
    if let Some(name) =
        values.iter().zip(NAMES).take(REQUIRED).find_map(|(v, name)| v.is_empty().then_some(name))
    {
        return Err(format!("field {} is missing", String::from_utf8_lossy(name)));
    }
    if !is_name(values[NAME]) {
        return Err("field Package is not a package name".into());
    }
    if !version::is_plausible(values[VERSION]) {
        return Err("field Version is not a version".into());
    }
    if !values[ARCHITECTURE].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err("field Architecture is not an architecture".into());
    }
    if !is_relative(values[FILENAME]) {
        return Err("field Filename leaves the mirror or has odd characters".into());
    }
    if !is_sha256(values[SHA256]) {
        return Err("field SHA256 is not 64 lower-case hexadecimal digits".into());
    }
    Ok(())
}
