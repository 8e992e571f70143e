//! The configuration of apt and dpkg in a new system.

use std::fmt::Write;

use crate::facts::{
    Archive, ArchiveKeys, DEBIAN_MIRROR, DEBIAN_SECURITY_MIRROR, DebianArchive, DebianPin,
    DebianVariant, Trim,
};

/// What signs Debian's own archives.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What is left out of documentation.
const NO_DOCS: [&str; 6] = [
    "-/usr/share/doc/*",
    "+/usr/share/doc/*/copyright",
    "-/usr/share/man/*",
    "-/usr/share/info/*",
    "-/usr/share/groff/*",
    "-/usr/share/lintian/*",
];
/// What is left out of translations.
const NO_LOCALES: [&str; 2] = ["-/usr/share/locale/*", "+/usr/share/locale/locale.alias"];

/// A file: path, permission bits, content.
pub(super) type ConfigFile = (String, u32, Vec<u8>);

/// Rules of what is left out of a system.
pub(super) fn rules(pin: &DebianPin) -> Vec<&'static str> {
    let all = pin.variant == DebianVariant::Minideb;
    let mut out = Vec::new();
    if all || pin.trim.contains(&Trim::Docs) {
        out.extend(NO_DOCS);
    }
    if all || pin.trim.contains(&Trim::Locales) {
        out.extend(NO_LOCALES);
    }
    out
}

/// The files of the configuration.
pub(super) fn files(pin: &DebianPin) -> Vec<ConfigFile> {
    let mut out = Vec::new();
    let has = |name: &str| pin.set.packages.iter().any(|package| package.name == name);
    if has("apt") {
        out.extend(sources(pin, has("debian-archive-keyring")));
    }
    let mut filter = mabuild_distro::debian::dpkg::Filter::default();
    filter.add(&rules(pin));
    if !filter.is_empty() {
        out.push(("etc/dpkg/dpkg.cfg.d/trim".to_owned(), 0o644, filter.config().into_bytes()));
    }
    if pin.variant == DebianVariant::Minideb {
        out.extend(MINIDEB.map(|(path, mode, text)| (path.to_owned(), mode, text.into())));
    }
    out
}

/// apt's list of archives with their keys.
fn sources(pin: &DebianPin, has_keyring: bool) -> Vec<ConfigFile> {
    let mut out: Vec<ConfigFile> = Vec::new();
    let mut stanzas: Vec<(Stanza<'_>, Vec<&str>)> = Vec::new();
    for archive in &pin.set.archives {
        let Archive::Debian(archive) = archive else { continue };
        let stanza = Stanza::of(archive, has_keyring);
        match stanzas.iter_mut().find(|(known, _)| *known == stanza) {
            Some((_, suites)) => suites.push(&archive.suite),
            None => stanzas.push((stanza, vec![&archive.suite])),
        }
        if let ArchiveKeys::Given(keys) = &archive.keys {
            let key = |(name, bytes): &(String, std::sync::Arc<[u8]>)| {
                (format!("etc/apt/keyrings/{name}"), 0o644, bytes.to_vec())
            };
            out.extend(keys.iter().map(key));
        }
    }
    let mut text = String::new();
    for (stanza, suites) in stanzas {
        if !text.is_empty() {
            text.push('\n');
        }
        stanza.write(&suites, &mut text);
    }
    out.push(("etc/apt/sources.list.d/debian.sources".to_owned(), 0o644, text.into_bytes()));
    out.sort();
    out.dedup();
    out
}

/// Archives that differ in their suites alone.
#[derive(PartialEq)]
struct Stanza<'a> {
    uri: &'a str,
    components: &'a [String],
    signed_by: String,
}

impl<'a> Stanza<'a> {
    fn of(archive: &'a DebianArchive, has_keyring: bool) -> Self {
        let own = if archive.suite.ends_with("-security") {
            DEBIAN_SECURITY_MIRROR
        } else {
            DEBIAN_MIRROR
        };
        let signed_by = match &archive.keys {
            ArchiveKeys::Distribution if has_keyring => KEYRING.to_owned(),
            ArchiveKeys::Given(keys) => {
                let paths = keys.iter().map(|(name, _)| format!("/etc/apt/keyrings/{name}"));
                paths.collect::<Vec<_>>().join(" ")
            }
            // A path of this machine means nothing in the image.
            ArchiveKeys::Distribution | ArchiveKeys::File(_) => String::new(),
        };
        let uri = archive.uri.as_deref().unwrap_or(own);
        Self { uri, components: &archive.components, signed_by }
    }

    /// The form of sources.list(5) that all releases since Debian 9 read.
    fn write(&self, suites: &[&str], out: &mut String) {
        let Self { uri, components, signed_by } = self;
        let _ = write!(out, "Types: deb\nURIs: {uri}\nSuites: {}\n", suites.join(" "));
        if !components.is_empty() {
            let _ = writeln!(out, "Components: {}", components.join(" "));
        }
        if !signed_by.is_empty() {
            let _ = writeln!(out, "Signed-By: {signed_by}");
        }
    }
}

/// What makes a system one for containers: dpkg does not wait for the disk, apt keeps nothing that
/// it can fetch again, services are not started, and one command installs packages and cleans up.
const MINIDEB: [(&str, u32, &str); 7] = [
    ("etc/dpkg/dpkg.cfg.d/docker-apt-speedup", 0o644, "force-unsafe-io\n"),
    (
        "etc/apt/apt.conf.d/docker-clean",
        0o644,
        "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb \
         /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true\"; };\n\
         APT::Update::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb \
         /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true\"; };\n\
         Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n",
    ),
    ("etc/apt/apt.conf.d/docker-no-languages", 0o644, "Acquire::Languages \"none\";\n"),
    (
        "etc/apt/apt.conf.d/docker-gzip-indexes",
        0o644,
        "Acquire::GzipIndexes \"true\";\nAcquire::CompressionTypes::Order:: \"gz\";\n",
    ),
    (
        "etc/apt/apt.conf.d/docker-autoremove-suggests",
        0o644,
        "APT::AutoRemove::SuggestsImportant \"false\";\n",
    ),
    ("usr/sbin/policy-rc.d", 0o755, NO_SERVICES),
    ("usr/sbin/install_packages", 0o755, INSTALL_PACKAGES),
];

/// Keeps services from being started: the answer that invoke-rc.d(8) takes for "not allowed".
pub(super) const NO_SERVICES: &str = "#!/bin/sh\nexit 101\n";

/// Says that the system is in a chroot: the C library then does not have init start anew, and does
/// not wait a second for it.
pub(super) const NO_INIT: &str = "#!/bin/sh\nexit 0\n";

/// Installs the named packages and leaves no list behind; a mirror may be out of reach for a moment.
const INSTALL_PACKAGES: &str = "#!/bin/sh
set -eu
export DEBIAN_FRONTEND=noninteractive
tries=3
until apt-get update -qq && apt-get install -y --no-install-recommends \"$@\"; do
    tries=$((tries - 1))
    if [ \"$tries\" -eq 0 ]; then
        echo \"install_packages: apt-get failed\" >&2
        exit 1
    fi
    echo \"install_packages: trying again\" >&2
done
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{PackagePin, PackageSet};

    fn archive(suite: &str, uri: Option<&str>, keys: ArchiveKeys) -> Archive {
        let components = vec!["main".to_owned()];
        let (uri, suite) = (uri.map(str::to_owned), suite.to_owned());
        Archive::Debian(DebianArchive { uri, suite, components, keys })
    }

    fn pin(archives: Vec<Archive>, variant: DebianVariant, packages: &[&str]) -> DebianPin {
        let package = |name: &&str| PackagePin {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            arch: "all".to_owned(),
            sha256: String::new(),
            size: 0,
            archive: 0,
            path: String::new(),
        };
        let packages = packages.iter().map(package).collect();
        let set = PackageSet { archives, releases: Vec::new(), packages };
        DebianPin { variant, trim: Vec::new(), set }
    }

    fn text<'a>(files: &'a [ConfigFile], path: &str) -> &'a str {
        let file = files.iter().find(|(name, ..)| name == path).unwrap();
        std::str::from_utf8(&file.2).unwrap()
    }

    #[test]
    fn archives_of_debian_have_public_addresses_and_others_their_keys() {
        let key: std::sync::Arc<[u8]> = b"key".as_slice().into();
        let archives = vec![
            archive("bookworm", None, ArchiveKeys::Distribution),
            archive("bookworm-updates", None, ArchiveKeys::Distribution),
            archive("bookworm-security", None, ArchiveKeys::Distribution),
            archive(
                "stable",
                Some("https://apt.example.org/x"),
                ArchiveKeys::Given(vec![("x.asc".to_owned(), key)]),
            ),
        ];
        let pin = pin(archives, DebianVariant::Minbase, &["apt", "debian-archive-keyring"]);
        let files = files(&pin);
        let by = "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg";
        assert_eq!(
            text(&files, "etc/apt/sources.list.d/debian.sources"),
            format!(
                "Types: deb\nURIs: {DEBIAN_MIRROR}\nSuites: bookworm bookworm-updates\nComponents: main\n{by}\n\n\
                 Types: deb\nURIs: {DEBIAN_SECURITY_MIRROR}\nSuites: bookworm-security\nComponents: main\n{by}\n\n\
                 Types: deb\nURIs: https://apt.example.org/x\nSuites: stable\nComponents: main\n\
                 Signed-By: /etc/apt/keyrings/x.asc\n"
            )
        );
        assert_eq!(text(&files, "etc/apt/keyrings/x.asc"), "key");
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn trimming_is_configured_for_later_packages_too() {
        let mut pin = pin(Vec::new(), DebianVariant::Minbase, &["dpkg"]);
        assert!(files(&pin).is_empty());
        pin.trim = vec![Trim::Locales];
        assert_eq!(
            text(&files(&pin), "etc/dpkg/dpkg.cfg.d/trim"),
            "path-exclude=/usr/share/locale/*\npath-include=/usr/share/locale/locale.alias\n"
        );
        pin.variant = DebianVariant::Minideb;
        let files = files(&pin);
        assert!(text(&files, "etc/dpkg/dpkg.cfg.d/trim").contains("exclude=/usr/share/doc/*\n"));
        assert!(text(&files, "usr/sbin/install_packages").starts_with("#!/bin/sh\n"));
    }
}
