//! An expression to the nodes that it means.

use std::ops::Range;

use super::ask::ask;
use super::error::{Errors, QueryError};
use super::lex::Operator;
use super::parse::{Expr, Step};
use super::set::NodeSet;
use super::{table, walk};
use crate::graph::{Graph, SelectError, named_by};
use crate::plan::Plan;

/// Places of a `-` in a name at which "did you mean a difference" is tried.
const MAX_CUTS: usize = 8;

/// What a query is about.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// What a rebuild of all of it would do, for `stale()`. A node that is not in the plan is not
    /// stale.
    pub plan: Option<&'a Plan>,
}

/// Finds the nodes that an expression means. The errors are names that do not exist, all of
/// them, or `stale()` where there is no plan ([`Expr::needs_plan`] says so before).
pub fn evaluate(expr: &Expr, world: &World<'_>) -> Result<NodeSet, Vec<QueryError>> {
    let graph = world.graph;
    let mut errors = Errors::default();
    for span in expr.stale_spans().filter(|_| world.plan.is_none()) {
        let message = "what is stale is not known without a plan";
        errors.push(
            QueryError::at("mabuild::query::needs-plan", span, message, "needs a plan")
                .help("plan first, or ask without `stale()`"),
        );
    }
    let mut stack: Vec<NodeSet> = Vec::new();
    for (step, span) in &expr.steps {
        let mut pop = || stack.pop().unwrap_or_default();
        let found = match step {
            Step::Target(word) => target(graph, word, span),
            Step::Where(condition) => ask(world, condition, span),
            Step::Walk(walk, steps) => Ok(walk::from(graph, *walk, pop(), *steps)),
            Step::Between(walk) => {
                let other = pop();
                Ok(walk::between(graph, *walk, &pop(), &other))
            }
            Step::Combine(operator) => {
                let other = pop();
                Ok(combine(*operator, pop(), &other))
            }
        };
        stack.push(found.unwrap_or_else(|error| {
            errors.push(error);
            NodeSet::none(graph)
        }));
    }
    errors.or(stack.pop().unwrap_or_default())
}

fn combine(operator: Operator, mut one: NodeSet, other: &NodeSet) -> NodeSet {
    match operator {
        Operator::Union => one.add(other),
        Operator::Difference => one.subtract(other),
        Operator::Intersection => one.intersect(other),
    }
    one
}

fn target(graph: &Graph, word: &str, span: &Range<usize>) -> Result<NodeSet, QueryError> {
    let found = named_by(graph, word).map_err(|error| unknown(graph, word, span, error))?;
    Ok(NodeSet::of(graph, found))
}

fn unknown(graph: &Graph, word: &str, span: &Range<usize>, error: SelectError) -> QueryError {
    let at = |message: String| {
        QueryError::at("mabuild::query::target", span.clone(), message, "no such target")
    };
    let SelectError::Unknown { hint, .. } = error else { return at(error.to_string()) };
    let unknown = at(format!("nothing is called `{word}`")).hint(hint.as_deref());
    if let Some(function) = table::find(word) {
        return unknown.help(format!("`{word}` is a function: write `{}`", function.usage));
    }
    match difference(graph, word) {
        Some((one, other)) => unknown.help(format!(
            "`{word}` is one name; for a difference put blanks around the sign: `{one} - {other}`"
        )),
        None => unknown,
    }
}

/// The two names that a word is made of, with a `-` between them.
fn difference<'w>(graph: &Graph, word: &'w str) -> Option<(&'w str, &'w str)> {
    let known = |name: &str| {
        graph.find(name).is_some() || graph.groups().iter().any(|group| **group == *name)
    };
    let cuts = word.match_indices('-').take(MAX_CUTS);
    cuts.filter_map(|(at, _)| Some((word.get(..at)?, word.get(at + 1..)?)))
        .find(|(one, other)| known(one) && known(other))
}
