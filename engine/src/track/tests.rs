use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mabuild_oci::Digest;
use mabuild_oci::image::{Descriptor, Index, Manifest};
use mabuild_oci::{ImageConfig, Layout, Platform, media_type};

use super::http::testserver::{Reply, Server};
use super::*;
use crate::facts::{ContextAsk, DebianAsk, FileKind, FilesAsk, PackagePin, Pin, UpstreamAsk};

const KEYS: &[u8] = include_bytes!("testdata/keys.gpg");
const RELEASE_1: &[u8] = include_bytes!("testdata/InRelease-1");
const RELEASE_2: &[u8] = include_bytes!("testdata/InRelease-2");
const EXPIRING: &[u8] = include_bytes!("testdata/InRelease-expiring");
const PACKAGES_1: &[u8] = include_bytes!("testdata/Packages-1");
const PACKAGES_2: &[u8] = include_bytes!("testdata/Packages-2");
const QEMU: &[u8] = include_bytes!("testdata/qemu-user-static.deb");

/// 5 June 2024, two days after the first release.
const NOW: i64 = 1_717_581_600;
const DAY: i64 = 86_400;

/// A folder for stores and keys, and how a run looks at the world.
struct World {
    dir: tempfile::TempDir,
    options: TrackOptions,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys.gpg");
        std::fs::write(&keys, KEYS).unwrap();
        let http =
            HttpOptions { pause: Duration::from_millis(1), attempts: 2, ..HttpOptions::default() };
        let options = TrackOptions {
            env: BTreeMap::new(),
            now: NOW,
            http,
            apt: dir.path().join("apt"),
            keys: Some(keys.to_str().unwrap().to_owned()),
        };
        Self { dir, options }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A new run over the same store.
    fn run(&self) -> Tracking {
        let store = Arc::new(Store::open(&self.dir.path().join("store")).unwrap());
        Tracking::with(store, self.options.clone()).unwrap()
    }

    fn pin(&self, ask: &UpstreamAsk) -> Result<Arc<Pin>, FactError> {
        find_facts(&self.run(), vec![], vec![ask.clone()]).upstream(ask)
    }

    fn packages(&self, ask: &DebianAsk) -> Result<Vec<PackagePin>, FactError> {
        match &*self.pin(&UpstreamAsk::Debian(ask.clone()))? {
            Pin::Debian(packages) => Ok(packages.clone()),
            other => panic!("{other:?}"),
        }
    }
}

fn debian_ask(server: &Server) -> DebianAsk {
    DebianAsk {
        suite: "bookworm".to_owned(),
        mirror: Some(server.url("/debian/")),
        signed_by: None,
        components: vec!["main".to_owned()],
        include: vec!["hello".to_owned()],
        arch: "amd64".to_owned(),
    }
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
    assert_eq!(hello.location, server.url("/debian/pool/hello.deb"));
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
    let other = DebianAsk { mirror: Some(server.url("/other")), ..ask };
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
    let ask = DebianAsk { suite: "trixie".to_owned(), ..debian_ask(&server) };
    let error = world.packages(&ask).unwrap_err();
    assert!(error.message.contains("in its place"), "{error:?}");
    let ask = DebianAsk { suite: "../../etc".to_owned(), ..debian_ask(&server) };
    assert!(world.packages(&ask).unwrap_err().message.contains("no name of a Debian suite"));
}

#[test]
fn wrong_questions_are_told_what_there_is() {
    let (world, server) = (World::new(), steady(0));
    let ask = debian_ask(&server);
    let unknown = DebianAsk { include: vec!["helo".into()], ..ask.clone() };
    assert!(world.packages(&unknown).unwrap_err().message.contains("did you mean hello"));
    let component = DebianAsk { components: vec!["contrib".into()], ..ask.clone() };
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
    let ask = DebianAsk { mirror: None, ..debian_ask(&server) };
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

fn rootfs(location: &str, checksums: Option<&str>, digest: Option<&str>) -> UpstreamAsk {
    UpstreamAsk::Rootfs {
        location: location.to_owned(),
        checksums: checksums.map(str::to_owned),
        digest: digest.map(str::to_owned),
    }
}

fn archive_digest(pin: &Pin) -> &str {
    match pin {
        Pin::Archive { digest, .. } => digest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_archive_is_pinned_by_its_file_of_checksums() {
    let world = World::new();
    let line = format!("{}  x.tar.gz\n", "ab".repeat(64));
    let changed = Arc::new(AtomicBool::new(false));
    let news = changed.clone();
    let server = Server::start(move |r| {
        let (line, tag) = match news.load(Ordering::SeqCst) {
            false => (line.clone(), "\"1\""),
            true => (line.replace("ab", "cd"), "\"2\""),
        };
        match r.header("if-none-match") == Some(tag) {
            true => Reply::new(304, ""),
            false => Reply::new(200, line).with("ETag", tag),
        }
    });
    let ask = rootfs(&server.url("/x.tar.gz?v=1"), Some(&server.url("/sums")), None);
    for _ in 0..2 {
        assert_eq!(
            archive_digest(&world.pin(&ask).unwrap()),
            format!("sha512:{}", "ab".repeat(64))
        );
    }
    changed.store(true, Ordering::SeqCst);
    assert_eq!(archive_digest(&world.pin(&ask).unwrap()), format!("sha512:{}", "cd".repeat(64)));
    assert_eq!(server.requests().len(), 3, "the archive itself is not fetched to be pinned");
    let ask = rootfs(&server.url("/y.tar.gz"), Some(&server.url("/sums")), None);
    let error = world.pin(&ask).unwrap_err();
    assert!(error.message.contains("does not list y.tar.gz"), "{error:?}");
}

#[test]
fn an_archive_without_a_checksum_must_be_local() {
    let world = World::new();
    let error = world.pin(&rootfs("http://a.test/x.tar", None, None)).unwrap_err();
    assert!(error.message.contains("without a checksum"), "{error:?}");
    let path = world.path("x.tar");
    let error = world.pin(&rootfs(&path, None, None)).unwrap_err();
    assert!(!error.blames_upstream && error.message.contains(&path), "{error:?}");
    std::fs::write(&path, "tar").unwrap();
    let ask = rootfs(&path, None, None);
    assert_eq!(archive_digest(&world.pin(&ask).unwrap()), Digest::sha256("tar").to_string());
    std::fs::write(&path, "rat").unwrap();
    assert_eq!(archive_digest(&world.pin(&ask).unwrap()), Digest::sha256("rat").to_string());
    let sums = world.path("sums");
    std::fs::write(&sums, format!("{}  x.tar\n", Digest::sha256("tar").hex())).unwrap();
    let ask = rootfs(&path, Some(&sums), None);
    assert_eq!(archive_digest(&world.pin(&ask).unwrap()), Digest::sha256("tar").to_string());
    let ask = rootfs(&path, None, Some("sha256:zz"));
    assert!(world.pin(&ask).unwrap_err().message.contains("sha256:zz"));
}

#[test]
fn a_local_archive_that_shows_no_change_is_not_read_again() {
    let mut world = World::new();
    world.options.now = 4_000_000_000;
    let path = world.path("x.tar");
    std::fs::write(&path, "tar").unwrap();
    let ask = rootfs(&path, None, None);
    world.pin(&ask).unwrap();
    let store = Store::open(&world.dir.path().join("store")).unwrap();
    let note = store.memo("archive", &path).unwrap();
    let other = Digest::sha256("noted").to_string();
    store
        .put_memo("archive", &path, &note.replace(&Digest::sha256("tar").to_string(), &other))
        .unwrap();
    assert_eq!(archive_digest(&world.pin(&ask).unwrap()), other);
}

/// A layout with an index of two platforms under `app:1` and one lone image under `other`.
fn layout(path: &str) -> [Digest; 3] {
    let layout = Layout::create(path).unwrap();
    let image = |platform: Platform| {
        let config = ImageConfig::new(&platform).to_bytes().unwrap();
        let config = layout.write_blob(media_type::CONFIG, &config).unwrap();
        let manifest = Manifest::new(config, vec![]).to_bytes().unwrap();
        layout.write_blob(media_type::MANIFEST, &manifest).unwrap().with_platform(platform)
    };
    let amd64 = image(Platform::new("linux", "amd64"));
    let arm64 = image(Platform::new("linux", "arm64").with_variant("v8"));
    let mut riscv = image(Platform::new("linux", "riscv64"));
    riscv.platform = None;
    let digests = [amd64.digest, arm64.digest, riscv.digest];
    let bytes = Index::new(vec![amd64, arm64]).to_bytes().unwrap();
    let inner: Descriptor = layout.write_blob(media_type::INDEX, &bytes).unwrap();
    let bytes = Index::new(vec![inner]).to_bytes().unwrap();
    let outer = layout.write_blob(media_type::INDEX, &bytes).unwrap();
    layout.set_refs([("app:1".to_owned(), outer), ("other".to_owned(), riscv)]).unwrap();
    digests
}

#[test]
fn an_image_of_a_layout_is_pinned_by_name_and_platform() {
    let world = World::new();
    let path = world.path("layout");
    let [amd64, arm64, riscv] = layout(&path);
    let pin = |reference: Option<&str>, platform: &str| {
        let ask = UpstreamAsk::OciLayout {
            path: path.clone(),
            reference: reference.map(str::to_owned),
            platform: platform.to_owned(),
        };
        match world.pin(&ask).map(|pin| (*pin).clone()) {
            Ok(Pin::Layout { manifest, .. }) => manifest,
            Ok(other) => panic!("{other:?}"),
            Err(e) => e.message,
        }
    };
    assert_eq!(pin(Some("app:1"), "linux/amd64"), amd64.to_string());
    assert_eq!(pin(Some("app:1"), "linux/arm64"), arm64.to_string(), "v8 is what arm64 means");
    assert_eq!(pin(Some("other"), "linux/riscv64"), riscv.to_string(), "from its config");
    let missing = pin(Some("app:1"), "linux/s390x");
    assert!(missing.contains("it has linux/amd64, linux/arm64"), "{missing}");
    let unnamed = pin(None, "linux/amd64");
    assert!(unnamed.contains("name one: app:1, other"), "{unnamed}");
    assert!(pin(Some("no"), "linux/amd64").contains("it has app:1, other"));
}

#[test]
fn an_added_address_is_what_its_checksum_says() {
    let world = World::new();
    let server = Server::start(|_| Reply::new(200, "tool"));
    let ask = |checksum: Option<String>| FilesAsk::Url {
        location: server.url("/dl/tool.bin?x=/y"),
        checksum,
    };
    let get = |ask: FilesAsk| find_facts(&world.run(), vec![ask.clone()], vec![]).files(&ask);
    let set = get(ask(Some(Digest::sha256("tool").to_string()))).unwrap();
    let [found] = set.matches.as_slice() else { panic!("{set:?}") };
    let [file] = found.files.as_slice() else { panic!("{set:?}") };
    assert_eq!((file.path.as_str(), file.mode, found.directory), ("tool.bin", 0o600, false));
    let digest = *blake3::hash(b"tool").as_bytes();
    assert_eq!(file.kind, FileKind::File { digest, size: 4 });
    let content = std::fs::read(std::path::Path::new(&*set.root).join(&file.path)).unwrap();
    assert_eq!(content, b"tool");
    assert!(set.fetched);
    assert!(get(ask(Some(Digest::sha256("other").to_string()))).unwrap_err().contains("expected"));
}

#[test]
fn an_added_address_without_a_checksum_is_asked_for_what_is_new() {
    let mut world = World::new();
    let text = Arc::new(Mutex::new("one"));
    let served = text.clone();
    let server = Server::start(move |request| {
        let text = *served.lock().unwrap();
        let tag = format!("\"{text}\"");
        match request.header("if-none-match") == Some(&tag) {
            true => Reply::new(304, ""),
            false => Reply::new(200, text).with("ETag", &tag),
        }
    });
    let ask = FilesAsk::Url { location: server.url("/a%20b/"), checksum: None };
    let get = |world: &World| {
        let set = find_facts(&world.run(), vec![ask.clone()], vec![]).files(&ask)?;
        let file = &set.matches[0].files[0];
        assert_eq!((file.path.as_str(), file.mode, set.fetched), ("a b", 0o600, true));
        Ok::<_, String>(std::fs::read_to_string(format!("{}/{}", set.root, file.path)).unwrap())
    };
    world.options.http.offline = true;
    assert!(get(&world).unwrap_err().contains("--offline"));
    world.options.http.offline = false;
    assert_eq!(get(&world).unwrap(), "one");
    assert_eq!(get(&world).unwrap(), "one");
    assert_eq!(server.requests()[1].header("if-none-match"), Some("\"one\""));
    *text.lock().unwrap() = "two";
    assert_eq!(get(&world).unwrap(), "two");
    world.options.http.offline = true;
    assert_eq!(get(&world).unwrap(), "two");
    assert_eq!(server.requests().len(), 3);
}

/// A repository with two commits, and how to ask for it.
struct Repository {
    world: World,
    folder: std::path::PathBuf,
}

impl Repository {
    fn new() -> Self {
        let mut world = World::new();
        world.options.env.insert("GIT_ALLOW_PROTOCOL".to_owned(), "file".to_owned());
        let path = std::env::var("PATH").unwrap();
        world.options.env.insert("PATH".to_owned(), path);
        let folder = world.dir.path().join("repository");
        std::fs::create_dir(&folder).unwrap();
        let this = Self { world, folder };
        this.git(&["init", "-q", "-b", "main"]);
        this.commit("a", "first");
        this.git(&["tag", "-a", "v1", "-m", "v1"]);
        this.git(&["branch", "old"]);
        this.commit("sub/b", "second");
        this
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = std::process::Command::new("git");
        command.current_dir(&self.folder).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", &self.folder);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "e@e");
            command.env(format!("GIT_{who}_DATE"), "1000000000 +0000");
        }
        let out = command.args(["-c", "protocol.file.allow=always"]).args(words).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, path: &str, text: &str) -> String {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn ask(&self) -> crate::facts::GitAsk {
        crate::facts::GitAsk {
            remote: format!("file://{}", self.folder.display()),
            reference: None,
            folder: None,
            keep_git_dir: false,
            checksum: None,
        }
    }

    /// Paths with modes and contents.
    fn files(&self, ask: crate::facts::GitAsk) -> Result<Vec<String>, String> {
        let ask = FilesAsk::Git(ask);
        let set = find_facts(&self.world.run(), vec![ask.clone()], vec![]).files(&ask)?;
        assert!(set.fetched && set.matches[0].directory);
        let files = set.matches[0].files.iter().filter(|file| !file.path.starts_with(".git/"));
        let shown = files.map(|file| match &file.kind {
            FileKind::File { .. } => {
                let text = std::fs::read_to_string(format!("{}/{}", set.root, file.path)).unwrap();
                format!("{:o} {}={text}", file.mode, file.path)
            }
            _ => format!("{:o} {}/", file.mode, file.path),
        });
        Ok(shown.collect())
    }
}

#[test]
fn repositories_are_fetched_by_branch_tag_and_commit() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "old"]);
    let ask = |reference: Option<&str>| crate::facts::GitAsk {
        reference: reference.map(str::to_owned),
        ..repository.ask()
    };
    let one = ["755 /", "644 a=first"];
    let two = ["755 /", "644 a=first", "755 sub/", "644 sub/b=second"];
    assert_eq!(repository.files(ask(None)).unwrap(), two);
    assert_eq!(repository.files(ask(Some("main"))).unwrap(), two);
    for reference in ["old", "v1", "refs/tags/v1", "refs/heads/old", &first] {
        assert_eq!(repository.files(ask(Some(reference))).unwrap(), one, "{reference}");
    }
    let folder =
        |folder: &str| crate::facts::GitAsk { folder: Some(folder.to_owned()), ..repository.ask() };
    assert_eq!(repository.files(folder("sub")).unwrap(), ["755 /", "644 b=second"]);
    assert_eq!(repository.files(folder("/sub/../../sub")).unwrap(), ["755 /", "644 b=second"]);
    assert!(repository.files(folder("none")).unwrap_err().contains("no folder `none`"));
    assert!(repository.files(ask(Some("nope"))).unwrap_err().contains("no branch, tag or commit"));
    assert!(repository.files(ask(Some("--upload-pack=x"))).unwrap_err().contains("no reference"));
    let kept = crate::facts::GitAsk { keep_git_dir: true, ..repository.ask() };
    assert!(repository.files(kept).unwrap().contains(&"755 .git/".to_owned()));
}

#[test]
fn a_commit_must_be_the_one_that_was_written_down() {
    let repository = Repository::new();
    let head = repository.git(&["rev-parse", "HEAD"]);
    let tag = repository.git(&["rev-parse", "v1"]);
    let ask = |reference: Option<&str>, checksum: &str| crate::facts::GitAsk {
        reference: reference.map(str::to_owned),
        checksum: Some(checksum.to_owned()),
        ..repository.ask()
    };
    assert!(repository.files(ask(None, &head)).is_ok());
    assert!(repository.files(ask(None, &head[..12])).is_ok());
    assert!(repository.files(ask(Some("v1"), &tag)).is_ok());
    let error = repository.files(ask(Some("v1"), &head)).unwrap_err();
    assert!(error.contains(&head) && error.contains("#v1"), "{error}");
    assert!(repository.files(ask(None, "")).is_err());
}

#[test]
fn a_repository_that_is_known_needs_no_network_and_a_moved_one_is_seen() {
    let mut repository = Repository::new();
    let before = repository.files(repository.ask()).unwrap();
    repository.commit("a", "third");
    repository.world.options.http.offline = true;
    assert_eq!(repository.files(repository.ask()).unwrap(), before);
    let other = crate::facts::GitAsk { reference: Some("old".to_owned()), ..repository.ask() };
    assert!(repository.files(other).unwrap_err().contains("--offline"));
    repository.world.options.http.offline = false;
    assert!(repository.files(repository.ask()).unwrap().contains(&"644 a=third".to_owned()));
}

#[test]
fn submodules_come_along() {
    let repository = Repository::new();
    let other = Repository::new();
    let remote = other.ask().remote;
    repository.git(&["submodule", "add", "-q", &remote, "vendor/other"]);
    repository.git(&["commit", "-q", "-m", "submodule"]);
    let files = repository.files(repository.ask()).unwrap();
    assert!(files.contains(&"644 vendor/other/sub/b=second".to_owned()), "{files:?}");
    assert!(!files.iter().any(|file| file.contains("other/.git")), "{files:?}");
}

#[test]
fn only_known_ways_lead_to_repositories() {
    let mut repository = Repository::new();
    repository.world.options.env.remove("GIT_ALLOW_PROTOCOL");
    let error = repository.files(repository.ask()).unwrap_err();
    assert!(error.contains("not allowed"), "{error}");
    let ext = crate::facts::GitAsk { remote: "ext::sh -c true".to_owned(), ..repository.ask() };
    assert!(repository.files(ext).is_err());
    let option = crate::facts::GitAsk { remote: "--upload-pack=x".to_owned(), ..repository.ask() };
    assert!(repository.files(option).unwrap_err().contains("no git repository"));
    repository.world.options.env.insert("PATH".to_owned(), "/nonexistent".to_owned());
    assert!(repository.files(repository.ask()).unwrap_err().contains("install git"));
}

#[test]
fn pinned_files_come_from_disk_or_network_but_only_as_pinned() {
    let world = World::new();
    let server = Server::start(|_| Reply::new(200, "remote"));
    let run = world.run();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = heard.clone();
    run.on_download(Arc::new(move |what, done, _| {
        listener.lock().unwrap().push((what.to_owned(), done));
    }));
    let remote = Digest::sha256("remote").to_string();
    let path = run.fetch(&remote, &server.url("/pool/r.deb")).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"remote");
    assert_eq!(heard.lock().unwrap().last(), Some(&("r.deb".to_owned(), 6)));
    assert_eq!(run.downloaded(), 6);

    let file = world.path("local");
    std::fs::write(&file, "local").unwrap();
    let local = Digest::sha256("local").to_string();
    let kept = run.fetch(&local, &file).unwrap();
    std::fs::write(&file, "exchanged").unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), b"local");
    let error = run.fetch(&Digest::sha256("x").to_string(), &file).unwrap_err();
    assert!(!error.blames_upstream && error.message.contains(&file), "{error:?}");
}

#[test]
fn facts_of_contexts_and_upstreams_come_together() {
    let world = World::new();
    let context = world.dir.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("a"), "a").unwrap();
    let ask = |source: &str| {
        let context = context.to_str().unwrap().into();
        FilesAsk::Context(ContextAsk::of(context, vec![source.to_owned()]))
    };
    let upstream = rootfs(context.join("a").to_str().unwrap(), None, None);
    let facts = find_facts(&world.run(), vec![ask("a"), ask("missing")], vec![upstream.clone()]);
    assert_eq!(facts.files(&ask("a")).unwrap().matches.len(), 1);
    assert!(facts.files(&ask("missing")).unwrap_err().contains("matches no file"));
    assert_eq!(
        archive_digest(&facts.upstream(&upstream).unwrap()),
        Digest::sha256("a").to_string()
    );
}

#[tokio::test]
async fn questions_may_be_asked_on_the_threads_of_another_runtime() {
    let world = World::new();
    let path = world.path("f");
    std::fs::write(&path, "f").unwrap();
    let run = world.run();
    assert!(run.fetch(&Digest::sha256("f").to_string(), &path).is_ok());
    drop(run);
}
