//! `mabuild upstream update`.

use crate::context::Context;
use crate::stop::Stop;
use crate::upstream;

/// Arguments of `upstream update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the lock says what upstreams serve now, 3 an upstream could not be asked and stays as\nit was in the lock.\n\nExamples:\n  mabuild upstream update\n  mabuild upstream update golang                also moves what is pinned, as it is named\n  mabuild upstream update --format md > pull-request.md"
)]
pub struct Args {
    #[command(flatten)]
    upstream: upstream::UpstreamArgs,
}

/// Moves the lock to what upstreams serve now.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    match upstream::run(context, &args.upstream, true)? {
        Some(found) => upstream::failed(&found),
        None => Ok(()),
    }
}
