//! Functions that encode, decode and hash.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;

use super::{Given, arg, string};
use crate::bake::value::Value;

/// Calls a function of this file.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Given> {
    Some(match name {
        "jsonencode" => arg(args, 0).map(|value| Value::plain(value.json().to_string())),
        "jsondecode" => string(args, 0).and_then(|text| {
            let json = serde_json::from_str(&text).map_err(|error| format!("no JSON: {error}"))?;
            Ok(Value::from_json(json))
        }),
        "base64encode" => string(args, 0).map(|text| Value::plain(STANDARD.encode(text))),
        "base64decode" => string(args, 0).and_then(|text| {
            let bytes = STANDARD.decode(text).map_err(|_| "no base64".to_owned())?;
            String::from_utf8(bytes).map(Value::plain).map_err(|_| "not a text".to_owned())
        }),
        "urlencode" => string(args, 0).map(|text| Value::plain(url(&text))),
        "md5" => string(args, 0).map(|text| hash::<md5::Md5>(&text)),
        "sha1" => string(args, 0).map(|text| hash::<sha1::Sha1>(&text)),
        "sha256" => string(args, 0).map(|text| hash::<sha2::Sha256>(&text)),
        "sha512" => string(args, 0).map(|text| hash::<sha2::Sha512>(&text)),
        _ => return None,
    })
}

fn hash<D: Digest>(text: &str) -> Value {
    let digest = D::digest(text.as_bytes());
    Value::plain(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Query escaping: a space is `+`.
fn url(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
