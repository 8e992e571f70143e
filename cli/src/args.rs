//! Everything that can be typed. What an option means to the engine stands in `commands`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mabuild_engine::report::By;
use mabuild_lang::platform::Platform;

use crate::commands;

/// Keeps container images of many platforms up to date: one file describes them, one command
/// rebuilds what changed.
#[derive(Debug, Parser)]
#[command(name = "mabuild", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  mabuild check                          show every mistake of mabuild.kdl
  mabuild graph plan                     show what a rebuild would do, and why
  mabuild graph rebuild                  bring every image up to date on all platforms
  mabuild upstream check                 show what moved upstream, and what that makes stale
  mabuild publish                        push what is built, one tag for all architectures
  mabuild graph dot | dot -Tsvg > g.svg  draw the graph

Exit codes: 0 all is well, 1 a node failed, 2 bad usage or a bad file, 3 an upstream or a registry
could not be reached, 130 interrupted.";

#[derive(Debug, Args)]
pub struct Global {
    /// The main file [default: mabuild.kdl here or in a parent folder]
    #[arg(short, long, value_name = "FILE", global = true, help_heading = "Everywhere")]
    pub file: Option<PathBuf>,
    /// Folder of the store [default: $MABUILD_STORE, else mabuild in XDG's data folder]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Everywhere")]
    pub store: Option<PathBuf>,
    /// Also show what is up to date: nodes in plans and progress
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub verbose: bool,
    /// When to use colours; NO_COLOR is honoured
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        help_heading = "Everywhere"
    )]
    pub color: ColorChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first mabuild.kdl, fresh or out of Dockerfiles, a bake file or a compose file
    Init(commands::init::Args),
    /// Show every error and warning of the file
    Check(commands::check::Args),
    /// Bring files into the canonical layout; comments are kept
    Fmt(commands::fmt::Args),
    /// Plan, rebuild, explain and draw the graph of images
    #[command(subcommand)]
    Graph(GraphCommand),
    /// Ask upstreams what they serve now, and move the lock
    #[command(subcommand)]
    Upstream(UpstreamCommand),
    /// Build Dockerfiles, look at images of the store and of registries, and take them out
    #[command(subcommand)]
    Image(ImageCommand),
    /// Push what is up to date, and move tags
    Publish(commands::publish::Args),
    /// Copy an image between registries, layouts, archives and the store, all platforms at once
    Copy(commands::copy::Args),
    /// Look after the store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Serve editors: mistakes as you type, hover, completion, jumps, renaming, layout
    Lsp(commands::lsp::Args),
    /// Explain the nodes of mabuild.kdl: one, or all of them
    Reference(commands::reference::Args),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  mabuild completions bash > /etc/bash_completion.d/mabuild")]
    Completions(commands::completions::Args),
}

#[derive(Debug, Subcommand)]
pub enum GraphCommand {
    /// Bring targets up to date, all platforms in parallel
    Rebuild(commands::rebuild::Args),
    /// Show what a rebuild would do, and why; changes nothing
    Plan(commands::plan::Args),
    /// Show why a target is stale: what differs from its last build, and where it comes from
    Explain(commands::explain::Args),
    /// List the runs that are remembered, newest first
    Runs(commands::runs::Args),
    /// Write the graph in the DOT language of Graphviz
    Dot(commands::dot::Args),
    /// Show the graph as a tree, JSON, a Mermaid chart, a picture or a page to explore
    Show(commands::show::Args),
    /// Ask which nodes need which, are stale, or have a tag
    Query(commands::query::Args),
}

#[derive(Debug, Subcommand)]
pub enum UpstreamCommand {
    /// Show what moved against the lock, and which images that makes stale
    Check(commands::upstream_check::Args),
    /// The same, and write the lock
    Update(commands::upstream_update::Args),
}

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images of the store
    Ls(commands::image_ls::Args),
    /// Show index, manifests and configs of an image
    Inspect(commands::image_inspect::Args),
    /// Show what an image is put together from: manifests, configs and layers
    Tree(commands::image_tree::Args),
    /// Show what two images, or two platforms of one, differ in
    Diff(commands::image_diff::Args),
    /// List the files of an image
    Files(commands::image_files::Args),
    /// Build one Dockerfile without a description, as docker buildx build does
    Build(Box<commands::image_build::Args>),
    /// Run a program in an image, or at the point before a step that failed
    Run(commands::image_run::Args),
    /// Write an image to a folder or an archive
    Export(commands::image_export::Args),
    /// Hand images to a running Docker or Podman
    Load(commands::image_load::Args),
}

#[derive(Debug, Subcommand)]
pub enum PublishCommand {
    /// List the generations: what each publish moved
    Ls(commands::publish_ls::Args),
    /// Put every tag back to what it said before a publish
    Rollback(commands::publish_rollback::Args),
    /// Delete from registries what no tag and no kept generation needs
    Prune(commands::publish_prune::Args),
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Show what the store holds
    Du(commands::store_du::Args),
    /// Remove what nothing needs any more
    Gc(commands::store_gc::Args),
    /// Look whether every blob still has its digest
    Verify(commands::store_verify::Args),
}

/// Options of commands that read the file.
#[derive(Debug, Args)]
pub struct ProjectArgs {
    /// Give a `let` of the file another value
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

/// Targets of a command.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// NAME, NAME@PLATFORM, NAME[AXIS=VALUE], a group, or a glob [default: everything]
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Keep to these platforms; comma separated or given again
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = Platform::parse)]
    pub platform: Vec<Platform>,
}

/// Options of commands that plan.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Build these even when nothing changed [without TARGET: all that is asked for]
    #[arg(long, value_name = "TARGET", num_args = 0..)]
    pub force: Option<Vec<String>>,
    /// Use no network: upstreams are what the lock says and the store remembers
    #[arg(long)]
    pub offline: bool,
    /// Leave the lock as it is: what it lacks is an error
    #[arg(long)]
    pub locked: bool,
    /// Build images without their tests
    #[arg(long)]
    pub no_test: bool,
}

impl PlanArgs {
    /// The targets to force, given those that are asked for.
    pub fn forced(&self, targets: &[String]) -> Vec<String> {
        match self.force.as_deref() {
            None => Vec::new(),
            Some([]) if targets.is_empty() => vec!["*".to_owned()],
            Some([]) => targets.to_vec(),
            Some(named) => named.to_vec(),
        }
    }
}

/// Options of commands that read images, of the store or of registries.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Use no network: what the store lacks is an error
    #[arg(long)]
    pub offline: bool,
}

/// An image and perhaps one of its platforms, as `IMAGE[@PLATFORM]`; what stands behind the `@` of a
/// digest is no platform.
pub fn image_at(text: &str) -> (String, Option<Platform>) {
    let named = text.rsplit_once('@').filter(|(_, platform)| !platform.contains(':'));
    match named.and_then(|(name, platform)| Some((name, Platform::parse(platform).ok()?))) {
        Some((name, platform)) => (name.to_owned(), Some(platform)),
        None => (text.to_owned(), None),
    }
}

/// `--by` of commands that show images or nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ByArg {
    Image,
    Platform,
}

impl From<ByArg> for By {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Image => Self::Image,
            ByArg::Platform => Self::Platform,
        }
    }
}

/// `--format` of commands that report.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// How to report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// `--progress` of commands that build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressArg {
    Auto,
    Tty,
    Plain,
    Json,
}

/// Number of nodes worked on at once.
pub type Jobs = NonZeroUsize;

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    fn rebuild(words: &[&str]) -> commands::rebuild::Args {
        let all = ["mabuild", "graph", "rebuild"].iter().chain(words);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Graph(GraphCommand::Rebuild(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn force_means_what_is_asked_for_unless_it_names_something() {
        let forced = |words: &[&str]| {
            let args = rebuild(words);
            args.plan.forced(&args.target.targets)
        };
        assert!(forced(&["app"]).is_empty());
        assert_eq!(forced(&["--force"]), ["*"]);
        assert_eq!(forced(&["app", "--force"]), ["app"]);
        assert_eq!(forced(&["--force", "a", "b", "-k"]), ["a", "b"]);
    }

    #[test]
    fn platforms_are_listed_or_repeated_in_any_spelling() {
        let args = rebuild(&["--platform", "linux/amd64,aarch64", "--platform=arm"]);
        let names: Vec<String> = args.target.platform.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["linux/amd64", "linux/arm64", "linux/arm/v7"]);
    }

    #[test]
    fn publish_takes_targets_or_a_verb() {
        let parse = |words: &[&str]| {
            let all = ["mabuild", "publish"].iter().chain(words);
            match Cli::try_parse_from(all).map(|cli| cli.command) {
                Ok(Command::Publish(args)) => Ok(args.verb()),
                Ok(other) => panic!("{other:?}"),
                Err(e) => Err(e.kind()),
            }
        };
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["app", "--dry-run"]), Ok(None));
        assert_eq!(parse(&["ls"]), Ok(Some("ls")));
        assert_eq!(parse(&["rollback", "7"]), Ok(Some("rollback")));
        assert_eq!(parse(&["prune", "--keep", "3"]), Ok(Some("prune")));
        assert!(parse(&["prune"]).is_err(), "how many are kept has to be said");
        assert_eq!(parse(&["--dry-run", "ls"]), Ok(None), "a target of that name");
    }

    #[test]
    fn a_platform_is_told_from_a_digest() {
        let of = |text: &str| {
            let (image, platform) = image_at(text);
            (image, platform.map(|platform| platform.to_string()))
        };
        let arm = Some("linux/arm64".to_owned());
        assert_eq!(of("web"), ("web".to_owned(), None));
        assert_eq!(of("web:1@arm64"), ("web:1".to_owned(), arm.clone()));
        assert_eq!(of("host:5000/web@linux/arm64"), ("host:5000/web".to_owned(), arm.clone()));
        assert_eq!(of("sha256:00").1, None);
        assert_eq!(of("web@sha256:00"), ("web@sha256:00".to_owned(), None));
        assert_eq!(of("web@sha256:00@arm64"), ("web@sha256:00".to_owned(), arm));
    }

    #[test]
    fn bad_values_are_refused() {
        let bad = |words: &[&str]| Cli::try_parse_from([&["mabuild"], words].concat()).is_err();
        assert!(bad(&["check", "--set", "novalue"]));
        assert!(bad(&["graph", "rebuild", "-j", "0"]));
        assert!(bad(&["graph", "rebuild", "--platform", "a/b/c/d"]));
        assert!(bad(&["graph", "rebuild", "--report", "out.xml"]));
        assert!(bad(&["graph", "rebuild", "--dry-run", "--report", "json"]));
        assert!(bad(&["graph", "explain"]));
        assert!(bad(&["graph", "explain", "app", "--between", "1"]));
        assert!(bad(&["graph", "explain", "--between", "1", "newest"]));
        assert!(bad(&["graph", "plan", "--what-if", "a", "--exit-code"]));
        assert!(bad(&["graph", "plan", "--what-if", ""]));
    }
}
