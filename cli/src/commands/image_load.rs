//! `mabuild image load`.

use clap::ValueEnum;
use mabuild_engine::ops::load::{self, LoadRequest, Loaded, Runtime};
use mabuild_engine::report::{JSON_VERSION, words};
use mabuild_lang::platform::Platform;
use serde_json::{Value, json};

use crate::args::{Format, FormatArgs, ReadArgs};
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `image load`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild image load web:1.0\n  mabuild image load web db --into podman\n  mabuild image load ghcr.io/acme/web:1 --platform linux/arm64"
)]
pub struct Args {
    /// NAME, NAME:TAG or a digest of the store, or an image of a registry
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// Who gets them; auto takes the first that runs, Docker or Podman
    #[arg(long, value_name = "RUNTIME", default_value = "auto")]
    into: IntoArg,
    /// Of this platform [default: that of this machine, or the only one]
    #[arg(long, value_name = "PLATFORM", value_parser = Platform::parse)]
    platform: Option<Platform>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IntoArg {
    Auto,
    Docker,
    Podman,
}

/// Hands images over.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let into = match args.into {
        IntoArg::Auto => None,
        IntoArg::Docker => Some(Runtime::Docker),
        IntoArg::Podman => Some(Runtime::Podman),
    };
    let (images, platform) = (args.images.clone(), args.platform.clone());
    let request = LoadRequest { images, platform, into };
    let mut done = Vec::new();
    let mut each = |loaded: &Loaded| {
        if args.format.format == Format::Text {
            context.terminal.say(&told(loaded));
        }
        done.push(document(loaded));
    };
    let ended = load::load(&context.env, &context.reading(&args.read)?, &request, &mut each);
    ended.map_err(|e| context.failed(&e, None))?;
    match args.format.format {
        Format::Json => context.terminal.json(&json!({"version": JSON_VERSION, "loaded": done})),
        Format::Text => Ok(()),
    }
}

/// One image as JSON.
fn document(loaded: &Loaded) -> Value {
    json!({
        "name": loaded.name,
        "platform": loaded.platform,
        "id": loaded.id,
        "into": loaded.runtime.program(),
    })
}

fn told(loaded: &Loaded) -> String {
    let (name, platform) = (words::one_line(&loaded.name), words::one_line(&loaded.platform));
    let id = words::value(&loaded.id);
    format!("{} has {name} for {platform} as {id}\n", loaded.runtime.program())
}
