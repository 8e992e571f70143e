//! What differs between two builds of one spec.

use mabuild_oci::layer::tree_index::{IndexEntry, NodeKind};
use mabuild_oci::{Descriptor, ImageConfig};

use super::Native;
use super::files::shown;
use super::layers::{Below, Layer};
use crate::exec::Fault;

/// The first thing that differs between two images: a file, or a part of the config.
pub(super) fn first(native: &Native, one: &str, other: &str) -> Result<String, Fault> {
    let one = native.below(&one.into())?;
    let other = native.below(&other.into())?;
    let pairs = one.layers.iter().zip(&other.layers);
    for (number, (a, b)) in (1..).zip(pairs) {
        if a.diff_id != b.diff_id {
            let found = of_layers(native, a, b)?;
            return Ok(format!("{found}, in layer {number}"));
        }
        if let Some(found) = of_descriptors(&a.descriptor, &b.descriptor) {
            return Ok(format!("{found} of layer {number}"));
        }
    }
    Ok(of_configs(one, other))
}

fn of_descriptors(a: &Descriptor, b: &Descriptor) -> Option<&'static str> {
    (a.digest != b.digest).then_some("the compression")
}

fn of_layers(native: &Native, a: &Layer, b: &Layer) -> Result<String, Fault> {
    let (a, b) = (native.layer_index(a)?.entries, native.layer_index(b)?.entries);
    let differs = a.iter().zip(&b).find(|(a, b)| a != b);
    Ok(match differs {
        Some((a, b)) if a.path == b.path => {
            format!("/{} differs in its {}", shown(&a.path), field(a, b))
        }
        Some((a, b)) => match a.path < b.path {
            true => format!("/{} is in the first only", shown(&a.path)),
            false => format!("/{} is in the second only", shown(&b.path)),
        },
        None => match a.get(b.len()).or_else(|| b.get(a.len())) {
            Some(entry) => format!("/{} is in one of them only", shown(&entry.path)),
            None => "the form of the archive differs".to_owned(),
        },
    })
}

/// The first field of two entries of one path that differs.
fn field(a: &IndexEntry, b: &IndexEntry) -> &'static str {
    if a.kind != b.kind {
        "type"
    } else if a.kind == NodeKind::File && (a.size, a.digest) != (b.size, b.digest) {
        "content"
    } else if a.target != b.target {
        "target"
    } else if a.mode != b.mode {
        "mode"
    } else if (a.uid, a.gid) != (b.uid, b.gid) {
        "owner"
    } else if a.mtime != b.mtime {
        "time"
    } else {
        "attributes"
    }
}

fn of_configs(one: Below, other: Below) -> String {
    let counts = (one.layers.len(), other.layers.len());
    let (one, other): (ImageConfig, ImageConfig) = (one.config, other.config);
    if counts.0 != counts.1 {
        return format!("the number of layers: {} and {}", counts.0, counts.1);
    }
    let text = |config: &ImageConfig| {
        let bytes = config.to_bytes().unwrap_or_default();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default()
    };
    let (one, other) = (text(&one), text(&other));
    let names = one.as_object().into_iter().flatten().map(|(name, _)| name);
    let differs = names.into_iter().find(|name| one.get(name) != other.get(name));
    match differs {
        Some(name) => format!("`{name}` of the config"),
        None => "the manifest".to_owned(),
    }
}
