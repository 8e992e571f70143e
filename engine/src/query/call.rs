//! Functions with their arguments, as they stand in a query.

use std::ops::Range;

use mabuild_lang::suggest::did_you_mean;

use super::ask::{Argument, Condition};
use super::error::QueryError;
use super::lex::Kind;
use super::parse::{Parser, Step, dash};
use super::table::{self, Does, Function, Parameter};

impl Parser<'_> {
    /// Reads a function behind its name.
    pub(super) fn call(&mut self, name: &str, start: Range<usize>) {
        let function = table::find(name);
        if function.is_none() {
            self.unknown_function(name, start.clone());
        }
        let open = self.next();
        let (mut count, mut given) = (0, None);
        self.within(&open, |this| {
            if this.peek() == Kind::Close {
                return;
            }
            loop {
                let takes = function.and_then(|function| function.takes.get(count));
                match takes {
                    None | Some(Parameter::Set) => this.sum(),
                    Some(parameter) => given = this.word_argument(*parameter),
                }
                count += 1;
                if this.peek() != Kind::Comma {
                    return;
                }
                this.at += 1;
            }
        });
        let end = self.close(open);
        if let Some(function) = function {
            self.applied(function, count, given, start.start..end);
        }
    }

    /// Adds a function whose arguments are read.
    fn applied(
        &mut self,
        function: &Function,
        count: usize,
        given: Option<(Argument, Range<usize>)>,
        span: Range<usize>,
    ) {
        let most = function.takes.len();
        if count < function.least || count > most {
            let message =
                format!("`{}` takes {}, not {count}", function.name, numbers(function.least, most));
            let error = QueryError::at("mabuild::query::argument", span, message, "here");
            let help = format!("write `{}`: {}", function.usage, function.doc);
            return self.errors.push(error.help(help));
        }
        match (function.does, given) {
            (Does::Walk(walk), given) => {
                if count == 0 {
                    self.step(Step::Where(Condition::All), span.clone());
                }
                let steps = match given {
                    Some((Argument::Depth(steps), _)) => Some(steps),
                    _ => None,
                };
                self.step(Step::Walk(walk, steps), span);
            }
            (Does::Between(walk), _) => self.step(Step::Between(walk), span),
            (Does::All, _) => self.step(Step::Where(Condition::All), span),
            (Does::Stale, _) => self.step(Step::Where(Condition::Stale), span),
            (Does::Ask, Some((Argument::Condition(condition), place))) => {
                self.step(Step::Where(condition), place);
            }
            // What is wrong with the argument is told already.
            (Does::Ask, _) => {}
        }
    }

    /// Reads an argument that must be one word.
    fn word_argument(&mut self, parameter: Parameter) -> Option<(Argument, Range<usize>)> {
        let span = self.span();
        let ends = |kind| matches!(kind, Kind::Comma | Kind::Close | Kind::End);
        match self.peek() {
            kind if ends(kind) => self.missing(parameter),
            Kind::Word(word) | Kind::Quoted(word) => {
                self.at += 1;
                if ends(self.peek()) {
                    match parameter.read(word, span.clone()) {
                        Ok(argument) => return argument.map(|argument| (argument, span)),
                        Err(error) => self.errors.push(error),
                    }
                } else {
                    self.not_one_word(parameter, span.start);
                }
            }
            _ => self.not_one_word(parameter, span.start),
        }
        None
    }

    fn not_one_word(&mut self, parameter: Parameter, start: usize) {
        self.skip(&[Kind::Comma, Kind::Close]);
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let end = last.map_or(start, |token| token.span.end);
        let message = format!("{} is expected, not an expression", parameter.noun());
        self.wrong(start..end, message, "an expression", None);
    }

    fn unknown_function(&mut self, name: &str, span: Range<usize>) {
        let message = format!("no function is called `{name}`");
        let all: Vec<&str> = table::names().collect();
        let error = QueryError::at("mabuild::query::function", span, message, "not known")
            .help(format!("there are {}", all.join(", ")))
            .hint(did_you_mean(name, table::names()));
        self.errors.push(match name.strip_suffix('-') {
            Some(rest) => error.help(dash(rest)),
            None => error,
        });
    }
}

/// `no argument`, `1 argument`, `1 or 2 arguments`.
fn numbers(least: usize, most: usize) -> String {
    match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (0, 1) => "at most 1 argument".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{most} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    }
}
