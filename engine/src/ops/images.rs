//! `image ls`, `image inspect`, `image export`.

use std::path::{Path, PathBuf};

use mabuild_lang::platform::Platform;
use mabuild_oci::archive::{self, ExportOptions, Target};
use mabuild_oci::layer::{ApplyOptions, Limits, OwnerMode};
use mabuild_oci::{Descriptor, Digest, ImageConfig, Index, Layout, Manifest};
use serde_json::Value;

use super::{ErrorKind, OpError};
use crate::publish::oci_platform;
use crate::store::Store;

/// One tag of the store.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// Name of the node.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Digest of the index.
    pub digest: String,
    /// Platforms in the index.
    pub platforms: Vec<String>,
    /// Bytes of all blobs, each once.
    pub size: u64,
    /// Newest `created` of the platforms.
    pub created: Option<String>,
}

/// All documents of an image.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Digest of the index.
    pub digest: String,
    /// The index.
    pub index: Value,
    /// Manifests, in the order of the index.
    pub manifests: Vec<Value>,
    /// Configs, in the order of the index.
    pub configs: Vec<Value>,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A folder that is an OCI layout.
    OciDir,
    /// An OCI layout in one tar.
    OciArchive,
    /// What `docker load` reads; one platform.
    DockerArchive,
    /// The files of one platform.
    Directory,
}

/// What is exported where to.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// One platform; needed where the form holds one and the image has several.
    pub platform: Option<Platform>,
    /// The form.
    pub form: Form,
    /// File or folder to make.
    pub dest: PathBuf,
}

fn unreadable(e: impl std::fmt::Display) -> OpError {
    OpError::store(e)
}

fn read_manifest(
    layout: &Layout,
    descriptor: &Descriptor,
) -> Result<(Manifest, ImageConfig), OpError> {
    let manifest = layout.read(&descriptor.digest).map_err(unreadable)?;
    let manifest = Manifest::from_bytes(&manifest).map_err(unreadable)?;
    let config = layout.read(&manifest.config.digest).map_err(unreadable)?;
    Ok((manifest, ImageConfig::from_bytes(&config).map_err(unreadable)?))
}

fn read_index(layout: &Layout, digest: &Digest) -> Result<Index, OpError> {
    Index::from_bytes(&layout.read(digest).map_err(unreadable)?).map_err(unreadable)
}

/// Digest and size of a manifest and all that it names.
fn blobs_of<'a>(
    member: &'a Descriptor,
    manifest: &'a Manifest,
) -> impl Iterator<Item = (Digest, u64)> + 'a {
    let blobs = [member, &manifest.config].into_iter().chain(&manifest.layers);
    blobs.map(|blob| (blob.digest, blob.size))
}

/// Bytes of all blobs of an index, each once.
pub(super) fn size(layout: &Layout, digest: &Digest) -> Result<u64, OpError> {
    let mut blobs = std::collections::BTreeMap::new();
    for member in &read_index(layout, digest)?.manifests {
        let manifest = layout.read(&member.digest).map_err(unreadable)?;
        let manifest = Manifest::from_bytes(&manifest).map_err(unreadable)?;
        blobs.extend(blobs_of(member, &manifest));
    }
    Ok(blobs.values().sum())
}

/// All tags of the store, sorted by name and tag.
pub fn list(store: &Path) -> Result<Vec<ImageRow>, OpError> {
    let store = Store::open(store).map_err(OpError::store)?;
    let layout = store.layout();
    let mut rows = Vec::new();
    for (full, descriptor) in layout.refs().map_err(unreadable)? {
        let (name, tag) = full.rsplit_once(':').unwrap_or((&full, "latest"));
        let index = read_index(layout, &descriptor.digest)?;
        let mut blobs = std::collections::BTreeMap::new();
        let mut created: Option<String> = None;
        let mut platforms = Vec::new();
        for member in &index.manifests {
            let (manifest, config) = read_manifest(layout, member)?;
            blobs.extend(blobs_of(member, &manifest));
            platforms.extend(member.platform().map(|p| p.to_string()));
            created = created.max(config.created);
        }
        rows.push(ImageRow {
            name: name.to_owned(),
            tag: tag.to_owned(),
            digest: descriptor.digest.to_string(),
            platforms,
            size: blobs.values().sum(),
            created,
        });
    }
    rows.sort_by(|a, b| (&a.name, &a.tag).cmp(&(&b.name, &b.tag)));
    Ok(rows)
}

/// Finds `NAME[:TAG]` or a digest; gives the name it is known by.
fn find(layout: &Layout, reference: &str) -> Result<(String, Descriptor), OpError> {
    let refs = layout.refs().map_err(unreadable)?;
    let wanted = match reference.contains(':') {
        true => reference.to_owned(),
        false => format!("{reference}:latest"),
    };
    let prefix = format!("{reference}:");
    let found = refs
        .iter()
        .find(|(name, d)| *name == wanted || d.digest.to_string() == reference)
        // A node without the tag `latest` is still known by its name when its tags agree.
        .or_else(|| {
            let mut tagged = refs.iter().filter(|(name, _)| name.starts_with(&prefix));
            let first = tagged.next()?;
            tagged.all(|(_, d)| d.digest == first.1.digest).then_some(first)
        });
    found.cloned().ok_or_else(|| {
        let names = refs.iter().map(|(name, _)| name.as_str());
        let near = mabuild_lang::suggest::did_you_mean(&wanted, names);
        let error = OpError::new(
            ErrorKind::User,
            "mabuild::engine::image",
            format!("the store has no image `{reference}`"),
        );
        match near {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("`mabuild image ls` shows what is there"),
        }
    })
}

/// All documents of an image.
pub fn inspect(store: &Path, reference: &str) -> Result<Inspection, OpError> {
    let store = Store::open(store).map_err(OpError::store)?;
    let layout = store.layout();
    let (_, root) = find(layout, reference)?;
    let json = |digest: &Digest| -> Result<Value, OpError> {
        serde_json::from_slice(&layout.read(digest).map_err(unreadable)?).map_err(unreadable)
    };
    let (mut manifests, mut configs) = (Vec::new(), Vec::new());
    for member in &read_index(layout, &root.digest)?.manifests {
        manifests.push(json(&member.digest)?);
        let (manifest, _) = read_manifest(layout, member)?;
        configs.push(json(&manifest.config.digest)?);
    }
    Ok(Inspection {
        digest: root.digest.to_string(),
        index: json(&root.digest)?,
        manifests,
        configs,
    })
}

/// Writes an image out. A directory gets the owners of the files as far as the caller may set
/// them: all as root, none as anybody else.
pub fn export(store: &Path, reference: &str, request: &ExportRequest) -> Result<(), OpError> {
    let store = Store::open(store).map_err(OpError::store)?;
    let layout = store.layout();
    let (name, root) = find(layout, reference)?;
    let failed = |e: &dyn std::fmt::Display| {
        let message = format!("cannot export `{reference}` to {}: {e}", request.dest.display());
        OpError::new(ErrorKind::Environment, "mabuild::engine::export", message)
    };
    let mut digest = root.digest;
    if request.platform.is_some() || matches!(request.form, Form::DockerArchive | Form::Directory) {
        digest = one_platform(layout, &digest, request.platform.as_ref())?.digest;
    }
    let options = ExportOptions { platform: None, names: vec![name] };
    let write = |target: Target<'_>| archive::export(layout, &digest, &options, target);
    let create = || std::fs::File::create(&request.dest).map(std::io::BufWriter::new);
    let done = match request.form {
        Form::OciDir => write(Target::Layout(&request.dest)),
        Form::OciArchive => write(Target::OciArchive(&mut create().map_err(|e| failed(&e))?)),
        Form::DockerArchive => write(Target::DockerArchive(&mut create().map_err(|e| failed(&e))?)),
        Form::Directory => {
            let spool = store.temp_file().map_err(OpError::store)?;
            let owners = match rustix::process::geteuid().is_root() {
                true => OwnerMode::Real,
                false => OwnerMode::Recorded,
            };
            let limits = Limits { whiteouts: true, ..Limits::default() };
            let options = ApplyOptions { owners, limits };
            write(Target::Directory { path: &request.dest, spool: &spool, options: &options })
        }
    };
    done.map(|_| ()).map_err(|e| failed(&e))
}

fn one_platform(
    layout: &Layout,
    root: &Digest,
    wanted: Option<&Platform>,
) -> Result<Descriptor, OpError> {
    let index = read_index(layout, root)?;
    let has: Vec<String> =
        index.manifests.iter().filter_map(|m| m.platform()).map(|p| p.to_string()).collect();
    let wanted = wanted.map(oci_platform);
    let mut found = index.manifests.iter().filter(|m| wanted.is_none() || m.platform() == wanted);
    let wrong =
        |message: String| OpError::new(ErrorKind::User, "mabuild::engine::platform", message);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => {
            Err(wrong(format!("the image has no such platform; it has {}", has.join(", "))))
        }
        (Some(_), Some(_)) => {
            let message =
                format!("this form holds one platform, and the image has {}", has.join(", "));
            Err(wrong(message).help("choose one with --platform"))
        }
    }
}
