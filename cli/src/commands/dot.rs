//! `mabuild graph dot`.

use clap::ValueEnum;
use mabuild_engine::report::{self, By, View, ViewOptions};

use crate::args::{PlanArgs, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::Stop;

/// Arguments of `graph dot`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph dot | dot -Tsvg > graph.svg\n  mabuild graph dot --status --cluster | dot -Tpng > graph.png\n  mabuild graph dot web --by platform --platform linux/arm64"
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// One box an image, or one an image and platform
    #[arg(long, default_value = "image")]
    by: ByArg,
    /// Colour boxes by what a rebuild would do
    #[arg(long)]
    status: bool,
    /// Use no network for --status
    #[arg(long, requires = "status")]
    offline: bool,
    /// Draw a frame around each group
    #[arg(long)]
    cluster: bool,
    /// Leave out edges that follow from others
    #[arg(long)]
    reduce: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ByArg {
    Image,
    Platform,
}

/// Prints the graph as DOT.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = context.open(&args.project)?;
    let graph = &context.lowered(&project)?.graph;
    let selection = context.select(graph, &args.target.targets, &args.target.platform)?;
    let planning = match args.status {
        false => None,
        true => {
            let plan = PlanArgs { force: None, offline: args.offline };
            let request = planning::request(context, &args.target, &plan)?;
            Some(planning::plan(context, &project, &request)?)
        }
    };
    let view = View::of(
        graph,
        &ViewOptions {
            by: match args.by {
                ByArg::Image => By::Image,
                ByArg::Platform => By::Platform,
            },
            selection: Some(&selection),
            plan: planning.as_ref().map(|planning| &planning.plan),
            reduce: args.reduce,
        },
    );
    context.terminal.out(&report::dot(&view, args.cluster))
}
