//! Values of flags that are lists of their own, in the spelling of `docker buildx build`.

mod context;
mod output;
mod private;

pub use context::{BuildContext, NamedContextArg, named_context};
pub use output::{Kind, Output};
pub use private::{Agent, Secret, agent, agent_of, secret, value_of};

/// Splits `a=b,c=d`. A field in double quotes may hold commas; a quote in it is doubled. The names
/// are in lower case.
fn fields(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = field(rest)?;
        let (name, value) = match field.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (field.as_str(), None),
        };
        out.push((name.trim().to_ascii_lowercase(), value));
        match after {
            Some(after) => rest = after,
            None => return Ok(out),
        }
    }
}

/// The first field of a list, and what stands behind its comma.
fn field(text: &str) -> Result<(String, Option<&str>), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((field, rest)) => (field.to_owned(), Some(rest)),
            None => (text.to_owned(), None),
        });
    };
    let mut field = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        let rest = quoted.get(at + 1..).unwrap_or_default();
        match c {
            '"' if rest.starts_with('"') => {
                field.push('"');
                chars.next();
            }
            '"' if rest.is_empty() => return Ok((field, None)),
            '"' => match rest.strip_prefix(',') {
                Some(rest) => return Ok((field, Some(rest))),
                None => return Err("a `,` belongs behind the closing quote".to_owned()),
            },
            c => field.push(c),
        }
    }
    Err("a quote is not closed".to_owned())
}

/// Reads `NAME=VALUE`; the value is missing where there is no `=`.
pub fn pair(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    match name.is_empty() {
        true => Err("write it as NAME=VALUE".to_owned()),
        false => Ok((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(
            fields("type=oci,dest=a=b").unwrap(),
            [some("type", "oci"), some("dest", "a=b")]
        );
        assert_eq!(
            fields(r#"TYPE=oci,"dest=a,""b""",x"#).unwrap(),
            [some("type", "oci"), some("dest", "a,\"b\""), ("x".to_owned(), None)]
        );
        for bad in ["\"a", "\"a\"b", "a,\"b"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }
}
