//! What a name in FROM, `--from` and `from=` means: a stage, something from outside, or nothing.

use std::collections::HashMap;

use crate::ast::{ArgDecl, Dockerfile, Op, Stage, Word};
use crate::globals::Globals;
use crate::mount::{has_variable, variable_in_from};
use crate::problem::Problem;

/// What a stage starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// The stage at that position, which is above.
    Stage(usize),
    /// Nothing: `scratch`.
    Nothing,
    /// An image or a named context.
    Outside {
        /// The name, variables expanded; never empty.
        name: String,
        /// `--platform`, variables expanded and never empty; without it the target platform is
        /// meant.
        platform: Option<String>,
    },
}

/// What `--from` of COPY or `from=` of a mount means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The stage at that position, which is above.
    Stage(usize),
    /// An image or a named context of the name as it is written.
    Outside,
    /// Nothing: `scratch`, or the build context when the name is empty.
    Nothing,
}

/// The stages of a file, found by name however many there are.
pub struct Stages<'f> {
    stages: &'f [Stage],
    by_name: HashMap<&'f str, Vec<usize>>,
}

impl<'f> Stages<'f> {
    /// Takes the stages of a file.
    pub fn new(file: &'f Dockerfile) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for stage in &file.stages {
            if let Some(name) = &stage.name {
                by_name.entry(name.raw.as_str()).or_default().push(stage.index);
            }
        }
        Self { stages: &file.stages, by_name }
    }

    /// Lists the stages.
    pub(crate) fn all(&self) -> &'f [Stage] {
        self.stages
    }

    /// The positions of the stages of a lower-case name.
    fn of(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Gives the last stage above a stage that has exactly that name, as FROM sees it.
    pub(crate) fn above(&self, stage: usize, name: &str) -> Option<usize> {
        let all = self.of(name);
        all.get(all.partition_point(|index| *index < stage).checked_sub(1)?).copied()
    }

    /// Gives the first stage of a name below a stage.
    pub(crate) fn below(&self, stage: usize, name: &str) -> Option<usize> {
        let all = self.of(name);
        all.get(all.partition_point(|index| *index <= stage)).copied()
    }

    /// Gives what a stage starts from.
    ///
    /// # Errors
    /// A name or platform that cannot be expanded, or that expands to nothing.
    pub fn base(&self, stage: &Stage, globals: &Globals<'_>) -> Result<Base, Problem> {
        let name = globals.filled(&stage.from, "the image of FROM")?;
        if let Some(above) = self.above(stage.index, &name) {
            return Ok(Base::Stage(above));
        }
        if name == "scratch" {
            return Ok(Base::Nothing);
        }
        let platform = stage.platform.as_ref();
        let platform = platform.map(|word| globals.filled(word, "the platform of FROM"));
        Ok(Base::Outside { name, platform: platform.transpose()? })
    }

    /// Gives what `--from` of a COPY in the stage at a position means: a stage by its name or its
    /// position, or something from outside.
    ///
    /// # Errors
    /// A variable, a stage that is not above, or no such position.
    pub fn copy_source(&self, stage: usize, from: &Word) -> Result<Origin, Problem> {
        if has_variable(&from.raw) {
            return Err(variable_in_from(from, "--from"));
        }
        match from.raw.parse::<usize>() {
            Ok(number) => self.numbered(stage, from, number),
            Err(_) => self.named(stage, from),
        }
    }

    /// Gives what `from=` of a mount in the stage at a position means: a stage by its name, or
    /// something from outside.
    ///
    /// # Errors
    /// A variable, a stage that is not above, or a position.
    pub fn mount_source(&self, stage: usize, from: &Word) -> Result<Origin, Problem> {
        if has_variable(&from.raw) {
            return Err(variable_in_from(from, "from"));
        }
        if from.raw.parse::<usize>().is_ok() {
            let message = "the stage of a mount is given by its name";
            return Err(Problem::error(code!("bad-stage-number"), from.span, message)
                .label("a number")
                .help("name the stage: `FROM image AS name`"));
        }
        self.named(stage, from)
    }

    /// Where several stages have the name, the last of the file is meant.
    fn named(&self, stage: usize, from: &Word) -> Result<Origin, Problem> {
        match self.of(&from.raw.to_lowercase()).last() {
            Some(index) if *index < stage => Ok(Origin::Stage(*index)),
            Some(index) => Err(not_yet(from, *index == stage)),
            None if from.raw.is_empty() || from.raw == "scratch" => Ok(Origin::Nothing),
            None => Ok(Origin::Outside),
        }
    }

    fn numbered(&self, stage: usize, from: &Word, number: usize) -> Result<Origin, Problem> {
        if number < stage {
            return Ok(Origin::Stage(number));
        }
        let count = self.stages.len();
        if number < count {
            return Err(not_yet(from, number == stage));
        }
        let message = format!("there is no stage {number}");
        Err(Problem::error(code!("bad-stage-number"), from.span, message)
            .label("no such stage")
            .help(format!("stages count from 0 to {}", count.saturating_sub(1))))
    }

    /// Gives what a word of an instruction in a stage means.
    pub(crate) fn source(&self, stage: usize, source: Mention<'_>) -> Result<Origin, Problem> {
        match source {
            Mention::Copy(word) => self.copy_source(stage, word),
            Mention::Mount(word) => self.mount_source(stage, word),
        }
    }
}

impl Dockerfile {
    /// Gives the last stage of a name, in any case.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().rev().find(|stage| stage.is_named(name))
    }

    /// Lists every ARG with the stage it stands in; those before the first FROM have none.
    pub fn arguments(&self) -> impl Iterator<Item = (Option<usize>, &ArgDecl)> {
        let global = self.args.iter().map(|arg| (None, arg));
        global.chain(self.stages.iter().flat_map(|s| s.arguments().map(|arg| (Some(s.index), arg))))
    }
}

impl Stage {
    /// Whether the stage has that name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.raw.eq_ignore_ascii_case(name))
    }

    /// Lists the stage's own ARGs.
    pub fn arguments(&self) -> impl Iterator<Item = &ArgDecl> {
        self.instructions.iter().flat_map(|i| match &i.op {
            Op::Arg(list) => list.as_slice(),
            _ => &[],
        })
    }
}

/// A word that names a stage or an image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mention<'a> {
    Copy(&'a Word),
    Mount(&'a Word),
}

impl<'a> Mention<'a> {
    pub(crate) fn word(self) -> &'a Word {
        match self {
            Self::Copy(word) | Self::Mount(word) => word,
        }
    }
}

/// The words of an instruction that name a stage or an image.
pub(crate) fn mentions(op: &Op) -> impl Iterator<Item = Mention<'_>> {
    let copy = match op {
        Op::Copy(copy) => copy.from.as_ref(),
        _ => None,
    };
    let mounts = match op {
        Op::Run(run) => run.mounts.as_slice(),
        _ => &[],
    };
    let mounts = mounts.iter().filter_map(|mount| mount.from.as_ref()).map(Mention::Mount);
    copy.map(Mention::Copy).into_iter().chain(mounts)
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
