//! The canonical encoding of fields, hashed.

use super::{Key, Name, Part, Sink, Value};
use crate::facts::FileSet;

/// Bytes that are gathered before they are hashed. Most specs are smaller.
const GATHERED: usize = 4096;

/// Hashes every field with its name, a tag for the kind of value, and lengths before all text.
/// Gathers them first: hashing a few bytes at a time costs more than hashing.
pub(super) struct Hasher {
    hasher: blake3::Hasher,
    gathered: Vec<u8>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { hasher: blake3::Hasher::new(), gathered: Vec::with_capacity(GATHERED) }
    }
}

impl Hasher {
    /// Adds bytes with their tag and length.
    pub fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        let [a, b, c, d, e, f, g, h] = (bytes.len() as u64).to_le_bytes();
        self.add(&[tag, a, b, c, d, e, f, g, h]);
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() > GATHERED {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
            if bytes.len() > GATHERED {
                self.hasher.update(bytes);
                return;
            }
        }
        self.gathered.extend_from_slice(bytes);
    }

    /// The key of all that was added.
    pub fn finish(mut self) -> Key {
        Key(*self.hasher.update(&self.gathered).finalize().as_bytes())
    }

    fn name(&mut self, name: &Name<'_>) {
        if let Some(outer) = name.outer {
            self.name(outer);
        }
        match name.part {
            Part::Field(text) => self.bytes(b'f', text.as_bytes()),
            Part::At(position) => self.bytes(b'i', &(position as u64).to_le_bytes()),
        }
    }
}

impl Sink for Hasher {
    fn field(&mut self, name: &Name<'_>, value: Value<'_>) {
        self.name(name);
        match value {
            Value::Text(text) => self.bytes(b't', text.as_bytes()),
            Value::Number(number) => self.bytes(b'n', &number.to_le_bytes()),
            Value::Mode(mode) => self.bytes(b'm', &mode.to_le_bytes()),
            Value::Digest(digest) => self.bytes(b'd', digest),
            Value::Unset => self.bytes(b'u', &[]),
        }
    }

    fn files(&mut self, name: &Name<'_>, set: &FileSet) {
        self.field(name, Value::Digest(&set.digest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_is_hashed_as_if_at_once() {
        for sizes in
            [&[0, 1, 4086][..], &[4087], &[4088, 3], &[10_000, 0, 7], &[4000, 80, 90_000, 5]]
        {
            let mut hasher = Hasher::default();
            let mut plain = Vec::new();
            for size in sizes {
                let bytes = vec![*size as u8; *size];
                hasher.bytes(b't', &bytes);
                plain.push(b't');
                plain.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                plain.extend_from_slice(&bytes);
            }
            assert_eq!(hasher.finish().0, *blake3::hash(&plain).as_bytes(), "{sizes:?}");
        }
    }
}
