//! `mabuild init`.

use std::path::PathBuf;

use mabuild_engine::ops::{self, InitError, InitRequest};
use mabuild_lang::diag::Diagnostic;
use mabuild_lang::source::{SourceMap, Span};

use crate::context::Context;
use crate::stop::{Stop, USAGE};
use crate::term::diagnostics;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild init\n  mabuild init --from images/             one image for each Dockerfile, with edges among them\n  mabuild init --from docker-bake.hcl\n  mabuild init --from compose.yaml --stdout"
)]
pub struct Args {
    /// A folder with Dockerfiles, a bake file (.hcl, .json) or a compose file (.yaml)
    #[arg(long, value_name = "WHAT")]
    from: Option<PathBuf>,
    /// Where to write [default: mabuild.kdl in the folder that it describes]
    #[arg(short, long, value_name = "FILE", conflicts_with = "stdout")]
    output: Option<PathBuf>,
    /// Print it and write nothing
    #[arg(long)]
    stdout: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Writes a first description.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let request =
        InitRequest { from: args.from.clone(), output: args.output.clone(), force: args.force };
    let made =
        ops::init(&context.env, &request, !args.stdout).map_err(|error| failed(context, error))?;
    for note in &made.notes {
        context.terminal.say(&format!("note: {note}\n"));
    }
    if args.stdout {
        return context.terminal.out(&made.text);
    }
    let path = diagnostics::short(&made.path);
    context.terminal.say(&format!("{path} is written; `mabuild check` looks at it\n"));
    Ok(())
}

fn failed(context: &Context, error: InitError) -> Stop {
    let (text, errors) = match error {
        InitError::Op(error) => return context.failed(&error, None),
        InitError::Source { text, errors } => (text, errors),
    };
    for error in errors {
        let mut sources = SourceMap::default();
        let file = sources.add(&error.file, text.as_str().into());
        let mut diagnostic = Diagnostic::nowhere("mabuild::draft::source", &error.message);
        if let Some(span) = &error.span {
            let (start, end) = (span.start as u32, span.end as u32);
            diagnostic = diagnostic.and(Span { file, start, end }, "here");
        } else {
            diagnostic.message = format!("{}: {}", error.file, error.message);
        }
        if let Some(help) = &error.help {
            diagnostic = diagnostic.help(help.clone());
        }
        context.terminal.say(&diagnostics::render_one(&context.terminal, &diagnostic, &sources));
    }
    Stop(USAGE)
}
