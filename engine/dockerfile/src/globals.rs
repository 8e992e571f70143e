//! The arguments before the first FROM, and the stage that is asked for.

use std::cell::Cell;
use std::collections::HashMap;

use crate::ast::{Dockerfile, Stage, Word};
use crate::expand;
use crate::problem::{Problem, Span, did_you_mean};

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

impl Dockerfile {
    /// Finds the stage that is asked for: the last one when none is, else the last of a name in
    /// any case, else the one at a position.
    ///
    /// # Errors
    /// There is no such stage. The problem has no place in the text.
    pub fn stage_of_target(&self, target: Option<&str>) -> Result<&Stage, Problem> {
        let nowhere = Span::default();
        let Some(name) = target else {
            return self.stages.last().ok_or_else(|| {
                Problem::error(code!("no-stage"), nowhere, "the file has no FROM")
                    .help("begin with `FROM image`")
            });
        };
        let number = || name.parse::<usize>().ok().and_then(|index| self.stages.get(index));
        self.stage(name).or_else(number).ok_or_else(|| {
            let names =
                || self.stages.iter().filter_map(|s| s.name.as_ref()).map(|n| n.raw.as_str());
            let near = did_you_mean(&name.to_lowercase(), names());
            let all = || {
                let names: Vec<&str> = names().take(20).collect();
                (!names.is_empty()).then(|| format!("there are {}", names.join(", ")))
            };
            Problem::error(code!("unknown-target"), nowhere, format!("there is no stage `{name}`"))
                .maybe_help(near.or_else(all))
        })
    }
}

/// The longest value of an argument, in bytes: Linux hands no longer ones to a program.
const LONGEST_VALUE: usize = 128 << 10;
/// The longest that all values may be together, in bytes.
const ALL_VALUES: usize = 64 << 20;
/// How much text all words together may be and look up, in bytes.
const BUDGET: usize = 256 << 20;
/// The longest name or platform that is looked at, in bytes; registries allow much shorter ones.
const LONGEST_NAME: usize = 4096;

/// The arguments before the first FROM with their values: what FROM sees, and what an ARG of a
/// stage without a default takes over.
pub struct Globals<'a> {
    values: HashMap<&'a str, String>,
    target: &'a Stage,
    escape: char,
    /// How much text is still looked at.
    budget: Cell<usize>,
    arg: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Globals<'a> {
    /// Gives every argument its value. Values of `arg` win over defaults; it also gives the
    /// automatic ones such as `TARGETPLATFORM`.
    ///
    /// # Errors
    /// A default that cannot be expanded, or a value beyond all bounds.
    pub fn new(
        file: &'a Dockerfile,
        target: &'a Stage,
        arg: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        let escape = file.directives.escape;
        let budget = Cell::new(BUDGET);
        let mut globals = Self { values: HashMap::new(), target, escape, budget, arg };
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

    /// Gives the value of an argument; `TARGETSTAGE` is the name of the stage that is asked for,
    /// or `default` when it has none.
    pub fn get(&self, name: &str) -> Option<String> {
        let automatic = || AUTOMATIC_ARGS.contains(&name).then(|| (self.arg)(name)).flatten();
        let stage = || {
            let own = self.target.name.as_ref().map_or("default", |word| word.raw.as_str());
            (name == "TARGETSTAGE").then(|| own.to_owned())
        };
        self.values.get(name).cloned().or_else(automatic).or_else(stage)
    }

    /// Expands a word of FROM or a default.
    pub(crate) fn expand(&self, word: &Word) -> Result<String, Problem> {
        if word.is_plain() {
            return Ok(word.raw.clone());
        }
        if self.budget.get() == 0 {
            let message = "the arguments before the first FROM make too much text";
            return Err(Problem::error(code!("argument-too-long"), word.span, message)
                .label("not expanded")
                .help("use shorter values"));
        }
        let get = |name: &str| {
            let value = self.get(name);
            self.spend(value.as_ref().map_or(0, String::len));
            value
        };
        self.spend(word.raw.len());
        expand::word(word, self.escape, &get).map(|expanded| expanded.text)
    }

    fn spend(&self, bytes: usize) {
        self.budget.set(self.budget.get().saturating_sub(bytes));
    }

    /// Expands a word of FROM that must not be empty.
    pub(crate) fn filled(&self, word: &Word, what: &str) -> Result<String, Problem> {
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
