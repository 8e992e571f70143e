//! `mabuild image files`.

use mabuild_engine::ops::images::{self, FileRow, Files};
use mabuild_engine::report::{JSON_VERSION, words};
use mabuild_lang::platform::Platform;
use serde_json::{Value, json};

use crate::args::{Format, FormatArgs, ReadArgs, image_at};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `image files`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A row is mode, owner:group, bytes, number of the layer from the bottom, and path.\n\nExamples:\n  mabuild image files web /etc\n  mabuild image files ghcr.io/acme/web:1@linux/arm64 --format json | jq '.files[].path'"
)]
pub struct Args {
    /// IMAGE[@PLATFORM] as NAME, NAME:TAG or a digest of the store, or an image of a registry
    image: String,
    /// List what is here and below
    #[arg(default_value = "/")]
    path: String,
    /// Of this platform [default: that of this machine, or the only one]
    #[arg(long, value_name = "PLATFORM", value_parser = Platform::parse)]
    platform: Option<Platform>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Lists the files of an image.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let (image, platform) = image_at(&args.image);
    let platform = args.platform.as_ref().or(platform.as_ref());
    let request = context.reading(&args.read)?;
    let files = images::files(&context.env, &request, &image, platform, &args.path);
    let files = files.map_err(|e| context.failed(&e, None))?;
    match args.format.format {
        Format::Json => context.terminal.json(&document(&files)),
        Format::Text => context.terminal.out(&text(&files.rows)),
    }
}

/// The list as JSON, version 1.
fn document(files: &Files) -> Value {
    let row = |row: &FileRow| {
        json!({
            "path": row.path,
            "kind": row.kind,
            "mode": row.mode,
            "uid": row.uid,
            "gid": row.gid,
            "size": row.size,
            "target": row.target,
            "layer": row.layer,
        })
    };
    json!({
        "version": JSON_VERSION,
        "name": files.name,
        "platform": files.platform,
        "digest": files.digest,
        "layers": files.layers,
        "files": files.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn text(rows: &[FileRow]) -> String {
    let owner = |row: &FileRow| format!("{}:{}", row.uid, row.gid);
    let widest = |cell: &dyn Fn(&FileRow) -> String| rows.iter().map(|r| cell(r).len()).max();
    let owners = widest(&owner).unwrap_or(0);
    let sizes = widest(&|row| row.size.to_string()).unwrap_or(0);
    let mut out = String::new();
    for row in rows {
        let target = row.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
        let path = words::one_line(&format!("{}{target}", row.path));
        out.push_str(&format!(
            "{}  {:<owners$}  {:>sizes$}  {:>2}  {path}\n",
            mode(row),
            owner(row),
            row.size,
            row.layer
        ));
    }
    out
}

/// Kind and permissions as `ls -l` shows them.
fn mode(row: &FileRow) -> String {
    let kind = match row.kind {
        "dir" => 'd',
        "symlink" => 'l',
        "char" => 'c',
        "block" => 'b',
        "fifo" => 'p',
        _ => '-',
    };
    let mut out = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = row.mode >> shift;
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (row.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let row = |path: &str, kind, mode, size, layer| FileRow {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 42,
            size,
            target: (kind == "symlink").then(|| "a".to_owned()),
            layer,
        };
        Files {
            name: "web:1".into(),
            platform: "linux/arm/v7".into(),
            digest: "sha256:aa".into(),
            layers: vec!["sha256:bb".into()],
            rows: vec![
                row("/tmp", "dir", 0o1777, 0, 0),
                row("/tmp/a\nb", "file", 0o4755, 1234, 11),
                row("/tmp/l", "symlink", 0o777, 0, 1),
            ],
        }
    }

    #[test]
    fn rows_look_like_those_of_ls() {
        assert_eq!(
            text(&files().rows),
            "drwxrwxrwt  0:42     0   0  /tmp\n\
             -rwsr-xr-x  0:42  1234  11  /tmp/a b\n\
             lrwxrwxrwx  0:42     0   1  /tmp/l -> a\n"
        );
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn the_document_keeps_its_first_form() {
        let expected: Value =
            serde_json::from_str(include_str!("../fixtures/image-files-1.json")).unwrap();
        assert_eq!(document(&files()), expected);
    }
}
