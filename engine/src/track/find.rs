//! All facts of a run, found out side by side.

use std::sync::Arc;

use mabuild_oci::Digest;
use rayon::prelude::*;
use tokio::task::JoinSet;

use super::http::Expected;
use super::{Shared, Tracking, is_address, upstream};
use crate::facts::{FactError, Facts, FileFact, FileKind, FileSet, FilesAsk, Match, UpstreamAsk};
use crate::key::file_set_digest;

/// Finds everything out: contexts are read while upstreams are asked. Asks should not repeat.
pub fn find_facts(tracking: &Tracking, files: Vec<FilesAsk>, upstreams: Vec<UpstreamAsk>) -> Facts {
    // Facts that were not found out because of a defect say so themselves when they are asked for.
    tracking.block(|shared| find(shared, files, upstreams)).unwrap_or_default()
}

/// Asks for files that one thread answers at once.
const SHARE: usize = 32;

/// One answer.
enum Answer {
    Files(FilesAsk, Result<Arc<FileSet>, String>),
    Upstream(UpstreamAsk, Result<Arc<crate::facts::Pin>, FactError>),
}

async fn find(shared: Arc<Shared>, files: Vec<FilesAsk>, upstreams: Vec<UpstreamAsk>) -> Facts {
    let mut tasks: JoinSet<Vec<Answer>> = JoinSet::new();
    let (fetched, local): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|ask| ask.sources.iter().any(|s| is_address(s)));
    for ask in upstreams {
        let shared = shared.clone();
        tasks.spawn(async move {
            let answer = upstream::tracker(&ask).track(&shared).await;
            vec![Answer::Upstream(ask, answer.map(Arc::new))]
        });
    }
    for ask in fetched {
        let shared = shared.clone();
        tasks.spawn(async move {
            let answer = add(&shared, &ask).await.map(Arc::new);
            vec![Answer::Files(ask, answer)]
        });
    }
    if !local.is_empty() {
        tasks.spawn_blocking(move || {
            let read = |ask: FilesAsk| {
                let answer = shared.contexts.files(&ask).map(Arc::new);
                Answer::Files(ask, answer)
            };
            // While one thread asks the store, others look at folders.
            let share = |asks: Vec<FilesAsk>| {
                shared.contexts.recall(asks.iter().map(|ask| &ask.context));
                asks.into_iter().map(read).collect::<Vec<Answer>>()
            };
            let answers = local.into_par_iter().chunks(SHARE).flat_map_iter(share).collect();
            shared.contexts.remember();
            answers
        });
    }
    let mut facts = Facts::default();
    while let Some(done) = tasks.join_next().await {
        for answer in done.unwrap_or_default() {
            match answer {
                Answer::Files(ask, answer) => facts.put_files(ask, answer),
                Answer::Upstream(ask, answer) => facts.put_upstream(ask, answer),
            }
        }
    }
    facts
}

/// The file that an `add` of an address copies. Docker gives such a file mode 0600.
async fn add(shared: &Arc<Shared>, ask: &FilesAsk) -> Result<FileSet, String> {
    let [source] = ask.sources.as_slice() else {
        return Err("an address must be the only source of its `add`; write one `add` for each \
                    file"
            .to_owned());
    };
    let Some(checksum) = &ask.checksum else {
        return Err(format!(
            "{} is fetched without a checksum, so nobody could tell whether it was exchanged; \
             add checksum=\"sha256:…\"",
            super::http::mask(source)
        ));
    };
    let digest = Digest::parse(checksum).map_err(|e| e.to_string())?;
    let name = file_name(source).ok_or_else(|| {
        format!("{} names no file; end the address with a file name", super::http::mask(source))
    })?;
    let path = shared.download(source, Expected { digest, size: None }).await;
    let path = path.map_err(|e| e.message)?;
    let store = shared.store.clone();
    let hashed = tokio::task::spawn_blocking(move || {
        let folder = store.named_download(&digest.to_string(), &name).map_err(|e| e.to_string())?;
        let failed = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
        let mut hasher = blake3::Hasher::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        let size = hasher.update_reader(file).map_err(failed)?.count();
        let kind = FileKind::File { digest: *hasher.finalize().as_bytes(), size };
        Ok((folder, FileFact { path: name, mode: 0o600, kind }))
    });
    let (folder, file) = hashed.await.map_err(|e| e.to_string()).flatten()?;
    let found = Match { path: file.path.clone(), files: vec![file], directory: false };
    let matches = vec![found];
    let root = folder.to_string_lossy().as_ref().into();
    Ok(FileSet { root, digest: file_set_digest(&matches), matches })
}

/// The last part of an address's path, when it can be the name of a file.
fn file_name(address: &str) -> Option<String> {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let (_, path) = address.get(..end)?.split_once("://")?;
    let (_, name) = path.rsplit_once('/')?;
    (!matches!(name, "" | "." | "..") && !name.contains('\0')).then(|| name.to_owned())
}
