//! Config × platforms to the graph and, node by node, to specs whose facts are still open.
//! The only reader of the language's `Config`.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use mabuild_lang::config::{
    Base, BaseSource, Config, Copy as CopyConfig, Image, Network, NodeRef,
    Settings as SettingsConfig, StepOp, Text,
};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;

use crate::facts::{DebianAsk, FilesAsk, UpstreamAsk};
use crate::graph::{Builder, Cycle, EdgeKind, Graph, NodeId, Part, ThingId, ThingKind};
use crate::spec::{Asked, AskedSpec, Copy, Inputs, Op, Settings, Source, Spec, Step};

/// A config with its graph.
#[derive(Debug)]
pub struct Lowered {
    /// The graph.
    pub graph: Arc<Graph>,
    config: Arc<Config>,
    root: PathBuf,
    source_date: Option<i64>,
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

/// Makes the graph of a config. `root` is the folder that relative paths of the main file start
/// at, made absolute; `source_date` is `SOURCE_DATE_EPOCH` when it is set.
pub fn lower(config: Arc<Config>, root: &Path, source_date: Option<i64>) -> Result<Lowered, Cycle> {
    let mut builder = Builder::default();
    let plain = |list: &[mabuild_lang::source::Spanned<Platform>]| -> Vec<Platform> {
        list.iter().map(|p| p.value.clone()).collect()
    };
    let groups = groups_of(&config);
    let mut groups = groups.into_iter();
    for base in &config.bases {
        let tags = tags(&base.tags, &base.platforms);
        let platforms = plain(&base.platforms);
        let groups = groups.next().unwrap_or_default();
        builder.thing(base.name.value.clone(), ThingKind::Base, &platforms, groups, tags);
    }
    for image in &config.images {
        let tags = tags(&image.tags, &image.platforms);
        let platforms = plain(&image.platforms);
        let groups = groups.next().unwrap_or_default();
        builder.thing(image.name.value.clone(), ThingKind::Image, &platforms, groups, tags);
    }
    for (at, image) in config.images.iter().enumerate() {
        let child = ThingId((config.bases.len() + at) as u32);
        for step in &image.steps {
            if let StepOp::Copy(CopyConfig { from: Some(from), .. })
            | StepOp::Add(CopyConfig { from: Some(from), .. }) = &step.op
            {
                builder.edge(thing_of(&config, from.value), child, EdgeKind::CopyFrom);
            }
        }
        if let Some(from) = &image.from {
            builder.edge(thing_of(&config, from.value), child, EdgeKind::From);
        }
    }
    Ok(Lowered { graph: Arc::new(builder.build()?), config, root: root.to_owned(), source_date })
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
fn tags(tags: &[Text], platforms: &[mabuild_lang::source::Spanned<Platform>]) -> Vec<String> {
    let mut out = Vec::new();
    for tag in tags {
        let one = match tag.constant() {
            Some(text) => vec![text.to_owned()],
            None => platforms
                .iter()
                .filter_map(|p| tag.render(&p.value).ok().map(|t| t.into_owned()))
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
    /// Where a thing is declared.
    pub fn span(&self, thing: ThingId) -> Option<Span> {
        self.declared(thing).map(|d| match d {
            Declared::Base(base) => base.name.span,
            Declared::Image(image) => image.name.span,
        })
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
        let r = Render { platform };
        let ask = match &base.source {
            BaseSource::Rootfs(rootfs) => UpstreamAsk::Rootfs {
                location: self.located(&base.folder, &r.text(&rootfs.location)?),
                checksums: r
                    .option(&rootfs.checksums)?
                    .map(|text| self.located(&base.folder, &text)),
                digest: r.option(&rootfs.digest)?,
            },
            BaseSource::Debian(debian) => UpstreamAsk::Debian(DebianAsk {
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
            }),
            BaseSource::OciLayout(layout) => UpstreamAsk::OciLayout {
                path: self.located(&base.folder, &r.text(&layout.path)?),
                reference: r.option(&layout.reference)?,
                platform: platform.to_string(),
            },
        };
        Ok(Spec {
            platform: platform.clone(),
            source_date: self.source_date,
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
        let r = Render { platform };
        let parent = |node: NodeRef, span: Span| {
            self.graph.on(thing_of(&self.config, node), number).ok_or_else(|| LowerError {
                message: format!("the node below has no platform {platform}"),
                span,
            })
        };
        let context = match &image.context {
            Some(context) => self.located(&image.folder, &r.text(context)?),
            None => self.located(&image.folder, ""),
        };
        let context: Arc<str> = context.into();
        let mut steps = Vec::with_capacity(image.steps.len());
        for step in &image.steps {
            if let Some(op) = r.op(&step.op, image, &context, &parent)? {
                steps.push(Step { span: step.span, op });
            }
        }
        let source = match &image.from {
            Some(from) => Source::Parent(parent(from.value, from.span)?),
            None => Source::Scratch,
        };
        Ok(Spec {
            platform: platform.clone(),
            source_date: self.source_date,
            source,
            steps,
            settings: r.settings(&image.settings)?,
        })
    }

    /// An address as it is; a path made absolute and free of `.` and `..`.
    fn located(&self, folder: &str, text: &str) -> String {
        if text.contains("://") {
            return text.to_owned();
        }
        let mut out = PathBuf::new();
        for part in self.root.join(folder).join(text).components() {
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

/// Fills in what depends on the platform.
struct Render<'a> {
    platform: &'a Platform,
}

impl Render<'_> {
    fn text(&self, text: &Text) -> Result<String, LowerError> {
        text.render(self.platform)
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
        context: &Arc<str>,
        parent: &dyn Fn(NodeRef, Span) -> Result<NodeId, LowerError>,
    ) -> Result<Copy<Asked>, LowerError> {
        let sources = self.list(&copy.sources)?;
        let inputs = match &copy.from {
            Some(from) => Inputs::Node { node: parent(from.value, from.span)?, sources },
            None => Inputs::Context(FilesAsk {
                context: context.clone(),
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
        image: &Image,
        context: &Arc<str>,
        parent: &dyn Fn(NodeRef, Span) -> Result<NodeId, LowerError>,
    ) -> Result<Option<Op<Asked>>, LowerError> {
        Ok(Some(match op {
            StepOp::Copy(copy) => Op::Copy(self.copy(copy, false, context, parent)?),
            StepOp::Add(copy) => Op::Copy(self.copy(copy, true, context, parent)?),
            StepOp::Arg { name, default } => {
                let given = image.args.iter().find(|(n, _)| n.value == name.value);
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
