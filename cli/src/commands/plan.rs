//! `mabuild graph plan`.

use clap::ValueEnum;

use crate::args::{PlanArgs, ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::Stop;

/// Arguments of `graph plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph plan\n  mabuild graph plan web --platform linux/arm64\n  mabuild graph plan --exit-code || echo something is stale"
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
    /// How to report
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
}

/// Shows what a rebuild would do.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = match args.plan.no_test {
        true => context.open_untested(&args.project)?,
        false => context.open(&args.project)?,
    };
    let request = planning::request(context, &args.target, &args.plan)?;
    planning::show(context, &project, &request, args.format == Form::Json, args.exit_code)
}
