//! Mirrors are asked first, where something is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mabuild_oci::{Digest, Platform};

use super::push::{image, push};
use crate::testing::{Content, Reply, Server, Shelf, block, client, layout, options};
use crate::{Client, Credentials, ErrorKind, Options, Reference};

fn content() -> (Content, Digest) {
    let mut content = Content::default();
    let images = ["linux/amd64", "linux/arm64"].map(|platform| content.image(platform, platform));
    let index = content.index("1", images.to_vec());
    (content, index.digest)
}

fn with(origin: &Server, mirrors: &[&str], more: Options) -> Client {
    let mirrors = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
    client(Options { mirrors: BTreeMap::from([(origin.host.clone(), mirrors)]), ..more })
}

fn pull(client: &Client, image: &Reference) -> Digest {
    let (_folder, layout) = layout();
    block(client.pull(image, &Platform::new("linux", "amd64"), &layout)).unwrap();
    block(client.tags(image)).unwrap_err();
    block(client.digest(image)).unwrap()
}

#[test]
fn mirror_that_has_all_is_asked_alone() {
    let (content, digest) = content();
    let origin = Server::start(|_, _| Reply::new(500, ""));
    let kept = content.clone();
    let mirror = Server::start(move |request, _| {
        let mut request = request.clone();
        request.path = request.path.replace("/v2/hub/team", "/v2/team");
        kept.reply(&request)
    });
    let client = with(&origin, &[&format!("{}/hub/", mirror.host)], options());
    let image = origin.image("1");
    let (_folder, layout) = layout();
    block(client.pull(&image, &Platform::new("linux", "amd64"), &layout)).unwrap();
    assert_eq!(block(client.digest(&image)).unwrap(), digest);
    assert!(origin.requests().is_empty(), "{:?}", origin.lines());
    assert!(mirror.lines().iter().all(|line| line.contains("/v2/hub/team/app/")));
}

#[test]
fn mirrors_that_fail_are_passed_over() {
    let (content, digest) = content();
    let origin = content.clone().serve();
    let empty = Content::default().serve();
    let rude = Server::start(|_, _| Reply::none());
    let kept = content.clone();
    let liar = Server::start(move |request, _| {
        let mut reply = kept.reply(request);
        let is_tag = request.path.ends_with("/1");
        if request.method == "GET" && !is_tag && !reply.body.is_empty() {
            reply.body[0] ^= 1;
        }
        reply
    });
    let closed = Server::start(|_, _| Reply::new(403, ""));
    let mirrors = [&rude, &empty, &closed, &liar].map(|server| server.host.as_str());
    let client = with(&origin, &mirrors, options());
    assert_eq!(pull(&client, &origin.image("1")), digest);
    assert_eq!(rude.requests().len(), 1, "who does not answer is not asked again");
    assert!(!origin.requests().is_empty() && !liar.requests().is_empty());
    // What nobody has is told by the registry itself.
    let error = block(client.digest(&origin.image("2"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains(&format!("{}/team/app:2", origin.host)), "{error}");
    for host in mirrors {
        assert!(!error.message.contains(host), "{error}");
    }
}

#[test]
fn mirror_sees_its_own_login_alone() {
    let guarded = |content: Content, login: &str| {
        let wanted = format!("Basic {}", STANDARD.encode(login));
        Server::start(move |request, _| match request.header("authorization") {
            Some(sent) if sent == wanted => content.reply(request),
            _ => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
        })
    };
    let (content, digest) = content();
    let origin = guarded(content.clone(), "joe:geheim");
    let (own, foreign) = (guarded(content, "jim:secret"), guarded(Content::default(), "x:y"));
    let credentials = Credentials::merge([
        Credentials::from_pair(&origin.host, "joe", "geheim"),
        Credentials::from_pair(&own.host, "jim", "secret"),
    ]);
    let more = Options { credentials, ..options() };
    let client = with(&origin, &[&foreign.host, &own.host], more);
    assert_eq!(block(client.digest(&origin.image("1"))).unwrap(), digest);
    assert!(origin.requests().is_empty());
    assert!(foreign.requests().iter().all(|r| r.header("authorization").is_none()));
    let joe = STANDARD.encode("joe:geheim");
    let shown = own
        .requests()
        .iter()
        .filter_map(|r| r.header("authorization").map(str::to_owned))
        .collect::<Vec<_>>();
    assert!(!shown.is_empty() && shown.iter().all(|sent| !sent.contains(&joe)));
}

#[test]
fn what_is_written_and_what_is_now_has_nothing_to_do_with_mirrors() {
    let shelf = Shelf::default();
    let origin = shelf.serve();
    let mirror = Server::start(|_, _| Reply::new(500, ""));
    let client = Arc::new(with(&origin, &[&mirror.host], options()));
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let to = origin.image("1");
    assert_eq!(block(client.current(&to)).unwrap(), None);
    push(&client, &layout, &image, &to).unwrap();
    block(client.put(&to, &image.media_type, &layout.read(&image.digest).unwrap())).unwrap();
    assert_eq!(block(client.look(&to)).unwrap().unwrap().digest, image.digest);
    block(client.referrers(&to.with_digest(image.digest), None)).unwrap();
    assert!(block(client.delete(&to)).unwrap());
    assert!(mirror.requests().is_empty(), "{:?}", mirror.lines());
}
