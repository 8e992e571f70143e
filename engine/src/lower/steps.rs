//! Steps of a description to instructions.

use std::sync::Arc;

use mabuild_lang::config::{
    Copy as CopyConfig, Image, Network, NodeRef, Settings as SettingsConfig, StepOp, Text,
};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::{Span, Spanned};

use super::LowerError;
use crate::facts::{ContextAsk, Distro, FilesAsk, PackagesAsk, UpstreamAsk};
use crate::graph::NodeId;
use crate::spec::{
    Arg, Asked, Command, Copy, Image as ImageRef, Input, Op, Packages, Program, Run, Settings, Step,
};

/// What a `copy` or `add` reads from outside: addresses one by one, the rest together.
fn inputs(
    context: &Arc<str>,
    sources: &[String],
    add: bool,
    checksum: Option<&str>,
) -> Vec<Input<Asked>> {
    let is_address =
        |source: &&String| add && (source.starts_with("http://") || source.starts_with("https://"));
    let mut out = Vec::new();
    for run in sources.chunk_by(|a, b| !is_address(&a) && !is_address(&b)) {
        out.push(Input::Files(match run {
            [address] if is_address(&address) => {
                FilesAsk::Url { location: address.clone(), checksum: checksum.map(str::to_owned) }
            }
            paths => FilesAsk::Context(ContextAsk::of(context.clone(), paths.to_vec())),
        }));
    }
    out
}

/// The words of a `run`: one is text for the shell, more are a program and its arguments.
fn command(mut words: Vec<String>) -> Command {
    match words.pop() {
        Some(text) if words.is_empty() => Command::Shell(text),
        Some(last) => {
            words.push(last);
            Command::Exec(words)
        }
        None => Command::Exec(words),
    }
}

/// What the steps of an image refer to.
pub(super) struct Read<'a> {
    pub image: &'a Image,
    /// Arguments, those of the platform put in.
    pub args: &'a [(Spanned<Arc<str>>, Text)],
    /// The build context, absolute.
    pub context: Arc<str>,
    /// What the image below is, as far as that is known.
    pub distro: Option<Arc<Distro>>,
    /// The node of a reference on the platform.
    pub parent: &'a dyn Fn(NodeRef, Span) -> Result<NodeId, LowerError>,
}

/// Fills in what depends on the platform and on the variant.
pub(super) struct Render<'a> {
    pub platform: &'a Platform,
    pub values: &'a [Arc<str>],
}

impl Render<'_> {
    pub fn text(&self, text: &Text) -> Result<String, LowerError> {
        text.render(self.platform, self.values)
            .map(|t| t.into_owned())
            .map_err(|message| LowerError { message, span: text.span })
    }

    pub fn option(&self, text: &Option<Text>) -> Result<Option<String>, LowerError> {
        text.as_ref().map(|t| self.text(t)).transpose()
    }

    pub fn list(&self, list: &[Text]) -> Result<Vec<String>, LowerError> {
        list.iter().map(|t| self.text(t)).collect()
    }

    fn pairs(&self, pairs: &[(String, Text)]) -> Result<Vec<(String, String)>, LowerError> {
        pairs.iter().map(|(name, text)| Ok((name.clone(), self.text(text)?))).collect()
    }

    fn copy(
        &self,
        copy: &CopyConfig,
        add: bool,
        span: Span,
        read: &Read<'_>,
    ) -> Result<Op<Asked>, LowerError> {
        let sources = self.list(&copy.sources)?;
        let from = copy.from.map(|at| {
            let found = read.image.copies.get(at).and_then(Option::as_ref);
            let message = "the node to copy from is not known".to_owned();
            found.ok_or(LowerError { message, span })
        });
        let inputs = match from.transpose()? {
            Some(from) => {
                let image = ImageRef::Parent((read.parent)(from.value, from.span)?);
                vec![Input::Image { image, sources: sources.clone() }]
            }
            None => {
                let checksum = self.option(&copy.checksum)?;
                inputs(&read.context, &sources, add, checksum.as_deref())
            }
        };
        Ok(Op::Copy(Box::new(Copy {
            add,
            owner: self.option(&copy.chown)?,
            mode: copy.mode.map(|mode| format!("{mode:04o}")),
            ..Copy::of(inputs, sources, self.text(&copy.dest)?)
        })))
    }

    /// The instruction, after others; none for an argument that has no value.
    pub fn op(
        &self,
        op: &StepOp,
        span: Span,
        read: &Read<'_>,
        before: &[Step<Asked>],
    ) -> Result<Option<Op<Asked>>, LowerError> {
        Ok(Some(match op {
            StepOp::Copy(copy) => self.copy(copy, false, span, read)?,
            StepOp::Add(copy) => self.copy(copy, true, span, read)?,
            StepOp::Packages { names, recommends } => {
                let names = self.list(names)?;
                let mut ask = PackagesAsk {
                    below: read.distro.clone(),
                    names: names.clone(),
                    recommends: *recommends,
                };
                // What earlier steps install has to go together with it.
                let earlier = before.iter().rev().find_map(|step| match &step.op {
                    Op::Packages(packages) => Some(&packages.from),
                    _ => None,
                });
                if let Some(UpstreamAsk::Packages(earlier)) = earlier {
                    ask.names.splice(0..0, earlier.names.iter().cloned());
                    ask.recommends |= earlier.recommends;
                }
                Op::Packages(Box::new(Packages { from: UpstreamAsk::Packages(ask), names }))
            }
            StepOp::Arg { name, default } => {
                let given = read.args.iter().find(|(n, _)| n.value == name.value);
                match given.map(|(_, value)| value).or(default.as_ref()) {
                    Some(value) => Op::Arg(vec![Arg {
                        name: name.value.to_string(),
                        default: self.option(default)?,
                        value: Some(self.text(value)?),
                    }]),
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
                let program = Program::Command(command(self.list(&run.words)?));
                let network = run.network == Network::Default;
                Op::Run(Box::new(Run { program, mounts: Vec::new(), network }))
            }
            StepOp::Env { pairs } => Op::Env(self.pairs(pairs)?),
            StepOp::Workdir { path } => Op::Workdir(self.text(path)?),
            StepOp::User { user } => Op::User(self.text(user)?),
            StepOp::Shell { words } => Op::Shell(self.list(words)?),
        }))
    }

    pub fn settings(&self, settings: &SettingsConfig) -> Result<Settings, LowerError> {
        let words = |list: &Option<Vec<Text>>| list.as_ref().map(|l| self.list(l)).transpose();
        let mut labels = Vec::with_capacity(settings.labels.len());
        for (name, value) in &settings.labels {
            labels.push((self.text(name)?, self.text(value)?));
        }
        Ok(Settings {
            env: self.pairs(&settings.env)?,
            labels,
            unlisted: Vec::new(),
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
