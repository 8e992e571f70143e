//! `mabuild publish prune`.

use mabuild_engine::ops::RunRequest;
use mabuild_engine::ops::publish::{Pruned, prune};
use mabuild_engine::report::{self, schema, words};

use crate::args::{Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::publishing;
use crate::stop::{INTERRUPTED, Stop};

/// Arguments of `publish prune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Of all that was published from this store: what no tag reaches, and none of the newest N\ngenerations, with what refers to it. What is shown is deleted with --yes alone, or after a question\non a terminal. Layers go when the registry collects its garbage.\n\nExamples:\n  mabuild publish prune --keep 10\n  mabuild publish prune --keep 10 --yes"
)]
pub struct Args {
    /// Generations that can still be rolled back afterwards
    #[arg(long, value_name = "N")]
    keep: usize,
    /// Delete what is shown, without a question
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

/// Deletes what nothing needs.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        return context.terminal.out(schema::PRUNE);
    }
    let project = context.open(&args.project)?;
    let request = RunRequest { store: context.store()?, ..RunRequest::default() };
    let cancel = publishing::cancel(context)?;
    let is_json = args.format.format == Format::Json;
    let mut shown = Ok(());
    let mut agree = |pruned: &Pruned| {
        if !is_json {
            let style = context.terminal.out_style();
            shown = context.terminal.out(&report::prune_text(&removals(pruned), style));
        }
        let count = removals(pruned).iter().map(|(_, digests)| digests.len()).sum();
        let question = format!("delete {} from the registry?", words::count(count, "manifest"));
        args.yes || shown.is_ok() && publishing::ask(context, &question)
    };
    let done = prune(&context.env, &project, &request, args.keep, &mut agree, &cancel);
    let pruned = done.map_err(|e| context.failed(&e, None))?;
    shown?;
    let removals = removals(&pruned);
    let Pruned { deleted, failed, interrupted, .. } = &pruned;
    context.terminal.out(&match is_json {
        true => report::prune_json(&removals, *deleted, failed, *interrupted),
        false => headline(&removals, *deleted),
    })?;
    let faults =
        failed.iter().map(|(repository, failed)| (format!("{repository}: {failed}"), None));
    publishing::faults(context, "mabuild::publish::prune", faults.collect());
    match (interrupted, failed.is_empty()) {
        (true, _) => Err(Stop(INTERRUPTED)),
        (false, true) => Ok(()),
        (false, false) => publishing::code(failed.iter().map(|(_, f)| f.blames_registry)),
    }
}

fn removals(pruned: &Pruned) -> Vec<report::Removable<'_>> {
    pruned.removals.iter().map(|one| (one.repository.as_str(), one.digests.as_slice())).collect()
}

fn headline(removals: &[report::Removable<'_>], deleted: usize) -> String {
    let found: usize = removals.iter().map(|(_, digests)| digests.len()).sum();
    match (found, deleted) {
        (0, _) => "nothing to prune\n".to_owned(),
        (_, 0) => {
            let found = words::count(found, "manifest");
            format!("{found} can go; nothing was deleted: say so with --yes\n")
        }
        (_, deleted) => format!("deleted {}\n", words::count(deleted, "manifest")),
    }
}
