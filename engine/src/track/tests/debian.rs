//! Packages of Debian archives, from an archive that was made once.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const RELEASE_1: &[u8] = include_bytes!("../testdata/InRelease-1");
const RELEASE_2: &[u8] = include_bytes!("../testdata/InRelease-2");
const EXPIRING: &[u8] = include_bytes!("../testdata/InRelease-expiring");
const PACKAGES_1: &[u8] = include_bytes!("../testdata/Packages-1");
const PACKAGES_2: &[u8] = include_bytes!("../testdata/Packages-2");
const QEMU: &[u8] = include_bytes!("../testdata/qemu-user-static.deb");

fn debian_ask(server: &Server) -> DebianAsk {
    let archive = DebianArchive {
        uri: Some(server.url("/debian/")),
        suite: "bookworm".to_owned(),
        components: vec!["main".to_owned()],
        keys: ArchiveKeys::Distribution,
    };
    DebianAsk {
        arch: "amd64".to_owned(),
        archives: vec![archive],
        variant: DebianVariant::Extract,
        include: vec!["hello".to_owned()],
        exclude: Vec::new(),
        recommends: false,
        trim: Vec::new(),
    }
}

/// The same of another archive.
fn of(mut ask: DebianAsk, change: impl FnOnce(&mut DebianArchive)) -> DebianAsk {
    change(&mut ask.archives[0]);
    ask
}

/// A mirror with a release that can be exchanged: 0 and 1 are in order, 2 expires, 3 is tampered
/// with, 4 has a broken index.
fn mirror(release: Arc<AtomicUsize>) -> Server {
    Server::start(move |r| {
        let release = release.load(Ordering::SeqCst);
        let (text, packages) = match release {
            1 => (RELEASE_2.to_vec(), PACKAGES_2),
            2 => (EXPIRING.to_vec(), PACKAGES_1),
            3 => (
                String::from_utf8_lossy(RELEASE_1).replace("Acquire", "acquire").into(),
                PACKAGES_1,
            ),
            4 => (RELEASE_1.to_vec(), &b"Package: evil\n"[..]),
            _ => (RELEASE_1.to_vec(), PACKAGES_1),
        };
        let tag = format!("\"r{release}\"");
        let path = r.path.strip_prefix("/debian/").unwrap_or("");
        let hash = Digest::sha256(packages).hex();
        if path == "dists/bookworm/InRelease" || path == "dists/trixie/InRelease" {
            if r.header("if-none-match") == Some(&tag) {
                return Reply::new(304, "");
            }
            return Reply::new(200, text).with("ETag", &tag);
        }
        if path == format!("dists/bookworm/main/binary-amd64/by-hash/SHA256/{hash}") || release == 4
        {
            return Reply::new(200, packages);
        }
        match path {
            "pool/qemu.deb" => Reply::new(200, QEMU),
            _ => Reply::new(404, ""),
        }
    })
}

fn steady(release: usize) -> Server {
    mirror(Arc::new(AtomicUsize::new(release)))
}

fn paths(server: &Server) -> Vec<String> {
    let short = |r: &super::http::testserver::Request| {
        r.path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    server.requests().iter().map(short).collect()
}

#[test]
fn packages_are_pinned_by_a_signed_release() {
    let (world, server) = (World::new(), steady(0));
    let ask = debian_ask(&server);
    let packages = world.packages(&ask).unwrap();
    assert_eq!(packages.len(), 1);
    let hello = &packages[0];
    assert_eq!((hello.name.as_str(), hello.version.as_str()), ("hello", "1.0-1"));
    assert_eq!((hello.path.as_str(), hello.archive), ("pool/hello.deb", 0));
    assert_eq!(paths(&server).len(), 2);

    // The next run asks whether there is news, and nothing more.
    assert_eq!(world.packages(&ask).unwrap(), packages);
    assert_eq!(paths(&server)[2..], ["InRelease"]);
    // Another question on the same release needs no network but for that.
    let both =
        DebianAsk { include: vec!["qemu-user-static".into(), "hello".into()], ..ask.clone() };
    let names: Vec<_> = world.packages(&both).unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["hello", "qemu-user-static"]);
    assert_eq!(paths(&server)[3..], ["InRelease"]);
}

#[test]
fn without_the_network_the_last_answer_counts() {
    let (mut world, server) = (World::new(), steady(2));
    let ask = debian_ask(&server);
    let packages = world.packages(&ask).unwrap();
    let before = server.requests().len();
    world.options.http.offline = true;
    world.options.now = NOW + 30 * DAY;
    assert_eq!(world.packages(&ask).unwrap(), packages);
    let other = of(ask, |a| a.uri = Some(server.url("/other")));
    let error = world.packages(&other).unwrap_err();
    assert!(error.blames_upstream && error.message.contains("--offline"), "{error:?}");
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_newer_release_is_taken_and_an_older_one_refused() {
    let release = Arc::new(AtomicUsize::new(0));
    let (world, server) = (World::new(), mirror(release.clone()));
    let ask = debian_ask(&server);
    assert_eq!(world.packages(&ask).unwrap()[0].version, "1.0-1");
    release.store(1, Ordering::SeqCst);
    assert_eq!(world.packages(&ask).unwrap()[0].version, "1.0-2");
    release.store(0, Ordering::SeqCst);
    let error = world.packages(&ask).unwrap_err();
    assert!(
        error.message.contains("2024-06-03") && error.message.contains("2024-06-04"),
        "{error:?}"
    );
    release.store(1, Ordering::SeqCst);
    assert_eq!(world.packages(&ask).unwrap()[0].version, "1.0-2");
}

#[test]
fn an_expired_release_is_refused_also_when_it_is_the_copy() {
    let (mut world, server) = (World::new(), steady(2));
    let ask = debian_ask(&server);
    world.packages(&ask).unwrap();
    world.options.now = NOW + 30 * DAY;
    let error = world.packages(&ask).unwrap_err();
    assert!(error.message.contains("expired"), "{error:?}");
}

#[test]
fn what_is_not_signed_as_it_stands_is_refused() {
    let (world, server) = (World::new(), steady(3));
    let error = world.packages(&debian_ask(&server)).unwrap_err();
    assert!(error.message.contains("altered after signing"), "{error:?}");
    assert_eq!(paths(&server), ["InRelease"]);
    // Debian's own keys did not sign it.
    let (mut world, server) = (World::new(), steady(0));
    world.options.keys = None;
    let error = world.packages(&debian_ask(&server)).unwrap_err();
    assert!(error.message.contains("no acceptable signature"), "{error:?}");
    // The right release was remembered with the test's keys only.
    let world_with_keys = World::new();
    world_with_keys.packages(&debian_ask(&server)).unwrap();
    let mut other = world_with_keys;
    other.options.keys = None;
    assert!(other.packages(&debian_ask(&server)).is_err());
}

#[test]
fn an_index_that_the_release_does_not_vouch_for_is_refused() {
    let (world, server) = (World::new(), steady(4));
    let error = world.packages(&debian_ask(&server)).unwrap_err();
    assert!(error.message.contains("sha256:") || error.message.contains("bytes"), "{error:?}");
    assert!(
        !world
            .dir
            .path()
            .join("store/mabuild/downloads/sha256")
            .join(Digest::sha256("Package: evil\n").hex())
            .exists()
    );
}

#[test]
fn another_suite_than_asked_for_is_refused() {
    let (world, server) = (World::new(), steady(0));
    let ask = of(debian_ask(&server), |a| a.suite = "trixie".to_owned());
    let error = world.packages(&ask).unwrap_err();
    assert!(error.message.contains("in its place"), "{error:?}");
    let ask = of(debian_ask(&server), |a| a.suite = "../../etc".to_owned());
    assert!(world.packages(&ask).unwrap_err().message.contains("no name of a Debian suite"));
}

#[test]
fn wrong_questions_are_told_what_there_is() {
    let (world, server) = (World::new(), steady(0));
    let ask = debian_ask(&server);
    let unknown = DebianAsk { include: vec!["helo".into()], ..ask.clone() };
    assert!(world.packages(&unknown).unwrap_err().message.contains("did you mean hello"));
    let component = of(ask.clone(), |a| a.components = vec!["contrib".into()]);
    let error = world.packages(&component).unwrap_err();
    assert!(error.message.contains("no component `contrib`; it has main"), "{error:?}");
    let arch = DebianAsk { arch: "s390x".into(), ..ask.clone() };
    let error = world.packages(&arch).unwrap_err();
    assert!(error.message.contains("no architecture `s390x`; it has amd64, arm64"), "{error:?}");
    let arch = DebianAsk { arch: "arm64".into(), ..ask };
    assert!(world.packages(&arch).unwrap_err().message.contains("lists no packages of main"));
}

#[test]
fn one_run_asks_a_mirror_once() {
    let (world, server) = (World::new(), steady(0));
    let ask = |include: &str| {
        let include = vec![include.to_owned()];
        UpstreamAsk::Debian(DebianAsk { include, ..debian_ask(&server) })
    };
    let asks = vec![ask("hello"), ask("qemu-user-static"), ask("missing")];
    let facts = find_facts(&world.run(), vec![], asks.clone());
    assert!(facts.upstream(&asks[0]).is_ok() && facts.upstream(&asks[1]).is_ok());
    assert!(facts.upstream(&asks[2]).is_err());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn the_mirror_comes_from_question_environment_or_apt() {
    let (mut world, server) = (World::new(), steady(0));
    let ask = of(debian_ask(&server), |a| a.uri = None);
    let lists = world.dir.path().join("apt/sources.list.d");
    std::fs::create_dir_all(&lists).unwrap();
    let text = format!(
        "Types: deb\nURIs: {}\nSuites: bookworm\nComponents: main\n",
        server.url("/debian/")
    );
    std::fs::write(lists.join("debian.sources"), text).unwrap();
    assert_eq!(world.packages(&ask).unwrap().len(), 1);
    let other = Server::start(|_| Reply::new(404, ""));
    world.options.env.insert("DEBIAN_MIRROR".to_owned(), other.address.clone());
    assert!(world.packages(&ask).is_err());
    assert_eq!(other.requests()[0].path, "/dists/bookworm/InRelease");
    let given = debian_ask(&server);
    assert_eq!(world.packages(&given).unwrap().len(), 1);
}

#[test]
fn an_index_is_found_by_its_name_when_not_by_its_hash() {
    let world = World::new();
    let server = Server::start(|r| match r.path.rsplit('/').next() {
        Some("InRelease") => Reply::new(200, RELEASE_1),
        Some("Packages") => Reply::new(200, PACKAGES_1),
        _ => Reply::new(404, ""),
    });
    assert_eq!(world.packages(&debian_ask(&server)).unwrap().len(), 1);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn emulators_are_taken_out_of_a_package_once() {
    let (mut world, server) = (World::new(), steady(0));
    world.options.env.insert("DEBIAN_MIRROR".to_owned(), server.url("/debian"));
    let folder = world.run().emulators("amd64", &["aarch64"]).unwrap();
    assert_eq!(std::fs::read(folder.join("qemu-aarch64")).unwrap(), b"static aarch64");
    assert_eq!(std::fs::read(folder.join("qemu-arm")).unwrap(), b"static arm");
    let mode = std::fs::metadata(folder.join("qemu-arm")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o7777, 0o755);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "links and other programs stay out");

    let before = server.requests().len();
    world.options.http.offline = true;
    assert_eq!(world.run().emulators("amd64", &["arm", "aarch64"]).unwrap(), folder);
    assert_eq!(server.requests().len(), before);
    world.options.http.offline = false;
    let error = world.run().emulators("amd64", &["s390x"]).unwrap_err();
    assert!(error.message.contains("no emulator for s390x"), "{error:?}");
}
