//! `mabuild completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints a completion script.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let mut script = Vec::new();
    let mut command = crate::args::Cli::command();
    clap_complete::generate(args.shell, &mut command, "mabuild", &mut script);
    context.terminal.out(&String::from_utf8_lossy(&script))
}
