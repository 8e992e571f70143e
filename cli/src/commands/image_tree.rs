//! `mabuild image tree`.

use mabuild_engine::ops::images::{self, Blob, Branch, Referrer, Tree};
use mabuild_engine::report::{JSON_VERSION, words};
use serde_json::{Value, json};

use crate::args::{Format, FormatArgs, ReadArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `image tree`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild image tree web\n  mabuild image tree ghcr.io/acme/web:1 --referrers"
)]
pub struct Args {
    /// NAME, NAME:TAG or a digest of the store, or an image of a registry
    image: String,
    /// Ask the registry also for what refers to it: signatures, bills of materials
    #[arg(long)]
    referrers: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Shows what an image is put together from.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let request = context.reading(&args.read)?;
    let tree = images::tree(&context.env, &request, &args.image, args.referrers);
    let tree = tree.map_err(|e| context.failed(&e, None))?;
    match args.format.format {
        Format::Json => context.terminal.json(&document(&tree)),
        Format::Text => context.terminal.out(&text(&tree, context.terminal.unicode())),
    }
}

/// The tree as JSON, version 1.
fn document(tree: &Tree) -> Value {
    let blob = |blob: &Blob| json!({"digest": blob.digest, "media_type": blob.media_type, "size": blob.size});
    let referrers = |list: &[Referrer]| -> Vec<Value> {
        let one =
            |r: &Referrer| json!({"manifest": blob(&r.manifest), "artifact_type": r.artifact_type});
        list.iter().map(one).collect()
    };
    let branch = |branch: &Branch| {
        let layers = branch.layers.iter();
        let layers = layers.map(|l| json!({"blob": blob(&l.blob), "created_by": l.created_by}));
        json!({
            "platform": branch.platform,
            "about": branch.about,
            "manifest": blob(&branch.manifest),
            "config": blob(&branch.config),
            "layers": layers.collect::<Vec<_>>(),
            "referrers": referrers(&branch.referrers),
        })
    };
    json!({
        "version": JSON_VERSION,
        "name": tree.name,
        "root": blob(&tree.root),
        "size": tree.size,
        "manifests": tree.branches.iter().map(branch).collect::<Vec<_>>(),
        "referrers": referrers(&tree.referrers),
    })
}

/// A line with what hangs below it.
struct Line {
    text: String,
    below: Vec<Line>,
}

impl Line {
    fn new(text: String) -> Self {
        Self { text, below: Vec::new() }
    }
}

fn text(tree: &Tree, unicode: bool) -> String {
    let size = words::bytes(tree.size);
    let mut top =
        Line::new(format!("{}  {}  {size} in all", words::one_line(&tree.name), tree.root.digest));
    top.below.extend(tree.branches.iter().map(branch));
    top.below.extend(tree.referrers.iter().map(referrer));
    let mut out = format!("{}\n", top.text);
    draw(&top.below, "", unicode, &mut out);
    out
}

fn branch(branch: &Branch) -> Line {
    let platform = branch.platform.as_deref().unwrap_or("no platform");
    let what = match &branch.about {
        Some(about) => format!("about {}", words::value(about)),
        None => words::one_line(platform),
    };
    let sent = branch.layers.iter().map(|layer| layer.blob.size).sum();
    let mut line = Line::new(format!("{what}  {}  {}", branch.manifest.digest, words::bytes(sent)));
    line.below.push(Line::new(blob("config", &branch.config, "")));
    for layer in &branch.layers {
        line.below.push(Line::new(blob("layer ", &layer.blob, &layer.created_by)));
    }
    line.below.extend(branch.referrers.iter().map(referrer));
    line
}

fn referrer(referrer: &Referrer) -> Line {
    let kind = referrer.artifact_type.as_deref().unwrap_or(&referrer.manifest.media_type);
    Line::new(blob("referrer", &referrer.manifest, kind))
}

fn blob(what: &str, blob: &Blob, by: &str) -> String {
    let by = words::cut(&words::one_line(by), 60);
    let line =
        format!("{what}  {}  {:>9}  {by}", words::value(&blob.digest), words::bytes(blob.size));
    line.trim_end().to_owned()
}

fn draw(lines: &[Line], lead: &str, unicode: bool, out: &mut String) {
    let (fork, last, bar) =
        if unicode { ("├─ ", "└─ ", "│  ") } else { ("|- ", "`- ", "|  ") };
    for (at, line) in lines.iter().enumerate() {
        let is_last = at + 1 == lines.len();
        out.push_str(&format!("{lead}{}{}\n", if is_last { last } else { fork }, line.text));
        draw(&line.below, &format!("{lead}{}", if is_last { "   " } else { bar }), unicode, out);
    }
}

#[cfg(test)]
mod tests {
    use mabuild_engine::ops::images::TreeLayer;

    use super::*;

    fn tree() -> Tree {
        let blob = |digit: &str, size| Blob {
            digest: format!("sha256:{}", digit.repeat(64)),
            media_type: "t".into(),
            size,
        };
        let branch = |platform: Option<&str>, about: Option<&str>| Branch {
            platform: platform.map(str::to_owned),
            about: about.map(str::to_owned),
            manifest: blob("b", 10),
            config: blob("c", 20),
            layers: vec![TreeLayer { blob: blob("d", 2048), created_by: "RUN a\nb".into() }],
            referrers: Vec::new(),
        };
        let mut first = branch(Some("linux/amd64"), None);
        let sbom = Some("application/spdx+json".to_owned());
        first.referrers.push(Referrer { manifest: blob("e", 30), artifact_type: sbom });
        let about = blob("b", 0).digest;
        Tree {
            name: "web:1".into(),
            root: blob("a", 5),
            branches: vec![first, branch(None, Some(&about))],
            referrers: Vec::new(),
            size: 4096,
        }
    }

    #[test]
    fn a_tree_shows_what_hangs_where() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let expected = format!(
            "web:1  sha256:{a}  4.00 KiB in all\n\
             |- linux/amd64  sha256:{b}  2.00 KiB\n\
             |  |- config  sha256:cccccccccccc…       20 B\n\
             |  |- layer   sha256:dddddddddddd…   2.00 KiB  RUN a b\n\
             |  `- referrer  sha256:eeeeeeeeeeee…       30 B  application/spdx+json\n\
             `- about sha256:bbbbbbbbbbbb…  sha256:{b}  2.00 KiB\n\
             \u{20}  |- config  sha256:cccccccccccc…       20 B\n\
             \u{20}  `- layer   sha256:dddddddddddd…   2.00 KiB  RUN a b\n"
        );
        assert_eq!(text(&tree(), false), expected);
        assert!(text(&tree(), true).contains("├─ linux/amd64"));
    }

    #[test]
    fn the_document_keeps_its_first_form() {
        let document = document(&tree());
        let expected: Value =
            serde_json::from_str(include_str!("../fixtures/image-tree-1.json")).unwrap();
        assert_eq!(document, expected);
    }
}
