//! Images into registries.

use std::time::Duration;

use mabuild_oci::{Descriptor, Digest, ImageConfig, Index, Layout, Manifest, Platform, media_type};

use crate::testing::{Shelf, at_once, block, client, layout, options};
use crate::{Client, Error, ErrorKind, Options, Pushed, Reference};

/// An image in a layout: a layer of all, one of its own, a configuration.
pub fn image(layout: &Layout, platform: &str, own: usize) -> Descriptor {
    let platform: Platform = platform.parse().unwrap();
    let config = ImageConfig::new(&platform).to_bytes().unwrap();
    let blob = |kind: &str, bytes: &[u8]| layout.write_blob(kind, bytes).unwrap();
    let layers = vec![
        blob(media_type::LAYER, &vec![7; 70_000]),
        blob(media_type::LAYER, format!("{platform}").repeat(own).as_bytes()),
    ];
    let manifest = Manifest::new(blob(media_type::CONFIG, &config), layers).to_bytes().unwrap();
    blob(media_type::MANIFEST, &manifest).with_platform(platform)
}

/// An index of images in a layout.
pub fn index(layout: &Layout, members: Vec<Descriptor>) -> Descriptor {
    let bytes = Index::new(members).to_bytes().unwrap();
    layout.write_blob(media_type::INDEX, &bytes).unwrap()
}

pub fn push(
    client: &Client,
    layout: &Layout,
    image: &Descriptor,
    to: &Reference,
) -> Result<Pushed, Error> {
    block(client.push(layout, image, to, &[]))
}

fn of(to: &Reference, repository: &str) -> Reference {
    Reference { repository: repository.to_owned(), ..to.clone() }
}

#[test]
fn whole_index_is_pushed_once_and_tagged_by_put_alone() {
    let (_folder, layout) = layout();
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    let members = platforms.map(|platform| image(&layout, platform, 5000)).to_vec();
    let whole = index(&layout, members.clone());
    let shelf = Shelf::default();
    let server = shelf.serve();
    let to = server.image("1");
    let client = client(options());
    let pushed = push(&client, &layout, &whole, &to).unwrap();
    assert_eq!((pushed.uploaded, pushed.present, pushed.manifests), (7, 0, 4), "{pushed:?}");
    assert!(shelf.tags().is_empty(), "{:?}", shelf.tags());
    let lines = server.lines();
    let at = |line: String| lines.iter().position(|l| *l == line).unwrap();
    let last = at(format!("PUT /v2/team/app/manifests/{}", whole.digest));
    assert_eq!(last, lines.len() - 1);
    assert!(members.iter().all(|m| at(format!("PUT /v2/team/app/manifests/{}", m.digest)) < last));
    assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 7, "{lines:?}");
    // Only now the tag moves.
    let bytes = layout.read(&whole.digest).unwrap();
    assert_eq!(block(client.current(&to)).unwrap(), None);
    assert_eq!(block(client.put(&to, media_type::INDEX, &bytes)).unwrap(), whole.digest);
    assert_eq!(shelf.tag("team/app", "1"), Some(whole.digest));
    assert_eq!(block(client.current(&to)).unwrap(), Some(whole.digest));
    // Another client asks one thing.
    let asked = server.lines().len();
    let again = push(&self::client_of(), &layout, &whole, &to).unwrap();
    assert_eq!(again, Pushed::default());
    let head = format!("HEAD /v2/team/app/manifests/{}", whole.digest);
    assert_eq!(server.lines()[asked..], [head]);
}

fn client_of() -> Client {
    client(options())
}

#[test]
fn only_what_is_missing_is_sent() {
    let (_folder, layout) = layout();
    let (old, new) = (image(&layout, "linux/amd64", 1), image(&layout, "linux/amd64", 2));
    let server = Shelf::default().serve();
    let to = server.image("1");
    push(&client_of(), &layout, &old, &to).unwrap();
    let pushed = push(&client_of(), &layout, &new, &to).unwrap();
    assert_eq!((pushed.uploaded, pushed.present, pushed.manifests), (1, 2, 1), "{pushed:?}");
    assert_eq!(pushed.bytes, "linux/amd64".len() as u64 * 2);
}

#[test]
fn blobs_of_a_base_are_mounted_and_asked_for_once() {
    let (_folder, layout) = layout();
    let base = image(&layout, "linux/amd64", 1);
    let server = Shelf::default().serve();
    let to = server.image("1");
    let at_base = of(&to, "team/base");
    push(&client_of(), &layout, &base, &at_base).unwrap();
    let asked = server.lines().len();
    let client = client_of();
    let images: Vec<Descriptor> = (2..22).map(|n| image(&layout, "linux/amd64", n)).collect();
    let pushed = at_once(images.len(), |n| {
        let (client, layout, image) = (client.clone(), layout.clone(), images[n].clone());
        let (to, base) = (of(&to, &format!("team/app{n}")), at_base.clone());
        async move { client.push(&layout, &image, &to, &[base]).await.unwrap() }
    });
    assert!(pushed.iter().all(|p| (p.mounted, p.uploaded) == (2, 1)), "{pushed:?}");
    let lines = server.lines();
    let shared = Digest::sha256(vec![7; 70_000]);
    let of_base = format!("HEAD /v2/team/base/blobs/{shared}");
    assert_eq!(lines[asked..].iter().filter(|line| **line == of_base).count(), 1);
    let sent: Vec<_> = lines[asked..].iter().filter(|line| line.starts_with("PUT")).collect();
    assert_eq!(sent.len(), 40, "a layer and a manifest each: {sent:?}");
}

#[test]
fn registry_that_does_not_mount_gets_the_blob_by_the_upload_it_began() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let shelf = Shelf { mounts: false, ..Shelf::default() };
    let server = shelf.serve();
    let (to, base) = (server.image("1"), of(&server.image("1"), "team/base"));
    push(&client_of(), &layout, &image, &base).unwrap();
    let asked = server.lines().len();
    let pushed = block(client_of().push(&layout, &image, &to, &[base])).unwrap();
    assert_eq!((pushed.mounted, pushed.uploaded), (0, 3));
    let posts = server.lines()[asked..].iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(posts, 3, "{:?}", server.lines());
}

#[test]
fn one_blob_goes_once_to_one_repository() {
    let (_folder, layout) = layout();
    let server = Shelf::default().serve();
    let to = server.image("1");
    let client = client_of();
    let images: Vec<Descriptor> = (1..13).map(|n| image(&layout, "linux/amd64", n)).collect();
    let pushed = at_once(images.len(), |n| {
        let (client, layout, image) = (client.clone(), layout.clone(), images[n].clone());
        let to = to.clone();
        async move { client.push(&layout, &image, &to, &[]).await.unwrap() }
    });
    let uploaded: u64 = pushed.iter().map(|p| p.uploaded).sum();
    assert_eq!(uploaded, 12 + 2, "own layers, the shared layer and the configuration");
    let shared = Digest::sha256(vec![7; 70_000]);
    let head = format!("HEAD /v2/team/app/blobs/{shared}");
    assert_eq!(server.lines().iter().filter(|line| **line == head).count(), 1);
}

#[test]
fn blob_that_nobody_has_is_named() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let lost = Digest::sha256(vec![7; 70_000]);
    std::fs::remove_file(layout.path_of(&lost)).unwrap();
    let shelf = Shelf::default();
    let server = shelf.serve();
    let to = server.image("1");
    let error = push(&client_of(), &layout, &image, &to).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Local);
    for words in ["cannot write", "/team/app:1", &lost.to_string(), "neither in the layout"] {
        assert!(error.message.contains(words), "{words}: {error}");
    }
    assert!(!server.lines().iter().any(|line| line.starts_with("PUT") && line.contains("manif")));
    // The base has it.
    let (_other, full) = self::layout();
    let base = of(&to, "team/base");
    push(&client_of(), &full, &self::image(&full, "linux/amd64", 1), &base).unwrap();
    for mounts in [true, false] {
        let shelf = Shelf { mounts, ..shelf.clone() };
        shelf.lose("team/app");
        let server = shelf.serve();
        let (to, base) = (server.image("1"), of(&server.image("1"), "team/base"));
        let pushed = block(client_of().push(&layout, &image, &to, &[base])).unwrap();
        assert_eq!(pushed.mounted == 3, mounts, "{pushed:?}");
        assert!(shelf.has_blob("team/app", lost));
    }
}

#[test]
fn what_is_gone_since_is_sent_again() {
    let (_folder, layout) = layout();
    let (one, other) = (image(&layout, "linux/amd64", 1), image(&layout, "linux/amd64", 2));
    let shelf = Shelf::default();
    let server = shelf.serve();
    let to = server.image("1");
    let client = client_of();
    push(&client, &layout, &one, &to).unwrap();
    shelf.lose("team/app");
    let pushed = push(&client, &layout, &other, &to).unwrap();
    // The layer of its own came with the first try.
    assert_eq!((pushed.uploaded, pushed.present, pushed.manifests), (2, 1, 1), "{pushed:?}");
    assert!(shelf.has_blob("team/app", Digest::sha256(vec![7; 70_000])));
}

#[test]
fn look_asks_each_time_and_fills_what_is_remembered() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let bytes = layout.read(&image.digest).unwrap();
    let server = Shelf::default().serve();
    let to = server.image("1");
    let client = client_of();
    assert!(block(client.look(&to)).unwrap().is_none());
    push(&client, &layout, &image, &to).unwrap();
    block(client.put(&to, media_type::MANIFEST, &bytes)).unwrap();
    let asked = server.lines().len();
    assert_eq!(block(client.look(&to)).unwrap().unwrap().digest, image.digest);
    assert_eq!(block(client.digest(&to)).unwrap(), image.digest);
    assert_eq!(block(client.resolve(&to)).unwrap().bytes, bytes);
    assert_eq!(server.lines()[asked..], ["GET /v2/team/app/manifests/1"]);
    // A tag that is written replaces what it was.
    let other = self::image(&layout, "linux/arm64", 1);
    push(&client, &layout, &other, &to).unwrap();
    let bytes = layout.read(&other.digest).unwrap();
    block(client.put(&to, media_type::MANIFEST, &bytes)).unwrap();
    assert_eq!(block(client.digest(&to)).unwrap(), other.digest);
    assert!(block(client.delete(&to)).unwrap());
    assert!(!block(client.delete(&to)).unwrap());
    assert_eq!(block(client.current(&to)).unwrap(), None);
    assert_eq!(block(client.digest(&to)).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn what_no_registry_takes_is_not_sent() {
    let (_folder, layout) = layout();
    let server = Shelf::default().serve();
    let to = server.image("1");
    let client = client_of();
    let put = |bytes: &[u8]| block(client.put(&to, media_type::INDEX, bytes)).unwrap_err();
    let huge = put(&vec![b' '; (4 << 20) + 1]);
    assert!(huge.message.contains("no more than 4194304"), "{huge}");
    assert_eq!(put(b"{}").kind, ErrorKind::Unfit);
    let image = image(&layout, "linux/amd64", 1);
    let wrong = put(&layout.read(&image.digest).unwrap());
    assert!(wrong.message.contains("should be"), "{wrong}");
    let many = vec![image; 5000];
    let wide = index(&layout, many);
    let error = push(&client, &layout, &wide, &to).unwrap_err();
    assert!(error.message.contains("more than 4096 entries"), "{error}");
    let mut deep = self::image(&layout, "linux/arm64", 1);
    for _ in 0..7 {
        deep = index(&layout, vec![deep]);
    }
    let error = push(&client, &layout, &deep, &to).unwrap_err();
    assert!(error.message.contains("nested too deep"), "{error}");
    let large = Descriptor { size: 5 << 20, ..deep };
    let error = push(&client, &layout, &large, &to).unwrap_err();
    assert!(error.message.contains("no more than 4194304"), "{error}");
    assert!(!server.lines().iter().any(|line| line.starts_with("PUT")), "{:?}", server.lines());
}

#[test]
fn index_in_an_index_goes_first() {
    let (_folder, layout) = layout();
    let inner = index(&layout, vec![image(&layout, "linux/amd64", 1)]);
    let outer = index(&layout, vec![inner.clone(), image(&layout, "linux/arm64", 1)]);
    let shelf = Shelf::default();
    let server = shelf.serve();
    let pushed = push(&client_of(), &layout, &outer, &server.image("1")).unwrap();
    assert_eq!(pushed.manifests, 4);
    assert_eq!(shelf.tag("team/app", &inner.digest.to_string()), Some(inner.digest));
}

/// A statement about an image.
pub fn statement(layout: &Layout, about: &Descriptor, text: &str) -> Descriptor {
    let config = layout.write_blob(media_type::EMPTY, b"{}").unwrap();
    let layer = layout.write_blob("text/plain", text.as_bytes()).unwrap();
    let mut manifest = Manifest::new(config, vec![layer]);
    manifest.artifact_type = Some(format!("application/x-{text}"));
    manifest.subject = Some(Descriptor { platform: None, ..about.clone() });
    layout.write_blob(media_type::MANIFEST, &manifest.to_bytes().unwrap()).unwrap()
}

#[test]
fn referrers_are_found_with_and_without_the_help_of_the_registry() {
    for lists_referrers in [true, false] {
        let (_folder, layout) = layout();
        let image = image(&layout, "linux/amd64", 1);
        let shelf = Shelf { lists_referrers, ..Shelf::default() };
        let server = shelf.serve();
        let to = server.image("1");
        let client = client_of();
        push(&client, &layout, &image, &to).unwrap();
        let about = to.with_digest(image.digest);
        let referrers = |kind| block(client.referrers(&about, kind)).unwrap().manifests;
        assert!(referrers(None).is_empty());
        let statements = ["a", "b", "c"].map(|text| statement(&layout, &image, text));
        let pushes = at_once(3, |n| {
            let (client, layout, to) = (client.clone(), layout.clone(), to.clone());
            let statement = statements[n].clone();
            async move { client.push(&layout, &statement, &to, &[]).await }
        });
        assert!(pushes.iter().all(Result::is_ok), "{pushes:?}");
        let mut found: Vec<Digest> = referrers(None).iter().map(|one| one.digest).collect();
        let mut wanted = statements.each_ref().map(|one| one.digest).to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
        let of_b = referrers(Some("application/x-b"));
        assert_eq!(of_b.iter().map(|one| one.digest).collect::<Vec<_>>(), [statements[1].digest]);
        let tags = shelf.tags();
        assert_eq!(tags.len(), usize::from(!lists_referrers), "{tags:?}");
        assert!(block(client.referrers(&to, None)).unwrap_err().message.contains("digest"));
    }
}

#[test]
fn nothing_is_written_offline() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let server = Shelf::default().serve();
    let client = client(Options { offline: true, ..options() });
    let error = push(&client, &layout, &image, &server.image("1")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Offline);
    assert!(server.lines().is_empty());
}

#[test]
fn slow_registries_are_no_failure_where_bytes_move() {
    let (_folder, layout) = layout();
    let image = image(&layout, "linux/amd64", 1);
    let shelf = Shelf::default();
    let server = crate::testing::Server::start(move |request, _| {
        shelf.reply(request).after(Duration::from_millis(20))
    });
    let hasty = Options { stall_timeout: Duration::from_millis(500), ..options() };
    push(&client(hasty), &layout, &image, &server.image("1")).unwrap();
}
