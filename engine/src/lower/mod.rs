//! Config × platforms to the graph and, node by node, to specs whose facts are still open.
//! The only reader of the language's `Config`.

mod bases;
mod dockerfile;
mod publishing;
mod refuse;
mod steps;

use std::borrow::Cow;
use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mabuild_lang::config::{
    Base, Build, Config, ContextSource, Image, Mode, Named, NodeRef, Secret, SecretSource,
    Step as ConfigStep, StepOp, Test, Text, overlay_args,
};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::{Span, Spanned};

use crate::facts::{Distro, ImageFacts};
use crate::graph::{Builder, Cycle, EdgeKind, Graph, NodeId, Part, ThingId, ThingKind, Variant};
use crate::spec::{Asked, AskedSpec, Source, Spec, Stage, Step};
use steps::{Read, Render};

/// Says what is known of an image that a node stands on.
pub trait Below {
    /// Its config, as far as an expansion asks for it; none while that is not known.
    fn image(&self, node: NodeId) -> Option<Arc<ImageFacts>>;
    /// Its distribution; none while that is not known. The error says why it cannot be told.
    fn distro(&self, node: NodeId) -> Option<Result<Arc<Distro>, String>>;
}

/// Knows nothing of any image.
#[derive(Clone, Copy, Debug)]
pub struct Unknown;

impl Below for Unknown {
    fn image(&self, _: NodeId) -> Option<Arc<ImageFacts>> {
        None
    }

    fn distro(&self, _: NodeId) -> Option<Result<Arc<Distro>, String>> {
        None
    }
}

/// A config with its graph.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The graph.
    pub graph: Arc<Graph>,
    config: Arc<Config>,
    surroundings: Surroundings,
    tested: bool,
}

/// A spec that cannot be made, with the place that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LowerError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// What a build depends on beside the files of the project.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The folder that relative paths of the main file start at, absolute.
    pub root: PathBuf,
    /// `SOURCE_DATE_EPOCH` where it is set, seconds since 1970.
    pub source_date: Option<i64>,
    /// Architectures whose programs this machine runs, in OCI's spelling.
    pub native: Vec<&'static str>,
    /// Whether a RUN that says nothing of its network has one.
    pub network: bool,
}

/// Makes the graph of a config.
pub fn lower(config: Arc<Config>, surroundings: Surroundings) -> Result<Lowered, Cycle> {
    let mut builder = Builder::default();
    let plain = |list: &[Spanned<Platform>]| -> Vec<Platform> {
        list.iter().map(|p| p.value.clone()).collect()
    };
    let groups = groups_of(&config);
    let mut groups = groups.into_iter();
    for base in &config.bases {
        let tags = tags(&base.tags, &[], &base.platforms);
        let platforms = plain(&base.platforms);
        let groups = groups.next().unwrap_or_default();
        builder.thing(base.name.value.clone(), ThingKind::Base, &platforms, groups, tags);
    }
    for image in &config.images {
        let tags = tags(&image.body.tags, &image.values, &image.platforms);
        let platforms = plain(&image.platforms);
        let groups = groups.next().unwrap_or_default();
        let id = builder.thing(image.name.clone(), ThingKind::Image, &platforms, groups, tags);
        if !image.values.is_empty() {
            let (family, axes) = (image.body.name.value.clone(), image.body.axes.clone());
            builder.variant(id, Variant { family, axes, values: image.values.clone() });
        }
    }
    for (at, image) in config.images.iter().enumerate() {
        let child = ThingId((config.bases.len() + at) as u32);
        for from in image.copies.iter().flatten() {
            builder.edge(thing_of(&config, from.value), child, EdgeKind::CopyFrom);
        }
        edges_of_builds(&mut builder, &config, image, child);
        if let Some(from) = &image.from {
            builder.edge(thing_of(&config, from.value), child, EdgeKind::From);
        }
    }
    Ok(Lowered { graph: Arc::new(builder.build()?), config, surroundings, tested: true })
}

/// What a Dockerfile names, on each platform of its image.
fn edges_of_builds(builder: &mut Builder, config: &Config, image: &Image, child: ThingId) {
    for (platform, build) in image.platforms.iter().zip(image.builds.iter()) {
        for place in &build.places {
            if let Named::Node(node) = place.what {
                let kind = if place.is_from { EdgeKind::From } else { EdgeKind::CopyFrom };
                let parent = (thing_of(config, node), &place.platform);
                builder.edge_on(parent, (child, &platform.value), kind);
            }
        }
    }
}

fn thing_of(config: &Config, node: NodeRef) -> ThingId {
    match node {
        NodeRef::Base(id) => ThingId(id.0),
        NodeRef::Image(id) => ThingId(config.bases.len() as u32 + id.0),
    }
}

/// Group names of each thing, bases first.
fn groups_of(config: &Config) -> Vec<Vec<Arc<str>>> {
    let mut groups: Vec<Vec<Arc<str>>> = vec![vec![]; config.bases.len() + config.images.len()];
    for group in &config.groups {
        for member in &group.members {
            if let Some(list) = groups.get_mut(thing_of(config, member.value).0 as usize) {
                list.push(group.name.value.clone());
            }
        }
    }
    groups
}

/// Tags as text. A tag that differs by platform stands once for each.
fn tags(tags: &[Text], values: &[Arc<str>], platforms: &[Spanned<Platform>]) -> Vec<String> {
    let mut out = Vec::new();
    for tag in tags {
        let one = match tag.of_variant(values) {
            Some(text) => vec![text.into_owned()],
            None => platforms
                .iter()
                .filter_map(|p| tag.render(&p.value, values).ok().map(|t| t.into_owned()))
                .collect(),
        };
        for tag in one {
            if !out.contains(&tag) {
                out.push(tag);
            }
        }
    }
    out
}

impl Lowered {
    /// Builds nodes without their tests.
    pub fn skip_tests(&mut self) {
        self.tested = false;
    }

    /// Bases that no `base` declares, each with where it is first named.
    pub fn implicit(&self) -> impl Iterator<Item = (&str, Span)> {
        let implicit = self.config.bases.iter().filter(|base| base.implicit);
        implicit.map(|base| (&*base.name.value, base.name.span))
    }

    /// What is to be called after a run and is not: this version calls nothing.
    pub fn uncalled(&self) -> impl Iterator<Item = Span> {
        self.config.hooks.iter().map(|hook| hook.span)
    }

    /// Where a thing is declared.
    pub fn span(&self, thing: ThingId) -> Option<Span> {
        self.declared(thing).map(|d| match d {
            Declared::Base(base) => base.name.span,
            Declared::Image(image) => image.body.name.span,
        })
    }

    /// Whether the spec of a platform node asks for no facts and cannot be refused, so that it need
    /// not be made to find that out.
    pub fn asks_nothing(&self, node: NodeId) -> bool {
        let node = self.graph.node(node);
        match self.declared(node.thing) {
            Some(Declared::Image(image)) if matches!(node.part, Part::On(_)) => {
                let reads = |step: &ConfigStep| match &step.op {
                    StepOp::Copy(copy) | StepOp::Add(copy) => copy.from.is_none(),
                    StepOp::Packages { .. } => true,
                    _ => false,
                };
                let body = &*image.body;
                let is_tested = self.tested && !body.tests.is_empty();
                let is_free = matches!(body.mode.value, Mode::Auto | Mode::Emulate);
                body.dockerfile.is_none() && is_free && !is_tested && !body.steps.iter().any(reads)
            }
            _ => false,
        }
    }

    /// The spec of a platform node, facts still open; none for an index. What `below` does not
    /// know of a parent is taken for empty, which only matters to what a Dockerfile expands.
    pub fn spec(&self, node: NodeId, below: &dyn Below) -> Option<Result<AskedSpec, LowerError>> {
        let Part::On(number) = self.graph.node(node).part else { return None };
        let platform = self.graph.platforms().get(number as usize)?;
        Some(match self.declared(self.graph.node(node).thing)? {
            Declared::Base(base) => self.base(base, platform),
            Declared::Image(image) => self.image(image, platform, number, below),
        })
    }

    /// When a node moves with its upstream.
    pub fn moves(&self, node: NodeId) -> Moves {
        let moves = match self.declared(self.graph.node(node).thing) {
            Some(Declared::Base(base)) => &base.moves,
            Some(Declared::Image(image)) => &image.body.moves,
            None => return Moves::default(),
        };
        let hold = moves.hold.as_ref().map(|hold| hold.value.clone());
        Moves { min_age: moves.min_age, hold, pinned: moves.pin.is_some() }
    }

    /// Which newer packages make a node stale; none where no one watches them.
    pub fn watch(&self, node: NodeId) -> Option<Watch> {
        match self.declared(self.graph.node(node).thing) {
            Some(Declared::Image(image)) => {
                let watch = image.body.watch.as_ref()?;
                Some(Watch { security: watch.security, every: watch.every })
            }
            _ => None,
        }
    }

    /// The secrets that an image declares: their names, and where their values are.
    pub fn secrets(&self, node: NodeId) -> Vec<(String, SecretPlace)> {
        let Some(Declared::Image(image)) = self.declared(self.graph.node(node).thing) else {
            return Vec::new();
        };
        let Some(platform) = self.graph.platform(node) else { return Vec::new() };
        let r = Render { platform, values: &image.values };
        let place = |secret: &Secret| match &secret.source {
            SecretSource::Env(name) => Some(SecretPlace::Env(name.value.clone())),
            SecretSource::File(file) => {
                let path = self.located(&file.folder, &r.text(&file.text).ok()?);
                Some(SecretPlace::File(path.into()))
            }
        };
        let secrets = image.body.secrets.iter();
        secrets.filter_map(|secret| Some((secret.id.value.to_string(), place(secret)?))).collect()
    }

    fn declared(&self, thing: ThingId) -> Option<Declared<'_>> {
        let at = thing.0 as usize;
        match self.config.bases.get(at) {
            Some(base) => Some(Declared::Base(base)),
            None => self.config.images.get(at - self.config.bases.len()).map(Declared::Image),
        }
    }

    fn base(&self, base: &Base, platform: &Platform) -> Result<AskedSpec, LowerError> {
        self.tests(&base.tests)?;
        let r = Render { platform, values: &[] };
        let located = |text: &str| self.located(&base.folder, text);
        let ask = bases::ask(base, &r, &located)?;
        Ok(Spec {
            platform: platform.clone(),
            source_date: self.surroundings.source_date,
            stages: vec![Stage::of(platform.clone(), Source::Upstream(ask), Vec::new())],
            settings: r.settings(&base.settings)?,
            watched: Vec::new(),
        })
    }

    fn image(
        &self,
        image: &Image,
        platform: &Platform,
        number: u16,
        below: &dyn Below,
    ) -> Result<AskedSpec, LowerError> {
        let r = Render { platform, values: &image.values };
        let body = &*image.body;
        self.tests(&body.tests)?;
        let here = |only: &[Spanned<Platform>]| only.iter().any(|p| p.value == *platform);
        let (mut args, mut settings) = (Cow::Borrowed(&body.args), Cow::Borrowed(&body.settings));
        for over in body.overrides.iter().filter(|over| here(&over.platforms)) {
            overlay_args(args.to_mut(), over.args.clone());
            settings.to_mut().overlay(over.settings.clone());
        }
        let at = image.platforms.iter().position(|known| known.value == *platform);
        let mut settings = r.settings(&settings)?;
        let stages = match at.and_then(|at| image.builds.get(at)) {
            Some(build) => {
                // As BuildKit's `--label`.
                settings.unlisted = std::mem::take(&mut settings.labels);
                self.recipe(build, image, &r, &args, below)?
            }
            None => vec![self.steps(image, &r, &args, number, below)?],
        };
        refuse::programs(&body.mode, &stages, &self.surroundings.native)?;
        Ok(Spec {
            platform: platform.clone(),
            source_date: self.surroundings.source_date,
            stages,
            settings,
            watched: Vec::new(),
        })
    }

    /// The one stage of an image that is described by steps.
    fn steps(
        &self,
        image: &Image,
        r: &Render<'_>,
        args: &[(Spanned<Arc<str>>, Text)],
        number: u16,
        below: &dyn Below,
    ) -> Result<Stage<Asked>, LowerError> {
        let body = &*image.body;
        let here = |only: &[Spanned<Platform>]| only.iter().any(|p| p.value == *r.platform);
        let parent = |node: NodeRef, span: Span| {
            let found = self.graph.on(thing_of(&self.config, node), number);
            found.ok_or_else(|| lacks(r.platform, span))
        };
        let context = self.context(image, r)?;
        let source = match &image.from {
            Some(from) => Source::Parent(parent(from.value, from.span)?),
            None => Source::Scratch,
        };
        let mut steps = Vec::with_capacity(body.steps.len());
        let chosen = body.steps.iter().filter(|step| step.only.as_ref().is_none_or(|o| here(o)));
        let chosen: Vec<&ConfigStep> = chosen.collect();
        let packages = chosen.iter().find(|step| matches!(step.op, StepOp::Packages { .. }));
        let distro = match (packages, &source) {
            (None, _) => None,
            (Some(step), Source::Parent(parent)) => below
                .distro(*parent)
                .transpose()
                .map_err(|message| LowerError { message, span: step.span })?,
            (Some(step), _) => {
                return Err(LowerError {
                    message: "`packages` needs an image below that has a distribution".to_owned(),
                    span: step.span,
                });
            }
        };
        let read = Read { image, args, context, distro, parent: &parent };
        for step in chosen {
            if let Some(op) = r.op(&step.op, step.span, &read, &steps)? {
                steps.push(Step { span: step.span, text: None, op });
            }
        }
        Ok(Stage::of(r.platform.clone(), source, steps))
    }

    /// The stages of an image that a Dockerfile describes.
    fn recipe(
        &self,
        build: &Build,
        image: &Image,
        r: &Render<'_>,
        args: &[(Spanned<Arc<str>>, Text)],
        below: &dyn Below,
    ) -> Result<Vec<Stage<Asked>>, LowerError> {
        let body = &*image.body;
        let mut given = Vec::with_capacity(args.len());
        for (name, value) in args {
            given.push((name.value.to_string(), r.text(value)?));
        }
        let node = |node: NodeRef, platform: &Platform, span: Span| {
            let found = self.graph.at(thing_of(&self.config, node), platform);
            found.ok_or_else(|| lacks(platform, span))
        };
        let folder = |at: usize| match body.named_contexts.get(at).map(|named| &named.source) {
            Some(ContextSource::Folder(folder)) => {
                Ok(self.located(&folder.folder, &r.text(&folder.text)?).into())
            }
            _ => Err(LowerError { message: "a context is not known".to_owned(), span: body.span }),
        };
        dockerfile::stages(&dockerfile::Recipe {
            build,
            target: r.option(&body.target)?,
            platform: r.platform,
            native: &self.config.build_platform,
            args: given,
            context: self.context(image, r)?,
            ignore: self.located("", &format!("{}.dockerignore", build.recipe.path)).into(),
            network: self.surroundings.network,
            node: &node,
            folder: &folder,
            below,
        })
    }

    /// The build context of an image, absolute.
    fn context(&self, image: &Image, r: &Render<'_>) -> Result<Arc<str>, LowerError> {
        let body = &*image.body;
        if let Some(context) = &body.context {
            return Ok(self.located(&context.folder, &r.text(&context.text)?).into());
        }
        let Some(dockerfile) = &body.dockerfile else {
            return Ok(self.located(&body.folder, "").into());
        };
        let path = &dockerfile.path;
        let mut folder = PathBuf::from(self.located(&path.folder, &r.text(&path.text)?));
        folder.pop();
        Ok(folder.to_string_lossy().as_ref().into())
    }

    fn tests(&self, tests: &[Test]) -> Result<(), LowerError> {
        if self.tested { refuse::tests(tests) } else { Ok(()) }
    }

    /// An address as it is; a path made absolute and free of `.` and `..`.
    fn located(&self, folder: &str, text: &str) -> String {
        if text.contains("://") {
            return text.to_owned();
        }
        let mut out = PathBuf::new();
        for part in self.surroundings.root.join(folder).join(text).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    out.pop();
                }
                other => out.push(other),
            }
        }
        out.to_string_lossy().into_owned()
    }
}

/// When a node moves with its upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// How old what is new has to be before it is taken.
    pub min_age: Option<Duration>,
    /// The time before which it does not move, in seconds since 1970, and why.
    pub hold: Option<(i64, Option<String>)>,
    /// Whether it moves only when it is updated by its name.
    pub pinned: bool,
}

/// Which newer packages make an image stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Whether only packages of archives for security count.
    pub security: bool,
    /// How long after one rebuild the next one comes at the earliest.
    pub every: Option<Duration>,
}

/// Where the value of a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a variable of the environment.
    Env(String),
    /// In a file, absolute.
    File(PathBuf),
}

enum Declared<'a> {
    Base(&'a Base),
    Image(&'a Image),
}

fn lacks(platform: &Platform, span: Span) -> LowerError {
    LowerError { message: format!("the node below has no platform {platform}"), span }
}
