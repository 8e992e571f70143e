//! `image ls --remote`: what registries have of a project, beside what the store has.

use std::collections::BTreeMap;
use std::sync::Arc;

use mabuild_oci::{Digest, Index};

use super::reader::{ReadRequest, Reader};
use super::unreadable;
use crate::ops::planning::lowered;
use crate::ops::{Env, OpError, Project};
use crate::publish::KEY_ANNOTATION;

/// How a tag of a registry stands to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Both have the same images.
    Equal,
    /// They have different images.
    Differs,
    /// The registry has no such tag.
    Absent,
    /// The store has nothing to compare it with.
    Unbuilt,
    /// The registry could not be asked; why.
    Unknown(String),
}

impl Standing {
    /// The word for it, which never changes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Differs => "differs",
            Self::Absent => "absent",
            Self::Unbuilt => "unbuilt",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// A tag that an image of the project is published under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRow {
    /// Name of the image in the project.
    pub name: String,
    /// `HOST/PATH:TAG`.
    pub reference: String,
    /// Digest that the registry has under it.
    pub digest: Option<String>,
    /// Platforms of that.
    pub platforms: Vec<String>,
    /// Digest of the index that was built last.
    pub local: Option<String>,
    /// How they stand to each other.
    pub standing: Standing,
}

/// Asks registries for every tag that the images of a project are published under, with one request
/// each, side by side.
pub fn published(
    env: &Env,
    request: &ReadRequest,
    project: &Arc<Project>,
) -> Result<Vec<PublishedRow>, OpError> {
    let request = ReadRequest { project: Some(project.clone()), ..request.clone() };
    let reader = Reader::open(env, &request)?;
    let lowered = lowered(project)?;
    let roots = reader.store.roots().map_err(OpError::store)?;
    let built: BTreeMap<String, String> = roots
        .into_iter()
        .filter(|(owner, ..)| *owner == project.name)
        .map(|(_, name, digest)| (name, digest))
        .collect();
    let mut places = Vec::new();
    for thing in lowered.graph.thing_ids() {
        let Some(publication) = lowered.publication(thing) else { continue };
        let name = lowered.graph.thing(thing).name.to_string();
        for repository in &publication.repositories {
            let tags = publication.tags.iter();
            places.extend(tags.map(|tag| (name.clone(), format!("{repository}:{tag}"))));
        }
    }
    let asked = places.iter().map(|(_, reference)| reference.clone()).collect();
    let answers = reader.tracking.find_images(asked);
    let rows = places.into_iter().zip(answers).map(|((name, reference), answer)| {
        let local = built.get(&name).cloned();
        let mut row = PublishedRow {
            name,
            reference,
            digest: None,
            platforms: Vec::new(),
            local,
            standing: Standing::Absent,
        };
        match answer {
            Err(e) => row.standing = Standing::Unknown(e.message),
            Ok(None) => {}
            Ok(Some(found)) => {
                row.digest = Some(found.digest.to_string());
                let theirs = members(&reader, &found.digest)?;
                row.platforms = theirs.keys().cloned().collect();
                let ours = row.local.as_ref().and_then(|digest| Digest::parse(digest).ok());
                row.standing = match ours {
                    None => Standing::Unbuilt,
                    Some(ours) if ours == found.digest => Standing::Equal,
                    Some(ours) => match is_same(&members(&reader, &ours)?, &theirs) {
                        true => Standing::Equal,
                        false => Standing::Differs,
                    },
                };
            }
        }
        Ok(row)
    });
    rows.collect()
}

/// What an index has for a platform: a manifest, and the key it was built by where it says one.
type Members = BTreeMap<String, (Digest, Option<String>)>;

fn members(reader: &Reader, index: &Digest) -> Result<Members, OpError> {
    let bytes = reader.layout().read(index).map_err(unreadable)?;
    // A manifest without an index is of a platform that only its configuration knows.
    let Ok(index) = Index::from_bytes(&bytes) else { return Ok(Members::new()) };
    let named = index.manifests.iter().filter_map(|entry| {
        let platform = entry.platform().filter(|platform| platform.os != "unknown")?;
        let key = entry.annotations.get(KEY_ANNOTATION).cloned();
        Some((platform.to_string(), (entry.digest, key)))
    });
    Ok(named.collect())
}

/// Whether both have the same images. Of what was published in another form the keys say it.
fn is_same(ours: &Members, theirs: &Members) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|((platform, (digest, key)), (other, (published, said)))| {
            platform == other && (digest == published || key.is_some() && key == said)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(platform: &str, digest: &str, key: Option<&str>) -> Members {
        let member = (Digest::sha256(digest), key.map(str::to_owned));
        Members::from([(platform.to_owned(), member)])
    }

    #[test]
    fn images_are_the_same_by_digest_or_by_key() {
        let ours = one("linux/amd64", "a", Some("k"));
        assert!(is_same(&ours, &one("linux/amd64", "a", None)));
        assert!(is_same(&ours, &one("linux/amd64", "b", Some("k"))));
        assert!(!is_same(&ours, &one("linux/amd64", "b", Some("l"))));
        assert!(!is_same(&one("linux/amd64", "a", None), &one("linux/amd64", "b", None)));
        assert!(!is_same(&ours, &one("linux/arm64", "a", Some("k"))));
        assert!(!is_same(&ours, &Members::new()));
    }
}
