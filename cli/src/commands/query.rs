//! `mabuild graph query`.

use std::fmt::Write as _;

use mabuild_engine::graph::Graph;
use mabuild_engine::ops::{Project, RunRequest};
use mabuild_engine::plan::{Action, Plan};
use mabuild_engine::query::{self, NodeSet, World};
use mabuild_engine::report;
use mabuild_lang::platform::Platform;

use crate::args::{ByArg, Format, FormatArgs, ProjectArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::{self, Stop};
use crate::term::failures;

/// Arguments of `graph query`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct Args {
    /// What to ask, in quotes
    #[arg(value_name = "EXPR")]
    expression: String,
    #[command(flatten)]
    project: ProjectArgs,
    /// Keep to these platforms; comma separated or given again
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// One line an image, or one an image and platform
    #[arg(long, default_value = "image")]
    by: ByArg,
    /// Use no network for stale()
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: FormatArgs,
}

fn help() -> String {
    let mut help = "Functions:\n".to_owned();
    let width = query::FUNCTIONS.iter().map(|f| f.usage.len()).max().unwrap_or_default();
    for function in query::FUNCTIONS {
        let _ = writeln!(help, "  {:width$}  {}", function.usage, function.doc);
    }
    help.push_str(
        "\nWhat stale() finds and cannot be planned is told apart on standard error; the exit code is \
         then that of `mabuild graph plan`.\n\nX and Y are targets (NAME, NAME@PLATFORM, NAME[AXIS=VALUE], a group, a glob) or expressions. \
         A + B is either, A - B is A without B,\nA ^ B is both; ^ binds closest.\n\nExamples:\n  \
         mabuild graph query 'rdeps(minideb) - minideb'\n  \
         mabuild graph query 'stale() ^ platform(linux/arm64)' --by platform\n  \
         mabuild graph query 'somepath(app, minideb)'",
    );
    help
}

/// Prints the nodes that an expression means.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = context.open_untested(&args.project)?;
    let graph = &context.lowered(&project)?.graph;
    let expression = context.query(query::parse(&args.expression), &args.expression)?;
    let planning = match expression.needs_plan() {
        false => None,
        true => {
            let store = context.store()?;
            let request = RunRequest { offline: args.offline, store, ..RunRequest::default() };
            Some(planning::plan(context, &project, &request)?)
        }
    };
    let world = World { graph, plan: planning.as_ref().map(|planning| &planning.plan) };
    let found = query::evaluate(&expression, &world);
    let mut found: NodeSet = context.query(found, &args.expression)?;
    if !args.platform.is_empty() {
        found.retain(|node| graph.platform(node).is_some_and(|p| args.platform.contains(p)));
    }
    context.terminal.out(&match args.format.format {
        Format::Json => report::query_json(graph, &found),
        Format::Text => report::query_text(graph, &found, args.by.into()),
    })?;
    match &planning {
        Some(planning) => refused(context, &project, graph, &planning.plan, &found),
        None => Ok(()),
    }
}

/// Says of what was found and cannot be planned why that is so: not every stale node is one that
/// a rebuild would build.
fn refused(
    context: &Context,
    project: &Project,
    graph: &Graph,
    plan: &Plan,
    found: &NodeSet,
) -> Result<(), Stop> {
    let is_refused = |node| plan.get(node).is_some_and(|p| matches!(p.action, Action::Refused));
    if !found.iter().any(is_refused) {
        return Ok(());
    }
    let sources = &project.loaded.sources;
    context.terminal.say(&failures::refused(&context.terminal, graph, plan, sources));
    stop::of_plan(plan)
}
