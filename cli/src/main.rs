//! `mabuild`: arguments to a request, the request to an operation of the engine, the result to
//! the terminal. The only crate that reads the environment and writes to the terminal.
//!
//! [`args`] holds what can be typed, [`commands`] one thin file a verb, [`term`] everything that
//! is shown. Data goes to standard output, talk to standard error.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod commands;
mod context;
mod flags;
mod lsp;
mod planning;
mod publishing;
mod stop;
mod term;
mod upstream;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // In a process that the sandbox started for itself this does the work and never returns.
    mabuild_engine::exec::native::init();
    let cli = args::Cli::parse();
    match context::Context::new(&cli.global)
        .and_then(|context| commands::run(&context, cli.command))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop::Stop(code)) => ExitCode::from(code),
    }
}
