//! What publishes did, as text and as JSON: the tags, what was sent, the generations.

mod json;

use std::fmt::Write;

use mabuild_oci::Digest;

pub use json::{
    PublishDocument, generations_json, prune_json, publish_document, publish_json, rollback_json,
};

use super::{Style, Tone, words};
use crate::publish::generation::{Generation, Progress, Step, Turn};
use crate::publish::{Image, Late, Outcome, Plan, Planned, Published, Seat, TagEnd};

/// A publish in lines: a tag that moved each, then a summary. With `verbose`, tags that stayed are
/// shown as well.
pub fn publish_text(published: &Published, verbose: bool, style: Style) -> String {
    let mut out = String::new();
    for resumed in &published.resumed {
        let word = match published.dry_run {
            true => "would finish",
            false => "finished",
        };
        let _ = writeln!(out, "{word} generation {}, which was left open", resumed.number);
        out.push_str(&steps_text(&resumed.tags, style));
    }
    for image in &published.images {
        let Outcome::Whole { plan, .. } = &image.outcome else { continue };
        let members = members(plan, style);
        for (tag, end) in image.outcome.tags() {
            if *end == TagEnd::Kept && !verbose {
                continue;
            }
            // The tag of one platform says no more than that.
            let own = plan.seats.iter().find(|seat| seat.descriptor.digest == tag.after);
            let own = own.map(|seat| member(seat, style));
            out.push_str(&tag_line(image, tag, end, own.as_deref().unwrap_or(&members), style));
        }
    }
    let _ = writeln!(out, "{}", headline(published, style));
    out
}

fn tag_line(image: &Image, tag: &Planned, end: &TagEnd, members: &str, style: Style) -> String {
    let name = format!("{}:{}", image.repository, tag.tag);
    let was = match (tag.before, end) {
        (_, TagEnd::Kept) => String::new(),
        (Some(before), _) => style.paint(Tone::Dim, &format!("  (was {})", short(&before))),
        (None, _) => style.paint(Tone::Dim, "  (new)"),
    };
    format!("{}  {}{was}  {members}\n", with_end(&name, end, style), short(&tag.after))
}

/// A tag with what became of it, where that is not what was wanted.
fn with_end(name: &str, end: &TagEnd, style: Style) -> String {
    let (tone, word) = match end {
        TagEnd::Kept => (Tone::Dim, ""),
        TagEnd::Moved | TagEnd::Planned => (Tone::Strong, ""),
        TagEnd::Deleted => (Tone::Strong, " deleted"),
        TagEnd::Foreign(_) => (Tone::Maybe, " left alone: somebody else has moved it"),
        TagEnd::Failed(_) => (Tone::Bad, " failed"),
        TagEnd::Untried => (Tone::Maybe, " not tried"),
    };
    format!("{}{}", style.paint(tone, name), style.paint(Tone::Maybe, word))
}

/// The platforms of an index, and those that are not in it.
fn members(plan: &Plan, style: Style) -> String {
    let mut out: Vec<String> = plan.seats.iter().map(|seat| member(seat, style)).collect();
    let missing = plan.missing.iter();
    out.extend(missing.map(|one| style.paint(Tone::Maybe, &format!("(without {})", one.platform))));
    out.join(" ")
}

fn member(seat: &Seat, style: Style) -> String {
    match &seat.late {
        None => seat.platform.to_string(),
        Some(late) => {
            let text = format!("{} ({})", seat.platform, carried(late));
            style.paint(Tone::Maybe, &text)
        }
    }
}

fn carried(late: &Late) -> String {
    let moment = words::moment(late.since);
    let day = moment.split(' ').next().unwrap_or_default();
    let overdue = if late.overdue { ", longer than `late` allows" } else { "" };
    format!("carried since {day}{overdue}")
}

fn headline(published: &Published, style: Style) -> String {
    let ends = || published.images.iter().flat_map(|image| image.outcome.tags());
    let count = |wanted: &dyn Fn(&TagEnd) -> bool| ends().filter(|(_, end)| wanted(end)).count();
    let kept = count(&|end| *end == TagEnd::Kept);
    if published.dry_run {
        let moving = words::count(count(&|end| *end == TagEnd::Planned), "tag");
        return format!("would publish: {moving} to move, {kept} kept");
    }
    let moved = count(&|end| *end == TagEnd::Moved);
    let is_whole = published.is_whole();
    let (tone, word) = match published {
        Published { interrupted: true, .. } => (Tone::Maybe, "interrupted"),
        _ if is_whole => (Tone::Good, "published"),
        _ => (Tone::Bad, "failed"),
    };
    let mut text =
        format!("{}: {} moved, {kept} kept", style.paint(tone, word), words::count(moved, "tag"));
    let not =
        published.images.iter().filter(|i| !matches!(i.outcome, Outcome::Whole { .. })).count();
    if not > 0 {
        let _ = write!(text, ", {} not published", words::count(not, "image"));
    }
    let sent = &published.pushed;
    if published.generation.is_some() || sent.manifests > 0 {
        let _ = write!(
            text,
            "; {}, {} sent, {} there already",
            words::count(usize::try_from(sent.uploaded).unwrap_or(usize::MAX), "blob"),
            words::bytes(sent.bytes),
            sent.present + sent.mounted,
        );
    }
    if let Some(number) = published.generation {
        let _ = write!(text, "; generation {number}");
    }
    text
}

/// Why images are not published, each with its name, its repository and what is wrong: the
/// message, and what to do.
pub fn publish_faults(published: &Published) -> Vec<(String, Option<String>)> {
    let mut out = Vec::new();
    for image in &published.images {
        let name = format!("{} is not published to {}", image.image, image.repository);
        match &image.outcome {
            Outcome::Blocked(blocked) => {
                let lines = blocked.iter().map(|one| format!("\n{}: {}", one.platform, one.why));
                let help = "tags stay as they are until the index is whole; `require` names the \
                            platforms that it needs, and `late carry` lets others wait";
                out.push((format!("{name}:{}", lines.collect::<String>()), Some(help.to_owned())));
            }
            Outcome::Failed(failed) => out.push((format!("{name}: {failed}"), None)),
            outcome @ Outcome::Whole { .. } => {
                for (tag, end) in outcome.tags() {
                    out.extend(fault(&format!("{}:{}", image.repository, tag.tag), end));
                }
            }
        }
    }
    let resumed = published.resumed.iter().flat_map(|resumed| &resumed.tags);
    let failed = resumed.filter(|(_, end)| end.failure().is_some());
    out.extend(failed.filter_map(|(step, end)| fault(&name_of(step), end)));
    out
}

/// What is wrong with the tags of a rollback.
pub fn rollback_faults(tags: &[(Step, TagEnd)]) -> Vec<(String, Option<String>)> {
    let again = "`mabuild publish rollback` once more goes on here";
    let of = |(step, end): &(Step, TagEnd)| {
        let (message, help) = fault(&name_of(step), end)?;
        Some((message, help.filter(|_| step.turn != Turn::Delete).map(|_| again.to_owned())))
    };
    tags.iter().filter_map(of).collect()
}

fn fault(name: &str, end: &TagEnd) -> Option<(String, Option<String>)> {
    match end {
        TagEnd::Failed(failed) => Some((
            format!("the tag {name} was not moved: {failed}"),
            Some(
                "the next `mabuild publish` goes on here, `mabuild publish rollback` goes back"
                    .into(),
            ),
        )),
        TagEnd::Foreign(found) => Some((
            format!(
                "the tag {name} was left alone: somebody else has moved it meanwhile, {}",
                found.map_or("and it is gone".to_owned(), |found| format!("to {found}"))
            ),
            None,
        )),
        _ => None,
    }
}

fn name_of(step: &Step) -> String {
    format!("{}:{}", step.repository, step.tag)
}

/// The tags of a rollback, or of a generation that goes on, a line each.
fn steps_text(tags: &[(Step, TagEnd)], style: Style) -> String {
    let mut out = String::new();
    for (step, end) in tags {
        let what = match step.turn {
            Turn::Stay => "  is so already".to_owned(),
            Turn::Set(digest) => format!("  {}", short(&digest)),
            Turn::Delete if *end == TagEnd::Planned => "  to be deleted".to_owned(),
            Turn::Delete | Turn::Foreign(_) => String::new(),
        };
        let _ = writeln!(out, "{}{what}", with_end(&name_of(step), end, style));
    }
    out
}

/// A rollback in lines: a tag each, then which generations it undoes.
pub fn rollback_text(
    numbers: &[i64],
    tags: &[(Step, TagEnd)],
    dry_run: bool,
    style: Style,
) -> String {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let noun = if numbers.len() == 1 { "generation" } else { "generations" };
    let is_whole = tags.iter().all(|(_, end)| end.is_settled());
    let (tone, word) = match (dry_run, is_whole) {
        (true, _) => (Tone::Maybe, "would roll back"),
        (false, true) => (Tone::Good, "rolled back"),
        (false, false) => (Tone::Bad, "not all rolled back:"),
    };
    let word = style.paint(tone, word);
    format!("{}{word} {noun} {}\n", steps_text(tags, style), list.join(", "))
}

/// Generations in lines, oldest first, each with its tags where that is wanted.
pub fn generations_text(generations: &[Generation], verbose: bool, style: Style) -> String {
    let mut out = String::new();
    for generation in generations {
        let Generation { number, opened, progress, moves, .. } = generation;
        let tone = match progress {
            Progress::Open => Tone::Maybe,
            Progress::Done => Tone::Good,
            Progress::Undone => Tone::Dim,
        };
        let pruned = match moves.iter().filter(|of| of.pruned).count() {
            0 => String::new(),
            pruned => format!(", {pruned} pruned"),
        };
        let _ = writeln!(
            out,
            "{number}  {}  {}  {}{pruned}",
            words::moment(*opened),
            style.paint(tone, word(*progress)),
            words::count(moves.len(), "tag"),
        );
        for of in moves.iter().filter(|_| verbose) {
            let before = of.before.map_or("(new)".to_owned(), |before| short(&before));
            let after = short(&of.after);
            let _ = writeln!(out, "    {}:{}  {before} → {after}", of.repository, of.tag);
        }
    }
    out
}

/// The word for how far a generation is.
fn word(progress: Progress) -> &'static str {
    match progress {
        Progress::Open => "open",
        Progress::Done => "done",
        Progress::Undone => "undone",
    }
}

/// What can be deleted from a repository: its `HOST/PATH`, and digests.
pub type Removable<'a> = (&'a str, &'a [Digest]);

/// What a prune would delete, a line each.
pub fn prune_text(removals: &[Removable<'_>], style: Style) -> String {
    let mut out = String::new();
    for (repository, digests) in removals {
        for digest in *digests {
            let _ = writeln!(out, "{repository}@{}", style.paint(Tone::Dim, &digest.to_string()));
        }
    }
    out
}

fn short(digest: &Digest) -> String {
    words::value(&digest.to_string())
}

#[cfg(test)]
mod tests;
