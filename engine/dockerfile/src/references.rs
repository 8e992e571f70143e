//! What a stage needs: other stages, and images or named contexts from outside.

use std::collections::BTreeMap;

use crate::ast::{Dockerfile, Op, Stage};
use crate::globals::Globals;
use crate::problem::{Problem, Problems, Span};
use crate::stages::{Base, Mention, Origin, Stages, mentions};

/// Something from outside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What needs it.
    pub kind: ReferenceKind,
    /// The name of an image or a named context, variables expanded.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// `--platform` of FROM, variables expanded; without it the target platform is meant.
    pub platform: Option<String>,
    /// The stage that needs it.
    pub stage: usize,
}

/// What needs a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// FROM
    From,
    /// COPY --from
    CopyFrom,
    /// RUN --mount=from=…
    MountFrom,
}

/// Lists what a stage and the stages that it needs take from outside, in the order of the file;
/// `scratch` is nothing. The target is the last stage, or named in any case, or numbered. Values of
/// `arg` win over defaults; it also gives the automatic ones such as `TARGETPLATFORM`.
///
/// # Errors
/// All that is wrong with the stages in question.
pub fn references(
    file: &Dockerfile,
    target: Option<&str>,
    arg: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Reference>, Vec<Problem>> {
    walk(file, target, arg).map(|stages| stages.into_values().flatten().collect())
}

/// Lists the stages that a stage needs, itself included, in the order of the file.
///
/// # Errors
/// All that is wrong with the stages in question.
pub fn stages_needed(
    file: &Dockerfile,
    target: Option<&str>,
    arg: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<usize>, Vec<Problem>> {
    walk(file, target, arg).map(|stages| stages.into_keys().collect())
}

fn walk(
    file: &Dockerfile,
    target: Option<&str>,
    arg: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<usize, Vec<Reference>>, Vec<Problem>> {
    let target = file.stage_of_target(target).map_err(|problem| vec![problem])?;
    let names = Stages::new(file);
    let globals = Globals::new(file, target, arg).map_err(|problem| vec![problem])?;
    let mut done: BTreeMap<usize, Vec<Reference>> = BTreeMap::new();
    let mut open = vec![target];
    let mut problems = Problems::default();
    while let Some(stage) = open.pop() {
        if done.contains_key(&stage.index) {
            continue;
        }
        let mut needs = Needs { names: &names, stage, outside: Vec::new(), stages: Vec::new() };
        needs.read(&globals, &mut problems);
        open.extend(needs.stages.iter().filter_map(|index| file.stages.get(*index)));
        done.insert(stage.index, needs.outside);
    }
    let problems = problems.finish();
    if problems.is_empty() { Ok(done) } else { Err(problems) }
}

struct Needs<'f> {
    names: &'f Stages<'f>,
    stage: &'f Stage,
    outside: Vec<Reference>,
    stages: Vec<usize>,
}

impl Needs<'_> {
    /// Fills the lists.
    fn read(&mut self, globals: &Globals<'_>, problems: &mut Problems) {
        let base = match self.base(globals) {
            Ok(base) => base,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let stages = self.names.all();
        let triggers = base.and_then(|index| stages.get(index)).into_iter().flat_map(triggers);
        let own = self.stage.instructions.iter().map(|instruction| &instruction.op);
        for op in triggers.chain(own) {
            for source in mentions(op) {
                problems.extend(self.source(source).err());
            }
        }
    }

    /// Gives the stage that this one starts from, if it is one.
    fn base(&mut self, globals: &Globals<'_>) -> Result<Option<usize>, Problem> {
        match self.names.base(self.stage, globals)? {
            Base::Stage(base) => {
                self.stages.push(base);
                return Ok(Some(base));
            }
            Base::Nothing => {}
            Base::Outside { name, platform } => {
                let (kind, span) = (ReferenceKind::From, self.stage.from.span);
                let stage = self.stage.index;
                self.outside.push(Reference { kind, name, span, platform, stage });
            }
        }
        Ok(None)
    }

    fn source(&mut self, source: Mention<'_>) -> Result<(), Problem> {
        let stage = self.stage.index;
        let kind = match source {
            Mention::Copy(_) => ReferenceKind::CopyFrom,
            Mention::Mount(_) => ReferenceKind::MountFrom,
        };
        match self.names.source(stage, source)? {
            Origin::Stage(index) => self.stages.push(index),
            Origin::Nothing => {}
            Origin::Outside => {
                let (name, span) = (source.word().raw.clone(), source.word().span);
                self.outside.push(Reference { kind, name, span, platform: None, stage });
            }
        }
        Ok(())
    }
}

/// The instructions that a stage hands on to those that start from it.
pub(crate) fn triggers(stage: &Stage) -> impl Iterator<Item = &Op> {
    stage.instructions.iter().filter_map(|instruction| match &instruction.op {
        Op::Onbuild(onbuild) => Some(&onbuild.instruction.op),
        _ => None,
    })
}
