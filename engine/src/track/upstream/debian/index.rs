//! Package indexes of releases: fetched by digest, side by side, and parsed.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use mabuild_distro::debian::release::ReleaseFile;
use mabuild_distro::debian::{Compression, PackageIndex, Release, decompress};
use mabuild_oci::Digest;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Source;
use super::archive::Archive;
use super::release::Seen;
use crate::facts::FactError;
use crate::track::http::{Expected, FetchError};
use crate::track::local::blocking;
use crate::track::{Shared, doubtful, wrong};

/// The largest index that is parsed, in bytes after decompression.
const LARGEST: u64 = 2 << 30;
/// Indexes that are decompressed and parsed at once, as each needs more than 100 MB meanwhile.
static PARSING: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new(std::thread::available_parallelism().map_or(1, |n| n.get().min(3)))
});

/// The packages of some archives for one architecture.
pub(super) struct Packages {
    /// The packages.
    pub packages: PackageIndex,
    /// The archive of each file that was added.
    pub archives: Vec<usize>,
    /// About how many bytes of memory it takes.
    pub size: usize,
}

/// A file of an index in the store.
struct Fetched {
    /// The archive it is of.
    archive: usize,
    /// Name for messages.
    what: String,
    path: PathBuf,
    compression: Compression,
    /// Bytes after decompression, where the release tells.
    size: Option<u64>,
}

impl Packages {
    /// The packages of all components of all archives.
    pub async fn get(
        shared: &Arc<Shared>,
        sources: &[Source],
        arch: &str,
    ) -> Result<Arc<Self>, FactError> {
        let mut tasks = JoinSet::new();
        let mut wanted = 0;
        for (at, source) in sources.iter().enumerate() {
            for component in &source.asked.components {
                let (shared, seen) = (shared.clone(), source.seen.clone());
                let (component, arch, order) = (component.clone(), arch.to_owned(), wanted);
                tasks.spawn(async move {
                    (order, fetch_all(&shared, &seen, &component, &arch, at).await)
                });
                wanted += 1;
            }
        }
        let mut fetched = tasks.join_all().await;
        fetched.sort_by_key(|(order, _)| *order);
        let files = fetched.into_iter().map(|(_, files)| files).collect::<Result<Vec<_>, _>>()?;
        let files = files.into_iter().flatten().collect();
        // Closed by nobody, so there is always a permit.
        let _permit = PARSING.acquire().await.ok();
        blocking(move || Self::parse(files).map(Arc::new)).await
    }

    fn parse(files: Vec<Fetched>) -> Result<Self, FactError> {
        let (mut packages, mut archives) = (PackageIndex::default(), Vec::new());
        let mut size = 0;
        for file in files {
            let bad = |e: &dyn std::fmt::Display| doubtful(format!("{}: {e}", file.what));
            let opened = std::fs::File::open(&file.path).map_err(|e| bad(&e))?;
            let reader = decompress(file.compression, opened).map_err(|e| bad(&e))?;
            let known = file.size.filter(|size| *size < LARGEST).unwrap_or_default();
            let mut text = Vec::with_capacity(usize::try_from(known).unwrap_or_default() + 1);
            reader.take(LARGEST).read_to_end(&mut text).map_err(|e| bad(&e))?;
            if text.len() as u64 == LARGEST {
                return Err(bad(&"it unpacks to more than 2 GiB, as no archive's does"));
            }
            packages.add(&text).map_err(|e| bad(&e))?;
            archives.push(file.archive);
            size += text.len();
        }
        Ok(Self { packages, archives, size })
    }
}

/// Brings the indexes of a component into the store: that of the architecture, and that of `all`
/// where it is apart.
async fn fetch_all(
    shared: &Arc<Shared>,
    seen: &Seen,
    component: &str,
    arch: &str,
    at: usize,
) -> Result<Vec<Fetched>, FactError> {
    let release = seen.release(shared).await?;
    // As for apt: what comes beside the suite itself need not have every architecture.
    if at > 0 && !release.architectures.iter().any(|one| one == arch) {
        return Ok(Vec::new());
    }
    let mut files = vec![fetch(shared, &seen.archive, &release, component, arch, at).await?];
    if release.separate_all && !release.packages_indexes(component, "all").is_empty() {
        files.push(fetch(shared, &seen.archive, &release, component, "all", at).await?);
    }
    Ok(files)
}

/// Brings an index into the store, in the first form that can be had.
async fn fetch(
    shared: &Shared,
    archive: &Archive,
    release: &Release,
    component: &str,
    arch: &str,
    at: usize,
) -> Result<Fetched, FactError> {
    let plain = release.files.get(&format!("{component}/binary-{arch}/Packages"));
    let mut refused = None;
    for (name, file) in release.packages_indexes(component, arch) {
        match fetch_form(shared, archive, release, &name, file).await {
            Ok(path) => {
                return Ok(Fetched {
                    archive: at,
                    what: format!("{}: {name}", archive.shown()),
                    path,
                    compression: Compression::from_name(&name).unwrap_or(Compression::None),
                    size: plain.map(|file| file.size),
                });
            }
            // A mirror need not have every form, and one that is being updated may have one of
            // them already.
            Err(e) if e.differs || is_missing(&e) => refused = refused.or(Some((name, e))),
            Err(e) if refused.is_none() => return Err(e.into()),
            Err(_) => break,
        }
    }
    Err(match refused {
        Some((name, e)) if e.differs => doubtful(format!(
            "{}: {name} is not the one that the signed release names ({}); the mirror is being \
             updated, or it is not to be trusted: try again in some minutes, or take another \
             mirror",
            archive.shown(),
            e.message
        )),
        Some((name, e)) => doubtful(format!(
            "{}: {name} is in the signed release, but not on the mirror ({}); the mirror is being \
             updated or not complete: try again in some minutes, or take another mirror",
            archive.shown(),
            e.message
        )),
        None => lacking(archive, release, component, arch),
    })
}

/// Why a release lists no index.
fn lacking(archive: &Archive, release: &Release, component: &str, arch: &str) -> FactError {
    // The archive for security names its components `updates/main`.
    let is_component = |area: &String| area.rsplit('/').next() == Some(component);
    wrong(if !release.components.iter().any(is_component) {
        let has = release.components.join(", ");
        format!("{} has no component `{component}`; it has {has}", archive.shown())
    } else if !release.architectures.iter().any(|one| one == arch) {
        let has = release.architectures.join(", ");
        format!("{} has no architecture `{arch}`; it has {has}", archive.shown())
    } else {
        format!("{} lists no packages of {component} for {arch}", archive.shown())
    })
}

fn is_missing(error: &FetchError) -> bool {
    matches!(error.status, Some(403 | 404 | 410))
}

/// Fetches one form of an index: by its digest, as that stays while a mirror is updated, else by
/// its name.
async fn fetch_form(
    shared: &Shared,
    archive: &Archive,
    release: &Release,
    name: &str,
    file: &ReleaseFile,
) -> Result<PathBuf, FetchError> {
    let bad = |e: mabuild_oci::Error| FetchError {
        message: format!("the release lists {name} without a digest: {e}"),
        blames_upstream: true,
        status: None,
        differs: false,
    };
    let digest = Digest::parse(&format!("sha256:{}", file.sha256)).map_err(bad)?;
    let expected = Expected { digest, size: Some(file.size) };
    let what = format!("{} {name}", release.codename);
    if let Some(by_hash) = release.by_hash_path(name) {
        match shared.download_as(&archive.address(&by_hash), expected, &what).await {
            Err(e) if e.differs || is_missing(&e) => {}
            done => return done,
        }
    }
    shared.download_as(&archive.address(name), expected, &what).await
}
