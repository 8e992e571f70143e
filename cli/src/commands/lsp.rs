//! `mabuild lsp`.

use mabuild_engine::ops;

use crate::args::ProjectArgs;
use crate::context::Context;
use crate::lsp::{self, Setup};
use crate::stop::{FAILED, Stop};

/// Arguments of `lsp`.
#[derive(Debug, clap::Args)]
#[command(after_help = SETUP)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArgs,
    /// What many editors add; there is no other way to talk to this server
    #[arg(long, hide = true)]
    stdio: bool,
}

const SETUP: &str = "\
Speaks the Language Server Protocol on standard input and output. The main file is the mabuild.kdl
in the folder of an opened file or above; files that it includes are checked as part of it.

Neovim 0.11, in init.lua:
  vim.lsp.config('mabuild', { cmd = { 'mabuild', 'lsp' }, filetypes = { 'kdl' },
    root_markers = { 'mabuild.kdl', '.git' } })
  vim.lsp.enable('mabuild')

Helix, in languages.toml:
  [language-server.mabuild]
  command = \"mabuild\"
  args = [\"lsp\"]
  [[language]]
  name = \"kdl\"
  language-servers = [\"mabuild\"]

VS Code, with an extension that starts any server for a language (kdl):
  command `mabuild`, arguments `lsp`, files `**/*.kdl`

Exit codes: 0 the editor ended the session, 1 it went away without a word.";

/// Serves an editor until it ends the session.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let request = context.request(&args.project);
    let named = request.file.as_ref().map(|_| ops::find_file(&context.env, &request));
    let vars = ops::vars(&context.env, &request).map_err(|e| context.failed(&e, None))?;
    let setup = Setup { main: named.transpose().map_err(|e| context.failed(&e, None))?, vars };
    match lsp::serve(setup, std::io::stdin(), std::io::stdout()) {
        true => Ok(()),
        false => Err(Stop(FAILED)),
    }
}
