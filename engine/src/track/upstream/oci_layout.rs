//! Images of an OCI layout on disk: pinned to the manifest of the wanted platform.

use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, ImageConfig, Layout, media_type};

use super::{Answer, Tracker};
use crate::facts::Pin;
use crate::track::local::blocking;
use crate::track::{Shared, wrong};

/// Indexes in indexes that are followed.
const DEEPEST: usize = 4;

/// An image as the file asks for it.
pub(super) struct OciLayout {
    /// Absolute folder.
    pub path: String,
    /// Name in its index.
    pub reference: Option<String>,
    /// Platform in normal form.
    pub platform: String,
}

impl Tracker for OciLayout {
    fn track<'a>(&'a self, _: &'a Arc<Shared>) -> Answer<'a> {
        let (path, reference) = (self.path.clone(), self.reference.clone());
        let platform = self.platform.clone();
        Box::pin(blocking(move || {
            let bad = |e: String| wrong(format!("the image layout {path}: {e}"));
            let manifest = find(&path, reference.as_deref(), &platform).map_err(bad)?;
            Ok(Pin::Layout { manifest: manifest.to_string(), path })
        }))
    }
}

fn find(path: &str, reference: Option<&str>, platform: &str) -> Result<Digest, String> {
    let layout = Layout::open(path).map_err(|e| e.to_string())?;
    let named = choose(&layout, reference)?;
    let mut images = Vec::new();
    for descriptor in &named {
        images_of(&layout, descriptor, 0, &mut images)?;
    }
    let mut fitting: Vec<Digest> =
        images.iter().filter(|(p, _)| p == platform).map(|(_, digest)| *digest).collect();
    fitting.dedup();
    match fitting.as_slice() {
        [digest] => Ok(*digest),
        [] => {
            let mut has: Vec<&str> = images.iter().map(|(p, _)| p.as_str()).collect();
            has.sort_unstable();
            has.dedup();
            let has = if has.is_empty() { "no image".to_owned() } else { has.join(", ") };
            Err(format!("there is no image for {platform}; it has {has}"))
        }
        _ => Err(format!("there are {} images for {platform}; name one of them", fitting.len())),
    }
}

/// The entries of `index.json` that are meant.
fn choose(layout: &Layout, reference: Option<&str>) -> Result<Vec<Descriptor>, String> {
    let entries = layout.index().map_err(|e| e.to_string())?.manifests;
    let mut names: Vec<String> =
        entries.iter().filter_map(|d| d.ref_name().map(str::to_owned)).collect();
    names.sort_unstable();
    names.dedup();
    let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
    let Some(reference) = reference else {
        let single =
            entries.iter().all(|d| d.ref_name() == entries.first().and_then(|f| f.ref_name()));
        return match single {
            true => Ok(entries),
            false => Err(format!("it has several images; name one: {names}")),
        };
    };
    let named =
        |d: &Descriptor| d.ref_name() == Some(reference) || d.digest.to_string() == reference;
    let found: Vec<Descriptor> = entries.iter().filter(|d| named(d)).cloned().collect();
    if found.is_empty() {
        return Err(format!("it has no image `{reference}`; it has {names}"));
    }
    Ok(found)
}

/// Every image below a descriptor with its platform in normal form.
fn images_of(
    layout: &Layout,
    descriptor: &Descriptor,
    depth: usize,
    out: &mut Vec<(String, Digest)>,
) -> Result<(), String> {
    // Attestations stand in an index under an unknown platform.
    if descriptor.platform().is_some_and(|p| p.os == "unknown") {
        return Ok(());
    }
    match layout.document(&descriptor.digest).map_err(|e| e.to_string())? {
        Document::Index(_) if depth >= DEEPEST => {
            Err(format!("{} is an index too deep in indexes", descriptor.digest))
        }
        Document::Index(index) => {
            index.manifests.iter().try_for_each(|d| images_of(layout, d, depth + 1, out))
        }
        Document::Manifest(manifest) => {
            if !media_type::is_config(&manifest.config.media_type) {
                return Ok(());
            }
            let platform = match descriptor.platform() {
                Some(platform) => platform,
                None => {
                    let config = layout.read(&manifest.config.digest);
                    let config = config.and_then(|bytes| ImageConfig::from_bytes(&bytes));
                    config.map_err(|e| e.to_string())?.platform()
                }
            };
            let platform = platform.to_string();
            let normal = Platform::parse(&platform).map_or(platform, |p| p.to_string());
            out.push((normal, descriptor.digest));
            Ok(())
        }
    }
}
