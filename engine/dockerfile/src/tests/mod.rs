mod bad;
mod bounds;
mod checks;
mod differential;
mod expansion;
mod given;
mod good;
mod property;
mod refs;
mod stages;
mod values;

use std::fmt::Write as _;

use crate::{Problem, Severity};

/// Shows problems with the text that they underline.
fn show(text: &str, problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let level = if problem.severity == Severity::Error { "error" } else { "warning" };
        let code = problem.code.strip_prefix("mabuild::dockerfile::").unwrap();
        let place = &text[problem.span.range()];
        let Problem { span, message, label, help, .. } = problem;
        writeln!(out, "{level} {code} {}..{} {place:?}", span.start, span.end).unwrap();
        writeln!(out, "  {message} ({label})").unwrap();
        if let Some(help) = help {
            writeln!(out, "  help: {help}").unwrap();
        }
    }
    out
}
