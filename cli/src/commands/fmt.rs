//! `mabuild fmt`.

use std::path::PathBuf;

use mabuild_engine::ops;

use crate::args::ProjectArgs;
use crate::context::Context;
use crate::stop::{FAILED, Stop, USAGE};
use crate::term::diagnostics;

/// Arguments of `fmt`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Names the files that it changes on standard output.\n\nExit codes: 0 all is well, 1 a file would change (--check), 2 a file cannot be read.\n\nExamples:\n  mabuild fmt\n  mabuild fmt --check\n  mabuild fmt teams/web.kdl"
)]
pub struct Args {
    /// Files to format [default: the main file and all that it includes]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that would change
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    project: ProjectArgs,
}

/// Formats files.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let request = context.request(&args.project);
    let files = ops::format(&context.env, &request, args.check, &args.files)
        .map_err(|e| context.failed(&e, None))?;
    let mut broken = false;
    for file in &files {
        for diagnostic in &file.diagnostics {
            broken = true;
            let text = diagnostics::render_one(&context.terminal, diagnostic, &file.sources);
            context.terminal.say(&text);
        }
        if file.changed {
            context.terminal.out(&format!("{}\n", diagnostics::short(&file.path)))?;
        }
    }
    if broken {
        Err(Stop(USAGE))
    } else if args.check && files.iter().any(|file| file.changed) {
        Err(Stop(FAILED))
    } else {
        Ok(())
    }
}
