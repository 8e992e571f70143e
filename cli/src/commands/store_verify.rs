//! `mabuild store verify`.

use mabuild_engine::ops::stores;
use mabuild_engine::report::{JSON_VERSION, words};
use serde::Serialize;

use crate::args::{Format, FormatArgs};
use crate::context::Context;
use crate::stop::{FAILED, Stop};

/// Arguments of `store verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is damaged is set aside; the next rebuild makes it again.\n\nExit codes: 0 all is whole, 1 something is damaged."
)]
pub struct Args {
    /// Also unpack layers and check images against each other; slower
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// What is damaged as JSON, version 1.
#[derive(Serialize)]
struct Document {
    version: u32,
    problems: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    /// A digest or a path.
    blob: String,
    message: String,
}

/// Checks every blob.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let problems =
        stores::verify(&context.store()?, args.deep).map_err(|e| context.failed(&e, None))?;
    let whole = problems.is_empty();
    if args.format.format == Format::Json {
        let problems = problems
            .into_iter()
            .map(|problem| Row { blob: problem.blob, message: problem.message })
            .collect();
        context.terminal.json(&Document { version: JSON_VERSION, problems })?;
    } else {
        let lines = problems.iter().map(|problem| {
            format!("{}: {}\n", words::one_line(&problem.blob), words::one_line(&problem.message))
        });
        context.terminal.out(&lines.collect::<String>())?;
        let text = match problems.len() {
            0 => "every blob has its digest".to_owned(),
            number => format!("{} damaged", words::count(number, "blob")),
        };
        context.terminal.say(&format!("{text}\n"));
    }
    match whole {
        true => Ok(()),
        false => Err(Stop(FAILED)),
    }
}
