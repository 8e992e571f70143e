//! Handing an image out of a layout: as a layout, an archive, or a plain directory; and archives
//! back into layouts.
//!
//! The bytes of an export depend on the image and the names alone.

mod docker;
mod flat;
mod read;
mod tar;

use crate::image::REF_NAME;
use crate::layer::{ApplyOptions, ApplyStats, apply_tar};
use crate::layout::copy_image;
use crate::{Descriptor, Digest, Error, Layout, Platform, Result, media_type};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

pub use docker::export_docker;
pub use flat::flatten;
pub use read::{Listed, Opened};
pub use tar::export_oci;

/// Where an image is exported to.
pub enum Target<'a> {
    /// An image layout in a directory, made or added to.
    Layout(&'a Path),
    /// An image layout as a tar archive.
    OciArchive(&'a mut dyn Write),
    /// An archive for `docker load`, of one platform.
    DockerArchive(&'a mut dyn Write),
    /// The files of one platform in a directory, which has to be empty or missing. `spool` takes
    /// file contents on their way.
    Directory {
        /// The directory.
        path: &'a Path,
        /// A temporary file.
        spool: &'a File,
        /// How owners are kept.
        options: &'a ApplyOptions,
    },
}

/// Which image is exported under which names.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// The platform, for targets that have one; needed when the image has several.
    pub platform: Option<Platform>,
    /// The names the image gets.
    pub names: Vec<Name>,
}

/// A name that an image gets in a layout or an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// What stands in the layout as `org.opencontainers.image.ref.name`.
    pub reference: String,
    /// What stands beside it as `io.containerd.image.name`: the whole `registry/repository:tag`.
    pub image: Option<String>,
}

impl Name {
    /// Makes the name under which a layout alone knows the image.
    pub fn plain(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), image: None }
    }

    /// Makes a name as BuildKit writes it: the tag, and beside it the whole.
    pub fn whole(image: impl Into<String>) -> Self {
        let image = image.into();
        let tag = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let reference = tag.map_or_else(|| "latest".to_owned(), |(_, tag)| tag.to_owned());
        Self { reference, image: Some(image) }
    }

    /// Gives the name as people write it for Docker.
    fn familiar(&self) -> &str {
        let name = self.image.as_ref().unwrap_or(&self.reference);
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        name.strip_prefix("library/").unwrap_or(name)
    }

    /// Adds the name to the entry of an image.
    fn put(&self, image: &mut Descriptor) {
        image.annotations.insert(REF_NAME.to_owned(), self.reference.clone());
        if let Some(name) = &self.image {
            image.annotations.insert(CONTAINERD_NAME.to_owned(), name.clone());
        }
    }
}

/// The annotation by which `docker load` and containerd know the name of an image of a layout.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Exports the image of a digest; returns what applying did, for a directory.
pub fn export(
    from: &Layout,
    digest: &Digest,
    options: &ExportOptions,
    target: Target<'_>,
) -> Result<Option<ApplyStats>> {
    match target {
        Target::Layout(path) => {
            let to = Layout::create(path)?;
            let image = copy_image(from, &to, digest)?;
            if options.names.is_empty() {
                to.add_image(image.clone())?;
            }
            to.set_refs(options.names.iter().map(|name| {
                let mut named = image.clone();
                name.put(&mut named);
                (name.reference.clone(), named)
            }))?;
        }
        Target::OciArchive(out) => export_oci(from, digest, &options.names, out)?,
        Target::DockerArchive(out) => {
            export_docker(from, digest, options.platform.as_ref(), &options.names, out)?;
        }
        Target::Directory { path, spool, options: apply } => {
            let platform = options.platform.as_ref();
            return export_directory(from, digest, platform, path, spool, apply).map(Some);
        }
    }
    Ok(None)
}

/// Applies the layers of one platform to an empty directory.
fn export_directory(
    from: &Layout,
    digest: &Digest,
    platform: Option<&Platform>,
    path: &Path,
    spool: &File,
    options: &ApplyOptions,
) -> Result<ApplyStats> {
    fs::create_dir_all(path).map_err(|e| Error::io("create directory", path, e))?;
    let mut items = fs::read_dir(path).map_err(|e| Error::io("read directory", path, e))?;
    if items.next().is_some() {
        let full = std::io::Error::from(std::io::ErrorKind::DirectoryNotEmpty);
        return Err(Error::io("export to", path, full));
    }
    let (_, manifest) = from.manifest_for(digest, platform)?;
    let mut all = ApplyStats::default();
    for layer in &manifest.layers {
        if !media_type::is_layer(&layer.media_type) {
            let reason = format!("{:?} is no layer", layer.media_type);
            return Err(Error::document(layer.digest.to_string(), reason));
        }
        let (blob, _) = from.open_blob(&layer.digest)?;
        let fail = |e| Error::stream("empty the spool file", e);
        spool.set_len(0).map_err(fail)?;
        let spool = spool.try_clone().map_err(fail)?;
        let stats = apply_tar(blob, spool, path, options)?;
        all.entries += stats.entries;
        all.bytes += stats.bytes;
        all.removed += stats.removed;
        all.recorded_nodes += stats.recorded_nodes;
        all.dropped_xattrs += stats.dropped_xattrs;
        all.owners.extend(stats.owners);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
