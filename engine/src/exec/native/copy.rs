//! `copy` and `add`: what is read, and where it goes.

use std::path::Path;
use std::sync::Arc;

use mabuild_dockerfile::Ignore;
use mabuild_oci::layer::FsView;

use super::chmod::Chmod;
use super::config::normal;
use super::files::Layering;
use super::layers::{Layer, chain_text};
use super::place::{Copying, From};
use super::stage::{Build, Made};
use super::{Stop, windows};
use crate::exec::Fault;
use crate::spec::{self, Copy, Input};

impl Build<'_> {
    /// Makes the layer of a `copy` or `add`.
    pub(super) fn copy(&mut self, copy: &Copy<spec::Built>) -> Result<Made, Stop> {
        let owner = copy.owner.as_deref();
        if copy.link && owner.is_some_and(|owner| super::users::numbers(owner).is_none()) {
            return Err(Fault::step(format!(
                "`--link` knows nothing of the image below, and so no names of users: write \
                 `--chown={}` in numbers",
                owner.unwrap_or_default()
            ))
            .into());
        }
        let wish = self.wish(owner, None)?;
        let mode = copy.mode.as_deref().map(Chmod::parse).transpose()?;
        let exclude = Ignore::of(copy.exclude.iter().map(String::as_str));
        if self.state.is_windows() {
            windows::absolute(self.state.workdir(), &copy.dest)?;
        }
        let mut dest = normal(&self.state.absolute(&copy.dest));
        let is_folder = matches!(copy.dest.as_str(), "" | ".")
            || copy.dest.ends_with('/')
            || self.state.is_windows() && copy.dest.ends_with('\\')
            || copy.dest.ends_with("/.");
        if is_folder && !dest.ends_with('/') {
            dest.push('/');
        }
        let mut images = Vec::new();
        for input in &copy.inputs {
            if let Input::Image { image, .. } = input {
                let (layers, is_windows) = self.image_of(image)?;
                images.push(self.native.source(&layers, is_windows)?);
            }
        }
        let native = self.native;
        let fill = |layering: &mut Layering<'_>| {
            let copying = Copying { dest: &dest, wish, mode, exclude: &exclude };
            let mut images = images.iter();
            // Files that stand in the instruction come last, as in BuildKit.
            let is_inline = |input: &&Input<spec::Built>| matches!(input, Input::Inline { .. });
            let (inline, others): (Vec<_>, Vec<_>) = copy.inputs.iter().partition(is_inline);
            for input in others.into_iter().chain(inline) {
                match input {
                    Input::Files(set) => {
                        let unpacks = copy.unpack.unwrap_or(copy.add && !set.fetched);
                        let mut unpack =
                            |layering: &mut Layering<'_>, path: &Path, digest: &[u8; 32]| {
                                if !unpacks {
                                    return Ok(false);
                                }
                                let Some(index) = native.archive_index(path, digest)? else {
                                    return Ok(false);
                                };
                                layering.unpack(&copying, path, &index).map(|()| true)
                            };
                        layering.copy_context(&copying, set, &mut unpack)?;
                    }
                    Input::Image { sources, .. } => {
                        if let Some(from) = images.next() {
                            layering.copy_image(&copying, from, sources, copy.parents)?;
                        }
                    }
                    Input::Inline { name, content } => {
                        layering.copy_inline(&copying, name, content)?;
                    }
                }
            }
            Ok(())
        };
        match copy.link {
            // Made over nothing: links below mean nothing to it, and what stands there gives way.
            true => self.layer_on(&FsView::new(Vec::new()), &[], fill),
            false => self.layer(fill),
        }
    }
}

impl super::Native {
    /// Layers as something that is copied from.
    pub(super) fn source(&self, layers: &[Layer], is_windows: bool) -> Result<From, Fault> {
        let (view, prefix) = match is_windows {
            true => (Arc::new(self.windows_view(layers)?), windows::FILES),
            false => (self.view(layers)?, &b""[..]),
        };
        let name = chain_text(layers);
        let layers = layers.iter().cloned().map(Arc::new).collect();
        Ok(From { view, layers, prefix, name })
    }
}

#[cfg(test)]
mod tests;
