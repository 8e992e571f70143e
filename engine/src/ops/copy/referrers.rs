//! What refers to an image: signatures, bills of materials. A layout lists them without a name.

use std::collections::HashSet;
use std::path::Path;

use mabuild_oci::image::Document;
use mabuild_oci::layout::copy_image;
use mabuild_oci::{Descriptor, Digest, Layout};

use super::place::Place;
use super::{unopened, wrong};
use crate::ops::images::Reader;
use crate::ops::images::reader::unread;
use crate::ops::{Env, OpError};

/// Referrers of one image, and of those in turn, at most.
const MOST: usize = 1000;

/// Finds what refers to an image, to one of its manifests, or to one of those that do; it is brought
/// into the store.
pub(super) fn find(
    env: &Env,
    reader: &Reader,
    from: &Place,
    image: &Descriptor,
) -> Result<Vec<Descriptor>, OpError> {
    let mut open = vec![image.digest];
    open.extend(reader.members(image)?.iter().map(|member| member.descriptor.digest));
    let mut seen: HashSet<Digest> = open.iter().copied().collect();
    let mut found: Vec<Descriptor> = Vec::new();
    let listed = match from {
        Place::Layout(from) => Some(with_subjects(&env.cwd.join(&from.path))?),
        _ => None,
    };
    while !open.is_empty() {
        let new: Vec<Descriptor> = match &listed {
            Some((layout, listed)) => {
                let refers = |one: &&(Digest, Descriptor)| open.contains(&one.0);
                let copied = listed.iter().filter(refers).map(|(_, one)| {
                    let copied = copy_image(layout, reader.layout(), &one.digest);
                    copied.map(|_| one.clone()).map_err(|e| unopened(layout.root(), &e))
                });
                copied.collect::<Result<_, _>>()?
            }
            None => {
                let answers = reader.tracking.referrers(&open).map_err(unread)?;
                let new: Vec<Descriptor> = answers.into_values().flatten().collect();
                let places = new.iter().map(|one| one.digest).collect();
                reader.tracking.kept_with(image.digest, places).map_err(unread)?;
                new
            }
        };
        let new: Vec<Descriptor> = new.into_iter().filter(|one| seen.insert(one.digest)).collect();
        open = new.iter().map(|one| one.digest).collect();
        found.extend(new);
        if found.len() > MOST {
            return Err(wrong(format!("more than {MOST} things refer to {}", image.digest)));
        }
    }
    // The order in which they are listed says nothing.
    found.sort_by_key(|one| one.digest);
    Ok(found)
}

/// What a layout lists that says something about another one.
fn with_subjects(path: &Path) -> Result<(Layout, Vec<(Digest, Descriptor)>), OpError> {
    let layout = Layout::open(path).map_err(|e| unopened(path, &e))?;
    let mut out = Vec::new();
    for entry in layout.index().map_err(|e| unopened(path, &e))?.manifests {
        let document = layout.document(&entry.digest).map_err(|e| unopened(path, &e))?;
        let subject = match document {
            Document::Manifest(manifest) => manifest.subject,
            Document::Index(index) => index.subject,
        };
        out.extend(subject.map(|subject| (subject.digest, entry)));
    }
    Ok((layout, out))
}

/// Adds what refers to an image to a layout.
pub(super) fn add(reader: &Reader, also: &[Descriptor], path: &Path) -> Result<(), OpError> {
    for one in also {
        reader.whole(one)?;
        let added = Layout::open(path).and_then(|layout| {
            let mut copied = copy_image(reader.layout(), &layout, &one.digest)?;
            copied.artifact_type.clone_from(&one.artifact_type);
            layout.add_image(copied)
        });
        added.map_err(|e| wrong(format!("{} cannot be added to: {e}", path.display())))?;
    }
    Ok(())
}
