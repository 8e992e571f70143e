//! `mabuild graph explain`.

use mabuild_engine::report;

use crate::args::{Format, FormatArgs, PlanArgs, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::{self, Stop};

/// Arguments of `graph explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph explain web\n  mabuild graph explain web@linux/arm64 --format json"
)]
pub struct Args {
    /// NAME, NAME@PLATFORM, a group, or a glob
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// Use no network: upstreams are what the store remembers
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Shows why targets are stale.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = context.open_untested(&args.project)?;
    let graph = &context.lowered(&project)?.graph;
    let sources = &project.loaded.sources;
    let target = TargetArgs { targets: args.targets.clone(), platform: Vec::new() };
    let plan = PlanArgs { force: None, offline: args.offline, no_test: true };
    let request = planning::request(context, &target, &plan)?;
    let planning = planning::plan(context, &project, &request)?;
    let targets = &planning.selection.targets;
    let text = match args.format.format {
        Format::Json => report::explain_json(graph, &planning.plan, sources, targets),
        Format::Text => {
            let style = context.terminal.out_style();
            report::explain(graph, &planning.plan, sources, targets, style)
        }
    };
    context.terminal.out(&text)?;
    stop::of_plan(&planning.plan)
}
