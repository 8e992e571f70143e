//! Handing an image out of a layout: as a layout, an archive, or a plain directory.
//!
//! The bytes of an export depend on the image and the names alone.

mod docker;
mod tar;

use crate::layer::{ApplyOptions, ApplyStats, apply_tar};
use crate::layout::copy_image;
use crate::{Digest, Error, Layout, Platform, Result, media_type};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

pub use docker::export_docker;
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
    /// The names the image gets, as `registry/repository:tag`.
    pub names: Vec<String>,
}

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
            to.set_refs(options.names.iter().map(|name| (name.clone(), image.clone())))?;
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
