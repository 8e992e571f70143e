//! Functions of numbers and booleans.

use super::{Given, arg, boolean, number, string};
use crate::bake::value::Value;

/// Calls a function of this file.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Given> {
    Some(match name {
        "add" => two(args, |a, b| a + b),
        "subtract" => two(args, |a, b| a - b),
        "multiply" => two(args, |a, b| a * b),
        "divide" => two(args, |a, b| a / b),
        "modulo" => two(args, |a, b| a % b),
        "pow" => two(args, f64::powf),
        "log" => two(args, |a, base| a.ln() / base.ln()),
        "absolute" | "abs" => one(args, f64::abs),
        "negate" => one(args, |a| -a),
        "ceil" => one(args, f64::ceil),
        "floor" => one(args, f64::floor),
        "int" => one(args, f64::trunc),
        "signum" => one(args, |a| if a == 0.0 { 0.0 } else { a.signum() }),
        "max" => best(args, f64::max),
        "min" => best(args, f64::min),
        "parseint" => parse(args),
        "greaterthan" => compare(args, |a, b| a > b),
        "greaterthanorequalto" => compare(args, |a, b| a >= b),
        "lessthan" => compare(args, |a, b| a < b),
        "lessthanorequalto" => compare(args, |a, b| a <= b),
        "equal" => same(args),
        "notequal" => same(args).map(|value| Value::Bool(value != Value::Bool(true))),
        "and" => logic(args, |a, b| a && b),
        "or" => logic(args, |a, b| a || b),
        "not" => boolean(args, 0).map(|value| Value::Bool(!value)),
        "tonumber" => number(args, 0).map(Value::Number),
        "tobool" => boolean(args, 0).map(Value::Bool),
        "tostring" => string(args, 0).map(Value::plain),
        "convert" => arg(args, 0).cloned(),
        _ => return None,
    })
}

fn finite(number: f64) -> Given {
    if number.is_finite() {
        Ok(Value::Number(number))
    } else {
        Err("this gives no number".to_owned())
    }
}

fn one(args: &[Value], work: impl Fn(f64) -> f64) -> Given {
    finite(work(number(args, 0)?))
}

fn two(args: &[Value], work: impl Fn(f64, f64) -> f64) -> Given {
    finite(work(number(args, 0)?, number(args, 1)?))
}

fn compare(args: &[Value], work: impl Fn(f64, f64) -> bool) -> Given {
    Ok(Value::Bool(work(number(args, 0)?, number(args, 1)?)))
}

fn logic(args: &[Value], work: impl Fn(bool, bool) -> bool) -> Given {
    Ok(Value::Bool(work(boolean(args, 0)?, boolean(args, 1)?)))
}

fn same(args: &[Value]) -> Given {
    Ok(Value::Bool(arg(args, 0)?.same(arg(args, 1)?)))
}

fn best(args: &[Value], work: impl Fn(f64, f64) -> f64) -> Given {
    let mut found = number(args, 0)?;
    for at in 1..args.len() {
        found = work(found, number(args, at)?);
    }
    finite(found)
}

fn parse(args: &[Value]) -> Given {
    let (text, base) = (string(args, 0)?, number(args, 1)?);
    if !(2.0..=36.0).contains(&base) {
        return Err("the base is from 2 to 36".to_owned());
    }
    let number = i64::from_str_radix(&text, base as u32);
    number
        .map(|number| Value::Number(number as f64))
        .map_err(|_| "the text is no number".to_owned())
}
