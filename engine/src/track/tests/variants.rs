//! What systems of Debian are made of.

use mabuild_tests::debian::Pkg;

use super::*;
use DebianVariant::{Extract, Minbase, Minideb, Standard};

/// A small distribution.
fn distribution(world: &World) -> TestArchive {
    let mut archive = TestArchive::new(world.dir.path(), "bookworm", &["amd64", "arm64"]);
    let pkg = |name: &str, priority: &str| Pkg::new(name, "1").arch("amd64").priority(priority);
    archive
        .package(pkg("base-files", "required").essential().pre_depends("mawk | awk"))
        .package(pkg("mawk", "required").provides("awk"))
        .package(pkg("ncurses-bin", "required").essential())
        .package(pkg("e2fsprogs", "required").depends("libc6"))
        .package(pkg("libc6", "optional").recommends("tips"))
        .package(pkg("tips", "optional"))
        .package(pkg("apt", "important").depends("libc6, gpgv"))
        .package(pkg("gpgv", "important"))
        .package(pkg("tzdata", "important"))
        .package(pkg("perl", "standard"))
        .package(pkg("vim", "optional").depends("vim-common (= 1)"))
        .package(Pkg::new("vim-common", "1"))
        .package(Pkg::new("other", "1").arch("arm64").priority("required"))
        .publish(NOW - DAY);
    archive
}

const MINBASE: [&str; 7] =
    ["apt 1", "base-files 1", "e2fsprogs 1", "gpgv 1", "libc6 1", "mawk 1", "ncurses-bin 1"];

#[test]
fn a_variant_is_its_packages_and_what_they_need() {
    let world = World::new();
    let archive = distribution(&world);
    let get = |ask: DebianAsk| shown(&world.packages(&ask).unwrap());
    let ask = |variant| ask_of(&archive, variant, &[]);
    assert_eq!(get(ask(Minbase)), MINBASE);
    let minideb =
        ["apt 1", "base-files 1", "gpgv 1", "libc6 1", "mawk 1", "ncurses-bin 1", "tzdata 1"];
    assert_eq!(get(ask(Minideb)), minideb, "not all required ones");
    let mut standard = [&MINBASE[..], &["perl 1", "tzdata 1"]].concat();
    assert_eq!(get(ask(Standard)), standard);
    assert_eq!(get(ask_of(&archive, Extract, &["vim"])), ["vim 1"]);

    standard.extend(["vim 1", "vim-common 1"]);
    assert_eq!(get(ask_of(&archive, Standard, &["vim"])), standard);
    // Each answer is remembered by itself: nothing but the news of the release is asked for.
    let before = archive.server.paths().len();
    assert_eq!(get(ask(Minbase)), MINBASE);
    let exclude = vec!["e2fsprogs".to_owned(), "apt".to_owned()];
    let less = get(DebianAsk { exclude, ..ask(Minbase) });
    assert_eq!(less, ["base-files 1", "mawk 1", "ncurses-bin 1"]);
    let more = get(DebianAsk { recommends: true, ..ask(Minbase) });
    assert_eq!(more, [&MINBASE[..], &["tips 1"]].concat());
    let paths = archive.server.paths().split_off(before);
    assert_eq!(paths, vec!["/debian/dists/bookworm/InRelease"; 3]);
}

#[test]
fn what_cannot_be_had_says_why() {
    let world = World::new();
    let archive = distribution(&world);
    let get = |ask: &DebianAsk| world.packages(ask).unwrap_err().message;
    let error = get(&ask_of(&archive, Minbase, &["vin"]));
    assert!(error.contains("bookworm") && error.contains("did you mean vim"), "{error}");
    let error = get(&ask_of(&archive, Extract, &["vim=2"]));
    assert!(error.contains("no vim 2; there is 1"), "{error}");
    let exclude = vec!["vim-common".to_owned()];
    let error = get(&DebianAsk { exclude, ..ask_of(&archive, Minbase, &["vim"]) });
    assert!(error.contains("vim-common"), "{error}");
    assert_eq!(shown(&world.packages(&ask_of(&archive, Extract, &["vim=1"])).unwrap()), ["vim 1"]);
}

#[test]
fn the_highest_version_of_all_archives_counts() {
    let world = World::new();
    let mut archive = distribution(&world);
    archive
        .package_of("bookworm-updates", Pkg::new("tzdata", "2").arch("amd64"))
        .package_of("bookworm-security", Pkg::new("libc6", "1+deb12u1").arch("amd64"))
        .publish(NOW - DAY);
    let mut ask = ask_of(&archive, Minideb, &[]);
    ask.archives.push(archive_of(&archive, "bookworm-updates"));
    ask.archives.push(archive_of(&archive, "bookworm-security"));
    let packages = world.packages(&ask).unwrap();
    let from = |name: &str| {
        let package = packages.iter().find(|package| package.name == name).unwrap();
        (package.version.as_str(), package.archive)
    };
    assert_eq!(from("tzdata"), ("2", 1));
    assert_eq!(from("libc6"), ("1+deb12u1", 2));
    assert_eq!(from("apt"), ("1", 0));
    let run = world.run();
    let libc = packages.iter().find(|package| package.name == "libc6").unwrap();
    ask.arch = "s390x".to_owned();
    ask.archives.remove(0);
    ask.archives.remove(0);
    let error = world.packages(&ask).unwrap_err();
    assert!(error.message.contains("no architecture `s390x`; it has all, amd64"), "{error:?}");
    let deb = run.fetch_package(&Archive::Debian(ask.archives[0].clone()), libc).unwrap();
    assert_eq!(std::fs::metadata(deb).unwrap().len(), libc.size);
}

#[test]
fn a_suite_is_asked_for_its_components_by_each_question() {
    let world = World::new();
    let archive = distribution(&world);
    let good = ask_of(&archive, Extract, &["vim"]);
    let mut bad = good.clone();
    bad.archives[0].components = vec!["contrib".to_owned()];
    let asks = [bad, good].map(UpstreamAsk::Debian);
    let facts = find_facts(&world.run(), vec![], asks.to_vec());
    let error = facts.upstream(&asks[0]).unwrap_err();
    assert!(error.message.contains("no component `contrib`; it has main"), "{error:?}");
    assert!(facts.upstream(&asks[1]).is_ok());
}

#[test]
fn architectures_are_apart() {
    let world = World::new();
    let archive = distribution(&world);
    let arm64 =
        DebianAsk { arch: "arm64".to_owned(), ..ask_of(&archive, Minbase, &["vim-common"]) };
    assert_eq!(shown(&world.packages(&arm64).unwrap()), ["other 1", "vim-common 1"]);
}

#[test]
fn packages_for_all_architectures_may_be_listed_apart() {
    let world = World::new();
    let mut archive = distribution(&world);
    archive.release.separate_all = true;
    archive.publish(NOW - DAY);
    let packages = world.packages(&ask_of(&archive, Extract, &["vim", "vim-common"])).unwrap();
    assert_eq!(shown(&packages), ["vim 1", "vim-common 1"]);
}
