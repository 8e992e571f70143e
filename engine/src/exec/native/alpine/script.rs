//! Scripts of packages, called as apk calls them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use mabuild_distro::alpine::package::Script;
use mabuild_distro::alpine::{InstalledPackage, Package};

/// The only variable that scripts have.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// One call of a script.
pub(super) struct Call<'a> {
    package: &'a Package,
    script: Script,
    /// Its text.
    pub text: &'a [u8],
    /// What it is called with.
    pub args: Vec<String>,
}

impl std::fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Package { name, version, .. } = self.package;
        write!(f, "the script {} of {name} {version}", self.script.as_str())
    }
}

impl<'a> Call<'a> {
    /// A call of a script that a package has.
    pub fn of(
        package: &'a Package,
        scripts: &'a BTreeMap<Script, Vec<u8>>,
        script: Script,
        args: Vec<String>,
    ) -> Option<Self> {
        let text = scripts.get(&script)?;
        Some(Self { package, script, text, args })
    }

    /// The words of the call: the interpreter that the script names comes first, as an emulator runs
    /// no scripts.
    pub fn argv(&self, path: &str) -> Vec<OsString> {
        let first = self.text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = first.strip_prefix(b"#!").map(String::from_utf8_lossy).unwrap_or_default();
        let line = line.trim();
        let (program, option) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let program = if program.is_empty() { "/bin/sh" } else { program };
        let words = [program, option.trim(), path].into_iter().filter(|word| !word.is_empty());
        words.map(OsString::from).chain(self.args.iter().map(OsString::from)).collect()
    }
}

/// The folders, sorted, that a package waits for and that any package has.
pub(super) fn triggered(package: &InstalledPackage, all: &[InstalledPackage]) -> Vec<String> {
    let patterns = patterns(&package.triggers);
    let folders = all.iter().flat_map(|one| &one.folders).filter(|folder| !folder.path.is_empty());
    let folders: BTreeSet<String> = folders.map(|folder| format!("/{}", folder.path)).collect();
    folders.into_iter().filter(|folder| patterns.is_match(folder)).collect()
}

/// Patterns of folders: fnmatch(3) with `FNM_PATHNAME`. What is no pattern fits nothing.
fn patterns(triggers: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for trigger in triggers {
        // `+` asks for folders that changed, which all of a new system have.
        let pattern = trigger.strip_prefix('+').unwrap_or(trigger);
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        if let (true, Ok(glob)) = (pattern.starts_with('/'), glob) {
            set.add(glob);
        }
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_runs_it() {
        let argv = |text: &str| {
            let scripts = BTreeMap::from([(Script::PostInstall, text.as_bytes().to_vec())]);
            let (package, args) = (Package::default(), vec!["1-r0".to_owned()]);
            let call = Call::of(&package, &scripts, Script::PostInstall, args).unwrap();
            call.argv("/s").join(std::ffi::OsStr::new("|")).into_string().unwrap()
        };
        assert_eq!(argv("#!/bin/sh\ntrue"), "/bin/sh|/s|1-r0");
        assert_eq!(argv("#! /bin/busybox sh -e\n"), "/bin/busybox|sh -e|/s|1-r0");
        assert_eq!(argv("true"), "/bin/sh|/s|1-r0");
    }

    #[test]
    fn triggers_wait_for_folders() {
        let set = |words: &[&str]| {
            let set = patterns(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            ["/usr/share/fonts", "/usr/share/fonts/a", "/usr/share/fonts/a/b", "/bin"]
                .into_iter()
                .filter(|path| set.is_match(path))
                .collect::<Vec<_>>()
        };
        assert_eq!(set(&["/usr/share/fonts/*"]), ["/usr/share/fonts/a"]);
        assert_eq!(set(&["+/bin", "bin", "/["]), ["/bin"]);
    }
}
