//! What a publish came to.

use std::sync::Arc;

use mabuild_oci::Digest;
pub use mabuild_registry::Pushed;

use super::generation::Step;
use super::{Blocked, Plan, Planned};

/// What a publish came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// Whether it was asked what would be done, and nothing was.
    pub dry_run: bool,
    /// Generations that an earlier run had left open.
    pub resumed: Vec<Resumed>,
    /// Each image in each of its repositories.
    pub images: Vec<Image>,
    /// What was sent.
    pub pushed: Pushed,
    /// Its number; none where no tag moved.
    pub generation: Option<i64>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

/// A generation that was left open and goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// Its number.
    pub number: i64,
    /// Its tags and what became of them.
    pub tags: Vec<(Step, TagEnd)>,
}

/// An image in one repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Name of the image in the file.
    pub image: Arc<str>,
    /// `HOST/PATH`.
    pub repository: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an image in one repository.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its index is whole.
    Whole {
        /// What was to be done.
        plan: Plan,
        /// What became of each tag of the plan, in its order.
        ends: Vec<TagEnd>,
    },
    /// Its index is not whole: no tag was touched.
    Blocked(Vec<Blocked>),
    /// The registry could not be read or written: no tag was touched.
    Failed(Failed),
}

impl Outcome {
    /// The tags with what became of them.
    pub fn tags(&self) -> impl Iterator<Item = (&Planned, &TagEnd)> {
        let (plan, ends) = match self {
            Self::Whole { plan, ends } => (plan.tags.as_slice(), ends.as_slice()),
            _ => (&[][..], &[][..]),
        };
        plan.iter().zip(ends)
    }

    /// Leaves the tags that are still to move.
    pub fn leave(&mut self) {
        let Self::Whole { ends, .. } = self else { return };
        let open = ends.iter_mut().filter(|end| **end == TagEnd::Planned);
        open.for_each(|end| *end = TagEnd::Untried);
    }
}

/// What became of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagEnd {
    /// It says what it should, and was left alone.
    Kept,
    /// It would move.
    Planned,
    /// It was written.
    Moved,
    /// It was deleted.
    Deleted,
    /// Somebody else has moved it meanwhile, to this; it was left alone.
    Foreign(Option<Digest>),
    /// It could not be written.
    Failed(Failed),
    /// It was not tried, because another one failed or the run was stopped.
    Untried,
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// What failed and what to do.
    pub message: String,
    /// Whether the registry is to blame, or the way to it.
    pub blames_registry: bool,
}

impl From<mabuild_registry::Error> for Failed {
    fn from(error: mabuild_registry::Error) -> Self {
        Self { blames_registry: error.blames_registry(), message: error.message }
    }
}

impl Published {
    /// Whether everything says what it should now, or would.
    pub fn is_whole(&self) -> bool {
        let is_good = |end: &TagEnd| {
            matches!(end, TagEnd::Kept | TagEnd::Planned | TagEnd::Moved | TagEnd::Deleted)
        };
        let is_whole = |image: &Image| match &image.outcome {
            Outcome::Whole { ends, .. } => ends.iter().all(is_good),
            Outcome::Blocked(_) | Outcome::Failed(_) => false,
        };
        // What somebody else has moved since is not of an older generation any more.
        let is_over = |(_, end): &(Step, TagEnd)| *end == TagEnd::Planned || end.is_settled();
        let resumed = self.resumed.iter().all(|resumed| resumed.tags.iter().all(is_over));
        !self.interrupted && resumed && self.images.iter().all(is_whole)
    }

    /// What failed on the way to registries.
    pub fn failures(&self) -> impl Iterator<Item = &Failed> {
        let resumed = self.resumed.iter().flat_map(|resumed| &resumed.tags);
        let resumed = resumed.filter_map(|(_, end)| end.failure());
        resumed.chain(self.images.iter().flat_map(|image| {
            let own = match &image.outcome {
                Outcome::Failed(failed) => Some(failed),
                _ => None,
            };
            own.into_iter().chain(image.outcome.tags().filter_map(|(_, end)| end.failure()))
        }))
    }
}

impl TagEnd {
    /// Whether nothing is left to do with the tag.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Kept | Self::Moved | Self::Deleted | Self::Foreign(_))
    }

    /// Why it failed, where it did.
    pub fn failure(&self) -> Option<&Failed> {
        match self {
            Self::Failed(failed) => Some(failed),
            _ => None,
        }
    }
}
