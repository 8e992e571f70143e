//! Finds an image in the store or in a registry, and brings of it what is read.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use mabuild_distro::qemu;
use mabuild_lang::platform::Platform;
use mabuild_lang::reference;
use mabuild_oci::archive::Name;
use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, ImageConfig, Layout, Manifest, media_type};
use mabuild_registry::platform;
use rayon::prelude::*;

use super::unreadable;
use crate::event::Listener;
use crate::exec::native::host_arch;
use crate::facts::FactError;
use crate::ops::planning::{listen, tracking};
use crate::ops::{Env, ErrorKind, OpError, Project, RunRequest};
use crate::publish::oci_platform;
use crate::store::{Guard, Store};
use crate::track::Tracking;

/// Says of a name that it is one of a registry, whatever the store has.
const REMOTE: &str = "docker://";

/// How images are read.
#[derive(Clone, Debug, Default)]
pub struct ReadRequest {
    /// Folder of the store.
    pub store: PathBuf,
    /// Whether the network may not be used.
    pub offline: bool,
    /// The project that says how registries are spoken to; none for as they are by themselves.
    pub project: Option<Arc<Project>>,
}

/// Reads images of the store, and those of registries by way of it.
pub(in crate::ops) struct Reader {
    pub store: Arc<Store>,
    pub tracking: Arc<Tracking>,
    _use: Guard,
}

/// An image whose manifest or index is in the store.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Found {
    /// The name that people know it by.
    pub name: String,
    /// Names that it gets where it is written to.
    pub names: Vec<Name>,
    /// Its index, or its manifest where it has no index.
    pub root: Descriptor,
    /// Whether a name of the store stands for it, which only what was built here gets.
    pub is_ours: bool,
}

/// An image of an index, for one platform.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Member {
    /// Its manifest.
    pub descriptor: Descriptor,
    /// As the index says it, else as its configuration does.
    pub platform: Option<mabuild_oci::Platform>,
    pub manifest: Manifest,
    /// None for what is no image.
    pub config: Option<ImageConfig>,
}

impl Member {
    /// Whether it only says something about another one.
    pub fn is_about_another(&self) -> bool {
        self.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
            || self.descriptor.annotations.contains_key("vnd.docker.reference.type")
    }

    /// Whether a container can be started from it.
    pub fn is_image(&self) -> bool {
        self.config.is_some() && !self.is_about_another()
    }

    /// Its platform for people.
    pub fn shown(&self) -> String {
        self.platform.as_ref().map_or_else(|| "no platform".to_owned(), ToString::to_string)
    }

    /// Its layers with their diff ids, bottom first.
    pub fn layers(&self) -> Vec<(Digest, Descriptor)> {
        let diff_ids = self.config.iter().flat_map(|config| &config.rootfs.diff_ids);
        diff_ids.copied().zip(self.manifest.layers.iter().cloned()).collect()
    }
}

impl Reader {
    /// Opens the store.
    pub fn open(env: &Env, request: &ReadRequest) -> Result<Self, OpError> {
        let store = Arc::new(Store::open(&request.store).map_err(OpError::store)?);
        let guard = store.use_guard().map_err(OpError::store)?;
        let run = RunRequest { offline: request.offline, ..RunRequest::default() };
        let tracking = Arc::new(tracking(env, request.project.as_deref(), &run, &store, None)?);
        Ok(Self { store, tracking, _use: guard })
    }

    /// Tells a listener from now on what moves over the network.
    pub fn listen(&self, listener: &Arc<dyn Listener>) {
        listen(&self.tracking, listener);
    }

    pub fn layout(&self) -> &Layout {
        self.store.layout()
    }

    /// Finds `NAME[:TAG]` or a digest in the store, else an image of the registry that its name
    /// begins with.
    pub fn find(&self, text: &str) -> Result<Found, OpError> {
        if let Some(remote) = text.strip_prefix(REMOTE) {
            return self.remote(remote);
        }
        match self.local(text) {
            Err(_) if has_host(text) => self.remote(text),
            found => found,
        }
    }

    /// Finds an image of the store.
    pub fn local(&self, text: &str) -> Result<Found, OpError> {
        if let Ok(digest) = Digest::parse(text)
            && self.layout().has(&digest)
        {
            let descriptor = described(self.layout(), &digest)?;
            let name = super::find(self.layout(), text).ok().map(|(name, _)| name);
            let (names, is_ours) = (name.iter().map(Name::plain).collect(), name.is_some());
            let name = name.unwrap_or_else(|| text.to_owned());
            return Ok(Found { name, names, root: descriptor, is_ours });
        }
        let (name, root) = super::find(self.layout(), text)?;
        Ok(Found { names: vec![Name::plain(&name)], name, root, is_ours: true })
    }

    /// Finds an image of a registry.
    pub fn remote(&self, text: &str) -> Result<Found, OpError> {
        let parsed = reference::parse(text).map_err(|wrong| {
            let message = format!("`{text}` {}", wrong.label);
            OpError::new(ErrorKind::User, "mabuild::engine::reference", message).help(wrong.help)
        })?;
        let is_tagged = parsed.tag.is_some() || parsed.digest.is_none();
        let name = reference::normal(text);
        let root = self.tracking.find_image(&name).map_err(unread)?.ok_or_else(|| {
            let message = format!("there is no image {name}");
            let help = "the registry has no such repository or tag, or does not show it without a \
                        login: `docker login` keeps one";
            OpError::new(ErrorKind::User, "mabuild::engine::image", message).help(help)
        })?;
        let untagged = name.split('@').next().unwrap_or_default().to_owned();
        let names = is_tagged.then(|| Name::whole(untagged)).into_iter().collect();
        Ok(Found { name, names, root, is_ours: false })
    }

    /// Everything that an index names, indexes in it among that, in its order; its documents are
    /// brought, and no layers.
    pub fn members(&self, root: &Descriptor) -> Result<Vec<Member>, OpError> {
        self.tracking.bring_documents(&root.digest).map_err(unread)?;
        let mut out = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![root.clone()];
        while let Some(descriptor) = open.pop() {
            match self.layout().document(&descriptor.digest).map_err(unreadable)? {
                // What stands first is taken first.
                Document::Index(index) if seen.insert(descriptor.digest) => {
                    open.extend(index.manifests.into_iter().rev().filter(is_document));
                }
                Document::Index(_) => {}
                Document::Manifest(manifest) => out.push(self.member(descriptor, manifest)?),
            }
        }
        Ok(out)
    }

    fn member(&self, descriptor: Descriptor, manifest: Manifest) -> Result<Member, OpError> {
        let config = match media_type::is_config(&manifest.config.media_type) {
            true => {
                let bytes = self.layout().read(&manifest.config.digest).map_err(unreadable)?;
                Some(ImageConfig::from_bytes(&bytes).map_err(unreadable)?)
            }
            false => None,
        };
        let platform = descriptor.platform();
        let platform = platform.or_else(|| config.as_ref().map(ImageConfig::platform));
        Ok(Member { descriptor, platform, manifest, config })
    }

    /// The images that a container can be started from.
    pub fn images(&self, found: &Found) -> Result<Vec<Member>, OpError> {
        let members = self.members(&found.root)?;
        Ok(members.into_iter().filter(Member::is_image).collect())
    }

    /// The image for a platform; without one the only image there is.
    pub fn one(&self, found: &Found, wanted: Option<&Platform>) -> Result<Member, OpError> {
        let images = self.images(found)?;
        match (wanted, images.as_slice()) {
            (None, [one]) => Ok(one.clone()),
            (None, _) => {
                let message =
                    format!("one platform is needed here, and the image has {}", shown(&images));
                Err(wrong_platform(message).help("choose one with --platform"))
            }
            (Some(wanted), _) => choose(found, &images, wanted),
        }
    }

    /// The image for a platform; without one that of this machine, or the only one there is.
    pub fn own(&self, found: &Found, wanted: Option<&Platform>) -> Result<Member, OpError> {
        let images = self.images(found)?;
        if let Some(wanted) = wanted {
            return choose(found, &images, wanted);
        }
        let runs = |image: &&Member| {
            let platform = image.platform.as_ref();
            platform.is_some_and(|p| qemu::runs_natively(host_arch(), &p.os, &p.architecture))
        };
        let host = mabuild_oci::Platform::new("linux", host_arch());
        let best = best(&images, &host).or_else(|| images.iter().find(runs));
        let only = if let [one] = images.as_slice() { Some(one) } else { None };
        best.or(only).cloned().ok_or_else(|| {
            let has = shown(&images);
            let name = &found.name;
            wrong_platform(format!("`{name}` has no image for this machine; it has {has}"))
                .help("name the platform")
        })
    }

    /// Brings the layers of an image that is to run, and looks whether they are what its
    /// configuration says: trees of files are shared by that name.
    pub fn runnable(&self, found: &Found, image: &Member) -> Result<(), OpError> {
        let mut strange = image.layers();
        if found.is_ours {
            strange.retain(|(_, layer)| self.tracking.kept_in(&layer.digest).is_some());
        }
        let missing: Vec<Descriptor> = strange.iter().map(|(_, layer)| layer.clone()).collect();
        self.tracking.bring_blobs(&missing).map_err(unread)?;
        strange.par_iter().try_for_each(|(said, layer)| {
            let blob = layer.digest;
            let actual = self.store.diff_id(&blob, said).map_err(unreadable)?;
            if actual == *said {
                return Ok(());
            }
            let message = format!(
                "the layer {blob} of `{}` is {actual} when it is uncompressed, but the config of \
                 the image says {said}: whoever made the image has to make it again",
                found.name
            );
            Err(OpError::new(ErrorKind::Upstream, "mabuild::engine::image", message))
        })
    }

    /// Brings all that an image needs.
    pub fn whole(&self, root: &Descriptor) -> Result<(), OpError> {
        self.members(root)?;
        self.tracking.bring_whole(&root.digest).map_err(unread)?;
        Ok(())
    }
}

/// The descriptor of a manifest or index of the layout.
pub(in crate::ops) fn described(layout: &Layout, digest: &Digest) -> Result<Descriptor, OpError> {
    let document = layout.document(digest).map_err(unreadable)?;
    let (_, size) = layout.open_blob(digest).map_err(unreadable)?;
    let kind = match &document {
        Document::Manifest(manifest) => manifest.media_type(),
        Document::Index(index) => index.media_type(),
    };
    Ok(Descriptor::new(kind, *digest, size))
}

fn is_document(entry: &Descriptor) -> bool {
    media_type::is_index(&entry.media_type) || media_type::is_manifest(&entry.media_type)
}

/// Whether a name begins with the host of a registry.
fn has_host(text: &str) -> bool {
    reference::parse(text).is_ok_and(|parsed| parsed.repository.host.is_some())
}

fn best<'a>(images: &'a [Member], wanted: &mabuild_oci::Platform) -> Option<&'a Member> {
    let named: Vec<_> = images.iter().filter(|image| image.platform.is_some()).collect();
    let at = platform::best(wanted, named.iter().filter_map(|image| image.platform.as_ref()))?;
    named.get(at).copied()
}

/// The image for a platform.
pub(in crate::ops) fn choose(
    found: &Found,
    images: &[Member],
    wanted: &Platform,
) -> Result<Member, OpError> {
    best(images, &oci_platform(wanted)).cloned().ok_or_else(|| {
        let name = &found.name;
        wrong_platform(format!("`{name}` has no image for {wanted}; it has {}", shown(images)))
    })
}

fn shown(images: &[Member]) -> String {
    match images {
        [] => "none that can be run".to_owned(),
        _ => images.iter().map(Member::shown).collect::<Vec<_>>().join(", "),
    }
}

fn wrong_platform(message: String) -> OpError {
    OpError::new(ErrorKind::User, "mabuild::engine::platform", message)
}

/// Why something could not be read from where it is kept.
pub(in crate::ops) fn unread(error: FactError) -> OpError {
    let kind = if error.blames_upstream { ErrorKind::Upstream } else { ErrorKind::Environment };
    OpError::new(kind, "mabuild::engine::image", error.message)
}
