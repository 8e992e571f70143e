//! Which image of a file, and which of its platforms.

use mabuild_lang::platform::Platform;
use mabuild_lang::reference;
use mabuild_oci::archive::Listed;
use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, media_type};

use super::place::Filed;
use super::wrong;
use crate::ops::OpError;
use crate::ops::images::reader::{Found, Member, choose};
use crate::ops::images::{Reader, unreadable};

/// The annotation by which an entry of an index says which other one it describes.
const DESCRIBED: &str = "vnd.docker.reference.digest";

/// The image of a name, or the only one.
pub(super) fn one_of<'a>(images: &'a [Listed], from: &Filed) -> Result<&'a Listed, OpError> {
    let path = from.path.display();
    let mut names: Vec<&str> = images.iter().flat_map(|i| &i.names).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let has = if names.is_empty() { "none with a name".to_owned() } else { names.join(", ") };
    let Some(wanted) = &from.name else {
        return match images {
            [one] => Ok(one),
            [] => Err(wrong(format!("{path} has no image"))),
            _ => Err(wrong(format!("{path} has several images: {has}"))
                .help("name one behind the path: `:NAME`")),
        };
    };
    let is_it = |name: &String| name == wanted || reference::same(name, wanted);
    let found = images.iter().find(|image| image.names.iter().any(is_it));
    found.ok_or_else(|| wrong(format!("{path} has no image `{wanted}`; it has {has}")))
}

/// What is left of an image when some platforms are chosen: the manifest of one, else an index of
/// them that is otherwise as it was.
pub(super) fn narrowed(
    reader: &Reader,
    found: &Found,
    platforms: &[Platform],
) -> Result<Descriptor, OpError> {
    if platforms.is_empty() {
        return Ok(found.root.clone());
    }
    let images = reader.images(found)?;
    let mut kept: Vec<Member> = Vec::new();
    for platform in platforms {
        let image = choose(found, &images, platform)?;
        if !kept.iter().any(|known| known.descriptor.digest == image.descriptor.digest) {
            kept.push(image);
        }
    }
    let Document::Index(mut index) =
        reader.layout().document(&found.root.digest).map_err(unreadable)?
    else {
        return Ok(found.root.clone());
    };
    if let [one] = kept.as_slice() {
        let Descriptor { media_type, digest, size, .. } = one.descriptor.clone();
        return Ok(Descriptor::new(media_type, digest, size));
    }
    let before = index.manifests.len();
    index.manifests.retain(|entry| {
        let described = entry.annotations.get(DESCRIBED);
        kept.iter().any(|image| {
            let digest = image.descriptor.digest;
            entry.digest == digest || described.is_some_and(|d| *d == digest.to_string())
        })
    });
    for image in kept {
        // One of an index in the index.
        if !index.manifests.iter().any(|entry| entry.digest == image.descriptor.digest) {
            index.manifests.push(image.descriptor);
        }
    }
    if index.manifests.len() == before {
        return Ok(found.root.clone());
    }
    let kind = match index.media_type() {
        media_type::DOCKER_MANIFEST_LIST => media_type::DOCKER_MANIFEST_LIST,
        _ => media_type::INDEX,
    };
    let bytes = index.to_bytes().map_err(unreadable)?;
    reader.layout().write_blob(kind, &bytes).map_err(unreadable)
}
