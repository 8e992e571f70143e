//! `mabuild publish`.

use mabuild_engine::ops::RunRequest;
use mabuild_engine::ops::publish::PublishRequest;
use mabuild_engine::report::{self, schema};

use crate::args::{Format, FormatArgs, ProjectArgs, PublishCommand};
use crate::context::Context;
use crate::publishing;
use crate::stop::Stop;
use crate::term::progress::Form;

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Nothing is built: what is not up to date is told, and its tags stay as they are.\n\nExit codes: 0 every tag says what it should, 1 an image could not be published, 2 bad usage or a bad\nfile, 3 a registry could not be reached, 130 interrupted.\n\nExamples:\n  mabuild publish --dry-run\n  mabuild publish web\n  mabuild graph rebuild --publish     build first\n  mabuild publish rollback            put every tag back to what it said before"
)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<PublishCommand>,
    /// NAME, NAME[AXIS=VALUE], a group, or a glob [default: everything]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Show which tags would move, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave the lock as it is: what it lacks is an error
    #[arg(long)]
    locked: bool,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

#[cfg(test)]
impl Args {
    /// Which verb is meant.
    pub fn verb(&self) -> Option<&'static str> {
        self.command.as_ref().map(|command| match command {
            PublishCommand::Ls(_) => "ls",
            PublishCommand::Rollback(_) => "rollback",
            PublishCommand::Prune(_) => "prune",
        })
    }
}

/// Publishes what is up to date.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        return context.terminal.out(schema::PUBLISH);
    }
    let project = context.open(&args.project)?;
    let run = RunRequest {
        targets: args.targets.clone(),
        locked: args.locked,
        store: context.store()?,
        ..RunRequest::default()
    };
    let request = PublishRequest { run, dry_run: args.dry_run };
    let form = Form::brief(context.terminal.is_screen());
    let progress = publishing::progress(context, form);
    let cancel = match form {
        Form::Quiet => publishing::cancel(context)?,
        _ => publishing::cancel_with(context, progress.notice())?,
    };
    let published = publishing::run(context, &project, &request, None, progress, &cancel)?;
    let text = match args.format.format {
        Format::Json => report::publish_json(&published),
        Format::Text => {
            report::publish_text(&published, context.verbose, context.terminal.out_style())
        }
    };
    context.terminal.out(&text)?;
    publishing::ended(context, &published)
}
