use super::*;
use crate::image::REF_NAME;
use crate::{Descriptor, ImageConfig, Index};
use std::io::Write;

/// An image with one layer; `seed` makes it another one.
pub(crate) fn image(layout: &Layout, platform: &str, seed: &str) -> Descriptor {
    let platform: Platform = platform.parse().unwrap();
    let entries = vec![
        crate::layer::Entry::new("etc", crate::layer::EntryKind::Dir),
        crate::layer::Entry::file("etc/seed", seed),
    ];
    let (packed, bytes) =
        crate::layer::testing::packed(entries, crate::layer::Compression::Gzip, 1);
    let layer = layout.write_blob(packed.media_type, &bytes).unwrap();
    let mut config = ImageConfig::new(&platform);
    config.rootfs.diff_ids.push(packed.diff_id);
    let config = layout.write_blob(media_type::CONFIG, &config.to_bytes().unwrap()).unwrap();
    let manifest = Manifest::new(config, vec![layer]).to_bytes().unwrap();
    layout.write_blob(media_type::MANIFEST, &manifest).unwrap().with_platform(platform)
}

/// An index of an image for each platform.
pub(crate) fn index(layout: &Layout, platforms: &[&str]) -> Descriptor {
    let images = platforms.iter().map(|p| image(layout, p, p)).collect();
    layout.write_blob(media_type::INDEX, &Index::new(images).to_bytes().unwrap()).unwrap()
}

fn fresh() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path().join("store")).unwrap();
    (dir, layout)
}

fn leftovers(layout: &Layout) -> usize {
    fs::read_dir(layout.root().join(INGEST)).unwrap().count()
}

#[test]
fn a_layout_is_made_and_opened_again() {
    let (dir, layout) = fresh();
    assert_eq!(fs::read(layout.root().join("oci-layout")).unwrap(), MARKER);
    layout.write_blob("text/plain", b"x").unwrap();
    let again = Layout::create(layout.root()).unwrap();
    assert!(again.has(&Digest::sha256("x")));
    assert!(Layout::open(dir.path()).is_err());
    fs::write(layout.root().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(Layout::open(layout.root()).is_err());
}

#[test]
fn blobs_are_verified_both_ways() {
    let (_dir, layout) = fresh();
    let descriptor = layout.write_blob("text/plain", b"hello").unwrap();
    assert_eq!(layout.read(&descriptor.digest).unwrap(), b"hello");
    let mut writer = layout.blob_writer().unwrap();
    writer.write_all(b"other").unwrap();
    let error = writer.commit(Some(descriptor.digest)).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }));
    assert!(!layout.has(&Digest::sha256("other")));
    fs::write(layout.path_of(&descriptor.digest), b"hellO").unwrap();
    assert!(matches!(layout.read(&descriptor.digest), Err(Error::DigestMismatch { .. })));
    let missing = layout.read(&Digest::sha256("none")).unwrap_err();
    assert!(matches!(missing, Error::MissingBlob { .. }));
    drop(layout.blob_writer().unwrap());
    assert_eq!(leftovers(&layout), 0);
}

#[test]
fn a_blob_of_the_wrong_size_is_replaced() {
    let (_dir, layout) = fresh();
    let digest = Digest::sha256("hello");
    fs::write(layout.path_of(&digest), b"torn").unwrap();
    layout.write_blob("text/plain", b"hello").unwrap();
    assert_eq!(layout.read(&digest).unwrap(), b"hello");
}

#[test]
fn sha512_blobs_are_kept_under_their_name() {
    let (_dir, layout) = fresh();
    let mut hasher = Digest::Sha512([0; 64]).hasher();
    hasher.update(b"long");
    let digest = hasher.finish();
    let mut writer = layout.blob_writer_for(&digest).unwrap();
    writer.write_all(b"long").unwrap();
    assert_eq!(writer.commit(Some(digest)).unwrap(), (digest, 4));
    assert_eq!(layout.read(&digest).unwrap(), b"long");
}

#[test]
fn whole_files_are_adopted() {
    let (dir, layout) = fresh();
    for mut temp in [layout.temp_file().unwrap(), NamedTempFile::new_in(dir.path()).unwrap()] {
        temp.write_all(b"adopted").unwrap();
        layout.adopt(temp, &Digest::sha256("adopted"), 7).unwrap();
    }
    assert_eq!(layout.read(&Digest::sha256("adopted")).unwrap(), b"adopted");
    let short = layout.temp_file().unwrap();
    assert!(matches!(
        layout.adopt(short, &Digest::sha256("z"), 1),
        Err(Error::SizeMismatch { expected: 1, actual: 0, .. })
    ));
    assert_eq!(leftovers(&layout), 0);
}

#[test]
fn names_move_and_strangers_stay() {
    let (_dir, layout) = fresh();
    let (one, two) = (image(&layout, "linux/amd64", "1"), image(&layout, "linux/amd64", "2"));
    let stranger = image(&layout, "linux/arm64", "3");
    let mut foreign = Index::new(vec![stranger.clone()]);
    foreign.annotations.insert("vendor".into(), "kept".into());
    fs::write(layout.root().join("index.json"), foreign.to_bytes().unwrap()).unwrap();
    layout.set_refs([("b:1".into(), one.clone()), ("a:1".into(), one.clone())]).unwrap();
    layout.set_ref("b:1", two.clone()).unwrap();
    let refs = layout.refs().unwrap();
    let names: Vec<_> = refs.iter().map(|(n, d)| (n.as_str(), d.digest)).collect();
    assert_eq!(names, [("a:1", one.digest), ("b:1", two.digest)]);
    assert_eq!(refs[0].1.annotations[REF_NAME], "a:1");
    let index = layout.index().unwrap();
    assert!(index.manifests.contains(&stranger));
    assert_eq!(index.annotations["vendor"], "kept");
    assert!(layout.remove_ref("a:1").unwrap() && !layout.remove_ref("a:1").unwrap());
    assert!(layout.set_ref("", one).is_err());
}

#[test]
fn many_writers_lose_no_name() {
    let (_dir, layout) = fresh();
    let image = image(&layout, "linux/amd64", "1");
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (layout, image) = (&layout, &image);
            scope.spawn(move || {
                // Each opens the layout for itself, as another process would.
                let layout = Layout::open(layout.root()).unwrap();
                for i in 0..10 {
                    layout.set_ref(&format!("{worker}:{i}"), image.clone()).unwrap();
                }
            });
        }
    });
    assert_eq!(layout.refs().unwrap().len(), 80);
    assert_eq!(leftovers(&layout), 0);
}

#[test]
fn a_platform_is_found_or_the_others_are_named() {
    let (_dir, layout) = fresh();
    let index = index(&layout, &["linux/amd64", "linux/arm/v7"]);
    let wanted = "linux/arm/v7".parse().unwrap();
    let (digest, _) = layout.manifest_for(&index.digest, Some(&wanted)).unwrap();
    assert_eq!(digest, image(&layout, "linux/arm/v7", "linux/arm/v7").digest);
    assert!(layout.manifest_for(&digest, None).is_ok());
    for platform in [None, Some("linux/arm".parse().unwrap())] {
        let error = layout.manifest_for(&index.digest, platform.as_ref()).unwrap_err().to_string();
        assert!(error.contains("linux/amd64, linux/arm/v7"), "{error}");
    }
    // An attestation beside the image does not make it ambiguous.
    let one = image(&layout, "linux/amd64", "1");
    let attestation = image(&layout, "unknown/unknown", "a");
    let nested = Index::new(vec![one.clone(), attestation]).to_bytes().unwrap();
    let nested = layout.write_blob(media_type::INDEX, &nested).unwrap();
    let outer = Index::new(vec![nested]).to_bytes().unwrap();
    let outer = layout.write_blob(media_type::INDEX, &outer).unwrap();
    assert_eq!(layout.manifest_for(&outer.digest, None).unwrap().0, one.digest);
}

#[test]
fn an_image_is_copied_whole_or_not_at_all() {
    let (_dir, from) = fresh();
    let (_dir2, to) = fresh();
    let index = index(&from, &["linux/amd64", "linux/arm64"]);
    let copied = copy_image(&from, &to, &index.digest).unwrap();
    assert_eq!((copied.digest, copied.size), (index.digest, index.size));
    assert!(crate::validate::validate(&to, Some(&index.digest), true).is_empty());
    let (_dir3, other) = fresh();
    let Document::Manifest(manifest) =
        from.document(&image(&from, "linux/arm64", "linux/arm64").digest).unwrap()
    else {
        panic!("an image is a manifest")
    };
    let layer = from.path_of(&manifest.layers[0].digest);
    let mut bytes = fs::read(&layer).unwrap();
    bytes[20] ^= 1;
    fs::write(&layer, &bytes).unwrap();
    assert!(matches!(copy_image(&from, &other, &index.digest), Err(Error::DigestMismatch { .. })));
    assert!(!other.has(&index.digest));
    fs::remove_file(&layer).unwrap();
    assert!(matches!(copy_image(&from, &other, &index.digest), Err(Error::MissingBlob { .. })));
}
