//! `image tree`: what an image is put together from.

use std::collections::BTreeMap;

use mabuild_oci::{Descriptor, Digest, ImageConfig, media_type};

use super::reader::{Member, ReadRequest, Reader, unread};
use crate::ops::{Env, OpError};

/// A blob as its image names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: String,
    /// What it is.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeLayer {
    /// Its blob.
    pub blob: Blob,
    /// What made it, as the history has it; empty where that says nothing.
    pub created_by: String,
}

/// Something that refers to a manifest or index: a signature, a bill of materials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its manifest.
    pub manifest: Blob,
    /// What it is.
    pub artifact_type: Option<String>,
}

/// One manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// What it is for; none where nobody says it.
    pub platform: Option<String>,
    /// The manifest it only says something about, where it is no image itself.
    pub about: Option<String>,
    /// The manifest.
    pub manifest: Blob,
    /// Its configuration.
    pub config: Blob,
    /// Its layers, bottom first.
    pub layers: Vec<TreeLayer>,
    /// What refers to it.
    pub referrers: Vec<Referrer>,
}

/// An image with all that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The name it was found by.
    pub name: String,
    /// Its index, or its manifest where it has no index.
    pub root: Blob,
    /// Its manifests, in the order of the index.
    pub branches: Vec<Branch>,
    /// What refers to the root.
    pub referrers: Vec<Referrer>,
    /// Bytes of all blobs, each once.
    pub size: u64,
}

/// Gives what an image is put together from; `referrers` also asks the registry that keeps it what
/// refers to it. No layer is read.
pub fn tree(
    env: &Env,
    request: &ReadRequest,
    reference: &str,
    referrers: bool,
) -> Result<Tree, OpError> {
    let reader = Reader::open(env, request)?;
    let found = reader.find(reference)?;
    let members = reader.members(&found.root)?;
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut note = |blob: &Descriptor| {
        sizes.insert(blob.digest, blob.size);
    };
    note(&found.root);
    for Member { descriptor, manifest, .. } in &members {
        note(descriptor);
        note(&manifest.config);
        manifest.layers.iter().for_each(&mut note);
    }
    let mut tree = Tree {
        name: found.name,
        root: blob(&found.root),
        branches: members.iter().map(branch).collect(),
        referrers: Vec::new(),
        size: sizes.values().sum(),
    };
    if referrers {
        let mut asked = vec![found.root.digest];
        asked.extend(members.iter().map(|member| member.descriptor.digest));
        asked.dedup();
        let mut answers = reader.tracking.referrers(&asked).map_err(unread)?;
        let mut of = |digest: &Digest| -> Vec<Referrer> {
            answers.remove(digest).unwrap_or_default().iter().map(referrer).collect()
        };
        tree.referrers = of(&found.root.digest);
        for (branch, member) in tree.branches.iter_mut().zip(&members) {
            branch.referrers = of(&member.descriptor.digest);
        }
    }
    Ok(tree)
}

fn blob(descriptor: &Descriptor) -> Blob {
    Blob {
        digest: descriptor.digest.to_string(),
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
    }
}

fn referrer(descriptor: &Descriptor) -> Referrer {
    Referrer { manifest: blob(descriptor), artifact_type: descriptor.artifact_type.clone() }
}

fn branch(member: &Member) -> Branch {
    let Member { descriptor, manifest, config, .. } = member;
    let mut made = made_by(config.as_ref()).into_iter();
    let layers = manifest.layers.iter().map(|layer| {
        let is_layer = media_type::is_layer(&layer.media_type);
        let created_by = is_layer.then(|| made.next()).flatten().unwrap_or_default();
        TreeLayer { blob: blob(layer), created_by }
    });
    let about = descriptor.annotations.get("vnd.docker.reference.digest").cloned();
    let about = about.or_else(|| manifest.subject.as_ref().map(|one| one.digest.to_string()));
    Branch {
        platform: member.platform.as_ref().map(ToString::to_string),
        about: about.filter(|_| !member.is_image()),
        manifest: blob(descriptor),
        config: blob(&manifest.config),
        layers: layers.collect(),
        referrers: Vec::new(),
    }
}

/// What made each layer: the history also has steps without one.
fn made_by(config: Option<&ImageConfig>) -> Vec<String> {
    let steps = config.into_iter().flat_map(|config| &config.history);
    let steps = steps.filter(|step| !step.empty_layer);
    steps.map(|step| step.created_by.clone().unwrap_or_default()).collect()
}
