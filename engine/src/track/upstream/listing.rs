//! What lists the versions of an upstream: an index of a folder as web servers make it, a folder of
//! this machine, a plain list of names, or Alpine's `latest-releases.yaml`.
//!
//! A listing is not trusted with anything but names: which address is fetched is up to the file,
//! and what is fetched is verified. Links to other folders or servers are passed over.

mod html;
mod yaml;

use std::collections::BTreeMap;

use jiff::civil;
use jiff::tz::TimeZone;
use mabuild_oci::Digest;
use reqwest::Url;

use crate::track::added::decoded;

/// Entries that are read.
const ENTRIES: usize = 100_000;
/// The longest name, in bytes.
const LONGEST: usize = 255;
/// The longest link, in bytes.
const LONGEST_LINK: usize = 4096;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The files and folders of a listing by their names.
#[derive(Debug, Default)]
pub(super) struct Listing {
    entries: BTreeMap<String, Entry>,
}

/// What a listing says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its version, where it is named.
    pub version: Option<String>,
    /// Its digest, where it is named.
    pub digest: Option<Digest>,
    /// When it was published or changed, in seconds since 1970.
    pub dated: Option<i64>,
}

impl Listing {
    /// Reads a text that was found at an address or path. The error says why it is no listing.
    pub fn read(text: &str, at: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let end = at.find(['?', '#']).unwrap_or(at.len());
        let name = at.get(..end).unwrap_or(at);
        let mut listing = Self::default();
        if text.starts_with('<') {
            html::read(text, &Base::of(at)?, &mut listing)?;
        } else if text.starts_with("---") || name.ends_with(".yaml") || name.ends_with(".yml") {
            yaml::read(text, &mut listing)?;
        } else if !text.starts_with(['{', '[']) {
            for line in text.lines() {
                listing.plain(line)?;
            }
        }
        match listing.entries.is_empty() {
            true => Err("it is no index of a folder, and no list of releases".to_owned()),
            false => Ok(listing),
        }
    }

    /// Reads a folder of this machine.
    pub fn of_folder(path: &str) -> std::io::Result<Self> {
        let mut listing = Self::default();
        for entry in std::fs::read_dir(path)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            listing.add(name, Entry::default()).map_err(std::io::Error::other)?;
        }
        Ok(listing)
    }

    /// All entries with their names.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// What is said of a name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Takes the last word of a line for a path, as `ls`, `find` and checksum files have it.
    fn plain(&mut self, line: &str) -> Result<(), String> {
        let word = line.split_ascii_whitespace().next_back().unwrap_or_default();
        let path = word.trim_start_matches('*').trim_end_matches('/');
        self.add(path.rsplit('/').next().unwrap_or(path), Entry::default())
    }

    /// Adds a name; what can be none is left out. Fails where there are too many.
    fn add(&mut self, name: &str, entry: Entry) -> Result<(), String> {
        let is_bad = |c: char| c == '/' || c == '\\' || c.is_control();
        if matches!(name, "" | "." | "..") || name.len() > LONGEST || name.contains(is_bad) {
            return Ok(());
        }
        if self.entries.len() >= ENTRIES {
            return Err(format!("it has more than {ENTRIES} names"));
        }
        // The name of a file comes twice where its icon is a link, too.
        let known = self.entries.entry(name.to_owned()).or_default();
        known.version = entry.version.or(known.version.take());
        known.digest = entry.digest.or(known.digest);
        known.dated = entry.dated.or(known.dated);
        Ok(())
    }
}

/// Where a listing was found: decides which links lead to files in the listed folder.
struct Base {
    url: Url,
    /// Paths of folders that it may be the index of, ending in a slash.
    folders: [String; 2],
}

impl Base {
    fn of(at: &str) -> Result<Self, String> {
        let url = match at.starts_with('/') {
            true => Url::from_file_path(at).map_err(|()| "its path is no address".to_owned()),
            false => Url::parse(at).map_err(|e| e.to_string()),
        };
        let url = url?;
        let path = decoded(url.path());
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        // An index may be served at the name of its folder without a slash.
        let folders = [format!("{folder}/"), format!("{}/", path.trim_end_matches('/'))];
        Ok(Self { url, folders })
    }

    /// The name of a file or folder that a link leads to, where that is in the listed folder.
    fn child(&self, link: &str) -> Option<String> {
        let link = link.trim();
        if link.starts_with(['?', '#']) || link.is_empty() {
            return None;
        }
        let url = self.url.join(link).ok().filter(|url| url.host() == self.url.host())?;
        let path = url.path().trim_end_matches('/');
        let (folder, name) = path.rsplit_once('/')?;
        let folder = format!("{}/", decoded(folder));
        self.folders.contains(&folder).then(|| decoded(name))
    }
}

/// The first time in a text, in seconds since 1970: `2024-09-06 11:20`, `06-Sep-2024 11:20`,
/// `2024-Sep-06 11:20:57`. Servers do not name their zone, which is taken to be UTC.
fn dated(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let (year, month, day) = day(word)?;
        let mut time = words.get(at + 1).copied().unwrap_or_default().split(':');
        let mut next = || time.next().and_then(|number| number.parse::<i8>().ok());
        let (hour, minute, second) = (next()?, next()?, next().unwrap_or_default());
        let time = civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        TimeZone::UTC.to_timestamp(time).ok().map(|time| time.as_second())
    })
}

fn day(word: &str) -> Option<(i16, i8, i8)> {
    let mut parts = word.split('-');
    let (first, month, last) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, day) = if first.len() == 4 { (first, last) } else { (last, first) };
    let named = || {
        let at = MONTHS.iter().position(|name| month.eq_ignore_ascii_case(name))?;
        i8::try_from(at + 1).ok()
    };
    let month = month.parse().ok().or_else(named)?;
    let is_whole = year.len() == 4 && parts.next().is_none();
    is_whole.then_some((year.parse().ok()?, month, day.parse().ok()?))
}

#[cfg(test)]
mod tests;
