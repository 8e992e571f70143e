//! OCI layouts with one image each, made on the spot.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mabuild_oci::Digest;
use serde_json::{Value, json};

/// When everything was made.
const CREATED: &str = "2024-01-02T03:04:05Z";

/// Writes an image of the same gzip layers, each with the line of its history, for some platforms.
/// Its tag is `latest`.
pub fn layout(folder: &Path, platforms: &[&str], layers: &[(&str, Vec<u8>)], config: &Value) {
    std::fs::create_dir_all(folder.join("blobs/sha256")).expect("own folder");
    let mut members: Vec<Value> =
        platforms.iter().map(|platform| manifest(folder, platform, layers, config)).collect();
    if members.len() > 1 {
        let index =
            json!({"schemaVersion": 2, "mediaType": kind("index.v1+json"), "manifests": members});
        members = vec![blob(folder, "index.v1+json", index.to_string().as_bytes())];
    }
    for member in &mut members {
        member["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    }
    let index = json!({"schemaVersion": 2, "manifests": members});
    write(&folder.join("index.json"), index.to_string().as_bytes());
    write(&folder.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#);
}

/// Writes what an image is on one platform and gives its descriptor.
fn manifest(folder: &Path, platform: &str, layers: &[(&str, Vec<u8>)], config: &Value) -> Value {
    let (os, architecture) = platform.split_once('/').expect("a system and a processor");
    let plain = |(_, packed): &(&str, Vec<u8>)| {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut out).expect("a gzip layer");
        Digest::sha256(&out).to_string()
    };
    let config = json!({
        "created": CREATED,
        "os": os,
        "architecture": architecture,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(plain).collect::<Vec<_>>()},
        "history": layers
            .iter()
            .map(|(why, _)| json!({"created": CREATED, "created_by": why}))
            .collect::<Vec<_>>(),
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": kind("manifest.v1+json"),
        "config": blob(folder, "config.v1+json", config.to_string().as_bytes()),
        "layers": layers
            .iter()
            .map(|(_, packed)| blob(folder, "layer.v1.tar+gzip", packed))
            .collect::<Vec<_>>(),
    });
    let mut member = blob(folder, "manifest.v1+json", manifest.to_string().as_bytes());
    member["platform"] = json!({"os": os, "architecture": architecture});
    member
}

fn blob(folder: &Path, name: &str, bytes: &[u8]) -> Value {
    let digest = Digest::sha256(bytes).to_string();
    write(&folder.join("blobs").join(digest.replace(':', "/")), bytes);
    json!({"mediaType": kind(name), "digest": digest, "size": bytes.len()})
}

fn kind(name: &str) -> String {
    format!("application/vnd.oci.image.{name}")
}

/// Writes a file that everybody may read.
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("own folder");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("own file");
}
