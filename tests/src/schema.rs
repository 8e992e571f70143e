//! Holds JSON documents against JSON Schemas: the part of draft 2020-12 that the schemas of
//! mabuild use. A keyword that is not known here fails, so that none is passed over in silence.

use serde_json::{Map, Value};

/// What is wrong with a document, by the place in it; nothing when it fits.
pub fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut out = Vec::new();
    Check { root: schema, faults: &mut out }.value(schema, document, "$");
    out
}

struct Check<'a> {
    root: &'a Value,
    faults: &'a mut Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, place: &str, text: impl std::fmt::Display) {
        self.faults.push(format!("{place}: {text}"));
    }

    fn value(&mut self, schema: &Value, value: &Value, place: &str) {
        let Some(schema) = schema.as_object() else {
            return self.fault(place, "the schema is no object");
        };
        for (keyword, rule) in schema {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "required" => {}
                "$ref" => {
                    let path = rule.as_str().and_then(|r| r.strip_prefix('#'));
                    match path.and_then(|path| self.root.pointer(path)) {
                        Some(target) => self.value(target, value, place),
                        None => self.fault(place, format!("{rule} leads nowhere")),
                    }
                }
                "type" => self.kind(rule, value, place),
                "const" if value == rule => {}
                "const" => self.fault(place, format!("{value} is not {rule}")),
                "enum" if rule.as_array().is_some_and(|list| list.contains(value)) => {}
                "enum" => self.fault(place, format!("{value} is none of {rule}")),
                "minimum" => {
                    if value.as_f64().is_some_and(|n| rule.as_f64().is_some_and(|min| n < min)) {
                        self.fault(place, format!("{value} is less than {rule}"));
                    }
                }
                "minItems" => {
                    let most = rule.as_u64().unwrap_or_default() as usize;
                    if value.as_array().is_some_and(|list| list.len() < most) {
                        self.fault(place, format!("fewer than {rule}"));
                    }
                }
                "pattern" => self.pattern(rule, value, place),
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(rule, item, &format!("{place}[{at}]"));
                    }
                }
                "properties" => self.properties(schema, rule, value, place),
                "additionalProperties" if rule == &Value::Bool(false) => {}
                "additionalProperties" => {
                    let named = |name: &String| {
                        schema.get("properties").is_some_and(|list| list.get(name).is_some())
                    };
                    let others = value.as_object().into_iter().flatten();
                    for (name, value) in others.filter(|(name, _)| !named(name)) {
                        self.value(rule, value, &format!("{place}.{name}"));
                    }
                }
                other => self.fault(place, format!("the keyword {other} is not known")),
            }
        }
    }

    fn kind(&mut self, rule: &Value, value: &Value, place: &str) {
        let is = |kind: &Value| match kind.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            Some("number") => value.is_number(),
            Some("integer") => value.is_i64() || value.is_u64(),
            _ => false,
        };
        let fits = match rule.as_array() {
            Some(list) => list.iter().any(is),
            None => is(rule),
        };
        if !fits {
            self.fault(place, format!("{value} is no {rule}"));
        }
    }

    /// Only the two patterns of digests are used: a prefix, and 64 hexadecimal digits.
    fn pattern(&mut self, rule: &Value, value: &Value, place: &str) {
        let Some(text) = value.as_str() else { return };
        let prefix = match rule.as_str() {
            Some("^[0-9a-f]{64}$") => "",
            Some("^sha256:[0-9a-f]{64}$") => "sha256:",
            _ => return self.fault(place, format!("the pattern {rule} is not known")),
        };
        let hex = |rest: &str| {
            rest.len() == 64 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !text.strip_prefix(prefix).is_some_and(hex) {
            self.fault(place, format!("{value} does not fit {rule}"));
        }
    }

    fn properties(
        &mut self,
        schema: &Map<String, Value>,
        rule: &Value,
        value: &Value,
        place: &str,
    ) {
        let Some(object) = value.as_object() else { return };
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !name.as_str().is_some_and(|name| object.contains_key(name)) {
                self.fault(place, format!("{name} is missing"));
            }
        }
        for (name, value) in object {
            match rule.get(name) {
                Some(rule) => self.value(rule, value, &format!("{place}.{name}")),
                None => self.fault(place, format!("{name} is not in the schema")),
            }
        }
    }
}
