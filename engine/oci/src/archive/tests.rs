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
