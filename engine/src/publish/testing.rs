//! Small values for the tests of this room.

use mabuild_lang::platform::Platform;
use mabuild_oci::image::PlatformObject;
use mabuild_oci::{Descriptor, Digest, Index, media_type};

use super::{CREATED, KEY_ANNOTATION, Late, Publication, Seat, Tagged, oci_platform};

/// A repository with one tag.
pub fn publication() -> Publication {
    Publication {
        repositories: vec!["r.example/a".into()],
        tags: vec!["1".into()],
        ..Publication::default()
    }
}

pub fn platform(text: &str) -> Platform {
    Platform::parse(text).unwrap()
}

pub fn digest(n: u8) -> Digest {
    Digest::sha256([n])
}

/// A manifest that has a number for its content, its key and its date.
pub fn descriptor(on: &str, n: u8) -> Descriptor {
    let mut out = Descriptor::new(media_type::MANIFEST, digest(n), u64::from(n));
    out.platform = Some(PlatformObject::from(oci_platform(&platform(on))));
    out.annotations.insert(KEY_ANNOTATION.into(), format!("key {n}"));
    out.annotations.insert(CREATED.into(), format!("1970-01-01T00:00:{n:02}Z"));
    out
}

pub fn seat(on: &str, n: u8) -> Seat {
    Seat { platform: platform(on), descriptor: descriptor(on, n), late: None }
}

pub fn late(seat: Seat, since: i64) -> Seat {
    Seat { late: Some(Late { since, why: "failed".into(), overdue: false }), ..seat }
}

/// A tag that says something.
pub fn tagged(tag: &str, index: &Index) -> Tagged {
    let digest = Some(Digest::sha256(index.to_bytes().unwrap()));
    Tagged { tag: tag.into(), digest, index: Some(index.clone().into()) }
}
