//! `mabuild image ls`.

use std::sync::Arc;

use mabuild_engine::ops::images::{self, PublishedRow, ReadRequest, Standing};
use mabuild_engine::report::{JSON_VERSION, words};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Format, FormatArgs, ProjectArgs, ReadArgs};
use crate::context::Context;
use crate::stop::{Stop, UPSTREAM};
use crate::term::table;

/// Arguments of `image ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Of what is published the last column says how it stands to the last build: equal, differs, absent (the registry has no such tag), unbuilt (the store has nothing to compare), unknown.\n\nExamples:\n  mabuild image ls --format json | jq '.images[].digest'\n  mabuild image ls --remote"
)]
pub struct Args {
    /// List the tags that the project is published under, as their registries have them
    #[arg(long)]
    remote: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    project: ProjectArgs,
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

/// Lists the images of the store, or those that are published.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    if args.remote {
        return remote(context, args);
    }
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

/// Lists what is published.
fn remote(context: &Context, args: &Args) -> Result<(), Stop> {
    let project = Arc::new(context.open_untested(&args.project)?);
    let (store, offline) = (context.store()?, args.read.offline);
    let request = ReadRequest { store, offline, ..ReadRequest::default() };
    let rows = images::published(&context.env, &request, &project);
    let rows = rows.map_err(|e| context.failed(&e, None))?;
    let problems = rows.iter().filter_map(|row| match &row.standing {
        Standing::Unknown(why) => Some(why.clone()),
        _ => None,
    });
    let problems: std::collections::BTreeSet<String> = problems.collect();
    match args.format.format {
        Format::Json => context.terminal.json(&published(&rows))?,
        Format::Text => {
            let head = ["IMAGE", "PUBLISHED AS", "DIGEST", "PLATFORMS", "STANDING"];
            let lines = rows.iter().map(cells).collect();
            context.terminal.out(&table::table(head, lines, context.terminal.out_style()))?;
        }
    }
    for problem in &problems {
        context.terminal.error("mabuild::engine::image", problem, None);
    }
    if problems.is_empty() { Ok(()) } else { Err(Stop(UPSTREAM)) }
}

fn cells(row: &PublishedRow) -> [String; 5] {
    [
        row.name.clone(),
        row.reference.clone(),
        row.digest.as_deref().map_or_else(|| "-".to_owned(), words::value),
        row.platforms.join(" "),
        row.standing.word().to_owned(),
    ]
}

/// What is published as JSON, version 1.
fn published(rows: &[PublishedRow]) -> Value {
    let row = |row: &PublishedRow| {
        json!({
            "name": row.name,
            "reference": row.reference,
            "digest": row.digest,
            "platforms": row.platforms,
            "local": row.local,
            "standing": row.standing.word(),
        })
    };
    json!({"version": JSON_VERSION, "published": rows.iter().map(row).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_what_is_published_keeps_its_first_form() {
        let rows = [PublishedRow {
            name: "web".into(),
            reference: "ghcr.io/acme/web:1".into(),
            digest: Some("sha256:aa".into()),
            platforms: vec!["linux/amd64".into()],
            local: None,
            standing: Standing::Unbuilt,
        }];
        let expected: Value =
            serde_json::from_str(include_str!("../fixtures/image-ls-remote-1.json")).unwrap();
        assert_eq!(published(&rows), expected);
    }
}
