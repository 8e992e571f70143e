//! `mabuild image diff`.

use mabuild_engine::ops::images::{
    self, ConfigChange, DiffRequest, Difference, FileChange, FileRow, PlatformDiff, Side, Weight,
};
use mabuild_engine::report::{JSON_VERSION, words};
use mabuild_lang::platform::Platform;
use serde_json::{Value, json};

use crate::args::{Format, FormatArgs, ReadArgs, image_at};
use crate::context::Context;
use crate::stop::{Stop, USAGE};

/// Arguments of `image diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A file is told by what differs: kind, content, mode, owner, target, device, attributes.\n\nExamples:\n  mabuild image diff ghcr.io/acme/web:1 web       what a publish would change\n  mabuild image diff web@amd64 web@arm64          two platforms of one image\n  mabuild image diff web:1.0 web:1.1 --format json | jq '.platforms[].files[].path'"
)]
pub struct Args {
    /// Before: IMAGE[@PLATFORM] as NAME, NAME:TAG or a digest of the store, or one of a registry
    a: String,
    /// After
    b: String,
    /// Keep to this platform [default: all that both have]
    #[arg(long, value_name = "PLATFORM", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Also tell files of which only the time differs
    #[arg(long)]
    times: bool,
    /// End with 2 when they differ
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Compares two images.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let side = |text: &str| {
        let (reference, platform) = image_at(text);
        Side { reference, platform: platform.or_else(|| args.platform.clone()) }
    };
    let request = DiffRequest { a: side(&args.a), b: side(&args.b), times: args.times };
    let found = images::diff(&context.env, &context.reading(&args.read)?, &request);
    let found = found.map_err(|e| context.failed(&e, None))?;
    match args.format.format {
        Format::Json => context.terminal.json(&document(&found))?,
        Format::Text => context.terminal.out(&text(&found))?,
    }
    match args.exit_code && !found.is_same() {
        true => Err(Stop(USAGE)),
        false => Ok(()),
    }
}

/// The difference as JSON, version 1.
fn document(found: &Difference) -> Value {
    let side = |(name, digest): &(String, String)| json!({"name": name, "digest": digest});
    let weight = |weight: &Weight| {
        json!({
            "platform": weight.platform,
            "digest": weight.digest,
            "layers": weight.layers,
            "sent": weight.sent,
            "unpacked": weight.unpacked,
        })
    };
    let config = |change: &ConfigChange| json!({"name": change.name, "a": change.a, "b": change.b});
    let row = |row: &FileRow| {
        json!({
            "kind": row.kind,
            "mode": row.mode,
            "uid": row.uid,
            "gid": row.gid,
            "size": row.size,
            "target": row.target,
            "layer": row.layer,
        })
    };
    let file = |change: &FileChange| {
        json!({
            "path": path(change),
            "change": word(change),
            "why": change.why,
            "a": change.a.as_ref().map(row),
            "b": change.b.as_ref().map(row),
        })
    };
    let platform = |diff: &PlatformDiff| {
        json!({
            "a": weight(&diff.a),
            "b": weight(&diff.b),
            "same": diff.is_same(),
            "config": diff.config.iter().map(config).collect::<Vec<_>>(),
            "files": diff.files.iter().map(file).collect::<Vec<_>>(),
        })
    };
    json!({
        "version": JSON_VERSION,
        "a": side(&found.a),
        "b": side(&found.b),
        "same": found.is_same(),
        "platforms": found.platforms.iter().map(platform).collect::<Vec<_>>(),
        "only_a": found.only_a,
        "only_b": found.only_b,
    })
}

fn path(change: &FileChange) -> &str {
    change.b.as_ref().or(change.a.as_ref()).map_or("", |row| &row.path)
}

fn word(change: &FileChange) -> &'static str {
    match (&change.a, &change.b) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    }
}

fn text(found: &Difference) -> String {
    let mut out = format!("a {}  {}\nb {}  {}\n", found.a.0, found.a.1, found.b.0, found.b.1);
    for (side, platforms) in [("a", &found.only_a), ("b", &found.only_b)] {
        for platform in platforms {
            out.push_str(&format!("\n{} is in {side} alone\n", words::one_line(platform)));
        }
    }
    found.platforms.iter().for_each(|diff| platform(diff, &mut out));
    out
}

fn platform(diff: &PlatformDiff, out: &mut String) {
    let (a, b) = (&diff.a, &diff.b);
    let names = match a.platform == b.platform {
        true => words::one_line(&a.platform),
        false => words::one_line(&format!("{} → {}", a.platform, b.platform)),
    };
    if diff.is_same() {
        return out.push_str(&format!("\n{names} is the same\n"));
    }
    out.push_str(&format!("\n{names}\n"));
    out.push_str(&format!("  sent      {}\n", sizes(a.sent, b.sent)));
    if let (Some(a), Some(b)) = (a.unpacked, b.unpacked) {
        out.push_str(&format!("  unpacked  {}\n", sizes(a, b)));
    }
    for change in &diff.config {
        let (a, b) = (value(change.a.as_ref()), value(change.b.as_ref()));
        out.push_str(&format!("  config    {}: {a} → {b}\n", words::one_line(&change.name)));
    }
    let mut files = diff.files.iter().peekable();
    while let Some(change) = files.next() {
        let mut line = format!("  {:<8}  {}", word(change), words::one_line(path(change)));
        if change.why.is_empty() {
            // What hangs below a folder that is new or gone says nothing more.
            let lead = format!("{}/", path(change));
            let is_below =
                |next: &&FileChange| word(next) == word(change) && path(next).starts_with(&lead);
            let mut below = 0;
            while files.next_if(is_below).is_some() {
                below += 1;
            }
            if below > 0 {
                line.push_str(&format!("/ with {}", words::count(below, "path")));
            }
        } else {
            line.push_str(&format!("  {}", why(change)));
        }
        out.push_str(&format!("{line}\n"));
    }
}

/// What differs in a file, with the values that are short.
fn why(change: &FileChange) -> String {
    let (Some(a), Some(b)) = (&change.a, &change.b) else { return String::new() };
    let reason = |reason: &&str| match *reason {
        "kind" => format!("{} → {}", a.kind, b.kind),
        "mode" => format!("mode {:o} → {:o}", a.mode, b.mode),
        "owner" => format!("owner {}:{} → {}:{}", a.uid, a.gid, b.uid, b.gid),
        "content" if a.size != b.size => {
            format!("content {} → {}", words::bytes(a.size), words::bytes(b.size))
        }
        "target" => {
            let target = |row: &FileRow| row.target.as_deref().map(words::one_line);
            let (a, b) = (target(a), target(b));
            format!("target {} → {}", a.unwrap_or_default(), b.unwrap_or_default())
        }
        other => other.to_owned(),
    };
    change.why.iter().map(reason).collect::<Vec<_>>().join(", ")
}

fn sizes(a: u64, b: u64) -> String {
    match a == b {
        true => words::bytes(a),
        false => {
            let (sign, by) = if b > a { ("+", b - a) } else { ("-", a - b) };
            format!("{} → {} ({sign}{})", words::bytes(a), words::bytes(b), words::bytes(by))
        }
    }
}

fn value(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) => words::cut(&words::one_line(&value.to_string()), 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, kind: &'static str, mode: u32, size: u64) -> FileRow {
        FileRow { path: path.into(), kind, mode, uid: 0, gid: 0, size, target: None, layer: 1 }
    }

    fn found() -> Difference {
        let weight = |digest: &str, sent, unpacked| Weight {
            platform: "linux/arm/v7".into(),
            digest: digest.into(),
            layers: 2,
            sent,
            unpacked,
        };
        let change = |a: Option<FileRow>, b: Option<FileRow>, why: &[&'static str]| FileChange {
            a,
            b,
            why: why.to_vec(),
        };
        let changed = PlatformDiff {
            a: weight("sha256:a1", 2048, Some(10)),
            b: weight("sha256:b1", 1024, Some(12)),
            config: vec![ConfigChange { name: "Env A".into(), a: None, b: Some(json!("1")) }],
            files: vec![
                change(None, Some(row("/new", "dir", 0o755, 0)), &[]),
                change(None, Some(row("/new/x", "file", 0o644, 1)), &[]),
                change(Some(row("/old", "file", 0o644, 1)), None, &[]),
                change(
                    Some(row("/p", "file", 0o644, 1)),
                    Some(row("/p", "file", 0o600, 2)),
                    &["content", "mode"],
                ),
            ],
        };
        let same = PlatformDiff {
            a: weight("sha256:c", 1, None),
            b: weight("sha256:c", 1, None),
            config: Vec::new(),
            files: Vec::new(),
        };
        Difference {
            a: ("web:1".into(), "sha256:aa".into()),
            b: ("web:2".into(), "sha256:bb".into()),
            platforms: vec![changed, same],
            only_a: vec!["linux/386".into()],
            only_b: Vec::new(),
        }
    }

    #[test]
    fn a_difference_is_told_in_words() {
        assert_eq!(
            text(&found()),
            "a web:1  sha256:aa\n\
             b web:2  sha256:bb\n\
             \n\
             linux/386 is in a alone\n\
             \n\
             linux/arm/v7\n\
             \x20 sent      2.00 KiB → 1.00 KiB (-1.00 KiB)\n\
             \x20 unpacked  10 B → 12 B (+2 B)\n\
             \x20 config    Env A: nothing → \"1\"\n\
             \x20 added     /new/ with 1 path\n\
             \x20 removed   /old\n\
             \x20 changed   /p  content 1 B → 2 B, mode 644 → 600\n\
             \n\
             linux/arm/v7 is the same\n"
        );
    }

    #[test]
    fn the_document_keeps_its_first_form() {
        let expected: Value =
            serde_json::from_str(include_str!("../fixtures/image-diff-1.json")).unwrap();
        assert_eq!(document(&found()), expected);
    }
}
