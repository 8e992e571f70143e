//! The JSON documents of publishing.

use mabuild_oci::Digest;
use serde::Serialize;

use super::super::{JSON_VERSION, words};
use super::{Removable, word};
use crate::publish::generation::{Generation, Step, Turn};
use crate::publish::{Blocked, Failed, Image, Outcome, Plan, Planned, Published, Seat, TagEnd};

/// A publish as JSON, version 1: [`super::super::schema::PUBLISH`].
#[derive(Serialize)]
pub struct PublishDocument<'a> {
    version: u32,
    generation: Option<i64>,
    dry_run: bool,
    interrupted: bool,
    pushed: PushedDocument,
    resumed: Vec<ResumedDocument<'a>>,
    images: Vec<ImageDocument<'a>>,
}

#[derive(Serialize)]
struct PushedDocument {
    blobs: u64,
    bytes: u64,
    mounted: u64,
    present: u64,
    manifests: u64,
}

#[derive(Serialize)]
struct ResumedDocument<'a> {
    generation: i64,
    tags: Vec<StepDocument<'a>>,
}

#[derive(Serialize)]
struct ImageDocument<'a> {
    image: &'a str,
    repository: &'a str,
    outcome: &'static str,
    platforms: Vec<SeatDocument<'a>>,
    missing: Vec<BlockedDocument<'a>>,
    blocked: Vec<BlockedDocument<'a>>,
    error: Option<&'a str>,
    tags: Vec<TagDocument<'a>>,
}

#[derive(Serialize)]
struct SeatDocument<'a> {
    platform: String,
    digest: String,
    late: Option<LateDocument<'a>>,
}

#[derive(Serialize)]
struct LateDocument<'a> {
    since: i64,
    why: &'a str,
    overdue: bool,
}

#[derive(Serialize)]
struct BlockedDocument<'a> {
    platform: String,
    why: &'a str,
}

#[derive(Serialize)]
struct TagDocument<'a> {
    tag: &'a str,
    end: &'static str,
    before: Option<String>,
    after: String,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    repository: &'a str,
    tag: &'a str,
    end: &'static str,
    to: Option<String>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct RollbackDocument<'a> {
    version: u32,
    generations: &'a [i64],
    dry_run: bool,
    interrupted: bool,
    tags: Vec<StepDocument<'a>>,
}

#[derive(Serialize)]
struct GenerationsDocument<'a> {
    version: u32,
    generations: Vec<GenerationDocument<'a>>,
}

#[derive(Serialize)]
struct GenerationDocument<'a> {
    number: i64,
    opened: i64,
    closed: Option<i64>,
    progress: &'static str,
    tags: Vec<MoveDocument<'a>>,
}

#[derive(Serialize)]
struct MoveDocument<'a> {
    repository: &'a str,
    tag: &'a str,
    before: Option<String>,
    after: String,
    pruned: bool,
}

#[derive(Serialize)]
struct PruneDocument<'a> {
    version: u32,
    deleted: usize,
    interrupted: bool,
    repositories: Vec<RemovalDocument<'a>>,
    failed: Vec<FailedDocument<'a>>,
}

#[derive(Serialize)]
struct RemovalDocument<'a> {
    repository: &'a str,
    digests: Vec<String>,
}

#[derive(Serialize)]
struct FailedDocument<'a> {
    repository: &'a str,
    error: &'a str,
}

/// A publish as JSON, version 1: [`super::super::schema::PUBLISH`].
pub fn publish_json(published: &Published) -> String {
    words::json(&publish_document(published))
}

/// The same, to be a part of another document.
pub fn publish_document(published: &Published) -> PublishDocument<'_> {
    let sent = &published.pushed;
    PublishDocument {
        version: JSON_VERSION,
        generation: published.generation,
        dry_run: published.dry_run,
        interrupted: published.interrupted,
        pushed: PushedDocument {
            blobs: sent.uploaded,
            bytes: sent.bytes,
            mounted: sent.mounted,
            present: sent.present,
            manifests: sent.manifests,
        },
        resumed: published
            .resumed
            .iter()
            .map(|one| ResumedDocument { generation: one.number, tags: steps(&one.tags) })
            .collect(),
        images: published.images.iter().map(image).collect(),
    }
}

/// A rollback as JSON, version 1: [`super::super::schema::ROLLBACK`].
pub fn rollback_json(
    generations: &[i64],
    tags: &[(Step, TagEnd)],
    dry_run: bool,
    interrupted: bool,
) -> String {
    let tags = steps(tags);
    words::json(&RollbackDocument {
        version: JSON_VERSION,
        generations,
        dry_run,
        interrupted,
        tags,
    })
}

/// Generations as JSON, version 1: [`super::super::schema::GENERATIONS`].
pub fn generations_json(generations: &[Generation]) -> String {
    let list = generations.iter().map(generation).collect();
    words::json(&GenerationsDocument { version: JSON_VERSION, generations: list })
}

fn generation(generation: &Generation) -> GenerationDocument<'_> {
    let tags = generation.moves.iter().map(|of| MoveDocument {
        repository: &of.repository,
        tag: &of.tag,
        before: text(of.before),
        after: of.after.to_string(),
        pruned: of.pruned,
    });
    GenerationDocument {
        number: generation.number,
        opened: generation.opened,
        closed: generation.closed,
        progress: word(generation.progress),
        tags: tags.collect(),
    }
}

/// A prune as JSON, version 1: [`super::super::schema::PRUNE`].
pub fn prune_json(
    removals: &[Removable<'_>],
    deleted: usize,
    failed: &[(String, Failed)],
    interrupted: bool,
) -> String {
    let repositories = removals.iter().map(|(repository, digests)| RemovalDocument {
        repository,
        digests: digests.iter().map(ToString::to_string).collect(),
    });
    let failed = failed
        .iter()
        .map(|(repository, failed)| FailedDocument { repository, error: &failed.message });
    words::json(&PruneDocument {
        version: JSON_VERSION,
        deleted,
        interrupted,
        repositories: repositories.collect(),
        failed: failed.collect(),
    })
}

fn image(image: &Image) -> ImageDocument<'_> {
    let out = ImageDocument {
        image: &image.image,
        repository: &image.repository,
        outcome: outcome(&image.outcome),
        platforms: Vec::new(),
        missing: Vec::new(),
        blocked: Vec::new(),
        error: None,
        tags: image.outcome.tags().map(tag).collect(),
    };
    match &image.outcome {
        Outcome::Blocked(list) => ImageDocument { blocked: blocked(list), ..out },
        Outcome::Failed(failed) => ImageDocument { error: Some(&failed.message), ..out },
        Outcome::Whole { plan: Plan { seats, missing, .. }, .. } => ImageDocument {
            platforms: seats.iter().map(seat).collect(),
            missing: blocked(missing),
            ..out
        },
    }
}

/// One word for what became of an image.
fn outcome(outcome: &Outcome) -> &'static str {
    let has = |wanted: &dyn Fn(&TagEnd) -> bool| outcome.tags().any(|(_, end)| wanted(end));
    match outcome {
        Outcome::Blocked(_) => "blocked",
        Outcome::Failed(_) => "failed",
        Outcome::Whole { .. } if has(&|end| end.failure().is_some()) => "failed",
        Outcome::Whole { .. } if has(&|end| matches!(end, TagEnd::Foreign(_))) => "foreign",
        Outcome::Whole { .. } if has(&|end| *end == TagEnd::Untried) => "untried",
        Outcome::Whole { .. } if has(&|end| *end == TagEnd::Planned) => "planned",
        Outcome::Whole { .. } if has(&|end| *end == TagEnd::Moved) => "published",
        Outcome::Whole { .. } => "kept",
    }
}

fn seat(seat: &Seat) -> SeatDocument<'_> {
    let late = seat.late.as_ref();
    SeatDocument {
        platform: seat.platform.to_string(),
        digest: seat.descriptor.digest.to_string(),
        late: late.map(|late| LateDocument {
            since: late.since,
            why: &late.why,
            overdue: late.overdue,
        }),
    }
}

fn blocked(list: &[Blocked]) -> Vec<BlockedDocument<'_>> {
    let mut out = Vec::with_capacity(list.len());
    for Blocked { platform, why } in list {
        out.push(BlockedDocument { platform: platform.to_string(), why });
    }
    out
}

fn tag<'a>((tag, end): (&'a Planned, &'a TagEnd)) -> TagDocument<'a> {
    TagDocument {
        tag: &tag.tag,
        end: end_word(end),
        before: text(tag.before),
        after: tag.after.to_string(),
        error: end.failure().map(|failed| failed.message.as_str()),
    }
}

fn steps(tags: &[(Step, TagEnd)]) -> Vec<StepDocument<'_>> {
    tags.iter().map(|(of, end)| step(of, end)).collect()
}

fn step<'a>(step: &'a Step, end: &'a TagEnd) -> StepDocument<'a> {
    StepDocument {
        repository: &step.repository,
        tag: &step.tag,
        end: end_word(end),
        to: match step.turn {
            Turn::Set(digest) => Some(digest.to_string()),
            _ => None,
        },
        error: end.failure().map(|failed| failed.message.as_str()),
    }
}

/// The word for what became of a tag; never changes.
fn end_word(end: &TagEnd) -> &'static str {
    match end {
        TagEnd::Kept => "kept",
        TagEnd::Planned => "planned",
        TagEnd::Moved => "moved",
        TagEnd::Deleted => "deleted",
        TagEnd::Foreign(_) => "foreign",
        TagEnd::Failed(_) => "failed",
        TagEnd::Untried => "untried",
    }
}

fn text(digest: Option<Digest>) -> Option<String> {
    digest.map(|digest| digest.to_string())
}
