//! Registries that do not take what is written, and what a person is told then.

use mabuild_oci::{Descriptor, Digest, Layout, media_type};

use super::push::{image, push};
use crate::testing::{Reply, Request, Server, Shelf, block, client, layout, options};
use crate::{Credentials, Error, ErrorKind, Options};

/// A registry that answers some requests in its own way.
fn with(shelf: &Shelf, own: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let kept = shelf.clone();
    Server::start(move |request, _| own(request).unwrap_or_else(|| kept.reply(request)))
}

fn fails(server: &Server, options: Options) -> Error {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    push(&client(options), &layout, &image, &server.image("1")).unwrap_err()
}

fn says(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

fn is_upload(request: &Request) -> bool {
    request.method == "POST"
}

fn is_manifest(request: &Request) -> bool {
    request.method == "PUT" && request.path.contains("/manifests/")
}

#[test]
fn who_may_not_push_is_told_what_to_do() {
    let denied = r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#;
    let server =
        with(&Shelf::default(), move |request| is_upload(request).then(|| Reply::new(403, denied)));
    let error = fails(&server, options());
    assert_eq!(error.kind, ErrorKind::Denied);
    let login = format!("`docker login {}`", server.host);
    let common = ["cannot write", "/team/app:1", "403", "DENIED", &login];
    says(&error, &common);
    says(&error, &["writing to team/app needs a login"]);
    let credentials = Credentials::from_pair(&server.host, "joe", "geheim");
    let error = fails(&server, Options { credentials, ..options() });
    says(&error, &common);
    says(&error, &["may not write to team/app", "somebody who may"]);
    assert!(!format!("{error:?}").contains("geheim"));
    assert!(!error.blames_registry());
}

#[test]
fn refusals_say_what_may_be_the_matter() {
    for (status, on, kind, words) in [
        (413, is_manifest as fn(&Request) -> bool, ErrorKind::Refused, "too large"),
        (413, is_upload, ErrorKind::Refused, "too large"),
        (405, is_upload, ErrorKind::Refused, "may only be read"),
        (404, is_upload, ErrorKind::NotFound, "have to be made there first"),
        (507, is_upload, ErrorKind::Unreachable, "507"),
        (409, is_manifest, ErrorKind::Refused, "cannot be written again"),
        (400, is_manifest, ErrorKind::Refused, "does not take it"),
    ] {
        let shelf = Shelf::default();
        let server =
            with(&shelf, move |request| on(request).then(|| Reply::new(status, "<html>no</html>")));
        let error = fails(&server, options());
        assert_eq!(error.kind, kind, "{error}");
        says(&error, &["cannot write", words, &status.to_string()]);
        assert!(shelf.tags().is_empty());
    }
}

#[test]
fn registry_that_keeps_something_else_is_told() {
    let other = Digest::sha256(b"other").to_string();
    for manifest in [true, false] {
        let (kept, other) = (Shelf::default(), other.clone());
        let server = Server::start(move |request, _| {
            let mut reply = kept.reply(request);
            if request.method == "PUT" && request.path.contains("/manifests/") == manifest {
                reply.headers.retain(|(name, _)| name != "Docker-Content-Digest");
                reply = reply.with("Docker-Content-Digest", &other);
            }
            reply
        });
        let error = fails(&server, options());
        assert_eq!(error.kind, ErrorKind::Broken);
        says(&error, &["changed on the way"]);
    }
}

#[test]
fn what_is_led_elsewhere_is_not_taken_for_written() {
    let elsewhere = Server::start(|_, _| Reply::new(200, "<html>Welcome!</html>"));
    for status in [301, 302, 303, 307, 308] {
        for on in [is_manifest as fn(&Request) -> bool, is_upload] {
            let to = format!("http://{}/x", elsewhere.host);
            let server = with(&Shelf::default(), move |request| {
                on(request).then(|| Reply::new(status, "").with("Location", &to))
            });
            let error = fails(&server, options());
            assert_eq!(error.kind, ErrorKind::Refused, "{error}");
            says(&error, &["leads", "name the registry"]);
        }
    }
    assert!(elsewhere.requests().iter().all(|r| r.header("authorization").is_none()));
}

fn damaged(damage: impl Fn(&Layout, &Descriptor)) -> Error {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    damage(&layout, &image);
    let shelf = Shelf::default();
    let server = shelf.serve();
    let error = push(&client(options()), &layout, &image, &server.image("1")).unwrap_err();
    assert!(!server.requests().iter().any(is_manifest), "{:?}", server.lines());
    error
}

#[test]
fn damaged_layout_is_not_pushed() {
    let layer = Digest::sha256(vec![7; 70_000]);
    let error = damaged(|layout, _| {
        std::fs::write(layout.path_of(&layer), vec![7; 69_999]).unwrap();
    });
    says(&error, &["69999 bytes", "should have 70000", "damaged", &layer.hex()]);
    assert_eq!(error.kind, ErrorKind::Local);
    let error = damaged(|layout, _| {
        std::fs::write(layout.path_of(&layer), vec![8; 70_000]).unwrap();
    });
    says(&error, &["DIGEST_INVALID"]);
    let error = damaged(|layout, image| {
        std::fs::write(layout.path_of(&image.digest), "{}").unwrap();
    });
    says(&error, &["has digest", &Digest::sha256("{}").hex()]);
}

#[test]
fn registry_without_deletes_is_told() {
    let server = with(&Shelf::default(), |r| (r.method == "DELETE").then(|| Reply::new(405, "")));
    let error = block(client(options()).delete(&server.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    says(&error, &["cannot delete", "405", "operator"]);
}

#[test]
fn lists_of_referrers_without_end_are_given_up() {
    let digest = Digest::sha256(b"x");
    let one = Descriptor::new(media_type::MANIFEST, digest, 5);
    let many = mabuild_oci::Index::new(vec![one; 500]).to_bytes().unwrap();
    let server = Server::start(move |request, _| {
        let next = format!("<{}x>; rel=\"next\"", request.path);
        Reply::new(200, many.clone()).with("Link", &next)
    });
    let of = server.image("1").with_digest(digest);
    let error = block(client(options()).referrers(&of, None)).unwrap_err();
    says(&error, &["more than 10000"]);
    assert!(server.requests().len() < 30);
    let odd = Server::start(|_, _| Reply::new(200, "<html></html>"));
    let of = odd.image("1").with_digest(digest);
    assert_eq!(block(client(options()).referrers(&of, None)).unwrap_err().kind, ErrorKind::Broken);
}
