//! Images of OCI layouts.

use mabuild_oci::image::{Descriptor, Index, Manifest};
use mabuild_oci::{ImageConfig, Layout, Platform, media_type};

use super::*;

/// A layout with an index of two platforms under `app:1` and one lone image under `other`.
fn layout(path: &str) -> [Digest; 3] {
    let layout = Layout::create(path).unwrap();
    let image = |platform: Platform| {
        let config = ImageConfig::new(&platform).to_bytes().unwrap();
        let config = layout.write_blob(media_type::CONFIG, &config).unwrap();
        let manifest = Manifest::new(config, vec![]).to_bytes().unwrap();
        layout.write_blob(media_type::MANIFEST, &manifest).unwrap().with_platform(platform)
    };
    let amd64 = image(Platform::new("linux", "amd64"));
    let arm64 = image(Platform::new("linux", "arm64").with_variant("v8"));
    let mut riscv = image(Platform::new("linux", "riscv64"));
    riscv.platform = None;
    let digests = [amd64.digest, arm64.digest, riscv.digest];
    let bytes = Index::new(vec![amd64, arm64]).to_bytes().unwrap();
    let inner: Descriptor = layout.write_blob(media_type::INDEX, &bytes).unwrap();
    let bytes = Index::new(vec![inner]).to_bytes().unwrap();
    let outer = layout.write_blob(media_type::INDEX, &bytes).unwrap();
    layout.set_refs([("app:1".to_owned(), outer), ("other".to_owned(), riscv)]).unwrap();
    digests
}

#[test]
fn an_image_of_a_layout_is_pinned_by_name_and_platform() {
    let world = World::new();
    let path = world.path("layout");
    let [amd64, arm64, riscv] = layout(&path);
    let pin = |reference: Option<&str>, platform: &str| {
        let ask = UpstreamAsk::OciLayout {
            path: path.clone(),
            reference: reference.map(str::to_owned),
            platform: platform.to_owned(),
        };
        match world.pin(&ask).map(|pin| (*pin).clone()) {
            Ok(Pin::Layout { manifest, .. }) => manifest,
            Ok(other) => panic!("{other:?}"),
            Err(e) => e.message,
        }
    };
    assert_eq!(pin(Some("app:1"), "linux/amd64"), amd64.to_string());
    assert_eq!(pin(Some("app:1"), "linux/arm64"), arm64.to_string(), "v8 is what arm64 means");
    assert_eq!(pin(Some("other"), "linux/riscv64"), riscv.to_string(), "from its config");
    let missing = pin(Some("app:1"), "linux/s390x");
    assert!(missing.contains("it has linux/amd64, linux/arm64"), "{missing}");
    let unnamed = pin(None, "linux/amd64");
    assert!(unnamed.contains("name one: app:1, other"), "{unnamed}");
    assert!(pin(Some("no"), "linux/amd64").contains("it has app:1, other"));
}
