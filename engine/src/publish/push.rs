//! Between plans and registries: what tags say, manifests by digest, then tags.
//!
//! Everything runs side by side; the client bounds what one registry is asked at once.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::Hash;
use std::panic::resume_unwind;
use std::sync::Arc;

use mabuild_oci::image::Document;
use mabuild_oci::{Descriptor, Digest, Index, Layout, media_type};
use mabuild_registry::{Client, Error, ErrorKind, Pushed, Reference, Resolved};
use tokio::task::JoinSet;

use super::assemble::Made;
use super::generation::{Step, Turn};
use super::scan::untag;
use super::{TagEnd, Tagged, waves};

/// What one repository has to get, by digest.
#[derive(Clone, Debug)]
pub struct Job {
    /// `HOST/PATH`.
    pub repository: String,
    /// Manifests that it may lack, with all that they name.
    pub members: Vec<Descriptor>,
    /// The index over them, where it lacks that.
    pub index: Option<Made>,
    /// Repositories of the same host that may have layers.
    pub mounts: Vec<String>,
}

/// Does many things at once and gives their results in order.
pub async fn all<T, F>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (at, future) in work.into_iter().enumerate() {
        tasks.spawn(async move { (at, future.await) });
    }
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        match ended.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(one) => done.push(one),
            Err(Ok(panic)) => resume_unwind(panic),
            // Nobody cancels them but who drops the whole.
            Err(Err(_)) => {}
        }
    }
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, one)| one).collect()
}

/// The reference of a repository, `HOST/PATH`.
pub fn reference(repository: &str) -> Result<Reference, Error> {
    let (host, path) = repository.split_once('/').ok_or_else(|| Error {
        kind: ErrorKind::Local,
        message: format!("`{repository}` names no repository of a registry"),
    })?;
    Ok(Reference { host: host.to_owned(), repository: path.to_owned(), tag: None, digest: None })
}

/// A tag of a repository.
pub(super) fn tag(repository: &Reference, tag: &str) -> Reference {
    Reference { tag: Some(tag.to_owned()), ..repository.clone() }
}

/// What is asked of the tags of a repository.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `HOST/PATH`.
    pub repository: String,
    /// The tags.
    pub tags: Vec<String>,
    /// So many of them are told in full, of the others no more than the digest.
    pub indexes: usize,
    /// Whether what this run has seen before counts as asked.
    pub seen_counts: bool,
}

/// Asks what tags of a repository say now. Each costs one request, which for a tag that says the
/// same as one before has no answer's body.
pub async fn tagged(client: Client, ask: Ask) -> Result<Vec<Tagged>, Error> {
    let Ask { repository, tags, indexes, seen_counts } = ask;
    let repository = reference(&repository)?;
    let mut out: Vec<Tagged> = Vec::with_capacity(tags.len());
    for name in tags {
        let of_tag = tag(&repository, &name);
        if out.is_empty() {
            let found = match client.seen(&of_tag).filter(|_| seen_counts) {
                Some(seen) => Some(seen),
                None => client.look(&of_tag).await?,
            };
            let digest = found.as_ref().map(|found| found.digest);
            out.push(Tagged { tag: name, digest, index: found.as_deref().and_then(index) });
            continue;
        }
        let digest = client.current(&of_tag).await?;
        let known = out.iter().find(|known| known.digest == digest);
        let index = match (known, digest) {
            (Some(known), _) => known.index.clone(),
            (None, Some(digest)) if out.len() < indexes => {
                let found = client.look(&repository.with_digest(digest)).await?;
                found.as_deref().and_then(index)
            }
            (None, _) => None,
        };
        out.push(Tagged { tag: name, digest, index });
    }
    Ok(out)
}

fn index(found: &Resolved) -> Option<Arc<Index>> {
    match &found.document {
        Document::Index(index) => Some(Arc::new(index.clone())),
        Document::Manifest(_) => None,
    }
}

/// Sends what repositories lack, by digest: no tag moves. A job that sends the same to the same
/// host as another begins when that is done, and finds its layers there.
pub async fn send(client: Client, layout: Layout, jobs: Vec<Job>) -> Vec<Result<Pushed, Error>> {
    let common = |(_, job): &(usize, Job)| -> Vec<(String, Digest)> {
        let members = job.members.iter().map(|member| member.digest);
        let all = members.chain(job.index.iter().map(|made| made.digest));
        all.map(|digest| (host(&job.repository), digest)).collect()
    };
    let one = |chain: Vec<(usize, Job)>| {
        let (client, layout) = (client.clone(), layout.clone());
        async move {
            let mut ends = Vec::with_capacity(chain.len());
            for (at, job) in chain {
                ends.push((at, send_one(&client, &layout, job).await));
            }
            ends
        }
    };
    let chains = chains(jobs.into_iter().enumerate().collect(), common);
    let mut ends: Vec<_> = all(chains.into_iter().map(one)).await.into_iter().flatten().collect();
    ends.sort_by_key(|(at, _)| *at);
    ends.into_iter().map(|(_, end)| end).collect()
}

async fn send_one(client: &Client, layout: &Layout, job: Job) -> Result<Pushed, Error> {
    let repository = reference(&job.repository)?;
    let mounts: Result<Arc<[Reference]>, Error> = job.mounts.iter().map(|m| reference(m)).collect();
    let mounts = mounts?;
    let members = job.members.into_iter().map(|member| {
        let (client, layout) = (client.clone(), layout.clone());
        let (repository, mounts) = (repository.clone(), mounts.clone());
        async move { client.push(&layout, &member, &repository, &mounts).await }
    });
    let mut sum = Pushed::default();
    for one in all(members).await {
        sum.add(&one?);
    }
    if let Some(made) = job.index {
        let by_digest = repository.with_digest(made.digest);
        client.put(&by_digest, made.media_type, &made.bytes).await?;
        sum.manifests += 1;
    }
    Ok(sum)
}

/// Asks what single tags say now, each `(HOST/PATH, TAG)`.
pub async fn current(
    client: Client,
    tags: Vec<(String, String)>,
) -> Vec<Result<Option<Digest>, Error>> {
    let one = |(repository, name): (String, String)| {
        let client = client.clone();
        async move { client.current(&tag(&reference(&repository)?, &name)).await }
    };
    all(tags.into_iter().map(one)).await
}

/// What moving tags has to know.
#[derive(Debug, Default)]
pub struct Means {
    /// Indexes that were made in this run, by digest.
    pub made: HashMap<Digest, Made>,
    /// Contents that may not be deleted, because something goes back to them.
    pub needed: HashSet<Digest>,
}

/// Moves tags, wave by wave. After a wave with a failure no other begins. Tags are deleted last.
pub async fn carry_out(client: Client, steps: Vec<Step>, means: Means) -> Vec<(Step, TagEnd)> {
    let means = Arc::new(means);
    let (deleted, moved): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| step.turn == Turn::Delete);
    let mut out = Vec::with_capacity(deleted.len() + moved.len());
    let mut failed = false;
    for wave in waves(moved.into_iter().map(|step| (step.wave, step))) {
        if failed {
            out.extend(wave.into_iter().map(|step| (step, TagEnd::Untried)));
            continue;
        }
        let chains = chains(wave, |step: &Step| {
            // Other tags of the repository may say what this one names.
            let said = (host(&step.repository), Some(step.turn.clone()));
            vec![said, (step.repository.clone(), None)]
        });
        let one = |chain: Vec<Step>| {
            let (client, means) = (client.clone(), means.clone());
            async move {
                let mut ends = Vec::with_capacity(chain.len());
                for step in chain {
                    let end = turn(&client, &step, &means).await;
                    ends.push((step, end.unwrap_or_else(|error| TagEnd::Failed(error.into()))));
                }
                ends
            }
        };
        let ends: Vec<_> = all(chains.into_iter().map(one)).await.into_iter().flatten().collect();
        failed = ends.iter().any(|(_, end)| end.failure().is_some());
        out.extend(ends);
    }
    if failed {
        out.extend(deleted.into_iter().map(|step| (step, TagEnd::Untried)));
        return out;
    }
    let one = |steps| untag(client.clone(), steps, means.clone());
    let ends =
        all(chains(deleted, |step| vec![step.repository.clone()]).into_iter().map(one)).await;
    out.extend(ends.into_iter().flatten());
    out
}

/// Puts what has anything in common into chains, of which each is done one after another.
/// Registries that keep their contents in files write one that they get again over itself, and
/// whoever reads it in that moment gets half of it: another upload that names it is refused then.
fn chains<T, K: Eq + Hash>(items: Vec<T>, common: impl Fn(&T) -> Vec<K>) -> Vec<Vec<T>> {
    let mut out: Vec<Vec<T>> = Vec::new();
    let mut places: HashMap<K, usize> = HashMap::new();
    for item in items {
        let keys = common(&item);
        let mut known: Vec<usize> = keys.iter().filter_map(|k| places.get(k).copied()).collect();
        known.sort_unstable();
        known.dedup();
        let place = known.first().copied().unwrap_or(out.len());
        let mut joined = Vec::new();
        // Chains that this one connects become one.
        for other in known.iter().skip(1) {
            joined.append(&mut out.get_mut(*other).map(std::mem::take).unwrap_or_default());
            places.values_mut().filter(|at| *at == other).for_each(|at| *at = place);
        }
        joined.push(item);
        match out.get_mut(place) {
            Some(chain) => chain.append(&mut joined),
            None => out.push(joined),
        }
        places.extend(keys.into_iter().map(|key| (key, place)));
    }
    out.retain(|chain| !chain.is_empty());
    out
}

fn host(repository: &str) -> String {
    repository.split('/').next().unwrap_or_default().to_owned()
}

async fn turn(client: &Client, step: &Step, means: &Means) -> Result<TagEnd, Error> {
    let repository = reference(&step.repository)?;
    let name = tag(&repository, &step.tag);
    let digest = match &step.turn {
        Turn::Set(digest) => digest,
        Turn::Foreign(found) => return Ok(TagEnd::Foreign(*found)),
        Turn::Stay | Turn::Delete => return Ok(TagEnd::Kept),
    };
    if let Some(made) = means.made.get(digest) {
        client.put(&name, made.media_type, &made.bytes).await?;
        return Ok(TagEnd::Moved);
    }
    let found = client.look(&repository.with_digest(*digest)).await?.ok_or_else(|| {
        let message = format!(
            "cannot set {name} to {digest}: the registry does not have that any more; it may have \
             been pruned"
        );
        Error { kind: ErrorKind::NotFound, message }
    })?;
    client.put(&name, &found.media_type, &found.bytes).await?;
    Ok(TagEnd::Moved)
}

/// Whether a media type is one that a tag may say.
pub(super) fn is_document(kind: &str) -> bool {
    media_type::is_manifest(kind) || media_type::is_index(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_something_in_common_is_done_one_after_another() {
        let items = vec![("a", 1), ("b", 2), ("a", 3), ("c", 2), ("d", 4), ("e", 5), ("d", 5)];
        let chains = chains(items, |(name, number)| vec![(*name).to_owned(), number.to_string()]);
        let same: [&[(&str, i32)]; 3] =
            [&[("a", 1), ("a", 3)], &[("b", 2), ("c", 2)], &[("d", 4), ("e", 5), ("d", 5)]];
        assert_eq!(chains, same);
    }

    #[test]
    fn repositories_are_named_with_their_host() {
        let found = reference("127.0.0.1:5000/team/app").unwrap();
        assert_eq!((&*found.host, &*found.repository), ("127.0.0.1:5000", "team/app"));
        assert!(reference("app").is_err());
    }
}
