//! Package indexes of a release: fetched by digest, parsed once a run.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use mabuild_distro::debian::release::ReleaseFile;
use mabuild_distro::debian::{Compression, PackageIndex, Release, decompress};

use super::archive::{Archive, Seen};
use crate::facts::{DebianAsk, FactError};
use crate::track::http::Expected;
use crate::track::local::{blocking, digest};
use crate::track::{Shared, doubtful, wrong};

/// The largest index that is parsed, in bytes after decompression.
const LARGEST: u64 = 2 << 30;

/// The packages of all components of a question.
pub(super) async fn index(
    shared: &Arc<Shared>,
    archive: &Archive,
    seen: &Seen,
    ask: &DebianAsk,
) -> Result<Arc<PackageIndex>, FactError> {
    let release = archive.release(shared, seen).await?;
    let mut files = Vec::with_capacity(ask.components.len());
    for component in &ask.components {
        files.push(fetch(shared, archive, &release, component, &ask.arch).await?);
    }
    let what = archive.shown();
    blocking(move || {
        let mut index = PackageIndex::default();
        for (path, name) in files {
            let bad = |e: &dyn std::fmt::Display| doubtful(format!("{what}: {name}: {e}"));
            let compression = Compression::from_name(&name).unwrap_or(Compression::None);
            let file = std::fs::File::open(&path).map_err(|e| bad(&e))?;
            let reader = decompress(compression, file).map_err(|e| bad(&e))?;
            let mut text = Vec::new();
            reader.take(LARGEST).read_to_end(&mut text).map_err(|e| bad(&e))?;
            index.add(&text).map_err(|e| bad(&e))?;
        }
        Ok(Arc::new(index))
    })
    .await
}

/// Brings an index into the store; also gives its name, which tells the compression.
async fn fetch(
    shared: &Arc<Shared>,
    archive: &Archive,
    release: &Release,
    component: &str,
    arch: &str,
) -> Result<(PathBuf, String), FactError> {
    let forms = release.packages_indexes(component, arch);
    let mut refused = None;
    for (name, file) in &forms {
        match fetch_form(shared, archive, release, name, file).await {
            Ok(path) => return Ok((path, name.clone())),
            Err(e) if e.blames_upstream => return Err(e),
            // A mirror need not have every form.
            Err(e) => refused = refused.or(Some(e)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let lacks = |list: &[String], wanted: &str| !list.iter().any(|entry| entry == wanted);
        wrong(if lacks(&release.components, component) {
            let has = release.components.join(", ");
            format!("{} has no component `{component}`; it has {has}", archive.shown())
        } else if lacks(&release.architectures, arch) {
            let has = release.architectures.join(", ");
            format!("{} has no architecture `{arch}`; it has {has}", archive.shown())
        } else {
            format!("{} lists no packages of {component} for {arch}", archive.shown())
        })
    }))
}

async fn fetch_form(
    shared: &Arc<Shared>,
    archive: &Archive,
    release: &Release,
    name: &str,
    file: &ReleaseFile,
) -> Result<PathBuf, FactError> {
    let expected =
        Expected { digest: digest(&format!("sha256:{}", file.sha256))?, size: Some(file.size) };
    let what = format!("{} {name}", release.codename);
    if let Some(by_hash) = release.by_hash_path(name) {
        match shared.download_as(&archive.address(&by_hash), expected, &what).await {
            Err(e) if matches!(e.status, Some(404 | 410 | 403)) => {}
            done => return Ok(done?),
        }
    }
    Ok(shared.download_as(&archive.address(name), expected, &what).await?)
}
