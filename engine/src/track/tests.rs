//! The questions of a run, against stores of their own and servers on the loopback.

mod added;
mod alpine;
mod debian;
mod faults;
mod git;
mod images;
mod packages;
mod rootfs;
mod variants;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use mabuild_oci::Digest;

use mabuild_tests::debian::Archive as TestArchive;

use super::http::testserver::{Reply, Server};
use super::*;
use crate::facts::{
    ArchiveKeys, ContextAsk, DebianArchive, DebianAsk, DebianVariant, FilesAsk, PackagePin, Pin,
    UpstreamAsk,
};
use rootfs::{archive_digest, rootfs};

const KEYS: &[u8] = include_bytes!("testdata/keys.gpg");

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
            hosts: Vec::new(),
            certificates: Vec::new(),
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
            Pin::Debian(debian) => Ok(debian.set.packages.clone()),
            other => panic!("{other:?}"),
        }
    }
}

/// An archive on the loopback with the keys that may sign it.
fn archive_of(server: &TestArchive, suite: &str) -> DebianArchive {
    let beside = if suite.ends_with("-security") { "-security" } else { "" };
    DebianArchive {
        uri: Some(format!("{}{beside}", server.uri())),
        suite: suite.to_owned(),
        components: vec!["main".to_owned()],
        keys: ArchiveKeys::File(server.keys().to_str().unwrap().to_owned()),
    }
}

/// A question about one suite of an archive on the loopback.
fn ask_of(server: &TestArchive, variant: DebianVariant, include: &[&str]) -> DebianAsk {
    DebianAsk {
        arch: "amd64".to_owned(),
        archives: vec![archive_of(server, "bookworm")],
        variant,
        include: include.iter().map(|name| (*name).to_owned()).collect(),
        exclude: Vec::new(),
        recommends: false,
        trim: Vec::new(),
    }
}

/// Names and versions.
fn shown(packages: &[PackagePin]) -> Vec<String> {
    packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
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
