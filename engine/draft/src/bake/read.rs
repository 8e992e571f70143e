//! The text of a bake file to its blocks. JSON becomes the blocks that the same file in HCL has.

use hcl_edit::expr::{Array, Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::structure::{Attribute, Block, Body};
use hcl_edit::{Decorated, Ident, Number, parser};

use crate::error::DraftError;

/// Reads HCL, or JSON by the ending of the path.
pub(crate) fn read(path: &str, text: &str) -> Result<Body, Vec<DraftError>> {
    if path.to_ascii_lowercase().ends_with(".json") {
        return read_json(path, text).map_err(|error| vec![error]);
    }
    parser::parse_body(text).map_err(|error| {
        let at = error.location().offset();
        let error = DraftError::at(
            path,
            text,
            at..at + 1,
            format!("this is no HCL: {}", one_line(error.message())),
        );
        vec![error.help("check the file with `docker buildx bake --print`")]
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read_json(path: &str, text: &str) -> Result<Body, DraftError> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let line: usize =
            text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = line + error.column().saturating_sub(1);
        DraftError::at(path, text, at..at + 1, format!("this is no JSON: {error}"))
    })?;
    let serde_json::Value::Object(top) = json else {
        return Err(DraftError::whole(path, "a bake file in JSON is an object"));
    };
    let mut body = Body::new();
    for (kind, named) in top {
        let serde_json::Value::Object(named) = named else {
            if let Some(key) = ident(&kind) {
                body.push(Attribute::new(key, expression(path, named)?));
            }
            continue;
        };
        for (name, attributes) in named {
            let Some(key) = ident(&kind) else { continue };
            let mut block = Block::new(key);
            block.labels.push(Decorated::new(name).into());
            let parts = match attributes {
                serde_json::Value::Array(parts) => parts,
                one => vec![one],
            };
            for part in parts {
                let serde_json::Value::Object(part) = part else { continue };
                for (name, value) in part {
                    if let Some(key) = ident(&name) {
                        block.body.push(Attribute::new(key, expression(path, value)?));
                    }
                }
            }
            body.push(block);
        }
    }
    Ok(body)
}

fn ident(name: &str) -> Option<Decorated<Ident>> {
    Ident::try_new(name).ok().map(Decorated::new)
}

/// A value of JSON as an expression. Strings are templates.
fn expression(path: &str, json: serde_json::Value) -> Result<Expression, DraftError> {
    Ok(match json {
        serde_json::Value::Null => Expression::null(),
        serde_json::Value::Bool(value) => value.into(),
        serde_json::Value::Number(number) => {
            let number = number.as_f64().and_then(Number::from_f64);
            number.map_or_else(Expression::null, Expression::from)
        }
        serde_json::Value::String(text) => template(path, text)?,
        serde_json::Value::Array(list) => {
            let mut array = Array::new();
            for item in list {
                array.push(expression(path, item)?);
            }
            array.into()
        }
        serde_json::Value::Object(map) => {
            let mut object = Object::new();
            for (key, value) in map {
                let key = ObjectKey::Expression(template(path, key)?);
                object.insert(key, ObjectValue::new(expression(path, value)?));
            }
            object.into()
        }
    })
}

fn template(path: &str, text: String) -> Result<Expression, DraftError> {
    if !text.contains("${") && !text.contains("%{") {
        return Ok(text.into());
    }
    let template = parser::parse_template(&text).map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        let message = format!("the string `{shown}` is no template: {}", one_line(error.message()));
        DraftError::whole(path, message)
    })?;
    let elements: Vec<hcl_edit::template::Element> = template.into_iter().collect();
    Ok(Expression::StringTemplate(elements.into()))
}
