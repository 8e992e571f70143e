//! `mabuild check`.

use std::fmt::Write as _;

use mabuild_engine::graph::ThingKind;
use mabuild_engine::ops::Project;
use mabuild_engine::report::words::count;

use crate::args::{Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::stop::{Stop, USAGE};
use crate::term::diagnostics;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 no error, 2 errors.\n\nExamples:\n  mabuild check\n  mabuild check -f images/mabuild.kdl --format json"
)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Shows every diagnostic of the project.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = context.load(&args.project)?;
    let loaded = &project.loaded;
    match args.format.format {
        Format::Json => {
            let implicit = project.lowered.iter().flat_map(|lowered| lowered.implicit());
            diagnostics::json(&context.terminal, loaded, implicit)?;
        }
        Format::Text => {
            context.terminal.say(&diagnostics::render(&context.terminal, loaded, &project.main));
            if !loaded.has_errors() {
                context.terminal.say(&counted(context, &project)?);
            }
        }
    }
    match loaded.has_errors() {
        true => Err(Stop(USAGE)),
        false => Ok(()),
    }
}

/// What the files describe, in a line; behind it bases that nothing declares.
fn counted(context: &Context, project: &Project) -> Result<String, Stop> {
    let lowered = context.lowered(project)?;
    let number = |kind| {
        let things = lowered.graph.things().iter().filter(|thing| thing.kind == kind);
        let mut names: Vec<&str> = things
            .map(|thing| thing.variant.as_ref().map_or(&*thing.name, |variant| &*variant.family))
            .collect();
        let all = names.len();
        names.dedup();
        (names.len(), all)
    };
    let ((bases, _), (images, variants)) = (number(ThingKind::Base), number(ThingKind::Image));
    let main = diagnostics::short(&project.main);
    let mut text = format!("{main}: {}, {}", count(bases, "base"), count(images, "image"));
    if variants > images {
        let _ = write!(text, " in {}", count(variants, "variant"));
    }
    let end = if project.loaded.diagnostics.is_empty() { ", no mistakes\n" } else { "\n" };
    text.push_str(end);
    for (name, span) in lowered.implicit() {
        let place = project.loaded.sources.place(span);
        let _ =
            writeln!(text, "  {name} is taken from its registry; no `base` declares it ({place})");
    }
    Ok(text)
}
