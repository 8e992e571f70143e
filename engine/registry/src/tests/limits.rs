//! How much registries are asked, and what they say of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mabuild_oci::Digest;

use crate::testing::{Content, Reply, Server, at_once, block, client, options};
use crate::{ErrorKind, HostForecast, HostLimits, Options, Reference};

/// Says how many pulls are left, as Docker Hub does.
fn limited(reply: Reply, left: usize) -> Reply {
    reply
        .with("ratelimit-limit", "100;w=21600")
        .with("RateLimit-Remaining", &format!("{left};w=21600"))
        .with("docker-ratelimit-source", "192.0.2.7")
}

#[test]
fn newest_limit_is_kept() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, _| {
        limited(content.reply(request), if request.method == "HEAD" { 76 } else { 75 })
    });
    let client = client(options());
    assert!(client.limits().is_empty());
    let left = || client.limits().iter().map(|l| l.remaining).collect::<Vec<_>>();
    block(client.digest(&server.image("1"))).unwrap();
    assert_eq!(left(), [76]);
    block(client.resolve(&server.image("1"))).unwrap();
    assert_eq!(left(), [75]);
    let limits = client.limits();
    let [limit] = limits.as_slice() else { panic!("{limits:?}") };
    assert_eq!((&limit.host, limit.limit), (&server.host, 100));
    assert_eq!(limit.window, Some(Duration::from_secs(21600)));
    assert_eq!(limit.source.as_deref(), Some("192.0.2.7"));
}

#[test]
fn limit_of_another_server_is_not_that_of_the_registry() {
    let elsewhere = Server::start(|_, _| limited(Reply::new(200, "x"), 3));
    let to = elsewhere.host.clone();
    let server = Server::start(move |_, _| {
        limited(Reply::new(307, ""), 50).with("Location", &format!("http://{to}/x"))
    });
    let client = client(options());
    block(client.digest(&server.image("1"))).unwrap_err();
    assert!(!elsewhere.requests().is_empty());
    assert!(client.limits().is_empty(), "{:?}", client.limits());
}

#[test]
fn limit_that_is_used_up_is_told_at_once() {
    let server = Server::start(|_, _| limited(Reply::new(429, ""), 0));
    let client = client(options());
    let error = block(client.digest(&server.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    for words in ["limit of 100 in 21600 s (6 h)", "docker login", "mirror", "/team/app:1"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(client.limits()[0].remaining, 0);
}

#[test]
fn crowd_is_not_a_limit() {
    let server = Server::start(|_, _| limited(Reply::new(429, ""), 9));
    let error = block(client(options()).digest(&server.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooMany);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn host_gets_no_more_at_once_than_it_may() {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::start(move |_, _| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::SeqCst);
        let digest = Digest::sha256(b"").to_string();
        Reply::new(200, "").with("Docker-Content-Digest", &digest)
    });
    let client = client(Options { per_host: 3, ..options() });
    let answers = at_once(20, |n| {
        let (client, image) = (client.clone(), server.image(&n.to_string()));
        async move { client.digest(&image).await }
    });
    assert!(answers.iter().all(Result::is_ok));
    let most = most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most}");
    assert_eq!(server.requests().len(), 20);
}

#[test]
fn budget_is_not_overdrawn() {
    let (one, other) = (Content::default().serve(), Content::default().serve());
    let client = client(Options { max_requests_per_host: Some(3), ..options() });
    let ask = |image: &Reference| block(client.digest(image)).unwrap_err();
    // Each asks twice: what is missing is asked for in full.
    assert_eq!(ask(&one.image("1")).kind, ErrorKind::NotFound);
    let error = ask(&one.image("2"));
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.blames_registry());
    let words = format!("the 3 requests that this run may send to {}", one.host);
    assert!(error.message.contains(&words), "{error}");
    assert_eq!(ask(&one.image("3")).kind, ErrorKind::Limit);
    assert_eq!(one.requests().len(), 3);
    assert_eq!(ask(&other.image("1")).kind, ErrorKind::NotFound, "each host has its own");
}

#[test]
fn one_host_may_have_a_budget_of_its_own() {
    let (one, other) = (Content::default().serve(), Content::default().serve());
    let own = HostLimits { at_once: None, in_all: Some(1) };
    let limits = BTreeMap::from([(one.host.clone(), own)]);
    let client = client(Options { max_requests_per_host: Some(4), limits, ..options() });
    let ask = |image: &Reference| block(client.digest(image)).unwrap_err().kind;
    assert_eq!(ask(&one.image("1")), ErrorKind::Limit);
    assert_eq!(one.requests().len(), 1);
    assert_eq!((ask(&other.image("1")), ask(&other.image("2"))), {
        (ErrorKind::NotFound, ErrorKind::NotFound)
    });
}

#[test]
fn forecast_knows_what_counts_and_what_is_known() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = content.serve();
    let client = client(options());
    let hub = |tag: &str| Reference { host: "docker.io".to_owned(), ..server.image(tag) };
    let digest = Digest::sha256(b"x");
    let all = [
        hub("1"),
        hub("1"),
        hub("2"),
        hub("2").with_digest(digest),
        hub("3").with_digest(digest),
        server.image("1"),
    ];
    let forecast = client.forecast(&all);
    assert_eq!(forecast.hosts["docker.io"], HostForecast { heads: 2, gets: 3, counted: 3 });
    assert_eq!(forecast.hosts["docker.io"].requests(), 5);
    assert_eq!(forecast.hosts[&server.host], HostForecast { heads: 1, gets: 1, counted: 2 });
    assert!(server.requests().is_empty());
    block(client.digest(&server.image("1"))).unwrap();
    let after = client.forecast(&all);
    assert_eq!(after.hosts[&server.host], HostForecast { heads: 0, gets: 1, counted: 1 });
    block(client.resolve(&server.image("1"))).unwrap();
    block(client.digest(&server.image("none"))).unwrap_err();
    let known = client.forecast(&[server.image("1"), server.image("none")]);
    assert!(known.hosts.is_empty(), "{known:?}");
    assert!(client.forecast(&[]).hosts.is_empty());
}
