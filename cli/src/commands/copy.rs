//! `mabuild copy`.

use mabuild_engine::ops::copy::{self, Copied, CopyRequest, Place, Sent};
use mabuild_engine::report::{JSON_VERSION, words};
use mabuild_lang::platform::Platform;
use serde_json::{Value, json};

use crate::args::{Format, FormatArgs, ReadArgs};
use crate::context::Context;
use crate::stop::Stop;
use crate::term::progress::{Form, Progress};

/// Arguments of `copy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A place is a reference with its registry, or begins with what it is:\n  ghcr.io/acme/app:1                  an image of a registry; docker://debian:12 for Docker Hub\n  store:NAME[:TAG]                    an image of the store\n  oci:FOLDER[:TAG]                    a folder that is an OCI layout\n  oci-archive:FILE[:TAG]              an OCI layout in one tar\n  docker-archive:FILE[:REFERENCE]     what docker save writes and docker load reads\n\nExamples:\n  mabuild copy docker://debian:12 ghcr.io/acme/debian:12\n  mabuild copy ghcr.io/acme/app:1 oci:app:1 --platform amd64,arm64\n  mabuild copy store:web:1.0 localhost:5000/web:1.0\n  mabuild copy docker-archive:app.tar ghcr.io/acme/app:1\n  mabuild copy ghcr.io/acme/app:1 backup.acme.org/app:1 --referrers"
)]
pub struct Args {
    /// Where the image is
    #[arg(value_name = "SOURCE", value_parser = Place::parse)]
    from: Place,
    /// Where it is to be
    #[arg(value_name = "DESTINATION", value_parser = Place::parse)]
    to: Place,
    /// Copy these platforms; comma separated or given again [default: all]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// Copy also what refers to it: signatures, bills of materials; from registry to registry
    #[arg(long)]
    referrers: bool,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Copies an image.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let request = CopyRequest {
        from: args.from.clone(),
        to: args.to.clone(),
        platforms: args.platform.clone(),
        referrers: args.referrers,
    };
    let reading = context.reading(&args.read)?;
    let form = Form::brief(context.terminal.is_screen());
    let progress = Progress::of_transfer(&context.terminal, form, "copying");
    let copied = copy::copy(&context.env, &reading, &request, &progress.listener());
    progress.finish();
    let copied = copied.map_err(|e| context.failed(&e, None))?;
    match args.format.format {
        Format::Json => context.terminal.json(&document(&copied)),
        Format::Text => {
            context.terminal.out(&format!("{}\n", copied.digest))?;
            context.terminal.say(&copied.sent.as_ref().map(told).unwrap_or_default());
            Ok(())
        }
    }
}

/// What was done as JSON, version 1.
fn document(copied: &Copied) -> Value {
    let sent = copied.sent.map(|sent| {
        json!({
            "blobs": sent.blobs,
            "bytes": sent.bytes,
            "mounted": sent.mounted,
            "present": sent.present,
            "manifests": sent.manifests,
        })
    });
    json!({"version": JSON_VERSION, "digest": copied.digest.to_string(), "sent": sent})
}

/// What a registry got, in one line.
fn told(sent: &Sent) -> String {
    if *sent == (Sent { present: sent.present, ..Sent::default() }) {
        return "nothing sent: all of it is there already\n".to_owned();
    }
    let count = |number: u64, noun: &str| words::count(usize::try_from(number).unwrap_or(0), noun);
    format!(
        "{} sent ({}), {} mounted, {} there already, {} written\n",
        count(sent.blobs, "blob"),
        words::bytes(sent.bytes),
        sent.mounted,
        sent.present,
        count(sent.manifests, "manifest")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_told_in_one_line() {
        let sent = Sent { blobs: 2, bytes: 2048, mounted: 1, present: 3, manifests: 1 };
        assert_eq!(
            told(&sent),
            "2 blobs sent (2.00 KiB), 1 mounted, 3 there already, 1 manifest written\n"
        );
        let present = Sent { present: 3, ..Sent::default() };
        assert_eq!(told(&present), "nothing sent: all of it is there already\n");
    }
}
