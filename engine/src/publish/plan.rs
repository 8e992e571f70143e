//! What publishing one image in one repository would do.

use std::collections::BTreeMap;
use std::sync::Arc;

use mabuild_lang::platform::Platform;
use mabuild_oci::Digest;

use super::assemble::{self, About, Made};
use super::policy::{Blocked, Decision, Part, Seat, Situation, Tagged, decide};
use super::{Publication, arch_tag};

/// One image in one repository.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name of the image in the file.
    pub image: Arc<str>,
    /// `HOST/PATH`.
    pub repository: String,
    /// How many nodes stand above one another down to this image.
    pub level: u32,
    /// How it is published.
    pub publication: Arc<Publication>,
    /// Its platforms.
    pub parts: Arc<Vec<Part>>,
    /// Other repositories of the same host that may have its layers, the likeliest first.
    pub mounts: Vec<String>,
}

/// What publishing would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The platforms of the index.
    pub seats: Vec<Seat>,
    /// Platforms that are not in it and need not be.
    pub missing: Vec<Blocked>,
    /// The index, where the repository does not have it.
    pub made: Option<Made>,
    /// The tags, those of the index first.
    pub tags: Vec<Planned>,
}

/// What is to become of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The tag.
    pub tag: String,
    /// What it says now; none where there is no such tag.
    pub before: Option<Digest>,
    /// What it is to say.
    pub after: Digest,
}

impl Planned {
    /// Whether it is written.
    pub fn moves(&self) -> bool {
        self.before != Some(self.after)
    }
}

impl Target {
    /// The tags that have to be known, those of the index first.
    pub fn tags(&self) -> Vec<String> {
        let tags = &self.publication.tags;
        let own = self.arch_tags().map(|(tag, _)| tag);
        tags.iter().cloned().chain(own).collect()
    }

    /// The tags of single platforms.
    fn arch_tags(&self) -> impl Iterator<Item = (String, &Platform)> {
        let parts = self.parts.iter().filter(|_| self.publication.arch_tags);
        parts.flat_map(|part| {
            let platform = &part.platform;
            self.publication.tags.iter().map(move |tag| (arch_tag(tag, platform), platform))
        })
    }
}

/// Plans one target. `tags` says what [`Target::tags`] are now, `noted` since when platforms are
/// late where an index cannot say it, `now` is in Unix seconds.
///
/// A tag whose index says what it should stays as it is, and the others take that index over.
pub fn plan(
    target: &Target,
    tags: &[Tagged],
    noted: &BTreeMap<Platform, i64>,
    about: &About,
    now: i64,
) -> Result<Plan, Vec<Blocked>> {
    let publication = &*target.publication;
    let of_index = tags.get(..publication.tags.len()).unwrap_or(tags);
    let parts = &target.parts;
    let situation = Situation { publication, parts, tags: of_index, noted, now };
    let (seats, missing) = match decide(&situation) {
        Decision::Whole { seats, missing } => (seats, missing),
        Decision::Blocked(blocked) => return Err(blocked),
    };
    let says_it = |tag: &&Tagged| {
        let index = tag.index.as_ref();
        index.is_some_and(|index| assemble::same(publication, &seats, index))
    };
    let found = of_index.iter().find(says_it).and_then(|tag| tag.digest);
    let (made, digest) = match found {
        Some(digest) => (None, digest),
        None => {
            let made = assemble::index(publication, &seats, about).map_err(|why| {
                let blame =
                    |part: &Part| Blocked { platform: part.platform.clone(), why: why.clone() };
                target.parts.first().map(blame).into_iter().collect::<Vec<_>>()
            })?;
            let digest = made.digest;
            (Some(made), digest)
        }
    };
    let mut planned: Vec<Planned> = of_index
        .iter()
        .map(|tag| {
            let after = tag.digest.filter(|_| says_it(&tag)).unwrap_or(digest);
            Planned { tag: tag.tag.clone(), before: tag.digest, after }
        })
        .collect();
    for (name, platform) in target.arch_tags() {
        let seat = seats.iter().find(|seat| seat.platform == *platform);
        let known = tags.iter().find(|tag| tag.tag == name);
        if let (Some(seat), Some(known)) = (seat, known) {
            let after = seat.descriptor.digest;
            planned.push(Planned { tag: name, before: known.digest, after });
        }
    }
    Ok(Plan { seats, missing, made, tags: planned })
}

impl Plan {
    /// The manifests that the repository may lack: those that no index under its tags has.
    pub fn unknown<'a>(&'a self, tags: &'a [Tagged]) -> impl Iterator<Item = &'a Seat> {
        let is_known = |seat: &Seat| {
            let indexes = tags.iter().filter_map(|tag| tag.index.as_deref());
            let mut members = indexes.flat_map(|index| &index.manifests);
            members.any(|known| known.digest == seat.descriptor.digest)
        };
        self.seats.iter().filter(move |seat| !is_known(seat))
    }
}

#[cfg(test)]
mod tests {
    use mabuild_oci::Index;

    use super::*;
    use crate::publish::State;
    use crate::publish::testing::{descriptor, digest, platform, publication, tagged};

    fn target(publication: Publication, members: &[(&str, u8)]) -> Target {
        let part = |(on, n): &(&str, u8)| {
            let state = match n {
                0 => State::Late { why: "failed".into() },
                _ => State::Ready(descriptor(on, *n).into()),
            };
            Part { platform: platform(on), state }
        };
        Target {
            image: "a".into(),
            repository: "r.example/a".into(),
            level: 0,
            publication: Arc::new(publication),
            parts: Arc::new(members.iter().map(part).collect()),
            mounts: Vec::new(),
        }
    }

    fn nothing(target: &Target) -> Vec<Tagged> {
        let none = |tag| Tagged { tag, digest: None, index: None };
        target.tags().into_iter().map(none).collect()
    }

    fn planned(target: &Target, tags: &[Tagged], revision: &str) -> Plan {
        let about = About { source: None, revision: Some(revision.to_owned()) };
        plan(target, tags, &BTreeMap::new(), &about, 0).unwrap()
    }

    /// What the tags say once a plan is carried out.
    fn carried_out(plan: &Plan, tags: &[Tagged]) -> Vec<Tagged> {
        let made = plan.made.as_ref();
        let index = made.map(|made| Arc::new(Index::from_bytes(&made.bytes).unwrap()));
        let after = |(tag, old): (&Planned, &Tagged)| Tagged {
            tag: tag.tag.clone(),
            digest: Some(tag.after),
            index: match made.is_some_and(|made| made.digest == tag.after) {
                true => index.clone(),
                false => old.index.clone(),
            },
        };
        plan.tags.iter().zip(tags).map(after).collect()
    }

    const TWO: [(&str, u8); 2] = [("linux/amd64", 1), ("linux/arm/v7", 2)];

    #[test]
    fn second_publish_moves_nothing_whatever_the_commit() {
        let two_tags = Publication { tags: vec!["1".into(), "latest".into()], ..publication() };
        let target = target(Publication { arch_tags: true, ..two_tags }, &TWO);
        let tags = nothing(&target);
        let first = planned(&target, &tags, "one");
        let names: Vec<&str> = first.tags.iter().map(|tag| tag.tag.as_str()).collect();
        let own = ["1-amd64", "latest-amd64", "1-armv7", "latest-armv7"];
        assert_eq!(names, [&["1", "latest"], &own[..]].concat());
        assert!(first.tags.iter().all(Planned::moves));
        assert_eq!(first.tags[2].after, digest(1));
        assert_eq!(first.unknown(&tags).count(), 2);
        let tags = carried_out(&first, &tags);
        let second = planned(&target, &tags, "two");
        assert!(second.made.is_none() && !second.tags.iter().any(Planned::moves));
        assert_eq!(second.unknown(&tags).count(), 0);
    }

    #[test]
    fn new_tag_takes_the_index_of_the_others_over() {
        let target =
            target(Publication { tags: vec!["1".into(), "2".into()], ..publication() }, &TWO);
        let mut tags = nothing(&target);
        tags = carried_out(&planned(&target, &tags, "one"), &tags);
        let digest = tags[0].digest;
        tags[1] = Tagged { tag: "2".into(), digest: None, index: None };
        let plan = planned(&target, &tags, "two");
        assert!(plan.made.is_none() && !plan.tags[0].moves() && plan.tags[1].moves());
        assert_eq!(Some(plan.tags[1].after), digest);
    }

    #[test]
    fn tag_that_says_something_else_is_moved() {
        let target = target(publication(), &TWO);
        let tags = [tagged("1", &Index::new(vec![descriptor("linux/amd64", 9)]))];
        let plan = planned(&target, &tags, "one");
        assert_eq!(plan.tags[0].before, tags[0].digest);
        assert!(plan.tags[0].moves());
        assert_eq!(plan.unknown(&tags).count(), 2);
    }

    #[test]
    fn what_is_blocked_says_which_platform() {
        let target = target(publication(), &[("linux/amd64", 1), ("linux/arm64", 0)]);
        let tags = nothing(&target);
        let blocked = plan(&target, &tags, &BTreeMap::new(), &About::default(), 0).unwrap_err();
        assert_eq!(blocked.len(), 1);
        assert_eq!(blocked[0].platform, platform("linux/arm64"));
    }
}
