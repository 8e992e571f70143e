//! `mabuild image inspect`.

use mabuild_engine::ops::images::{self, Inspection};
use mabuild_engine::report::{JSON_VERSION, words};
use serde::Serialize;
use serde_json::Value;

use crate::args::{Format, FormatArgs, ReadArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `image inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild image inspect web\n  mabuild image inspect web:1.0 --format json | jq '.configs[].config.Env'\n  mabuild image inspect ghcr.io/acme/web:1"
)]
pub struct Args {
    /// NAME, NAME:TAG or a digest of the store, or an image of a registry
    image: String,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// The documents of an image as JSON, version 1. Manifests and configs stand in the order of the
/// index.
#[derive(Serialize)]
struct Document {
    version: u32,
    digest: String,
    index: Value,
    manifests: Vec<Value>,
    configs: Vec<Value>,
}

/// Shows the documents of an image.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let found = images::inspect(&context.env, &context.reading(&args.read)?, &args.image);
    let found = found.map_err(|e| context.failed(&e, None))?;
    if args.format.format == Format::Json {
        let Inspection { digest, index, manifests, configs, members: _ } = found;
        let document = Document { version: JSON_VERSION, digest, index, manifests, configs };
        return context.terminal.json(&document);
    }
    context.terminal.out(&text(&found))
}

fn text(found: &Inspection) -> String {
    let mut out = match found.index {
        Value::Null => String::new(),
        _ => format!("index {}\n", found.digest),
    };
    for (at, (platform, digest)) in found.members.iter().enumerate() {
        let nothing = Value::Null;
        let manifest = found.manifests.get(at).unwrap_or(&nothing);
        let config = found.configs.get(at).unwrap_or(&nothing);
        let gap = if out.is_empty() { "" } else { "\n" };
        out.push_str(&format!("{gap}{} {digest}\n", words::one_line(platform)));
        if let Some(created) = config["created"].as_str() {
            out.push_str(&format!("  created     {}\n", words::one_line(created)));
        }
        settings(&config["config"], &mut out);
        layers(manifest, config, &mut out);
    }
    out
}

fn settings(config: &Value, out: &mut String) {
    let names = [
        ("Entrypoint", "entrypoint"),
        ("Cmd", "cmd"),
        ("Env", "env"),
        ("WorkingDir", "workdir"),
        ("User", "user"),
        ("ExposedPorts", "expose"),
        ("Volumes", "volumes"),
        ("StopSignal", "stop signal"),
        ("Labels", "labels"),
    ];
    for (key, name) in names {
        let text = shown(&config[key]);
        if !text.is_empty() {
            out.push_str(&format!("  {name:<11} {text}\n"));
        }
    }
}

fn layers(manifest: &Value, config: &Value, out: &mut String) {
    let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The history also has steps without a layer; those with one stand in the order of layers.
    let mut made = config["history"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter(|step| step["empty_layer"] != Value::Bool(true));
    for layer in layers {
        let by = made.next().and_then(|step| step["created_by"].as_str()).unwrap_or_default();
        let size = words::bytes(layer["size"].as_u64().unwrap_or(0));
        let digest = words::value(layer["digest"].as_str().unwrap_or_default());
        let by = words::cut(&words::one_line(by), 60);
        let line = format!("  layer       {digest}  {size:>9}  {by}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// A value in one line; nothing for what is empty.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => return String::new(),
        Value::Object(map) if map.is_empty() => return String::new(),
        Value::Object(map) if map.values().all(Value::is_object) => {
            map.keys().cloned().collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    words::one_line(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_platforms_settings_and_layers() {
        let found = Inspection {
            digest: "sha256:aa".into(),
            index: json!({}),
            members: vec![("linux/arm/v7".into(), "sha256:bb".into())],
            manifests: vec![
                json!({"layers": [{"digest": "sha256:0123456789abcdef", "size": 2048}]}),
            ],
            configs: vec![json!({
                "config": {"Cmd": ["a", "b"], "ExposedPorts": {"80/tcp": {}}, "Env": []},
                "history": [{"created_by": "env", "empty_layer": true}, {"created_by": "copy x"}],
            })],
        };
        assert_eq!(
            text(&found),
            "index sha256:aa\n\nlinux/arm/v7 sha256:bb\n  cmd         [\"a\",\"b\"]\n  expose      80/tcp\n  layer       sha256:0123456789ab…   2.00 KiB  copy x\n"
        );
    }

    #[test]
    fn documents_of_another_shape_are_no_panic() {
        let found = Inspection {
            digest: String::new(),
            index: Value::Null,
            members: vec![("linux/\u{1b}[1mx".into(), "sha256:bb".into()); 2],
            manifests: vec![],
            configs: vec![json!([])],
        };
        assert_eq!(text(&found), "linux/x sha256:bb\n\nlinux/x sha256:bb\n");
    }
}
