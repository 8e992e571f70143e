//! Looks at what is in a repository, for what can be pruned, and prunes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mabuild_oci::Digest;
use mabuild_oci::image::Document;
use mabuild_registry::{Client, Error, ErrorKind, Reference};

use super::TagEnd;
use super::generation::Step;
use super::prune::{Claims, Found, Listing, closure, prune};
use super::push::{Means, all, is_document, reference, tag};

/// Most rounds of looking at what is named by what was found.
const DEEPEST: usize = 16;

/// What can go from one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// `HOST/PATH`.
    pub repository: String,
    /// In the order in which it has to go.
    pub digests: Vec<Digest>,
    /// What generations pushed and the registry does not have any more.
    pub absent: Vec<Digest>,
}

/// Looks at a repository: every tag, all that was pushed, and what these name.
pub async fn scan(client: Client, repository: String, claims: Claims) -> Result<Removal, Error> {
    let at = reference(&repository)?;
    let more = claims.pushed.iter().chain(&claims.kept).copied();
    let mut listing = list(&client, &at, more.collect()).await?;
    let mut digests = prune(&claims, &listing);
    for _ in 0..DEEPEST {
        // What refers to something that goes may be referred to itself.
        let new = digests.iter().filter(|digest| !listing.referrers.contains_key(digest));
        let new: Vec<Digest> = new.copied().collect();
        if new.is_empty() {
            break;
        }
        refer(&client, &at, new, &mut listing).await?;
        digests = prune(&claims, &listing);
    }
    let is_absent = |digest: &&Digest| !listing.documents.contains_key(digest);
    let absent = claims.pushed.iter().filter(is_absent).copied().collect();
    Ok(Removal { repository, digests, absent })
}

/// Lists the tags of a repository, and all that they and some more contents name.
async fn list(client: &Client, at: &Reference, more: Vec<Digest>) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let tags = client.tags(at).await.or_else(|error| match error.kind {
        // A repository of which all is gone may be gone itself.
        ErrorKind::NotFound => Ok(Vec::new()),
        _ => Err(error),
    })?;
    let asked = tags.iter().map(|name| tag(at, name)).collect();
    let mut open = more;
    for (name, found) in tags.iter().zip(look(client, asked).await) {
        if let Some((digest, found)) = found? {
            listing.tags.insert(name.clone(), digest);
            open.extend(found.members.iter().copied());
            listing.documents.insert(digest, found);
        }
    }
    read(client, at, open, &mut listing).await?;
    Ok(listing)
}

/// Deletes tags of one repository.
///
/// Some registries delete no tags, but contents with all their tags. That is done there where
/// neither another tag nor anything that is needed names the content.
pub async fn untag(client: Client, steps: Vec<Step>, means: Arc<Means>) -> Vec<(Step, TagEnd)> {
    let mut out = Vec::with_capacity(steps.len());
    let mut refused = Vec::new();
    for step in steps {
        let deleted = async { client.delete(&tag(&reference(&step.repository)?, &step.tag)).await };
        match deleted.await {
            Ok(_) => out.push((step, TagEnd::Deleted)),
            Err(error) if error.blames_registry() && error.kind != ErrorKind::Broken => {
                out.push((step, TagEnd::Failed(error.into())));
            }
            Err(error) => refused.push((step, error)),
        }
    }
    let Some((first, _)) = refused.first() else { return out };
    let found = async {
        let at = reference(&first.repository)?;
        let listing = list(&client, &at, means.needed.iter().copied().collect()).await?;
        Ok::<_, Error>((at, listing))
    };
    let (at, listing) = match found.await {
        Ok(found) => found,
        Err(error) => {
            let failed = |(step, _)| (step, TagEnd::Failed(error.clone().into()));
            out.extend(refused.into_iter().map(failed));
            return out;
        }
    };
    let goes = |name: &String| refused.iter().any(|(step, _)| step.tag == *name);
    let roots = listing.tags.iter().filter(|(name, _)| !goes(name)).map(|(_, says)| *says);
    let keep = closure(&listing, roots.chain(means.needed.iter().copied()));
    // Indexes first: what they name may have a tag of its own.
    refused.sort_by_key(|(step, _)| {
        let document = listing.tags.get(&step.tag).and_then(|says| listing.documents.get(says));
        !document.is_some_and(|document| document.is_index)
    });
    for (step, error) in refused {
        let says = listing.tags.get(&step.tag).filter(|says| !keep.contains(says));
        let deleted = match says {
            Some(says) => client.delete(&at.with_digest(*says)).await.is_ok(),
            None => !listing.tags.contains_key(&step.tag),
        };
        out.push(match deleted {
            true => (step, TagEnd::Deleted),
            false => {
                let message = format!("{error}; it did not exist before: delete it by hand");
                (step, TagEnd::Failed(Error { message, ..error }.into()))
            }
        });
    }
    out
}

/// Reads documents and what they name.
async fn read(
    client: &Client,
    at: &Reference,
    open: Vec<Digest>,
    listing: &mut Listing,
) -> Result<(), Error> {
    let mut missing = BTreeSet::new();
    let mut open: BTreeSet<Digest> = open.into_iter().collect();
    for _ in 0..DEEPEST {
        let is_new = |d: &Digest| !listing.documents.contains_key(d) && !missing.contains(d);
        let asked: Vec<Digest> = std::mem::take(&mut open).into_iter().filter(is_new).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let references = asked.iter().map(|digest| at.with_digest(*digest)).collect();
        for (digest, found) in asked.into_iter().zip(look(client, references).await) {
            match found? {
                Some((_, found)) => {
                    open.extend(found.members.iter().copied());
                    listing.documents.insert(digest, found);
                }
                None => drop(missing.insert(digest)),
            }
        }
    }
    Ok(())
}

/// Asks what refers to manifests.
async fn refer(
    client: &Client,
    at: &Reference,
    subjects: Vec<Digest>,
    listing: &mut Listing,
) -> Result<(), Error> {
    let ask = |digest: Digest| {
        let (client, reference) = (client.clone(), at.with_digest(digest));
        async move { client.referrers(&reference, None).await }
    };
    let found = all(subjects.iter().copied().map(ask)).await;
    let mut new = Vec::new();
    for (digest, index) in subjects.into_iter().zip(found) {
        let list: Vec<Digest> = index?.manifests.iter().map(|entry| entry.digest).collect();
        new.extend(&list);
        listing.referrers.insert(digest, list);
    }
    read(client, at, new, listing).await
}

/// Looks at tags and digests; none for what is not there.
async fn look(
    client: &Client,
    references: Vec<Reference>,
) -> Vec<Result<Option<(Digest, Found)>, Error>> {
    let one = |reference: Reference| {
        let client = client.clone();
        async move {
            let Some(found) = client.look(&reference).await? else { return Ok(None) };
            let found = match &found.document {
                Document::Manifest(_) => (found.digest, Found::default()),
                Document::Index(index) => {
                    let members = index.manifests.iter();
                    let members = members.filter(|member| is_document(&member.media_type));
                    let members = members.map(|member| member.digest).collect();
                    (found.digest, Found { members, is_index: true })
                }
            };
            Ok(Some(found))
        }
    };
    all(references.into_iter().map(one)).await
}

/// Deletes what a removal names, in its order, and says what became of each.
pub async fn remove(client: Client, removal: Removal) -> (Removal, Vec<Result<bool, Error>>) {
    let mut ends = Vec::with_capacity(removal.digests.len());
    let at = match reference(&removal.repository) {
        Ok(at) => at,
        Err(error) => return (removal, vec![Err(error)]),
    };
    for digest in &removal.digests {
        let end = client.delete(&at.with_digest(*digest)).await;
        let failed = end.is_err();
        ends.push(end);
        if failed {
            break;
        }
    }
    (removal, ends)
}
