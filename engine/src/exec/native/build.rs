//! One build from start to end: the stages, the config, the manifest.

use mabuild_oci::image::rfc3339;
use mabuild_oci::{Manifest, media_type};

use super::stage::Ended;
use super::{Native, Stop, stages};
use crate::exec::{Built, Fault, Knobs};
use crate::publish::oci_platform;
use crate::spec::BuildSpec;

pub(super) fn build(native: &Native, spec: &BuildSpec, knobs: &Knobs) -> Result<Built, Stop> {
    let (ended, mut built) = stages::build(native, spec, knobs)?;
    built.digest = match &ended.whole {
        Some(whole) => whole.clone(),
        None => write(native, spec, &ended)?,
    };
    Ok(built)
}

/// Writes config and manifest.
fn write(native: &Native, spec: &BuildSpec, ended: &Ended) -> Result<std::sync::Arc<str>, Stop> {
    let unwritable = |e: mabuild_oci::Error| {
        Fault::environment(format!("cannot write the image to the store: {e}"))
    };
    let mut config = ended.state.config.clone();
    let platform = oci_platform(&spec.platform);
    (config.os, config.architecture, config.variant) =
        (platform.os, platform.architecture, platform.variant);
    config.created = rfc3339(ended.date).ok();
    config.rootfs.diff_ids = ended.layers.iter().map(|l| l.diff_id).collect();
    let layout = native.store.layout();
    let bytes = config.to_bytes().map_err(unwritable)?;
    let descriptor = layout.write_blob(media_type::CONFIG, &bytes).map_err(unwritable)?;
    let layers = ended.layers.iter().map(|l| l.descriptor.clone()).collect();
    let bytes = Manifest::new(descriptor, layers).to_bytes().map_err(unwritable)?;
    let written = layout.write_blob(media_type::MANIFEST, &bytes).map_err(unwritable)?;
    Ok(written.digest.to_string().into())
}
