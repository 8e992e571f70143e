//! What was hashed, kept beside a result so that a later run can say what differs.

use serde::{Deserialize, Serialize};

use super::{Name, Sink, Value, walk_build, walk_file};
use crate::facts::FileSet;
use crate::spec::BuildSpec;

/// Version of the serialised form.
pub const RECORD_FORMAT: u32 = 1;

/// The fields of a spec, by name, in the order they were hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_FORMAT`] of the writer.
    pub version: u32,
    /// Name and value of each field; long text is shortened to its digest.
    pub fields: Vec<(String, String)>,
}

impl Record {
    /// The record of a build.
    pub fn of(spec: &BuildSpec) -> Self {
        Self::filled(|sink| walk_build(spec, sink))
    }

    /// The record of fields that a caller walks.
    pub(super) fn filled(fill: impl FnOnce(&mut dyn Sink)) -> Self {
        let mut fields = Fields(Vec::new());
        fill(&mut fields);
        Self { version: RECORD_FORMAT, fields: fields.0 }
    }
}

struct Fields(Vec<(String, String)>);

impl Sink for Fields {
    fn field(&mut self, name: &Name<'_>, value: Value<'_>) {
        let value = match value {
            Value::Text(text) if text.len() > 200 => {
                format!(
                    "{} bytes, blake3 {}",
                    text.len(),
                    short(blake3::hash(text.as_bytes()).as_bytes())
                )
            }
            Value::Text(text) => text.to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Mode(mode) => format!("{mode:04o}"),
            Value::Digest(digest) => format!("blake3 {}", short(digest)),
            Value::Unset => return,
        };
        self.0.push((name.to_text(), value));
    }

    fn files(&mut self, name: &Name<'_>, set: &FileSet) {
        for found in &set.matches {
            self.field(&name.field(&found.path), Value::Text("copied"));
            for file in &found.files {
                walk_file(file, name, self);
            }
        }
    }
}

fn short(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..16])
}
