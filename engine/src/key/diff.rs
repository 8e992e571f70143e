//! What differs between two records.

use std::collections::BTreeMap;

use super::Record;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the field, `steps[2].files.conf/a.content`.
    pub field: String,
    /// Value before; none when the field is new.
    pub before: Option<String>,
    /// Value now; none when the field is gone.
    pub now: Option<String>,
}

/// The fields that differ, in the order of the newer record, those that are gone last.
pub fn diff(before: &Record, now: &Record) -> Vec<Change> {
    let old: BTreeMap<&str, &str> = index(before);
    let new: BTreeMap<&str, &str> = index(now);
    let mut changes: Vec<Change> = now
        .fields
        .iter()
        .filter(|(name, value)| old.get(name.as_str()) != Some(&value.as_str()))
        .map(|(name, value)| Change {
            field: name.clone(),
            before: old.get(name.as_str()).map(|v| (*v).to_owned()),
            now: Some(value.clone()),
        })
        .collect();
    changes.extend(before.fields.iter().filter(|(name, _)| !new.contains_key(name.as_str())).map(
        |(name, value)| Change { field: name.clone(), before: Some(value.clone()), now: None },
    ));
    changes
}

fn index(record: &Record) -> BTreeMap<&str, &str> {
    record.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, &str)]) -> Record {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Record { version: 1, fields }
    }

    #[test]
    fn shows_changed_new_and_gone() {
        let changes = diff(
            &record(&[("a", "1"), ("b", "1"), ("c", "1")]),
            &record(&[("a", "1"), ("b", "2"), ("d", "3")]),
        );
        let text: Vec<String> =
            changes.iter().map(|c| format!("{}:{:?}:{:?}", c.field, c.before, c.now)).collect();
        assert_eq!(
            text,
            [r#"b:Some("1"):Some("2")"#, r#"d:None:Some("3")"#, r#"c:Some("1"):None"#]
        );
    }
}
