//! Registries that lie, and that want to fill memory or disk.

use mabuild_oci::{Descriptor, Digest, Index, Manifest, Platform, media_type};

use crate::ErrorKind;
use crate::testing::{Content, Reply, Server, block, client, layout, options};

fn amd() -> Platform {
    Platform::new("linux", "amd64")
}

/// Pulls tag 1; gives the kind of the failure and what is said.
fn fails(server: &Server) -> (ErrorKind, String) {
    let (_folder, layout) = layout();
    let error = block(client(options()).pull(&server.image("1"), &amd(), &layout)).unwrap_err();
    let blobs = std::fs::read_dir(layout.root().join("blobs/sha256")).unwrap();
    for blob in blobs.flatten() {
        let name = blob.file_name().into_string().unwrap();
        let bytes = std::fs::read(blob.path()).unwrap();
        assert_eq!(Digest::sha256(bytes).hex(), name, "nothing unverified is kept");
    }
    let ingest = std::fs::read_dir(layout.root().join(".ingest")).unwrap();
    assert_eq!(ingest.count(), 0, "nothing is left over");
    (error.kind, error.message)
}

#[test]
fn blob_with_other_bytes_is_refused() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, _| {
        let mut reply = content.reply(request);
        if reply.body.len() > 1_000_000 {
            reply.body[77] ^= 1;
        }
        reply
    });
    let (kind, message) = fails(&server);
    assert_eq!(kind, ErrorKind::Broken, "{message}");
    assert!(message.contains("was exchanged"), "{message}");
    let layers = server.lines().iter().filter(|line| line.contains("blobs")).count();
    assert!(layers <= 6, "each is tried twice: {:?}", server.lines());
}

#[test]
fn manifest_with_other_bytes_is_refused() {
    for by_tag in [true, false] {
        let mut content = Content::default();
        content.image("1", "linux/amd64");
        let server = Server::start(move |request, _| {
            let mut reply = content.reply(request);
            if by_tag && request.method == "HEAD" {
                return Reply::new(405, "");
            }
            if request.path.contains("/manifests/") {
                reply.body.push(b' ');
            }
            reply
        });
        let (kind, message) = fails(&server);
        assert_eq!(kind, ErrorKind::Broken, "{message}");
        assert!(message.contains("digest"), "{message}");
    }
}

#[test]
fn large_manifests_are_refused() {
    for measured in [true, false] {
        let server = Server::start(move |request, _| {
            let body = vec![b' '; if request.method == "HEAD" { 0 } else { 5 << 20 }];
            Reply { measured, ..Reply::new(200, body) }
        });
        let (kind, message) = fails(&server);
        assert_eq!(kind, ErrorKind::Broken);
        assert!(message.contains("larger than 4194304 bytes"), "{message}");
    }
}

#[test]
fn blob_that_is_longer_than_it_should_be_is_cut_off() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, _| {
        let mut reply = content.reply(request);
        if reply.body.len() > 1_000_000 {
            reply.measured = false;
            reply.body.extend(vec![0; 30 << 20]);
        }
        reply
    });
    let (kind, message) = fails(&server);
    assert_eq!(kind, ErrorKind::Broken);
    assert!(message.contains("has more than"), "{message}");
    assert!(message.contains("/team/app:1"), "{message}");
}

#[test]
fn absurd_manifests_are_refused_before_a_blob_is_fetched() {
    let mut many = Content::default();
    let config = many.blob(media_type::CONFIG, br#"{"os":"linux","architecture":"amd64"}"#);
    let empty = many.blob(media_type::LAYER, b"");
    let manifest = Manifest::new(config.clone(), vec![empty.clone(); 1025]).to_bytes().unwrap();
    many.document("1", media_type::MANIFEST, &manifest);
    let server = many.clone().serve();
    assert!(fails(&server).1.contains("1025 layers"));
    let huge = Descriptor { size: u64::MAX, ..empty };
    let manifest = Manifest::new(config, vec![huge]).to_bytes().unwrap();
    many.document("1", media_type::MANIFEST, &manifest);
    let server = many.serve();
    assert!(fails(&server).1.contains("is said to have"));
    assert!(!server.lines().iter().any(|line| line.ends_with(&Digest::sha256(b"").to_string())));
}

#[test]
fn bottomless_indexes_are_refused() {
    let mut deep = Content::default();
    let mut inner = deep.image("image", "linux/amd64");
    for _ in 0..9 {
        inner = deep.index("1", vec![inner]);
    }
    let (kind, message) = fails(&deep.serve());
    assert_eq!((kind, message.contains("too deep")), (ErrorKind::Broken, true), "{message}");
    let mut wide = Content::default();
    let image = wide.image("image", "linux/arm64");
    wide.index("1", vec![image; 5000]);
    let (kind, message) = fails(&wide.serve());
    assert_eq!((kind, message.contains("entries")), (ErrorKind::Broken, true), "{message}");
}

#[test]
fn document_that_could_be_two_things_is_refused() {
    let mut content = Content::default();
    content.image("1", "linux/amd64");
    let server = Server::start(move |request, _| {
        let mut reply = content.reply(request);
        reply.headers.retain(|(name, _)| name != "Content-Type");
        reply.with("Content-Type", media_type::INDEX)
    });
    let (kind, message) = fails(&server);
    assert_eq!(kind, ErrorKind::Broken);
    assert!(message.contains("it is none"), "{message}");
    let mut both = Content::default();
    let bytes = Index::new(vec![]).to_bytes().unwrap();
    let bytes = [&bytes[..bytes.len() - 1], br#","layers":[]}"#].concat();
    both.document("1", media_type::INDEX, &bytes);
    assert!(fails(&both.serve()).1.contains("both as a manifest and as an index"));
}

#[test]
fn answers_that_are_no_registry_are_told() {
    let server = Server::start(|_, _| Reply::new(200, "<html>Welcome!</html>"));
    let (kind, message) = fails(&server);
    assert_eq!(kind, ErrorKind::Broken, "{message}");
    let server = Server::start(|request, _| {
        let place = format!("http://{}{}x", request.header("host").unwrap(), request.path);
        Reply::new(302, "").with("Location", &place)
    });
    let (kind, message) = fails(&server);
    assert_eq!(kind, ErrorKind::Unreachable, "{message}");
    assert!(server.requests().len() < 40);
}

#[test]
fn what_is_not_there_is_told() {
    let mut content = Content::default();
    let image = content.image("1", "linux/amd64");
    let server = content.serve();
    let error = block(client(options()).digest(&server.image("2"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    for words in ["/team/app:2", "404", "MANIFEST_UNKNOWN", "spelling"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert_eq!(server.lines().len(), 2, "a 404 is not asked for again");
    let mut gone = Content::default();
    let config = gone.blob(media_type::CONFIG, br#"{"os":"linux","architecture":"amd64"}"#);
    let foreign = Descriptor::new(media_type::DOCKER_LAYER_FOREIGN, image.digest, 5);
    let manifest = Manifest::new(config, vec![foreign]).to_bytes().unwrap();
    gone.document("1", media_type::MANIFEST, &manifest);
    assert!(fails(&gone.serve()).1.contains("kept elsewhere"));
}
