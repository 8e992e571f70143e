//! One stage from start to end: what is below, then step by step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use mabuild_oci::ImageConfig;
use mabuild_oci::layer::FsView;
use mabuild_oci::layer::tree_index::ContentDigest;

use super::config::State;
use super::files::{Layering, Wish};
use super::history;
use super::item::{Item, layer_key};
use super::layers::{Below, Layer};
use super::users::{Tables, numbers};
use super::{Native, Stop};
use crate::exec::{Built, Fault, Knobs, StepAt};
use crate::publish::oci_platform;
use crate::spec::{self, BuildSpec, Op, Settings, Source, Stage, Step};

/// A finished stage.
#[derive(Debug)]
pub(super) struct Ended {
    pub state: State,
    pub layers: Vec<Layer>,
    /// `SOURCE_DATE_EPOCH`, or the newest date of the inputs.
    pub date: i64,
    /// The manifest of a base that is taken as it is.
    pub whole: Option<Arc<str>>,
}

/// A stage under way.
pub(super) struct Build<'a> {
    pub native: &'a Native,
    pub spec: &'a BuildSpec,
    pub stage: &'a Stage<spec::Built>,
    /// The stages that it needs.
    pub done: &'a HashMap<usize, Arc<Ended>>,
    pub knobs: &'a Knobs,
    pub state: State,
    pub layers: Vec<Layer>,
    pub date: i64,
    pub built: Built,
    view: Option<Arc<FsView>>,
    tables: Option<Tables>,
}

/// The date of files that a step makes of a context: they have none of their own that all machines
/// agree on, and that of the image below would make another layer whenever only that has moved.
/// The first second of 1980, which every archive format can say.
const PLAIN_DATE: i64 = 315_532_800;

/// What a step made.
pub(super) enum Made {
    /// Nothing but config.
    Config,
    /// A layer, out of the store or new.
    Layer { layer: Box<Layer>, cached: bool },
    /// A step that changed no file.
    Unchanged { cached: bool },
}

pub(super) fn build(
    native: &Native,
    spec: &BuildSpec,
    at: usize,
    done: &HashMap<usize, Arc<Ended>>,
    knobs: &Knobs,
    is_over: &dyn Fn() -> bool,
) -> Result<(Ended, Built), Stop> {
    let Some(stage) = spec.stages.get(at) else {
        return Err(Fault::step("there is no such stage").into());
    };
    let is_last = at + 1 == spec.stages.len();
    let mut build = Build {
        native,
        spec,
        stage,
        done,
        knobs,
        state: State::new(ImageConfig::new(&oci_platform(&stage.platform))),
        layers: Vec::new(),
        date: spec.source_date.unwrap_or(PLAIN_DATE),
        built: Built::default(),
        view: None,
        tables: None,
    };
    let settings = if is_last { &spec.settings } else { &Settings::default() };
    let is_bare = stage.steps.is_empty() && *settings == Settings::default();
    if let Some(whole) = build.start(is_bare)? {
        let Build { state, layers, date, built, .. } = build;
        return Ok((Ended { state, layers, date, whole: Some(whole) }, built));
    }
    build.state.begin(&stage.platform.os);
    let of = stage.steps.len();
    for (number, step) in (1..).zip(&stage.steps) {
        if knobs.cancel.is_cancelled() || is_over() {
            return Err(Stop::Cancelled);
        }
        let at = StepAt { stage: &stage.name, number, of };
        build.step(at, step).map_err(|stop| match stop {
            Stop::Fault(fault) => Stop::Fault(fault.at(step.span)),
            Stop::Cancelled => Stop::Cancelled,
        })?;
    }
    for op in settings.ops() {
        build.plain(&op)?;
    }
    build.state.config.config.labels.extend(settings.unlisted.iter().cloned());
    let Build { state, layers, date, built, .. } = build;
    Ok((Ended { state, layers, date, whole: None }, built))
}

impl Build<'_> {
    /// Lays the ground. A digest is the whole result: a base that is taken as it is.
    fn start(&mut self, is_bare: bool) -> Result<Option<Arc<str>>, Stop> {
        match &self.stage.source {
            Source::Scratch => self.state.config.config.working_dir = "/".to_owned(),
            Source::Parent(parent) => {
                let Below { config, layers } = self.native.below(&parent.0)?;
                self.date = self.spec.source_date.unwrap_or_else(|| created(&config));
                self.layers = layers;
                self.state = State::new(config);
            }
            Source::Stage(at) => {
                let below = self.ended(*at)?;
                self.date = below.date;
                self.layers.clone_from(&below.layers);
                self.state = below.state.clone();
            }
            Source::Upstream(pin) => {
                let platform = &self.stage.platform;
                let (spec, knobs) = (self.spec, self.knobs);
                let base = self.native.base(pin, platform, spec, knobs, &mut self.built)?;
                self.date = base.date;
                self.layers = base.layers;
                if let Some(config) = base.config {
                    self.state = State::new(config);
                } else {
                    for text in base.history {
                        self.state.history(history::Line::plain(text), self.date);
                    }
                }
                return Ok(base.manifest.filter(|_| is_bare));
            }
        }
        Ok(None)
    }

    /// A stage that this one needs.
    pub fn ended(&self, at: usize) -> Result<Arc<Ended>, Fault> {
        let ended = self.done.get(&at).cloned();
        ended.ok_or_else(|| Fault::step("a stage was begun before those it needs"))
    }

    /// The layers of an image that a step reads from.
    pub fn image(&self, image: &spec::Image<spec::Built>) -> Result<Vec<Layer>, Fault> {
        self.image_of(image).map(|(layers, _)| layers)
    }

    /// The same, and whether they are those of Windows.
    pub fn image_of(&self, image: &spec::Image<spec::Built>) -> Result<(Vec<Layer>, bool), Fault> {
        Ok(match image {
            spec::Image::Parent(parent) => {
                let below = self.native.below(&parent.0)?;
                (below.layers, below.config.os == "windows")
            }
            spec::Image::Stage(at) => {
                let ended = self.ended(*at)?;
                (ended.layers.clone(), ended.state.is_windows())
            }
        })
    }

    fn step(&mut self, at: StepAt<'_>, step: &Step<spec::Built>) -> Result<(), Stop> {
        let text = step.describe();
        if let Op::Run(run) = &step.op {
            let progress = self.knobs.progress.clone();
            let made = self.run(run, &|cached| progress.step(at, &text, cached))?;
            return self.made(&step.op, made);
        }
        if let Op::Packages(packages) = &step.op {
            let progress = self.knobs.progress.clone();
            let made = self.packages(packages, &|cached| progress.step(at, &text, cached))?;
            return self.made(&step.op, made);
        }
        let cached = self.plain(&step.op)?;
        self.knobs.progress.step(at, &text, cached);
        Ok(())
    }

    /// Every instruction but `run` and `packages`; gives whether its layer came out of the store.
    fn plain(&mut self, op: &Op<spec::Built>) -> Result<bool, Stop> {
        if let (true, Op::Workdir(path)) = (self.state.is_windows(), op) {
            super::windows::absolute(self.state.workdir(), path)?;
        }
        self.state.apply(op);
        let made = match op {
            Op::Workdir(_) => {
                let path = self.state.folder();
                if path == "/" {
                    Made::Config
                } else {
                    let owner = Some(self.state.config.config.user.clone());
                    let owner = owner.as_deref().filter(|user| !user.is_empty());
                    // A user that is not there yet owns nothing; BuildKit takes root as well.
                    let wish = self.wish(owner, None).or_else(|_| self.wish(None, None))?;
                    self.layer(|layering| layering.workdir(&path, wish))?
                }
            }
            Op::Mkdir { paths, owner, mode } => {
                let wish = self.wish(owner.as_deref(), *mode)?;
                let paths: Vec<String> = paths.iter().map(|p| self.state.absolute(p)).collect();
                self.layer(|layering| paths.iter().try_for_each(|p| layering.mkdir(p, wish)))?
            }
            Op::File { path, content, owner, mode } => {
                let wish = self.wish(owner.as_deref(), *mode)?;
                let path = self.state.absolute(path);
                self.layer(|layering| layering.file(&path, content, wish))?
            }
            Op::Symlink { target, path } => {
                let (path, date) = (self.state.absolute(path), self.plain_date());
                self.layer(|layering| layering.symlink(target, &path, date))?
            }
            Op::Remove { paths } => {
                let paths: Vec<String> = paths.iter().map(|p| self.state.absolute(p)).collect();
                self.layer(|layering| paths.iter().try_for_each(|p| layering.remove(p)))?
            }
            Op::Copy(copy) => self.copy(copy)?,
            _ => Made::Config,
        };
        let cached = matches!(&made, Made::Layer { cached: true, .. });
        self.made(op, made)?;
        Ok(cached)
    }

    /// Takes over what a step made, and writes its line of the history.
    fn made(&mut self, op: &Op<spec::Built>, made: Made) -> Result<(), Stop> {
        if let Some(line) = history::line(op, &self.state) {
            self.state.history(line, self.date);
        }
        let layer = match made {
            Made::Config => return Ok(()),
            Made::Unchanged { cached } => {
                self.built.reused += usize::from(cached);
                // BuildKit too has a layer for every such instruction, so that lines of the
                // history and layers go together.
                self.native.empty_layer(self.knobs)?
            }
            Made::Layer { layer, cached } => {
                self.built.reused += usize::from(cached);
                if !cached {
                    self.built.bytes += layer.descriptor.size;
                }
                self.view = None;
                self.tables = None;
                *layer
            }
        };
        self.layers.push(layer);
        Ok(())
    }

    /// The date of what a step makes without looking at the image below.
    pub fn plain_date(&self) -> i64 {
        self.spec.source_date.unwrap_or(PLAIN_DATE)
    }

    /// Makes a layer of what `fill` puts into it, or takes it out of the store.
    pub fn layer(
        &mut self,
        fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>,
    ) -> Result<Made, Stop> {
        let view = self.view()?;
        let below = self.layers.clone();
        self.layer_on(&view, &below, fill)
    }

    /// The same over a view of other layers.
    pub fn layer_on(
        &mut self,
        view: &FsView,
        below: &[Layer],
        fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>,
    ) -> Result<Made, Stop> {
        let mut layering = Layering::new(view, below);
        fill(&mut layering)?;
        let mut items = layering.items();
        if items.is_empty() {
            return Ok(Made::Unchanged { cached: false });
        }
        if self.state.is_windows() {
            items = super::windows::wrapped(items, self.plain_date());
        }
        // Dates that come along, out of archives and other images, are kept unless one is given.
        let clamp = self.spec.source_date.unwrap_or(i64::MAX);
        let key = self.knobs.place(layer_key(&items, clamp));
        let stored = || self.native.store.step(&key).flatten().and_then(|row| Layer::of_row(&row));
        if let Some(layer) = stored() {
            return Ok(Made::Layer { layer: Box::new(layer), cached: true });
        }
        // Equal layers of two images are made once.
        let guard = self.native.store.lock(&format!("layer-{}", key.hex()));
        let _guard = guard.map_err(|e| Fault::environment(e.to_string()))?;
        if let Some(layer) = stored() {
            return Ok(Made::Layer { layer: Box::new(layer), cached: true });
        }
        let begun = Instant::now();
        self.native.fill(&mut items)?;
        let digests: HashMap<Vec<u8>, ContentDigest> =
            items.iter().map(|item| (item.entry.path.clone(), item.id)).collect();
        let entries = items.into_iter().map(|Item { entry, .. }| entry).collect();
        let packing = self.native.packing(clamp, self.knobs);
        let layer = self.native.put_layer(&key, entries, &digests, &packing)?;
        self.built.phases.pack += begun.elapsed().as_secs_f64();
        Ok(Made::Layer { layer: Box::new(layer), cached: false })
    }

    /// What lies below, merged.
    pub fn view(&mut self) -> Result<Arc<FsView>, Fault> {
        let view = match self.view.take() {
            Some(view) => view,
            None if self.state.is_windows() => Arc::new(self.native.windows_view(&self.layers)?),
            None => self.native.view(&self.layers)?,
        };
        Ok(self.view.insert(view).clone())
    }

    /// The tables of users and groups as the steps so far have left them.
    pub fn tables(&mut self) -> Result<&Tables, Fault> {
        let tables = match self.tables.take() {
            Some(tables) => tables,
            None => {
                let view = self.view()?;
                self.native.tables(&self.layers, &view)?
            }
        };
        Ok(self.tables.insert(tables))
    }

    pub fn wish(&mut self, owner: Option<&str>, mode: Option<u32>) -> Result<Wish, Fault> {
        // Owners of Linux mean nothing to Windows.
        let owner = owner.filter(|_| !self.state.is_windows());
        let owned = owner.is_some();
        let owner = match owner {
            None => (0, 0),
            // Numbers need no table, so that nothing of what lies below is read.
            Some(text) => match numbers(text) {
                Some(owner) => owner,
                None if self.layers.is_empty() => {
                    return Err(Fault::step(format!(
                        "there is no image below, and so no user `{text}`; write its number"
                    )));
                }
                None => self.tables()?.owner(text),
            },
        };
        Ok(Wish { owner, owned, mode, date: self.plain_date() })
    }
}

/// `created` of a config in seconds since 1970; 0 when it has none.
pub(super) fn created(config: &ImageConfig) -> i64 {
    let time = config.created.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    time.map_or(0, jiff::Timestamp::as_second)
}
