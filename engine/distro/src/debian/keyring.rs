//! Sets of OpenPGP certificates that may sign a release: Debian's own, or a user's.

use super::openpgp::Certificate;
use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::types::KeyDetails;

/// Debian's archive keys; see `data/README.md` for where they come from.
const EMBEDDED: &[u8] = include_bytes!("../../data/debian-archive-keyring.gpg");

const ARMOR_BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const ARMOR_END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Why key material could not be read. The caller adds where it came from.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no certificate in it at all.
    #[error("it holds no OpenPGP public key (neither binary nor ASCII-armoured)")]
    Empty,
    /// GnuPG's own database format, which no other program reads.
    #[error("it is a GnuPG keybox file; export its keys with `gpg --export` and give that file")]
    Keybox,
    /// A certificate is damaged.
    #[error("an OpenPGP public key in it is damaged: {0}")]
    Malformed(String),
}

/// Certificates whose self-signatures have been checked.
///
/// Which of them may sign, and until when, is decided at verification time.
#[derive(Debug)]
pub struct Keyring {
    certificates: Vec<Certificate>,
}

impl Keyring {
    /// Returns the Debian archive keys that this program carries (bullseye to trixie).
    ///
    /// # Errors
    /// Never in a correctly built program; a test reads the data.
    pub fn embedded() -> Result<Self, KeyringError> {
        Self::from_bytes(EMBEDDED)
    }

    /// Reads certificates from binary OpenPGP packets or from one or more ASCII-armoured blocks.
    ///
    /// # Errors
    /// When there is no certificate in `bytes`, or one is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyringError> {
        if bytes.get(8..12) == Some(b"KBXf") {
            return Err(KeyringError::Keybox);
        }
        let mut certificates = Vec::new();
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains(ARMOR_BEGIN) => {
                for block in armored_blocks(text)? {
                    let (keys, _) = SignedPublicKey::from_string_many(block).map_err(damaged)?;
                    collect(keys, &mut certificates)?;
                }
            }
            // An OpenPGP packet starts with the high bit set, which no armoured text does.
            _ if bytes.first().is_some_and(|first| first & 0x80 != 0) => {
                collect(
                    SignedPublicKey::from_bytes_many(bytes).map_err(damaged)?,
                    &mut certificates,
                )?;
            }
            _ => {}
        }
        if certificates.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Keyring { certificates })
    }

    /// Adds the certificates of another keyring, for an archive with keys of its own beside
    /// Debian's.
    pub fn extend(&mut self, other: Keyring) {
        self.certificates.extend(other.certificates);
    }

    /// Returns the fingerprints of the certificates' primary keys, upper-case hexadecimal.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().map(Certificate::fingerprint)
    }

    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

fn damaged(error: pgp::errors::Error) -> KeyringError {
    KeyringError::Malformed(error.to_string())
}

fn collect(
    keys: impl Iterator<Item = pgp::errors::Result<SignedPublicKey>>,
    certificates: &mut Vec<Certificate>,
) -> Result<(), KeyringError> {
    for key in keys {
        let key = key.map_err(damaged)?;
        if !certificates.iter().any(|known| known.is(&key.primary_key.fingerprint())) {
            certificates.push(Certificate::new(key));
        }
    }
    Ok(())
}

/// Splits a text into its armoured blocks; text around the blocks is comment.
fn armored_blocks(text: &str) -> Result<Vec<&str>, KeyringError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(ARMOR_BEGIN) {
        let begin = text.len() - block.len() - ARMOR_BEGIN.len();
        let Some((_, after)) = block.split_once(ARMOR_END) else {
            return Err(KeyringError::Malformed("an armoured block has no END line".into()));
        };
        blocks.push(text.get(begin..text.len() - after.len()).unwrap_or_default());
        rest = after;
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::super::testkeys::{T0, TestKey, YEAR};
    use super::*;
    use pgp::composed::ArmorOptions;
    use pgp::ser::Serialize;

    #[test]
    fn the_embedded_keys_are_debians_and_all_usable() {
        let keyring = Keyring::embedded().unwrap();
        let fingerprints: Vec<_> = keyring.fingerprints().collect();
        // bullseye, bookworm and trixie, each with the archive, security and stable key.
        assert_eq!(fingerprints.len(), 9);
        for known in [
            "1F89983E0081FDE018F3CC9673A4F27B8DD47936",
            "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
            "4D64FEC119C2029067D6E791F8D2585B8783D481",
            "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
        ] {
            assert!(fingerprints.contains(&known), "{known}");
        }
        let mid_2026 = 1_782_000_000;
        let in_2040 = 2_208_988_800;
        for certificate in keyring.certificates() {
            certificate.primary_state(mid_2026).unwrap();
            assert!(certificate.can_sign(mid_2026), "{}", certificate.fingerprint());
            assert!(!certificate.can_sign(in_2040), "{}", certificate.fingerprint());
        }
    }

    #[test]
    fn binary_and_several_armoured_blocks_are_read() {
        let (a, b) = (TestKey::new(T0, Some(YEAR)), TestKey::new(T0, None));
        let mut binary = a.public().to_bytes().unwrap();
        binary.extend(b.public().to_bytes().unwrap());
        let armor =
            |key: &TestKey| key.public().to_armored_string(ArmorOptions::default()).unwrap();
        let text = format!("a comment\n{}between\n{}{}", armor(&a), armor(&b), armor(&a));
        for bytes in [binary, text.into_bytes()] {
            let keyring = Keyring::from_bytes(&bytes).unwrap();
            let found: Vec<_> = keyring.fingerprints().map(str::to_owned).collect();
            assert_eq!(found, [a.fingerprint(), b.fingerprint()]);
        }
    }

    #[test]
    fn what_is_no_keyring_is_told_apart() {
        assert!(matches!(Keyring::from_bytes(b""), Err(KeyringError::Empty)));
        assert!(matches!(Keyring::from_bytes(b"hello"), Err(KeyringError::Empty)));
        let mut keybox = vec![0; 32];
        keybox[8..12].copy_from_slice(b"KBXf");
        assert!(matches!(Keyring::from_bytes(&keybox), Err(KeyringError::Keybox)));
        let cut = format!("{ARMOR_BEGIN}\n\nmQ==\n");
        assert!(matches!(Keyring::from_bytes(cut.as_bytes()), Err(KeyringError::Malformed(_))));
    }

    #[test]
    fn keyrings_are_joined() {
        let (a, b) = (TestKey::new(T0, None), TestKey::new(T0, None));
        let mut joined = a.keyring();
        joined.extend(b.keyring());
        assert_eq!(joined.fingerprints().count(), 2);
    }
}
