//! What variables an instruction sees, while the stages are gone through.

use std::cell::Cell;
use std::collections::HashMap;

use crate::ast::Word;
use crate::expand;
use crate::lex::Env;

/// A variable's value; none when it has one that is not known.
type Value = Option<String>;

/// Longer values count as not known, in bytes.
const LONGEST: usize = 4096;

/// What to take back on the way out of a stage.
enum Undo {
    Variable(String, Option<Value>),
    Argument(String),
    Complete(bool),
    Shell(bool),
    Workdir(bool),
}

/// The variables and arguments of a stage. Stages that start from this one see its changes, all
/// others do not: what a stage did is taken back when they are through.
#[derive(Default)]
pub(super) struct Scope {
    variables: HashMap<String, Value>,
    /// The arguments that were declared, and how often.
    arguments: HashMap<String, usize>,
    /// Whether there is no variable that is not known.
    is_complete: bool,
    /// Whether a SHELL is set.
    pub(super) has_shell: bool,
    /// Whether a WORKDIR stands in the file.
    pub(super) has_workdir: bool,
    done: Vec<Undo>,
}

/// A word as far as the values of its variables are known.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The text; none when it depends on a value that is not known.
    pub(super) text: Option<String>,
    /// The variables that nothing defines.
    pub(super) undefined: Vec<String>,
}

impl Scope {
    /// Gives the mark to go back to.
    pub(super) fn mark(&self) -> usize {
        self.done.len()
    }

    /// Takes back everything since a mark.
    pub(super) fn back_to(&mut self, mark: usize) {
        while self.done.len() > mark {
            match self.done.pop() {
                Some(Undo::Variable(name, Some(value))) => {
                    self.variables.insert(name, value);
                }
                Some(Undo::Variable(name, None)) => {
                    self.variables.remove(&name);
                }
                Some(Undo::Argument(name)) => {
                    if let Some(count) = self.arguments.get_mut(&name) {
                        *count -= 1;
                    }
                }
                Some(Undo::Complete(before)) => self.is_complete = before,
                Some(Undo::Shell(before)) => self.has_shell = before,
                Some(Undo::Workdir(before)) => self.has_workdir = before,
                None => return,
            }
        }
    }

    /// Says whether all variables of the base are known.
    pub(super) fn complete(&mut self, is_complete: bool) {
        self.done.push(Undo::Complete(self.is_complete));
        self.is_complete = is_complete;
    }

    /// Says whether a SHELL is set.
    pub(super) fn shell(&mut self, is_set: bool) {
        self.done.push(Undo::Shell(self.has_shell));
        self.has_shell = is_set;
    }

    /// Says that a WORKDIR stands in the file.
    pub(super) fn workdir(&mut self) {
        self.done.push(Undo::Workdir(self.has_workdir));
        self.has_workdir = true;
    }

    /// Gives a variable a value.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let value = value.filter(|value| value.len() <= LONGEST);
        let before = self.variables.insert(name.to_owned(), value);
        self.done.push(Undo::Variable(name.to_owned(), before));
    }

    /// Declares an argument, which no longer counts as undefined.
    pub(super) fn declare(&mut self, name: &str) {
        *self.arguments.entry(name.to_owned()).or_default() += 1;
        self.done.push(Undo::Argument(name.to_owned()));
    }

    /// Lists variables that have a value, for suggestions.
    pub(super) fn names(&self, most: usize) -> Vec<&str> {
        let mut names: Vec<&str> = self.variables.keys().map(String::as_str).take(most).collect();
        names.sort_unstable();
        names
    }

    /// Expands a word as an instruction does.
    pub(super) fn word(&self, word: &Word, escape: char) -> Seen {
        if word.is_plain() {
            return Seen { text: Some(word.raw.clone()), undefined: Vec::new() };
        }
        self.seen(|env| {
            let expanded = expand::word(word, escape, env).ok()?;
            Some((expanded.text, expanded.missing))
        })
    }

    /// Expands something and tells what of it is known.
    pub(super) fn seen<M: IntoIterator<Item = String>>(
        &self,
        expand: impl FnOnce(Env<'_>) -> Option<(String, M)>,
    ) -> Seen {
        let unsure = Cell::new(false);
        let env = |name: &str| match self.variables.get(name) {
            Some(Some(value)) => Some(value.clone()),
            None if self.is_complete => None,
            _ => {
                unsure.set(true);
                Some("x".to_owned())
            }
        };
        let Some((text, missing)) = expand(&env) else { return Seen::default() };
        let is_declared = |name: &String| self.arguments.get(name).is_some_and(|count| *count > 0);
        Seen {
            text: (!unsure.get()).then_some(text),
            undefined: missing.into_iter().filter(|name| !is_declared(name)).collect(),
        }
    }
}
