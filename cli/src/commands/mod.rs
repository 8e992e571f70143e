//! One thin file a verb: arguments to a request, the result to the terminal.

pub mod check;
pub mod completions;
pub mod copy;
pub mod dot;
pub mod explain;
pub mod fmt;
pub mod image_build;
pub mod image_diff;
pub mod image_export;
pub mod image_files;
pub mod image_inspect;
pub mod image_load;
pub mod image_ls;
pub mod image_run;
pub mod image_tree;
pub mod init;
pub mod lsp;
pub mod plan;
pub mod publish;
pub mod publish_ls;
pub mod publish_prune;
pub mod publish_rollback;
pub mod query;
pub mod rebuild;
pub mod reference;
pub mod runs;
pub mod show;
pub mod store_du;
pub mod store_gc;
pub mod store_verify;
pub mod upstream_check;
pub mod upstream_update;

use crate::args::{
    Command, GraphCommand, ImageCommand, PublishCommand, StoreCommand, UpstreamCommand,
};
use crate::context::Context;
use crate::stop::Stop;

/// Carries a command out.
pub fn run(context: &Context, command: Command) -> Result<(), Stop> {
    match command {
        Command::Init(args) => init::run(context, &args),
        Command::Check(args) => check::run(context, &args),
        Command::Fmt(args) => fmt::run(context, &args),
        Command::Graph(GraphCommand::Rebuild(args)) => rebuild::run(context, &args),
        Command::Graph(GraphCommand::Plan(args)) => plan::run(context, &args),
        Command::Graph(GraphCommand::Explain(args)) => explain::run(context, &args),
        Command::Graph(GraphCommand::Runs(args)) => runs::run(context, &args),
        Command::Graph(GraphCommand::Dot(args)) => dot::run(context, &args),
        Command::Graph(GraphCommand::Show(args)) => show::run(context, &args),
        Command::Graph(GraphCommand::Query(args)) => query::run(context, &args),
        Command::Image(ImageCommand::Ls(args)) => image_ls::run(context, &args),
        Command::Image(ImageCommand::Inspect(args)) => image_inspect::run(context, &args),
        Command::Image(ImageCommand::Build(args)) => image_build::run(context, &args),
        Command::Image(ImageCommand::Export(args)) => image_export::run(context, &args),
        Command::Image(ImageCommand::Run(args)) => image_run::run(context, &args),
        Command::Image(ImageCommand::Tree(args)) => image_tree::run(context, &args),
        Command::Image(ImageCommand::Diff(args)) => image_diff::run(context, &args),
        Command::Image(ImageCommand::Files(args)) => image_files::run(context, &args),
        Command::Image(ImageCommand::Load(args)) => image_load::run(context, &args),
        Command::Copy(args) => copy::run(context, &args),
        Command::Publish(args) => match &args.command {
            None => publish::run(context, &args),
            Some(PublishCommand::Ls(args)) => publish_ls::run(context, args),
            Some(PublishCommand::Rollback(args)) => publish_rollback::run(context, args),
            Some(PublishCommand::Prune(args)) => publish_prune::run(context, args),
        },
        Command::Upstream(UpstreamCommand::Check(args)) => upstream_check::run(context, &args),
        Command::Upstream(UpstreamCommand::Update(args)) => upstream_update::run(context, &args),
        Command::Store(StoreCommand::Du(args)) => store_du::run(context, &args),
        Command::Store(StoreCommand::Gc(args)) => store_gc::run(context, &args),
        Command::Store(StoreCommand::Verify(args)) => store_verify::run(context, &args),
        Command::Lsp(args) => lsp::run(context, &args),
        Command::Reference(args) => reference::run(context, &args),
        Command::Completions(args) => completions::run(context, &args),
    }
}
