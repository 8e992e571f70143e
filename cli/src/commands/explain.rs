//! `mabuild graph explain`.

use mabuild_engine::ops::{self, Project, RunName, RunRequest, RunRow};
use mabuild_engine::report::{self, Explaining, Run, schema};
use mabuild_lang::platform::Platform;

use crate::args::{Format, FormatArgs, PlanArgs, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::{self, Stop};

/// Arguments of `graph explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph explain web\n  mabuild graph explain web@linux/arm64 --format json\n  mabuild graph explain web --between last~1 last   what the last run changed in it\n  mabuild graph explain --between 12 15             all that differs between two runs"
)]
pub struct Args {
    /// NAME, NAME@PLATFORM, NAME[AXIS=VALUE], a group, or a glob
    #[arg(value_name = "TARGET", required_unless_present_any = ["between", "schema"])]
    targets: Vec<String>,
    /// Keep to these platforms; comma separated or given again
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// Compare two runs, in place of the last build with what would be built now: numbers of
    /// `mabuild graph runs`, `last`, `last~1`
    #[arg(long, value_names = ["RUN", "RUN"], num_args = 2)]
    between: Option<Vec<RunName>>,
    /// Use no network: upstreams are what the store remembers
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    format: FormatArgs,
    /// Print the JSON Schema of what `--format json` writes
    #[arg(long)]
    schema: bool,
}

/// Shows why targets are stale.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.schema {
        let schema = if args.between.is_some() { schema::BETWEEN } else { schema::EXPLAIN };
        return context.terminal.out(schema);
    }
    let project = context.open_untested(&args.project)?;
    let target = TargetArgs { targets: args.targets.clone(), platform: args.platform.clone() };
    let plan = PlanArgs { force: None, offline: args.offline, locked: false, no_test: true };
    let request = planning::request(context, &target, &plan)?;
    match args.between.as_deref() {
        Some([from, to]) => between(context, args, &project, &request, (*from, *to)),
        _ => explain(context, args, &project, &request),
    }
}

fn explain(
    context: &Context,
    args: &Args,
    project: &Project,
    request: &RunRequest,
) -> Result<(), Stop> {
    let (graph, sources) = (&context.lowered(project)?.graph, &project.loaded.sources);
    let explained = ops::explain(&context.env, project, request)
        .map_err(|e| context.failed(&e, Some(sources)))?;
    let ops::Explained { planning, own } = &explained;
    planning::warn(context, planning);
    let of = Explaining { graph, plan: &planning.plan, own, sources };
    let targets = &planning.selection.targets;
    let text = match args.format.format {
        Format::Json => report::explain_json(&of, targets),
        Format::Text => report::explain(&of, targets, context.terminal.out_style()),
    };
    context.terminal.out(&text)?;
    stop::of_plan(&planning.plan)
}

fn between(
    context: &Context,
    args: &Args,
    project: &Project,
    request: &RunRequest,
    names: (RunName, RunName),
) -> Result<(), Stop> {
    let compared = ops::between(project, request, names)
        .map_err(|e| context.failed(&e, Some(&project.loaded.sources)))?;
    let run = |row: &RunRow| Run { id: row.id, started: row.started };
    let (from, to) = (run(&compared.from), run(&compared.to));
    context.terminal.out(&match args.format.format {
        Format::Json => report::between_json(from, to, &compared.nodes),
        Format::Text => {
            report::between_text(from, to, &compared.nodes, context.terminal.out_style())
        }
    })
}
