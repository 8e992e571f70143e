//! What is shown of an instruction while it runs.

use crate::ast::{Command, Heredoc, Instruction, Op, Run, Word};
use crate::heredoc;
use crate::lex::{Env, Lexer, Mode};

/// Gives the text that BuildKit shows while an instruction runs, without the step's number: the
/// instruction with its variables expanded, and the first line of a script. Values of secrets
/// that are variables are masked.
pub fn progress(instruction: &Instruction, escape: char, env: Env<'_>) -> String {
    let mut text = instruction.code.clone();
    let mut mode = Mode::new(escape);
    let mut hidden = Vec::new();
    if let Op::Run(run) = &instruction.op {
        mode = Mode { raw_quotes: true, keep_unset: true, ..mode };
        text.extend(summary(run));
        let mounts = run.mounts.iter().filter_map(|mount| mount.resolve(escape, env).ok());
        hidden.extend(mounts.filter_map(|mount| mount.env));
    }
    let masked = |name: &str| match hidden.iter().any(|own| own == name) {
        true => Some("****".to_owned()),
        false => env(name),
    };
    let expanded = Lexer::new(&text, mode, &masked).run().map(|lexed| lexed.text);
    let text = expanded.unwrap_or(text);
    match text.split_once(' ') {
        Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
        None => text.to_uppercase(),
    }
}

/// The first line of the script that a RUN consists of.
fn summary(run: &Run) -> Option<String> {
    let Command::Shell(Word { raw, .. }) = &run.command else { return None };
    let doc: &Heredoc = run.heredocs.first()?;
    heredoc::opening(raw)?;
    let mut lines = doc.body.trim().lines();
    let first = lines.next().unwrap_or("");
    let more = if lines.next().is_some() { "..." } else { "" };
    Some(format!(" ({first}{more})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn env(name: &str) -> Option<String> {
        (name == "A").then(|| "a".to_owned())
    }

    #[test]
    fn progress_lines() {
        let line = |text: &str| {
            let text = format!("FROM a\n{text}");
            let parsed = parse(&text);
            progress(&parsed.file.stages[0].instructions[0], parsed.file.directives.escape, &env)
        };
        for (text, shown) in [
            (
                "run echo $A \"$A\" '$A' ${NONE:-x} $NONE\n",
                "RUN echo a \"a\" '$A' ${NONE:-x} $NONE",
            ),
            ("RUN a \\\n  # why\n  && b\n", "RUN a   && b"),
            ("RUN --mount=type=cache,target=/c\ta\n", "RUN --mount=type=cache,target=/c\ta"),
            ("RUN <<E\n\n  first $A\nsecond\nE\n", "RUN <<E (first a...)"),
            ("RUN <<E\nonly\nE\n", "RUN <<E (only)"),
            ("RUN cat <<E\nonly\nE\n", "RUN cat <<E"),
            ("RUN echo ${A\n", "RUN echo ${A"),
            ("COPY  --chown=$A \"b c\"  'd' $NONE /e\n", "COPY  --chown=a b c  d  /e"),
            ("add $A /b\n", "ADD a /b"),
            ("WORKDIR $A/b\n", "WORKDIR a/b"),
            (
                "RUN --mount=type=secret,id=s,env=TOKEN --mount=type=cache,target=/c echo $TOKEN $A\n",
                "RUN --mount=type=secret,id=s,env=TOKEN --mount=type=cache,target=/c echo **** a",
            ),
        ] {
            assert_eq!(line(text), shown, "{text}");
        }
    }
}
