//! What of a repository no tag and no kept generation reaches any more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mabuild_oci::Digest;

use super::generation::{Generation, Progress};

/// What was pushed into one repository, and what of it has to stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// What generations put under tags.
    pub pushed: BTreeSet<Digest>,
    /// What the kept generations put there, and what was there before them.
    pub kept: BTreeSet<Digest>,
}

/// What is in one repository, as far as it was looked at.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// What every tag says.
    pub tags: BTreeMap<String, Digest>,
    /// What each manifest and index names that is there.
    pub documents: HashMap<Digest, Found>,
    /// What refers to a manifest or index.
    pub referrers: HashMap<Digest, Vec<Digest>>,
}

/// A manifest or index that is in a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The manifests and indexes that it names.
    pub members: Vec<Digest>,
    /// Whether it is an index.
    pub is_index: bool,
}

/// Claims by repository. The newest `keep` generations are kept, and those that are not finished;
/// one that was undone is not needed to go back to.
pub fn claims(generations: &[Generation], keep: usize) -> BTreeMap<String, Claims> {
    let mut newest: Vec<&Generation> = generations.iter().collect();
    newest.sort_by_key(|generation| std::cmp::Reverse(generation.number));
    let mut out: BTreeMap<String, Claims> = BTreeMap::new();
    let mut done = 0;
    for generation in newest {
        let is_kept = match generation.progress {
            Progress::Open => true,
            Progress::Undone => false,
            Progress::Done => {
                done += 1;
                done <= keep
            }
        };
        for of in &generation.moves {
            let claims = out.entry(of.repository.clone()).or_default();
            if !of.pruned {
                claims.pushed.insert(of.after);
            }
            if is_kept {
                claims.kept.extend([Some(of.after), of.before].into_iter().flatten());
            }
        }
    }
    out
}

/// What can be deleted from a repository, in an order in which nothing that is left names
/// something that is gone and was not to go: what refers to something first, indexes last.
pub fn prune(claims: &Claims, listing: &Listing) -> Vec<Digest> {
    let candidates = closure(listing, claims.pushed.iter().copied());
    let (about, plain): (Vec<_>, Vec<_>) = listing
        .tags
        .iter()
        .map(|(tag, says)| (subject(tag), *says))
        .partition(|(s, _)| s.is_some());
    let roots = plain.into_iter().map(|(_, says)| says).chain(claims.kept.iter().copied());
    let mut keep = closure(listing, roots);
    // A tag that is the name of a manifest (`sha256-…`) tells what refers to that, and needs it no
    // longer than it is there.
    loop {
        let mut new = Vec::new();
        for (subject, says) in &about {
            let is_needed = subject.is_none_or(|s| keep.contains(&s) || !candidates.contains(&s));
            if is_needed && !keep.contains(says) {
                new.push(*says);
            }
        }
        if new.is_empty() {
            break;
        }
        keep.extend(closure(listing, new));
    }
    let mut gone: HashSet<Digest> = candidates.difference(&keep).copied().collect();
    let mut referring: Vec<Digest> = Vec::new();
    let mut open: Vec<Digest> = gone.iter().copied().collect();
    while let Some(subject) = open.pop() {
        let by_tag = about.iter().filter(|(s, _)| *s == Some(subject)).map(|(_, says)| *says);
        let listed = listing.referrers.get(&subject).into_iter().flatten().copied();
        for digest in closure(listing, by_tag.chain(listed)) {
            if !keep.contains(&digest) && gone.insert(digest) {
                referring.push(digest);
                open.push(digest);
            }
        }
    }
    in_order(gone, &referring, listing)
}

fn in_order(gone: HashSet<Digest>, referring: &[Digest], listing: &Listing) -> Vec<Digest> {
    let is_index = |digest: &Digest| listing.documents.get(digest).is_some_and(|d| d.is_index);
    let mut out: Vec<Digest> =
        gone.into_iter().filter(|digest| listing.documents.contains_key(digest)).collect();
    out.sort_by_cached_key(|digest| {
        let nesting = depth(listing, digest, 0);
        (!referring.contains(digest), is_index(digest), nesting, *digest)
    });
    out
}

/// How many indexes stand below one another.
fn depth(listing: &Listing, digest: &Digest, level: u32) -> u32 {
    let Some(found) = listing.documents.get(digest).filter(|_| level < 8) else { return 0 };
    found.members.iter().map(|member| depth(listing, member, level + 1) + 1).max().unwrap_or(0)
}

/// Digests with all that they name.
pub(super) fn closure(
    listing: &Listing,
    roots: impl IntoIterator<Item = Digest>,
) -> HashSet<Digest> {
    let mut out = HashSet::new();
    let mut open: Vec<Digest> = roots.into_iter().collect();
    while let Some(digest) = open.pop() {
        if out.insert(digest)
            && let Some(found) = listing.documents.get(&digest)
        {
            open.extend(&found.members);
        }
    }
    out
}

/// What a tag is about that is the name of a manifest: `sha256-HEX`, perhaps with an ending.
/// Formats: OCI distribution specification 1.1, "Referrers Tag Schema"; cosign's `.sig`, `.att`.
pub fn subject(tag: &str) -> Option<Digest> {
    let (algorithm, rest) = tag.split_once('-')?;
    let hex = rest.split('.').next()?;
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::generation::Move;
    use crate::publish::testing::digest;

    /// A repository of manifests 1 to 9 and of indexes with these members.
    fn listing(tags: &[(&str, u8)], indexes: &[(u8, &[u8])]) -> Listing {
        let tags = tags.iter().map(|(tag, n)| ((*tag).to_owned(), digest(*n))).collect();
        let mut documents: HashMap<Digest, Found> =
            (1..10).map(|n| (digest(n), Found::default())).collect();
        for (index, members) in indexes {
            let members = members.iter().map(|n| digest(*n)).collect();
            documents.insert(digest(*index), Found { members, is_index: true });
        }
        Listing { tags, documents, referrers: HashMap::new() }
    }

    fn claim(pushed: &[u8], kept: &[u8]) -> Claims {
        let set = |list: &[u8]| list.iter().map(|n| digest(*n)).collect();
        Claims { pushed: set(pushed), kept: set(kept) }
    }

    fn numbers(list: &[Digest]) -> Vec<u8> {
        list.iter().map(|d| (0..=255).find(|n| digest(*n) == *d).unwrap()).collect()
    }

    #[test]
    fn what_nothing_reaches_goes_members_before_their_index() {
        // 20 and 21 share manifest 2; 22 was never pushed here.
        let all = listing(&[("1", 21)], &[(20, &[1, 2]), (21, &[2, 3]), (22, &[4])]);
        let gone = prune(&claim(&[20, 21], &[]), &all);
        assert_eq!(numbers(&gone), [1, 20]);
        assert!(prune(&claim(&[20, 21], &[20]), &all).is_empty(), "a generation needs it");
        assert!(prune(&claim(&[], &[]), &all).is_empty(), "what others pushed is theirs");
    }

    #[test]
    fn manifest_that_an_index_of_somebody_else_names_stays() {
        let all = listing(&[("theirs", 30)], &[(20, &[1, 2]), (30, &[31]), (31, &[2])]);
        assert_eq!(numbers(&prune(&claim(&[20], &[]), &all)), [1, 20]);
    }

    #[test]
    fn tag_of_one_platform_keeps_that_alone() {
        let all = listing(&[("1-amd64", 1)], &[(20, &[1, 2])]);
        assert_eq!(numbers(&prune(&claim(&[20, 1], &[]), &all)), [2, 20]);
    }

    #[test]
    fn what_is_gone_already_is_passed_over() {
        let mut all = listing(&[], &[(20, &[1, 2])]);
        all.documents.remove(&digest(2));
        assert_eq!(numbers(&prune(&claim(&[20, 21], &[]), &all)), [1, 20]);
    }

    #[test]
    fn what_refers_to_it_goes_first() {
        let mut all = listing(&[], &[(20, &[1])]);
        // 5 refers to the index, 6 to that, 7 to something that stays.
        all.referrers.insert(digest(20), vec![digest(5)]);
        all.referrers.insert(digest(5), vec![digest(6)]);
        all.referrers.insert(digest(9), vec![digest(7)]);
        let gone = numbers(&prune(&claim(&[20], &[]), &all));
        let (mut first, rest) = (gone[..2].to_vec(), &gone[2..]);
        first.sort_unstable();
        assert_eq!((first, rest), (vec![5, 6], &[1, 20][..]));
        // The same where referrers are told by a tag.
        let name = format!("sha256-{}", digest(20).hex());
        let signature = format!("{name}.sig");
        let tags = [(name.as_str(), 25), (signature.as_str(), 6)];
        let all = listing(&tags, &[(20, &[1]), (25, &[5])]);
        let gone = numbers(&prune(&claim(&[20], &[]), &all));
        assert_eq!(gone.len(), 5, "{gone:?}");
        assert_eq!(gone[3..], [1, 20]);
        let kept = listing(&[("1", 20), tags[0], tags[1]], &[(20, &[1]), (25, &[5])]);
        assert!(
            prune(&claim(&[20, 25], &[]), &kept).is_empty(),
            "they go with what they are about"
        );
    }

    #[test]
    fn newest_generations_are_kept_with_what_was_before_them() {
        let generation = |number, progress, before: Option<u8>, after| Generation {
            number,
            opened: 0,
            closed: None,
            progress,
            moves: vec![Move {
                repository: "r/a".into(),
                tag: "1".into(),
                before: before.map(digest),
                after: digest(after),
                wave: 0,
                pruned: number == 1,
            }],
        };
        let all = [
            generation(1, Progress::Done, None, 1),
            generation(2, Progress::Done, Some(1), 2),
            generation(3, Progress::Done, Some(2), 3),
            generation(4, Progress::Undone, Some(3), 4),
            generation(5, Progress::Done, Some(3), 5),
        ];
        let of = |keep| claims(&all, keep).remove("r/a").unwrap();
        assert_eq!(of(1), claim(&[2, 3, 4, 5], &[3, 5]), "an undone one does not count");
        assert_eq!(of(2).kept, claim(&[], &[2, 3, 5]).kept);
        assert!(of(0).kept.is_empty());
        let open = [generation(6, Progress::Open, Some(5), 6)];
        let of = claims(&open, 0).remove("r/a").unwrap();
        assert_eq!(of.kept, claim(&[], &[5, 6]).kept, "one that is not finished needs both");
    }

    #[test]
    fn names_of_manifests_are_told_from_other_tags() {
        let name = format!("sha256-{}", digest(1).hex());
        assert_eq!(subject(&name), Some(digest(1)));
        assert_eq!(subject(&format!("{name}.sig")), Some(digest(1)));
        for tag in ["latest", "1-2", "sha256-12", "sha256-"] {
            assert_eq!(subject(tag), None, "{tag}");
        }
    }
}
