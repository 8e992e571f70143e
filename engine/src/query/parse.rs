//! The text of a query to an expression. Goes on after an error, so that all are told at once.

use std::ops::Range;

use super::ask::Condition;
use super::error::{Errors, QueryError};
use super::lex::{Kind, Operator, Token, lex};
use super::table::Parameter;
use super::walk::{Between, Walk};

/// Longest query, in bytes.
const MAX_TEXT: usize = 64 << 10;
/// Most parentheses and functions within each other.
const MAX_DEPTH: usize = 100;
/// Most targets, functions and operators; each may have to walk the whole graph.
const MAX_STEPS: usize = 1_000;

/// An expression that is right in its form; whether its names exist is found out later.
#[derive(Clone, Debug)]
pub struct Expr {
    /// The parts of the expression, operands before what is done with them: a list has no depth
    /// that could be too much for a stack.
    pub(super) steps: Vec<(Step, Range<usize>)>,
}

/// One part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The nodes of a target.
    Target(String),
    /// The nodes that meet a condition.
    Where(Condition),
    /// A walk from the last set, at most so many steps far.
    Walk(Walk, Option<u32>),
    /// A walk between the last two sets.
    Between(Between),
    /// The last two sets as one.
    Combine(Operator),
}

impl Expr {
    /// Whether the expression asks what is stale, which a plan alone can tell.
    pub fn needs_plan(&self) -> bool {
        self.stale_spans().next().is_some()
    }

    /// Places of all `stale()`.
    pub(super) fn stale_spans(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let stale = |step: &Step| matches!(step, Step::Where(Condition::Stale));
        self.steps.iter().filter(move |(step, _)| stale(step)).map(|(_, span)| span.clone())
    }
}

/// Reads a query. The errors are all that is wrong with its form, by their place.
pub fn parse(text: &str) -> Result<Expr, Vec<QueryError>> {
    let mut errors = Errors::default();
    if text.len() > MAX_TEXT {
        let message = format!("the query is longer than {} KiB", MAX_TEXT >> 10);
        errors.last(
            QueryError::at("mabuild::query::limit", 0..0, message, "begins here")
                .help("name a group or a glob in place of many images"),
        );
        return errors.or(Expr { steps: Vec::new() });
    }
    let tokens = lex(text, &mut errors);
    let mut parser = Parser { tokens, at: 0, depth: 0, steps: Vec::new(), errors };
    parser.whole();
    parser.errors.or(Expr { steps: parser.steps })
}

/// The state of reading a query.
pub(super) struct Parser<'t> {
    pub(super) tokens: Vec<Token<'t>>,
    pub(super) at: usize,
    depth: usize,
    steps: Vec<(Step, Range<usize>)>,
    pub(super) errors: Errors,
}

impl<'t> Parser<'t> {
    /// The kind of the next token.
    pub(super) fn peek(&self) -> Kind<'t> {
        self.tokens.get(self.at).map_or(Kind::End, |token| token.kind)
    }

    /// The place of the next token.
    pub(super) fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0..0, |token| token.span.clone())
    }

    /// Passes over a token and gives its place.
    pub(super) fn next(&mut self) -> Range<usize> {
        let span = self.span();
        self.at += 1;
        span
    }

    /// Adds a part of the expression.
    pub(super) fn step(&mut self, step: Step, span: Range<usize>) {
        if self.steps.len() == MAX_STEPS {
            let message = format!("the query has more than {MAX_STEPS} parts");
            self.give_up(
                QueryError::at("mabuild::query::limit", span, message, "too many")
                    .help("name a group or a glob in place of many images"),
            );
        } else {
            self.steps.push((step, span));
        }
    }

    /// Adds an error and reads no further.
    fn give_up(&mut self, error: QueryError) {
        self.errors.last(error);
        self.at = self.tokens.len();
    }

    /// Adds an error of form.
    pub(super) fn wrong(
        &mut self,
        span: Range<usize>,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        let mut error = QueryError::at("mabuild::query::syntax", span, message, label);
        error.help = help;
        self.errors.push(error);
    }

    fn whole(&mut self) {
        if self.peek() == Kind::End {
            let help = Some("write a target, or a function such as `deps(NAME)`".to_owned());
            return self.wrong(self.span(), "the query is empty".to_owned(), "ends here", help);
        }
        self.sum();
        // What ends an expression, but nothing that it stands in: a comma or a parenthesis.
        while self.peek() != Kind::End {
            let (what, help) = match self.peek() {
                Kind::Comma => ("a comma", "a comma stands between the arguments of a function"),
                _ => ("a parenthesis", "take it out, or open one before"),
            };
            let span = self.next();
            self.wrong(span, format!("{what} stands where none can be"), "here", Some(help.into()));
            if !matches!(self.peek(), Kind::Operator(_) | Kind::Comma | Kind::Close | Kind::End) {
                self.product();
            }
            self.sums();
        }
    }

    /// Reads a sum.
    pub(super) fn sum(&mut self) {
        self.product();
        self.sums();
    }

    /// What follows the first product of a sum.
    fn sums(&mut self) {
        loop {
            let span = self.span();
            let operator = match self.peek() {
                Kind::Comma | Kind::Close | Kind::End => return,
                Kind::Operator(operator) => {
                    self.at += 1;
                    operator
                }
                Kind::Word(word) if let Some((operator, sign)) = spelled_out(word) => {
                    self.at += 1;
                    let message = format!("`{word}` is no operator of a query");
                    let help = Some(format!("write `{sign}`"));
                    self.wrong(span.clone(), message, "not known", help);
                    operator
                }
                Kind::Word(_) | Kind::Quoted(_) | Kind::Open => {
                    self.side_by_side(span.clone());
                    Operator::Union
                }
            };
            self.product();
            self.step(Step::Combine(operator), span);
        }
    }

    fn product(&mut self) {
        self.operand();
        while self.peek() == Kind::Operator(Operator::Intersection) {
            let span = self.next();
            self.operand();
            self.step(Step::Combine(Operator::Intersection), span);
        }
    }

    fn operand(&mut self) {
        let span = self.span();
        match self.peek() {
            Kind::Word(name) => {
                self.at += 1;
                match self.peek() {
                    Kind::Open => self.call(name, span),
                    _ => self.step(Step::Target(name.to_owned()), span),
                }
            }
            Kind::Quoted(name) => {
                self.at += 1;
                self.step(Step::Target(name.to_owned()), span);
            }
            Kind::Open => {
                self.at += 1;
                self.within(&span, Self::sum);
                if self.peek() == Kind::Comma {
                    let help = Some("write `+` for what is in either of two sets".to_owned());
                    let message = "a comma stands where none can be".to_owned();
                    self.wrong(self.span(), message, "here", help);
                    self.skip(&[Kind::Close]);
                }
                self.close(span);
            }
            Kind::Operator(_) | Kind::Close | Kind::Comma | Kind::End => {
                self.missing(Parameter::Set)
            }
        }
    }

    /// Says that something is missing before the next token.
    pub(super) fn missing(&mut self, what: Parameter) {
        let message = format!("{} is missing", what.noun());
        let label = match self.peek() {
            Kind::End => "the query ends here",
            _ => "expected before this",
        };
        self.wrong(self.span(), message, label, None);
    }

    /// Reads what is in parentheses, unless they are too deep.
    pub(super) fn within(&mut self, open: &Range<usize>, read: impl FnOnce(&mut Self)) {
        if self.depth == MAX_DEPTH {
            let message = format!("the query has more than {MAX_DEPTH} parentheses in each other");
            self.give_up(QueryError::at(
                "mabuild::query::limit",
                open.clone(),
                message,
                "too deep",
            ));
            return;
        }
        self.depth += 1;
        read(self);
        self.depth -= 1;
    }

    /// Passes over the closing parenthesis; gives where it ends.
    pub(super) fn close(&mut self, open: Range<usize>) -> usize {
        if self.peek() != Kind::Close {
            let help = Some("write `)` where it ends".to_owned());
            self.wrong(open, "a parenthesis is not closed".to_owned(), "opened here", help);
            return self.span().end;
        }
        self.next().end
    }

    /// Passes over all before the first of some signs that is in no further parentheses.
    pub(super) fn skip(&mut self, until: &[Kind<'_>]) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Kind::End => return,
                kind if depth == 0 && until.contains(&kind) => return,
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Says that two sets stand beside each other.
    fn side_by_side(&mut self, span: Range<usize>) {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let help = match before.map(|token| token.kind) {
            Some(Kind::Word(word)) if word.len() > 1 && word.ends_with('-') => {
                dash(word.trim_end_matches('-'))
            }
            _ => "write `+`, `-` or `^` between two sets".to_owned(),
        };
        self.wrong(span, "an operator is missing".to_owned(), "expected before this", Some(help));
    }
}

/// The operator that a word means in other languages, and its sign.
fn spelled_out(word: &str) -> Option<(Operator, char)> {
    match word {
        "or" | "union" => Some((Operator::Union, '+')),
        "and" | "intersect" => Some((Operator::Intersection, '^')),
        "except" | "minus" | "not" => Some((Operator::Difference, '-')),
        _ => None,
    }
}

/// What to write in place of a name that took the `-` behind it.
pub(super) fn dash(name: &str) -> String {
    format!("a `-` belongs to the name before it; for a difference write `{name} - …`")
}
