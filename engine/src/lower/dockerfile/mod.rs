//! A Dockerfile to stages of instructions, as BuildKit reads it: only the stages that the target
//! needs, arguments and variables filled in, `ONBUILD` of what lies below put in front.

mod copy;
mod instruction;
mod run;
mod scope;

use std::collections::BTreeSet;
use std::sync::Arc;

use mabuild_dockerfile::{self as ast, Problem};
use mabuild_lang::config::{Build, Named, NodeRef};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::Span;

use super::{Below, LowerError};
use crate::facts::{ContextAsk, FilesAsk};
use crate::graph::NodeId;
use crate::spec::{Asked, Copy, Image, Input, Op, Source, Stage, Step};
use scope::Scope;

/// What is to be lowered, and who answers for what the file names.
pub(super) struct Recipe<'a> {
    pub build: &'a Build,
    /// The stage that is wanted; the last one when none is named.
    pub target: Option<String>,
    /// What is built for.
    pub platform: &'a Platform,
    /// What this machine is.
    pub native: &'a Platform,
    /// Build arguments given from outside.
    pub args: Vec<(String, String)>,
    /// The build context, absolute.
    pub context: Arc<str>,
    /// The ignore file of the Dockerfile itself, absolute, which need not be there.
    pub ignore: Arc<str>,
    /// Whether a RUN that says nothing of its network has one.
    pub network: bool,
    pub node: &'a dyn Fn(NodeRef, &Platform, Span) -> Result<NodeId, LowerError>,
    /// The absolute folder of a named context.
    pub folder: &'a dyn Fn(usize) -> Result<Arc<str>, LowerError>,
    pub below: &'a dyn Below,
}

/// The stages that the target needs, each after those it needs.
pub(super) fn stages(recipe: &Recipe<'_>) -> Result<Vec<Stage<Asked>>, LowerError> {
    let file = &recipe.build.recipe.dockerfile;
    let told = |problem| recipe.told(problem);
    let arg = |name: &str| recipe.given(name);
    let name = recipe.target.as_deref();
    let target = file.stage_of_target(name).map_err(told)?;
    // BuildKit knows stages by number in `--from`, and here by name alone.
    if let Some(name) = name.filter(|name| file.stage(name).is_none()) {
        let message = format!("there is no stage `{name}`; a target is named, `FROM … AS {name}`");
        return Err(LowerError { message, span: recipe.span(target.from.span) });
    }
    let globals = ast::Globals::new(file, target, &arg).map_err(told)?;
    let names = ast::Stages::new(file);
    let needed = ast::stages_needed(file, name, &arg);
    let mut wanted: BTreeSet<usize> =
        needed.map_err(|problems| recipe.first(problems))?.into_iter().collect();
    loop {
        let mut lowering = Lowering {
            recipe,
            globals: &globals,
            names: &names,
            done: Vec::new(),
            missing: BTreeSet::new(),
        };
        // The target stands last: it needs only what stands above it.
        for stage in wanted.iter().filter_map(|index| file.stages.get(*index)) {
            lowering.stage(stage)?;
        }
        // An `ONBUILD` of an image below may copy from a stage that nothing else needs.
        if lowering.missing.is_empty() {
            let mut stages: Vec<_> = lowering.done.into_iter().map(|done| done.stage).collect();
            forget_unseen(&mut stages);
            return Ok(stages);
        }
        wanted.append(&mut lowering.missing);
    }
}

/// Takes the values of arguments away that no program sees, so that another value makes nothing
/// stale; words of instructions were expanded before.
fn forget_unseen(stages: &mut [Stage<Asked>]) {
    let mut seen_above = vec![false; stages.len()];
    for at in (0..stages.len()).rev() {
        let mut seen = seen_above.get(at).copied().unwrap_or_default();
        let Some(stage) = stages.get_mut(at) else { continue };
        for step in stage.steps.iter_mut().rev() {
            match &mut step.op {
                Op::Run(_) => seen = true,
                Op::Arg(list) if !seen => list.iter_mut().for_each(|arg| arg.value = None),
                _ => {}
            }
        }
        if let (true, Source::Stage(below)) = (seen, &stage.source)
            && let Some(below) = seen_above.get_mut(*below)
        {
            *below = true;
        }
    }
}

/// A stage that was lowered, with what stages on it start from.
struct Done {
    /// Its place in the file.
    index: usize,
    stage: Stage<Asked>,
    scope: Scope,
    /// Its own `ONBUILD` instructions.
    triggers: Vec<String>,
}

/// Stages on their way.
struct Lowering<'a> {
    recipe: &'a Recipe<'a>,
    globals: &'a ast::Globals<'a>,
    names: &'a ast::Stages<'a>,
    done: Vec<Done>,
    /// Stages that are needed and were not asked for.
    missing: BTreeSet<usize>,
}

/// What a stage starts from.
struct Ground {
    source: Source<Asked>,
    platform: Platform,
    scope: Scope,
    triggers: Vec<String>,
    /// A folder that stands in for an image.
    folder: Option<Input<Asked>>,
}

impl Lowering<'_> {
    fn stage(&mut self, stage: &ast::Stage) -> Result<(), LowerError> {
        let ground = self.ground(stage)?;
        let Ground { source, platform, mut scope, triggers, folder } = ground;
        let span = self.recipe.span(stage.from.span);
        let mut steps = Vec::new();
        if let Some(input) = folder {
            let text = Some(format!("FROM {}", stage.from.raw));
            steps.push(Step { span, text, op: whole(input) });
        }
        let mut own = Vec::new();
        let mut body = Body { index: stage.index, scope: &mut scope, triggers: &mut own };
        for trigger in &triggers {
            let (instruction, problems) = ast::parse_trigger(trigger);
            if let Some(problem) = problems.into_iter().find(|p| p.severity == ast::Severity::Error)
            {
                return Err(LowerError { message: problem.message, span });
            }
            if let Some(instruction) = instruction {
                self.instruction(&instruction, span, "ONBUILD ", &mut body, &mut steps)
                    .map_err(|e| LowerError { span, ..e })?;
            }
        }
        for instruction in &stage.instructions {
            let span = self.recipe.span(instruction.span);
            self.instruction(instruction, span, "", &mut body, &mut steps)?;
        }
        let name = match &stage.name {
            Some(name) => name.raw.clone(),
            None if self.recipe.build.recipe.dockerfile.stages.len() == 1 => String::new(),
            None => format!("stage-{}", stage.index),
        };
        let stage = Done {
            index: stage.index,
            stage: Stage { name, platform, source, steps },
            scope,
            triggers: own,
        };
        self.done.push(stage);
        Ok(())
    }

    /// What a stage begins with.
    fn ground(&mut self, stage: &ast::Stage) -> Result<Ground, LowerError> {
        let recipe = self.recipe;
        let base = self.names.base(stage, self.globals).map_err(|problem| recipe.told(problem))?;
        let (name, platform) = match base {
            ast::Base::Stage(below) => return Ok(self.on_stage(below)),
            ast::Base::Nothing => return Ok(Ground::scratch(recipe.platform.clone())),
            ast::Base::Outside { name, platform } => (name, platform),
        };
        let span = recipe.span(stage.from.span);
        let platform = match platform {
            Some(text) => Platform::parse(&text).map_err(|message| LowerError { message, span })?,
            None => recipe.platform.clone(),
        };
        match recipe.place(&name, &platform, span)? {
            Place::Folder(context) => Ok(Ground {
                folder: Some(Input::Files(recipe.files(context, vec![".".to_owned()]))),
                ..Ground::scratch(platform)
            }),
            Place::Node(node) => {
                let facts = recipe.below.image(node).unwrap_or_default();
                Ok(Ground {
                    source: Source::Parent(node),
                    platform,
                    scope: Scope::on(&facts.env),
                    triggers: facts.triggers.clone(),
                    folder: None,
                })
            }
        }
    }

    fn on_stage(&mut self, below: usize) -> Ground {
        let at = self.done.iter().position(|done| done.index == below);
        let Some((at, done)) = at.and_then(|at| Some((at, self.done.get(at)?))) else {
            self.missing.insert(below);
            return Ground::scratch(self.recipe.platform.clone());
        };
        Ground {
            source: Source::Stage(at),
            platform: done.stage.platform.clone(),
            scope: done.scope.clone(),
            triggers: done.triggers.clone(),
            folder: None,
        }
    }

    /// The image that `--from` names in a stage.
    fn copied(&mut self, stage: usize, word: &ast::Word) -> Result<From, LowerError> {
        let origin = self.names.copy_source(stage, word);
        self.image(word, origin.map_err(|problem| self.recipe.told(problem))?)
    }

    /// The image that `from=` of a mount names in a stage.
    fn mounted(&mut self, stage: usize, word: &ast::Word) -> Result<From, LowerError> {
        let origin = self.names.mount_source(stage, word);
        self.image(word, origin.map_err(|problem| self.recipe.told(problem))?)
    }

    fn image(&mut self, word: &ast::Word, origin: ast::Origin) -> Result<From, LowerError> {
        let recipe = self.recipe;
        let index = match origin {
            ast::Origin::Nothing => return Ok(From::Nothing),
            ast::Origin::Outside => {
                let span = recipe.span(word.span);
                return Ok(match recipe.place(&word.raw, recipe.platform, span)? {
                    Place::Node(node) => From::Image(Image::Parent(node)),
                    Place::Folder(folder) => From::Folder(folder),
                });
            }
            ast::Origin::Stage(index) => index,
        };
        Ok(match self.done.iter().position(|done| done.index == index) {
            Some(at) => From::Image(Image::Stage(at)),
            None => {
                self.missing.insert(index);
                From::Nothing
            }
        })
    }
}

impl Ground {
    fn scratch(platform: Platform) -> Self {
        let (scope, triggers) = (Scope::on(&[]), Vec::new());
        Self { source: Source::Scratch, platform, scope, triggers, folder: None }
    }
}

/// The stage that an instruction stands in.
struct Body<'a> {
    index: usize,
    scope: &'a mut Scope,
    triggers: &'a mut Vec<String>,
}

/// What `--from` names.
enum From {
    Image(Image<Asked>),
    Folder(Arc<str>),
    Nothing,
}

/// What a name from outside of the file stands for.
enum Place {
    Node(NodeId),
    Folder(Arc<str>),
}

impl Recipe<'_> {
    fn escape(&self) -> char {
        self.build.recipe.dockerfile.directives.escape
    }

    fn span(&self, span: ast::Span) -> Span {
        Span { file: self.build.recipe.file, start: span.start, end: span.end }
    }

    fn told(&self, problem: Problem) -> LowerError {
        let span = self.span(problem.span);
        let Problem { message, help, .. } = problem;
        let message = match help {
            Some(help) => format!("{message}; {help}"),
            None => message,
        };
        LowerError { message, span }
    }

    fn first(&self, problems: Vec<Problem>) -> LowerError {
        let first = problems.into_iter().next();
        first.map_or_else(
            || LowerError {
                message: "the Dockerfile cannot be read".to_owned(),
                span: self.span(ast::Span::default()),
            },
            |problem| self.told(problem),
        )
    }

    fn place(&self, name: &str, platform: &Platform, span: Span) -> Result<Place, LowerError> {
        match self.build.place(name, platform).map(|place| &place.what) {
            Some(Named::Node(node)) => Ok(Place::Node((self.node)(*node, platform, span)?)),
            Some(Named::Folder(at)) => Ok(Place::Folder((self.folder)(*at)?)),
            None => {
                let message = format!(
                    "`{name}` is not known here; a base brought this name in with its ONBUILD, \
                     declare it with `named-context`"
                );
                Err(LowerError { message, span })
            }
        }
    }

    /// Files of the build context or of another folder.
    fn files(&self, folder: Arc<str>, sources: Vec<String>) -> FilesAsk {
        let is_main = folder == self.context;
        let ignore = is_main.then(|| self.ignore.clone());
        FilesAsk::Context(ContextAsk { ignore, ..ContextAsk::of(folder, sources) })
    }
}

/// A stage that begins with a folder: all of it is copied.
fn whole(input: Input<Asked>) -> Op<Asked> {
    Op::Copy(Box::new(Copy::of(vec![input], vec![".".to_owned()], "/")))
}
