//! Archives of Debian that misbehave: each fault has its message, nothing wrong is kept, and what
//! else a run asks for goes on.

use mabuild_tests::debian::{Key, Pkg};
use mabuild_tests::server::Answer;

use super::*;
use DebianVariant::Extract;

const INDEX: &str = "debian/dists/bookworm/main/binary-amd64/";

/// Two archives, one of which a test makes misbehave.
struct Fault {
    world: World,
    bad: TestArchive,
    good: TestArchive,
    _folder: tempfile::TempDir,
}

impl Fault {
    fn new() -> Self {
        let mut world = World::new();
        world.options.http.stall_timeout = Duration::from_millis(900);
        let folder = tempfile::tempdir().unwrap();
        let mut bad = TestArchive::new(world.dir.path(), "bookworm", &["amd64"]);
        bad.package(hello("1.0-1")).publish(NOW - 2 * DAY);
        // Of another version, so that no file of one is that of the other.
        let mut good = TestArchive::new(folder.path(), "bookworm", &["amd64"]);
        good.package(hello("9-1")).publish(NOW - 2 * DAY);
        Self { world, bad, good, _folder: folder }
    }

    fn ask(&self) -> DebianAsk {
        ask_of(&self.bad, Extract, &["hello"])
    }

    /// Asks both archives; gives the answer of the one that misbehaves.
    fn get(&self, run: &Tracking) -> Result<Vec<PackagePin>, FactError> {
        let asks = [self.ask(), ask_of(&self.good, Extract, &["hello"])].map(UpstreamAsk::Debian);
        let facts = find_facts(run, vec![], asks.to_vec());
        assert!(facts.upstream(&asks[1]).is_ok(), "the other archive is not concerned");
        self.nothing_wrong_is_kept();
        facts.upstream(&asks[0]).map(|pin| pin.packages().unwrap().packages.clone())
    }

    /// The message with which the archive is refused.
    fn refusal(&self) -> String {
        let error = self.get(&self.world.run()).unwrap_err();
        assert!(error.blames_upstream, "{error:?}");
        assert!(error.message.contains(&self.bad.uri()), "{error:?}");
        error.message
    }

    /// The archive is in order: it is believed again, in this version.
    fn gives(&self, version: &str) {
        let packages = self.get(&self.world.run()).unwrap();
        assert_eq!(shown(&packages), [format!("hello {version}")]);
    }

    fn nothing_wrong_is_kept(&self) {
        let folder = self.world.dir.path().join("store/mabuild/downloads/sha256");
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let digest = Digest::sha256(std::fs::read(&path).unwrap());
            assert_eq!(path.file_name().unwrap().to_str(), Some(&*digest.hex()));
        }
    }
}

fn hello(version: &str) -> Pkg {
    Pkg::new("hello", version).arch("amd64").file("usr/share/hello", version)
}

#[test]
fn a_mirror_in_the_middle_of_an_update_is_told_apart() {
    let mut fault = Fault::new();
    let before = fault.bad.files();
    fault.bad.package(hello("1.0-2")).publish(NOW - DAY);
    // The new release is there, the indexes are still the old ones.
    fault.bad.fault(move |path| {
        let old = before.get(path).map(|body| Answer::ok(body.to_vec()));
        (!path.ends_with("InRelease")).then(|| old.unwrap_or_else(|| Answer::status(404)))
    });
    let error = fault.refusal();
    assert!(error.contains("the mirror is being updated"), "{error}");
    assert!(error.contains("try again in some minutes, or take another mirror"), "{error}");
    let asked = fault.bad.server.paths();
    let first = asked.iter().position(|path| path.contains("by-hash")).unwrap();
    let by_name = asked.iter().position(|path| path.ends_with("Packages.xz")).unwrap();
    assert!(first < by_name, "{asked:?}");
    fault.bad.heal();
    fault.gives("1.0-2");
}

#[test]
fn an_index_by_its_digest_outlives_an_update() {
    let fault = Fault::new();
    let index = format!("{INDEX}Packages.xz");
    fault.bad.fault(move |path| (path == index).then(|| Answer::ok("newer already")));
    fault.gives("1.0-1");
}

#[test]
fn another_form_of_an_index_serves_as_well() {
    let mut fault = Fault::new();
    fault.bad.release.by_hash = false;
    fault.bad.publish(NOW - 2 * DAY);
    fault.bad.fault(|path| path.ends_with("Packages.xz").then(|| Answer::ok("newer already")));
    fault.gives("1.0-1");
}

#[test]
fn an_index_that_is_not_there_is_no_fault_of_the_question() {
    let fault = Fault::new();
    fault.bad.fault(|path| path.contains("/binary-").then(|| Answer::status(404)));
    let error = fault.refusal();
    assert!(error.contains("in the signed release, but not on the mirror"), "{error}");
    fault.bad.heal();
    fault.gives("1.0-1");
}

#[test]
fn a_lying_mirror_is_not_believed() {
    let fault = Fault::new();
    let files = fault.bad.files();
    let flip = |body: &[u8]| {
        let mut body = body.to_vec();
        let middle = body.len() / 2;
        body[middle] ^= 1;
        Answer::ok(body)
    };
    // Indexes of the right size and other content, under every name.
    let served = files.clone();
    fault.bad.fault(move |path| {
        let body = served.get(path).filter(|_| path.contains("/binary-"));
        body.map(|body| flip(body))
    });
    let error = fault.refusal();
    assert!(error.contains("not the one that the signed release names"), "{error}");

    // A package of the right size and other content.
    fault.bad.heal();
    let packages = fault.get(&fault.world.run()).unwrap();
    fault.bad.fault(move |path| path.ends_with(".deb").then(|| flip(&files[path])));
    let archive = Archive::Debian(fault.ask().archives[0].clone());
    let fetch = || fault.world.run().fetch_package(&archive, &packages[0]);
    let error = fetch().unwrap_err();
    assert!(error.blames_upstream, "{error:?}");
    assert!(error.message.contains("hello 1.0-1 of bookworm is not the file"), "{error:?}");
    assert!(error.message.contains(&packages[0].sha256), "{error:?}");
    fault.nothing_wrong_is_kept();
    fault.bad.heal();
    assert!(fetch().is_ok());
}

#[test]
fn who_signs_must_be_known_and_in_time() {
    let mut fault = Fault::new();
    let own = std::mem::replace(&mut fault.bad.key, Key::new(1_000_000_000, None));
    fault.bad.publish(NOW - 2 * DAY);
    let error = fault.refusal();
    let stranger = fault.bad.key.fingerprint();
    assert!(error.contains(&format!("{stranger} is not in the keyring")), "{error}");
    assert!(error.contains("`signed-by`"), "{error}");

    // The signature has its own end.
    fault.bad.key = own;
    fault.bad.release.signature_valid = Some(3600);
    fault.bad.publish(NOW - 2 * DAY);
    let error = fault.refusal();
    assert!(error.contains("the signature itself is expired"), "{error}");

    // So has the key.
    fault.bad.release.signature_valid = None;
    fault.bad.key = Key::new(NOW - 30 * DAY, Some(10 * 86_400));
    std::fs::write(fault.bad.keys(), fault.bad.key.public()).unwrap();
    fault.bad.publish(NOW - 25 * DAY);
    let error = fault.refusal();
    assert!(error.contains("the key expired at 2024-05-16"), "{error}");

    fault.bad.key = Key::new(NOW - 30 * DAY, None);
    std::fs::write(fault.bad.keys(), fault.bad.key.public()).unwrap();
    fault.bad.publish(NOW - 2 * DAY);
    fault.gives("1.0-1");
}

#[test]
fn a_signature_may_stand_beside_the_release() {
    let mut fault = Fault::new();
    fault.bad.release.detached = true;
    fault.bad.publish(NOW - 2 * DAY);
    fault.gives("1.0-1");
    let before = fault.bad.server.paths().len();
    fault.gives("1.0-1");
    let names = ["InRelease", "Release", "Release.gpg"];
    let asked = fault.bad.server.paths().split_off(before);
    assert_eq!(asked, names.map(|name| format!("/debian/dists/bookworm/{name}")));
    fault.world.options.http.offline = true;
    fault.gives("1.0-1");

    // Altered, unsigned, not there at all.
    let fault = Fault { world: World::new(), ..fault };
    let release = fault.bad.files()["debian/dists/bookworm/Release"].clone();
    fault.bad.fault(move |path| {
        let text = String::from_utf8(release.to_vec()).unwrap();
        path.ends_with("/Release").then(|| Answer::ok(text.replace("main", "mine")))
    });
    let error = fault.refusal();
    assert!(error.contains("altered after signing"), "{error}");
    fault.bad.fault(|path| path.ends_with("Release.gpg").then(|| Answer::status(404)));
    let error = fault.refusal();
    assert!(error.contains("the release is not signed"), "{error}");
    fault.bad.fault(|path| path.contains("/dists/").then(|| Answer::status(404)));
    let error = fault.get(&fault.world.run()).unwrap_err();
    assert!(error.message.contains("there is no such suite"), "{error:?}");
    assert!(!error.blames_upstream, "{error:?}");
}

#[test]
fn updates_cannot_be_held_back() {
    let mut fault = Fault::new();
    let old = fault.bad.files();
    fault.bad.package(hello("1.0-2")).publish(NOW - DAY);
    fault.gives("1.0-2");
    fault.bad.fault(move |path| old.get(path).map(|body| Answer::ok(body.to_vec())));
    let error = fault.refusal();
    assert!(error.contains("2024-06-03") && error.contains("2024-06-04"), "{error}");
    assert!(error.contains("seen before"), "{error}");

    // An empty store knows of it by the lock.
    let fault = Fault { world: World::new(), ..fault };
    let archive = Archive::Debian(fault.ask().archives[0].clone());
    let run = fault.world.run();
    run.expect_at_least(&archive, NOW - DAY);
    run.expect_at_least(&archive, NOW - 3 * DAY);
    let error = fault.get(&run).unwrap_err();
    assert!(error.blames_upstream, "{error:?}");
    assert!(error.message.contains("2024-06-03") && error.message.contains("mabuild.lock"));
    let run = fault.world.run();
    run.expect_at_least(&archive, NOW - 2 * DAY);
    assert_eq!(shown(&fault.get(&run).unwrap()), ["hello 1.0-1"]);
}

#[test]
fn dates_of_releases_count() {
    let mut fault = Fault::new();
    fault.bad.release.valid = Some(DAY);
    fault.bad.publish(NOW - 2 * DAY);
    let error = fault.refusal();
    assert!(error.contains("expired at 2024-06-04"), "{error}");
    fault.bad.release.valid = None;
    fault.bad.publish(NOW + 2 * DAY);
    let error = fault.refusal();
    assert!(error.contains("the future") && error.contains("clock"), "{error}");
    fault.bad.publish(NOW + DAY / 2);
    fault.gives("1.0-1");
}

#[test]
fn a_mirror_that_falls_silent_is_given_up() {
    let fault = Fault::new();
    for (part, sent) in [("InRelease", 0), ("by-hash", 50)] {
        let files = fault.bad.files();
        fault.bad.fault(move |path| {
            path.contains(part).then(|| Answer::Stall(files[path].clone(), sent))
        });
        let start = std::time::Instant::now();
        let error = fault.refusal();
        assert!(error.contains("for 900ms") && error.contains("take another mirror"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
    fault.bad.heal();
    fault.gives("1.0-1");
}

#[test]
fn a_redirection_that_leads_nowhere_ends() {
    let fault = Fault::new();
    let to = fault.bad.server.address.clone();
    fault.bad.fault(move |path| {
        let location = format!("{to}/{path}");
        path.ends_with("InRelease")
            .then(|| Answer::Reply(302, vec![("Location", location)], Arc::default()))
    });
    let error = fault.refusal();
    assert!(error.contains("more than 10 redirections"), "{error}");
    assert!(fault.bad.server.paths().len() < 15);
}

#[test]
fn a_locked_package_that_is_gone_is_named() {
    let mut fault = Fault::new();
    let packages = fault.get(&fault.world.run()).unwrap();
    fault.bad.package(hello("1.0-2")).publish(NOW - DAY);
    let archive = Archive::Debian(fault.ask().archives[0].clone());
    let error = fault.world.run().fetch_package(&archive, &packages[0]).unwrap_err();
    for part in ["hello 1.0-1 of bookworm", "moved on", "hello_1.0-1_amd64.deb", "upstream update"]
    {
        assert!(error.message.contains(part), "{part}: {error:?}");
    }
    assert!(error.blames_upstream);
}

#[test]
fn a_package_that_breaks_off_is_not_kept() {
    let fault = Fault::new();
    let packages = fault.get(&fault.world.run()).unwrap();
    let archive = Archive::Debian(fault.ask().archives[0].clone());
    let fetch = || fault.world.run().fetch_package(&archive, &packages[0]);
    // The connection ends early; the file itself is short.
    for (breaks_off, says) in [(true, "tried"), (false, "has 90 bytes, but")] {
        let files = fault.bad.files();
        fault.bad.fault(move |path| {
            let body = files.get(path).filter(|_| path.ends_with(".deb"))?;
            Some(match breaks_off {
                true => Answer::Cut(body.clone(), 90),
                false => Answer::ok(&body[..90]),
            })
        });
        let error = fetch().unwrap_err();
        assert!(error.blames_upstream, "{error:?}");
        assert!(error.message.contains("hello 1.0-1 of bookworm"), "{error:?}");
        assert!(error.message.contains(says), "{error:?}");
        fault.nothing_wrong_is_kept();
    }
    fault.bad.heal();
    assert!(fetch().is_ok());
}
