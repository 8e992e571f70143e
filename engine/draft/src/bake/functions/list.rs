//! Functions of lists and maps.

use std::collections::BTreeMap;

use super::{Given, arg, count, list, number, string};
use crate::bake::eval::element as index_of;
use crate::bake::value::Value;

/// Most elements of a product of sets or of a range.
const MAX_MADE: usize = 10_000;
/// Most elements that are compared each with each.
const MAX_COMPARED: usize = 4_000;

/// Calls a function of this file.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Given> {
    Some(match name {
        "length" => length(args),
        "concat" => concat(args),
        "flatten" => list(args, 0).map(|list| {
            let mut out = Vec::new();
            flatten(list, &mut out);
            Value::List(out)
        }),
        "compact" => {
            list(args, 0).map(|list| keep(list, |v| v.string().is_some_and(|s| !s.is_empty())))
        }
        "contains" | "sethaselement" => has(args),
        "index" => arg(args, 0).and_then(|value| index_of(value.clone(), arg(args, 1)?)),
        "indexof" => index(args),
        "hasindex" => arg(args, 0)
            .and_then(|value| Ok(Value::Bool(index_of(value.clone(), arg(args, 1)?).is_ok()))),
        "element" => element(args),
        "lookup" => lookup(args),
        "keys" => object(args, 0).map(|map| Value::List(map.keys().map(Value::plain).collect())),
        "values" => object(args, 0).map(|map| Value::List(map.values().cloned().collect())),
        "merge" => merge(args),
        "zipmap" => zipmap(args),
        "sort" => sort(args),
        "distinct" | "toset" | "setunion" => union(args),
        "setintersection" => {
            sets(args, |first, others| keep(first, |v| others.iter().all(|other| holds(other, v))))
        }
        "setsubtract" => {
            sets(args, |first, others| keep(first, |v| !others.iter().any(|other| holds(other, v))))
        }
        "setsymmetricdifference" => sets(args, difference),
        "setproduct" => product(args),
        "tolist" => match args.first() {
            Some(Value::Object(map)) => Ok(Value::List(map.values().cloned().collect())),
            _ => list(args, 0).map(|list| Value::List(list.to_vec())),
        },
        "tomap" => object(args, 0).map(|map| Value::Object(map.clone())),
        "reverselist" => {
            list(args, 0).map(|list| Value::List(list.iter().rev().cloned().collect()))
        }
        "slice" => slice(args),
        "chunklist" => chunks(args),
        "range" => range(args),
        "coalesce" => {
            let found = args.iter().find(|value| **value != Value::Null).cloned();
            found.ok_or_else(|| "all values are null".to_owned())
        }
        "coalescelist" => {
            let found = args.iter().find(|v| matches!(v, Value::List(list) if !list.is_empty()));
            found.cloned().ok_or_else(|| "all lists are empty".to_owned())
        }
        _ => return None,
    })
}

fn object(args: &[Value], at: usize) -> Result<&BTreeMap<String, Value>, String> {
    match arg(args, at)? {
        Value::Object(map) => Ok(map),
        other => Err(format!("value {} is {}, not a map", at + 1, other.kind())),
    }
}

fn keep(list: &[Value], wanted: impl Fn(&Value) -> bool) -> Value {
    Value::List(list.iter().filter(|value| wanted(value)).cloned().collect())
}

fn holds(list: &[Value], value: &Value) -> bool {
    list.iter().any(|known| known.same(value))
}

/// Refuses lists that take too long to compare.
fn comparable(lists: &[&[Value]]) -> Result<(), String> {
    if lists.iter().map(|list| list.len()).sum::<usize>() > MAX_COMPARED {
        return Err(format!("the lists have more than {MAX_COMPARED} elements"));
    }
    Ok(())
}

fn length(args: &[Value]) -> Given {
    Ok(Value::count(match arg(args, 0)? {
        Value::List(list) => list.len(),
        Value::Object(map) => map.len(),
        Value::Text(text) => text.value().chars().count(),
        other => return Err(format!("{} has no length", other.kind())),
    }))
}

fn concat(args: &[Value]) -> Given {
    let lists: Vec<&[Value]> =
        (0..args.len()).map(|at| list(args, at)).collect::<Result<_, _>>()?;
    Ok(Value::List(lists.concat()))
}

fn flatten(list: &[Value], out: &mut Vec<Value>) {
    for value in list {
        match value {
            Value::List(inner) => flatten(inner, out),
            other => out.push(other.clone()),
        }
    }
}

fn has(args: &[Value]) -> Given {
    Ok(Value::Bool(holds(list(args, 0)?, arg(args, 1)?)))
}

fn index(args: &[Value]) -> Given {
    let wanted = arg(args, 1)?;
    let found = list(args, 0)?.iter().position(|value| value.same(wanted));
    found.map(Value::count).ok_or_else(|| "the list does not hold the value".to_owned())
}

fn element(args: &[Value]) -> Given {
    let (list, at) = (list(args, 0)?, number(args, 1)?);
    if list.is_empty() || at.fract() != 0.0 {
        return Err("the list is empty, or the number is no whole one".to_owned());
    }
    let at = at.rem_euclid(list.len() as f64) as usize;
    list.get(at).cloned().ok_or_else(|| "the list is shorter".to_owned())
}

fn lookup(args: &[Value]) -> Given {
    let (map, key) = (object(args, 0)?, string(args, 1)?);
    match (map.get(&key), args.get(2)) {
        (Some(found), _) => Ok(found.clone()),
        (None, Some(other)) => Ok(other.clone()),
        (None, None) => Err("the map has no such key".to_owned()),
    }
}

fn merge(args: &[Value]) -> Given {
    let mut out = BTreeMap::new();
    for at in 0..args.len() {
        if arg(args, at)? != &Value::Null {
            out.extend(object(args, at)?.clone());
        }
    }
    Ok(Value::Object(out))
}

fn zipmap(args: &[Value]) -> Given {
    let (keys, values) = (list(args, 0)?, list(args, 1)?);
    if keys.len() != values.len() {
        return Err("there are more of one than of the other".to_owned());
    }
    let pairs = keys.iter().zip(values).map(|(key, value)| {
        key.string().map(|key| (key, value.clone())).ok_or_else(|| "a key is no string".to_owned())
    });
    pairs.collect::<Result<_, _>>().map(Value::Object)
}

fn sort(args: &[Value]) -> Given {
    let mut words: Vec<Value> = list(args, 0)?.to_vec();
    if words.iter().any(|value| value.string().is_none()) {
        return Err("the list holds what is no string".to_owned());
    }
    words.sort_by_cached_key(Value::string);
    Ok(Value::List(words))
}

fn union(args: &[Value]) -> Given {
    let lists: Vec<&[Value]> =
        (0..args.len()).map(|at| list(args, at)).collect::<Result<_, _>>()?;
    comparable(&lists)?;
    let mut out: Vec<Value> = Vec::new();
    for value in lists.concat() {
        if !holds(&out, &value) {
            out.push(value);
        }
    }
    Ok(Value::List(out))
}

fn sets(args: &[Value], work: impl Fn(&[Value], &[&[Value]]) -> Value) -> Given {
    let lists: Vec<&[Value]> =
        (0..args.len()).map(|at| list(args, at)).collect::<Result<_, _>>()?;
    comparable(&lists)?;
    let (first, others) = lists.split_first().ok_or("no value is given")?;
    union(&[work(first, others)])
}

fn difference(first: &[Value], others: &[&[Value]]) -> Value {
    let mut all = first.to_vec();
    for other in others {
        let new: Vec<Value> = other.iter().filter(|v| !holds(&all, v)).cloned().collect();
        all.retain(|value| !holds(other, value));
        all.extend(new);
    }
    Value::List(all)
}

fn product(args: &[Value]) -> Given {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for at in 0..args.len() {
        let list = list(args, at)?;
        if rows.len().saturating_mul(list.len()) > MAX_MADE {
            return Err(format!("the product has more than {MAX_MADE} elements"));
        }
        let longer = rows.iter().flat_map(|row| {
            list.iter().map(|value| row.iter().chain([value]).cloned().collect::<Vec<_>>())
        });
        rows = longer.collect();
    }
    Ok(Value::List(rows.into_iter().map(Value::List).collect()))
}

fn slice(args: &[Value]) -> Given {
    let list = list(args, 0)?;
    let start = count(args, 1)?;
    let end = if args.len() > 2 { count(args, 2)? } else { list.len() };
    let part = list.get(start..end).ok_or("the list is shorter than that")?;
    Ok(Value::List(part.to_vec()))
}

fn chunks(args: &[Value]) -> Given {
    let (list, size) = (list(args, 0)?, count(args, 1)?);
    let size = if size == 0 { list.len().max(1) } else { size };
    Ok(Value::List(list.chunks(size).map(|part| Value::List(part.to_vec())).collect()))
}

fn range(args: &[Value]) -> Given {
    let (start, end, step) = match args.len() {
        1 => (0.0, number(args, 0)?, None),
        2 => (number(args, 0)?, number(args, 1)?, None),
        _ => (number(args, 0)?, number(args, 1)?, Some(number(args, 2)?)),
    };
    let step = step.unwrap_or(if end < start { -1.0 } else { 1.0 });
    if step == 0.0 || (end - start) * step < 0.0 {
        return Err("the step leads away from the end".to_owned());
    }
    if ((end - start) / step) > 1024.0 {
        return Err("the range has more than 1024 numbers".to_owned());
    }
    let mut out = Vec::new();
    let mut at = start;
    while (step > 0.0 && at < end) || (step < 0.0 && at > end) {
        out.push(Value::Number(at));
        at += step;
        if out.len() > 1024 {
            return Err("the range has more than 1024 numbers".to_owned());
        }
    }
    Ok(Value::List(out))
}
