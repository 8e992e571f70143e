//! What a stage needs: other stages, and images or named contexts from outside.

use std::collections::{BTreeMap, HashMap};

use crate::ast::{Dockerfile, Op, Stage, Word};
use crate::expand;
use crate::mount::{has_variable, variable_in_from};
use crate::problem::{Problem, Problems, Span, did_you_mean};

/// The arguments that FROM may use without ARG.
pub const AUTOMATIC_ARGS: [&str; 11] = [
    "BUILDARCH",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
];

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
    let target = target_stage(file, target).map_err(|problem| vec![problem])?;
    let names = Names::new(file);
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

fn target_stage<'f>(file: &'f Dockerfile, target: Option<&str>) -> Result<&'f Stage, Problem> {
    let nowhere = Span::default();
    let Some(name) = target else {
        return file.stages.last().ok_or_else(|| {
            Problem::error(code!("no-stage"), nowhere, "the file has no FROM")
                .help("begin with `FROM image`")
        });
    };
    let number = || name.parse::<usize>().ok().and_then(|index| file.stages.get(index));
    file.stage(name).or_else(number).ok_or_else(|| {
        let names = || file.stages.iter().filter_map(|s| s.name.as_ref()).map(|n| n.raw.as_str());
        let near = did_you_mean(&name.to_lowercase(), names());
        let all = || {
            let names: Vec<&str> = names().take(20).collect();
            (!names.is_empty()).then(|| format!("there are {}", names.join(", ")))
        };
        Problem::error(code!("unknown-target"), nowhere, format!("there is no stage `{name}`"))
            .maybe_help(near.or_else(all))
    })
}

/// The longest value of an argument, in bytes: Linux hands no longer ones to a program.
const LONGEST_VALUE: usize = 128 << 10;
/// The longest that all values may be together, in bytes.
const ALL_VALUES: usize = 64 << 20;
/// The longest name or platform that is looked at, in bytes; registries allow much shorter ones.
const LONGEST_NAME: usize = 4096;

/// The arguments before the first FROM with their values.
struct Globals<'a> {
    values: HashMap<&'a str, String>,
    target: &'a Stage,
    escape: char,
    arg: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Globals<'a> {
    fn new(
        file: &'a Dockerfile,
        target: &'a Stage,
        arg: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let escape = file.directives.escape;
        let mut globals = Self { values: HashMap::new(), target, escape, arg };
        let mut total = 0;
        for decl in &file.args {
            let name = decl.name.raw.as_str();
            // A default is not even looked at when a value is given.
            let value = match (arg(name), &decl.default) {
                (Some(value), _) => Some(value),
                (None, Some(word)) => Some(globals.expand(word)?),
                (None, None) => None,
            };
            let Some(value) = value else { continue };
            total += value.len();
            if value.len() > LONGEST_VALUE || total > ALL_VALUES {
                let span = decl.name.span;
                let message = format!("the value of the argument `{name}` is too long");
                return Err(Problem::error(code!("argument-too-long"), span, message)
                    .label("declared here")
                    .help("pass long values as files of the build context"));
            }
            globals.values.insert(name, value);
        }
        Ok(globals)
    }

    fn get(&self, name: &str) -> Option<String> {
        let automatic = || AUTOMATIC_ARGS.contains(&name).then(|| (self.arg)(name)).flatten();
        let stage = || {
            let own = self.target.name.as_ref().map_or("default", |word| word.raw.as_str());
            (name == "TARGETSTAGE").then(|| own.to_owned())
        };
        self.values.get(name).cloned().or_else(automatic).or_else(stage)
    }

    fn expand(&self, word: &Word) -> Result<String, Problem> {
        if word.is_plain() {
            return Ok(word.raw.clone());
        }
        expand::word(word, self.escape, &|name| self.get(name)).map(|expanded| expanded.text)
    }

    fn filled(&self, word: &Word, what: &str) -> Result<String, Problem> {
        let text = self.expand(word)?;
        if text.len() > LONGEST_NAME {
            let message = format!("{what} is too long");
            return Err(Problem::error(code!("name-too-long"), word.span, message)
                .label(format!("{} bytes", text.len()))
                .help("check the values of the arguments in it"));
        }
        if !text.trim().is_empty() {
            return Ok(text);
        }
        let message = format!("{what} is empty");
        Err(Problem::error(code!("empty-name"), word.span, message)
            .label("expands to nothing")
            .help("give the argument a value, or a default where it is declared"))
    }
}

struct Needs<'f> {
    names: &'f Names<'f>,
    stage: &'f Stage,
    outside: Vec<Reference>,
    stages: Vec<usize>,
}

impl<'f> Needs<'f> {
    /// Fills the lists.
    fn read(&mut self, globals: &Globals<'_>, problems: &mut Problems) {
        let base = match self.base(globals) {
            Ok(base) => base,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let stages = self.names.stages;
        let triggers = base.and_then(|index| stages.get(index)).into_iter().flat_map(triggers);
        let own = self.stage.instructions.iter().map(|instruction| &instruction.op);
        for op in triggers.chain(own) {
            for (word, is_copy) in sources(op) {
                problems.extend(self.source(word, is_copy).err());
            }
        }
    }

    /// Gives the stage that this one starts from, if it is one.
    fn base(&mut self, globals: &Globals<'_>) -> Result<Option<usize>, Problem> {
        let stage = self.stage;
        let name = globals.filled(&stage.from, "the image of FROM")?;
        if let Some(base) = self.names.before(stage.index, &name) {
            self.stages.push(base);
            return Ok(Some(base));
        }
        if name != "scratch" {
            let platform = stage.platform.as_ref();
            let platform = platform.map(|word| globals.filled(word, "the platform of FROM"));
            let platform = platform.transpose()?;
            let (kind, span) = (ReferenceKind::From, stage.from.span);
            self.outside.push(Reference { kind, name, span, platform, stage: stage.index });
        }
        Ok(None)
    }

    fn source(&mut self, word: &Word, is_copy: bool) -> Result<(), Problem> {
        let (place, kind) = if is_copy {
            (Place::Copy(word), ReferenceKind::CopyFrom)
        } else {
            (Place::Mount(word), ReferenceKind::MountFrom)
        };
        match resolve(self.names, self.stage.index, place)? {
            Target::Stage(index) => self.stages.push(index),
            Target::Nothing => {}
            Target::Outside => {
                let (name, span, stage) = (word.raw.clone(), word.span, self.stage.index);
                self.outside.push(Reference { kind, name, span, platform: None, stage });
            }
        }
        Ok(())
    }
}

/// The instructions that a stage hands on to those that start from it.
fn triggers(stage: &Stage) -> impl Iterator<Item = &Op> {
    stage.instructions.iter().filter_map(|instruction| match &instruction.op {
        Op::Onbuild(onbuild) => Some(&onbuild.instruction.op),
        _ => None,
    })
}

/// The words of an instruction that name a stage or an image, and whether COPY does.
pub(crate) fn sources(op: &Op) -> impl Iterator<Item = (&Word, bool)> {
    let copy = match op {
        Op::Copy(copy) => copy.from.as_ref(),
        _ => None,
    };
    let mounts = match op {
        Op::Run(run) => run.mounts.as_slice(),
        _ => &[],
    };
    let mounts = mounts.iter().filter_map(|mount| mount.from.as_ref()).map(|word| (word, false));
    copy.map(|word| (word, true)).into_iter().chain(mounts)
}

/// A word that names a stage or an image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Copy(&'a Word),
    Mount(&'a Word),
}

/// What such a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stage(usize),
    Outside,
    Nothing,
}

/// Finds stages by name, however many there are.
pub(crate) struct Names<'f> {
    stages: &'f [Stage],
    by_name: HashMap<&'f str, Vec<usize>>,
}

impl<'f> Names<'f> {
    pub(crate) fn new(file: &'f Dockerfile) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for stage in &file.stages {
            if let Some(name) = &stage.name {
                by_name.entry(name.raw.as_str()).or_default().push(stage.index);
            }
        }
        Self { stages: &file.stages, by_name }
    }

    fn of(&self, name: &str) -> &[usize] {
        self.by_name.get(name.to_ascii_lowercase().as_str()).map_or(&[], Vec::as_slice)
    }

    /// Gives the last stage of a name above a stage.
    pub(crate) fn before(&self, stage: usize, name: &str) -> Option<usize> {
        let all = self.of(name);
        all.get(all.partition_point(|index| *index < stage).checked_sub(1)?).copied()
    }

    /// Gives the first stage of a name that is a stage itself or below it.
    pub(crate) fn from(&self, stage: usize, name: &str) -> Option<usize> {
        let all = self.of(name);
        all.get(all.partition_point(|index| *index < stage)).copied()
    }
}

/// Finds what `--from` or `from=` in a stage means.
pub(crate) fn resolve(
    names: &Names<'_>,
    stage: usize,
    place: Place<'_>,
) -> Result<Target, Problem> {
    let (Place::Copy(word) | Place::Mount(word)) = place;
    let name = word.raw.as_str();
    if name.is_empty() || name == "scratch" {
        return Ok(Target::Nothing);
    }
    if has_variable(name) {
        let flag = if matches!(place, Place::Copy(_)) { "--from" } else { "from" };
        return Err(variable_in_from(word, flag));
    }
    if let Ok(number) = name.parse::<usize>() {
        return numbered(names.stages.len(), stage, place, word, number);
    }
    if let Some(earlier) = names.before(stage, name) {
        return Ok(Target::Stage(earlier));
    }
    match names.from(stage, name) {
        Some(later) => Err(not_yet(word, later == stage)),
        None => Ok(Target::Outside),
    }
}

fn numbered(
    count: usize,
    stage: usize,
    place: Place<'_>,
    word: &Word,
    number: usize,
) -> Result<Target, Problem> {
    if matches!(place, Place::Mount(_)) {
        let message = "the stage of a mount is given by its name";
        return Err(Problem::error(code!("bad-stage-number"), word.span, message)
            .label("a number")
            .help("name the stage: `FROM image AS name`"));
    }
    if number < stage {
        return Ok(Target::Stage(number));
    }
    if number < count {
        return Err(not_yet(word, number == stage));
    }
    let message = format!("there is no stage {number}");
    Err(Problem::error(code!("bad-stage-number"), word.span, message)
        .label("no such stage")
        .help(format!("stages count from 0 to {}", count.saturating_sub(1))))
}

fn not_yet(word: &Word, is_own: bool) -> Problem {
    let name = &word.raw;
    let problem = if is_own {
        Problem::error(code!("own-stage"), word.span, format!("the stage `{name}` needs itself"))
            .label("this very stage")
    } else {
        let message = format!("the stage `{name}` comes later");
        Problem::error(code!("stage-comes-later"), word.span, message).label("not built yet")
    };
    problem.help("a stage can use the ones above it; leave `--from` out for the build context")
}
