//! Relative working directories that no absolute one in the file comes before.

use crate::ast::{Dockerfile, Op};
use crate::problem::{Problem, Problems, Span};
use crate::references::triggers;
use crate::stages::Stages;

/// Checks what the text alone decides: stages that start from a plain name, plain paths.
pub(super) fn check(file: &Dockerfile, stages: &Stages<'_>, problems: &mut Problems) {
    // Whether each stage has a working directory of the file; none where that is not known.
    let mut set: Vec<Option<bool>> = Vec::with_capacity(file.stages.len());
    for stage in &file.stages {
        let base = stages.above(stage.index, &stage.from.raw);
        let mut is_set = match base {
            Some(base) => set.get(base).copied().flatten(),
            None => stage.from.is_plain().then_some(false),
        };
        let base = base.and_then(|base| file.stages.get(base));
        let own = stage.instructions.iter().map(|i| (&i.op, None, i.comments.as_slice()));
        let handed = base.into_iter().flat_map(triggers);
        let handed = handed.map(|op| (op, Some(stage.from.span), stage.comments.as_slice()));
        for (op, place, comments) in handed.chain(own) {
            let Op::Workdir(word) = op else { continue };
            if is_set == Some(false) && word.is_plain() && is_relative(&word.raw) {
                problems.within(comments);
                problems.push(problem(place.unwrap_or(word.span), &word.raw));
            }
            is_set = Some(true);
        }
        set.push(is_set);
    }
}

/// Whether a path is relative; one with the letter of a drive belongs to Windows.
pub(super) fn is_relative(path: &str) -> bool {
    let drive = matches!(path.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    !path.starts_with(['/', '\\']) && !drive
}

/// Says that a path is relative to what the base has.
pub(super) fn problem(span: Span, path: &str) -> Problem {
    let message = format!("`{path}` stands below the working directory of the base image");
    Problem::warning(code!("workdir-relative-path"), span, message)
        .label("relative")
        .help("write an absolute path, so that another base does not move it")
}
