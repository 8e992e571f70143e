//! Flags of instructions: which there are, and reading them one by one.

use crate::ast::Word;
use crate::problem::{Problem, Problems, Span, did_you_mean};
use crate::split::RawFlag;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Text,
    List,
}

/// The flags that an instruction knows.
fn known(instruction: &str) -> &'static [(&'static str, Kind)] {
    use Kind::{Bool, List, Text};
    match instruction {
        "ADD" => &[
            ("checksum", Text),
            ("chmod", Text),
            ("chown", Text),
            ("exclude", List),
            ("keep-git-dir", Bool),
            ("link", Bool),
            ("unpack", Bool),
        ],
        "COPY" => &[
            ("chmod", Text),
            ("chown", Text),
            ("exclude", List),
            ("from", Text),
            ("link", Bool),
            ("parents", Bool),
        ],
        "FROM" => &[("platform", Text)],
        "HEALTHCHECK" => &[
            ("interval", Text),
            ("retries", Text),
            ("start-interval", Text),
            ("start-period", Text),
            ("timeout", Text),
        ],
        "RUN" => &[("device", List), ("mount", List), ("network", Text), ("security", Text)],
        _ => &[],
    }
}

/// The instructions that know a flag of that name.
fn owners(flag: &str) -> Vec<&'static str> {
    let all = ["ADD", "COPY", "FROM", "HEALTHCHECK", "RUN"];
    all.into_iter().filter(|name| known(name).iter().any(|(own, _)| *own == flag)).collect()
}

/// The flags of one instruction, checked.
#[derive(Debug)]
pub(crate) struct Flags {
    read: Vec<(&'static str, Value, Span)>,
}

#[derive(Debug)]
enum Value {
    Bool(bool),
    Text(Word),
}

impl Flags {
    /// Checks the flags of an instruction; bad ones are reported and left out.
    pub(crate) fn read(instruction: &str, raw: Vec<RawFlag>, problems: &mut Problems) -> Self {
        let mut flags = Self { read: Vec::new() };
        let mut seen = Vec::new();
        for flag in raw {
            match one(instruction, flag, &mut seen) {
                Ok(read) => flags.read.push(read),
                Err(problem) => problems.push(problem),
            }
        }
        flags
    }

    /// Gives the value of a flag.
    pub(crate) fn text(&self, name: &str) -> Option<Word> {
        self.list(name).next()
    }

    /// Gives the value of a flag that is the same as none when it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<Word> {
        self.text(name).filter(|word| !word.raw.is_empty())
    }

    /// Gives all values of a flag.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = Word> {
        self.read.iter().filter(move |(own, ..)| *own == name).filter_map(|(_, value, _)| {
            match value {
                Value::Text(word) => Some(word.clone()),
                Value::Bool(_) => None,
            }
        })
    }

    /// Gives a switch, if it is written.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.read.iter().find(|(own, ..)| *own == name).and_then(|(_, value, _)| match value {
            Value::Bool(on) => Some(*on),
            Value::Text(_) => None,
        })
    }
}

/// Checks one flag; `seen` are those before it that stand once only.
fn one(
    instruction: &str,
    flag: RawFlag,
    seen: &mut Vec<&'static str>,
) -> Result<(&'static str, Value, Span), Problem> {
    let given = flag.name.raw.as_str();
    let Some((name, kind)) = known(instruction).iter().find(|(name, _)| *name == given) else {
        return Err(unknown(instruction, &flag));
    };
    if *kind != Kind::List && seen.contains(name) {
        let message = format!("{instruction} has `--{name}` twice");
        return Err(Problem::error(code!("duplicate-flag"), flag.span, message)
            .label("the second one")
            .help("keep one of them"));
    }
    if *kind != Kind::List {
        seen.push(*name);
    }
    let value = match (kind, flag.value) {
        (Kind::Bool, None) => Value::Bool(true),
        (Kind::Bool, Some(word)) => Value::Bool(boolean(name, &word)?),
        (_, Some(word)) => Value::Text(word),
        (_, None) => {
            let message = format!("`--{name}` needs a value");
            return Err(Problem::error(code!("flag-without-value"), flag.span, message)
                .label("no `=value`")
                .help(format!("write `--{name}=…`, with `=` and without a space")));
        }
    };
    Ok((name, value, flag.span))
}

fn unknown(instruction: &str, flag: &RawFlag) -> Problem {
    let given = flag.name.raw.as_str();
    let names = known(instruction).iter().map(|(name, _)| *name);
    let help = did_you_mean(given, names).map(|h| h.replacen('`', "`--", 1)).or_else(|| {
        let owners = owners(&given.to_ascii_lowercase());
        (!owners.is_empty()).then(|| format!("`--{given}` is a flag of {}", owners.join(" and ")))
    });
    let none = known(instruction).is_empty();
    let help = help.or_else(|| none.then(|| format!("{instruction} has no flags")));
    let message = format!("{instruction} has no flag `--{given}`");
    Problem::error(code!("unknown-flag"), flag.span, message).label("unknown").maybe_help(help)
}

fn boolean(name: &str, word: &Word) -> Result<bool, Problem> {
    match word.raw.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let message = format!("`--{name}` is `true` or `false`, not `{}`", word.raw);
            Err(Problem::error(code!("bad-flag-value"), word.span, message)
                .label("no truth value")
                .help(format!("write `--{name}` alone to switch it on")))
        }
    }
}
