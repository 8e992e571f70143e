use super::*;
use crate::image::History;
use crate::layout::tests::{image, index};
use std::fs;

fn fresh() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path().join("store")).unwrap();
    (dir, layout)
}

fn texts(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}

/// Puts a changed manifest or config into the layout and returns the image.
fn rebuilt(layout: &Layout, change: impl FnOnce(&mut Manifest, &mut ImageConfig)) -> Descriptor {
    let base = image(layout, "linux/amd64", "x");
    let (_, mut manifest) = layout.manifest_for(&base.digest, None).unwrap();
    let mut config =
        ImageConfig::from_bytes(&layout.read(&manifest.config.digest).unwrap()).unwrap();
    change(&mut manifest, &mut config);
    manifest.config = layout.write_blob(media_type::CONFIG, &config.to_bytes().unwrap()).unwrap();
    layout.write_blob(media_type::MANIFEST, &manifest.to_bytes().unwrap()).unwrap()
}

#[test]
fn a_good_layout_has_no_problem() {
    let (_dir, layout) = fresh();
    let index = index(&layout, &["linux/amd64", "linux/arm/v7"]);
    layout.set_ref("app:1", index.clone()).unwrap();
    assert_eq!(validate(&layout, None, true), []);
    assert_eq!(validate(&layout, Some(&index.digest), false), []);
}

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let (_dir, layout) = fresh();
    let index = index(&layout, &["linux/amd64"]);
    layout.set_ref("app:1", index).unwrap();
    let blobs = layout.root().join("blobs/sha256");
    for item in fs::read_dir(blobs).unwrap() {
        let path = item.unwrap().path();
        let good = fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, bad).unwrap();
            let problems = texts(&validate(&layout, None, false));
            assert!(problems.contains(path.file_name().unwrap().to_str().unwrap()), "{problems}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(!validate(&layout, None, false).is_empty());
        fs::remove_file(&path).unwrap();
        assert!(texts(&validate(&layout, None, false)).contains("is not in the image layout"));
        fs::write(&path, good).unwrap();
    }
    assert_eq!(validate(&layout, None, true), []);
}

#[test]
fn what_does_not_fit_together_is_found() {
    let (_dir, layout) = fresh();
    type Change = fn(&mut Manifest, &mut ImageConfig);
    let cases: [(&str, Change); 7] = [
        ("diff id", |_, c| c.rootfs.diff_ids[0] = Digest::sha256("wrong")),
        ("1 layers, its configuration 2 diff ids", |_, c| {
            c.rootfs.diff_ids.push(Digest::sha256("x"))
        }),
        ("its history has 2", |_, c| c.history = vec![History::default(), History::default()]),
        ("has no platform", |_, c| c.os.clear()),
        ("its bytes are Gzip", |m, _| m.layers[0].media_type = media_type::LAYER_ZSTD.into()),
        ("is no layer", |m, _| m.layers[0].media_type = "text/plain".into()),
        ("its descriptor says 1", |m, _| m.layers[0].size = 1),
    ];
    for (text, change) in cases {
        let image = rebuilt(&layout, change);
        let problems = texts(&validate(&layout, Some(&image.digest), true));
        assert!(problems.contains(text), "{text} is not in {problems}");
    }
    let lost = Descriptor::new(media_type::MANIFEST, Digest::sha256("lost"), 1);
    assert!(
        texts(&validate(&layout, Some(&lost.digest), false)).contains("is not in the image layout")
    );
}

#[test]
fn an_index_that_lies_is_found() {
    let (_dir, layout) = fresh();
    let amd64 = image(&layout, "linux/amd64", "x");
    let check = |manifests: Vec<Descriptor>| {
        let bytes = Index::new(manifests).to_bytes().unwrap();
        let index = layout.write_blob(media_type::INDEX, &bytes).unwrap();
        texts(&validate(&layout, Some(&index.digest), false))
    };
    let arm = amd64.clone().with_platform("linux/arm64".parse().unwrap());
    assert!(check(vec![arm]).contains("its configuration says linux/amd64"));
    assert!(check(vec![amd64.clone(), amd64.clone()]).contains("listed twice"));
    let mut named = amd64.clone();
    named.media_type = media_type::INDEX.into();
    assert!(check(vec![named]).contains("a manifest is listed as"));
    let mut docker = amd64;
    docker.media_type = media_type::DOCKER_MANIFEST.into();
    assert!(check(vec![docker]).contains("another media type"));
}

#[test]
fn an_index_out_of_order_is_found() {
    let (_dir, layout) = fresh();
    let image = image(&layout, "linux/amd64", "x");
    layout.set_refs([("a".into(), image.clone()), ("b".into(), image)]).unwrap();
    let mut index = layout.index().unwrap();
    index.manifests.reverse();
    fs::write(layout.root().join("index.json"), index.to_bytes().unwrap()).unwrap();
    assert!(texts(&validate(&layout, None, false)).contains("not sorted"));
    fs::write(layout.root().join("index.json"), "{").unwrap();
    assert!(texts(&validate(&layout, None, false)).contains("index.json"));
}
