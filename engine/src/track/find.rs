//! All facts of a run, found out side by side.

use std::sync::Arc;

use rayon::prelude::*;
use tokio::task::JoinSet;

use super::{Shared, Tracking, added, upstream};
use crate::facts::{ContextAsk, FactError, Facts, FileSet, FilesAsk, UpstreamAsk};

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
    let (mut fetched, mut local) = (Vec::new(), Vec::new());
    for ask in files {
        match ask {
            FilesAsk::Context(ask) => local.push(ask),
            other => fetched.push(other),
        }
    }
    let refused = upstream::over_budget(&shared, &upstreams);
    for ask in upstreams {
        if let Some(error) = upstream::registry_of(&ask).and_then(|host| refused.get(&host)) {
            let answer = Err(error.clone());
            tasks.spawn(async move { vec![Answer::Upstream(ask, answer)] });
            continue;
        }
        let shared = shared.clone();
        tasks.spawn(async move {
            let answer = upstream::tracker(&ask).track(&shared).await;
            vec![Answer::Upstream(ask, answer.map(Arc::new))]
        });
    }
    for ask in fetched {
        let shared = shared.clone();
        tasks.spawn(async move {
            let answer = match &ask {
                FilesAsk::Url { location, checksum } => {
                    added::file(&shared, location, checksum.as_deref()).await
                }
                FilesAsk::Git(ask) => added::repository(&shared, ask).await,
                FilesAsk::Context(ask) => shared.contexts.files(ask),
            };
            let answer = answer.map(Arc::new);
            vec![Answer::Files(ask, answer)]
        });
    }
    if !local.is_empty() {
        tasks.spawn_blocking(move || {
            let read = |ask: ContextAsk| {
                let answer = shared.contexts.files(&ask).map(Arc::new);
                Answer::Files(FilesAsk::Context(ask), answer)
            };
            // While one thread asks the store, others look at folders.
            let share = |asks: Vec<ContextAsk>| {
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
