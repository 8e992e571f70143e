//! `mabuild reference`.

use mabuild_engine::report;

use crate::args::{Format, FormatArgs};
use crate::context::Context;
use crate::stop::{Stop, USAGE};

/// Arguments of `reference`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild reference matrix\n  mabuild reference > language.md\n  mabuild reference --format json | jq '.nodes[].name'"
)]
pub struct Args {
    /// Name of a node [default: all, as Markdown]
    #[arg(value_name = "NODE", conflicts_with = "format")]
    node: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

/// Prints the reference of the language.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let text = match (&args.node, args.format.format) {
        (None, Format::Json) => report::reference_json(),
        (None, Format::Text) => report::reference_markdown(),
        (Some(node), _) => {
            let style = context.terminal.out_style();
            report::reference_node(node, style).map_err(|near| {
                let message = format!("there is no node `{node}`");
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`mabuild reference` shows all nodes".to_owned(),
                };
                context.terminal.error("mabuild::cli::reference", &message, Some(&help));
                Stop(USAGE)
            })?
        }
    };
    context.terminal.out(&text)
}
