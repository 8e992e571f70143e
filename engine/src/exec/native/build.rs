//! One build from start to end: what is below, step by step, the config, the manifest.

use std::io::{Read, Seek, SeekFrom};
use std::time::Instant;

use mabuild_oci::image::rfc3339;
use mabuild_oci::layer::{FsView, Limits, read_tar};
use mabuild_oci::{ImageConfig, Manifest, media_type};

use super::config::State;
use super::files::{Item, Layering, Wish, layer_key};
use super::layers::Layer;
use super::users::Tables;
use super::{Native, Stop};
use crate::exec::{Built, Fault, Knobs};
use crate::publish::oci_platform;
use crate::spec::{BuildSpec, Copy, Inputs, Op, Source, Step};

/// A build under way.
pub(super) struct Build<'a> {
    pub native: &'a Native,
    pub spec: &'a BuildSpec,
    pub knobs: &'a Knobs,
    pub state: State,
    pub layers: Vec<Layer>,
    /// `SOURCE_DATE_EPOCH`, or the newest date of the inputs.
    pub date: i64,
    pub built: Built,
    view: Option<FsView>,
    tables: Option<Tables>,
}

/// What a step made.
pub(super) enum Made {
    /// Nothing but config.
    Config,
    /// A layer, out of the store or new.
    Layer { layer: Box<Layer>, cached: bool },
    /// A step that changed no file.
    Unchanged { cached: bool },
}

pub(super) fn build(native: &Native, spec: &BuildSpec, knobs: &Knobs) -> Result<Built, Stop> {
    let mut build = Build {
        native,
        spec,
        knobs,
        state: State::new(ImageConfig::new(&oci_platform(&spec.platform))),
        layers: Vec::new(),
        date: spec.source_date.unwrap_or(0),
        built: Built::default(),
        view: None,
        tables: None,
    };
    if let Some(whole) = build.start()? {
        build.built.digest = whole;
        return Ok(build.built);
    }
    let count = spec.steps.len();
    for (at, step) in spec.steps.iter().enumerate() {
        if knobs.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        build.step(at + 1, count, step).map_err(|stop| match stop {
            Stop::Fault(fault) => Stop::Fault(fault.at(step.span)),
            Stop::Cancelled => Stop::Cancelled,
        })?;
    }
    build.finish()?;
    Ok(build.built)
}

impl Build<'_> {
    /// Lays the ground. A digest is the whole result: a base that is taken as it is.
    fn start(&mut self) -> Result<Option<std::sync::Arc<str>>, Stop> {
        match &self.spec.source {
            Source::Scratch => {}
            Source::Parent(parent) => {
                let below = self.native.below(&parent.0)?;
                self.date = self.spec.source_date.unwrap_or_else(|| created(&below.config));
                self.layers = below.layers;
                self.state = State::new(below.config);
            }
            Source::Upstream(pin) => {
                let base = self.native.base(pin, self.spec, self.knobs, &mut self.built)?;
                if self.spec.settings == crate::spec::Settings::default()
                    && let Some(whole) = base.manifest
                {
                    return Ok(Some(whole));
                }
                self.date = base.date;
                self.layers = base.layers;
                if let Some(config) = base.config {
                    self.state = State::new(config);
                } else {
                    for text in base.history {
                        self.state.history(text, self.date, false);
                    }
                }
            }
        }
        Ok(None)
    }

    fn step(
        &mut self,
        number: usize,
        of: usize,
        step: &Step<crate::spec::Built>,
    ) -> Result<(), Stop> {
        let text = step.op.describe();
        let made = match &step.op {
            Op::Run { words, network } => {
                let command = self.state.command(words);
                self.run(&command, *network, &|cached| {
                    self.knobs.progress.step(number, of, &text, cached);
                })?
            }
            op => {
                let made = self.plain(op)?;
                let cached = matches!(&made, Made::Layer { cached: true, .. });
                self.knobs.progress.step(number, of, &text, cached);
                made
            }
        };
        let empty = !matches!(made, Made::Layer { .. });
        self.state.history(text, self.date, empty);
        match made {
            Made::Config => {}
            Made::Unchanged { cached } => self.built.reused += usize::from(cached),
            Made::Layer { layer, cached } => {
                self.built.reused += usize::from(cached);
                if !cached {
                    self.built.bytes += layer.descriptor.size;
                }
                self.layers.push(*layer);
                self.view = None;
                self.tables = None;
            }
        }
        Ok(())
    }

    /// Every instruction but `run`.
    fn plain(&mut self, op: &Op<crate::spec::Built>) -> Result<Made, Stop> {
        match op {
            Op::Env(pairs) => pairs.iter().for_each(|(name, value)| self.state.env(name, value)),
            Op::Arg(name, value) => self.state.arg(name, value),
            Op::User(user) => self.state.config.config.user.clone_from(user),
            Op::Shell(words) => self.state.config.config.shell.clone_from(words),
            Op::Workdir(path) => {
                let path = self.state.absolute(path);
                self.state.config.config.working_dir.clone_from(&path);
                let wish = self.wish(None, None)?;
                return self.layer(|layering| layering.mkdir(&path, wish));
            }
            Op::Mkdir { paths, owner, mode } => {
                let wish = self.wish(owner.as_deref(), *mode)?;
                let paths: Vec<String> = paths.iter().map(|p| self.state.absolute(p)).collect();
                return self
                    .layer(|layering| paths.iter().try_for_each(|p| layering.mkdir(p, wish)));
            }
            Op::File { path, content, owner, mode } => {
                let wish = self.wish(owner.as_deref(), *mode)?;
                let path = self.state.absolute(path);
                return self.layer(|layering| layering.file(&path, content, wish));
            }
            Op::Symlink { target, path } => {
                let (path, date) = (self.state.absolute(path), self.date);
                return self.layer(|layering| layering.symlink(target, &path, date));
            }
            Op::Remove { paths } => {
                let paths: Vec<String> = paths.iter().map(|p| self.state.absolute(p)).collect();
                return self.layer(|layering| paths.iter().try_for_each(|p| layering.remove(p)));
            }
            Op::Copy(copy) => return self.copy(copy),
            Op::Run { .. } => return Err(Fault::step("a run step came to the wrong place").into()),
        }
        Ok(Made::Config)
    }

    fn copy(&mut self, copy: &Copy<crate::spec::Built>) -> Result<Made, Stop> {
        let wish = self.wish(copy.owner.as_deref(), copy.mode)?;
        let mut dest = self.state.absolute(&copy.dest);
        if copy.dest.is_empty() || copy.dest == "." || copy.dest.ends_with("/.") {
            dest.push('/');
        }
        let native = self.native;
        match &copy.inputs {
            Inputs::Context(set) => {
                let mut unpack = |path: &std::path::Path| match copy.unpack {
                    true => native.archive_entries(path),
                    false => Ok(None),
                };
                self.layer(|layering| layering.copy_context(set, &dest, wish, &mut unpack))
            }
            Inputs::Node { node, sources } => {
                let other = native.below(&node.0)?;
                let view = native.view(&other.layers)?;
                let tree = native.flatten(&other.layers)?;
                self.layer(|layering| {
                    layering.copy_image(&node.0, &tree, &view, sources, &dest, wish)
                })
            }
        }
    }

    /// Makes a layer of what `fill` puts into it, or takes it out of the store.
    fn layer(
        &mut self,
        fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>,
    ) -> Result<Made, Stop> {
        let date = self.date;
        let mut layering = Layering::new(self.view()?);
        fill(&mut layering)?;
        let items = layering.items();
        if items.is_empty() {
            return Ok(Made::Unchanged { cached: false });
        }
        let key = layer_key(&items, date);
        if let Some(Some(row)) = self.native.store.step(&key)
            && let Some(layer) = Layer::of_row(&row)
        {
            return Ok(Made::Layer { layer: Box::new(layer), cached: true });
        }
        let begun = Instant::now();
        let entries = items.into_iter().map(|Item { entry, .. }| entry).collect();
        let layer = self.native.put_layer(&key, entries, &self.native.packing(date, self.knobs))?;
        self.built.phases.pack += begun.elapsed().as_secs_f64();
        Ok(Made::Layer { layer: Box::new(layer), cached: false })
    }

    fn view(&mut self) -> Result<&FsView, Fault> {
        let view = match self.view.take() {
            Some(view) => view,
            None => self.native.view(&self.layers)?,
        };
        Ok(self.view.insert(view))
    }

    /// The tables of users and groups as the steps so far have left them.
    pub fn tables(&mut self) -> Result<&Tables, Fault> {
        let tables = match self.tables.take() {
            Some(tables) => tables,
            None => {
                self.view()?;
                match &self.view {
                    Some(view) => self.native.tables(&self.layers, view)?,
                    None => Tables::default(),
                }
            }
        };
        Ok(self.tables.insert(tables))
    }

    fn wish(&mut self, owner: Option<&str>, mode: Option<u32>) -> Result<Wish, Fault> {
        let owned = owner.is_some();
        let owner = match owner {
            Some(text) => self.tables()?.owner(text)?,
            None => (0, 0),
        };
        Ok(Wish { owner, owned, mode, date: self.date })
    }

    /// Writes config and manifest.
    fn finish(&mut self) -> Result<(), Stop> {
        self.state.settings(&self.spec.settings);
        let unwritable = |e: mabuild_oci::Error| {
            Fault::environment(format!("cannot write the image to the store: {e}"))
        };
        let config = &mut self.state.config;
        let platform = oci_platform(&self.spec.platform);
        (config.os, config.architecture, config.variant) =
            (platform.os, platform.architecture, platform.variant);
        config.created = rfc3339(self.date).ok();
        config.rootfs.diff_ids = self.layers.iter().map(|l| l.diff_id).collect();
        let layout = self.native.store.layout();
        let bytes = config.to_bytes().map_err(unwritable)?;
        let descriptor = layout.write_blob(media_type::CONFIG, &bytes).map_err(unwritable)?;
        let layers = self.layers.iter().map(|l| l.descriptor.clone()).collect();
        let bytes = Manifest::new(descriptor, layers).to_bytes().map_err(unwritable)?;
        let written = layout.write_blob(media_type::MANIFEST, &bytes).map_err(unwritable)?;
        self.built.digest = written.digest.to_string().into();
        Ok(())
    }
}

impl Native {
    /// The entries of a local archive for `add`; none when the file is no archive.
    fn archive_entries(
        &self,
        path: &std::path::Path,
    ) -> Result<Option<Vec<mabuild_oci::layer::Entry>>, Fault> {
        let unreadable =
            |e: std::io::Error| Fault::environment(format!("cannot read {}: {e}", path.display()));
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        // Magic of POSIX and GNU archives, 257 bytes into the first block.
        let mut start = Vec::with_capacity(512);
        let read = super::base::plain(&mut file).and_then(|r| r.take(512).read_to_end(&mut start));
        if read.is_err() || start.get(257..262) != Some(b"ustar") {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let reader = super::base::plain(&mut file).map_err(unreadable)?;
        let bad = |e: mabuild_oci::Error| {
            Fault::step(format!("cannot unpack the archive {}: {e}", path.display()))
        };
        read_tar(reader, self.spool()?, &Limits::default()).map(Some).map_err(bad)
    }
}

/// `created` of a config in seconds since 1970; 0 when it has none.
pub(super) fn created(config: &ImageConfig) -> i64 {
    let time = config.created.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    time.map_or(0, jiff::Timestamp::as_second)
}
