//! `mabuild upstream check`.

use crate::context::Context;
use crate::stop::Stop;
use crate::upstream;

/// Arguments of `upstream check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing moved, 2 something did, 1 an upstream could not be asked.\n\nExamples:\n  mabuild upstream check\n  mabuild upstream check debian --format md     for the text of a pull request\n  mabuild upstream check || mabuild graph rebuild --update"
)]
pub struct Args {
    #[command(flatten)]
    upstream: upstream::UpstreamArgs,
}

/// Shows what upstreams serve now against what the lock says.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    match upstream::run(context, &args.upstream, false)? {
        Some(found) => upstream::checked(&found),
        None => Ok(()),
    }
}
