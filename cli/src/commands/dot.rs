//! `mabuild graph dot`.

use mabuild_engine::graph::{Graph, Selection};
use mabuild_engine::report::{self, View, ViewOptions};

use crate::args::{ByArg, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::Stop;

/// Arguments of `graph dot`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph dot | dot -Tsvg > graph.svg\n  mabuild graph dot --status --cluster | dot -Tpng > graph.png\n  mabuild graph dot web --by platform --platform linux/arm64\n  mabuild graph dot --rdeps-of minideb | dot -Tsvg > above-minideb.svg"
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// One box an image, or one an image and platform
    #[arg(long, default_value = "image")]
    by: ByArg,
    /// Draw this target and what it needs
    #[arg(long, value_name = "TARGET", conflicts_with = "targets")]
    deps_of: Vec<String>,
    /// Draw this target and what needs it
    #[arg(long, value_name = "TARGET", conflicts_with = "targets")]
    rdeps_of: Vec<String>,
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

/// Prints the graph as DOT.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = context.open_untested(&args.project)?;
    let graph = &context.lowered(&project)?.graph;
    let selection = selection(context, args, graph)?;
    let planning = match args.status {
        false => None,
        true => Some(planning::status(context, &project, &args.target, args.offline)?),
    };
    let view = View::of(
        graph,
        &ViewOptions {
            by: args.by.into(),
            selection: Some(&selection),
            plan: planning.as_ref().map(|planning| &planning.plan),
            reduce: args.reduce,
        },
    );
    context.terminal.out(&report::dot(&view, args.cluster))
}

/// What is drawn: targets with what they need, or the way up and down from some.
fn selection(context: &Context, args: &Args, graph: &Graph) -> Result<Selection, Stop> {
    let TargetArgs { targets, platform } = &args.target;
    if args.deps_of.is_empty() && args.rdeps_of.is_empty() {
        return context.select(graph, targets, platform);
    }
    let asked = |function: &str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| format!("{function}(\"{name}\")")).collect()
    };
    let mut parts = asked("deps", &args.deps_of);
    parts.extend(asked("rdeps", &args.rdeps_of));
    let found = context.queried(graph, &parts.join(" + "))?;
    let wanted = found.iter().filter(|node| {
        platform.is_empty() || graph.platform(*node).is_some_and(|p| platform.contains(p))
    });
    Ok(Selection::only(graph, wanted))
}
