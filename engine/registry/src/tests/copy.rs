//! Images from repository to repository.

use mabuild_oci::{Descriptor, Digest, Index, Layout, Platform};

use super::push::{image, index, push, statement};
use crate::testing::{Intake, Reply, Server, Shelf, block, client, layout, options};
use crate::{Copied, Error, ErrorKind, Pushed, Reference};

/// A registry with an index of three platforms under tag 1, and what is in it.
fn filled() -> (Shelf, Descriptor, Vec<Descriptor>) {
    let (_folder, layout) = layout();
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    let mut members = platforms.map(|platform| image(&layout, platform, 9000)).to_vec();
    let mut about = image(&layout, "linux/s390x", 1);
    about.platform = Some(Platform::new("unknown", "unknown").into());
    let of = members[0].digest.to_string();
    about.annotations.insert("vnd.docker.reference.digest".to_owned(), of);
    members.push(about);
    let shelf = Shelf::default();
    let whole = index(&layout, members.clone());
    fill(&shelf, &layout, &whole);
    (shelf, whole, members)
}

fn fill(shelf: &Shelf, layout: &Layout, what: &Descriptor) {
    let server = shelf.serve();
    let (client, to) = (client(options()), server.image("1"));
    push(&client, layout, what, &to).unwrap();
    let bytes = layout.read(&what.digest).unwrap();
    block(client.put(&to, &what.media_type, &bytes)).unwrap();
}

fn copy(from: &Reference, to: &Reference, platforms: Option<&[&str]>) -> Result<Copied, Error> {
    let (_folder, layout) = layout();
    let platforms = platforms.map(|all| all.iter().map(|p| p.parse().unwrap()).collect::<Vec<_>>());
    block(client(options()).copy(from, to, &layout, platforms.as_deref(), true))
}

#[test]
fn copy_within_a_registry_moves_no_blob() {
    let (shelf, whole, _) = filled();
    let server = shelf.serve();
    let from = server.image("1");
    let to = Reference { repository: "mirror/app".to_owned(), ..server.image("2") };
    let copied = copy(&from, &to, None).unwrap();
    assert_eq!(copied.digest, whole.digest);
    assert_eq!((copied.pushed.uploaded, copied.pushed.bytes), (0, 0));
    assert_eq!((copied.pushed.mounted, copied.pushed.manifests), (9, 6), "{copied:?}");
    let lines = server.lines();
    assert!(!lines.iter().any(|line| line.starts_with("GET") && line.contains("/blobs/")));
    assert!(!lines.iter().any(|line| line.starts_with("PUT") && line.contains("/blobs/")));
    assert_eq!(lines.last().unwrap(), "PUT /v2/mirror/app/manifests/2");
    assert_eq!(shelf.tag("mirror/app", "2"), Some(whole.digest));
    // Once more: nothing is written.
    let asked = lines.len();
    let again = copy(&from, &to, None).unwrap();
    assert_eq!(again.pushed, Pushed::default());
    let again = &server.lines()[asked..];
    assert!(again.iter().all(|line| line.starts_with("HEAD") || line.starts_with("GET")));
}

#[test]
fn copy_between_registries_keeps_digests() {
    let (source, whole, members) = filled();
    let target = Shelf::default();
    let (there, here) = (source.serve(), target.serve());
    let copied = copy(&there.image("1"), &here.image("new"), None).unwrap();
    assert_eq!((copied.digest, copied.pushed.uploaded), (whole.digest, 9));
    assert_eq!(here.lines().last().unwrap(), "PUT /v2/team/app/manifests/new");
    for member in &members {
        assert!(target.tag("team/app", &member.digest.to_string()).is_some());
    }
    assert!(target.has_blob("team/app", Digest::sha256(vec![7; 70_000])));
    let named = here.image("x").with_digest(Digest::sha256(b"other"));
    let error = copy(&there.image("1"), &named, None).unwrap_err();
    assert!(error.message.contains(&whole.digest.hex()), "{error}");
    assert_eq!(target.tag("team/app", "x"), None);
}

#[test]
fn chosen_platforms_make_an_index_or_are_the_manifest() {
    let (source, whole, members) = filled();
    let target = Shelf::default();
    let (there, here) = (source.serve(), target.serve());
    let from = there.image("1");
    let two = copy(&from, &here.image("two"), Some(&["linux/arm64", "linux/amd64"])).unwrap();
    let made = block(client(options()).resolve(&here.image("two"))).unwrap();
    assert_eq!(made.digest, two.digest);
    let entries = Index::from_bytes(&made.bytes).unwrap().manifests;
    let digests: Vec<Digest> = entries.iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [members[0].digest, members[1].digest, members[3].digest]);
    assert!(target.tag("team/app", &members[2].digest.to_string()).is_none());
    let one = copy(&from, &here.image("one"), Some(&["linux/arm/v7"])).unwrap();
    assert_eq!(one.digest, members[2].digest);
    assert_eq!(target.tag("team/app", "one"), Some(members[2].digest));
    let all = ["linux/amd64", "linux/arm64", "linux/arm/v7"];
    assert_eq!(copy(&from, &here.image("all"), Some(&all)).unwrap().digest, whole.digest);
    let error = copy(&from, &here.image("none"), Some(&["linux/riscv64"])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unfit);
    assert!(error.message.contains("it has linux/amd64"), "{error}");
    assert_eq!(copy(&from, &here.image("none"), Some(&[])).unwrap_err().kind, ErrorKind::Unfit);
    assert_eq!(target.tag("team/app", "none"), None);
}

#[test]
fn referrers_come_along_and_theirs() {
    for lists_referrers in [true, false] {
        let (_folder, layout) = layout();
        let image = image(&layout, "linux/amd64", 1);
        let bill = statement(&layout, &image, "bill");
        let signature = statement(&layout, &bill, "signature");
        let source = Shelf { lists_referrers, ..Shelf::default() };
        for what in [&signature, &bill, &image] {
            fill(&source, &layout, what);
        }
        let target = Shelf { lists_referrers: !lists_referrers, ..Shelf::default() };
        let (there, here) = (source.serve(), target.serve());
        copy(&there.image("1"), &here.image("1"), None).unwrap();
        let client = client(options());
        let of = |subject: &Descriptor| {
            let of = here.image("1").with_digest(subject.digest);
            let list = block(client.referrers(&of, None)).unwrap().manifests;
            list.iter().map(|one| one.digest).collect::<Vec<_>>()
        };
        assert_eq!((of(&image), of(&bill)), (vec![bill.digest], vec![signature.digest]));
        assert!(of(&signature).is_empty());
        assert_eq!(here.lines().iter().filter(|line| line.ends_with("manifests/1")).count(), 2);
    }
}

#[test]
fn damaged_blob_never_becomes_one_of_the_copy() {
    let (source, ..) = filled();
    let target = Shelf::default();
    let there = Server::start(move |request, _| {
        let mut reply = source.reply(request);
        if request.method == "GET" && reply.body.len() > 60_000 {
            reply.body[77] ^= 1;
        }
        reply
    });
    let here = target.serve();
    let error = copy(&there.image("1"), &here.image("1"), None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Broken, "{error}");
    assert!(error.message.contains("damaged there or was exchanged"), "{error}");
    assert!(target.tags().is_empty());
    let index = |line: &String| line.starts_with("PUT") && line.contains("/manifests/");
    assert!(!here.lines().iter().any(index), "no image is whole: {:?}", here.lines());
}

#[test]
fn broken_source_goes_on_where_it_ended() {
    let (source, whole, _) = filled();
    let target = Shelf::default();
    let there = Server::start(move |request, before| {
        let reply = source.reply(request);
        let is_large = request.method == "GET" && reply.body.len() > 30_000;
        if is_large && before < 4 { reply.cut(10_000) } else { reply }
    });
    let here = target.serve();
    assert_eq!(copy(&there.image("1"), &here.image("1"), None).unwrap().digest, whole.digest);
    let begun = here.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(begun, 9, "each upload is begun once");
}

#[test]
fn broken_target_is_filled_by_way_of_the_layout() {
    let (source, whole, _) = filled();
    let target = Shelf::default();
    let kept = target.clone();
    let there = source.serve();
    let here = Server::start_rude(
        |request, _| {
            let length: usize = request.header("content-length").map_or(0, |n| n.parse().unwrap());
            let is_first = request.path.contains("uploads/u") && request.method == "PUT";
            if is_first && length > 60_000 { Intake::Cut(20_000) } else { Intake::All }
        },
        move |request, _| kept.reply(request),
    );
    assert_eq!(copy(&there.image("1"), &here.image("1"), None).unwrap().digest, whole.digest);
    assert!(here.lines().iter().any(|line| line.starts_with("PATCH")), "{:?}", here.lines());
    assert!(target.has_blob("team/app", Digest::sha256(vec![7; 70_000])));
}

#[test]
fn failing_source_is_told_and_nothing_is_tagged() {
    let target = Shelf::default();
    let here = target.serve();
    let empty = Shelf::default().serve();
    let error = copy(&empty.image("1"), &here.image("1"), None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.starts_with("cannot read"), "{error}");
    let (source, ..) = filled();
    let there = Server::start(move |request, _| match request.path.contains("/blobs/") {
        true => Reply::new(404, ""),
        false => source.reply(request),
    });
    let error = copy(&there.image("1"), &here.image("1"), None).unwrap_err();
    assert!(error.message.contains("neither in the layout"), "{error}");
    assert!(target.tags().is_empty());
}
