//! `mabuild check`.

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
        Format::Json => diagnostics::json(&context.terminal, loaded)?,
        Format::Text if loaded.diagnostics.is_empty() => {
            let config = &loaded.config;
            let (bases, images) = (config.bases.len(), config.images.len());
            let count = mabuild_engine::report::words::count;
            let main = diagnostics::short(&project.main);
            let text = format!("{main}: {}, {}", count(bases, "base"), count(images, "image"));
            context.terminal.say(&format!("{text}, no mistakes\n"));
        }
        Format::Text => {
            context.terminal.say(&diagnostics::render(&context.terminal, loaded, &project.main));
        }
    }
    match loaded.has_errors() {
        true => Err(Stop(USAGE)),
        false => Ok(()),
    }
}
