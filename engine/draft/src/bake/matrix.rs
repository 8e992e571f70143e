//! Targets with a `matrix` to one target for each combination.

use super::eval::{Result, span, wanted};
use super::globals::Globals;
use super::scope::{Scope, Wrong};
use super::value::Value;
use crate::names::{Taken, is_let_name};
use crate::text::Text;

/// Most combinations of one matrix.
const MAX_COMBINATIONS: usize = 1000;
/// Most targets of one file.
const MAX_TARGETS: usize = 5000;

/// One target after its matrix is taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Instance<'b> {
    /// Name of the block.
    pub block: &'b str,
    /// Name of the target.
    pub name: String,
    /// What the names of the axes stand for.
    pub names: Vec<(String, Value)>,
}

/// A matrix whose values are strings: its axes by the names they have in the draft.
#[derive(Clone, Debug, Default)]
pub(crate) struct Axes {
    pub axes: Vec<(String, Vec<String>)>,
    /// Whether the draft can say it with a `matrix` of its own.
    pub plain: bool,
}

/// All targets of a block.
pub(crate) fn instances<'b>(
    globals: &Globals<'b>,
    block: &'b str,
    count: usize,
) -> Result<(Vec<Instance<'b>>, Axes)> {
    let bodies = globals.bodies("target", block);
    let attribute = |name: &str| bodies.iter().rev().find_map(|body| body.get_attribute(name));
    let Some(matrix) = attribute("matrix") else {
        let only = Instance { block, name: block.to_owned(), names: Vec::new() };
        return Ok((vec![only], Axes::default()));
    };
    let place = span(&matrix.value);
    let value = globals.eval(&matrix.value, &Scope::default())?;
    let Value::Object(map) = value else {
        return Err(wanted(place, "a map of lists", &value));
    };
    let mut rows: Vec<Vec<(String, Value)>> = vec![Vec::new()];
    let mut axes = Axes { axes: Vec::new(), plain: !map.is_empty() };
    let mut taken = Taken::default();
    for (axis, values) in map {
        let Value::List(values) = values else {
            return Err(wanted(place, &format!("a list for `{axis}`"), &values));
        };
        if rows.len().saturating_mul(values.len()) > MAX_COMBINATIONS {
            let message = format!("the matrix has more than {MAX_COMBINATIONS} combinations");
            return Err(Wrong::new(place, message));
        }
        let (name, words) = axis_words(globals, &axis, &values, &mut taken, &mut axes.plain);
        let longer = rows.iter().flat_map(|row| {
            values.iter().map(|value| {
                let value = match value {
                    Value::Text(text) if words.is_some() => {
                        Value::Text(Text::name(&name, &text.value()))
                    }
                    other => other.clone(),
                };
                row.iter().cloned().chain([(axis.clone(), value)]).collect::<Vec<_>>()
            })
        });
        rows = longer.collect();
        axes.axes.extend(words.map(|words| (name.clone(), words)));
    }
    if rows.len() + count > MAX_TARGETS {
        return Err(Wrong::new(place, format!("the file has more than {MAX_TARGETS} targets")));
    }
    let mut found = Vec::new();
    for names in rows {
        let scope = Scope { names: &names, outer: None };
        let name = match attribute("name") {
            Some(name) => {
                let value = globals.eval(&name.value, &scope)?;
                value.string().ok_or_else(|| wanted(span(&name.value), "a string", &value))?
            }
            None => {
                let wrong =
                    Wrong::new(place, format!("target `{block}` has a matrix and no `name`"));
                return Err(wrong.help("write `name = \"…-${AXIS}\"`"));
            }
        };
        found.push(Instance { block, name, names });
    }
    Ok((found, axes))
}

/// The name of an axis in the draft, and its values where they are different strings.
fn axis_words(
    globals: &Globals<'_>,
    axis: &str,
    values: &[Value],
    taken: &mut Taken,
    plain: &mut bool,
) -> (String, Option<Vec<String>>) {
    let name = if is_let_name(axis) && !globals.lets.contains(axis) && !taken.contains(axis) {
        axis.to_owned()
    } else {
        format!("axis-{axis}")
    };
    let words: Option<Vec<String>> = values
        .iter()
        .map(|value| match value {
            Value::Text(text) => Some(text.value()).filter(|text| !text.is_empty()),
            _ => None,
        })
        .collect();
    let words = words.filter(|words| {
        let mut seen = std::collections::BTreeSet::new();
        !words.is_empty() && words.iter().all(|word| seen.insert(word))
    });
    let fits = is_let_name(&name) && !globals.lets.contains(&name) && taken.insert(&name);
    let words = words.filter(|_| fits);
    *plain &= words.is_some();
    (name, words)
}
