//! The query language: an expression to a set of nodes. Pure.
//!
//! ```text
//! sum      = product { ("+" | "-") product }        union, difference
//! product  = operand { "^" operand }                intersection
//! operand  = target | name "(" [ argument { "," argument } ] ")" | "(" sum ")"
//! ```
//!
//! `^` binds closer than `+` and `-`, which are equals; all run from left to right. A target is
//! what every command takes: a name, `name@platform`, `name[axis=value]`, a group, a glob. A name
//! may hold `-`, so `a-b` is one word and `a - b` a difference. What stands in brackets or braces
//! belongs to the word whatever it is, and a word in quotes, single or double, may hold anything
//! but that quote. [`FUNCTIONS`] is the table of functions.
//!
//! A set holds nodes of one platform each; the index over the platforms of an image is never in
//! one. A name that does not exist is an error, a condition that nothing meets gives no node.

mod ask;
mod call;
mod error;
mod eval;
mod lex;
mod parse;
mod set;
mod table;
mod walk;

#[cfg(test)]
mod tests;

pub use error::QueryError;
pub use eval::{World, evaluate};
pub use parse::{Expr, parse};
pub use set::NodeSet;
pub use table::{FUNCTIONS, Function};
