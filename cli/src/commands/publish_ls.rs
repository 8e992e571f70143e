//! `mabuild publish ls`.

use mabuild_engine::ops::publish;
use mabuild_engine::report::{self, schema};

use crate::args::{Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `publish ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each publish that moves tags is a generation. They are listed oldest first; -v shows the tags.\n\nExamples:\n  mabuild publish ls -v\n  mabuild publish ls --format json"
)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

/// Lists the generations of a project.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        return context.terminal.out(schema::GENERATIONS);
    }
    let project = context.open(&args.project)?;
    let found =
        publish::generations(&context.store()?, &project).map_err(|e| context.failed(&e, None))?;
    if found.is_empty() {
        context.terminal.say("nothing was published from this store yet\n");
    }
    let style = context.terminal.out_style();
    context.terminal.out(&match args.format.format {
        Format::Json => report::generations_json(&found),
        Format::Text => report::generations_text(&found, context.verbose, style),
    })
}
