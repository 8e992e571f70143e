//! Parser directives: comments at the very top that say how the file is read.

use crate::ast::{Directives, Word};
use crate::line::{Reader, without_end};
use crate::problem::{Problem, Problems, Span, nearest};
use crate::rules::Checks;

const KNOWN: [&str; 3] = ["syntax", "escape", "check"];

/// Reads the directives, sets the reader's escape character and leaves it where it was.
pub(crate) fn read(reader: &mut Reader<'_>, problems: &mut Problems) -> Directives {
    let mut found = Directives { syntax: None, check: None, escape: '\\' };
    let mut seen: Vec<String> = Vec::new();
    let mut open = true;
    let start = reader.at;
    while let Some((raw, at)) = reader.physical() {
        let line = without_end(raw);
        let inner = line.trim_start();
        if !inner.starts_with('#') {
            open = false;
            if inner.is_empty() {
                continue;
            }
            break;
        }
        let pair = pair(line, at);
        let name = pair.as_ref().map(|(key, _)| key.raw.to_ascii_lowercase());
        let Some((key, value)) =
            pair.filter(|_| name.as_deref().is_some_and(|n| KNOWN.contains(&n)))
        else {
            if let (true, Some(name)) = (open, name) {
                problems.extend(misspelt(&name, Span::new(at, at + line.len())));
            }
            open = false;
            continue;
        };
        let name = name.unwrap_or_default();
        if !open {
            problems.push(too_late(&name, key.span.to(value.span)));
        } else if seen.contains(&name) {
            problems.push(
                Problem::error(
                    code!("duplicate-directive"),
                    key.span.to(value.span),
                    format!("the directive `{name}` is here twice"),
                )
                .label("the second one")
                .help("keep one of them"),
            );
        } else {
            take(&name, value, &mut found, problems);
            seen.push(name);
            reader.directives_end = reader.at;
        }
    }
    reader.at = start;
    reader.escape = found.escape;
    found
}

fn take(name: &str, value: Word, found: &mut Directives, problems: &mut Problems) {
    match name {
        "syntax" => found.syntax = Some(value),
        "check" => {
            match Checks::read(&value.raw) {
                Ok(checks) => problems.checks = checks,
                Err(option) => problems.push(bad_check(&value, option)),
            }
            found.check = Some(value);
        }
        _ => match value.raw.as_str() {
            "\\" => found.escape = '\\',
            "`" => found.escape = '`',
            other => problems.push(
                Problem::error(
                    code!("bad-escape"),
                    value.span,
                    format!("the escape character cannot be `{other}`"),
                )
                .label("this value")
                .help("it is `\\` or a backtick"),
            ),
        },
    }
}

/// Reads `# key = value`.
fn pair(line: &str, at: usize) -> Option<(Word, Word)> {
    let (before, behind) = line.split_once('=')?;
    let key = before.trim_start().strip_prefix('#')?.trim();
    let mut letters = key.chars();
    if !letters.next()?.is_ascii_alphabetic() || !letters.all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = behind.trim();
    if value.is_empty() {
        return None;
    }
    let key_at = at + before.rfind(key)?;
    let value_at = at + before.len() + 1 + (behind.len() - behind.trim_start().len());
    let word = |text: &str, at| Word { raw: text.to_owned(), span: Span::new(at, at + text.len()) };
    Some((word(key, key_at), word(value, value_at)))
}

fn too_late(name: &str, span: Span) -> Problem {
    let message = format!("`{name}` is a plain comment here");
    Problem::warning(code!("directive-too-late"), span, message)
        .label("has no effect")
        .help("directives stand at the very top, before comments and empty lines")
}

fn misspelt(name: &str, span: Span) -> Option<Problem> {
    let meant = nearest(name, KNOWN).filter(|meant| *meant != name)?;
    let message = format!("`{name}` is no directive, so that this is a plain comment");
    Some(
        Problem::warning(code!("unknown-directive"), span, message)
            .label("has no effect")
            .help(format!("did you mean `{meant}`?")),
    )
}

fn bad_check(value: &Word, option: &str) -> Problem {
    let message = format!("`{}` is no option of `check`", option.trim());
    Problem::error(code!("bad-check"), value.span, message)
        .label("in this list")
        .help("write `skip=Name,Name` or `error=true`, with `;` between them and no blanks")
}
