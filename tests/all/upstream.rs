//! Upstreams that misbehave: nothing unverified is used, and messages name the address.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, host, skip};
use mabuild_tests::server::{Answer, Request, Server, debian_file};
use sha2::{Digest, Sha256};

fn archive() -> Vec<u8> {
    let noise: Vec<u8> =
        (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    Tar::default().file("noise", 0o644, noise).file("hello", 0o644, "hello\n").plain()
}

fn project(env: &TestEnv, address: &str, sums: &str) {
    env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms {:?}\nbase \"b\" {{ rootfs \"{address}/root.tar\" {sums} }}\n\
             image \"a\" {{ from \"b\"; steps {{ file \"/a\" \"a\" }} }}\n",
            host()
        ),
    );
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn server_that_fails_at_first_is_asked_again() {
    let body = Arc::new(archive());
    let (served, tries) = (body.clone(), AtomicUsize::new(0));
    let server =
        Server::start(move |request: &Request, _| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::status(503),
            1 => Answer::Reply(429, vec![("Retry-After", "0".to_owned())], Arc::default()),
            2 => Answer::Cut(served.clone(), 300_000),
            _ => part(&served, request),
        });
    let env = TestEnv::new();
    project(&env, &server.address, &format!("sha256={:?}", sha256(&body)));
    let counts = env.rebuild(&[]);
    assert_eq!(counts.built, 2, "{counts:?}");
    assert!(server.requests().len() >= 4, "{:?}", server.paths());
    // A second run has no reason to ask: the digest is in the file.
    let asked = server.requests().len();
    env.rebuild(&[]);
    assert_eq!(server.requests().len(), asked);
}

/// The rest of a body when a range is asked for.
fn part(body: &Arc<Vec<u8>>, request: &Request) -> Answer {
    let from = request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from.filter(|from| *from < body.len()) {
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            Answer::Reply(206, vec![("Content-Range", range)], Arc::new(body[from..].to_vec()))
        }
        None => Answer::Reply(200, vec![], body.clone()),
    }
}

#[test]
fn wrong_bytes_are_refused() {
    let server = Server::start(|_, _| Answer::ok(archive()));
    let env = TestEnv::new();
    project(&env, &server.address, &format!("sha256={:?}", "0".repeat(64)));
    let run = env.try_rebuild(&[]);
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.stderr);
    let _ = run.says(&["root.tar", &"0".repeat(12)]);
    assert_eq!(env.digests(), []);
}

#[test]
fn address_without_a_digest_is_refused() {
    let server = Server::start(|_, _| Answer::ok(archive()));
    let env = TestEnv::new();
    project(&env, &server.address, "");
    let run = env.mabuild(&["graph", "rebuild"]);
    assert!(matches!(run.code, Some(1 | 2)), "{}", run.stderr);
    let _ = run.says(&["sha256"]);
}

#[test]
fn checksum_file_of_an_address_is_followed() {
    let first = archive();
    let second = Tar::default().file("hello", 0o644, "other\n").plain();
    let moved = Arc::new(AtomicUsize::new(0));
    let which = moved.clone();
    let bodies = [first, second];
    let server = Server::start(move |request, _| {
        let body = &bodies[which.load(Ordering::SeqCst)];
        match request.path.as_str() {
            "/SHA256SUMS" => Answer::ok(format!("{}  ./root.tar\n", sha256(body))),
            "/root.tar" => Answer::ok(body.clone()),
            _ => Answer::status(404),
        }
    });
    let env = TestEnv::new();
    project(&env, &server.address, &format!("checksums=\"{}/SHA256SUMS\"", server.address));
    assert_eq!(env.rebuild(&[]).built, 2);
    assert_eq!(env.rebuild(&[]).built, 0);
    moved.store(1, Ordering::SeqCst);
    assert_eq!(env.rebuild(&[]).built, 0, "the lock holds what is built");
    assert_eq!(env.rebuild(&["--update"]).built, 2, "the upstream has moved");
    moved.store(0, Ordering::SeqCst);
    assert_eq!(env.rebuild(&["--update"]).built, 0, "the earlier result is in the store");
}

#[test]
fn upstream_out_of_reach_ends_with_3() {
    let env = TestEnv::new();
    project(&env, "http://127.0.0.1:1", &format!("sha256={:?}", "0".repeat(64)));
    env.mabuild(&["graph", "rebuild"]).fails(3).says(&["http://127.0.0.1:1/root.tar"]);
    env.mabuild(&["graph", "rebuild", "--offline"]).fails(3).says(&["offline"]);
    let file = format!(
        "mabuild 1\nplatforms {:?}\nbase \"b\" {{ debian \"bookworm\" {{ variant \"extract\"; include \"busybox-static\" }} }}\n",
        host()
    );
    env.write("mabuild.kdl", file);
    env.mabuild(&["graph", "rebuild", "--offline"]).fails(3).says(&["offline"]);
    env.mabuild(&["graph", "rebuild"]).fails(3).says(&["127.0.0.1:1"]);
}

#[test]
fn address_that_is_not_there_is_no_outage() {
    let server = Server::start(|_, _| Answer::status(404));
    let env = TestEnv::new();
    project(&env, &server.address, &format!("sha256={:?}", "0".repeat(64)));
    let run = env.mabuild(&["graph", "rebuild"]);
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.stderr);
    let _ = run.says(&["404", "root.tar"]);
    assert_eq!(server.requests().len(), 1, "a 404 is not asked for again");
}

#[test]
fn debian_archive_that_was_tampered_with_is_refused() {
    if let Err(e) = debian_file("/dists/bookworm/InRelease") {
        return skip(e);
    }
    let file = format!(
        "mabuild 1\nplatforms {:?}\nbase \"b\" {{ debian \"bookworm\" {{ variant \"extract\"; include \"busybox-static\" }} }}\n",
        host()
    );
    for tampered in ["InRelease", "Packages", ".deb"] {
        let server = Server::start(move |request, _| {
            let path = request.path.as_str();
            let packages = path.contains("/by-hash/") || path.contains("/Packages");
            let hit = path.ends_with(tampered) || (tampered == "Packages" && packages);
            match debian_file(path) {
                Ok(Answer::Reply(200, _, body)) if hit => {
                    let mut bytes = body.to_vec();
                    let at = bytes.len() / 3;
                    bytes[at] ^= 1;
                    Answer::ok(bytes)
                }
                Ok(answer) => answer,
                Err(_) => Answer::status(502),
            }
        });
        let mut env = TestEnv::new();
        env.var("DEBIAN_MIRROR", &server.address).write("mabuild.kdl", &file);
        let run = env.mabuild(&["graph", "rebuild"]);
        assert!(matches!(run.code, Some(1 | 3)), "{tampered}: {:?} {}", run.code, run.stderr);
        assert!(run.stderr.contains(&server.address), "{tampered}: {}", run.stderr);
        assert_eq!(env.digests(), [], "{tampered}");
    }
}
