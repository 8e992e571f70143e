//! The digests of package files: noted, or found out by fetching a file and verifying it by what
//! the signed index says of it.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::sync::Arc;

use mabuild_distro::alpine::{Apk, Package};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::repository::{Repository, Seen};
use super::{Chosen, Noted};
use crate::facts::FactError;
use crate::track::http::FetchError;
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, wrong};

/// Packages that are fetched and verified at once.
const AT_ONCE: usize = 8;

/// Pins chosen packages, in their order.
pub(super) async fn pinned(
    shared: &Arc<Shared>,
    seen: &[Seen],
    chosen: Vec<Chosen>,
) -> Result<Vec<Noted>, FactError> {
    let mut tasks = JoinSet::new();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    for (at, one) in chosen.into_iter().enumerate() {
        let repository = seen.get(one.archive).map(|seen| seen.repository.clone());
        let repository =
            repository.ok_or_else(|| wrong("a package of no repository was chosen"))?;
        let (shared, places) = (shared.clone(), places.clone());
        tasks.spawn(async move {
            // It is never closed.
            let _place = places.acquire_owned().await.ok();
            Ok::<_, FactError>((at, noted(&shared, &repository, one).await?))
        });
    }
    let mut found = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        // One failure ends the others: the set is dropped.
        found.push(done.map_err(|e| wrong(format!("a task stopped ({e}); this is a defect")))??);
    }
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, noted)| noted).collect())
}

async fn noted(
    shared: &Arc<Shared>,
    repository: &Arc<Repository>,
    chosen: Chosen,
) -> Result<Noted, FactError> {
    let Chosen { package, archive } = chosen;
    let path = format!("{}/{}", repository.arch, package.file_name());
    let note = format!("{} {}/{path}", package.checksum, repository.address);
    let digest = match shared.store.memo("apk", &note) {
        Some(digest) => digest,
        None => {
            let find = fetch(shared, repository, &path, &package, &note);
            shared.alpine.packages.get(note.clone(), find).await?
        }
    };
    Ok(Noted {
        sha256: digest,
        arch: package.arch.unwrap_or_else(|| repository.arch.clone()),
        name: package.name,
        version: package.version,
        size: package.size,
        archive,
        path,
    })
}

/// Brings a package into the store and gives the sha256 of its file.
async fn fetch(
    shared: &Arc<Shared>,
    repository: &Repository,
    path: &str,
    package: &Package,
    note: &str,
) -> Result<String, FactError> {
    let what = format!("{} {} of the {}", package.name, package.version, repository.shown());
    let url = format!("{}/{path}", repository.address);
    let progress = shared.progress(&format!("{} {}", package.name, package.version));
    let fetched = shared.client.download_sized(&url, package.size, &shared.store, &*progress).await;
    let (mut file, digest) = fetched.map_err(|e| unfetched(&what, e))?;
    let (shared, package, note) = (shared.clone(), package.clone(), note.to_owned());
    blocking(move || {
        verify(file.as_file_mut(), &package).map_err(|e| moving(&what, &e))?;
        let unkept = |e: crate::store::StoreError| wrong(format!("cannot keep {what}: {e}"));
        shared.store.adopt_download(file, &digest.to_string()).map_err(unkept)?;
        shared.store.put_memo("apk", &note, &digest.hex()).map_err(unkept)?;
        Ok(digest.hex().to_string())
    })
    .await
}

/// Checks a package file by what the index says, to its end.
fn verify(file: &mut File, package: &Package) -> Result<(), String> {
    file.rewind().map_err(|e| e.to_string())?;
    let apk = Apk::open(BufReader::new(file), package).map_err(|e| e.to_string())?;
    std::io::copy(&mut apk.data(), &mut std::io::sink()).map_err(|e| e.to_string())?;
    Ok(())
}

fn unfetched(what: &str, error: FetchError) -> FactError {
    match error.status {
        Some(404 | 410) => doubtful(format!(
            "{what} is in the index but not in the repository ({}): the mirror is being updated; \
             try again in some minutes, or take another mirror",
            error.message
        )),
        _ if error.differs => moving(what, &error.message),
        _ => {
            let FetchError { message, blames_upstream, .. } = error;
            FactError { message: format!("{what}: {message}"), blames_upstream }
        }
    }
}

/// The file and the index do not fit.
fn moving(what: &str, why: &str) -> FactError {
    doubtful(format!(
        "{what} is not the file that the signed index names: {why}; the mirror is being updated, \
         or it is wrong: try again in some minutes, or take another mirror"
    ))
}
