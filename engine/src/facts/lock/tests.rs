use std::sync::Arc;

use proptest::prelude::*;

use super::super::*;
use super::*;

const FIXTURE: &str = include_str!("testdata/lock-1.txt");
const AMD64: &str = "linux/amd64";

fn place<'a>(node: &'a str, slot: &'a str) -> Place<'a> {
    Place { node, platform: AMD64, slot }
}

fn sha256(seed: u64) -> String {
    format!("{seed:064x}")
}

fn digest(seed: u64) -> String {
    format!("sha256:{seed:064x}")
}

fn bytes(text: &str) -> String {
    format!("mabuild-lock 1\n{text}")
}

fn error(text: &str) -> LockError {
    Lock::parse(text).unwrap_err()
}

fn suite(uri: Option<&str>, suite: &str) -> DebianArchive {
    DebianArchive {
        uri: uri.map(str::to_owned),
        suite: suite.into(),
        components: vec!["main".into()],
        keys: ArchiveKeys::Distribution,
    }
}

fn debian(archives: Vec<DebianArchive>) -> DebianAsk {
    DebianAsk {
        arch: "amd64".into(),
        archives,
        variant: DebianVariant::Minbase,
        include: vec!["curl".into()],
        exclude: Vec::new(),
        recommends: false,
        trim: vec![Trim::Docs],
    }
}

fn package(name: &str, version: &str, archive: usize) -> PackagePin {
    PackagePin {
        name: name.into(),
        version: version.into(),
        arch: "amd64".into(),
        sha256: sha256(version.len() as u64),
        size: 10,
        archive,
        path: format!("pool/{name}_{version}.deb"),
    }
}

fn debian_pin(ask: &DebianAsk, packages: Vec<PackagePin>) -> Pin {
    let archives: Vec<Archive> = ask.archives.iter().cloned().map(Archive::Debian).collect();
    let release = |a: &Archive| ReleasePin { archive: a.label().to_owned(), date: 1_700_000_000 };
    let releases = archives.iter().map(release).collect();
    let set = PackageSet { archives, releases, packages };
    Pin::Debian(DebianPin { variant: ask.variant, trim: ask.trim.clone(), set })
}

fn rootfs(location: &str) -> UpstreamAsk {
    UpstreamAsk::Rootfs {
        location: location.into(),
        checksums: None,
        digest: None,
        signature: None,
        follow: None,
    }
}

fn registry(reference: &str) -> UpstreamAsk {
    UpstreamAsk::Registry { reference: reference.into(), range: None, platform: AMD64.into() }
}

fn image(seed: u64, location: &str) -> Pin {
    Pin::Registry { manifest: digest(seed), location: location.into() }
}

fn again(lock: &Lock) -> Lock {
    let text = lock.to_text();
    let read = Lock::parse(&text).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    assert_eq!(read, *lock);
    assert_eq!(read.to_text(), text);
    read
}

/// Puts a pin, writes and reads the lock, and gets the same pin.
fn comes_back(ask: &UpstreamAsk, pin: &Pin) {
    let mut lock = Lock::default();
    lock.put(place("n", "base"), ask, pin);
    assert_eq!(again(&lock).pin(place("n", "base"), ask).as_ref(), Some(pin));
}

#[test]
fn format_1_is_read_and_written_byte_for_byte() {
    let lock = Lock::parse(FIXTURE).unwrap();
    assert_eq!(lock.to_text(), FIXTURE);
    let nodes: Vec<_> = lock.nodes().map(|(node, _)| node).collect();
    let matrix = "app[python=3.12,suite=bookworm]";
    assert_eq!(nodes, ["alpine", "apk", matrix, "golang", "minideb", "proxy"]);
    assert_eq!(lock.line_of(place("alpine", "base"), None), Some(3));
    assert_eq!(lock.line_of(place("minideb", "base"), Some("libssl3")), Some(18));
    assert_eq!(lock.line_of(place("proxy", "packages.2"), None), Some(32));
    assert_eq!(lock.line_of(place("proxy", "packages.3"), None), None);
    assert_eq!(lock.watched(matrix, AMD64), [("openssl".into(), "3.0.16-1".into())]);
    assert_eq!(lock.watch_moved(matrix, AMD64), Some(1_795_255_200));
    let url = FilesAsk::Url { location: "https://example.org/a b.tar.gz".into(), checksum: None };
    assert_eq!(lock.line_of_file("proxy", AMD64, &url), Some(23));
}

#[test]
fn order_ends_of_lines_comments_and_blanks_do_not_matter() {
    let lock = Lock::parse(FIXTURE).unwrap();
    let mut lines: Vec<&str> = FIXTURE.lines().skip(2).collect();
    lines.reverse();
    let text = format!("\u{feff}# x\r\n\r\nmabuild-lock 1\r\n{}\r\n", lines.join("  \r\n\t#\r\n "));
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert_eq!(Lock::parse(&text).unwrap().to_text(), FIXTURE);
    let twice = format!("{FIXTURE}{}", lines.join("\n"));
    assert_eq!(Lock::parse(&twice).unwrap(), lock);
}

#[test]
fn what_is_no_lock_is_refused_with_its_line() {
    let cases = [
        ("", None, "no line `mabuild-lock 1`"),
        ("# only\n", None, "no line `mabuild-lock 1`"),
        ("a b c d e\n", Some(1), "does not start"),
        ("mabuild-lock 2\nn p base new x\n", Some(1), "written by a newer mabuild"),
        ("mabuild-lock 0\n", Some(1), "no format"),
        ("mabuild-lock -1\n", Some(1), "no format"),
        ("mabuild-lock 1\n\nn p base wat x\n", Some(3), "`wat` is no fact; there are: ask"),
        ("mabuild-lock 1\nn p add wat x\n", Some(2), "there are: file commit"),
        ("mabuild-lock 1\nn p watch file x\n", Some(2), "there are: package moved"),
        ("mabuild-lock 1\nn p base\n", Some(2), "ends too early"),
        ("mabuild-lock 1\nn p base ask\n", Some(2), "`ask` is not followed by 0 words"),
        ("mabuild-lock 1\nn p base ask 12\n", Some(2), "not 12 hex digits"),
        ("mabuild-lock 1\nn p base version %zz\n", Some(2), "two hex digits"),
        ("mabuild-lock 1\nn p base version %FF\n", Some(2), "two hex digits"),
        ("mabuild-lock 1\nn p base version a%\n", Some(2), "two hex digits"),
        ("mabuild-lock 1\nn p base archive sha256:../../x y\n", Some(2), "no digest"),
        ("mabuild-lock 1\nn p base family suse\n", Some(2), "no family"),
        ("mabuild-lock 1\nn p base release x yesterday\n", Some(2), "no time"),
        ("mabuild-lock 1\nn p add commit x beef\n", Some(2), "not 40 or 64 hex digits"),
    ];
    for (text, line, message) in cases {
        let error = error(text);
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.message.contains(message), "{text:?}: {error}");
        assert!(!error.help.is_empty());
    }
    let long = error(&bytes(&format!("n p base {} x\n", "\u{202e}é".repeat(5000))));
    assert!(long.message.len() < 900, "{long}");
    let many = "x ".repeat(100_000);
    assert!(Lock::parse(&bytes(&many)).is_err());
    assert!(error(&"#".repeat((64 << 20) + 1)).message.contains("64 MiB"));
    assert!(parse::parse_lines(FIXTURE, FIXTURE.lines().count()).is_ok());
    let long = parse::parse_lines(FIXTURE, 20).unwrap_err();
    assert!(long.message.contains("more than 20 lines"), "{long}");
}

#[test]
fn a_conflict_names_its_lines() {
    let text = bytes("<<<<<<< HEAD\na p base version 1\n=======\na p base version 2\n>>>>>>> x\n");
    let found = error(&text);
    assert_eq!((found.line, found.other_line), (Some(2), Some(6)));
    assert!(found.message.contains("lines 2 to 6"), "{found}");
    assert!(found.help.contains("either side"), "{found:?}");
    assert_eq!(error(&bytes("=======\n")).line, Some(2));
    assert_eq!(error(&bytes("||||||| base\n>>>>>>> x\n")).other_line, Some(3));
    assert_eq!(error("<<<<<<< HEAD\nmabuild-lock 1\n").line, Some(1));
}

#[test]
fn two_values_of_one_fact_name_both_lines() {
    let hash = sha256(1);
    let package = |version: &str| format!("n p base package a {version} all sha256:{hash} 1 s p\n");
    let commit = "01".repeat(20);
    let other = "02".repeat(20);
    let cases = [
        "n p base version 1\n#\nn p base version 2\n".to_owned(),
        format!("{}#\n{}", package("1"), package("2")),
        "n p base release s 5\n#\nn p base release s 6\n".into(),
        "n p watch moved 5\n#\nn p watch moved 6\n".into(),
        "n p watch package a 5\n#\nn p watch package a 6\n".into(),
        format!("n p add commit x#y {commit}\n#\nn p add commit x#y {other}\n"),
    ];
    for text in cases {
        let found = error(&bytes(&text));
        assert_eq!((found.line, found.other_line), (Some(4), Some(2)), "{text}");
        assert!(found.message.contains("lines 2 and 4"), "{found}");
    }
    assert!(Lock::parse(&bytes(&format!("{}{}", package("1"), package("1")))).is_ok());
}

#[test]
fn pins_of_each_kind_come_back() {
    let location = "https://example.org/a b#c%20.tar";
    let pin = Pin::Archive { digest: digest(7), location: location.into(), version: None };
    comes_back(&rootfs(location), &pin);
    let pin = Pin::Archive {
        digest: format!("sha512:{}", "0a".repeat(64)),
        location: "https://example.org/3.20.3".into(),
        version: Some("3.20.3".into()),
    };
    comes_back(&rootfs("https://example.org/{{version}}"), &pin);
    let ask = registry("docker.io/library/golang:1.22-alpine");
    comes_back(&ask, &image(1, "docker.io/library/golang:1.22-alpine"));

    // Two archives of one label, and one that is called as the second would be.
    let other = Some("https://apt.example.org/x");
    let names = ["bookworm", "bookworm", "bookworm@2", "bookworm-security"];
    let ask = debian(names.iter().map(|name| suite(other, name)).collect());
    let packages = (0..4).map(|at| package(&format!("p{at}"), "1:2.0~rc1", at)).collect();
    comes_back(&UpstreamAsk::Debian(ask.clone()), &debian_pin(&ask, packages));
    comes_back(&UpstreamAsk::Debian(ask.clone()), &debian_pin(&ask, Vec::new()));
}

#[test]
fn packages_of_alpine_keep_their_order() {
    let ask = AlpineAsk {
        arch: "x86_64".into(),
        archives: vec![AlpineArchive {
            uri: None,
            path: "v3.20/main".into(),
            tag: None,
            keys: ArchiveKeys::Distribution,
        }],
        world: vec!["busybox".into()],
    };
    let archives = vec![Archive::Alpine(ask.archives[0].clone())];
    let names = ["musl", "busybox", "zlib", "apk-tools"];
    let packages = names.iter().map(|name| package(name, "1-r0", 0)).collect();
    let set = PackageSet { archives, releases: Vec::new(), packages };
    let pin = Pin::Alpine(AlpinePin { arch: "x86_64".into(), world: ask.world.clone(), set });
    let ask = UpstreamAsk::Alpine(ask);
    comes_back(&ask, &pin);

    let mut lock = Lock::default();
    lock.put(place("n", "base"), &ask, &pin);
    let text = lock.to_text();
    assert!(text.contains("busybox-1") || text.contains(" after musl\n"), "{text}");
    let torn: String = text
        .lines()
        .filter(|l| !l.contains("package busybox"))
        .fold(String::new(), |all, line| all + line + "\n");
    let found = error(&torn);
    assert!(found.message.contains("torn"), "{found}");
    assert!(found.line.is_some());
    let ring = text.replace(" package musl 1-r0", " package mus1 1-r0");
    assert!(error(&ring).message.contains("torn"));
}

fn distro(family: Family) -> Distro {
    let archives = vec![Archive::Debian(suite(None, "bookworm"))];
    Distro { family, arch: "amd64".into(), archives, installed: Vec::new() }
}

#[test]
fn packages_of_a_step_come_back_with_what_was_below() {
    let below = Some(Arc::new(distro(Family::Debian)));
    let names = vec!["nginx".to_owned(), "a b".into()];
    let ask = PackagesAsk { below, names: names.clone(), recommends: true };
    let set = PackageSet {
        archives: vec![Archive::Debian(suite(None, "bookworm"))],
        releases: vec![ReleasePin { archive: "bookworm".into(), date: -5 }],
        packages: vec![package("nginx", "1", 0)],
    };
    let pin =
        PackagesPin { family: Some(Family::Debian), names, set: set.clone(), below: sha256(9) };
    let known = UpstreamAsk::Packages(ask.clone());
    comes_back(&known, &Pin::Packages(pin.clone()));

    let mut lock = Lock::default();
    lock.put(place("n", "packages"), &known, &Pin::Packages(pin.clone()));
    let lock = again(&lock);
    let unknown = UpstreamAsk::Packages(PackagesAsk { below: None, ..ask.clone() });
    let without = PackageSet { archives: Vec::new(), ..set };
    let expected = Pin::Packages(PackagesPin { set: without, ..pin.clone() });
    assert_eq!(lock.pin(place("n", "packages"), &unknown), Some(expected.clone()));
    comes_back(&unknown, &expected);
    let alpine = Some(Arc::new(distro(Family::Alpine)));
    let alpine = UpstreamAsk::Packages(PackagesAsk { below: alpine, ..ask.clone() });
    assert_eq!(lock.pin(place("n", "packages"), &alpine), None);
    let fewer = UpstreamAsk::Packages(PackagesAsk { recommends: false, ..ask });
    assert_eq!(lock.pin(place("n", "packages"), &fewer), None);
}

#[test]
fn another_ask_is_not_pinned_and_what_is_local_is_not_locked() {
    let base = debian(vec![suite(None, "bookworm")]);
    let pin = debian_pin(&base, Vec::new());
    let mut lock = Lock::default();
    lock.put(place("n", "base"), &UpstreamAsk::Debian(base.clone()), &pin);
    let changed: [fn(&mut DebianAsk); 9] = [
        |ask| ask.arch = "arm64".into(),
        |ask| ask.archives[0].uri = Some(String::new()),
        |ask| ask.archives[0].suite = "trixie".into(),
        |ask| ask.archives[0].components.push("contrib".into()),
        |ask| ask.archives[0].keys = ArchiveKeys::File("/a".into()),
        |ask| ask.variant = DebianVariant::Minideb,
        |ask| ask.include = vec!["cur".into(), "l".into()],
        |ask| ask.exclude = std::mem::take(&mut ask.include),
        |ask| ask.trim.clear(),
    ];
    for change in changed {
        let mut ask = base.clone();
        change(&mut ask);
        assert_eq!(lock.pin(place("n", "base"), &UpstreamAsk::Debian(ask)), None);
    }
    let keys = |path: &str| {
        let mut ask = base.clone();
        ask.archives[0].keys = ArchiveKeys::File(path.into());
        ask::digest(&UpstreamAsk::Debian(ask))
    };
    assert_eq!(keys("/home/a/key.asc"), keys("/srv/key.asc"));

    let local = rootfs("/srv/rootfs.tar");
    assert!(!is_locked(&local) && is_locked(&rootfs("http://example.org/x")));
    assert!(is_locked(&registry("docker.io/library/a@sha256:00")));
    let pin = Pin::Archive { digest: digest(1), location: "/srv/rootfs.tar".into(), version: None };
    lock.put(place("n", "base"), &local, &pin);
    assert_eq!(lock, Lock::default());
    let layout =
        UpstreamAsk::OciLayout { path: "/l".into(), reference: None, platform: AMD64.into() };
    lock.put(place("n", "base"), &layout, &Pin::Layout { manifest: digest(1), path: "/l".into() });
    assert_eq!(lock, Lock::default());
}

#[test]
fn the_digest_of_an_ask_stays() {
    let ask = debian(vec![suite(None, "bookworm")]);
    let found = [ask::digest(&UpstreamAsk::Debian(ask)), ask::digest(&registry("a/b:c"))];
    assert_eq!(found, ["5e811240ba3d", "4a064063d113"]);
}

#[test]
fn files_are_locked_by_address_and_reference() {
    let url = |checksum: Option<&str>| FilesAsk::Url {
        location: "https://example.org/x".into(),
        checksum: checksum.map(str::to_owned),
    };
    let git = |remote: &str, reference: Option<&str>, checksum: Option<&str>| {
        FilesAsk::Git(GitAsk {
            remote: remote.into(),
            reference: reference.map(str::to_owned),
            folder: Some("sub".into()),
            keep_git_dir: true,
            checksum: checksum.map(str::to_owned),
        })
    };
    let mut lock = Lock::default();
    assert_eq!(lock.file("n", AMD64, &url(None)), None);
    lock.put_file("n", AMD64, &url(None), &digest(1));
    let cases = [
        ("r", None),
        ("r", Some("v1")),
        ("r#v1", None),
        ("r", Some("")),
        ("#", Some("#")),
        ("", None),
    ];
    for (at, (remote, reference)) in cases.into_iter().enumerate() {
        lock.put_file("n", AMD64, &git(remote, reference, None), &format!("{at:040x}"));
    }
    let lock = again(&lock);
    assert_eq!(lock.file("n", AMD64, &url(None)), Some(url(Some(&digest(1)))));
    assert_eq!(lock.file("n", "linux/arm64", &url(None)), None);
    assert_eq!(lock.file("n", AMD64, &url(Some(&digest(2)))), None);
    for (at, (remote, reference)) in cases.into_iter().enumerate() {
        let locked = git(remote, reference, Some(&format!("{at:040x}")));
        assert_eq!(lock.file("n", AMD64, &git(remote, reference, None)), Some(locked));
    }
    let mut none = Lock::default();
    let context = FilesAsk::Context(ContextAsk::of("/c".into(), vec!["x".into()]));
    none.put_file("n", AMD64, &context, &digest(1));
    none.put_file("n", AMD64, &url(Some(&digest(2))), &digest(1));
    assert_eq!(none, Lock::default());
}

#[test]
fn what_is_seen_outlives_a_pin_and_is_no_pin() {
    let (ask, at) = (registry("a/b:c"), place("n", "base"));
    let mut lock = Lock::default();
    lock.put_seen(at, &digest(5), 1_795_255_200);
    assert_eq!(lock.pin(at, &ask), None);
    assert_eq!(lock.line_of(at, None), None);
    lock.put(at, &ask, &image(1, "a/b:c"));
    let mut lock = again(&lock);
    assert_eq!(lock.seen(at, &digest(5)), Some(1_795_255_200));
    assert_eq!(lock.seen(at, &digest(6)), None);
    lock.clear_seen(at);
    assert_eq!(lock.seen(at, &digest(5)), None);
    assert!(lock.pin(at, &ask).is_some());
    lock.retain(|node, platform| node == "n" && platform != AMD64);
    assert_eq!(lock, Lock::default());
    lock.put_seen(at, "x", 0);
    lock.clear_seen(at);
    assert_eq!(lock, Lock::default());
}

#[test]
fn what_is_watched_moves_when_a_version_does() {
    let of = |version: &str| vec![("openssl".to_owned(), version.to_owned())];
    let mut lock = Lock::default();
    lock.put_watched("n", AMD64, &[], 5);
    assert_eq!(lock, Lock::default());
    lock.put_watched("n", AMD64, &of("1"), 10);
    lock.put_watched("n", AMD64, &of("1"), 20);
    assert_eq!(lock.watch_moved("n", AMD64), Some(10));
    lock.put_watched("n", AMD64, &of("2"), i64::MAX);
    let lock = again(&lock);
    assert_eq!(lock.watch_moved("n", AMD64), Some(i64::MAX));
    assert_eq!(lock.watched("n", AMD64), of("2"));
    assert!(lock.watched("m", AMD64).is_empty());
}

#[test]
fn what_moved_comes_once_for_all_platforms() {
    let names = ["bookworm", "bookworm-security"];
    let ask = debian(names.iter().map(|name| suite(None, name)).collect());
    let fill = |version: &str, seed: u64, archive: usize| {
        let mut lock = Lock::default();
        for (at, platform) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
            let seed = seed + at as u64;
            let mut moving = package("libssl3", version, archive);
            moving.sha256 = sha256(seed);
            let packages = vec![package("bash", "5.2", 0), moving];
            let base = Place { node: "minideb", platform, slot: "base" };
            lock.put(base, &UpstreamAsk::Debian(ask.clone()), &debian_pin(&ask, packages));
            let base = Place { node: "golang", platform, slot: "base" };
            lock.put(base, &registry("a/b:c"), &image(seed, "a/b:c"));
        }
        lock
    };
    let (old, mut new) = (fill("3.0.1", 10, 0), fill("3.0.2", 20, 1));
    assert!(old.diff(&old).is_empty());
    let only = Place { node: "minideb", platform: "linux/arm64", slot: "base" };
    let mut packages = vec![package("bash", "5.3", 0), package("libssl3", "3.0.2", 1)];
    packages[1].sha256 = sha256(21);
    new.put(only, &UpstreamAsk::Debian(ask.clone()), &debian_pin(&ask, packages));
    let moved = |what, node: &str, slot: &str, platforms: &[&str]| Moved {
        what,
        node: node.into(),
        slot: slot.into(),
        platforms: platforms.iter().map(|p| (*p).to_owned()).collect(),
    };
    let some = |text: &str| Some(text.to_owned());
    let package = |name: &str, from: &str, to: &str, security| Change::Package {
        name: name.into(),
        from: some(from),
        to: some(to),
        security,
    };
    let both = ["linux/amd64", "linux/arm64"];
    let manifest = Change::Manifest {
        from: Some(digest(10)),
        to: Some(digest(20)),
        reference: "a/b:c".into(),
    };
    let expected = [
        moved(manifest, "golang", "base", &both),
        moved(package("bash", "5.2", "5.3", false), "minideb", "base", &["linux/arm64"]),
        moved(package("libssl3", "3.0.1", "3.0.2", true), "minideb", "base", &both),
    ];
    assert_eq!(old.diff(&new), expected);
    let gone = new.diff(&Lock::default());
    assert!(gone.iter().any(|moved| matches!(&moved.what, Change::Release { to: None, .. })));
}

#[test]
fn all_kinds_of_facts_move() {
    let (a, b) = (digest(1), digest(2));
    let (c, d) = ("01".repeat(20), "02".repeat(20));
    let text = |digest: &str, version: &str, time: &str, commit: &str| {
        bytes(&format!(
            "n p base archive {digest} https://x\nn p base version {version}\n\
             m p base archive {digest} https://x\nn p add file u {digest}\n\
             n p add commit r#v {commit}\nn p watch package w {version}\nn p watch moved {time}\n\
             n p base release s@2 {time}\nn p base seen {digest} {time}\n"
        ))
    };
    let old = Lock::parse(&text(&a, "1", "5", &c)).unwrap();
    let new = Lock::parse(&text(&b, "2", "6", &d)).unwrap();
    let (from, to) = (Some("1".to_owned()), Some("2".to_owned()));
    let digests = || (Some(a.clone()), Some(b.clone()));
    let found: Vec<_> = old.diff(&new).into_iter().map(|m| (m.node, m.slot, m.what)).collect();
    let expect = |node: &str, slot: &str, what| (node.to_owned(), slot.to_owned(), what);
    let (f, t) = digests();
    let (f2, t2) = digests();
    let expected = [
        expect("m", "base", Change::Archive { from: f, to: t }),
        expect("n", "add", Change::File { address: "u".into(), from: f2, to: t2 }),
        expect(
            "n",
            "add",
            Change::Commit {
                remote: "r".into(),
                reference: Some("v".into()),
                from: Some(c.clone()),
                to: Some(d.clone()),
            },
        ),
        expect("n", "base", Change::Archive { from: from.clone(), to: to.clone() }),
        expect("n", "base", Change::Release { archive: "s".into(), from: Some(5), to: Some(6) }),
        expect("n", "watch", Change::Watch { name: "w".into(), from, to }),
    ];
    assert_eq!(found, expected);
}

/// Texts that are hard on the format.
fn word() -> impl Strategy<Value = String> {
    const HARD: &[&str] =
        &["", "#", "%", "add", "watch", "<<<<<<<", "a@2", "-", "after", "\u{202e}", "a b"];
    prop_oneof![proptest::sample::select(HARD).prop_map(str::to_owned), ".{0,6}", "[a-z]{1,3}"]
}

prop_compose! {
    fn any_package()(
        (name, version, arch, path) in (word(), word(), word(), word()),
        seed: u64,
        size: u64,
        archive in 0..3usize,
    ) -> PackagePin {
        PackagePin { name, version, arch, sha256: sha256(seed), size, archive, path }
    }
}

proptest! {
    #[test]
    fn any_lock_comes_back(
        node in word(), platform in word(), slot in word(), labels in prop::collection::vec(word(), 3),
        mut packages in prop::collection::vec(any_package(), 0..6),
        dates in prop::collection::vec(any::<i64>(), 3),
        (remote, reference, location) in (word(), prop::option::of(word()), word()),
        seen in word(),
    ) {
        let mut names = std::collections::HashSet::new();
        packages.retain(|package| names.insert(package.name.clone()));
        let ask = debian(labels.iter().map(|label| suite(None, label)).collect());
        let mut pin = debian_pin(&ask, packages);
        if let Pin::Debian(pin) = &mut pin {
            pin.set.releases.iter_mut().zip(&dates).for_each(|(pin, date)| pin.date = *date);
        }
        let ask = UpstreamAsk::Debian(ask);
        let place = Place { node: &node, platform: &platform, slot: &slot };
        let mut lock = Lock::default();
        lock.put(place, &ask, &pin);
        lock.put_seen(place, &seen, dates[0]);
        lock.put_watched(&node, &platform, &[(location.clone(), seen.clone())], dates[1]);
        let git = FilesAsk::Git(GitAsk {
            remote, reference, folder: None, keep_git_dir: false, checksum: None,
        });
        lock.put_file(&node, &platform, &git, &"a1".repeat(20));
        let url = FilesAsk::Url { location, checksum: None };
        lock.put_file(&node, &platform, &url, &digest(1));
        let lock = again(&lock);
        prop_assert_eq!(lock.pin(place, &ask), Some(pin));
        prop_assert!(lock.file(&node, &platform, &git).is_some());
        prop_assert!(lock.diff(&lock).is_empty());
        let text = lock.to_text();
        let lines: Vec<&[u8]> = text.lines().skip(2).map(str::as_bytes).collect();
        prop_assert!(lines.is_sorted());
    }

    #[test]
    fn no_text_breaks_it(text in "\\PC*", cut in 0..FIXTURE.len(), at in 0..FIXTURE.len(), c: char) {
        let _ = Lock::parse(&text);
        let _ = Lock::parse(&bytes(&text));
        let mut broken = FIXTURE.to_owned();
        broken.insert(at, c);
        broken.truncate(broken.floor_char_boundary(cut.max(40)));
        if let Ok(lock) = Lock::parse(&broken) {
            again(&lock);
        }
    }
}
