//! The journal of generations as machines share it: one JSON document, which whoever publishes
//! reads, changes and writes again.
//!
//! A generation is of a project where it moved a tag in a repository that the project publishes
//! to. So projects may share a journal, and a project is the same on every machine, wherever its
//! folder is.

use std::collections::{BTreeSet, HashSet};

use mabuild_oci::Digest;
use serde::{Deserialize, Serialize};

use super::generation::{Generation, Move, Progress};

/// The version of the document.
const VERSION: u32 = 1;
/// Most generations that are kept; open ones and the newest are kept always.
const MOST: usize = 500;
/// Most moves of all generations together.
const MOST_MOVES: usize = 20_000;
/// So many of the newest are kept, however much they moved.
const NEWEST: usize = 20;

/// What happens to the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A generation is opened with the tags that it will move.
    Open {
        /// In Unix seconds.
        now: i64,
        /// In the order in which they move.
        moves: Vec<Move>,
    },
    /// A generation is finished or undone.
    Close {
        /// Its number.
        number: i64,
        /// In Unix seconds.
        now: i64,
        /// How far it came.
        progress: Progress,
    },
    /// Repositories have contents no more.
    Pruned(Vec<(String, Digest)>),
}

/// The generations of all who share a journal, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Oldest first.
    pub generations: Vec<Generation>,
}

/// Why a journal cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not what this program writes.
    #[error("it cannot be read: {0}")]
    Garbled(String),
    /// It was written by a newer program.
    #[error("it has version {0}, and this program knows {VERSION}: use a newer mabuild")]
    Newer(u32),
}

impl Journal {
    /// Reads the document.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let garbled = |e: serde_json::Error| Unreadable::Garbled(e.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(garbled)?;
        if version != VERSION {
            return Err(Unreadable::Newer(version));
        }
        let Document { mut generations, .. } = serde_json::from_slice(bytes).map_err(garbled)?;
        generations.sort_by_key(|generation| generation.number);
        Ok(Self { generations })
    }

    /// Writes the document.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let generations = self.generations.clone();
        serde_json::to_vec(&Document { version: VERSION, generations })
    }

    /// The generations that moved a tag in one of some repositories, oldest first.
    pub fn of(&self, repositories: &BTreeSet<String>) -> Vec<Generation> {
        let touches = |generation: &&Generation| {
            generation.moves.iter().any(|of| repositories.contains(&of.repository))
        };
        self.generations.iter().filter(touches).cloned().collect()
    }

    /// Makes a change, and gives the number of the generation that it is about. What has happened
    /// already changes nothing.
    pub fn apply(&mut self, change: &Change) -> Option<i64> {
        match change {
            Change::Open { now, moves } => Some(self.open(*now, moves)),
            Change::Close { number, now, progress } => {
                let mut all = self.generations.iter_mut();
                let found = all.find(|generation| generation.number == *number)?;
                if found.progress != *progress {
                    found.progress = *progress;
                    found.closed = Some(*now);
                }
                Some(*number)
            }
            Change::Pruned(gone) => {
                let gone: HashSet<(&str, &Digest)> =
                    gone.iter().map(|(repository, digest)| (repository.as_str(), digest)).collect();
                for of in self.generations.iter_mut().flat_map(|generation| &mut generation.moves) {
                    of.pruned |= gone.contains(&(of.repository.as_str(), &of.after));
                }
                None
            }
        }
    }

    fn open(&mut self, now: i64, moves: &[Move]) -> i64 {
        let is_same = |known: &&Generation| {
            known.progress == Progress::Open && known.opened == now && known.moves == moves
        };
        if let Some(known) = self.generations.iter().find(is_same) {
            return known.number;
        }
        let last = self.generations.iter().map(|generation| generation.number).max();
        let number = last.unwrap_or(0).saturating_add(1);
        let moves = moves.to_vec();
        let progress = Progress::Open;
        self.generations.push(Generation { number, opened: now, closed: None, progress, moves });
        self.shorten();
        number
    }

    /// Forgets the oldest where there are too many.
    fn shorten(&mut self) {
        let (mut count, mut moves) = (0, 0);
        let mut newest = std::mem::take(&mut self.generations);
        newest.reverse();
        newest.retain(|generation| {
            count += 1;
            moves += generation.moves.len();
            generation.progress == Progress::Open
                || count <= NEWEST
                || count <= MOST && moves <= MOST_MOVES
        });
        newest.reverse();
        self.generations = newest;
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    generations: Vec<Generation>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::testing::digest;

    fn of(repository: &str, tag: &str, before: u8, after: u8) -> Move {
        Move {
            repository: repository.into(),
            tag: tag.into(),
            before: (before > 0).then(|| digest(before)),
            after: digest(after),
            wave: u32::from(after),
            pruned: false,
        }
    }

    fn open(now: i64, moves: &[Move]) -> Change {
        Change::Open { now, moves: moves.to_vec() }
    }

    #[test]
    fn document_of_version_1_is_read_and_written_as_it_was() {
        let bytes = include_bytes!("testdata/journal-1.json");
        let journal = Journal::read(bytes).unwrap();
        let [first, second] = journal.generations.as_slice() else { panic!("{journal:?}") };
        assert_eq!(
            (first.number, first.opened, first.closed),
            (7, 1_700_000_000, Some(1_700_000_060))
        );
        assert_eq!((first.progress, second.progress), (Progress::Done, Progress::Open));
        let mut moved = of("r.example/a", "1", 0, 1);
        moved.pruned = true;
        assert_eq!(first.moves, [moved, of("r.example/b", "latest", 2, 3)]);
        assert_eq!(
            String::from_utf8(journal.write().unwrap()).unwrap(),
            include_str!("testdata/journal-1.json").trim()
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let garbled =
            |text: &str| matches!(Journal::read(text.as_bytes()), Err(Unreadable::Garbled(_)));
        assert!(garbled("") && garbled("[]") && garbled("{\"version\":1}"));
        let newer = Journal::read(b"{\"version\":2,\"generations\":{}}").unwrap_err();
        assert_eq!(newer, Unreadable::Newer(2));
        assert!(newer.to_string().contains("use a newer mabuild"), "{newer}");
    }

    #[test]
    fn changes_that_were_made_change_nothing() {
        let mut journal = Journal::default();
        let first = open(1, &[of("r/a", "1", 0, 1)]);
        assert_eq!(journal.apply(&first), Some(1));
        assert_eq!(journal.apply(&first), Some(1));
        assert_eq!(journal.apply(&open(2, &[of("r/a", "1", 1, 2)])), Some(2));
        let close = Change::Close { number: 1, now: 5, progress: Progress::Done };
        journal.apply(&close);
        let gone = Change::Pruned(vec![("r/a".into(), digest(1)), ("r/b".into(), digest(2))]);
        journal.apply(&gone);
        let once = journal.clone();
        journal.apply(&Change::Close { number: 1, now: 9, progress: Progress::Done });
        journal.apply(&gone);
        assert_eq!(journal, once);
        assert_eq!(journal.generations[0].closed, Some(5));
        assert!(journal.generations[0].moves[0].pruned && !journal.generations[1].moves[0].pruned);
        assert_eq!(
            journal.apply(&Change::Close { number: 9, now: 9, progress: Progress::Done }),
            None
        );
        // What is done is not opened again.
        assert_eq!(journal.apply(&first), Some(3));
    }

    #[test]
    fn everybody_sees_what_moved_in_own_repositories() {
        let mut journal = Journal::default();
        journal.apply(&open(1, &[of("r/a", "1", 0, 1)]));
        journal.apply(&open(2, &[of("r/b", "1", 0, 1)]));
        journal.apply(&open(3, &[of("r/a", "1", 1, 2), of("r/c", "1", 0, 1)]));
        let seen = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            journal.of(&names).iter().map(|g| g.number).collect::<Vec<_>>()
        };
        assert_eq!(seen(&["r/a"]), [1, 3]);
        assert_eq!(seen(&["r/b", "r/d"]), [2]);
        assert!(seen(&[]).is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_and_numbers_go_on() {
        let mut journal = Journal::default();
        let close = |number| Change::Close { number, now: 0, progress: Progress::Done };
        journal.apply(&open(0, &[of("r/a", "open", 0, 1)]));
        for now in 1..=600 {
            let number = journal.apply(&open(now, &[of("r/a", "1", 0, 1)])).unwrap();
            journal.apply(&close(number));
        }
        let numbers: Vec<i64> = journal.generations.iter().map(|g| g.number).collect();
        assert_eq!((numbers.len(), numbers[0], numbers[1], numbers[500]), (501, 1, 102, 601));
        // Large ones are kept, and fewer of the others.
        let many: Vec<Move> = (0..3000).map(|n| of("r/a", &n.to_string(), 0, 1)).collect();
        for now in 601..=630 {
            let number = journal.apply(&open(now, &many)).unwrap();
            journal.apply(&close(number));
        }
        let numbers: Vec<i64> = journal.generations.iter().map(|g| g.number).collect();
        assert_eq!((numbers.len(), numbers[0], numbers[1]), (21, 1, 612));
    }
}
