//! Archives of root file systems.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn rootfs(location: &str, checksums: Option<&str>, digest: Option<&str>) -> UpstreamAsk {
    UpstreamAsk::Rootfs {
        location: location.to_owned(),
        checksums: checksums.map(str::to_owned),
        digest: digest.map(str::to_owned),
        signature: None,
        follow: None,
    }
}

pub(super) fn archive_digest(pin: &Pin) -> &str {
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
