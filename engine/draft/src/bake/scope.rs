//! Names that an expression sees, and the bounds of what it may do.

use std::cell::Cell;
use std::ops::Range;

use super::value::Value;

/// Work of one draft, in bytes of values that are made; one expression counts as some of them.
const MAX_WORK: usize = 16 << 20;
/// Expressions within expressions, through functions and variables.
const MAX_DEPTH: usize = 250;
/// Longest string, in bytes.
pub(crate) const MAX_TEXT: usize = 256 << 10;

/// An expression that has no value.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    /// Bytes of the source.
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
    /// Whether the bounds are reached, so that `try` must not go on.
    pub fatal: bool,
}

impl Wrong {
    /// What is wrong, and where.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None, fatal: false }
    }

    /// The same, with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Names of one place, innermost first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope<'s> {
    pub names: &'s [(String, Value)],
    pub outer: Option<&'s Scope<'s>>,
}

impl<'s> Scope<'s> {
    /// The value of a name of this place.
    pub fn get(&self, name: &str) -> Option<&'s Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some((_, value)) = here.names.iter().rev().find(|(known, _)| known == name) {
                return Some(value);
            }
            scope = here.outer;
        }
        None
    }
}

/// What is left of the bounds.
#[derive(Debug)]
pub(crate) struct Budget {
    work: Cell<usize>,
    depth: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { work: Cell::new(MAX_WORK), depth: Cell::new(0) }
    }
}

impl Budget {
    /// Takes an amount of work.
    pub fn spend(&self, amount: usize, span: &Range<usize>) -> Result<(), Wrong> {
        match self.work.get().checked_sub(amount) {
            Some(left) => {
                self.work.set(left);
                Ok(())
            }
            None => {
                self.work.set(0);
                Err(fatal(span, "the expressions of this file take too much work"))
            }
        }
    }

    /// Does something one level deeper.
    pub fn deeper<T>(
        &self,
        span: &Range<usize>,
        work: impl FnOnce() -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        if self.depth.get() >= MAX_DEPTH {
            return Err(fatal(span, "expressions are nested too deep here"));
        }
        self.depth.set(self.depth.get() + 1);
        let done = work();
        self.depth.set(self.depth.get() - 1);
        done
    }
}

fn fatal(span: &Range<usize>, message: &str) -> Wrong {
    let wrong = Wrong::new(span.clone(), message)
        .help("write the values out, or draft the parts of the file one by one");
    Wrong { fatal: true, ..wrong }
}
