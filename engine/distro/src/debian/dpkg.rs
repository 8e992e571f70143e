//! dpkg's database, `/var/lib/dpkg`, as dpkg leaves it when packages are unpacked and not yet
//! configured; and what decides where their files go.
//!
//! Sources of the formats: dpkg(1), dpkg.cfg(5), deb-conffiles(5), deb-triggers(5) and what dpkg
//! itself writes.

mod auto;
mod conffiles;
mod filter;
mod info;
mod merged;
mod owners;
mod scripts;
mod status;
mod triggers;

use std::collections::BTreeMap;

use super::deb::{Control, ControlFile};

pub use auto::{automatic, extended_states};
pub use conffiles::{Conffile, conffiles, md5};
pub use filter::Filter;
pub use info::{DatabaseFile, database};
pub use merged::merged_directories;
pub use owners::{Overwritten, overwritten};
pub use scripts::{Round, Unpacking, rounds, unpacking};

/// A package whose files lie unpacked.
#[derive(Debug, Clone)]
pub struct Unpacked {
    /// The fields of its control file.
    pub control: Control,
    /// The files of its control archive.
    pub files: BTreeMap<String, ControlFile>,
    /// The paths of its data archive in their order, without a slash at either end; the root is
    /// empty.
    pub paths: Vec<Vec<u8>>,
    /// Of each of its configuration files that was unpacked: path and md5 of the content in hex.
    pub hashes: BTreeMap<Vec<u8>, String>,
}

impl Unpacked {
    /// Returns a field of the control file, empty when it has none.
    pub fn field(&self, name: &str) -> &str {
        self.control.get(name).unwrap_or_default()
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        self.field("Package")
    }

    /// Whether dpkg must never be without it.
    pub fn is_essential(&self) -> bool {
        self.field("Essential") == "yes"
    }

    /// Returns the name that dpkg calls it by where another architecture of it could be installed
    /// beside it: with the architecture when that is so.
    pub fn qualified_name(&self) -> String {
        match self.field("Multi-Arch") {
            "same" => format!("{}:{}", self.name(), self.field("Architecture")),
            _ => self.name().to_owned(),
        }
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// A package of some fields and control files.
    pub(super) fn package(fields: &str, files: &[(&str, &str)], paths: &[&str]) -> Unpacked {
        let fields: Vec<(String, String)> = fields
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let file = |text: &str| ControlFile { mode: 0o755, data: text.into() };
        Unpacked {
            control: Control::of(fields),
            files: files.iter().map(|(name, text)| ((*name).to_owned(), file(text))).collect(),
            paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            hashes: BTreeMap::new(),
        }
    }
}
