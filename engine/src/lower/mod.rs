//! Config × platforms to the graph and, node by node, to specs whose facts are still open.
//! The only reader of the language's `Config`.

mod refuse;

use std::borrow::Cow;
use std::path::{Component, PathBuf};
use std::sync::Arc;

use mabuild_lang::config::{
    Base, BaseSource, Config, Copy as CopyConfig, Image, Mode, Network, NodeRef,
    Settings as SettingsConfig, Step as ConfigStep, StepOp, Test, Text, overlay_args,
};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::{Span, Spanned};

use crate::facts::{DebianAsk, FilesAsk, UpstreamAsk};
use crate::graph::{Builder, Cycle, EdgeKind, Graph, NodeId, Part, ThingId, ThingKind, Variant};
use crate::spec::{Asked, AskedSpec, Copy, Inputs, Op, Settings, Source, Spec, Step};

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
        for needed in image.stages.iter() {
            let kind = if needed.is_from { EdgeKind::From } else { EdgeKind::CopyFrom };
            builder.edge(thing_of(&config, needed.node.value), child, kind);
        }
        if let Some(from) = &image.from {
            builder.edge(thing_of(&config, from.value), child, EdgeKind::From);
        }
    }
    Ok(Lowered { graph: Arc::new(builder.build()?), config, surroundings, tested: true })
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

    /// The spec of a platform node, facts still open; none for an index.
    pub fn spec(&self, node: NodeId) -> Option<Result<AskedSpec, LowerError>> {
        let Part::On(number) = self.graph.node(node).part else { return None };
        let platform = self.graph.platforms().get(number as usize)?;
        Some(match self.declared(self.graph.node(node).thing)? {
            Declared::Base(base) => self.base(base, platform),
            Declared::Image(image) => self.image(image, platform, number),
        })
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
        let ask = match &base.source {
            BaseSource::Rootfs(rootfs) => UpstreamAsk::Rootfs {
                location: self.located(&base.folder, &r.text(&rootfs.location)?),
                checksums: r
                    .option(&rootfs.checksums)?
                    .map(|text| self.located(&base.folder, &text)),
                digest: r.option(&rootfs.digest)?,
            },
            BaseSource::Debian(debian) => {
                refuse::debian(debian)?;
                UpstreamAsk::Debian(DebianAsk {
                    suite: r.text(&debian.suite)?,
                    mirror: r.option(&debian.mirror)?,
                    signed_by: r
                        .option(&debian.signed_by)?
                        .map(|text| self.located(&base.folder, &text)),
                    components: r.list(&debian.components)?,
                    include: r.list(&debian.include)?,
                    arch: platform.debian().map(str::to_owned).ok_or_else(|| LowerError {
                        message: format!("Debian has no architecture for {platform}"),
                        span: debian.span,
                    })?,
                })
            }
            BaseSource::Registry(registry) => {
                return Err(refuse::later("bases out of a registry", registry.span));
            }
            BaseSource::OciLayout(layout) => UpstreamAsk::OciLayout {
                path: self.located(&base.folder, &r.text(&layout.path)?),
                reference: r.option(&layout.reference)?,
                platform: platform.to_string(),
            },
        };
        Ok(Spec {
            platform: platform.clone(),
            source_date: self.surroundings.source_date,
            source: Source::Upstream(ask),
            steps: Vec::new(),
            settings: r.settings(&base.settings)?,
        })
    }

    fn image(
        &self,
        image: &Image,
        platform: &Platform,
        number: u16,
    ) -> Result<AskedSpec, LowerError> {
        let r = Render { platform, values: &image.values };
        let body = &*image.body;
        refuse::image(image, platform, self.surroundings.native.contains(&&*platform.arch))?;
        self.tests(&body.tests)?;
        let here = |only: &[Spanned<Platform>]| only.iter().any(|p| p.value == *platform);
        let parent = |node: NodeRef, span: Span| {
            self.graph.on(thing_of(&self.config, node), number).ok_or_else(|| LowerError {
                message: format!("the node below has no platform {platform}"),
                span,
            })
        };
        let context = match &body.context {
            Some(context) => self.located(&context.folder, &r.text(&context.text)?),
            None => self.located(&body.folder, ""),
        };
        let (mut args, mut settings) = (Cow::Borrowed(&body.args), Cow::Borrowed(&body.settings));
        for over in body.overrides.iter().filter(|over| here(&over.platforms)) {
            overlay_args(args.to_mut(), over.args.clone());
            settings.to_mut().overlay(over.settings.clone());
        }
        let read = Read { image, args: &args, context: context.into(), parent: &parent };
        let mut steps = Vec::with_capacity(body.steps.len());
        for step in &body.steps {
            if step.only.as_ref().is_none_or(|only| here(only))
                && let Some(op) = r.op(&step.op, step.span, &read)?
            {
                steps.push(Step { span: step.span, op });
            }
        }
        let source = match &image.from {
            Some(from) => Source::Parent(parent(from.value, from.span)?),
            None => Source::Scratch,
        };
        Ok(Spec {
            platform: platform.clone(),
            source_date: self.surroundings.source_date,
            source,
            steps,
            settings: r.settings(&settings)?,
        })
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

enum Declared<'a> {
    Base(&'a Base),
    Image(&'a Image),
}

/// What the steps of an image refer to.
struct Read<'a> {
    image: &'a Image,
    /// Arguments, those of the platform put in.
    args: &'a [(Spanned<Arc<str>>, Text)],
    /// The build context, absolute.
    context: Arc<str>,
    /// The node of a reference on the platform.
    parent: &'a dyn Fn(NodeRef, Span) -> Result<NodeId, LowerError>,
}

/// Fills in what depends on the platform and on the variant.
struct Render<'a> {
    platform: &'a Platform,
    values: &'a [Arc<str>],
}

impl Render<'_> {
    fn text(&self, text: &Text) -> Result<String, LowerError> {
        text.render(self.platform, self.values)
            .map(|t| t.into_owned())
            .map_err(|message| LowerError { message, span: text.span })
    }

    fn option(&self, text: &Option<Text>) -> Result<Option<String>, LowerError> {
        text.as_ref().map(|t| self.text(t)).transpose()
    }

    fn list(&self, list: &[Text]) -> Result<Vec<String>, LowerError> {
        list.iter().map(|t| self.text(t)).collect()
    }

    fn pairs(&self, pairs: &[(String, Text)]) -> Result<Vec<(String, String)>, LowerError> {
        pairs.iter().map(|(name, text)| Ok((name.clone(), self.text(text)?))).collect()
    }

    fn copy(
        &self,
        copy: &CopyConfig,
        unpack: bool,
        span: Span,
        read: &Read<'_>,
    ) -> Result<Copy<Asked>, LowerError> {
        let sources = self.list(&copy.sources)?;
        let from = copy.from.map(|at| {
            let found = read.image.copies.get(at).and_then(Option::as_ref);
            let message = "the node to copy from is not known".to_owned();
            found.ok_or(LowerError { message, span })
        });
        let inputs = match from.transpose()? {
            Some(from) => Inputs::Node { node: (read.parent)(from.value, from.span)?, sources },
            None => Inputs::Context(FilesAsk {
                context: read.context.clone(),
                sources,
                checksum: self.option(&copy.checksum)?,
            }),
        };
        Ok(Copy {
            inputs,
            dest: self.text(&copy.dest)?,
            owner: self.option(&copy.chown)?,
            mode: copy.mode,
            unpack,
        })
    }

    /// The instruction; none for an argument that has no value.
    fn op(
        &self,
        op: &StepOp,
        span: Span,
        read: &Read<'_>,
    ) -> Result<Option<Op<Asked>>, LowerError> {
        Ok(Some(match op {
            StepOp::Copy(copy) => Op::Copy(self.copy(copy, false, span, read)?),
            StepOp::Add(copy) => Op::Copy(self.copy(copy, true, span, read)?),
            StepOp::Packages { .. } => return Err(refuse::later("`packages`", span)),
            StepOp::Arg { name, default } => {
                let given = read.args.iter().find(|(n, _)| n.value == name.value);
                match given.map(|(_, value)| value).or(default.as_ref()) {
                    Some(value) => Op::Arg(name.value.to_string(), self.text(value)?),
                    None => return Ok(None),
                }
            }
            StepOp::File { path, content, chown, mode } => Op::File {
                path: self.text(path)?,
                content: self.text(content)?,
                owner: self.option(chown)?,
                mode: *mode,
            },
            StepOp::Mkdir { paths, chown, mode } => {
                Op::Mkdir { paths: self.list(paths)?, owner: self.option(chown)?, mode: *mode }
            }
            StepOp::Symlink { target, path } => {
                Op::Symlink { target: self.text(target)?, path: self.text(path)? }
            }
            StepOp::Remove { paths } => Op::Remove { paths: self.list(paths)? },
            StepOp::Run(run) => {
                Op::Run { words: self.list(&run.words)?, network: run.network == Network::Default }
            }
            StepOp::Env { pairs } => Op::Env(self.pairs(pairs)?),
            StepOp::Workdir { path } => Op::Workdir(self.text(path)?),
            StepOp::User { user } => Op::User(self.text(user)?),
            StepOp::Shell { words } => Op::Shell(self.list(words)?),
        }))
    }

    fn settings(&self, settings: &SettingsConfig) -> Result<Settings, LowerError> {
        let words = |list: &Option<Vec<Text>>| list.as_ref().map(|l| self.list(l)).transpose();
        let mut labels = Vec::with_capacity(settings.labels.len());
        for (name, value) in &settings.labels {
            labels.push((self.text(name)?, self.text(value)?));
        }
        Ok(Settings {
            env: self.pairs(&settings.env)?,
            labels,
            entrypoint: words(&settings.entrypoint)?,
            cmd: words(&settings.cmd)?,
            expose: self.list(&settings.expose)?,
            volumes: self.list(&settings.volumes)?,
            workdir: self.option(&settings.workdir)?,
            user: self.option(&settings.user)?,
            stop_signal: self.option(&settings.stop_signal)?,
        })
    }
}
