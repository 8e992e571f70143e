//! Generations: what one publish moved, and what has to move to finish it or to undo it.

use std::collections::BTreeMap;

use mabuild_oci::Digest;
use serde::{Deserialize, Serialize};

/// One tag that a publish moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// `HOST/PATH`.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it said; none where there was no such tag.
    pub before: Option<Digest>,
    /// What it is to say.
    pub after: Digest,
    /// Which moves come before it: those with a smaller number.
    pub wave: u32,
    /// Whether what it says was deleted from the registry since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pruned: bool,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Its tags are being moved, or were when the program was killed.
    Open,
    /// All its tags were moved.
    Done,
    /// Its tags were put back.
    Undone,
}

/// What one publish moved, over all repositories. In this form it stands in the journal that
/// machines share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number; never given twice in a journal.
    pub number: i64,
    /// When it was opened, in Unix seconds.
    pub opened: i64,
    /// When it was finished or undone.
    pub closed: Option<i64>,
    /// How far it is.
    pub progress: Progress,
    /// The tags, in the order in which they move.
    pub moves: Vec<Move>,
}

/// What has to be done with a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Nothing: it says what it should.
    Stay,
    /// It has to say this.
    Set(Digest),
    /// It has to go.
    Delete,
    /// Nothing: somebody else has moved it meanwhile, to this.
    Foreign(Option<Digest>),
}

/// A tag and what has to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `HOST/PATH`.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What has to be done.
    pub turn: Turn,
    /// Which steps come before it: those with a smaller number.
    pub wave: u32,
}

/// What tags say now, by repository and tag; none where there is no such tag.
pub type Current<'a> = &'a dyn Fn(&str, &str) -> Option<Digest>;

/// What has to be done so that a generation that was left open is whole.
pub fn finish(generation: &Generation, current: Current<'_>) -> Vec<Step> {
    let step = |of: &Move| {
        let now = current(&of.repository, &of.tag);
        let turn = match now {
            now if now == Some(of.after) => Turn::Stay,
            now if now == of.before => Turn::Set(of.after),
            other => Turn::Foreign(other),
        };
        Step { repository: of.repository.clone(), tag: of.tag.clone(), turn, wave: of.wave }
    };
    generation.moves.iter().map(step).collect()
}

/// The generations that are undone with one, newest first: it and all that are newer. Without a
/// number the newest; none where there is none, or where the named one cannot be undone.
pub fn undone_with(all: &[Generation], number: Option<i64>) -> Option<Vec<&Generation>> {
    let mut live: Vec<&Generation> =
        all.iter().filter(|generation| generation.progress != Progress::Undone).collect();
    live.sort_by_key(|generation| std::cmp::Reverse(generation.number));
    let last = match number {
        Some(number) => live.iter().position(|generation| generation.number == number)?,
        None => 0,
    };
    live.truncate(last + 1);
    (!live.is_empty()).then_some(live)
}

/// What has to be done so that tags say what they said before some generations, newest first.
/// Children go back before their parents.
pub fn undo(generations: &[&Generation], current: Current<'_>) -> Vec<Step> {
    /// What is known of one tag.
    struct Known {
        /// What it may say where nobody else has touched it.
        ours: Vec<Option<Digest>>,
        /// What it said before the oldest of the generations.
        before: Option<Digest>,
        wave: u32,
    }
    let mut tags: BTreeMap<(&str, &str), Known> = BTreeMap::new();
    for generation in generations {
        for of in &generation.moves {
            let known = tags.entry((&of.repository, &of.tag)).or_insert_with(|| {
                let wave = u32::MAX - of.wave;
                Known { ours: Vec::new(), before: None, wave }
            });
            // A killed run has moved some of its tags, and a killed rollback has put some back.
            known.ours.extend([Some(of.after), of.before]);
            known.before = of.before;
        }
    }
    let step = |((repository, tag), known): ((&str, &str), Known)| {
        let now = current(repository, tag);
        let turn = match (now, known.before) {
            (now, before) if now == before => Turn::Stay,
            (now, _) if !known.ours.contains(&now) => Turn::Foreign(now),
            (_, Some(before)) => Turn::Set(before),
            (_, None) => Turn::Delete,
        };
        let (repository, tag) = (repository.to_owned(), tag.to_owned());
        Step { repository, tag, turn, wave: known.wave }
    };
    tags.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::testing::digest;

    /// A generation of moves `tag: before → after`, where 0 is no tag.
    fn generation(number: i64, progress: Progress, moves: &[(&str, u8, u8)]) -> Generation {
        let of = |n: u8| (n > 0).then(|| digest(n));
        let moved = |(wave, (tag, before, after)): (usize, &(&str, u8, u8))| Move {
            repository: "r/a".into(),
            tag: (*tag).into(),
            before: of(*before),
            after: digest(*after),
            wave: wave as u32,
            pruned: false,
        };
        let moves = moves.iter().enumerate().map(moved).collect();
        Generation { number, opened: 0, closed: None, progress, moves }
    }

    fn turns(steps: &[Step]) -> Vec<(&str, Turn)> {
        steps.iter().map(|step| (step.tag.as_str(), step.turn.clone())).collect()
    }

    fn now<'a>(tags: &'a [(&'a str, u8)]) -> impl Fn(&str, &str) -> Option<Digest> + 'a {
        |_, tag| tags.iter().find(|(name, _)| *name == tag).map(|(_, n)| digest(*n))
    }

    #[test]
    fn killed_publish_is_finished_from_where_it_was() {
        let open = generation(1, Progress::Open, &[("a", 0, 1), ("b", 2, 3), ("c", 4, 5)]);
        let steps = finish(&open, &now(&[("a", 1), ("b", 2), ("c", 9)]));
        let foreign = Turn::Foreign(Some(digest(9)));
        assert_eq!(turns(&steps), [("a", Turn::Stay), ("b", Turn::Set(digest(3))), ("c", foreign)]);
    }

    #[test]
    fn tags_go_back_to_what_they_were_before_all_that_is_undone() {
        let all = [
            generation(1, Progress::Done, &[("a", 0, 1), ("b", 0, 2)]),
            generation(2, Progress::Done, &[("a", 1, 3), ("c", 0, 4)]),
            generation(3, Progress::Undone, &[("a", 3, 8)]),
            generation(4, Progress::Done, &[("a", 3, 5)]),
        ];
        let tags = [("a", 5), ("b", 2), ("c", 4)];
        let newest = undone_with(&all, None).unwrap();
        assert_eq!(turns(&undo(&newest, &now(&tags))), [("a", Turn::Set(digest(3)))]);
        let two = undone_with(&all, Some(2)).unwrap();
        assert_eq!(two.iter().map(|g| g.number).collect::<Vec<_>>(), [4, 2]);
        let steps = undo(&two, &now(&tags));
        assert_eq!(turns(&steps), [("a", Turn::Set(digest(1))), ("c", Turn::Delete)]);
        assert!(undone_with(&all, Some(3)).is_none(), "it was undone already");
        assert!(undone_with(&all, Some(7)).is_none());
        assert!(undone_with(&[], None).is_none());
    }

    #[test]
    fn tag_of_somebody_else_is_left_alone() {
        let one = generation(1, Progress::Done, &[("a", 1, 2), ("b", 3, 4), ("c", 5, 6)]);
        let steps = undo(&[&one], &now(&[("a", 9), ("c", 5)]));
        assert_eq!(
            turns(&steps),
            [("a", Turn::Foreign(Some(digest(9)))), ("b", Turn::Foreign(None)), ("c", Turn::Stay)],
            "one that is gone was deleted by somebody"
        );
        let mut waves: Vec<(u32, &str)> = steps.iter().map(|s| (s.wave, &*s.tag)).collect();
        waves.sort_unstable();
        assert_eq!(waves[0].1, "c", "children go back first");
    }

    #[test]
    fn open_generation_is_undone_whatever_it_had_moved() {
        let open = generation(1, Progress::Open, &[("a", 1, 2), ("b", 3, 4), ("c", 0, 5)]);
        let steps = undo(&[&open], &now(&[("a", 2), ("b", 3)]));
        assert_eq!(
            turns(&steps),
            [("a", Turn::Set(digest(1))), ("b", Turn::Stay), ("c", Turn::Stay)]
        );
    }

    #[test]
    fn killed_rollback_goes_on() {
        let all = [
            generation(1, Progress::Done, &[("a", 1, 2), ("b", 1, 2)]),
            generation(2, Progress::Done, &[("a", 2, 3), ("b", 2, 3)]),
        ];
        let both = undone_with(&all, Some(1)).unwrap();
        let steps = undo(&both, &now(&[("a", 1), ("b", 3)]));
        assert_eq!(turns(&steps), [("a", Turn::Stay), ("b", Turn::Set(digest(1)))]);
    }
}
