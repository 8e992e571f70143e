//! What distribution an image is of, what is installed in it, and which archives it is set up with:
//! read out of its files, so that nothing of it has to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use mabuild_distro::debian::sources::{Source, own, parse_deb822, parse_list};
use mabuild_distro::debian::status;
use mabuild_lang::platform::Platform;
use mabuild_oci::Digest;
use mabuild_oci::layer::{EntryKind, Limits, decompress, read_some};

use super::Tracking;
use crate::facts::{Archive, ArchiveKeys, DebianArchive, Distro, Family, Installed};

/// dpkg's list of packages.
const STATUS: &str = "var/lib/dpkg/status";
/// The same in images without dpkg, a file a package.
const STATUS_D: &str = "var/lib/dpkg/status.d/";
/// apk's list of packages, where it is and where it was.
const APK: [&str; 2] = ["usr/lib/apk/db/installed", "lib/apk/db/installed"];
/// Folders of keys of archives.
const KEYS: [&str; 3] = ["etc/apt/keyrings/", "etc/apt/trusted.gpg.d/", "usr/share/keyrings/"];

/// Whether a file tells something of the distribution.
fn tells(path: &str) -> bool {
    let below = |folder: &str| path.starts_with(folder);
    path == STATUS
        || (below(STATUS_D) && !path.ends_with(".md5sums"))
        || path == "etc/apt/sources.list"
        || below("etc/apt/sources.list.d/")
        || KEYS.iter().any(|folder| below(folder))
        || APK.contains(&path)
        || path == "etc/apk/repositories"
        || below("etc/apk/repositories.d/")
        || below("etc/apk/keys/")
        || path == "etc/apk/arch"
}

impl Tracking {
    /// What an image of the store is of.
    pub fn distro(&self, manifest: &str, platform: &Platform) -> Result<Distro, String> {
        let digest = Digest::parse(manifest).map_err(|e| e.to_string())?;
        self.bring_whole(&digest).map_err(|e| e.message)?;
        let files = self.shared.store.image_files(&digest, &tells).map_err(|e| e.to_string())?;
        of_files(&files, platform)
    }

    /// What a root file system archive is of; it is fetched where it is not in the store.
    pub fn distro_of_archive(
        &self,
        digest: &str,
        location: &str,
        platform: &Platform,
    ) -> Result<Distro, String> {
        let path = self.fetch(digest, location).map_err(|e| e.message)?;
        let bad = |e: &dyn std::fmt::Display| format!("{location} cannot be read: {e}");
        let file = std::fs::File::open(path).map_err(|e| bad(&e))?;
        let spool = self.shared.store.temp_file().map_err(|e| bad(&e))?;
        let wanted = |path: &[u8]| std::str::from_utf8(path).is_ok_and(tells);
        let reader = decompress(file).map_err(|e| bad(&e))?;
        let entries = read_some(reader, spool, &Limits::default(), &wanted).map_err(|e| bad(&e))?;
        let mut files = BTreeMap::new();
        for entry in entries {
            let EntryKind::File { content, size } = entry.kind else { continue };
            let bytes = content.read(size).map_err(|e| bad(&e))?;
            files.insert(String::from_utf8_lossy(&entry.path).into_owned(), bytes);
        }
        of_files(&files, platform)
    }
}

type Files = BTreeMap<String, Vec<u8>>;

fn of_files(files: &Files, platform: &Platform) -> Result<Distro, String> {
    let no_arch = |family: &str| format!("{family} has no architecture for {platform}");
    if let Some(status) = files.get(STATUS) {
        let arch = platform.debian().ok_or_else(|| no_arch("Debian"))?.to_owned();
        let installed = installed(STATUS, status)?;
        return Ok(Distro { family: Family::Debian, arch, archives: archives(files), installed });
    }
    if let Some(db) = APK.iter().find_map(|path| files.get(*path)) {
        let arch = platform.alpine().ok_or_else(|| no_arch("Alpine"))?.to_owned();
        return super::upstream::alpine_distro(arch, db, files);
    }
    if files.keys().any(|path| path.starts_with(STATUS_D)) {
        return Err(
            "the image below has packages of Debian but no dpkg to install more with".to_owned()
        );
    }
    Err("the image below is neither of Debian nor of Alpine: it has no list of packages that \
         `packages` can read"
        .to_owned())
}

fn installed(path: &str, status: &[u8]) -> Result<Vec<Installed>, String> {
    let packages = status::read(status).map_err(|e| format!("/{path}: {e}"))?;
    let mut out: Vec<Installed> = packages
        .into_iter()
        .map(|package| Installed {
            name: package.name,
            version: package.version,
            arch: package.architecture,
            provides: Some(package.provides),
        })
        .collect();
    out.sort_unstable();
    Ok(out)
}

/// The archives that apt is set up with.
fn archives(files: &Files) -> Vec<Archive> {
    let mut out = Vec::new();
    for (path, text) in files {
        let text = String::from_utf8_lossy(text);
        let sources = match path.strip_prefix("etc/apt/") {
            Some(name) if name.ends_with(".sources") => parse_deb822(&text),
            Some(name) if name.ends_with(".list") => parse_list(&text),
            _ => continue,
        };
        let is_used = |source: &Source| source.enabled && source.types.iter().any(|t| t == "deb");
        for source in sources.into_iter().filter(is_used) {
            let keys = keys(&source, files);
            for (uri, suite) in source
                .uris
                .iter()
                .flat_map(|uri| source.suites.iter().map(move |suite| (uri, suite)))
            {
                let is_own = own(uri, suite);
                out.push(Archive::Debian(DebianArchive {
                    uri: (!is_own).then(|| uri.clone()),
                    suite: suite.clone(),
                    components: source.components.clone(),
                    keys: if is_own { ArchiveKeys::Distribution } else { keys.clone() },
                }));
            }
        }
    }
    out
}

/// The keys of an archive: those that it names, else all that apt trusts.
fn keys(source: &Source, files: &Files) -> ArchiveKeys {
    let given = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        files.get(path.trim_start_matches('/')).map(|bytes| (name, Arc::from(bytes.as_slice())))
    };
    if let Some(key) = source.embedded_key() {
        return ArchiveKeys::Given(vec![("key.asc".to_owned(), key.as_bytes().into())]);
    }
    let words = source.signed_by.split([' ', ',']);
    let named: Vec<(String, Arc<[u8]>)> =
        words.filter(|word| word.starts_with('/')).filter_map(given).collect();
    if !named.is_empty() {
        return ArchiveKeys::Given(named);
    }
    let trusted = files.keys().filter(|path| path.starts_with(KEYS[1]));
    let trusted: Vec<(String, Arc<[u8]>)> = trusted.filter_map(|path| given(path)).collect();
    match trusted.is_empty() {
        true => ArchiveKeys::Distribution,
        false => ArchiveKeys::Given(trusted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_installed_and_where_it_comes_from_is_read() {
        let platform = Platform::parse("linux/arm/v7").unwrap();
        let status = "Package: b\nStatus: install ok installed\nVersion: 2\nArchitecture: all\n\n\
                      Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: armhf\n\
                      Provides: x (= 1)\n\nPackage: gone\nStatus: deinstall ok config-files\n\
                      Version: 1\nArchitecture: armhf\n";
        let distro = of_files(
            &files(&[
                (STATUS, status),
                ("etc/apt/sources.list", "deb http://ftp.debian.org/debian bookworm main\n"),
                (
                    "etc/apt/sources.list.d/x.sources",
                    "Types: deb\nURIs: https://apt.example.org/x\nSuites: stable\nComponents: a b\n\
                     Signed-By: /etc/apt/keyrings/x.gpg\n\n\
                     Types: deb\nEnabled: no\nURIs: https://off.example.org\nSuites: s\n",
                ),
                ("etc/apt/keyrings/x.gpg", "KEY"),
            ]),
            &platform,
        )
        .unwrap();
        assert_eq!((distro.family, distro.arch.as_str()), (Family::Debian, "armhf"));
        let names: Vec<&str> = distro.installed.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(distro.installed[0].provides.as_deref(), Some("x (= 1)"));
        let [Archive::Debian(own), Archive::Debian(other)] = distro.archives.as_slice() else {
            panic!("{:?}", distro.archives)
        };
        assert_eq!((own.uri.as_deref(), own.suite.as_str()), (None, "bookworm"));
        assert_eq!(other.uri.as_deref(), Some("https://apt.example.org/x"));
        assert_eq!(other.components, ["a", "b"]);
        let key = ("x.gpg".to_owned(), Arc::from(b"KEY".as_slice()));
        assert_eq!(other.keys, ArchiveKeys::Given(vec![key]));
    }

    #[test]
    fn images_without_a_package_manager_say_so() {
        let platform = Platform::parse("linux/amd64").unwrap();
        let none = of_files(&files(&[]), &platform).unwrap_err();
        assert!(none.contains("neither of Debian nor of Alpine"), "{none}");
        let parts = files(&[("var/lib/dpkg/status.d/base", "Package: base\nVersion: 1\n")]);
        let parts = of_files(&parts, &platform).unwrap_err();
        assert!(parts.contains("no dpkg"), "{parts}");
    }
}
