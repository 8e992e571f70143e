//! `mabuild publish rollback`.

use mabuild_engine::ops::RunRequest;
use mabuild_engine::ops::publish::{RolledBack, rollback};
use mabuild_engine::publish::TagEnd;
use mabuild_engine::report::{self, schema};

use crate::args::{Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::publishing;
use crate::stop::{INTERRUPTED, Stop};

/// Arguments of `publish rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A tag that did not exist before is deleted. A tag that somebody else has moved meanwhile is left\nalone and told.\n\nExamples:\n  mabuild publish rollback --dry-run     the newest generation\n  mabuild publish rollback 7             generation 7 and all newer ones"
)]
pub struct Args {
    /// The oldest generation that is undone; all newer ones are, too [default: the newest]
    generation: Option<i64>,
    /// Show which tags would move, and touch none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

/// Puts tags back.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        return context.terminal.out(schema::ROLLBACK);
    }
    let project = context.open(&args.project)?;
    let request = RunRequest { store: context.store()?, ..RunRequest::default() };
    let cancel = publishing::cancel(context)?;
    let number = args.generation;
    let done = rollback(&context.env, &project, &request, number, args.dry_run, &cancel);
    let RolledBack { numbers, tags, dry_run, interrupted } =
        done.map_err(|e| context.failed(&e, None))?;
    let style = context.terminal.out_style();
    context.terminal.out(&match args.format.format {
        Format::Json => report::rollback_json(&numbers, &tags, dry_run, interrupted),
        Format::Text => report::rollback_text(&numbers, &tags, dry_run, style),
    })?;
    publishing::faults(context, "mabuild::publish::rollback", report::rollback_faults(&tags));
    let failed: Vec<bool> =
        tags.iter().filter_map(|(_, end)| Some(end.failure()?.blames_registry)).collect();
    let is_foreign = tags.iter().any(|(_, end)| matches!(end, TagEnd::Foreign(_)));
    match (interrupted, failed.is_empty() && !is_foreign) {
        (true, _) => Err(Stop(INTERRUPTED)),
        (false, true) => Ok(()),
        (false, false) => publishing::code(failed),
    }
}
