//! Whether an index is whole: which platforms are in it, new or carried from the index before.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mabuild_lang::platform::Platform;
use mabuild_oci::{Descriptor, Digest, Index, media_type};

use super::{Format, LATE_ANNOTATION, Publication, platform_of};

/// A platform of an image as a run left it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The platform.
    pub platform: Platform,
    /// What became of it.
    pub state: State,
}

/// What became of a platform.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is up to date: its manifest, with its annotations, in the form of the publication.
    Ready(Box<Descriptor>),
    /// It is not.
    Late {
        /// Why, for people: `failed`, `not up to date`.
        why: String,
    },
}

/// What a tag says now.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The digest that it says; none where there is no such tag.
    pub digest: Option<Digest>,
    /// The index; none where the tag is none, or one of another form.
    pub index: Option<Arc<Index>>,
}

/// A platform in an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Seat {
    /// The platform.
    pub platform: Platform,
    /// Its manifest.
    pub descriptor: Descriptor,
    /// Set where the manifest is that of an index before.
    pub late: Option<Late>,
}

/// That a platform is older than its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// Since when, in Unix seconds.
    pub since: i64,
    /// Why, for people.
    pub why: String,
    /// Whether it is late for longer than the description allows, which only a platform that is
    /// not required may be.
    pub overdue: bool,
}

/// A platform that keeps an index from being published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The platform.
    pub platform: Platform,
    /// Why, for people.
    pub why: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// How the image is published.
    pub publication: &'a Publication,
    /// Its platforms.
    pub parts: &'a [Part],
    /// What its tags say now, in the order of the description.
    pub tags: &'a [Tagged],
    /// Since when platforms are late, where an index cannot say it.
    pub noted: &'a BTreeMap<Platform, i64>,
    /// Unix seconds.
    pub now: i64,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The index is whole.
    Whole {
        /// Its platforms, in the order of the description.
        seats: Vec<Seat>,
        /// Platforms that are not required, not up to date, and were never published.
        missing: Vec<Blocked>,
    },
    /// No tag may move.
    Blocked(Vec<Blocked>),
}

/// Decides which platforms are in an index.
///
/// A platform that is late keeps the manifest that the first of the tags with this platform has.
/// A required one may do so for as long as the description says, one that is not required for
/// ever: nobody sees an architecture vanish. The time runs from the first index that has a newer
/// manifest of another platform.
pub fn decide(of: &Situation<'_>) -> Decision {
    let (mut seats, mut missing, mut blocked) = (Vec::new(), Vec::new(), Vec::new());
    for part in of.parts {
        let platform = part.platform.clone();
        let why = match &part.state {
            State::Ready(descriptor) => {
                let descriptor = Descriptor::clone(descriptor);
                seats.push(Seat { platform, descriptor, late: None });
                continue;
            }
            State::Late { why } => why,
        };
        let is_required = of.publication.require.needs(&platform);
        match carried(of, &platform, why, is_required) {
            Ok(Some(seat)) => seats.push(seat),
            Ok(None) => missing.push(Blocked { platform, why: why.clone() }),
            Err(why) => blocked.push(Blocked { platform, why }),
        }
    }
    if !blocked.is_empty() {
        return Decision::Blocked(blocked);
    }
    match seats.is_empty() {
        true => Decision::Blocked(missing),
        false => Decision::Whole { seats, missing },
    }
}

/// The seat of a platform that is late. None where it may be missing; the error says why it may
/// not.
fn carried(
    of: &Situation<'_>,
    platform: &Platform,
    why: &str,
    is_required: bool,
) -> Result<Option<Seat>, String> {
    let limit = of.publication.carry;
    if is_required && limit.is_none() {
        return Err(why.to_owned());
    }
    let Some(before) = before(of, platform) else {
        return match is_required {
            true => Err(format!("{why}, and no tag has an earlier one that could be kept")),
            false => Ok(None),
        };
    };
    let since = since(before).or_else(|| of.noted.get(platform).copied()).unwrap_or(of.now);
    let age = u64::try_from(of.now.saturating_sub(since)).unwrap_or(0);
    let overdue = limit.is_some_and(|limit| age > limit);
    if is_required && overdue {
        let since = Timestamp::from_second(since).map_or_else(|_| "?".into(), |t| t.to_string());
        return Err(format!("{why}, and late since {since}, which is longer than `late` allows"));
    }
    let late = Late { since, why: why.to_owned(), overdue };
    Ok(Some(Seat { platform: platform.clone(), descriptor: before.clone(), late: Some(late) }))
}

/// The manifest that a platform has under the tags now, in the form of the publication.
fn before<'a>(of: &Situation<'a>, platform: &Platform) -> Option<&'a Descriptor> {
    let fits = |descriptor: &&Descriptor| {
        let is_form = match of.publication.format {
            Format::Oci => true,
            Format::Docker => descriptor.media_type == media_type::DOCKER_MANIFEST,
        };
        is_form
            && media_type::is_manifest(&descriptor.media_type)
            && platform_of(descriptor).as_ref() == Some(platform)
    };
    let indexes = of.tags.iter().filter_map(|tag| tag.index.as_deref());
    indexes.flat_map(|index| &index.manifests).find(fits)
}

/// Since when a manifest of an index is late, where it says so.
pub fn since(descriptor: &Descriptor) -> Option<i64> {
    let text = descriptor.annotations.get(LATE_ANNOTATION)?;
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::testing::{descriptor, platform, publication, tagged};
    use crate::publish::{About, Require, assemble};

    const DAY: i64 = 86_400;

    fn ready(on: &str, n: u8) -> Part {
        Part { platform: platform(on), state: State::Ready(descriptor(on, n).into()) }
    }

    fn failed(on: &str) -> Part {
        Part { platform: platform(on), state: State::Late { why: "failed".into() } }
    }

    fn with(publication: &Publication, parts: &[Part], tags: &[Tagged], now: i64) -> Decision {
        let noted = BTreeMap::new();
        decide(&Situation { publication, parts, tags, noted: &noted, now })
    }

    fn numbers(decision: &Decision) -> Vec<(u64, Option<i64>)> {
        let Decision::Whole { seats, .. } = decision else { panic!("{decision:?}") };
        let number = |seat: &Seat| (seat.descriptor.size, seat.late.as_ref().map(|l| l.since));
        seats.iter().map(number).collect()
    }

    fn publish(publication: &Publication, decision: &Decision) -> Vec<Tagged> {
        let Decision::Whole { seats, .. } = decision else { panic!("{decision:?}") };
        let made = assemble::index(publication, seats, &About::default()).unwrap();
        vec![tagged("1", &Index::from_bytes(&made.bytes).unwrap())]
    }

    fn blocks(decision: &Decision, word: &str) {
        let Decision::Blocked(list) = decision else { panic!("{decision:?}") };
        assert!(list.iter().any(|b| b.why.contains(word)), "{list:?}");
    }

    #[test]
    fn every_platform_is_required_unless_the_file_says_less() {
        let (amd, arm) = ("linux/amd64", "linux/arm64");
        let all = publication();
        assert_eq!(numbers(&with(&all, &[ready(amd, 1), ready(arm, 2)], &[], 0)).len(), 2);
        blocks(&with(&all, &[ready(amd, 1), failed(arm)], &[], 0), "failed");
        let some = Publication { require: Require::Only(vec![platform(amd)]), ..all };
        let decision = with(&some, &[ready(amd, 1), failed(arm)], &[], 0);
        let Decision::Whole { seats, missing } = decision else { panic!("{decision:?}") };
        assert_eq!((seats.len(), missing.len()), (1, 1));
        blocks(&with(&some, &[failed(amd), ready(arm, 1)], &[], 0), "failed");
        let none = Publication { require: Require::Only(vec![]), ..some };
        blocks(&with(&none, &[failed(amd), failed(arm)], &[], 0), "failed");
    }

    #[test]
    fn late_platform_is_carried_for_as_long_as_the_file_says() {
        let (amd, arm) = ("linux/amd64", "linux/arm64");
        let carry = Publication { carry: Some(7 * DAY as u64), ..publication() };
        blocks(&with(&carry, &[ready(amd, 1), failed(arm)], &[], 0), "no tag has");
        let first = with(&carry, &[ready(amd, 1), ready(arm, 2)], &[], 0);
        let tags = publish(&carry, &first);
        let start = 100 * DAY;
        let second = with(&carry, &[ready(amd, 3), failed(arm)], &tags, start);
        assert_eq!(numbers(&second), [(3, None), (2, Some(start))]);
        // The next index takes the beginning over from the one before.
        let tags = publish(&carry, &second);
        let third = with(&carry, &[ready(amd, 4), failed(arm)], &tags, start + 7 * DAY);
        assert_eq!(numbers(&third), [(4, None), (2, Some(start))]);
        let tags = publish(&carry, &third);
        let parts = [ready(amd, 5), failed(arm)];
        blocks(
            &with(&carry, &parts, &tags, start + 7 * DAY + 1),
            "late since 1970-04-11T00:00:00Z",
        );
        let caught_up = with(&carry, &[ready(amd, 5), ready(arm, 6)], &tags, start + 8 * DAY);
        assert_eq!(numbers(&caught_up), [(5, None), (6, None)]);
        let tags = publish(&carry, &caught_up);
        let again = with(&carry, &[ready(amd, 7), failed(arm)], &tags, start + 9 * DAY);
        assert_eq!(numbers(&again), [(7, None), (6, Some(start + 9 * DAY))], "a new beginning");
    }

    #[test]
    fn platform_that_is_not_required_never_vanishes() {
        let (amd, arm) = ("linux/amd64", "linux/arm64");
        let some = Publication { require: Require::Only(vec![platform(amd)]), ..publication() };
        let first = with(&some, &[ready(amd, 1), ready(arm, 2)], &[], 0);
        let tags = publish(&some, &first);
        let parts = [ready(amd, 3), failed(arm)];
        let second = with(&some, &parts, &tags, DAY);
        assert_eq!(numbers(&second), [(3, None), (2, Some(DAY))]);
        let tags = publish(&some, &second);
        let short = Publication { carry: Some(60), ..some };
        let Decision::Whole { seats, .. } = with(&short, &parts, &tags, 400 * DAY) else {
            panic!()
        };
        assert!(seats[1].late.as_ref().unwrap().overdue);
    }

    #[test]
    fn platform_that_the_file_dropped_is_dropped() {
        let (amd, arm) = ("linux/amd64", "linux/arm64");
        let all = publication();
        let tags = publish(&all, &with(&all, &[ready(amd, 1), ready(arm, 2)], &[], 0));
        assert_eq!(numbers(&with(&all, &[ready(amd, 1)], &tags, 0)), [(1, None)]);
    }

    #[test]
    fn spellings_of_a_platform_are_one_and_attestations_none() {
        let carry = Publication { carry: Some(60), ..publication() };
        let mut index =
            Index::new(vec![descriptor("linux/arm64", 2), descriptor("linux/arm64", 1)]);
        let other = |object: &mut Descriptor, os: &str, arch: &str, variant: Option<&str>| {
            let platform = object.platform.as_mut().unwrap();
            platform.os = os.into();
            platform.architecture = arch.into();
            platform.variant = variant.map(Into::into);
        };
        other(&mut index.manifests[0], "unknown", "unknown", None);
        other(&mut index.manifests[1], "linux", "arm64", Some("v8"));
        let tags = [tagged("1", &index)];
        let decision = with(&carry, &[failed("linux/arm64")], &tags, 5);
        assert_eq!(numbers(&decision), [(1, Some(5))]);
    }

    #[test]
    fn manifest_of_another_form_is_not_carried() {
        let docker = Publication { format: Format::Docker, carry: Some(60), ..publication() };
        let mut index = Index::new(vec![descriptor("linux/arm64", 2)]);
        let parts = [failed("linux/arm64")];
        blocks(&with(&docker, &parts, &[tagged("1", &index)], 0), "no tag has");
        index.manifests[0].media_type = media_type::DOCKER_MANIFEST.into();
        index.manifests[0].annotations.clear();
        let tags = [tagged("1", &index)];
        let noted = BTreeMap::from([(platform("linux/arm64"), 5)]);
        let of =
            Situation { publication: &docker, parts: &parts, tags: &tags, noted: &noted, now: 60 };
        assert_eq!(numbers(&decide(&of)), [(2, Some(5))], "since when it is late is remembered");
        blocks(&decide(&Situation { now: 66, ..of }), "longer than");
    }
}
