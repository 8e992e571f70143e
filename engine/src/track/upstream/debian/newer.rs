//! Which installed packages the archives have in a higher version.

use std::cmp::Ordering;
use std::sync::Arc;

use mabuild_distro::debian::{Package, version};
use serde::{Deserialize, Serialize};

use super::index::Packages;
use super::{FORM, archives_of, index, note_of, remembered, sources};
use crate::facts::{Distro, FactError, Installed};
use crate::track::local::blocking;
use crate::track::{Newer, Shared};

/// What is found, as it is noted.
#[derive(Serialize, Deserialize)]
struct Noted {
    name: String,
    installed: String,
    candidate: String,
    archive: usize,
    security: bool,
}

/// The installed packages that could be newer, in the order of the image.
pub(in crate::track::upstream) async fn newer(
    shared: &Arc<Shared>,
    distro: &Arc<Distro>,
) -> Result<Vec<Newer>, FactError> {
    let arch = distro.arch.as_str();
    let sources = sources(shared, archives_of(distro), arch).await?;
    let digest = distro.digest();
    let note = note_of(&sources, arch, |list| list(&mut [digest.as_str()].into_iter()));
    let labels: Vec<&str> = sources.iter().map(|source| source.asked.suite.as_str()).collect();
    let secure: Vec<bool> = labels.iter().map(|suite| suite.ends_with("-security")).collect();
    let noted: Vec<Noted> = remembered(shared, ("debian-newer", FORM), note, async {
        let index = index(shared, &sources, arch).await?;
        let distro = distro.clone();
        blocking(move || {
            let of_arch =
                distro.installed.iter().filter(|one| [&distro.arch, "all"].contains(&&*one.arch));
            Ok(of_arch.filter_map(|one| look_up(&index, one, &distro.arch, &secure)).collect())
        })
        .await
    })
    .await?;
    let shown = |noted: Noted| Newer {
        name: noted.name,
        installed: noted.installed,
        candidate: noted.candidate,
        archive: labels.get(noted.archive).copied().unwrap_or_default().to_owned(),
        security: noted.security,
    };
    Ok(noted.into_iter().map(shown).collect())
}

/// The candidate of one package when it is higher than what is installed.
fn look_up(index: &Packages, one: &Installed, arch: &str, secure: &[bool]) -> Option<Noted> {
    let archive = |package: &Package<'_>| index.archives.get(package.archive).copied();
    let is_secure = |package: &Package<'_>| {
        archive(package).and_then(|at| secure.get(at)).is_some_and(|secure| *secure)
    };
    let higher: Vec<Package<'_>> = index
        .packages
        .versions(&one.name)
        .filter(|package| package.architecture == arch || package.architecture == "all")
        .filter(|package| version::compare(package.version, &one.version) == Ordering::Greater)
        .collect();
    // What security brought may be in the main archive by now, or be followed by an update.
    let security = higher.iter().any(is_secure);
    let order = |a: &Package<'_>, b: &Package<'_>| {
        version::compare(a.version, b.version).then(is_secure(a).cmp(&is_secure(b)))
    };
    let candidate = higher.into_iter().max_by(order)?;
    Some(Noted {
        name: one.name.clone(),
        installed: one.version.clone(),
        candidate: candidate.version.to_owned(),
        archive: archive(&candidate)?,
        security,
    })
}
