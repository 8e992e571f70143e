//! `mabuild graph show`.

use clap::ValueEnum;
use mabuild_engine::report::{self, View, ViewOptions};

use crate::args::{ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `graph show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph show\n  mabuild graph show web --format mermaid\n  mabuild graph show --format json | jq '.images[].name'"
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "tree")]
    format: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Tree,
    Json,
    Mermaid,
}

/// Prints the graph.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = context.open(&args.project)?;
    let graph = &context.lowered(&project)?.graph;
    let selection = context.select(graph, &args.target.targets, &args.target.platform)?;
    let view =
        || View::of(graph, &ViewOptions { selection: Some(&selection), ..Default::default() });
    let text = match args.format {
        Form::Tree => report::tree(&view(), context.terminal.out_style()),
        Form::Mermaid => report::mermaid(&view()),
        Form::Json => report::graph_json(graph, &selection),
    };
    context.terminal.out(&text)
}
