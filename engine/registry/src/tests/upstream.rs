//! What is asked of upstreams: whether a tag moved, when an image was made, for which platforms.

use std::time::Duration;

use mabuild_oci::{Descriptor, Digest, Index, Manifest, Platform, media_type};

use crate::ErrorKind;
use crate::testing::{Content, Reply, Request, Server, at_once, block, client, options};

const PLATFORMS: [&str; 9] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/arm/v5",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
];

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// An index of all platforms under tag 1.
fn fleet() -> (Content, Descriptor) {
    let mut content = Content::default();
    let images = PLATFORMS.map(|platform| content.image(platform, platform));
    let index = content.index("1", images.to_vec());
    (content, index)
}

/// An image whose configuration has a text; gives its descriptor and that of the configuration.
fn configured(content: &mut Content, tag: &str, config: &str) -> (Descriptor, Descriptor) {
    let config = content.blob(media_type::CONFIG, config.as_bytes());
    let manifest = Manifest::new(config.clone(), vec![]).to_bytes().unwrap();
    (content.document(tag, media_type::MANIFEST, &manifest), config)
}

fn created(at: &str) -> String {
    format!(r#"{{"os":"linux","architecture":"amd64","created":"{at}"}}"#)
}

#[test]
fn many_that_ask_for_one_tag_make_one_request() {
    let (content, index) = fleet();
    let server =
        Server::start(move |request, _| content.reply(request).after(Duration::from_millis(10)));
    let client = client(options());
    let digests = at_once(PLATFORMS.len(), |n| {
        let (client, image) = (client.clone(), server.image("1"));
        async move {
            let digest = client.digest(&image).await.unwrap();
            assert_eq!(client.resolve(&image).await.unwrap().digest, digest);
            client.choose(&image, &platform(PLATFORMS[n])).await.unwrap();
            assert_eq!(client.platforms(&image).await.unwrap().len(), PLATFORMS.len());
            digest
        }
    });
    assert!(digests.iter().all(|digest| *digest == index.digest));
    let whole = format!("GET /v2/team/app/manifests/{}", index.digest);
    assert_eq!(server.lines(), ["HEAD /v2/team/app/manifests/1".to_owned(), whole]);
}

#[test]
fn latest_is_one_tag_however_it_is_written() {
    let mut content = Content::default();
    content.image("latest", "linux/amd64");
    let server = content.serve();
    let client = client(options());
    let bare = server.image("x").whole();
    let digest = block(client.digest(&bare)).unwrap();
    assert_eq!(block(client.digest(&server.image("latest"))).unwrap(), digest);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn registry_that_does_not_say_the_digest_sends_the_whole_once() {
    let (content, index) = fleet();
    let server = Server::start(move |request, _| {
        let mut reply = content.reply(request);
        reply.headers.retain(|(name, _)| name != "Docker-Content-Digest");
        reply
    });
    let client = client(options());
    assert_eq!(block(client.resolve(&server.image("1"))).unwrap().digest, index.digest);
    assert_eq!(block(client.digest(&server.image("1"))).unwrap(), index.digest);
    let lines = ["HEAD /v2/team/app/manifests/1", "GET /v2/team/app/manifests/1"];
    assert_eq!(server.lines(), lines);
}

/// A registry that answers conditions; `heads` says whether it answers HEAD as well.
fn conditional(content: Content, heads: bool) -> Server {
    Server::start(move |request: &Request, _| {
        if request.method == "HEAD" && !heads {
            return Reply::new(405, "");
        }
        let mut reply = content.reply(request);
        let tag = format!("\"{}\"", Digest::sha256(&reply.body));
        if request.header("if-none-match") == Some(tag.as_str()) {
            return Reply::new(304, "").with("ETag", &tag);
        }
        reply.headers.retain(|(name, _)| name != "Docker-Content-Digest");
        reply
    })
}

#[test]
fn what_is_known_is_not_sent_again() {
    for (heads, asked) in [(true, 1), (false, 2)] {
        let (content, index) = fleet();
        let server = conditional(content.clone(), heads);
        let ask = |known| {
            let client = client(options());
            block(client.digest_since(&server.image("1"), known)).unwrap()
        };
        assert_eq!(ask(Some(index.digest)), index.digest);
        assert_eq!(server.requests().len(), asked, "{:?}", server.lines());
        // Something else is known, or nothing.
        assert_eq!(ask(Some(Digest::sha256(b"old"))), index.digest);
        assert_eq!(ask(None), index.digest);
        let conditions = server.requests().into_iter().map(|r| r.header("if-none-match").is_some());
        let conditions: Vec<bool> = conditions.collect();
        assert_eq!(conditions, [vec![true; asked], vec![true; 2], vec![false; 2]].concat());
        // A registry that does not know conditions.
        let plain = content.serve();
        let client = client(options());
        let digest = block(client.digest_since(&plain.image("1"), Some(index.digest)));
        assert_eq!((digest.unwrap(), plain.requests().len()), (index.digest, 1));
    }
}

#[test]
fn nothing_new_without_a_question_is_no_answer() {
    let server = Server::start(|_, _| Reply::new(304, ""));
    let error = block(client(options()).digest(&server.image("1"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Broken);
    assert!(error.message.contains("304"), "{error}");
}

#[test]
fn manifest_under_a_plain_content_type_is_read() {
    let (content, index) = fleet();
    for kind in ["text/plain; charset=utf-8", "application/json", "", "application/octet-stream"] {
        let content = content.clone();
        let server = Server::start(move |request, _| {
            let mut reply = content.reply(request);
            reply.headers.retain(|(name, _)| name != "Content-Type");
            reply.with("Content-Type", kind)
        });
        let whole = block(client(options()).resolve(&server.image("1"))).unwrap();
        assert_eq!((whole.digest, whole.media_type.as_str()), (index.digest, media_type::INDEX));
    }
}

#[test]
fn platforms_are_those_of_images() {
    let mut content = Content::default();
    let amd = content.image("amd", "linux/amd64");
    let arm = content.image("arm", "linux/arm64/v8");
    let again = content.image("again", "linux/arm64");
    let seven = content.image("seven", "linux/arm/v7");
    let unnamed = Descriptor { platform: None, ..content.image("six", "linux/arm/v6") };
    let mut statement = content.image("statement", "linux/riscv64");
    statement.platform = Some(Platform::new("unknown", "unknown").into());
    let mut other = content.image("other", "linux/s390x");
    other.annotations.insert("vnd.docker.reference.type".to_owned(), "attestation-manifest".into());
    let all =
        vec![unnamed.clone(), amd.clone(), statement, arm.clone(), again, other, seven.clone()];
    content.index("1", all);
    let chart = content.blob(media_type::EMPTY, b"{}");
    let chart = Manifest::new(chart, vec![]).to_bytes().unwrap();
    content.document("chart", media_type::MANIFEST, &chart);
    content.document("none", media_type::INDEX, &Index::new(vec![]).to_bytes().unwrap());
    let server = content.serve();
    let client = client(options());
    let platforms = |tag: &str| block(client.platforms(&server.image(tag))).unwrap();
    let wanted = [
        ("linux/amd64", amd.digest),
        ("linux/arm64", arm.digest),
        ("linux/arm/v7", seven.digest),
        ("linux/arm/v6", unnamed.digest),
    ];
    assert_eq!(platforms("1"), wanted.map(|(p, digest)| (platform(p), digest)));
    assert_eq!(platforms("arm"), [(platform("linux/arm64"), arm.digest)]);
    assert!(platforms("chart").is_empty() && platforms("none").is_empty());
}

#[test]
fn time_of_an_image_is_that_of_its_configuration() {
    let mut content = Content::default();
    let (image, config) = configured(&mut content, "1", &created("2024-05-01T10:00:00.5Z"));
    configured(&mut content, "zero", &created("1970-01-01T00:00:00Z"));
    configured(&mut content, "go", &created("0001-01-01T00:00:00Z"));
    configured(&mut content, "none", r#"{"os":"linux","architecture":"amd64"}"#);
    let server = content.serve();
    let client = client(options());
    let amd = platform("linux/amd64");
    let time = |tag: &str| block(client.created(&server.image(tag), &amd)).unwrap();
    assert_eq!(time("1"), Some(1_714_557_600));
    assert_eq!(time("1"), Some(1_714_557_600));
    assert_eq!([time("zero"), time("go"), time("none")], [None; 3]);
    let of_one = server.lines().into_iter().filter(|line| {
        line.ends_with("/1")
            || line.contains(image.digest.hex().as_str())
            || line.contains(&config.digest.hex())
    });
    assert_eq!(of_one.count(), 3, "{:?}", server.lines());
    let error = block(client.created(&server.image("1"), &platform("linux/arm64"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unfit);
}

#[test]
fn configuration_that_lies_is_refused() {
    let mut content = Content::default();
    let (_, config) = configured(&mut content, "1", &created("2024-05-01T10:00:00Z"));
    let huge = Descriptor { size: (8 << 20) + 1, ..config.clone() };
    let manifest = Manifest::new(huge, vec![]).to_bytes().unwrap();
    content.document("huge", media_type::MANIFEST, &manifest);
    let again = Manifest::new(config.clone(), vec![config.clone()]).to_bytes().unwrap();
    content.document("again", media_type::MANIFEST, &again);
    configured(&mut content, "text", "no configuration");
    let moved = created("2025-05-01T10:00:00Z");
    let server = Server::start(move |request, _| {
        if request.path.contains(&config.digest.hex()) {
            return Reply::new(200, moved.clone());
        }
        content.reply(request)
    });
    let client = client(options());
    let wrong = "its configuration has digest";
    for (tag, words) in [("1", wrong), ("again", wrong), ("huge", "8388609"), ("text", "config")] {
        let answer = block(client.created(&server.image(tag), &platform("linux/amd64")));
        let error = answer.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Broken, "{tag}: {error}");
        assert!(error.message.contains(words), "{tag}: {error}");
        assert!(error.message.contains(&format!("/team/app:{tag}")), "{tag}: {error}");
    }
    assert_eq!(server.lines().iter().filter(|line| line.contains("/blobs/")).count(), 2);
}
