//! `mabuild graph runs`.

use mabuild_engine::ops::{self, RunRow};
use mabuild_engine::report::{JSON_VERSION, schema, words};
use serde::Serialize;

use crate::args::{Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::stop::Stop;
use crate::term::table;

/// Arguments of `graph runs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The numbers are what `mabuild graph explain --between` takes. A project keeps its last\n100 runs, and up to 1000 of the last 90 days; `mabuild store gc` forgets the others.\n\nExamples:\n  mabuild graph runs\n  mabuild graph runs --all --limit 5 --format json"
)]
pub struct Args {
    /// Show the runs of every file that was built into the store
    #[arg(long)]
    all: bool,
    /// Show this many at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

/// The runs as JSON, version 1: [`schema::RUNS`].
#[derive(Serialize)]
struct Document {
    version: u32,
    runs: Vec<RunDocument>,
}

#[derive(Serialize)]
struct RunDocument {
    id: i64,
    file: String,
    started: i64,
    seconds: Option<f64>,
    outcome: &'static str,
    built: u64,
    kept: u64,
    failed: u64,
    skipped: u64,
    comparable: bool,
}

impl From<RunRow> for RunDocument {
    fn from(row: RunRow) -> Self {
        let RunRow { id, project, started, ended, seconds, exit, counts, detailed } = row;
        let outcome = match (ended, exit) {
            (None, _) => "unfinished",
            (Some(_), Some(0)) => "ok",
            (Some(_), Some(130)) => "interrupted",
            (Some(_), _) => "failed",
        };
        Self {
            id,
            file: project,
            started,
            seconds,
            outcome,
            built: counts.built,
            kept: counts.kept,
            failed: counts.failed,
            skipped: counts.skipped,
            comparable: detailed,
        }
    }
}

/// Lists the runs that are remembered.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        return context.terminal.out(schema::RUNS);
    }
    let project = match args.all {
        true => None,
        false => Some(context.open(&args.project)?),
    };
    let runs = ops::runs(&context.store()?, project.as_ref(), args.limit)
        .map_err(|e| context.failed(&e, None))?;
    let runs: Vec<RunDocument> = runs.into_iter().map(RunDocument::from).collect();
    if args.format.format == Format::Json {
        return context.terminal.json(&Document { version: JSON_VERSION, runs });
    }
    let line = |run: &RunDocument| {
        let took = run.seconds.map(|seconds| words::duration(words::seconds(seconds)));
        [
            run.id.to_string(),
            words::moment(run.started),
            took.unwrap_or_else(|| "?".to_owned()),
            run.outcome.to_owned(),
            run.built.to_string(),
            run.kept.to_string(),
            run.failed.to_string(),
            run.file.clone(),
        ]
    };
    let head = ["RUN", "STARTED (UTC)", "TOOK", "OUTCOME", "BUILT", "KEPT", "FAILED", "FILE"];
    let lines = runs.iter().map(line).collect();
    context.terminal.out(&table::table(head, lines, context.terminal.out_style()))
}

#[cfg(test)]
mod tests {
    use mabuild_engine::store::RunCounts;

    use super::*;

    #[test]
    fn every_end_has_a_word() {
        let row = |ended, exit| RunRow {
            id: 1,
            project: "/p/mabuild.kdl".to_owned(),
            started: 0,
            ended,
            seconds: None,
            exit,
            counts: RunCounts::default(),
            detailed: true,
        };
        for (ended, exit, outcome) in [
            (None, None, "unfinished"),
            (Some(1), Some(0), "ok"),
            (Some(1), Some(1), "failed"),
            (Some(1), Some(130), "interrupted"),
        ] {
            assert_eq!(RunDocument::from(row(ended, exit)).outcome, outcome);
        }
    }
}
