//! Values of the expressions of a bake file.

use std::collections::BTreeMap;

use crate::text::Text;

/// A value. Maps are sorted by their keys, as bake goes through them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(Text),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// A text without names.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self::Text(Text::plain(text.as_ref()))
    }

    /// A count.
    pub fn count(count: usize) -> Self {
        Self::Number(count as f64)
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "a map",
        }
    }

    /// Bytes that a copy takes, about.
    pub fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 16,
            Self::Text(text) => 16 + text.len(),
            Self::List(list) => 16 + list.iter().map(Self::weight).sum::<usize>(),
            Self::Object(map) => {
                16 + map.iter().map(|(key, value)| key.len() + value.weight()).sum::<usize>()
            }
        }
    }

    /// The text of a string, number or boolean.
    pub fn text(&self) -> Option<Text> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(Text::plain(&show_number(*number))),
            Self::Bool(value) => Some(Text::plain(if *value { "true" } else { "false" })),
            _ => None,
        }
    }

    /// The same without names.
    pub fn string(&self) -> Option<String> {
        self.text().map(|text| text.value())
    }

    /// The number of a number or of a string that is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => {
                let text = text.value();
                let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
                text.parse().ok().filter(|number: &f64| plain && number.is_finite())
            }
            _ => None,
        }
    }

    /// The boolean of a boolean or of a string that is one.
    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => match text.value().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Goes through the names in it.
    pub fn names(&self, each: &mut dyn FnMut(&str)) {
        match self {
            Self::Text(text) => text.names().for_each(each),
            Self::List(list) => list.iter().for_each(|value| value.names(each)),
            Self::Object(map) => map.values().for_each(|value| value.names(each)),
            _ => {}
        }
    }

    /// Whether two values are the same; names do not count.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.value() == b.value(),
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((ak, av), (bk, bv))| ak == bk && av.same(bv))
            }
            (a, b) => a == b,
        }
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(number) if is_whole(*number) => (*number as i64).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.value().into(),
            Self::List(list) => list.iter().map(Self::json).collect::<Vec<_>>().into(),
            Self::Object(map) => serde_json::Value::Object(
                map.iter().map(|(key, value)| (key.clone(), value.json())).collect(),
            ),
        }
    }

    /// The value of JSON.
    pub fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number.as_f64().unwrap_or_default()),
            serde_json::Value::String(text) => Self::plain(text),
            serde_json::Value::Array(list) => {
                Self::List(list.into_iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(map) => {
                Self::Object(map.into_iter().map(|(k, v)| (k, Self::from_json(v))).collect())
            }
        }
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < 9e15
}

/// A number as bake writes it into a string.
pub(crate) fn show_number(number: f64) -> String {
    if is_whole(number) { format!("{}", number as i64) } else { format!("{number}") }
}
