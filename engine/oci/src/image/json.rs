//! The one way JSON documents are written: struct order for known keys, sorted maps below.

use super::Extra;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Writes compact JSON, keys in the order of the struct.
pub(super) fn to_bytes<T: Serialize>(value: &T, what: &str) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::document(what, e.to_string()))
}

/// Writes unknown keys with every object below them sorted, because their order is an accident
/// of where they came from.
pub(super) fn sorted<S: Serializer>(extra: &Extra, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(extra.iter().map(|(key, value)| {
        let mut value = value.clone();
        value.sort_all_objects();
        (key, value)
    }))
}

/// Reads `null` as the default: Go writes it for empty lists and maps.
pub(super) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Sets that the format writes as maps with empty objects: `{"80/tcp": {}}`.
pub(super) mod set {
    use super::*;

    pub(in crate::image) fn serialize<S: Serializer>(
        set: &BTreeSet<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|key| (key, Value::Object(Default::default()))))
    }

    pub(in crate::image) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, serde::de::IgnoredAny>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

/// Tells whether a flag is off, which the format leaves out.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// Tells whether a number is zero, which the format leaves out.
pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}
