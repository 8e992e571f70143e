//! What only shows when the whole file is known.

use std::collections::HashSet;

use crate::ast::{Dockerfile, Op, Stage, Word};
use crate::expand;
use crate::mount::has_variable;
use crate::problem::{Problem, Problems, did_you_mean};
use crate::references::{AUTOMATIC_ARGS, Names, Place, resolve};

/// Checks a file.
pub(crate) fn file(file: &Dockerfile, problems: &mut Problems) {
    let arguments = Arguments::new(file);
    let names = Names::new(file);
    for stage in &file.stages {
        for word in [Some(&stage.from), stage.platform.as_ref()].into_iter().flatten() {
            arguments.check(word, file.directives.escape, problems);
        }
        later_stage(&names, stage, problems);
        // Variables in them were reported when they were read.
        for (word, is_copy) in sources(stage).filter(|(word, _)| !has_variable(&word.raw)) {
            let place = if is_copy { Place::Copy(word) } else { Place::Mount(word) };
            problems.extend(resolve(&names, stage.index, place).err());
        }
        for instruction in &stage.instructions {
            problems.extend(expansion(&instruction.op, file.directives.escape));
        }
        repeated(stage, problems);
    }
    for arg in file.args.iter().filter_map(|arg| arg.default.as_ref()) {
        problems.extend(expand::word(arg, file.directives.escape, &some).err());
    }
}

/// Stands for the values that are not known yet: never empty, so that no variable is found missing.
fn some(_: &str) -> Option<String> {
    Some("x".to_owned())
}

/// What is wrong with quotes and variables whatever the values will be.
fn expansion(op: &Op, escape: char) -> Vec<Problem> {
    let mut problems = expand::op(op, escape, &some).err().unwrap_or_default();
    if matches!(op, Op::Add(_) | Op::Copy(_) | Op::Volume(_)) {
        for problem in problems.iter_mut().filter(|p| p.message.contains("quote")) {
            let help =
                format!("a path with spaces needs the exec form: `{} [\"a b\", …]`", op.name());
            problem.help = Some(help);
        }
    }
    problems
}

/// The words of COPY --from (true) and RUN --mount from= (false) that name a stage or an image.
fn sources(stage: &Stage) -> impl Iterator<Item = (&Word, bool)> {
    stage.instructions.iter().flat_map(|instruction| crate::references::sources(&instruction.op))
}

/// The names of ARGs.
struct Arguments<'f> {
    /// Those that FROM sees.
    global: HashSet<&'f str>,
    /// Those in stages.
    local: HashSet<&'f str>,
}

impl<'f> Arguments<'f> {
    fn new(file: &'f Dockerfile) -> Self {
        let mut global = HashSet::from(AUTOMATIC_ARGS);
        let mut local = HashSet::new();
        for (stage, arg) in file.arguments() {
            let names = if stage.is_none() { &mut global } else { &mut local };
            names.insert(arg.name.raw.as_str());
        }
        Self { global, local }
    }

    /// Checks a word of FROM.
    fn check(&self, word: &Word, escape: char, problems: &mut Problems) {
        if word.is_plain() || problems.is_full() {
            return;
        }
        let used = match expand::word(word, escape, &some) {
            Ok(expanded) => expanded.found,
            Err(problem) => return problems.push(problem),
        };
        for name in used.iter().filter(|name| !self.global.contains(name.as_str())) {
            let message =
                format!("FROM uses `{name}`, which no ARG before the first FROM declares");
            problems.push(
                Problem::warning(code!("undeclared-argument"), word.span, message)
                    .label("has no value")
                    .help(self.help(name)),
            );
        }
    }

    fn help(&self, name: &str) -> String {
        if self.local.contains(name) {
            return format!(
                "put `ARG {name}` before the first FROM; those in stages do not count here"
            );
        }
        // The limit keeps hostile files from comparing everything with everything.
        let mut known: Vec<&str> = self.global.iter().copied().take(1000).collect();
        known.sort_unstable();
        did_you_mean(name, known)
            .unwrap_or_else(|| format!("put `ARG {name}=default` before the first FROM"))
    }
}

/// FROM sees earlier stages only; a later one of that name is hardly meant to be an image.
fn later_stage(names: &Names<'_>, stage: &Stage, problems: &mut Problems) {
    let name = &stage.from.raw;
    let (above, below) = (names.before(stage.index, name), names.from(stage.index + 1, name));
    if below.is_some() && above.is_none() {
        let message = format!("`{name}` is an image here, because the stage `{name}` comes later");
        problems.push(
            Problem::warning(code!("stage-comes-later"), stage.from.span, message)
                .label("not the stage")
                .help("move that stage above, or give it a name that is no image's"),
        );
    }
}

/// Of some instructions only the last in a stage has an effect.
fn repeated(stage: &Stage, problems: &mut Problems) {
    for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let mut all = stage.instructions.iter().filter(|i| i.op.name() == name).rev();
        all.next();
        for earlier in all {
            let message = format!("this {name} has no effect, because another one follows");
            problems.push(
                Problem::warning(code!("overridden"), earlier.keyword, message)
                    .label("overridden below")
                    .help("keep the last one"),
            );
        }
    }
}
