//! The functions that bake has for every file.

mod date;
mod encode;
mod list;
mod number;
mod text;

use super::globals::Globals;
use super::scope::MAX_TEXT;
use super::value::Value;

/// What a function gives; the error is a reason for people.
type Given = Result<Value, String>;

/// Calls a function by its name; none where there is no such function.
pub(crate) fn call(name: &str, args: &[Value], globals: &Globals<'_>) -> Option<Given> {
    if matches!(name, "timestamp" | "uuidv4" | "bcrypt") {
        globals.remarks.borrow_mut().insert(
            "a function gives another value with every run (`timestamp`, `uuidv4`, `bcrypt`); a fixed one is written: use `{{date}}` or a `let`",
        );
        return Some(Ok(Value::plain(match name {
            "timestamp" => "1970-01-01T00:00:00Z",
            _ => "00000000-0000-0000-0000-000000000000",
        })));
    }
    text::call(name, args)
        .or_else(|| list::call(name, args))
        .or_else(|| number::call(name, args))
        .or_else(|| encode::call(name, args))
        .or_else(|| date::call(name, args))
}

/// Whether a function gives parts of what it is given as they are, so that names in them stay.
pub(crate) fn only_moves(name: &str) -> bool {
    const MOVES: [&str; 14] = [
        "concat",
        "flatten",
        "compact",
        "element",
        "lookup",
        "values",
        "merge",
        "zipmap",
        "slice",
        "chunklist",
        "coalesce",
        "coalescelist",
        "tolist",
        "setproduct",
    ];
    MOVES.contains(&name)
}

/// The argument at a place.
fn arg(args: &[Value], at: usize) -> Result<&Value, String> {
    args.get(at).ok_or_else(|| format!("value {} is missing", at + 1))
}

fn string(args: &[Value], at: usize) -> Result<String, String> {
    let value = arg(args, at)?;
    value.string().ok_or_else(|| format!("value {} is {}, not a string", at + 1, value.kind()))
}

fn number(args: &[Value], at: usize) -> Result<f64, String> {
    let value = arg(args, at)?;
    value.number().ok_or_else(|| format!("value {} is {}, not a number", at + 1, value.kind()))
}

/// A whole number that is not negative.
fn count(args: &[Value], at: usize) -> Result<usize, String> {
    let number = number(args, at)?;
    if number < 0.0 || number.fract() != 0.0 || number > 1e9 {
        return Err(format!("value {} is no count", at + 1));
    }
    Ok(number as usize)
}

fn boolean(args: &[Value], at: usize) -> Result<bool, String> {
    let value = arg(args, at)?;
    value.bool().ok_or_else(|| format!("value {} is {}, not a boolean", at + 1, value.kind()))
}

fn list(args: &[Value], at: usize) -> Result<&[Value], String> {
    match arg(args, at)? {
        Value::List(list) => Ok(list),
        other => Err(format!("value {} is {}, not a list", at + 1, other.kind())),
    }
}

/// Refuses a string before it is made.
fn fits(length: usize) -> Result<(), String> {
    if length > MAX_TEXT {
        return Err(format!("the string grows to more than {} KiB", MAX_TEXT >> 10));
    }
    Ok(())
}
