//! Uploads that break, stall, get lost or go elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mabuild_oci::{Descriptor, Digest, Layout, Manifest, media_type};

use super::push::{image, push};
use crate::testing::{Intake, Reply, Request, Server, Shelf, block, client, layout, options};
use crate::{Credentials, Error, ErrorKind, Options, Pushed, Sending};

/// An image whose one layer has a million bytes.
fn large(layout: &Layout) -> (Descriptor, Digest) {
    let config = layout.write_blob(media_type::EMPTY, b"{}").unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let layer = layout.write_blob(media_type::LAYER, &bytes).unwrap();
    let digest = layer.digest;
    let manifest = Manifest::new(config, vec![layer]).to_bytes().unwrap();
    (layout.write_blob(media_type::MANIFEST, &manifest).unwrap(), digest)
}

/// Pushes a large image; gives what was said, and whether the layer is there whole.
fn pushed(server: &Server, shelf: &Shelf, options: Options) -> (Result<Pushed, Error>, bool) {
    let (_folder, layout) = layout();
    let (image, layer) = large(&layout);
    let pushed = push(&client(options), &layout, &image, &server.image("1"));
    assert!(shelf.tags().is_empty());
    (pushed, shelf.has_blob("team/app", layer))
}

fn is_large(request: &Request, method: &str) -> bool {
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    request.method == method && length > 100_000
}

#[test]
fn broken_upload_goes_on_where_it_ended() {
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let cuts = AtomicUsize::new(0);
    let server = Server::start_rude(
        move |request, _| {
            let is_rest = is_large(request, "PATCH");
            match is_large(request, "PUT") || is_rest && cuts.fetch_add(1, Ordering::SeqCst) < 6 {
                true => Intake::Cut(100_000),
                false => Intake::All,
            }
        },
        move |request, _| kept.reply(request),
    );
    let (done, whole) = pushed(&server, &shelf, options());
    assert!(whole, "{done:?}");
    assert_eq!(done.unwrap().uploaded, 2);
    let ranges: Vec<String> = server
        .requests()
        .iter()
        .filter(|r| r.method == "PATCH")
        .map(|r| r.header("content-range").unwrap().to_owned())
        .collect();
    // More breaks than tries, but each brings something.
    assert_eq!(ranges.len(), 7, "{ranges:?}");
    assert_eq!((ranges[0].as_str(), ranges[6].as_str()), ("100000-999999", "700000-999999"));
    let begun = server.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(begun, 2, "{:?}", server.lines());
}

type Heard = Arc<Mutex<Vec<(Digest, u64, u64, bool)>>>;

/// Options with which all is noted that is told of what is sent.
fn heard() -> (Options, Heard) {
    let heard = Heard::default();
    let log = heard.clone();
    let sending = move |told: &Sending<'_>| {
        assert!(told.to.ends_with("/team/app"), "{told:?}");
        log.lock().unwrap().push((told.blob, told.done, told.all, told.is_over));
    };
    (Options { sending: Some(Arc::new(sending)), ..options() }, heard)
}

#[test]
fn uploads_are_told_from_their_beginning_to_their_end() {
    for is_fatal in [false, true] {
        let shelf = Shelf::default();
        let kept = shelf.clone();
        let cuts = AtomicUsize::new(0);
        let server = Server::start_rude(
            move |request, _| match is_large(request, "PUT") || is_large(request, "PATCH") {
                true if is_fatal => Intake::Cut(0),
                true if cuts.fetch_add(1, Ordering::SeqCst) < 2 => Intake::Cut(300_000),
                _ => Intake::All,
            },
            move |request, _| kept.reply(request),
        );
        let (options, heard) = heard();
        let (done, whole) = pushed(&server, &shelf, options);
        assert_eq!((whole, done.is_ok()), (!is_fatal, !is_fatal), "{done:?}");
        let heard = heard.lock().unwrap();
        let of_layer: Vec<_> = heard.iter().filter(|(_, _, all, _)| *all == 1_000_000).collect();
        let config = heard.iter().rfind(|(_, _, all, _)| *all == 2);
        // Where the layer fails, nobody waits for the other blob.
        assert!(is_fatal || config.is_some_and(|told| (told.1, told.3) == (2, true)));
        let (_, first, ..) = of_layer.first().unwrap();
        let (_, last, ..) = of_layer.last().unwrap();
        let ends = of_layer.iter().filter(|told| told.3).count();
        assert!(of_layer.last().unwrap().3 && ends == 1, "{of_layer:?}");
        assert_eq!((*first, *last), (0, if is_fatal { 0 } else { 1_000_000 }), "{of_layer:?}");
        assert!(of_layer.iter().all(|(_, done, all, _)| done <= all), "{of_layer:?}");
        assert!(is_fatal || of_layer.iter().any(|(_, done, ..)| (1..1_000_000).contains(done)));
    }
}

#[test]
fn upload_that_the_registry_lost_begins_again() {
    // Lost when it is asked for, or when the rest comes.
    for lost_at in ["GET", "PATCH"] {
        let shelf = Shelf::default();
        let kept = shelf.clone();
        let cuts = AtomicUsize::new(0);
        let server = Server::start_rude(
            move |request, _| match is_large(request, "PUT") {
                true if cuts.fetch_add(1, Ordering::SeqCst) == 0 => Intake::Cut(100_000),
                _ => Intake::All,
            },
            move |request, _| match request.method == lost_at && request.path.contains("uploads") {
                true => Reply::new(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
                false => kept.reply(request),
            },
        );
        let (done, whole) = pushed(&server, &shelf, options());
        assert!(whole, "{lost_at}: {done:?}");
        assert_eq!(done.unwrap().uploaded, 2);
    }
}

#[test]
fn upload_that_never_gets_on_is_given_up() {
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let server = Server::start_rude(
        |request, _| match is_large(request, "PUT") {
            true => Intake::Cut(0),
            false => Intake::All,
        },
        move |request, _| kept.reply(request),
    );
    let (done, whole) = pushed(&server, &shelf, options());
    let error = done.unwrap_err();
    assert!(!whole);
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("tried 3 times"), "{error}");
    let puts = server.lines().iter().filter(|line| line.contains("manifests/")).count();
    assert_eq!(puts, 1, "the manifest is asked for and never written: {:?}", server.lines());
}

#[test]
fn stalled_upload_is_tried_again() {
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let stalls = AtomicUsize::new(0);
    let server = Server::start_rude(
        move |request, _| match is_large(request, "PUT") {
            true if stalls.fetch_add(1, Ordering::SeqCst) == 0 => {
                Intake::Stall(1000, Duration::from_secs(20))
            }
            _ => Intake::All,
        },
        move |request, _| kept.reply(request),
    );
    let hasty = Options { stall_timeout: Duration::from_millis(300), ..options() };
    let begun = std::time::Instant::now();
    let (done, whole) = pushed(&server, &shelf, hasty);
    assert!(whole, "{done:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn passing_faults_of_every_request_are_survived() {
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let faults = ["HEAD", "POST", "PUT", "GET"].map(|method| (method, AtomicUsize::new(0)));
    let server = Server::start(move |request, _| {
        let of_method = faults.iter().find(|(method, _)| *method == request.method);
        match (request.method.as_str(), of_method.unwrap().1.fetch_add(1, Ordering::SeqCst)) {
            ("POST", 0 | 2) => Reply::new(429, "").with("Retry-After", "0"),
            ("PUT", 0 | 2) => Reply::new(500, ""),
            (_, 0 | 2) => Reply::none(),
            _ => kept.reply(request),
        }
    });
    let (done, whole) = pushed(&server, &shelf, Options { attempts: 5, ..options() });
    assert!(whole, "{done:?}");
    assert_eq!(done.unwrap().manifests, 1);
}

#[test]
fn address_of_an_upload_is_taken_in_all_its_forms() {
    for form in ["relative", "absolute", "other scheme", "path alone"] {
        let shelf = Shelf::default();
        let kept = shelf.clone();
        let server = Server::start(move |request, _| {
            let mut reply = kept.reply(request);
            let host = request.header("host").unwrap();
            for (name, value) in &mut reply.headers {
                if name == "Location" {
                    *value = match form {
                        "absolute" => format!("http://joe:x@{host}{value}"),
                        // A registry behind a proxy that does TLS.
                        "other scheme" => format!("https://{host}{value}"),
                        "path alone" => value.replace("/v2/team/app/blobs/uploads/", ""),
                        _ => value.clone(),
                    };
                }
            }
            reply
        });
        let (done, whole) = pushed(&server, &shelf, options());
        assert!(whole, "{form}: {done:?}");
        let puts = server.requests().into_iter().filter(|r| r.path.contains("uploads/u"));
        for put in puts {
            assert!(put.path.contains("?_state=x&digest=sha256%3A"), "{}", put.path);
            assert_eq!(put.header("authorization"), None);
        }
    }
}

#[test]
fn registry_that_names_no_address_is_told() {
    for (location, words) in [
        (None, "does not say where to upload to (Location)"),
        (Some("ftp://r.example/x?key=geheim"), "names ftp://r.example as"),
        (Some("http://joe:geheim@r.example/x"), "names http://r.example as"),
        (Some("http://[geheim"), "names no address as"),
    ] {
        let server = Server::start(move |request, _| match request.method.as_str() {
            "HEAD" => Reply::new(404, ""),
            _ => match location {
                Some(location) => Reply::new(202, "").with("Location", location),
                None => Reply::new(202, ""),
            },
        });
        let (_folder, layout) = layout();
        let image = image(&layout, "linux/amd64", 1);
        let error = push(&client(options()), &layout, &image, &server.image("1")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(!error.message.contains("geheim"), "{error}");
    }
}

#[test]
fn login_does_not_follow_an_upload_to_another_server() {
    let store = Shelf::default();
    let elsewhere = store.serve();
    let shelf = Shelf { uploads_at: format!("http://{}", elsewhere.host), ..store.clone() };
    let kept = shelf.clone();
    let basic = format!("Basic {}", STANDARD.encode("joe:geheim"));
    let server = Server::start(move |request, _| match request.header("authorization") {
        Some(sent) if sent == basic => kept.reply(request),
        _ => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let credentials = Credentials::from_pair(&server.host, "joe", "geheim");
    let (done, whole) = pushed(&server, &shelf, Options { credentials, ..options() });
    assert!(whole, "{done:?}");
    let there = elsewhere.requests();
    assert_eq!(there.len(), 2, "{:?}", elsewhere.lines());
    assert!(there.iter().all(|r| r.header("authorization").is_none()));
    // Not even where it asks for one.
    let greedy =
        Server::start(|_, _| Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""));
    let shelf = Shelf { uploads_at: format!("http://{}", greedy.host), ..Shelf::default() };
    let kept = shelf.clone();
    let server = Server::start(move |request, _| match request.header("authorization") {
        Some(_) => kept.reply(request),
        _ => Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let credentials = Credentials::from_pair(&server.host, "joe", "geheim");
    let error = pushed(&server, &shelf, Options { credentials, ..options() }).0.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(greedy.requests().iter().all(|r| r.header("authorization").is_none()));
    assert!(!error.message.contains("geheim"));
}

/// A registry of tokens that are good for so many requests; each is told apart.
fn tokens(shelf: &Shelf, lasting: usize) -> Server {
    let (kept, given, used) = (shelf.clone(), AtomicUsize::new(0), AtomicUsize::new(0));
    Server::start(move |request, _| {
        let host = request.header("host").unwrap();
        if request.path.starts_with("/token") {
            used.store(0, Ordering::SeqCst);
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::new(200, format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        let good = format!("Bearer t{}", given.load(Ordering::SeqCst));
        let is_good = request.header("authorization") == Some(good.as_str());
        if is_good && used.fetch_add(1, Ordering::SeqCst) < lasting {
            return kept.reply(request);
        }
        let realm = format!("Bearer realm=\"http://{host}/token\",service=\"r\"");
        Reply::new(401, "").with("WWW-Authenticate", &realm)
    })
}

#[test]
fn token_that_ends_in_the_middle_is_renewed() {
    for lasting in 1..6 {
        let shelf = Shelf::default();
        let server = tokens(&shelf, lasting);
        let (done, whole) = pushed(&server, &shelf, Options { per_host: 1, ..options() });
        assert!(whole, "{lasting}: {done:?}");
        done.unwrap();
    }
}

#[test]
fn one_token_serves_a_push_with_what_it_mounts_and_the_tag() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let bytes = layout.read(&image.digest).unwrap();
    let server = tokens(&Shelf::default(), 1000);
    let to = server.image("1");
    let base = crate::Reference { repository: "team/base".to_owned(), ..to.clone() };
    let client = client(options());
    block(client.push(&layout, &image, &to, &[base])).unwrap();
    block(client.put(&to, media_type::MANIFEST, &bytes)).unwrap();
    block(client.look(&to)).unwrap();
    let asked: Vec<String> =
        server.lines().into_iter().filter(|line| line.contains("/token")).collect();
    let scopes = "GET /token?service=r&scope=repository%3Ateam%2Fapp%3Apull%2Cpush\
                  &scope=repository%3Ateam%2Fbase%3Apull";
    assert_eq!(asked, [scopes]);
}

#[test]
fn who_may_not_read_the_base_sends_its_blobs() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let shelf = Shelf::default();
    let kept = shelf.clone();
    let server = Server::start(move |request, _| {
        let host = request.header("host").unwrap();
        if request.path.starts_with("/token") {
            return match request.path.contains("base") {
                true => Reply::new(403, r#"{"details":"no access to team/base"}"#),
                false => Reply::new(200, r#"{"token":"t"}"#),
            };
        }
        match request.header("authorization") {
            Some("Bearer t") => kept.reply(request),
            _ => {
                let realm = format!("Bearer realm=\"http://{host}/token\",service=\"r\"");
                Reply::new(401, "").with("WWW-Authenticate", &realm)
            }
        }
    });
    let to = server.image("1");
    let base = crate::Reference { repository: "team/base".to_owned(), ..to.clone() };
    let pushed = block(client(options()).push(&layout, &image, &to, &[base])).unwrap();
    assert_eq!((pushed.uploaded, pushed.mounted, pushed.manifests), (3, 0, 1), "{pushed:?}");
}
