//! `mabuild store du`.

use mabuild_engine::ops::stores;
use mabuild_engine::report::{JSON_VERSION, words};
use serde::Serialize;

use crate::args::{Format, FormatArgs};
use crate::context::Context;
use crate::stop::Stop;
use crate::term::table;

/// Arguments of `store du`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

/// What the store holds as JSON, version 1.
#[derive(Serialize)]
struct Document {
    version: u32,
    store: String,
    kinds: Vec<Kind>,
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Kind {
    kind: String,
    files: u64,
    bytes: u64,
}

/// Shows what the store holds.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let store = context.store()?;
    let rows = stores::du(&store).map_err(|e| context.failed(&e, None))?;
    let kind = |u: stores::Usage| Kind { kind: u.kind.to_owned(), files: u.files, bytes: u.bytes };
    let kinds: Vec<Kind> = rows.into_iter().map(kind).collect();
    let files = kinds.iter().map(|kind| kind.files).sum();
    let bytes = kinds.iter().map(|kind| kind.bytes).sum();
    if args.format.format == Format::Json {
        let store = store.to_string_lossy().into_owned();
        let document = Document { version: JSON_VERSION, store, kinds, files, bytes };
        return context.terminal.json(&document);
    }
    let line = |kind: &str, files: u64, bytes: u64| {
        [kind.to_owned(), files.to_string(), words::bytes(bytes)]
    };
    let mut lines: Vec<_> = kinds.iter().map(|k| line(&k.kind, k.files, k.bytes)).collect();
    lines.push(line("in all", files, bytes));
    let head = ["KIND", "FILES", "SIZE"];
    context.terminal.out(&table::table(head, lines, context.terminal.out_style()))
}
