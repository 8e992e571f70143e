//! RSA signatures over the next segment of an index or package.
//!
//! A signature is a file in a gzip member of its own before what it signs, named
//! `.SIGN.RSA.KEY` (PKCS#1 v1.5 with SHA-1) or `.SIGN.RSA256.KEY` (with SHA-256), where `KEY` is
//! the file name of the public key. Source: `src/extract_v2.c` of apk-tools, abuild-sign(1).

use super::keys::Keys;
use super::segment::{Bounds, FormatError, Member, malformed, read_member, small_files, walk_tar};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use std::io::BufRead;

/// Bounds of a member with signatures; one of 8192 bits has 1 KiB.
const SIGNATURE_BOUNDS: Bounds =
    Bounds { what: "signature segment", compressed: 256 << 10, content: 1 << 20 };

/// More members with signatures than anyone makes.
const MAX_SIGNATURES: usize = 32;

/// Why a file is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature that this library knows.
    #[error("it is not signed (no .SIGN.RSA.* or .SIGN.RSA256.* before its content)")]
    Unsigned,
    /// None of the keys that signed it is trusted.
    #[error("it is signed only by keys that are not trusted: {}; add the key if it is right", keys.join(", "))]
    UnknownKeys {
        /// The names that the signatures give, at most ten.
        keys: Vec<String>,
    },
    /// A trusted key is named, but did not make the signature: the content was changed or damaged.
    #[error("its signature by {key} is wrong: the file was changed or damaged on its way")]
    Wrong {
        /// The name of the key.
        key: String,
    },
}

/// The hash that a signature was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
}

/// The signatures at the beginning of a file.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    list: Vec<(Hash, String, Vec<u8>)>,
}

impl Signatures {
    /// Whether `signed` was signed by a trusted key; gives the key's name.
    pub(crate) fn verify(&self, signed: &[u8], keys: &Keys) -> Result<String, SignatureError> {
        let mut wrong = None;
        for (hash, name, signature) in &self.list {
            let Some(der) = keys.der(name) else { continue };
            let algorithm = match hash {
                Hash::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            };
            if UnparsedPublicKey::new(algorithm, der).verify(signed, signature).is_ok() {
                return Ok(name.clone());
            }
            wrong.get_or_insert(name);
        }
        if let Some(key) = wrong {
            return Err(SignatureError::Wrong { key: key.clone() });
        }
        let mut names: Vec<String> = self.list.iter().map(|(_, name, _)| name.clone()).collect();
        names.dedup();
        names.truncate(10);
        if names.is_empty() {
            return Err(SignatureError::Unsigned);
        }
        Err(SignatureError::UnknownKeys { keys: names })
    }

    fn add(&mut self, file_name: &str, data: Vec<u8>) {
        let signature = file_name.strip_prefix(".SIGN.");
        let known = signature.and_then(|rest| {
            let sha1 = rest.strip_prefix("RSA.").map(|name| (Hash::Sha1, name));
            sha1.or_else(|| rest.strip_prefix("RSA256.").map(|name| (Hash::Sha256, name)))
        });
        if let Some((hash, name)) = known.filter(|(_, name)| super::keys::is_key_name(name)) {
            self.list.push((hash, name.to_owned(), data));
        }
    }
}

/// Whether the first entry of a member is a signature.
fn is_signature_member(content: &[u8]) -> bool {
    let mut first = None;
    // The error only ends the walk after the first entry.
    let _: Result<(), FormatError> = walk_tar(&mut &*content, |entry, _| {
        first = Some(entry.path.starts_with(b".SIGN."));
        Err(malformed("enough"))
    });
    first.unwrap_or_default()
}

/// Reads the members with signatures, and the first member after them.
pub(crate) fn read_signatures<R: BufRead>(
    reader: &mut R,
    next: Bounds,
) -> Result<(Signatures, Member), FormatError> {
    let mut signatures = Signatures::default();
    for _ in 0..MAX_SIGNATURES {
        let member =
            read_member(reader, next)?.ok_or_else(|| malformed("it ends before its content"))?;
        if !is_signature_member(&member.content) {
            return Ok((signatures, member));
        }
        if member.content.len() as u64 > SIGNATURE_BOUNDS.content {
            let Bounds { what, content, .. } = SIGNATURE_BOUNDS;
            return Err(FormatError::TooLarge { what, limit: content });
        }
        for file in small_files(&member.content)? {
            signatures.add(&file.name, file.data);
        }
    }
    Err(malformed(format!("it has more than {MAX_SIGNATURES} segments of signatures")))
}

#[cfg(test)]
mod tests {
    use super::super::testrepo::{Algorithm, Signer, gzip, tar_entry};
    use super::*;

    const BOUNDS: Bounds = Bounds { what: "content", compressed: 1 << 16, content: 1 << 16 };

    fn verify(file: &[u8], keys: &Keys) -> Result<String, SignatureError> {
        let (signatures, member) = read_signatures(&mut &*file, BOUNDS).unwrap();
        signatures.verify(&member.raw, keys)
    }

    #[test]
    fn one_good_signature_by_a_known_key_suffices() {
        let (one, two) = (Signer::shared("one"), Signer::shared("two"));
        let body = gzip(&tar_entry("APKINDEX", b"text", &[]));
        let mut wrong = one.signature_segment(Algorithm::Sha1, b"other");
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
            let good = one.signature_segment(algorithm, &body);
            let file = [&good[..], &body].concat();
            assert_eq!(verify(&file, &one.keys()), Ok("one.rsa.pub".to_owned()));
            assert_eq!(
                verify(&file, &two.keys()),
                Err(SignatureError::UnknownKeys { keys: vec!["one.rsa.pub".into()] })
            );
            // A stack of signatures, made by signing an already signed file once more.
            let both = [&two.signature_segment(algorithm, &body)[..], &file].concat();
            assert_eq!(verify(&both, &one.keys()), Ok("one.rsa.pub".to_owned()));
            let other_wrong = [&wrong[..], &file].concat();
            assert_eq!(verify(&other_wrong, &one.keys()), Ok("one.rsa.pub".to_owned()));
        }
        wrong.extend(&body);
        let error = verify(&wrong, &one.keys());
        assert_eq!(error, Err(SignatureError::Wrong { key: "one.rsa.pub".into() }));
        assert_eq!(verify(&body, &one.keys()), Err(SignatureError::Unsigned));
    }

    #[test]
    fn a_key_of_that_name_with_another_content_is_wrong() {
        let (one, two) = (Signer::shared("one"), Signer::shared("two"));
        let body = gzip(&tar_entry("APKINDEX", b"text", &[]));
        let file = [&one.signature_segment(Algorithm::Sha256, &body)[..], &body].concat();
        let mut keys = Keys::new();
        keys.add("one.rsa.pub", two.pem()).unwrap();
        assert_eq!(verify(&file, &keys), Err(SignatureError::Wrong { key: "one.rsa.pub".into() }));
    }

    #[test]
    fn unknown_kinds_of_signature_do_not_count() {
        let signer = Signer::shared("one");
        let body = gzip(&tar_entry("APKINDEX", b"text", &[]));
        for name in [".SIGN.DSA.one.rsa.pub", ".SIGN.RSA.one", ".SIGN.RSA256.../one.rsa.pub"] {
            let file = [gzip(&tar_entry(name, b"x", &[])), body.clone()].concat();
            match read_signatures(&mut &file[..], BOUNDS) {
                Ok((found, member)) => assert_eq!(
                    found.verify(&member.raw, &signer.keys()),
                    Err(SignatureError::Unsigned)
                ),
                Err(error) => assert!(error.to_string().contains("plain file"), "{error}"),
            }
        }
        let endless = gzip(&tar_entry(".SIGN.RSA.one.rsa.pub", b"x", &[])).repeat(40);
        let error = read_signatures(&mut &endless[..], BOUNDS).unwrap_err().to_string();
        assert!(error.contains("more than 32"), "{error}");
        let error = read_signatures(&mut &b""[..], BOUNDS).unwrap_err().to_string();
        assert!(error.contains("ends before"), "{error}");
    }
}
