//! `mabuild store gc`.

use mabuild_engine::ops::stores;
use mabuild_engine::report::{JSON_VERSION, words};
use mabuild_engine::store::GcRequest;
use serde::Serialize;

use crate::args::{Format, FormatArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `store gc`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Images that have a tag are always kept.\n\nExamples:\n  mabuild store gc --dry-run\n  mabuild store gc --older-than 14\n  mabuild store gc --all"
)]
pub struct Args {
    /// Spare what was used within this many days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Downloads, emulators, logs and cache mounts go too, whatever their age
    #[arg(long)]
    all: bool,
    /// Count what would go and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// What was removed, or would be, as JSON, version 1.
#[derive(Serialize)]
struct Document {
    version: u32,
    dry_run: bool,
    files: u64,
    bytes: u64,
}

/// Removes what nothing needs any more.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let request = GcRequest {
        older_than_days: args.older_than,
        all: args.all,
        dry_run: args.dry_run,
        now: context.env.now,
    };
    let report = stores::gc(&context.store()?, &request).map_err(|e| context.failed(&e, None))?;
    let (files, bytes) = (report.files, report.bytes);
    if args.format.format == Format::Json {
        let document = Document { version: JSON_VERSION, dry_run: args.dry_run, files, bytes };
        return context.terminal.json(&document);
    }
    let verb = if args.dry_run { "would remove" } else { "removed" };
    context.terminal.out(&format!(
        "{verb} {}, {}\n",
        words::count(files as usize, "file"),
        words::bytes(bytes)
    ))
}
