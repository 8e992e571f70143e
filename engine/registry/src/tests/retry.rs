//! Registries that fail now and then, or for good.

use std::sync::{Arc, Mutex};

use mabuild_oci::Platform;

use crate::testing::{Content, Reply, Server, block, client, layout, options};
use crate::{ErrorKind, Options};

fn amd() -> Platform {
    Platform::new("linux", "amd64")
}

#[test]
fn answers_that_ask_for_patience_are_given_it() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, before| match before {
        0 => Reply::new(429, "").with("Retry-After", "0"),
        1 if request.method == "GET" => Reply::new(503, "<html>"),
        _ => content.reply(request),
    });
    let (_folder, layout) = layout();
    block(client(options()).pull(&server.image("1"), &amd(), &layout)).unwrap();
}

#[test]
fn limit_of_a_registry_is_told() {
    let said = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your\u001b[2J pull rate limit"}]}"#;
    let server = Server::start(move |request, _| match request.method.as_str() {
        "HEAD" => Reply::new(200, ""),
        _ => Reply::new(429, said),
    });
    let error = block(client(options()).resolve(&server.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooMany);
    assert!(error.blames_registry());
    for words in
        ["/team/app:1", "429", "TOOMANYREQUESTS: You have reached", "docker login", "3 times"]
    {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert!(!error.message.contains('\u{1b}'));
}

#[test]
fn registry_that_wants_hours_is_given_up() {
    let server = Server::start(|_, _| Reply::new(429, "").with("Retry-After", "21600"));
    let error = block(client(options()).digest(&server.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.blames_registry());
    for words in ["21600 s (6 h)", "docker login", "mirror"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn registry_out_of_reach_is_told() {
    let mut reference = Server::start(|_, _| Reply::new(500, "")).image("1");
    reference.host = "127.0.0.1:1".to_owned();
    let error = block(client(options()).digest(&reference)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("127.0.0.1:1/team/app:1"), "{error}");
    assert!(error.message.contains("proxy"), "{error}");
}

#[test]
fn broken_downloads_go_on_where_they_ended() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, before| {
        let reply = content.reply(request);
        let is_layer = request.path.contains("/blobs/") && reply.body.len() > 100_000;
        match before {
            0 if is_layer => reply.cut(900_000),
            // Another cut before anything new, and one right at the start.
            1 if is_layer => reply.cut(0),
            2 if is_layer => reply.cut(500_000),
            _ => reply,
        }
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    let progress = move |name: &str, done: u64, all: u64| {
        log.lock().unwrap().push((name.to_owned(), done, all));
    };
    let (_folder, layout) = layout();
    let options = Options { progress: Some(Arc::new(progress)), ..options() };
    let client = client(options);
    let digest = block(client.pull(&server.image("1"), &amd(), &layout)).unwrap();
    let (_, manifest) = layout.manifest_for(&digest, None).unwrap();
    for layer in &manifest.layers {
        let path = format!("/v2/team/app/blobs/{}", layer.digest);
        let asked = server.requests().into_iter().filter(|r| r.path == path);
        let ranges: Vec<usize> = asked.map(|r| r.range().unwrap_or(0)).collect();
        assert_eq!(ranges, [0, 900_000, 900_000, 1_400_000]);
        assert_eq!(layout.read(&layer.digest).unwrap().len() as u64, layer.size);
        let short = &layer.digest.hex()[..12];
        let heard = heard.lock().unwrap();
        let of_it: Vec<_> = heard.iter().filter(|(name, ..)| name.ends_with(short)).collect();
        assert!(of_it.is_sorted_by_key(|(_, done, _)| *done));
        assert_eq!(
            of_it.last().map(|(_, done, all)| (*done, *all)),
            Some((layer.size, layer.size))
        );
    }
}

#[test]
fn server_without_ranges_sends_all_again() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, before| {
        let mut reply = content.reply(request);
        if reply.status == 206 {
            reply = Reply::new(416, "");
        }
        if before == 0 && reply.body.len() > 1_000_000 { reply.cut(1_100_000) } else { reply }
    });
    let (_folder, layout) = layout();
    block(client(options()).pull(&server.image("1"), &amd(), &layout)).unwrap();
}

#[test]
fn download_that_never_gets_on_is_given_up() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, _| {
        let reply = content.reply(request);
        if reply.body.len() > 1_000_000 { reply.cut(0) } else { reply }
    });
    let (_folder, layout) = layout();
    let error = block(client(options()).pull(&server.image("1"), &amd(), &layout)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(server.requests().len() < 12, "{:?}", server.lines());
}
