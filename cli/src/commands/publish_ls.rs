//! `mabuild publish ls`.

use mabuild_engine::ops::{RunRequest, publish};
use mabuild_engine::report::{self, schema};

use crate::args::{Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `publish ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each publish that moves tags is a generation. They are listed oldest first; -v shows the tags.\nThey are written down in the store, or in the `remote-cache` of the file, where all machines see them.\n\nExamples:\n  mabuild publish ls -v\n  mabuild publish ls --format json"
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
    let request = RunRequest { store: context.store()?, ..RunRequest::default() };
    let found = publish::generations(&context.env, &project, &request);
    let found = found.map_err(|e| context.failed(&e, None))?;
    if found.is_empty() {
        context.terminal.say("nothing was published yet\n");
    }
    let style = context.terminal.out_style();
    context.terminal.out(&match args.format.format {
        Format::Json => report::generations_json(&found),
        Format::Text => report::generations_text(&found, context.verbose, style),
    })
}
