//! Public keys that sign Alpine indexes and packages, by the name that a signature gives.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// A key of Alpine: its file name, the architectures it signs for, its PEM text.
struct AlpineKey {
    name: &'static str,
    arches: &'static [&'static str],
    pem: &'static str,
}

macro_rules! alpine_key {
    ($id:literal, [$($arch:literal),*]) => {
        AlpineKey {
            name: concat!("alpine-devel@lists.alpinelinux.org-", $id, ".rsa.pub"),
            arches: &[$($arch),*],
            pem: include_str!(concat!(
                "../../data/alpine-keys/alpine-devel@lists.alpinelinux.org-",
                $id,
                ".rsa.pub"
            )),
        }
    };
}

/// Origin: `data/README.md`.
const ALPINE_KEYS: &[AlpineKey] = &[
    alpine_key!("4a6a0840", ["x86", "x86_64"]),
    alpine_key!("5243ef4b", ["x86"]),
    alpine_key!("524d27bb", ["armhf", "armv7"]),
    alpine_key!("5261cecb", ["x86_64"]),
    alpine_key!("58199dcc", ["aarch64"]),
    alpine_key!("58cbb476", ["ppc64le"]),
    alpine_key!("58e4f17d", ["s390x"]),
    alpine_key!("5e69ca50", ["mips64"]),
    alpine_key!("60ac2099", ["riscv64"]),
    alpine_key!("6165ee59", ["x86_64"]),
    alpine_key!("61666e3f", ["x86"]),
    alpine_key!("616a9724", ["armhf"]),
    alpine_key!("616abc23", ["ppc64le"]),
    alpine_key!("616ac3bc", ["s390x"]),
    alpine_key!("616adfeb", ["armv7"]),
    alpine_key!("616ae350", ["aarch64"]),
    alpine_key!("616db30d", ["riscv64"]),
];

/// Largest PEM text of a key; one of 8192 bits has about 1500 bytes.
const MAX_PEM_BYTES: usize = 16 << 10;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name cannot be that of a key file.
    #[error("{0:?} cannot be the name of a key: it must be a file name that ends in .rsa.pub")]
    Name(String),
    /// The text is no RSA public key in PEM form.
    #[error(
        "the key {0:?} is no RSA public key of 2048 to 8192 bits in PEM form (BEGIN PUBLIC KEY)"
    )]
    Pem(String),
}

/// Trusted public keys by file name, as `/etc/apk/keys` has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    keys: BTreeMap<String, Key>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    pem: String,
    der: Vec<u8>,
}

impl Keys {
    /// Makes a set without keys, which trusts nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives Alpine's own keys for one architecture in Alpine's spelling (`x86_64`, `armv7`);
    /// none for an architecture that is not known.
    pub fn alpine(arch: &str) -> Self {
        let mut keys = Keys::new();
        for key in ALPINE_KEYS.iter().filter(|key| key.arches.contains(&arch)) {
            // A test reads every embedded key, so none is left out here.
            let _ = keys.add(key.name, key.pem);
        }
        keys
    }

    /// Adds a key under the file name that signatures use for it.
    ///
    /// # Errors
    /// When the name is not a file name ending in `.rsa.pub`, or the text is no RSA public key in
    /// PEM form (`BEGIN PUBLIC KEY`).
    pub fn add(&mut self, name: &str, pem: &str) -> Result<(), KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name(name.chars().take(100).collect()));
        }
        let der = decode_pem(pem).ok_or_else(|| KeyError::Pem(name.to_owned()))?;
        self.keys.insert(name.to_owned(), Key { pem: pem.to_owned(), der });
        Ok(())
    }

    /// Gives the names and PEM texts, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key.pem.as_str()))
    }

    /// Gives the DER form (SubjectPublicKeyInfo) of the key with this name.
    pub(crate) fn der(&self, name: &str) -> Option<&[u8]> {
        self.keys.get(name).map(|key| key.der.as_slice())
    }
}

pub(crate) fn is_key_name(name: &str) -> bool {
    name.ends_with(".rsa.pub")
        && name.len() <= 255
        && !name.starts_with('.')
        && name.chars().all(|c| !c.is_control() && c != '/' && c != ' ')
}

fn decode_pem(pem: &str) -> Option<Vec<u8>> {
    if pem.len() > MAX_PEM_BYTES {
        return None;
    }
    let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).is_ok().then_some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_key_can_be_used() {
        for key in ALPINE_KEYS {
            Keys::new().add(key.name, key.pem).unwrap();
            assert!(!key.arches.is_empty(), "{}", key.name);
        }
        assert_eq!(ALPINE_KEYS.len(), 17);
        assert_eq!(Keys::alpine("x86_64").iter().count(), 3);
        assert_eq!(Keys::alpine("armv7").iter().count(), 2);
        assert_eq!(Keys::alpine("vax"), Keys::new());
    }

    #[test]
    fn bad_keys_and_names_are_refused() {
        let pem = ALPINE_KEYS[0].pem;
        let mut keys = Keys::new();
        for name in ["", "a", "../a.rsa.pub", "a/b.rsa.pub", ".a.rsa.pub", "a b.rsa.pub"] {
            assert!(matches!(keys.add(name, pem), Err(KeyError::Name(_))), "{name}");
        }
        let cut = pem.replace("MIIB", "MIIC");
        let private = pem.replace("PUBLIC", "PRIVATE");
        let long = format!("{pem}{}", " ".repeat(20_000));
        for text in ["", "-----BEGIN PUBLIC KEY-----", &cut, &private, &long] {
            assert!(matches!(keys.add("a.rsa.pub", text), Err(KeyError::Pem(_))), "{text}");
        }
        assert_eq!(keys.iter().count(), 0);
    }
}
