//! Lists of tags: page by page, once, and from registries that do not mean well.

use std::time::Duration;

use crate::testing::{Reply, Server, at_once, block, client, options};
use crate::{Error, ErrorKind, Options};

const FIRST: &str = "/v2/team/app/tags/list?n=1000";

fn tags(server: &Server) -> Result<Vec<String>, Error> {
    block(client(options()).tags(&server.image("1")))
}

/// Lists the tags of a server that must not be able to.
fn fails(server: &Server) -> (ErrorKind, String) {
    let error = tags(server).unwrap_err();
    assert!(error.message.contains("/team/app: "), "{error}");
    (error.kind, error.message)
}

#[test]
fn pages_are_joined_in_order() {
    let server = Server::start(|request, _| {
        let host = request.header("host").unwrap();
        match request.path.as_str() {
            FIRST => Reply::tags(&["1", "2"], Some("/v2/team/app/tags/list?last=2&n=2")),
            "/v2/team/app/tags/list?last=2&n=2" => {
                let next = format!("http://{host}/v2/team/app/tags/list?last=%2F3");
                Reply::tags(&["2", "3", "a/b", "\u{1b}[2J", ""], Some(&next))
            }
            "/v2/team/app/tags/list?last=%2F3" => Reply::tags(&[""; 0], Some("?last=none")),
            "/v2/team/app/tags/list?last=none" => Reply::tags(&["0"], None),
            _ => Reply::new(404, ""),
        }
    });
    assert_eq!(tags(&server).unwrap(), ["1", "2", "3", "0"]);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn list_is_asked_for_once_by_all() {
    let server = Server::start(|request, _| match request.path.as_str() {
        FIRST => Reply::tags(&["1"], Some("?last=1")).after(Duration::from_millis(20)),
        _ => Reply::tags(&["2"], None),
    });
    let client = client(options());
    let lists = at_once(9, |n| {
        let (client, image) = (client.clone(), server.image(&n.to_string()));
        async move { client.tags(&image).await }
    });
    for list in lists {
        assert_eq!(list.unwrap(), ["1", "2"]);
    }
    let first = server.lines();
    assert_eq!(first, [format!("GET {FIRST}"), "GET /v2/team/app/tags/list?last=1".to_owned()]);
}

#[test]
fn repositories_without_tags_have_none() {
    for body in [r#"{"name":"team/app","tags":null}"#, r#"{"tags":[]}"#, r#"{"name":"x"}"#] {
        let server = Server::start(move |_, _| Reply::new(200, body));
        assert!(tags(&server).unwrap().is_empty(), "{body}");
    }
    let said = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}"#;
    let (kind, message) = fails(&Server::start(move |_, _| Reply::new(404, said)));
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(message.contains("NAME_UNKNOWN"), "{message}");
}

#[test]
fn pages_in_a_circle_end() {
    let circle = Server::start(|request, _| match request.path.as_str() {
        FIRST => Reply::tags(&["1"], Some("?last=1")),
        "/v2/team/app/tags/list?last=1" => Reply::tags(&["2"], Some("?last=2")),
        _ => Reply::tags(&["3"], Some("?last=1")),
    });
    // Always the same tags, always at another address.
    let spiral = Server::start(|request, _| {
        Reply::tags(&["1", "2"], Some(&format!("?last={}", request.path.len())))
    });
    let itself = Server::start(|_, _| Reply::tags(&["1"], Some(FIRST)));
    for (server, most) in [(circle, 3), (spiral, 2), (itself, 1)] {
        let (kind, message) = fails(&server);
        assert_eq!(kind, ErrorKind::Broken);
        assert!(message.contains("in a circle"), "{message}");
        assert_eq!(server.requests().len(), most, "{:?}", server.lines());
    }
}

#[test]
fn no_other_server_is_asked_for_a_page() {
    let evil = Server::start(|_, _| Reply::tags(&["evil"], None));
    for scheme in ["http://", "https://", "//"] {
        let to = format!("{scheme}{}/v2/team/app/tags/list", evil.host);
        let server = Server::start(move |_, _| Reply::tags(&["1"], Some(&to)));
        let (kind, message) = fails(&server);
        assert_eq!(kind, ErrorKind::Broken);
        assert!(message.contains(&format!("another server, {}", evil.host)), "{message}");
    }
    assert!(evil.requests().is_empty());
}

#[test]
fn lists_without_end_are_given_up() {
    let all: Vec<String> = (0..60_000).map(|n| n.to_string()).collect();
    let server = Server::start(move |request, _| match request.path.as_str() {
        FIRST => Reply::tags(&all, Some("?last=1")),
        _ => Reply::tags(&all.iter().map(|n| format!("x{n}")).collect::<Vec<_>>(), None),
    });
    let (kind, message) = fails(&server);
    assert_eq!((kind, message.contains("more than 100000 tags")), (ErrorKind::Broken, true));
    let server = Server::start(|request, _| {
        let last: u32 = request.path.rsplit('=').next().unwrap().parse().unwrap();
        Reply::tags(&[last.to_string()], Some(&format!("?last={}", last + 1)))
    });
    let (kind, message) = fails(&server);
    assert_eq!((kind, message.contains("more than 1000 pages")), (ErrorKind::Broken, true));
    assert_eq!(server.requests().len(), 1000);
    for measured in [true, false] {
        let server =
            Server::start(move |_, _| Reply { measured, ..Reply::new(200, vec![b' '; 9 << 20]) });
        assert!(fails(&server).1.contains("larger than 8388608 bytes"));
    }
}

#[test]
fn what_is_no_list_is_told() {
    for body in ["<html>Welcome!</html>", "", "[]", r#"{"tags":"1"}"#, r#"{"tags":[1]}"#] {
        let server = Server::start(move |_, _| Reply::new(200, body));
        let (kind, message) = fails(&server);
        assert_eq!(kind, ErrorKind::Broken);
        assert!(message.contains("may be no registry"), "{body}: {message}");
    }
    // What it is sent as does not matter where it can be nothing else.
    let server =
        Server::start(|_, _| Reply::tags(&["1"], None).with("Content-Type", "text/html; x"));
    assert_eq!(tags(&server).unwrap(), ["1"]);
}

#[test]
fn page_that_fails_now_and_then_is_asked_for_again() {
    let server = Server::start(|request, before| match (request.path.as_str(), before) {
        (FIRST, 0) => Reply::none(),
        (FIRST, 1) => Reply::new(429, "").with("Retry-After", "0"),
        (FIRST, _) => Reply::tags(&["1"], Some("?last=1")),
        (_, 0) => Reply::tags(&["2"], None).cut(5),
        (_, 1) => Reply::new(429, ""),
        _ => Reply::tags(&["2"], None),
    });
    assert_eq!(tags(&server).unwrap(), ["1", "2"]);
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn registry_that_is_too_slow_or_hangs_up_is_given_up() {
    let slow = Server::start(|_, _| Reply::tags(&["1"], None).after(Duration::from_millis(400)));
    let hasty = Options { stall_timeout: Duration::from_millis(60), ..options() };
    let error = block(client(hasty).tags(&slow.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("no answer") && error.message.contains("3 times"), "{error}");
    assert_eq!(tags(&slow).unwrap(), ["1"], "slow alone is no failure");
    let rude = Server::start(|_, _| Reply::none());
    let (kind, message) = fails(&rude);
    assert_eq!(kind, ErrorKind::Unreachable);
    assert!(message.contains("check the network"), "{message}");
    assert_eq!(rude.requests().len(), 3);
}
