//! Indexes of binary packages (`Packages` files, decompressed).
//!
//! The index copies only what is needed to choose, fetch and order packages into one text, so it
//! is about half the size of the file it was read from and borrows nothing. Relations between
//! packages are kept as written.

use super::deb822::{Event, Reader};
use super::version;
use stanza::{FIELDS, NAME, NAMES, PROVIDES, Stanza, check_values, number_field};
use std::cmp::Ordering;

mod stanza;

/// More provided names than this are no archive's; Debian's has some hundred thousand.
const MAX_PROVIDED: usize = 8_000_000;

/// Why a `Packages` file cannot be used. The caller adds which URL it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackagesError {
    /// A stanza is damaged or lacks a field.
    #[error("stanza {stanza} of the package index (package {package}): {problem}")]
    Stanza {
        /// Number of the stanza, from 1.
        stanza: usize,
        /// Name of the package, as far as it could be read.
        package: String,
        /// What is wrong.
        problem: String,
    },
    /// The index is larger than any archive's.
    #[error("the package index is larger than 4 GiB")]
    TooLarge,
    /// The packages provide more names than any archive's.
    #[error("the packages of the index provide more than {MAX_PROVIDED} names")]
    TooManyProvided,
}

/// One binary package in an archive. Texts are as in the index; absent fields are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'i> {
    /// Name.
    pub name: &'i str,
    /// Version, with epoch and revision.
    pub version: &'i str,
    /// Debian architecture, or `all`.
    pub architecture: &'i str,
    /// Path of the `.deb`, relative to the mirror's root; never leaves it.
    pub filename: &'i str,
    /// Size of the `.deb` in bytes.
    pub size: u64,
    /// SHA-256 of the `.deb`, lower-case hexadecimal.
    pub sha256: &'i str,
    /// Size when installed, in KiB; zero when not given.
    pub installed_size: u64,
    /// Depends.
    pub depends: &'i str,
    /// Pre-Depends.
    pub pre_depends: &'i str,
    /// Recommends.
    pub recommends: &'i str,
    /// Provides.
    pub provides: &'i str,
    /// Conflicts.
    pub conflicts: &'i str,
    /// Breaks.
    pub breaks: &'i str,
    /// Replaces.
    pub replaces: &'i str,
    /// Whether the package is essential.
    pub essential: bool,
    /// Priority, such as `required`.
    pub priority: &'i str,
    /// Multi-Arch, such as `foreign`.
    pub multi_arch: &'i str,
    /// Section, such as `libs`.
    pub section: &'i str,
    /// Source package, perhaps with a version in parentheses; empty when named as the package.
    pub source: &'i str,
    /// Which [`PackageIndex::add`] call brought it, from 0.
    pub archive: usize,
}

/// The packages of one or more `Packages` files of one architecture.
#[derive(Debug, Default)]
pub struct PackageIndex {
    text: String,
    records: Vec<Record>,
    /// Indexes into `records`, ordered by name and, in that, as added.
    by_name: Vec<u32>,
    /// What is provided by which record, ordered by name and, in that, as added.
    provided: Vec<(Span, u32)>,
    archives: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Record {
    spans: [Span; FIELDS],
    size: u64,
    installed_size: u64,
    essential: bool,
    archive: usize,
}

impl PackageIndex {
    /// Reads one `Packages` file.
    ///
    /// # Errors
    /// When a stanza is damaged or lacks name, version, architecture, file name, size or digest.
    pub fn parse(packages: &[u8]) -> Result<Self, PackagesError> {
        let mut index = PackageIndex::default();
        index.add(packages)?;
        Ok(index)
    }

    /// Adds the packages of a further file (another suite or component) and returns the number
    /// that [`Package::archive`] has for them.
    ///
    /// # Errors
    /// As [`PackageIndex::parse`]; the index is then unchanged.
    pub fn add(&mut self, packages: &[u8]) -> Result<usize, PackagesError> {
        let archive = self.archives;
        let (old_text, old_records) = (self.text.len(), self.records.len());
        let old_provided = self.provided.len();
        let read = self.read(packages, archive);
        if let Err(error) = read.and_then(|()| self.note_provided(old_records)) {
            self.text.truncate(old_text);
            self.records.truncate(old_records);
            self.provided.truncate(old_provided);
            return Err(error);
        }
        self.archives += 1;
        let text = self.text.as_str();
        self.provided.sort_by(|(a, _), (b, _)| a.of(text).cmp(b.of(text)));
        let count = u32::try_from(self.records.len()).map_err(|_| PackagesError::TooLarge)?;
        let mut by_name: Vec<u32> = (0..count).collect();
        // The sort is stable and the files are sorted by name already, so this is one pass.
        by_name.sort_by(|a, b| self.name_at(*a).cmp(self.name_at(*b)));
        self.by_name = by_name;
        Ok(archive)
    }

    /// Returns the number of packages.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Tells whether there is no package.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns all packages in the order of the files.
    pub fn iter(&self) -> impl Iterator<Item = Package<'_>> {
        self.records.iter().map(|record| self.package(record))
    }

    /// Returns every version of a package, in the order of the files.
    pub fn versions(&self, name: &str) -> impl Iterator<Item = Package<'_>> {
        let start = self.by_name.partition_point(|at| self.name_at(*at) < name);
        let rest = self.by_name.get(start..).unwrap_or_default();
        let end = rest.partition_point(|at| self.name_at(*at) == name);
        rest.get(..end)
            .unwrap_or_default()
            .iter()
            .filter_map(|at| self.records.get(*at as usize))
            .map(|record| self.package(record))
    }

    /// Returns a package's highest version in dpkg's order; of equal ones the first.
    pub fn highest(&self, name: &str) -> Option<Package<'_>> {
        self.versions(name).reduce(|best, next| {
            match version::compare(next.version, best.version) {
                Ordering::Greater => next,
                _ => best,
            }
        })
    }

    /// Returns the packages whose Provides has a name, in whatever version, in the order of the
    /// files; one that provides it twice comes twice.
    pub fn providers(&self, name: &str) -> impl Iterator<Item = Package<'_>> {
        let start = self.provided.partition_point(|(span, _)| span.of(&self.text) < name);
        let rest = self.provided.get(start..).unwrap_or_default();
        let end = rest.partition_point(|(span, _)| span.of(&self.text) == name);
        rest.get(..end)
            .unwrap_or_default()
            .iter()
            .filter_map(|(_, at)| self.records.get(*at as usize))
            .map(|record| self.package(record))
    }

    /// Returns the names of all packages in order, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        self.by_name.iter().map(|at| self.name_at(*at)).filter(move |name| {
            let new = last != Some(*name);
            last = Some(name);
            new
        })
    }

    fn name_at(&self, at: u32) -> &str {
        self.records.get(at as usize).map_or("", |record| self.field(record, NAME))
    }

    fn field(&self, record: &Record, field: usize) -> &str {
        record.spans.get(field).copied().unwrap_or_default().of(&self.text)
    }

    /// Notes what the records from `first` on provide.
    fn note_provided(&mut self, first: usize) -> Result<(), PackagesError> {
        for (at, record) in self.records.iter().enumerate().skip(first) {
            let list = record.spans.get(PROVIDES).copied().unwrap_or_default();
            let mut start = list.start;
            for entry in list.of(&self.text).split(',') {
                let lead = entry.len() - entry.trim_start().len();
                let name = provided_name(entry.trim_start());
                if !name.is_empty() {
                    let from = start + lead as u32;
                    let span = Span { start: from, end: from + name.len() as u32 };
                    self.provided.push((span, at as u32));
                }
                start += entry.len() as u32 + 1;
            }
            if self.provided.len() > MAX_PROVIDED {
                return Err(PackagesError::TooManyProvided);
            }
        }
        Ok(())
    }

    fn package(&self, record: &Record) -> Package<'_> {
        let [
            name,
            version,
            architecture,
            filename,
            sha256,
            depends,
            pre_depends,
            recommends,
            provides,
            conflicts,
            breaks,
            replaces,
            priority,
            multi_arch,
            section,
            source,
        ] = std::array::from_fn(|field| self.field(record, field));
        Package {
            name,
            version,
            architecture,
            filename,
            size: record.size,
            sha256,
            installed_size: record.installed_size,
            depends,
            pre_depends,
            recommends,
            provides,
            conflicts,
            breaks,
            replaces,
            essential: record.essential,
            priority,
            multi_arch,
            section,
            source,
            archive: record.archive,
        }
    }

    fn read(&mut self, packages: &[u8], archive: usize) -> Result<(), PackagesError> {
        if packages.len() + self.text.len() > u32::MAX as usize {
            return Err(PackagesError::TooLarge);
        }
        let mut reader = Reader::new(packages);
        let mut stanza = Stanza::default();
        let mut number = 1;
        loop {
            let event = reader.next().map_err(|error| stanza.error(number, error.to_string()))?;
            match event {
                Event::Field { name, value } => {
                    stanza.take(name, value).map_err(|problem| stanza.error(number, problem))?;
                }
                Event::EndOfStanza => {
                    let record = self
                        .record(&stanza, archive)
                        .map_err(|problem| stanza.error(number, problem))?;
                    self.records.push(record);
                    stanza = Stanza::default();
                    number += 1;
                }
                Event::End => return Ok(()),
            }
        }
    }

    fn record(&mut self, stanza: &Stanza<'_>, archive: usize) -> Result<Record, String> {
        let size = number_field("Size", stanza.size)?;
        let installed_size = match stanza.installed_size {
            b"" => 0,
            value => number_field("Installed-Size", value)?,
        };
        let mut values = [""; FIELDS];
        for ((value, raw), name) in values.iter_mut().zip(stanza.values).zip(NAMES) {
            *value = std::str::from_utf8(raw)
                .map_err(|_| format!("field {} is not UTF-8", String::from_utf8_lossy(name)))?;
        }
        check_values(&values)?;
        let previous = self.records.last().map(|record| record.spans).unwrap_or_default();
        let mut spans = [Span::default(); FIELDS];
        for ((span, value), old) in spans.iter_mut().zip(values).zip(previous) {
            *span = self.intern(value, old);
        }
        let essential = stanza.essential.eq_ignore_ascii_case(b"yes");
        Ok(Record { spans, size, installed_size, essential, archive })
    }

    /// Stores a value, or reuses the place of the previous stanza's same value.
    fn intern(&mut self, value: &str, old: Span) -> Span {
        if self.text.get(old.start as usize..old.end as usize) == Some(value) {
            return old;
        }
        let start = self.text.len() as u32;
        self.text.push_str(value);
        Span { start, end: self.text.len() as u32 }
    }
}

/// The name at the start of an entry of Provides.
fn provided_name(entry: &str) -> &str {
    let end = entry.find(|c: char| c.is_ascii_whitespace() || c == '(' || c == ':');
    entry.get(..end.unwrap_or(entry.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
