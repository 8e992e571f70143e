//! `mabuild graph show`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use mabuild_engine::graph::Graph;
use mabuild_engine::ops::{Planning, Project, drawing};
use mabuild_engine::report::{self, Details, HtmlOptions, Style, SvgOptions, View, ViewOptions};

use crate::args::{ProjectArgs, TargetArgs};
use crate::context::Context;
use crate::planning;
use crate::stop::{FAILED, Stop, USAGE};

/// Arguments of `graph show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild graph show\n  mabuild graph show web --format mermaid\n  mabuild graph show --format json | jq '.images[].name'\n  mabuild graph show --format html --status -o graph.html\n  mabuild graph show --format svg --cluster -o graph.svg"
)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "tree")]
    format: Form,
    /// Write to a file in place of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also show what a rebuild would do
    #[arg(long)]
    status: bool,
    /// Use no network for --status
    #[arg(long, requires = "status")]
    offline: bool,
    /// Draw a frame around each group, in pictures
    #[arg(long)]
    cluster: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Tree,
    Json,
    Mermaid,
    /// A picture
    Svg,
    /// One page to pan, zoom, search and click; needs no network
    Html,
}

/// Prints the graph.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    refuse_what_has_no_meaning(context, args)?;
    let project = context.open_untested(&args.project)?;
    let graph = &context.lowered(&project)?.graph;
    let selection = context.select(graph, &args.target.targets, &args.target.platform)?;
    let planning = match args.status {
        false => None,
        true => Some(planning::status(context, &project, &args.target, args.offline)?),
    };
    let view = || {
        let plan = planning.as_ref().map(|planning| &planning.plan);
        View::of(
            graph,
            &ViewOptions { selection: Some(&selection), plan, ..ViewOptions::default() },
        )
    };
    let (title, cluster) = (&title(&project), args.cluster);
    let style = match args.output {
        None => context.terminal.out_style(),
        Some(_) => Style::Plain,
    };
    let text = match args.format {
        Form::Tree => report::tree(&view(), style),
        Form::Mermaid => report::mermaid(&view()),
        Form::Json => report::graph_json(graph, &selection),
        Form::Svg => report::svg(&view(), &SvgOptions { title, cluster }),
        Form::Html => {
            let details = details(context, &project, graph, planning.as_ref())?;
            report::html(&view(), &HtmlOptions { title, cluster, details: &details })
        }
    };
    match &args.output {
        None => context.terminal.out(&text),
        Some(file) => write(context, file, &text),
    }
}

fn refuse_what_has_no_meaning(context: &Context, args: &Args) -> Result<(), Stop> {
    let (message, help) = match args.format {
        Form::Json if args.status => (
            "`--format json` has no place for --status",
            "`mabuild graph plan --format json` says what a rebuild would do",
        ),
        Form::Tree | Form::Json | Form::Mermaid if args.cluster => (
            "only pictures have frames around groups",
            "use --cluster with --format svg or html, or `mabuild graph dot --cluster`",
        ),
        _ => return Ok(()),
    };
    context.terminal.error("mabuild::cli::show", message, Some(help));
    Err(Stop(USAGE))
}

/// The name of the folder that the main file is in.
fn title(project: &Project) -> String {
    project.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What the page tells of each image: from the file, the store, and the plan when there is one.
fn details(
    context: &Context,
    project: &Project,
    graph: &Graph,
    planning: Option<&Planning>,
) -> Result<BTreeMap<String, Details>, Stop> {
    let known = drawing::known(project, &context.store()?).map_err(|e| context.failed(&e, None))?;
    let mut reasons = planning.map(|p| report::reasons(graph, &p.plan)).unwrap_or_default();
    let details = graph.things().iter().map(|thing| {
        let known = known.get(&*thing.name).cloned().unwrap_or_default();
        let details = Details {
            reason: reasons.remove(&*thing.name),
            size: known.size,
            last_built: known.last_built,
            took: known.took,
            tags: thing.tags.clone(),
        };
        (thing.name.to_string(), details)
    });
    Ok(details.collect())
}

fn write(context: &Context, file: &Path, text: &str) -> Result<(), Stop> {
    let path = context.env.cwd.join(file);
    std::fs::write(&path, text).map_err(|e| {
        let message = format!("the graph cannot be written to {}: {e}", path.display());
        let help = "name a file in a folder that exists and that you may write to";
        context.terminal.error("mabuild::cli::output", &message, Some(help));
        Stop(FAILED)
    })
}
