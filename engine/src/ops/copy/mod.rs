//! `copy`: images between registries, layouts, archives and the store.

mod choice;
mod place;
mod referrers;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_lang::reference;
use mabuild_oci::archive::{Listed, Name, Opened};
use mabuild_oci::layout::copy_image;
use mabuild_oci::{Descriptor, Layout};
use mabuild_registry::Pushed;

use super::export::{Dest, Form, write};
use super::images::reader::{Found, Member, unread};
use super::images::{ReadRequest, Reader};
use super::{Env, ErrorKind, OpError};
use crate::event::Listener;
use crate::publish::oci_platform;
use choice::{narrowed, one_of};
pub use place::{Filed, Place};

/// What is copied, and where to.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// Where it is.
    pub from: Place,
    /// Where it is to be.
    pub to: Place,
    /// Its platforms to copy; none means all.
    pub platforms: Vec<Platform>,
    /// Whether what refers to it is copied: signatures, bills of materials.
    pub referrers: bool,
}

/// What a copy did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Digest of what is there now.
    pub digest: mabuild_oci::Digest,
    /// What a registry got; none where a file or folder was written.
    pub sent: Option<Sent>,
}

/// What a registry got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Blobs that were sent.
    pub blobs: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Blobs that were mounted from another repository.
    pub mounted: u64,
    /// Blobs that were there already.
    pub present: u64,
    /// Manifests, indexes and tags that were written.
    pub manifests: u64,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.blobs += other.blobs;
        self.bytes += other.bytes;
        self.mounted += other.mounted;
        self.present += other.present;
        self.manifests += other.manifests;
    }
}

impl From<Pushed> for Sent {
    fn from(pushed: Pushed) -> Self {
        let Pushed { uploaded: blobs, bytes, mounted, present, manifests } = pushed;
        Self { blobs, bytes, mounted, present, manifests }
    }
}

/// Copies an image. What passes between files and registries is kept in the store until it is
/// swept; between two registries nothing is. The listener hears what moves over the network.
pub fn copy(
    env: &Env,
    read: &ReadRequest,
    request: &CopyRequest,
    listener: &Arc<dyn Listener>,
) -> Result<Copied, OpError> {
    if matches!(request.to, Place::Store(_)) {
        let message = "the store takes no copies: what is in it was built";
        return Err(wrong(message).help("copy to a layout, `oci:FOLDER:TAG`"));
    }
    let holds_them = |place: &Place| matches!(place, Place::Registry(_) | Place::Layout(_));
    if request.referrers && !(holds_them(&request.from) && holds_them(&request.to)) {
        let message = "what refers to an image is copied between registries and layouts only";
        return Err(wrong(message).help("leave --referrers out"));
    }
    let reader = Reader::open(env, read)?;
    reader.listen(listener);
    if let (Place::Registry(from), Place::Registry(to)) = (&request.from, &request.to) {
        return relay(&reader, from, to, request);
    }
    let mut found = source(env, &reader, &request.from)?;
    found.root = narrowed(&reader, &found, &request.platforms)?;
    let also = match request.referrers {
        true => referrers::find(env, &reader, &request.from, &found.root)?,
        false => Vec::new(),
    };
    match &request.to {
        Place::Registry(to) => push(&reader, &found.root, &also, to),
        Place::Layout(to) => {
            let names = to.name.iter().map(Name::plain).collect();
            let copied = file(env, &reader, Found { names, ..found }, to, Form::OciDir)?;
            referrers::add(&reader, &also, &env.cwd.join(&to.path))?;
            Ok(copied)
        }
        Place::OciArchive(to) => {
            let names = to.name.iter().map(Name::plain).collect();
            file(env, &reader, Found { names, ..found }, to, Form::OciArchive)
        }
        Place::DockerArchive(to) => {
            let given: Vec<Name> =
                to.name.iter().map(|name| Name::whole(reference::normal(name))).collect();
            let names = if given.is_empty() { found.names.clone() } else { given };
            let root = reader.one(&found, None)?.descriptor;
            file(env, &reader, Found { names, root, ..found }, to, Form::DockerArchive)
        }
        Place::Store(_) => Err(wrong("the store takes no copies")),
    }
}

/// From registry to registry.
fn relay(reader: &Reader, from: &str, to: &str, request: &CopyRequest) -> Result<Copied, OpError> {
    let from = reader.remote(from)?.name;
    let platforms: Vec<_> = request.platforms.iter().map(oci_platform).collect();
    let platforms = Some(platforms).filter(|platforms| !platforms.is_empty());
    let to = reference::normal(to);
    let copied = reader.tracking.copy_image(&from, &to, platforms, request.referrers);
    let copied = copied.map_err(unread)?;
    Ok(Copied { digest: copied.digest, sent: Some(copied.pushed.into()) })
}

/// Into a registry: what refers to an image before the tag of it moves.
fn push(
    reader: &Reader,
    image: &Descriptor,
    also: &[Descriptor],
    to: &str,
) -> Result<Copied, OpError> {
    let to = reference::normal(to);
    let place = to.split('@').next().unwrap_or(&to);
    // A port stands before a `/`, a tag behind it.
    let tagged = place.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let repository = tagged.map_or(place, |(repository, _)| repository);
    let mut sent = Sent::default();
    for one in also {
        sent.add(push_one(reader, one, &format!("{repository}@{}", one.digest))?);
    }
    sent.add(push_one(reader, image, &to)?);
    Ok(Copied { digest: image.digest, sent: Some(sent) })
}

/// Into a registry. What is kept in a repository of the same registry needs not come here.
fn push_one(reader: &Reader, image: &Descriptor, to: &str) -> Result<Sent, OpError> {
    let host = to.split('/').next().unwrap_or_default();
    let mut mounts = BTreeSet::new();
    let mut missing: Vec<Descriptor> = Vec::new();
    for Member { manifest, .. } in reader.members(image)? {
        for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
            if reader.layout().has(&blob.digest) {
                continue;
            }
            match reader.tracking.kept_in(&blob.digest) {
                Some(place) if place.split('/').next() == Some(host) => drop(mounts.insert(place)),
                _ => missing.push(blob.clone()),
            }
        }
    }
    reader.tracking.bring_blobs(&missing).map_err(unread)?;
    let mounts = mounts.into_iter().collect();
    Ok(reader.tracking.push_image(image, to, mounts).map_err(unread)?.into())
}

/// Into a file or folder.
fn file(
    env: &Env,
    reader: &Reader,
    found: Found,
    to: &Filed,
    form: Form,
) -> Result<Copied, OpError> {
    let path = env.cwd.join(&to.path);
    write(reader, &found, &found.name, form, Dest::Path(path))?;
    Ok(Copied { digest: found.root.digest, sent: None })
}

/// Brings the documents of an image into the store; of one in a file all of it.
fn source(env: &Env, reader: &Reader, place: &Place) -> Result<Found, OpError> {
    match place {
        Place::Registry(text) => reader.remote(text),
        Place::Store(text) => reader.local(text),
        Place::Layout(from) => {
            let path = env.cwd.join(&from.path);
            let layout = Layout::open(&path).map_err(|e| unopened(&path, &e))?;
            let index = layout.index().map_err(|e| unopened(&path, &e))?;
            // What has no name and is no image says something about one.
            let is_image =
                |one: &Descriptor| one.artifact_type.is_none() || one.ref_name().is_some();
            let images = index.manifests.into_iter().filter(is_image);
            let listed: Vec<Listed> = images.map(Listed::of_layout).collect();
            let image = one_of(&listed, from)?;
            let digest = image.digest().ok_or_else(|| unopened(&path, &"it has no such image"))?;
            let root = copy_image(&layout, reader.layout(), &digest);
            Ok(named(from, root.map_err(|e| unopened(&path, &e))?, image))
        }
        Place::OciArchive(from) | Place::DockerArchive(from) => {
            let path = env.cwd.join(&from.path);
            let file = File::open(&path).map_err(|e| unopened(&path, &e))?;
            let spool = reader.store.temp_file().map_err(OpError::store)?;
            let opened = match place {
                Place::OciArchive(_) => Opened::oci(file, spool),
                _ => Opened::docker(file, spool),
            };
            let opened = opened.map_err(|e| unopened(&path, &e))?;
            let image = one_of(&opened.images, from)?;
            let root = opened.take(image, reader.layout()).map_err(|e| unopened(&path, &e))?;
            Ok(named(from, root, image))
        }
    }
}

fn named(from: &Filed, mut root: Descriptor, image: &Listed) -> Found {
    root.annotations.clear();
    // The tag of a layout alone names nothing elsewhere.
    let whole = image.names.iter().filter(|name| name.contains(':'));
    let names = whole.map(|name| Name::whole(reference::normal(name))).collect();
    Found { name: from.path.display().to_string(), names, root, is_ours: false }
}

fn wrong(message: impl Into<String>) -> OpError {
    OpError::new(ErrorKind::User, "mabuild::engine::copy", message)
}

fn unopened(path: &Path, e: &dyn std::fmt::Display) -> OpError {
    wrong(format!("no image can be taken out of {}: {e}", path.display()))
}
