//! The attributes of a target, with those it inherits.

use std::collections::BTreeMap;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::Body;

use super::eval::{Result, span, wanted};
use super::globals::Globals;
use super::scope::{Scope, Wrong};
use super::value::Value;
use crate::text::Text;

/// Attributes with their values; a later one wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub one: BTreeMap<&'static str, Text>,
    pub maps: BTreeMap<&'static str, BTreeMap<String, Option<Text>>>,
    pub lists: BTreeMap<&'static str, Vec<Text>>,
    /// Secrets, each as the words of `id=…`.
    pub secrets: Vec<String>,
    /// What has no counterpart, as it is shown.
    pub other: BTreeMap<String, String>,
}

const ONE: [&str; 5] = ["context", "dockerfile", "dockerfile-inline", "target", "description"];
const MAPS: [&str; 3] = ["args", "contexts", "labels"];
const LISTS: [&str; 2] = ["tags", "platforms"];

impl Target {
    /// Takes the attributes of another one over its own.
    pub fn extend(&mut self, over: Self) {
        self.one.extend(over.one);
        for (name, map) in over.maps {
            self.maps.entry(name).or_default().extend(map);
        }
        self.lists.extend(over.lists);
        self.secrets.extend(over.secrets);
        self.other.extend(over.other);
    }

    /// The same with the names replaced that are not to stay.
    pub fn keeping(self, stays: &dyn Fn(&str) -> bool) -> Self {
        let keep = |text: Text| text.keeping(stays);
        Self {
            one: self.one.into_iter().map(|(name, text)| (name, keep(text))).collect(),
            maps: self
                .maps
                .into_iter()
                .map(|(name, map)| {
                    (name, map.into_iter().map(|(key, text)| (key, text.map(keep))).collect())
                })
                .collect(),
            lists: self
                .lists
                .into_iter()
                .map(|(name, list)| (name, list.into_iter().map(keep).collect()))
                .collect(),
            ..self
        }
    }

    /// Evaluates the attributes of one block.
    pub fn of(
        globals: &Globals<'_>,
        body: &Body,
        scope: &Scope<'_>,
        wrong: &mut Vec<Wrong>,
    ) -> Self {
        let mut new = Self::default();
        for attribute in body.attributes() {
            let name = attribute.key.value().as_str();
            if matches!(name, "inherits" | "matrix" | "name") {
                continue;
            }
            if let Err(error) = new.attribute(globals, name, &attribute.value, scope) {
                wrong.push(error);
            }
        }
        for block in body.blocks() {
            let kind = block.ident.value().as_str();
            new.other.insert(kind.to_owned(), "a block".to_owned());
        }
        new
    }

    fn attribute(
        &mut self,
        globals: &Globals<'_>,
        name: &str,
        expr: &Expression,
        scope: &Scope<'_>,
    ) -> Result<()> {
        let value = globals.eval(expr, scope)?;
        if value == Value::Null {
            return Ok(());
        }
        if let Some(name) = ONE.iter().find(|known| **known == name) {
            let text = value.text().ok_or_else(|| wanted(span(expr), "a string", &value))?;
            self.one.insert(name, text);
        } else if let Some(name) = MAPS.iter().find(|known| **known == name) {
            self.maps.insert(name, map(expr, value)?);
        } else if let Some(name) = LISTS.iter().find(|known| **known == name) {
            self.lists.insert(name, list(expr, value)?);
        } else if name == "secret" {
            self.secrets = secrets(expr, value)?;
        } else {
            self.other.insert(name.to_owned(), value.json().to_string());
        }
        Ok(())
    }
}

fn map(expr: &impl Span, value: Value) -> Result<BTreeMap<String, Option<Text>>> {
    let Value::Object(map) = value else {
        return Err(wanted(span(expr), "a map", &value));
    };
    let texts = map.into_iter().map(|(key, value)| match value {
        Value::Null => Ok((key, None)),
        value => match value.text() {
            Some(text) => Ok((key, Some(text))),
            None => Err(wanted(span(expr), &format!("a string for `{key}`"), &value)),
        },
    });
    texts.collect()
}

/// The strings of a list; null and lists in it are taken out and apart.
pub(crate) fn list(expr: &impl Span, value: Value) -> Result<Vec<Text>> {
    let items = match value {
        Value::List(items) => items,
        Value::Null => Vec::new(),
        one @ Value::Text(_) => vec![one],
        other => return Err(wanted(span(expr), "a list", &other)),
    };
    let mut out = Vec::new();
    for item in items {
        match item {
            Value::Null => {}
            Value::List(_) => out.extend(list(expr, item)?),
            item => match item.text() {
                Some(text) => out.push(text),
                None => return Err(wanted(span(expr), "a list of strings", &item)),
            },
        }
    }
    Ok(out)
}

fn secrets(expr: &impl Span, value: Value) -> Result<Vec<String>> {
    let items = match value {
        Value::List(items) => items,
        one => vec![one],
    };
    let words = items.into_iter().map(|item| match item {
        Value::Object(map) => {
            let fields = map
                .iter()
                .filter_map(|(key, value)| value.string().map(|value| format!("{key}={value}")));
            Ok(fields.collect::<Vec<_>>().join(","))
        }
        item => item.string().ok_or_else(|| wanted(span(expr), "a string", &item)),
    });
    words.collect()
}
