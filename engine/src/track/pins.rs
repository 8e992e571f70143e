//! What is written down of upstreams beside their content: when they published it, and what added
//! files and repositories are now.

use std::sync::Arc;

use super::local::blocking;
use super::references::is_hash;
use super::{Shared, Tracking, added, git, upstream, wrong};
use crate::facts::{FactError, FilesAsk, Pin, UpstreamAsk};

impl Tracking {
    /// When an upstream published what it is pinned to, in seconds since 1970: when an image was
    /// made, or an archive was changed. None where the upstream does not say, or says a time
    /// before 1981 or in the future.
    pub fn published(&self, ask: &UpstreamAsk, pin: &Pin) -> Option<i64> {
        let (ask, pin) = (ask.clone(), pin.clone());
        let asked =
            self.block(|shared| async move { upstream::published(&shared, &ask, &pin).await });
        asked.ok().flatten()
    }

    /// What is to be written down of added files, in the order of the questions: `sha256:…` of what
    /// an address serves now, the commit that a repository's reference means now. None for what is
    /// fixed already and for files of contexts.
    pub fn file_pins(&self, asks: &[FilesAsk]) -> Vec<Result<Option<String>, FactError>> {
        let questions = asks.to_vec();
        let asked = self.block(|shared| async move {
            let tasks = questions.into_iter().map(|ask| {
                let shared = shared.clone();
                tokio::spawn(async move { file_pin(&shared, ask).await })
            });
            let tasks: Vec<_> = tasks.collect();
            let mut out = Vec::with_capacity(tasks.len());
            for task in tasks {
                let stopped = |e| Err(wrong(format!("a question stopped ({e}); this is a defect")));
                out.push(task.await.unwrap_or_else(stopped));
            }
            out
        });
        asked.unwrap_or_else(|e| asks.iter().map(|_| Err(e.clone())).collect())
    }
}

async fn file_pin(shared: &Arc<Shared>, ask: FilesAsk) -> Result<Option<String>, FactError> {
    match ask {
        FilesAsk::Url { location, checksum: None } => {
            Ok(Some(added::served(shared, &location).await?.to_string()))
        }
        FilesAsk::Git(ask) if ask.checksum.is_none() => {
            if ask.reference.as_deref().is_some_and(is_hash) {
                return Ok(None);
            }
            let shared = shared.clone();
            blocking(move || git::commit(&shared, &ask).map(Some)).await
        }
        FilesAsk::Context(_) | FilesAsk::Url { .. } | FilesAsk::Git(_) => Ok(None),
    }
}
