//! What only shows when the whole file is known, and is decided by its text.

mod from;
mod given;
mod scope;
mod workdir;

use crate::ast::{Dockerfile, Instruction, Op, Stage};
use crate::expand;
use crate::line::is_gap;
use crate::mount::has_variable;
use crate::problem::{Problem, Problems, Severity, Span};
use crate::stages::{Stages, mentions};

pub use given::{Given, Image, check};

/// Checks a file.
pub(crate) fn file(file: &Dockerfile, problems: &mut Problems) {
    let stages = Stages::new(file);
    let escape = file.directives.escape;
    from::check(file, &stages, problems);
    casing(file, problems);
    for stage in &file.stages {
        for instruction in &stage.instructions {
            problems.within(&instruction.comments);
            for mention in mentions(&instruction.op) {
                // Variables in them were reported when they were read.
                if !has_variable(&mention.word().raw) {
                    let wrong = stages.source(stage.index, mention).err();
                    // It is an error where the stage is needed, which the text alone cannot tell.
                    let severity = Severity::Warning;
                    problems.extend(wrong.map(|problem| Problem { severity, ..problem }));
                }
            }
            problems.extend(expansion(&instruction.op, escape));
            secrets(instruction, problems);
        }
        repeated(stage, problems);
    }
    workdir::check(file, &stages, problems);
    problems.within(&[]);
    for arg in file.args.iter().filter_map(|arg| arg.default.as_ref()) {
        problems.extend(expand::word(arg, escape, &some).err());
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

/// The first word of an instruction as it is written.
fn keyword(code: &str) -> &str {
    code.split(is_gap).next().unwrap_or("")
}

/// Whether all letters are lower-case (true) or upper-case (false); none when they are mixed.
fn case(word: &str) -> Option<bool> {
    let lower = word.chars().any(char::is_lowercase);
    let upper = word.chars().any(char::is_uppercase);
    (lower != upper).then_some(lower)
}

/// All instructions are to be written as most of them are.
fn casing(file: &Dockerfile, problems: &mut Problems) {
    let of = |stage: &Stage| case(keyword(&stage.code));
    let froms = file.stages.iter().map(of);
    let others = file.stages.iter().flat_map(|stage| &stage.instructions);
    let all: Vec<bool> =
        froms.chain(others.map(|own| case(keyword(&own.code)))).flatten().collect();
    let lower = all.iter().filter(|lower| **lower).count();
    let mostly_lower = lower > all.len() - lower;
    let wanted = if mostly_lower { "lower case" } else { "upper case" };
    let told = |code: &str, span| {
        let word = keyword(code);
        let right = if mostly_lower { word.to_lowercase() } else { word.to_uppercase() };
        (word != right).then(|| {
            let message = format!("`{word}` is not in {wanted}, as most instructions here are");
            Problem::warning(code!("consistent-instruction-casing"), span, message)
                .label("differs")
                .help(format!("write `{right}`"))
        })
    };
    for stage in &file.stages {
        problems.within(&stage.comments);
        let start = stage.span.start as usize;
        let place = Span::new(start, start + keyword(&stage.code).len());
        problems.extend(told(&stage.code, place));
        for own in &stage.instructions {
            problems.within(&own.comments);
            problems.extend(told(&own.code, own.keyword));
        }
    }
}

/// The words that a name of something secret has in it, and those that say it is none.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "passwd",
    "password",
    "pword",
    "secret",
    "token",
];
const HARMLESS: [&str; 3] = ["file", "public", "version"];

/// Values of arguments and variables can be read by everybody who has the image.
fn secrets(instruction: &Instruction, problems: &mut Problems) {
    let keys: Vec<_> = match &instruction.op {
        Op::Arg(list) => list.iter().map(|arg| &arg.name).collect(),
        Op::Env(list) => list.iter().map(|pair| &pair.key).collect(),
        _ => return,
    };
    let has = |name: &str, words: &[&str]| {
        name.split('_').any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
    };
    for key in keys.into_iter().filter(|key| has(&key.raw, &SECRET) && !has(&key.raw, &HARMLESS)) {
        let name = instruction.op.name();
        let message = format!("{name} `{}` looks like a secret, and the image keeps it", key.raw);
        problems.push(
            Problem::warning(code!("secrets-used-in-arg-or-env"), key.span, message)
                .label("readable by everybody who has the image")
                .help("use `RUN --mount=type=secret,id=…` in the step that needs it"),
        );
    }
}

/// Of some instructions only the last in a stage has an effect.
fn repeated(stage: &Stage, problems: &mut Problems) {
    for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let mut all = stage.instructions.iter().filter(|i| i.op.name() == name).rev();
        let mut later = all.next();
        for earlier in all {
            // BuildKit finds it at the later one.
            problems.within(later.map_or(&[], |later| &later.comments));
            later = Some(earlier);
            let message = format!("this {name} has no effect, because another one follows");
            problems.push(
                Problem::warning(
                    code!("multiple-instructions-disallowed"),
                    earlier.keyword,
                    message,
                )
                .label("overridden below")
                .help("keep the last one"),
            );
        }
    }
}
