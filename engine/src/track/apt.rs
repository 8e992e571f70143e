//! The mirror that this machine uses for its own packages, from apt's sources.

use std::path::Path;

use mabuild_distro::debian::Source;
use mabuild_distro::debian::sources::{parse_deb822, parse_list};

/// Texts of apt's source lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AptSources {
    /// Texts in the one-line form.
    pub lists: Vec<String>,
    /// Texts in the deb822 form.
    pub deb822: Vec<String>,
}

impl AptSources {
    /// Reads `sources.list` and `sources.list.d` of a folder, in order of their names; what is
    /// not there or not text counts as empty.
    pub fn read(folder: &Path) -> Self {
        let mut out = Self::default();
        out.lists.extend(std::fs::read_to_string(folder.join("sources.list")).ok());
        let more = std::fs::read_dir(folder.join("sources.list.d"));
        let mut more: Vec<_> = more.into_iter().flatten().flatten().map(|e| e.path()).collect();
        more.sort_unstable();
        for path in more {
            let texts = match path.extension().and_then(|e| e.to_str()) {
                Some("list") => &mut out.lists,
                Some("sources") => &mut out.deb822,
                _ => continue,
            };
            texts.extend(std::fs::read_to_string(path).ok());
        }
        out
    }

    /// The entries of all texts.
    pub(super) fn parse(&self) -> Vec<Source> {
        let lists = self.lists.iter().flat_map(|text| parse_list(text));
        lists.chain(self.deb822.iter().flat_map(|text| parse_deb822(text))).collect()
    }
}
