//! What an image of Alpine has: its packages, and the repositories and keys that its apk is set up
//! with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mabuild_distro::alpine::{Checksum, Database, Index, InstalledPackage, Keys, Package};

use crate::facts::{AlpineArchive, Archive, ArchiveKeys, Distro, Family, Installed};

/// The list of repositories.
const REPOSITORIES: &str = "etc/apk/repositories";
/// The folder of more such lists.
const MORE: &str = "etc/apk/repositories.d/";
/// The folder of keys.
const KEYS: &str = "etc/apk/keys/";

/// What an image is of: `db` is its list of packages, `files` has what else tells of it by path.
pub(in crate::track) fn alpine_distro(
    arch: String,
    db: &[u8],
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Distro, String> {
    let text = std::str::from_utf8(db)
        .map_err(|_| "the list of packages of the image below is not UTF-8 text".to_owned())?;
    let database = Database::read(text).map_err(|e| format!("the image below: {e}"))?;
    let mut installed: Vec<Installed> =
        database.packages().iter().map(|one| record(&one.package, &arch)).collect();
    installed.sort_unstable();
    let archives = archives(files, &arch);
    Ok(Distro { family: Family::Alpine, arch, archives, installed })
}

/// An installed package with all that its repository said of it, as most repositories forget what is
/// not their newest version.
fn record(package: &Package, arch: &str) -> Installed {
    let index = Index { packages: vec![package.clone()], ..Index::default() };
    Installed {
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.arch.clone().unwrap_or_else(|| arch.to_owned()),
        provides: Some(index.to_text()),
    }
}

/// The packages of an image as the search for fitting ones wants them; what the image does not tell
/// is looked up.
pub(super) fn installed(indexes: &[Index], below: &Distro) -> Vec<InstalledPackage> {
    let known = |one: &Installed| {
        let told = one.provides.as_deref().and_then(|text| Index::parse(text).ok());
        if let Some(package) = told.and_then(|index| index.packages.into_iter().next()) {
            return package;
        }
        let mut all = indexes.iter().flat_map(|index| &index.packages);
        let found =
            all.find(|package| (&package.name, &package.version) == (&one.name, &one.version));
        found.cloned().unwrap_or_else(|| {
            let (name, version) = (one.name.clone(), one.version.clone());
            // Packages are told apart by it.
            let checksum = Checksum::of(format!("{name} {version}").as_bytes());
            Package { name, version, checksum, ..Package::default() }
        })
    };
    let full = |one: &Installed| {
        let package = known(one);
        let control = package.clone();
        InstalledPackage::new(package, &control, &[], BTreeMap::new(), Vec::new())
    };
    below.installed.iter().map(full).collect()
}

/// The repositories of an image: a line each, with `@TAG` before it or not. Folders of the image
/// itself are left out.
fn archives(files: &BTreeMap<String, Vec<u8>>, arch: &str) -> Vec<Archive> {
    let keys = keys(files, arch);
    let is_list =
        |path: &str| path == REPOSITORIES || (path.starts_with(MORE) && path.ends_with(".list"));
    let lists = files.iter().filter(|(path, _)| is_list(path));
    let texts: Vec<_> = lists.map(|(_, text)| String::from_utf8_lossy(text)).collect();
    let mut known = BTreeSet::new();
    let mut out = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()).map(str::trim) {
        let (tag, address) = match line.strip_prefix('@').map(|line| line.split_once([' ', '\t'])) {
            Some(Some((tag, rest))) => (Some(tag.to_owned()), rest.trim()),
            Some(None) => continue,
            None => (None, line),
        };
        let is_remote = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
        if !is_remote || !known.insert((tag.clone(), address)) {
            continue;
        }
        out.push(Archive::Alpine(match own(address) {
            Some(path) => {
                let (path, keys) = (path.to_owned(), ArchiveKeys::Distribution);
                AlpineArchive { uri: None, path, tag, keys }
            }
            None => {
                let uri = Some(address.trim_end_matches('/').to_owned());
                AlpineArchive { uri, path: String::new(), tag, keys: keys.clone() }
            }
        }));
    }
    out
}

/// The path of a repository of Alpine's own archive, which each machine gets from the mirror next to
/// it.
fn own(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let is_alpine = host == "alpinelinux.org" || host.ends_with(".alpinelinux.org");
    let path = path.strip_prefix("alpine/")?.trim_matches('/');
    (is_alpine && !path.is_empty()).then_some(path)
}

/// The keys that apk trusts in an image; those of Alpine come with the program.
fn keys(files: &BTreeMap<String, Vec<u8>>, arch: &str) -> ArchiveKeys {
    let own = Keys::alpine(arch);
    let is_own = |name: &str, text: &[u8]| {
        own.iter().any(|(other, pem)| other == name && pem.as_bytes() == text)
    };
    let in_folder =
        files.iter().filter_map(|(path, text)| Some((path.strip_prefix(KEYS)?, text.as_slice())));
    // What is no key for this program is none for apk either.
    let is_key = |name: &str, text: &[u8]| {
        std::str::from_utf8(text).is_ok_and(|text| Keys::new().add(name, text).is_ok())
    };
    let all: Vec<(&str, &[u8])> = in_folder.filter(|(name, text)| is_key(name, text)).collect();
    match all.iter().all(|(name, text)| is_own(name, text)) {
        true => ArchiveKeys::Distribution,
        false => {
            let given = all.into_iter().map(|(name, text)| (name.to_owned(), Arc::from(text)));
            ArchiveKeys::Given(given.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_alpine_are_its_own() {
        for (address, path) in [
            ("https://dl-cdn.alpinelinux.org/alpine/v3.20/main", Some("v3.20/main")),
            ("http://uk.alpinelinux.org/alpine/edge/testing/", Some("edge/testing")),
            ("https://alpinelinux.org.example.com/alpine/v3.20/main", None),
            ("https://user@example.org/.alpinelinux.org/alpine/v3.20/main", None),
            ("https://dl-cdn.alpinelinux.org/other/v3.20/main", None),
            ("https://dl-cdn.alpinelinux.org/alpine/", None),
        ] {
            assert_eq!(own(address), path, "{address}");
        }
    }

    #[test]
    fn repositories_and_packages_are_read() {
        let db = "C:Q1fihnCSoO3udDb3DkQwtrfd42MJQ=\nP:b\nV:2-r0\nA:noarch\nD:a>1\np:cmd:b=2-r0\n\
                  F:usr\n\nC:Q1fihnCSoO3udDb3DkQwtrfd42MJQ=\nP:a\nV:1-r0\nA:x86_64\n\n";
        let list = "# https://off.example.org/x\nhttps://dl-cdn.alpinelinux.org/alpine/v3.20/main\n\
                    @edge\thttps://dl-cdn.alpinelinux.org/alpine/edge/main\n\
                    https://apk.example.org/main/\nhttps://apk.example.org/main/\n/media/cdrom\n@odd\n";
        let (name, pem) = Keys::alpine("x86_64")
            .iter()
            .next()
            .map(|(n, p)| (n.to_owned(), p.to_owned()))
            .unwrap();
        let mut files = BTreeMap::from([
            (REPOSITORIES.to_owned(), list.as_bytes().to_vec()),
            (format!("{MORE}more.list"), b"http://more.example.org".to_vec()),
            (format!("{MORE}more.off"), b"http://off.example.org".to_vec()),
            (format!("{KEYS}{name}"), pem.as_bytes().to_vec()),
            (format!("{KEYS}README"), b"nothing".to_vec()),
        ]);
        let distro = alpine_distro("x86_64".to_owned(), db.as_bytes(), &files).unwrap();
        let names: Vec<&str> = distro.installed.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let archives = |distro: &Distro| -> Vec<AlpineArchive> {
            let archive = |archive: &Archive| match archive {
                Archive::Alpine(archive) => archive.clone(),
                other => panic!("{other:?}"),
            };
            distro.archives.iter().map(archive).collect()
        };
        let shown: Vec<String> = archives(&distro)
            .iter()
            .map(|a| format!("{:?} {} {:?} {:?}", a.uri, a.path, a.tag, a.keys))
            .collect();
        assert_eq!(
            shown,
            [
                "None v3.20/main None Distribution",
                "None edge/main Some(\"edge\") Distribution",
                "Some(\"https://apk.example.org/main\")  None Distribution",
                "Some(\"http://more.example.org\")  None Distribution",
            ]
        );
        let full = installed(&[], &distro);
        assert_eq!(full[1].package.depends.len(), 1);
        assert_eq!(full[1].package.provides.len(), 1);

        // A key under another name is another key: then all of them count where Alpine's do not.
        files.insert(format!("{KEYS}own.rsa.pub"), pem.into_bytes());
        let distro = alpine_distro("x86_64".to_owned(), db.as_bytes(), &files).unwrap();
        let keys: Vec<bool> =
            archives(&distro).iter().map(|a| a.keys == ArchiveKeys::Distribution).collect();
        assert_eq!(keys, [true, true, false, false]);
    }

    #[test]
    fn a_broken_list_of_packages_is_named() {
        let files = BTreeMap::new();
        let error = alpine_distro("x86_64".to_owned(), b"nonsense\n", &files).unwrap_err();
        assert!(error.contains("line 1 of lib/apk/db/installed"), "{error}");
    }
}
