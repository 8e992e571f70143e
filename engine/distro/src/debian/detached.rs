//! Detached OpenPGP signatures over files of any kind and size.

use super::keyring::Keyring;
use super::openpgp::{Certificate, Verdict};
use super::release::{ReleaseError, read_signatures, signers};
use pgp::packet::Signature;
use std::cell::Cell;
use std::io::{self, Read};

/// Why a file is not to be believed. The caller adds which file it was.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The signature file is not built as it must be.
    #[error("the signature is malformed: {0}")]
    Malformed(String),
    /// A key that is known and valid did not sign this content.
    #[error(
        "it does not match the signature of key {key}: it was altered after signing, or the \
         signature is of another version"
    )]
    Altered {
        /// Fingerprint of the certificate, upper-case hexadecimal.
        key: String,
    },
    /// No signature counts: unknown keys, expired keys, weak algorithms.
    #[error("no acceptable signature ({}); other or newer keys may be needed", reasons.join("; "))]
    Untrusted {
        /// One reason for each signature.
        reasons: Vec<String>,
    },
    /// The file could not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Verifies a file against its detached signature (armoured or binary) without holding it in
/// memory, and returns the fingerprints of the certificates that signed it; `open` is called once
/// for each signature, and `now` is in seconds since 1970.
///
/// # Errors
/// See [`SignatureError`]. At least one signature must be good and none of a valid known key bad.
pub fn verify_file<R: Read>(
    open: &dyn Fn() -> io::Result<R>,
    signature: &[u8],
    keyring: &Keyring,
    now: i64,
) -> Result<Vec<String>, SignatureError> {
    let signatures = read_signatures(signature).map_err(SignatureError::of)?;
    let failure = Cell::new(None);
    let by = |certificate: &Certificate, signature: &Signature| match open() {
        Ok(file) => certificate.check(signature, Watched { file, failure: &failure }, now),
        Err(error) => {
            failure.set(Some(error));
            Some(Verdict::Bad)
        }
    };
    let checked = signers(&signatures, keyring, by);
    // To the mathematics a file that cannot be read is one that was altered.
    match failure.take() {
        Some(error) => Err(SignatureError::Unreadable(error)),
        None => checked.map_err(SignatureError::of),
    }
}

impl SignatureError {
    fn of(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Tampered { key } => Self::Altered { key },
            ReleaseError::Untrusted { reasons } => Self::Untrusted { reasons },
            ReleaseError::Signature(detail) => Self::Malformed(detail),
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// A file whose first failure is kept.
struct Watched<'a, R> {
    file: R,
    failure: &'a Cell<Option<io::Error>>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                let kept = io::Error::new(error.kind(), error.to_string());
                self.failure.set(Some(kept));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkeys::{T0, TestKey, YEAR};
    use super::*;
    use pgp::composed::ArmorOptions;
    use pgp::ser::Serialize;

    const TEXT: &str = "an archive\r\nof many bytes\n";

    fn verify(text: &[u8], signature: &[u8], key: &TestKey) -> Result<Vec<String>, SignatureError> {
        verify_file(&|| Ok(text), signature, &key.keyring(), T0)
    }

    #[test]
    fn armoured_and_binary_signatures_are_read() {
        let key = TestKey::new(T0, None);
        let signature = key.detach_sign(TEXT, T0);
        let armoured = signature.to_armored_string(ArmorOptions::default()).unwrap();
        for signature in [armoured.into_bytes(), signature.to_bytes().unwrap()] {
            let by = verify(TEXT.as_bytes(), &signature, &key).unwrap();
            assert_eq!(by, [key.fingerprint()]);
            let error = verify(&TEXT.as_bytes()[1..], &signature, &key).unwrap_err();
            assert!(matches!(error, SignatureError::Altered { .. }), "{error}");
        }
    }

    #[test]
    fn what_no_known_and_valid_key_signed_is_refused() {
        let (key, other) = (TestKey::new(T0, None), TestKey::new(T0, None));
        let signature = key.detach_sign(TEXT, T0).to_bytes().unwrap();
        let error = verify(TEXT.as_bytes(), &signature, &other).unwrap_err();
        assert!(error.to_string().contains("is not in the keyring"), "{error}");
        let old = TestKey::new(T0 - 2 * YEAR, Some(YEAR));
        let signature = old.detach_sign(TEXT, T0).to_bytes().unwrap();
        let error = verify(TEXT.as_bytes(), &signature, &old).unwrap_err();
        assert!(error.to_string().contains("expired"), "{error}");
        for nonsense in [&b""[..], b"<html>", b"-----BEGIN PGP MESSAGE-----\n\n-----END", b"\xff"] {
            let error = verify(TEXT.as_bytes(), nonsense, &key).unwrap_err();
            assert!(!matches!(error, SignatureError::Altered { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_that_breaks_off_is_not_called_altered() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let key = TestKey::new(T0, None);
        let signature = key.detach_sign(TEXT, T0).to_bytes().unwrap();
        let unopened: &dyn Fn() -> io::Result<Broken> =
            &|| Err(io::Error::other("the disk is gone"));
        for open in [&|| Ok(Broken), unopened] {
            let error = verify_file(open, &signature, &key.keyring(), T0).unwrap_err();
            assert!(error.to_string().contains("the disk is gone"), "{error}");
        }
    }
}
