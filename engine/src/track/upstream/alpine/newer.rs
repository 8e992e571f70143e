//! Which installed packages the repositories have in a higher version.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use mabuild_distro::alpine::{Package, version};
use serde::{Deserialize, Serialize};

use super::{FORM, archives_of, indexes, note_of, remembered, seen};
use crate::facts::{Archive, Distro, FactError};
use crate::track::local::blocking;
use crate::track::{Newer, Shared};

/// What is found, as it is noted.
#[derive(Serialize, Deserialize)]
struct Noted {
    name: String,
    installed: String,
    candidate: String,
    archive: usize,
}

/// The installed packages that could be newer, in the order of the image. Alpine has no archive of
/// its own for security, so that none is said to concern it.
pub(in crate::track::upstream) async fn newer(
    shared: &Arc<Shared>,
    distro: &Arc<Distro>,
) -> Result<Vec<Newer>, FactError> {
    let seen = seen(shared, &archives_of(distro)?, &distro.arch).await?;
    let note = note_of(&seen, &[], Some(distro));
    let noted: Vec<Noted> = remembered(shared, ("alpine-newer", FORM), note, async {
        let (indexes, distro) = (indexes(shared, &seen).await?, distro.clone());
        blocking(move || {
            let mut highest: HashMap<&str, (&Package, usize)> = HashMap::new();
            // What has a tag is taken by those alone who ask for the tag.
            let open = indexes.iter().enumerate().filter(|(_, index)| index.tag.is_none());
            for (at, package) in
                open.flat_map(|(at, index)| index.packages.iter().map(move |p| (at, p)))
            {
                let best = highest.entry(&package.name).or_insert((package, at));
                if version::compare(&package.version, &best.0.version) == Ordering::Greater {
                    *best = (package, at);
                }
            }
            let of = |one: &crate::facts::Installed| {
                let (package, archive) = *highest.get(one.name.as_str())?;
                let higher = version::compare(&package.version, &one.version);
                (higher == Ordering::Greater).then(|| Noted {
                    name: one.name.clone(),
                    installed: one.version.clone(),
                    candidate: package.version.clone(),
                    archive,
                })
            };
            Ok(distro.installed.iter().filter_map(of).collect())
        })
        .await
    })
    .await?;
    let shown = |noted: Noted| {
        let archive = seen.get(noted.archive).map(|seen| Archive::Alpine(seen.repository.pinned()));
        Newer {
            name: noted.name,
            installed: noted.installed,
            candidate: noted.candidate,
            archive: archive.map(|archive| archive.label().to_owned()).unwrap_or_default(),
            security: false,
        }
    };
    Ok(noted.into_iter().map(shown).collect())
}
