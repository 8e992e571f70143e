//! The list of installed packages: dpkg's `/var/lib/dpkg/status`, and the files of
//! `/var/lib/dpkg/status.d` that images without dpkg have (one stanza a file, without `Status`).

use super::deb822::{Event, MalformedLine, Reader};

/// More packages than this are in no image.
const MAX_PACKAGES: usize = 200_000;

/// Why a status file cannot be used. The caller adds which file it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// A line is no part of a stanza.
    #[error("{0}")]
    Malformed(String),
    /// An installed package has no name or no version.
    #[error("stanza {stanza} (package {package:?}) has no {field}")]
    Missing {
        /// Number of the stanza, from 1.
        stanza: usize,
        /// Name of the package; empty when it is the name that is missing.
        package: String,
        /// Name of the field.
        field: &'static str,
    },
    /// There are more packages than in any image.
    #[error("there are more than {MAX_PACKAGES} packages")]
    TooMany,
}

impl From<MalformedLine> for StatusError {
    fn from(error: MalformedLine) -> Self {
        StatusError::Malformed(error.to_string())
    }
}

/// A package that is installed. Texts are as in the file; absent fields are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Installed {
    /// Name.
    pub name: String,
    /// Version, with epoch and revision.
    pub version: String,
    /// Debian architecture, or `all`.
    pub architecture: String,
    /// The three words of dpkg: what is wanted, whether that is well, and what is; empty when the
    /// file does not say.
    pub status: String,
    /// Multi-Arch, such as `foreign`.
    pub multi_arch: String,
    /// Depends.
    pub depends: String,
    /// Pre-Depends.
    pub pre_depends: String,
    /// Provides.
    pub provides: String,
    /// Conflicts.
    pub conflicts: String,
    /// Breaks.
    pub breaks: String,
}

impl Installed {
    fn slot(&mut self, name: &[u8]) -> Option<&mut String> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"package" => &mut self.name,
            b"version" => &mut self.version,
            b"architecture" => &mut self.architecture,
            b"status" => &mut self.status,
            b"multi-arch" => &mut self.multi_arch,
            b"depends" => &mut self.depends,
            b"pre-depends" => &mut self.pre_depends,
            b"provides" => &mut self.provides,
            b"conflicts" => &mut self.conflicts,
            b"breaks" => &mut self.breaks,
            _ => return None,
        })
    }

    /// Whether the package's files are there and its scripts have run, as far as the file says.
    ///
    /// Pending triggers do not count against it: they stop no package from being depended on.
    fn is_installed(&self) -> bool {
        let state = self.status.split_ascii_whitespace().nth(2);
        self.status.is_empty()
            || matches!(state, Some("installed" | "triggers-pending" | "triggers-awaited"))
    }
}

/// Reads the installed packages of a status file, in its order.
///
/// Packages that are removed, of which only configuration is left, or that were left half-way are
/// left out. Unknown fields are passed over; of a repeated field the first counts; bytes that are
/// not UTF-8 are replaced.
///
/// # Errors
/// When the text is not made of stanzas, or an installed package has no name or version.
pub fn read(text: &[u8]) -> Result<Vec<Installed>, StatusError> {
    let mut reader = Reader::new(text);
    let mut packages = Vec::new();
    let mut package = Installed::default();
    let mut stanza = 1;
    loop {
        match reader.next()? {
            Event::Field { name, value } => {
                if let Some(slot) = package.slot(name).filter(|slot| slot.is_empty()) {
                    *slot = String::from_utf8_lossy(value).into_owned();
                }
            }
            Event::EndOfStanza => {
                let done = std::mem::take(&mut package);
                if done.is_installed() {
                    packages.push(complete(done, stanza)?);
                }
                stanza += 1;
                if packages.len() > MAX_PACKAGES {
                    return Err(StatusError::TooMany);
                }
            }
            Event::End => return Ok(packages),
        }
    }
}

fn complete(package: Installed, stanza: usize) -> Result<Installed, StatusError> {
    let missing = [(&package.name, "Package"), (&package.version, "Version")]
        .into_iter()
        .find_map(|(value, field)| value.is_empty().then_some(field));
    match missing {
        None => Ok(package),
        Some(field) => {
            let package = package.name.chars().take(80).collect();
            Err(StatusError::Missing { stanza, package, field })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_is_listed() {
        let text =
            b"Package: a\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n\
            Multi-Arch: same\nDepends: b (>= 1),\n c\nConffiles:\n /etc/a 0123\nX-New: \xff\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: never\nStatus: unknown ok not-installed\n\n\
            Package: half\nStatus: install ok half-configured\nVersion: 1\n\n\
            Package: held\nStatus: hold ok installed\nVersion: 4\nProvides: v (= 1)\n\n\
            package: trig\nstatus: install ok triggers-pending\nversion: 5\n";
        let packages = read(text).unwrap();
        let got: Vec<_> = packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(got, [("a", "1:2-3"), ("held", "4"), ("trig", "5")]);
        assert_eq!(packages[0].depends, "b (>= 1),\n c");
        assert_eq!(
            (packages[0].multi_arch.as_str(), packages[1].provides.as_str()),
            ("same", "v (= 1)")
        );
    }

    #[test]
    fn a_file_of_status_d_needs_no_status() {
        let text =
            b"Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\nDescription: x\n y\n";
        let packages = read(text).unwrap();
        assert_eq!((packages[0].name.as_str(), packages[0].status.as_str()), ("tzdata", ""));
        assert_eq!(read(b""), Ok(vec![]));
    }

    #[test]
    fn faults_say_where_they_are() {
        let error = read(b"Package: a\nVersion: 1\n\nPackage: b\n").unwrap_err();
        assert_eq!(error.to_string(), "stanza 2 (package \"b\") has no Version");
        assert_eq!(
            read(b"Version: 1\n").unwrap_err().to_string(),
            "stanza 1 (package \"\") has no Package"
        );
        assert!(read(b"Package: a\nnonsense\n").unwrap_err().to_string().starts_with("line 2"));
    }
}
