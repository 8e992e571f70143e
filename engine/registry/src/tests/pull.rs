//! What is read when nothing goes wrong.

use mabuild_oci::{Descriptor, Index, Manifest, Platform, media_type};

use crate::testing::{Content, Reply, Server, block, client, layout, options};
use crate::{ErrorKind, Options};

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

#[test]
fn image_of_a_platform_is_pulled_whole_and_only_once() {
    let mut content = Content::default();
    let amd = content.image("amd", "linux/amd64");
    let arm = content.image("arm", "linux/arm/v7");
    content.index("1", vec![amd.clone(), arm.clone()]);
    let server = content.serve();
    let (_folder, layout) = layout();
    let reference = server.image("1");
    let client = client(options());
    let digest = block(client.pull(&reference, &platform("linux/arm"), &layout)).unwrap();
    assert_eq!(digest, arm.digest);
    let (_, manifest) = layout.manifest_for(&digest, None).unwrap();
    for blob in [&manifest.config, &manifest.layers[0], &manifest.layers[1]] {
        layout.open_blob(&blob.digest).unwrap();
    }
    assert!(!layout.has(&amd.digest));
    // HEAD of the tag, the index, the manifest, a config, two layers.
    assert_eq!(server.requests().len(), 6, "{:?}", server.lines());
    // The other platform shares a layer.
    block(client.pull(&reference, &platform("linux/amd64"), &layout)).unwrap();
    assert_eq!(server.requests().len(), 9, "{:?}", server.lines());
    assert!(client.received() > 4_500_000);
}

#[test]
fn what_is_there_needs_no_network() {
    let mut content = Content::default();
    let image = content.image("1", "linux/amd64");
    let server = content.serve();
    let (_folder, layout) = layout();
    let pinned = server.image("1").with_digest(image.digest);
    block(client(options()).pull_manifest(&pinned, &layout)).unwrap();
    let asked = server.requests().len();
    let offline = client(Options { offline: true, ..options() });
    assert_eq!(block(offline.pull_manifest(&pinned, &layout)).unwrap(), image.digest);
    assert_eq!(server.requests().len(), asked);
    let (_, manifest) = layout.manifest_for(&image.digest, None).unwrap();
    std::fs::remove_file(layout.path_of(&manifest.layers[1].digest)).unwrap();
    let error = block(offline.pull_manifest(&pinned, &layout)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Offline, "{error}");
    assert!(error.message.contains("--offline"), "{error}");
    block(client(options()).pull_manifest(&pinned, &layout)).unwrap();
    assert_eq!(server.requests().len(), asked + 1, "one layer was missing");
}

#[test]
fn tag_that_moves_meanwhile_is_read_as_it_was() {
    let mut old = Content::default();
    let first = old.image("1", "linux/amd64");
    let mut new = old.clone();
    new.image("1", "linux/arm64");
    let server = Server::start(move |request, _| {
        let is_tag = request.path.ends_with("/manifests/1");
        if is_tag && request.method == "HEAD" { old.reply(request) } else { new.reply(request) }
    });
    let (_folder, layout) = layout();
    let client = client(options());
    let (reference, amd) = (server.image("1"), platform("linux/amd64"));
    assert_eq!(block(client.pull(&reference, &amd, &layout)).unwrap(), first.digest);
    let again = block(client.digest(&reference)).unwrap();
    assert_eq!(again, first.digest, "a tag is asked for once");
    assert!(!server.lines().contains(&"GET /v2/team/app/manifests/1".to_owned()));
}

#[test]
fn registry_that_does_not_say_the_digest_is_asked_for_all() {
    let mut content = Content::default();
    let image = content.image("1", "linux/amd64");
    let server = Server::start(move |request, _| match request.method.as_str() {
        "HEAD" => Reply::new(405, ""),
        _ => {
            let mut reply = content.reply(request);
            reply.headers.retain(|(name, _)| name != "Docker-Content-Digest");
            reply
        }
    });
    let client = client(options());
    assert_eq!(block(client.digest(&server.image("1"))).unwrap(), image.digest);
}

#[test]
fn platforms_that_there_are_stand_in_the_error() {
    let mut content = Content::default();
    let amd = content.image("amd", "linux/amd64");
    let arm = content.image("arm", "linux/arm64/v8");
    let mut attestation = content.image("att", "linux/riscv64");
    attestation.platform = Some(Platform::new("unknown", "unknown").into());
    content.index("1", vec![amd.clone(), arm, attestation]);
    let server = content.serve();
    let client = client(options());
    let missing = block(client.choose(&server.image("1"), &platform("linux/riscv64")));
    let error = missing.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unfit);
    let wanted = "no image for linux/riscv64; it has linux/amd64, linux/arm64/v8";
    assert!(error.message.contains(wanted), "{error}");
    // A manifest without an index has the platform of its configuration.
    let single = server.image("amd");
    assert_eq!(block(client.choose(&single, &platform("linux/amd64"))).unwrap(), amd.digest);
    let error = block(client.choose(&single, &platform("linux/arm64"))).unwrap_err();
    assert!(error.message.contains("it has linux/amd64"), "{error}");
}

#[test]
fn indexes_in_indexes_and_entries_without_a_platform_are_read() {
    let mut content = Content::default();
    let amd = content.image("amd", "linux/amd64");
    let mut arm = content.image("arm", "linux/arm64");
    arm.platform = None;
    let inner = content.index("inner", vec![amd.clone(), arm.clone()]);
    content.index("1", vec![inner]);
    let server = content.serve();
    let client = client(options());
    let choose = |p: &str| block(client.choose(&server.image("1"), &platform(p)));
    assert_eq!(choose("linux/amd64").unwrap(), amd.digest);
    assert_eq!(choose("linux/arm64").unwrap(), arm.digest);
}

#[test]
fn artifacts_and_old_formats_are_no_images() {
    let mut content = Content::default();
    let config = content.blob(media_type::EMPTY, b"{}");
    let artifact = Manifest::new(config, vec![]).to_bytes().unwrap();
    let artifact = content.document("chart", media_type::MANIFEST, &artifact);
    let index =
        content.index("index", vec![artifact.clone().with_platform(platform("linux/amd64"))]);
    let old = br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[]}"#;
    content.document("old", "application/vnd.docker.distribution.manifest.v1+prettyjws", old);
    let server = content.serve();
    let (_folder, layout) = layout();
    let client = client(options());
    let pull =
        |tag: &str| block(client.pull(&server.image(tag), &platform("linux/amd64"), &layout));
    let error = pull("index").unwrap_err();
    assert!(error.message.contains("artifact"), "{error}");
    assert!(pull("chart").unwrap_err().message.contains("it has no image"));
    let error = pull("old").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unfit);
    assert!(error.message.contains("schema 1") && error.message.contains("skopeo"), "{error}");
    let whole = block(client.pull_manifest(&server.image("1").with_digest(index.digest), &layout));
    assert!(whole.unwrap_err().message.contains("platform has to be chosen"));
}

#[test]
fn docker_manifest_lists_are_read() {
    let mut content = Content::default();
    let image = content.image("amd", "linux/amd64");
    let mut list = Index::new(vec![image.clone()]);
    list.media_type = Some(media_type::DOCKER_MANIFEST_LIST.to_owned());
    content.document("1", media_type::DOCKER_MANIFEST_LIST, &list.to_bytes().unwrap());
    let server = content.serve();
    let client = client(options());
    let whole = block(client.resolve(&server.image("1"))).unwrap();
    assert_eq!(whole.media_type, media_type::DOCKER_MANIFEST_LIST);
    let chosen = block(client.choose(&server.image("1"), &platform("linux/amd64"))).unwrap();
    assert_eq!(chosen, image.digest);
}

#[test]
fn blob_that_several_want_is_fetched_once() {
    let mut content = Content::default();
    let amd = content.image("amd", "linux/amd64");
    let arm = content.image("arm", "linux/arm64");
    let server = content.serve();
    let (_folder, layout) = layout();
    let client = client(options());
    let pull = |image: &Descriptor| {
        let (client, layout) = (client.clone(), layout.clone());
        let reference = server.image("1").with_digest(image.digest);
        async move { client.pull_manifest(&reference, &layout).await }
    };
    let (a, b, c) = block(async { tokio::join!(pull(&amd), pull(&arm), pull(&amd)) });
    assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (amd.digest, arm.digest, amd.digest));
    let mut lines = server.lines();
    let all = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), all, "{lines:?}");
}
