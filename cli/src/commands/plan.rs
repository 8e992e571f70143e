//! `mabuild graph plan`.

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use mabuild_engine::ops::{self, Project, RunRequest};
use mabuild_engine::report::{self, WhatIf, schema};

use crate::args::{PlanArgs, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::Stop;

/// Arguments of `graph plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph plan\n  mabuild graph plan web --platform linux/arm64\n  mabuild graph plan --exit-code || echo something is stale\n  mabuild graph plan --what-if debian           what a change of a node would reach, by past builds\n  mabuild graph plan --what-if conf/app.txt     what a change of a file would reach"
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Exit with 2 when something is to be built
    #[arg(long)]
    exit_code: bool,
    /// Show what a change of a node or a file would reach, in place of what is to be done now;
    /// `./` in front makes any name a file
    #[arg(
        long,
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["force", "exit_code"]
    )]
    what_if: Option<String>,
    /// How to report
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
}

/// Shows what a rebuild would do.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        let schema = if args.what_if.is_some() { schema::WHAT_IF } else { schema::PLAN };
        return context.terminal.out(schema);
    }
    let project = match args.what_if {
        // What a test does changes no image, and nothing is run.
        Some(_) => context.open_untested(&args.project)?,
        None => context.open_to_run(&args.project, args.plan.no_test)?,
    };
    let request = planning::request(context, &args.target, &args.plan)?;
    let json = args.format == Form::Json;
    match &args.what_if {
        Some(name) => what_if(context, &project, &request, name, json),
        None => planning::show(context, &project, &request, json, args.exit_code),
    }
}

fn what_if(
    context: &Context,
    project: &Project,
    request: &RunRequest,
    name: &str,
    json: bool,
) -> Result<(), Stop> {
    let graph = &context.lowered(project)?.graph;
    let what = ops::what_if(&context.env, project, request, name);
    let what = what.map_err(|e| context.failed(&e, Some(&project.loaded.sources)))?;
    let ops::What { is_file, blast, of, refused } = what;
    let asked = WhatIf { name: name.to_owned(), is_file, blast, of, refused };
    let text = match json {
        true => report::what_if_json(graph, &asked),
        false => report::what_if_text(graph, &asked, context.terminal.out_style()),
    };
    context.terminal.out(&text)
}
