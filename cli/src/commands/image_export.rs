//! `mabuild image export`.

use std::path::PathBuf;

use clap::ValueEnum;
use mabuild_engine::ops::export::{self, Dest, Form};
use mabuild_lang::platform::Platform;

use crate::args::ReadArgs;
use crate::context::Context;
use crate::stop::Stop;

/// Arguments of `image export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mabuild image export web --to oci-archive web.tar\n  mabuild image export web --to docker-archive web.tar --platform linux/amd64\n  mabuild image export web --to directory root --platform linux/arm64\n  mabuild image export web --to tar - --platform linux/amd64 | tar t\n  mabuild image export ghcr.io/acme/web:1 --to oci-dir web"
)]
pub struct Args {
    /// NAME, NAME:TAG or a digest of the store, or an image of a registry
    image: String,
    /// File or folder to make; `-` for standard output
    dest: PathBuf,
    /// What to make
    #[arg(long, value_name = "FORM")]
    to: FormArg,
    /// One platform; needed where the form holds one and the image has several
    #[arg(long, value_name = "PLATFORM", value_parser = Platform::parse)]
    platform: Option<Platform>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// A folder that is an OCI layout
    OciDir,
    /// An OCI layout in one tar
    OciArchive,
    /// What `docker load` reads, one platform
    DockerArchive,
    /// The files of one platform
    Directory,
    /// The files of one platform in one tar, with all owners
    Tar,
    /// The files of one platform in a folder, all your own
    Local,
}

/// Writes an image out.
pub fn run(context: &Context, args: &Args) -> Result<(), Stop> {
    let form = match args.to {
        FormArg::OciDir => Form::OciDir,
        FormArg::OciArchive => Form::OciArchive,
        FormArg::DockerArchive => Form::DockerArchive,
        FormArg::Directory => Form::Directory,
        FormArg::Tar => Form::Tar,
        FormArg::Local => Form::Local,
    };
    let mut stdout = std::io::stdout();
    let dest = match args.dest.as_os_str() == "-" {
        true => Dest::Stream(&mut stdout),
        false => Dest::Path(context.env.cwd.join(&args.dest)),
    };
    let (request, platform) = (context.reading(&args.read)?, args.platform.as_ref());
    let done = export::export(&context.env, &request, &args.image, platform, form, dest);
    context.exported(done.map_err(|e| context.failed(&e, None))?);
    Ok(())
}
