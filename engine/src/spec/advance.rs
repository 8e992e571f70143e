//! A spec from one phase to the next.

use super::{
    Bound, Copy, Image, Input, Mount, Mounted, Op, Packages, Phase, Run, Source, Spec, Stage, Step,
};

/// Answers one kind of open place.
type Answer<'a, From, To, E> = &'a mut dyn FnMut(From) -> Result<To, E>;

/// Answers for all open places.
struct Answers<'a, P: Phase, T: Phase, E> {
    parent: Answer<'a, P::Parent, T::Parent, E>,
    files: Answer<'a, P::Files, T::Files, E>,
    upstream: Answer<'a, P::Upstream, T::Upstream, E>,
}

impl<P: Phase> Spec<P> {
    /// The same spec one phase on. Each closure answers one kind of open place; the first error
    /// ends it. All text moves along, none is copied.
    pub fn advance<T: Phase, E>(
        self,
        mut parent: impl FnMut(P::Parent) -> Result<T::Parent, E>,
        mut files: impl FnMut(P::Files) -> Result<T::Files, E>,
        mut upstream: impl FnMut(P::Upstream) -> Result<T::Upstream, E>,
    ) -> Result<Spec<T>, E> {
        let Self { platform, source_date, stages, settings, watched } = self;
        let mut answers =
            Answers { parent: &mut parent, files: &mut files, upstream: &mut upstream };
        let mut out = Vec::with_capacity(stages.len());
        for stage in stages {
            out.push(answers.stage(stage)?);
        }
        Ok(Spec { platform, source_date, stages: out, settings, watched })
    }

    /// The parents that the spec names, in order, with repetitions.
    pub fn parents(&self) -> impl Iterator<Item = &P::Parent> {
        self.stages.iter().flat_map(|stage| {
            let below = match &stage.source {
                Source::Parent(parent) => Some(parent),
                _ => None,
            };
            below.into_iter().chain(stage.images().filter_map(Image::parent))
        })
    }

    /// The files that the spec names, each with the step that reads them.
    pub fn files(&self) -> impl Iterator<Item = (&Step<P>, &P::Files)> {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        steps.flat_map(|step| step.op.files().map(move |files| (step, files)))
    }

    /// The upstreams that the spec names.
    pub fn upstreams(&self) -> impl Iterator<Item = &P::Upstream> {
        self.stages.iter().flat_map(|stage| {
            let below = match &stage.source {
                Source::Upstream(upstream) => Some(upstream),
                _ => None,
            };
            below.into_iter().chain(stage.steps.iter().filter_map(|step| step.op.upstream()))
        })
    }

    /// Whether a program is run, and for which platform.
    pub fn runs(&self) -> impl Iterator<Item = &mabuild_lang::platform::Platform> {
        let runs = |stage: &&Stage<P>| stage.steps.iter().any(|step| step.op.runs());
        self.stages.iter().filter(runs).map(|stage| &stage.platform)
    }
}

impl<P: Phase> Image<P> {
    fn parent(&self) -> Option<&P::Parent> {
        match self {
            Self::Parent(parent) => Some(parent),
            Self::Stage(_) => None,
        }
    }
}

impl<P: Phase> Stage<P> {
    /// The images that steps copy and mount files of.
    pub fn images(&self) -> impl Iterator<Item = &Image<P>> {
        self.steps.iter().flat_map(|step| step.op.images())
    }

    /// The earlier stages that this one needs, with repetitions.
    pub fn needs(&self) -> impl Iterator<Item = usize> {
        let below = match self.source {
            Source::Stage(stage) => Some(stage),
            _ => None,
        };
        let used = self.images().filter_map(|image| match image {
            Image::Stage(stage) => Some(*stage),
            Image::Parent(_) => None,
        });
        below.into_iter().chain(used)
    }
}

impl<P: Phase> Op<P> {
    fn inputs(&self) -> &[Input<P>] {
        match self {
            Self::Copy(copy) => &copy.inputs,
            _ => &[],
        }
    }

    fn bound(&self) -> impl Iterator<Item = &Bound<P>> {
        let mounts = match self {
            Self::Run(run) => run.mounts.as_slice(),
            _ => &[],
        };
        mounts.iter().filter_map(|mount| match &mount.what {
            Mounted::Bind { from, .. } | Mounted::Cache { from: Some((from, _)), .. } => Some(from),
            _ => None,
        })
    }

    fn images(&self) -> impl Iterator<Item = &Image<P>> {
        let copied = self.inputs().iter().filter_map(|input| match input {
            Input::Image { image, .. } => Some(image),
            _ => None,
        });
        copied.chain(self.bound().filter_map(|bound| match bound {
            Bound::Image(image) => Some(image),
            _ => None,
        }))
    }

    /// Whether a program of the stage's platform is run.
    pub fn runs(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Packages(_))
    }

    /// The upstream that the instruction reads.
    fn upstream(&self) -> Option<&P::Upstream> {
        match self {
            Self::Packages(packages) => Some(&packages.from),
            _ => None,
        }
    }

    /// The files from outside that the instruction reads.
    pub fn files(&self) -> impl Iterator<Item = &P::Files> {
        let copied = self.inputs().iter().filter_map(|input| match input {
            Input::Files(files) => Some(files),
            _ => None,
        });
        copied.chain(self.bound().filter_map(|bound| match bound {
            Bound::Files(files) => Some(files),
            _ => None,
        }))
    }
}

impl<P: Phase, T: Phase, E> Answers<'_, P, T, E> {
    fn stage(&mut self, stage: Stage<P>) -> Result<Stage<T>, E> {
        let Stage { name, platform, source, steps } = stage;
        let source = match source {
            Source::Scratch => Source::Scratch,
            Source::Parent(parent) => Source::Parent((self.parent)(parent)?),
            Source::Upstream(upstream) => Source::Upstream((self.upstream)(upstream)?),
            Source::Stage(stage) => Source::Stage(stage),
        };
        let mut out = Vec::with_capacity(steps.len());
        for Step { span, text, op } in steps {
            out.push(Step { span, text, op: self.op(op)? });
        }
        Ok(Stage { name, platform, source, steps: out })
    }

    fn op(&mut self, op: Op<P>) -> Result<Op<T>, E> {
        Ok(match op {
            Op::Copy(copy) => Op::Copy(Box::new(self.copy(*copy)?)),
            Op::Run(run) => Op::Run(Box::new(self.run(*run)?)),
            Op::Packages(packages) => {
                let Packages { names, from } = *packages;
                Op::Packages(Box::new(Packages { names, from: (self.upstream)(from)? }))
            }
            Op::File { path, content, owner, mode } => Op::File { path, content, owner, mode },
            Op::Mkdir { paths, owner, mode } => Op::Mkdir { paths, owner, mode },
            Op::Symlink { target, path } => Op::Symlink { target, path },
            Op::Remove { paths } => Op::Remove { paths },
            Op::Env(pairs) => Op::Env(pairs),
            Op::Workdir(path) => Op::Workdir(path),
            Op::User(user) => Op::User(user),
            Op::Shell(words) => Op::Shell(words),
            Op::Arg(list) => Op::Arg(list),
            Op::Label(pairs) => Op::Label(pairs),
            Op::Expose(ports) => Op::Expose(ports),
            Op::Volume(paths) => Op::Volume(paths),
            Op::Entrypoint(command) => Op::Entrypoint(command),
            Op::Cmd(command) => Op::Cmd(command),
            Op::StopSignal(signal) => Op::StopSignal(signal),
            Op::Healthcheck(check) => Op::Healthcheck(check),
            Op::Onbuild(trigger) => Op::Onbuild(trigger),
            Op::Maintainer(name) => Op::Maintainer(name),
        })
    }

    fn copy(&mut self, copy: Copy<P>) -> Result<Copy<T>, E> {
        let Copy { add, sources, inputs, dest, owner, mode, unpack, link, parents, exclude } = copy;
        let mut out = Vec::with_capacity(inputs.len());
        for input in inputs {
            out.push(match input {
                Input::Files(files) => Input::Files((self.files)(files)?),
                Input::Image { image, sources } => {
                    Input::Image { image: self.image(image)?, sources }
                }
                Input::Inline { name, content } => Input::Inline { name, content },
            });
        }
        let inputs = out;
        Ok(Copy { add, sources, inputs, dest, owner, mode, unpack, link, parents, exclude })
    }

    fn run(&mut self, run: Run<P>) -> Result<Run<T>, E> {
        let Run { program, mounts, network } = run;
        let mut out = Vec::with_capacity(mounts.len());
        for Mount { target, what } in mounts {
            out.push(Mount { target, what: self.mounted(what)? });
        }
        Ok(Run { program, mounts: out, network })
    }

    fn mounted(&mut self, what: Mounted<P>) -> Result<Mounted<T>, E> {
        Ok(match what {
            Mounted::Bind { from, source, writable } => {
                Mounted::Bind { from: self.bound(from)?, source, writable }
            }
            Mounted::Cache { id, from, sharing, writable, mode, uid, gid } => {
                let from = match from {
                    Some((from, path)) => Some((self.bound(from)?, path)),
                    None => None,
                };
                Mounted::Cache { id, from, sharing, writable, mode, uid, gid }
            }
            Mounted::Tmpfs { size } => Mounted::Tmpfs { size },
            Mounted::Secret { id, env, required, mode, uid, gid } => {
                Mounted::Secret { id, env, required, mode, uid, gid }
            }
            Mounted::Ssh { id, required, mode, uid, gid } => {
                Mounted::Ssh { id, required, mode, uid, gid }
            }
        })
    }

    fn bound(&mut self, bound: Bound<P>) -> Result<Bound<T>, E> {
        Ok(match bound {
            Bound::Files(files) => Bound::Files((self.files)(files)?),
            Bound::Image(image) => Bound::Image(self.image(image)?),
            Bound::Scratch => Bound::Scratch,
        })
    }

    fn image(&mut self, image: Image<P>) -> Result<Image<T>, E> {
        Ok(match image {
            Image::Parent(parent) => Image::Parent((self.parent)(parent)?),
            Image::Stage(stage) => Image::Stage(stage),
        })
    }
}
