//! Packages on top of images, and what is newer than what they have.

use mabuild_tests::debian::Pkg;

use super::*;
use crate::facts::{Distro, Family, Installed, PackagesAsk, PackagesPin};

fn installed(name: &str, version: &str) -> Installed {
    let (name, version) = (name.to_owned(), version.to_owned());
    Installed { name, version, arch: "amd64".to_owned(), provides: None }
}

/// What an image has whose archives are those of a test.
fn distro(archive: &TestArchive) -> Distro {
    Distro {
        family: Family::Debian,
        arch: "amd64".to_owned(),
        archives: ["bookworm", "bookworm-security"]
            .map(|suite| Archive::Debian(archive_of(archive, suite)))
            .to_vec(),
        installed: vec![
            installed("base-files", "1"),
            installed("libc6", "2.36-1"),
            installed("mawk", "1"),
            installed("openssl", "3.0-1"),
        ],
    }
}

fn archive(world: &World) -> TestArchive {
    let mut archive = TestArchive::new(world.dir.path(), "bookworm", &["amd64"]);
    let pkg = |name: &str, version: &str| Pkg::new(name, version).arch("amd64");
    archive
        .package(pkg("base-files", "2"))
        .package(pkg("libc6", "2.36-2"))
        .package(pkg("mawk", "1").provides("awk"))
        .package(pkg("gawk", "1").provides("awk"))
        .package(pkg("openssl", "3.0-2"))
        .package(pkg("hello", "1").depends("libc6 (>= 2.36-2), awk"))
        .package(pkg("plain", "1").depends("libc6").recommends("tips"))
        .package(pkg("tips", "1"))
        .package_of("bookworm-security", pkg("openssl", "3.0-2"))
        .package_of("bookworm-security", pkg("mawk", "0.9"))
        .publish(NOW - DAY);
    archive
}

fn ask(below: Option<Distro>, names: &[&str]) -> PackagesAsk {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    PackagesAsk { below: below.map(Arc::new), names, recommends: false }
}

fn get(world: &World, ask: &PackagesAsk) -> Result<PackagesPin, FactError> {
    match &*world.pin(&UpstreamAsk::Packages(ask.clone()))? {
        Pin::Packages(pin) => Ok(pin.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_known_yet_has_no_packages() {
    let pin = get(&World::new(), &ask(None, &["hello"])).unwrap();
    assert_eq!((pin.family, pin.names, pin.below), (None, vec!["hello".to_owned()], String::new()));
    assert!(pin.set.packages.is_empty() && pin.set.archives.is_empty());
}

#[test]
fn only_what_is_new_or_has_to_move_is_pinned() {
    let world = World::new();
    let archive = archive(&world);
    let below = distro(&archive);
    let pin = get(&world, &ask(Some(below.clone()), &["hello"])).unwrap();
    // mawk gives awk, as its archive tells; base-files could be newer, but need not.
    assert_eq!(shown(&pin.set.packages), ["hello 1", "libc6 2.36-2"]);
    assert_eq!(pin.family, Some(Family::Debian));
    assert_eq!(pin.below, below.digest());
    assert_eq!(pin.set.archives.len(), 2);
    let releases: Vec<_> = pin.set.releases.iter().map(|release| &*release.archive).collect();
    assert_eq!(releases, ["bookworm", "bookworm-security"]);

    // Each question is remembered by itself, and then no index is read.
    std::fs::remove_dir_all(world.dir.path().join("store/mabuild/downloads")).unwrap();
    archive.fault(|path| {
        path.contains("Packages").then(|| mabuild_tests::server::Answer::status(404))
    });
    assert_eq!(get(&world, &ask(Some(below.clone()), &["hello"])).unwrap(), pin);
    archive.heal();
    let plain = ask(Some(below.clone()), &["plain"]);
    assert_eq!(shown(&get(&world, &plain).unwrap().set.packages), ["plain 1"]);
    let more = PackagesAsk { recommends: true, ..plain };
    assert_eq!(shown(&get(&world, &more).unwrap().set.packages), ["plain 1", "tips 1"]);
    let mut newer = below.clone();
    newer.installed[1] = installed("libc6", "2.36-2");
    let pin = get(&world, &ask(Some(newer), &["hello"])).unwrap();
    assert_eq!(shown(&pin.set.packages), ["hello 1"]);
    let there = get(&world, &ask(Some(below), &["mawk"])).unwrap();
    assert_eq!(shown(&there.set.packages), [""; 0], "it is there");
}

#[test]
fn what_cannot_be_installed_says_why() {
    let world = World::new();
    let archive = archive(&world);
    let below = distro(&archive);
    let error = get(&world, &ask(Some(below.clone()), &["helo"])).unwrap_err();
    assert!(error.message.contains("did you mean hello"), "{error:?}");
    assert!(!error.blames_upstream);
    let bare = Distro { archives: Vec::new(), ..below };
    let error = get(&world, &ask(Some(bare), &["hello"])).unwrap_err();
    assert!(error.message.contains("names no archive"), "{error:?}");
}

#[test]
fn what_is_newer_is_told_and_whether_it_is_for_security() {
    let world = World::new();
    let mut archive = archive(&world);
    let mut below = distro(&archive);
    below.installed.push(Installed { arch: "i386".to_owned(), ..installed("libc6", "1") });
    below.installed.push(installed("vendor-tool", "1"));
    let all = |security_only| {
        let found = world.run().newer(&below, security_only).unwrap();
        let line = |n: &Newer| {
            let secure = if n.security { " !" } else { "" };
            format!("{} {} {} {}{secure}", n.name, n.installed, n.candidate, n.archive)
        };
        found.iter().map(line).collect::<Vec<_>>()
    };
    let openssl = "openssl 3.0-1 3.0-2 bookworm-security !";
    assert_eq!(all(false), ["base-files 1 2 bookworm", "libc6 2.36-1 2.36-2 bookworm", openssl]);
    let before = archive.server.paths().len();
    assert_eq!(all(true), [openssl]);
    assert_eq!(archive.server.paths().len() - before, 2, "only the releases are asked for");
    // A later update does not hide that security has something.
    archive.package(Pkg::new("openssl", "3.0-3").arch("amd64")).publish(NOW - DAY / 2);
    assert_eq!(all(true), ["openssl 3.0-1 3.0-3 bookworm !"]);
}
