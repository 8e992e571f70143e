//! Asking upstreams, for the commands that do.

use clap::ValueEnum;
use mabuild_engine::ops::{self, Project, RunRequest, Upstreams, Whose};
use mabuild_engine::report::{self, News};

use crate::args::{ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::stop::{FAILED, Stop, UPSTREAM};

/// What upstreams are asked, and how it is told.
#[derive(Debug, clap::Args)]
pub struct UpstreamArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// How to report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Form,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    /// Markdown, for a pull request
    Md,
}

/// Asks upstreams and tells what moved; gives the answer for the exit code. None where only a
/// schema was asked for.
pub fn run(context: &Context, args: &UpstreamArgs, write: bool) -> Result<Option<Upstreams>, Stop> {
    if args.schema {
        context.terminal.out(report::schema::UPSTREAM)?;
        return Ok(None);
    }
    let project = context.open_untested(&args.project)?;
    let request = RunRequest {
        targets: args.target.targets.clone(),
        platforms: args.target.platform.clone(),
        store: context.store()?,
        ..RunRequest::default()
    };
    let found = ask(context, &project, &request, Whose::Named, write)?;
    let news = news(&found);
    let text = match args.format {
        Form::Text => report::news_text(&news, context.verbose, context.terminal.out_style()),
        Form::Json => report::news_json(&news),
        Form::Md => report::news_markdown(&news),
    };
    context.terminal.out(&text)?;
    Ok(Some(found))
}

/// Asks upstreams; an error is shown with its place in the file.
pub fn ask(
    context: &Context,
    project: &Project,
    request: &RunRequest,
    whose: Whose,
    write: bool,
) -> Result<Upstreams, Stop> {
    ops::upstream(&context.env, project, request, whose, write)
        .map_err(|e| context.failed(&e, Some(&project.loaded.sources)))
}

/// What was found, for a report.
pub fn news(found: &Upstreams) -> News<'_> {
    let Upstreams { lock, moved, waiting, failed, stale, asked, written, limits } = found;
    let waiting = waiting.iter().map(|w| (&*w.node, &*w.why, w.platforms.as_slice())).collect();
    News {
        lock: lock.display().to_string(),
        moved,
        waiting,
        failed,
        stale,
        asked: *asked,
        written: *written,
        limits,
    }
}

/// Ends with 3 where an upstream could not be asked, for commands that went on without it.
pub fn failed(found: &Upstreams) -> Result<(), Stop> {
    match found.failed.is_empty() {
        true => Ok(()),
        false => Err(Stop(UPSTREAM)),
    }
}

/// The exit code of `upstream check`.
pub fn checked(found: &Upstreams) -> Result<(), Stop> {
    match (found.failed.is_empty(), found.moved.is_empty()) {
        (false, _) => Err(Stop(FAILED)),
        (true, false) => Err(Stop(crate::stop::USAGE)),
        (true, true) => Ok(()),
    }
}
