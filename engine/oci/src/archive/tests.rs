use super::*;
use crate::ImageConfig;
use crate::layer::testing::{content, tree, unpacked};
use crate::layer::{Limits, OwnerMode};
use crate::layout::tests::index;

struct World {
    _dir: tempfile::TempDir,
    layout: Layout,
    digest: Digest,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path().join("store")).unwrap();
    let digest = index(&layout, &["linux/amd64", "linux/arm64"]).digest;
    World { _dir: dir, layout, digest }
}

fn options(platform: Option<&str>) -> ExportOptions {
    ExportOptions {
        platform: platform.map(|p| p.parse().unwrap()),
        names: ["example.org/app:2", "example.org/app:1"].map(Name::plain).to_vec(),
    }
}

fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    unpacked(archive, &Limits::default())
        .unwrap()
        .iter()
        .filter(|e| !e.is_dir())
        .map(|e| (crate::error::lossy(&e.path), content(e)))
        .collect()
}

#[test]
fn an_archive_holds_a_whole_layout() {
    let world = world();
    let run = || {
        let mut out = Vec::new();
        let target = Target::OciArchive(&mut out);
        export(&world.layout, &world.digest, &options(None), target).unwrap();
        out
    };
    let archive = run();
    assert!(archive == run(), "the bytes differ from run to run");
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files(&archive) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let layout = Layout::open(dir.path()).unwrap();
    let names: Vec<_> = layout.refs().unwrap().into_iter().map(|(n, d)| (n, d.digest)).collect();
    let expected = ["example.org/app:1", "example.org/app:2"].map(|n| (n.to_owned(), world.digest));
    assert_eq!(names, expected);
    assert_eq!(crate::validate::validate(&layout, None, true), []);
}

#[test]
fn a_docker_archive_holds_one_platform_uncompressed() {
    let world = world();
    let mut out = Vec::new();
    let wanted = options(Some("linux/arm64"));
    export(&world.layout, &world.digest, &wanted, Target::DockerArchive(&mut out)).unwrap();
    let files = files(&out);
    let find = |name: &str| &files.iter().find(|(n, _)| n == name).unwrap().1;
    let list: serde_json::Value = serde_json::from_slice(find("manifest.json")).unwrap();
    assert_eq!(list[0]["RepoTags"], serde_json::json!(["example.org/app:1", "example.org/app:2"]));
    let config = find(list[0]["Config"].as_str().unwrap());
    let config = ImageConfig::from_bytes(config).unwrap();
    assert_eq!(config.platform().to_string(), "linux/arm64");
    let layers = list[0]["Layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    for (layer, diff_id) in layers.iter().zip(&config.rootfs.diff_ids) {
        assert_eq!(Digest::sha256(find(layer.as_str().unwrap())), *diff_id);
    }
    let error =
        export(&world.layout, &world.digest, &options(None), Target::DockerArchive(&mut out));
    assert!(matches!(error, Err(Error::NoPlatform { .. })));
}

#[test]
fn a_directory_holds_the_files_of_one_platform() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let spool = tempfile::tempfile().unwrap();
    let apply = ApplyOptions { owners: OwnerMode::Recorded, limits: Limits::default() };
    let path = dir.path().join("rootfs");
    let run = || {
        let target = Target::Directory { path: &path, spool: &spool, options: &apply };
        export(&world.layout, &world.digest, &options(Some("linux/amd64")), target)
    };
    assert_eq!(run().unwrap().unwrap().entries, 2);
    assert_eq!(tree(&path), ["etc/ 755 0", "etc/seed=linux/amd64 644 0"]);
    // A second time it would mix with what is there.
    assert!(run().unwrap_err().to_string().contains("not empty"));
}

#[test]
fn a_layout_is_added_to() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    export(&world.layout, &world.digest, &options(None), Target::Layout(dir.path())).unwrap();
    let one = ExportOptions { names: vec![Name::plain("more:1")], platform: None };
    export(&world.layout, &world.digest, &one, Target::Layout(dir.path())).unwrap();
    let layout = Layout::open(dir.path()).unwrap();
    assert_eq!(layout.refs().unwrap().len(), 3);
    assert_eq!(crate::validate::validate(&layout, None, true), []);
}

fn spool() -> std::fs::File {
    tempfile::tempfile().unwrap()
}

/// A layout that is empty.
fn fresh() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    (dir, layout)
}

/// An archive of these files.
fn packed(entries: Vec<crate::layer::Entry>) -> Vec<u8> {
    let mut out = Vec::new();
    tar::write_plain(entries, &mut out).unwrap();
    out
}

#[test]
fn an_archive_gives_back_what_was_put_into_it() {
    let world = world();
    let mut out = Vec::new();
    export(&world.layout, &world.digest, &options(None), Target::OciArchive(&mut out)).unwrap();
    let opened = Opened::oci(&out[..], spool()).unwrap();
    let names: Vec<_> = opened.images.iter().flat_map(|image| image.names.clone()).collect();
    assert_eq!(names, ["example.org/app:1", "example.org/app:2"]);
    let (_dir, into) = fresh();
    for image in &opened.images {
        let taken = opened.take(image, &into).unwrap();
        assert_eq!(taken.digest, world.digest);
        into.set_ref("app", taken).unwrap();
    }
    assert_eq!(crate::validate::validate(&into, None, true), []);
}

#[test]
fn a_docker_archive_gives_the_same_image_each_time() {
    let world = world();
    let mut out = Vec::new();
    let wanted = options(Some("linux/arm64"));
    export(&world.layout, &world.digest, &wanted, Target::DockerArchive(&mut out)).unwrap();
    let take = || {
        let (dir, into) = fresh();
        let opened = Opened::docker(&out[..], spool()).unwrap();
        assert_eq!(opened.images[0].names, ["example.org/app:1", "example.org/app:2"]);
        let taken = opened.take(&opened.images[0], &into).unwrap();
        into.set_ref("app", taken.clone()).unwrap();
        assert_eq!(crate::validate::validate(&into, None, true), []);
        drop(dir);
        taken
    };
    let taken = take();
    assert_eq!(taken, take());
    assert_eq!(taken.platform().unwrap().to_string(), "linux/arm64");
}

/// What old versions of Docker write: a folder a layer, links to those that are there already.
#[test]
fn layers_behind_links_are_found() {
    use crate::layer::{Entry, EntryKind};
    let layer = packed(vec![Entry::file("etc/x", "1")]);
    let mut config = ImageConfig::new(&"linux/amd64".parse().unwrap());
    config.rootfs.diff_ids = vec![Digest::sha256(&layer); 2];
    let manifest = serde_json::json!([{
        "Config": "c.json", "RepoTags": null, "Layers": ["a/layer.tar", "b/layer.tar"],
    }]);
    let link = |target: &str| EntryKind::Symlink { target: target.into() };
    let archive = |b: EntryKind, layer: Vec<u8>| {
        packed(vec![
            Entry::file("manifest.json", manifest.to_string()),
            Entry::file("c.json", config.to_bytes().unwrap()),
            Entry::file("a/layer.tar", layer),
            Entry::new("b/layer.tar", b),
        ])
    };
    let take = |archive: &[u8]| {
        let (_dir, into) = fresh();
        let opened = Opened::docker(archive, spool())?;
        opened.take(&opened.images[0], &into)
    };
    assert!(take(&archive(link("../a/layer.tar"), layer.clone())).is_ok());
    assert!(take(&archive(link("/a/layer.tar"), layer.clone())).is_ok());
    let bad =
        |b: &str, layer: &[u8]| take(&archive(link(b), layer.to_vec())).unwrap_err().to_string();
    assert!(bad("../a/layer.tar", b"another").contains("digest"));
    // Only the first of two layers that are the same is read; this one is another's content.
    config.rootfs.diff_ids[1] = Digest::sha256("other");
    let archive = |b: EntryKind| {
        packed(vec![
            Entry::file("manifest.json", manifest.to_string()),
            Entry::file("c.json", config.to_bytes().unwrap()),
            Entry::file("a/layer.tar", layer.clone()),
            Entry::new("b/layer.tar", b),
        ])
    };
    let bad = |b: &str| take(&archive(link(b))).unwrap_err().to_string();
    assert!(bad("../b/layer.tar").contains("lead nowhere"));
    assert!(
        bad("../../../etc/passwd").contains("has no b/layer.tar"),
        "{}",
        bad("../../../etc/passwd")
    );
}

#[test]
fn archives_that_are_none_are_refused() {
    use crate::layer::Entry;
    let marker = || Entry::file("oci-layout", crate::layout::MARKER);
    let oci = |entries: Vec<Entry>| match Opened::oci(&packed(entries)[..], spool()) {
        Ok(_) => panic!("it is taken"),
        Err(e) => e.to_string(),
    };
    assert!(oci(vec![]).contains("has no oci-layout"));
    assert!(oci(vec![marker()]).contains("has no index.json"));
    let old = Entry::file("oci-layout", r#"{"imageLayoutVersion":"9.0"}"#);
    assert!(oci(vec![old]).contains("9.0"));
    assert!(oci(vec![marker(), Entry::file("index.json", "[")]).contains("index"));
    for list in ["{}", "[1]", r#"[{"Config":1}]"#] {
        let archive = packed(vec![Entry::file("manifest.json", list)]);
        assert!(Opened::docker(&archive[..], spool()).is_err(), "{list}");
    }
    assert!(Opened::docker(&b"no archive at all"[..], spool()).is_err());

    // A blob that is another one, and one that is not there.
    let world = world();
    let mut out = Vec::new();
    let target = Target::OciArchive(&mut out);
    export(&world.layout, &world.digest, &ExportOptions::default(), target).unwrap();
    let all = files(&out);
    let blobs: Vec<_> = all.iter().filter(|(n, _)| n.starts_with("blobs/sha256/")).collect();
    assert_eq!(blobs.len(), 7);
    for (name, _) in blobs {
        for change in [None, Some(b"changed".to_vec())] {
            let entries = all.iter().filter_map(|(other, bytes)| match other == name {
                true => change.clone().map(|bytes| Entry::file(other.as_str(), bytes)),
                false => Some(Entry::file(other.as_str(), bytes.clone())),
            });
            let opened = Opened::oci(&packed(entries.collect())[..], spool()).unwrap();
            let (_dir, into) = fresh();
            assert!(opened.take(&opened.images[0], &into).is_err(), "{name}");
            assert!(!into.has(&world.digest), "the index is there without all it names");
        }
    }
}
