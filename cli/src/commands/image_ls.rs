//! `mabuild image ls`.

use mabuild_engine::ops::images;
use mabuild_engine::report::{JSON_VERSION, words};
use serde::Serialize;

use crate::args::{Format, FormatArgs};
use crate::context::Context;
use crate::stop::Stop;
use crate::term::table;

/// Arguments of `image ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mabuild image ls --format json | jq '.images[].digest'")]
pub struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

/// All tags of the store as JSON, version 1.
#[derive(Serialize)]
struct Document {
    version: u32,
    images: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    tag: String,
    /// Of the index.
    digest: String,
    platforms: Vec<String>,
    /// Bytes of all blobs, each once.
    size: u64,
    created: Option<String>,
}

/// Lists the images of the store.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let rows = images::list(&context.store()?).map_err(|e| context.failed(&e, None))?;
    if args.format.format == Format::Json {
        let images = rows.into_iter().map(|row| {
            let images::ImageRow { name, tag, digest, platforms, size, created } = row;
            Row { name, tag, digest, platforms, size, created }
        });
        let document = Document { version: JSON_VERSION, images: images.collect() };
        return context.terminal.json(&document);
    }
    let lines = rows.iter().map(|row| {
        let created = row.created.as_deref().and_then(|date| date.get(..10)).unwrap_or("-");
        [
            format!("{}:{}", row.name, row.tag),
            words::value(&row.digest),
            words::bytes(row.size),
            created.to_owned(),
            row.platforms.join(" "),
        ]
    });
    let head = ["IMAGE", "DIGEST", "SIZE", "CREATED", "PLATFORMS"];
    context.terminal.out(&table::table(head, lines.collect(), context.terminal.out_style()))
}
