//! The OpenPGP policy: which keys of a certificate may sign at a given time, and whether a data
//! signature is good. The mathematics are rPGP's; every decision about time, revocation, key
//! flags and algorithm strength is taken here.
//!
//! Certificates of the Debian archive carry certifications by third parties whose keys are not
//! at hand. They say nothing about the key itself and are passed over; only what the primary key
//! says about itself, its user ids and its subkeys counts. Designated revokers are not followed.

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    PublicKey, PublicSubkey, Signature, SignatureType, SignatureVersion, SubpacketData,
};
use pgp::ser::Serialize;
use pgp::types::{Fingerprint, KeyDetails, KeyId, PublicParams, Tag};
use std::io::Read;

/// How far a date may be in the future of this machine's clock, in seconds.
pub(crate) const MAX_CLOCK_SKEW: i64 = 86_400;

const MIN_RSA_BITS: u16 = 2048;

/// Why a key must not be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error("the key is revoked")]
    Revoked,
    #[error("the key expired at {}", format_time(*.0))]
    Expired(i64),
    #[error("the key says it was made in the future, at {}", format_time(*.0))]
    FromTheFuture(i64),
    #[error("the key is not marked as a signing key")]
    NotForSigning,
    #[error("the key's own self-signature is missing, expired, or weaker than SHA-256")]
    Unbound,
    #[error("the key is too weak ({0})")]
    Weak(String),
}

/// Formats seconds since 1970 as an RFC 3339 time in UTC.
pub(crate) fn format_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |time| time.to_string())
}

/// A certificate with only what its own primary key vouches for.
#[derive(Debug)]
pub(crate) struct Certificate {
    name: String,
    primary: Component<PublicKey>,
    subkeys: Vec<Component<PublicSubkey>>,
}

/// One key of a certificate.
#[derive(Debug)]
struct Component<K> {
    key: K,
    fingerprint: Fingerprint,
    key_id: KeyId,
    created: i64,
    revoked: bool,
    bindings: Vec<Binding>,
}

/// What one verified self-signature says.
#[derive(Debug)]
struct Binding {
    created: i64,
    expires: Option<i64>,
    key_expires: Option<i64>,
    can_sign: bool,
}

impl Certificate {
    /// Checks the self-signatures one by one and keeps the good ones.
    pub(crate) fn new(certificate: SignedPublicKey) -> Self {
        let primary = primary_component(&certificate);
        let subkeys = certificate
            .public_subkeys
            .iter()
            .map(|subkey| subkey_component(&certificate.primary_key, subkey))
            .collect();
        let name = hex::encode_upper(primary.fingerprint.as_bytes());
        Certificate { name, primary, subkeys }
    }

    /// Returns the primary key's fingerprint in upper-case hexadecimal.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.name
    }

    pub(crate) fn is(&self, fingerprint: &Fingerprint) -> bool {
        self.primary.fingerprint == *fingerprint
    }

    /// Tells whether the certificate as a whole may be relied on at `now`.
    pub(crate) fn primary_state(&self, now: i64) -> Result<(), KeyProblem> {
        self.primary.state(now).map(|_| ())
    }

    /// Tells whether any key of the certificate may sign at `now`.
    #[cfg(test)]
    pub(crate) fn can_sign(&self, now: i64) -> bool {
        self.primary_state(now).is_ok()
            && (self.primary.signing_state(now).is_ok()
                || self.subkeys.iter().any(|subkey| subkey.signing_state(now).is_ok()))
    }

    /// Checks a data signature against this certificate; `None` when the signature names none of
    /// its keys.
    pub(crate) fn check(
        &self,
        signature: &Signature,
        data: impl Read,
        now: i64,
    ) -> Option<Verdict> {
        if self.primary.is_named_by(signature) {
            return Some(self.primary.check(signature, data, now));
        }
        let subkey = self.subkeys.iter().find(|subkey| subkey.is_named_by(signature))?;
        Some(match self.primary_state(now) {
            Ok(()) => subkey.check(signature, data, now),
            Err(problem) => Verdict::Refused(problem.to_string()),
        })
    }
}

/// What became of one data signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Made over exactly this data by a key that may sign.
    Good,
    /// By policy it counts for nothing, whatever the mathematics say.
    Refused(String),
    /// The key is usable and known, but it did not sign this data.
    Bad,
}

impl<K: pgp::types::VerifyingKey> Component<K> {
    fn is_named_by(&self, signature: &Signature) -> bool {
        let fingerprints = signature.issuer_fingerprint();
        if fingerprints.is_empty() {
            return signature.issuer_key_id().contains(&&self.key_id);
        }
        fingerprints.contains(&&self.fingerprint)
    }

    /// Returns the self-signature in force at `now`: the newest that is neither expired nor from
    /// the future.
    fn binding(&self, now: i64) -> Option<&Binding> {
        self.bindings
            .iter()
            .filter(|binding| binding.created <= now.saturating_add(MAX_CLOCK_SKEW))
            .filter(|binding| binding.expires.is_none_or(|expires| now < expires))
            .max_by_key(|binding| binding.created)
    }

    fn state(&self, now: i64) -> Result<&Binding, KeyProblem> {
        if self.revoked {
            return Err(KeyProblem::Revoked);
        }
        if let Some(weakness) = weakness(self.key.public_params()) {
            return Err(KeyProblem::Weak(weakness));
        }
        if self.created > now.saturating_add(MAX_CLOCK_SKEW) {
            return Err(KeyProblem::FromTheFuture(self.created));
        }
        let binding = self.binding(now).ok_or(KeyProblem::Unbound)?;
        match binding.key_expires {
            Some(expires) if expires <= now => Err(KeyProblem::Expired(expires)),
            _ => Ok(binding),
        }
    }

    fn signing_state(&self, now: i64) -> Result<(), KeyProblem> {
        if self.state(now)?.can_sign { Ok(()) } else { Err(KeyProblem::NotForSigning) }
    }

    fn check(&self, signature: &Signature, data: impl Read, now: i64) -> Verdict {
        let refused = |reason: &str| Verdict::Refused(reason.to_owned());
        if let Err(problem) = self.signing_state(now) {
            return Verdict::Refused(problem.to_string());
        }
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return refused("it is not a signature of a document");
        }
        if let Err(reason) = acceptable(signature) {
            return refused(reason);
        }
        let Some(created) = creation(signature) else {
            return refused("it does not say when it was made");
        };
        if created > now.saturating_add(MAX_CLOCK_SKEW) {
            return Verdict::Refused(format!(
                "it is from the future ({}): check this machine's clock",
                format_time(created)
            ));
        }
        if created < self.created {
            return refused("it says it is older than the key that made it");
        }
        if expiration(signature, created).is_some_and(|expires| expires <= now) {
            return refused("the signature itself is expired");
        }
        match signature.verify(&self.key, data) {
            Ok(()) => Verdict::Good,
            Err(_) => Verdict::Bad,
        }
    }
}

fn primary_component(certificate: &SignedPublicKey) -> Component<PublicKey> {
    let key = &certificate.primary_key;
    let details = &certificate.details;
    // A revocation counts even with a weak hash: a forged one can only refuse, never admit.
    let revoked = details
        .revocation_signatures
        .iter()
        .chain(&details.direct_signatures)
        .filter(|signature| signature.typ() == Some(SignatureType::KeyRevocation))
        .any(|signature| signature.verify_key(key).is_ok());
    // Debian's keys have direct signatures that only name revokers. They are newer than the one
    // with the expiry, and must not take its place.
    let direct = details
        .direct_signatures
        .iter()
        .filter(|signature| signature.typ() == Some(SignatureType::Key))
        .filter(|signature| has_key_flags(signature) || signature.key_expiration_time().is_some())
        .filter(|signature| acceptable(signature).is_ok() && signature.verify_key(key).is_ok());
    let mut bindings: Vec<Binding> =
        direct.filter_map(|signature| binding(signature, key, true)).collect();
    for user in &details.users {
        let own = user.signatures.iter().filter(|signature| {
            is_by(signature, key)
                && signature.verify_certification(key, Tag::UserId, &user.id).is_ok()
        });
        let (revocations, certifications): (Vec<_>, Vec<_>) =
            own.partition(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        let revoked_at = revocations.iter().filter_map(|signature| creation(signature)).max();
        bindings.extend(
            certifications
                .into_iter()
                .filter(|signature| acceptable(signature).is_ok())
                .filter_map(|signature| binding(signature, key, true))
                .filter(|binding| revoked_at.is_none_or(|at| at < binding.created)),
        );
    }
    component(key.clone(), revoked, bindings)
}

fn subkey_component(primary: &PublicKey, subkey: &SignedPublicSubKey) -> Component<PublicSubkey> {
    let key = &subkey.key;
    let verified = subkey
        .signatures
        .iter()
        .filter(|signature| signature.verify_subkey_binding(primary, key).is_ok());
    let (revocations, bindings): (Vec<_>, Vec<_>) =
        verified.partition(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
    let bindings = bindings
        .into_iter()
        .filter(|signature| acceptable(signature).is_ok())
        .filter_map(|signature| {
            let mut binding = binding(signature, key, false)?;
            binding.can_sign &= has_back_signature(signature, primary, key);
            Some(binding)
        })
        .collect();
    component(key.clone(), !revocations.is_empty(), bindings)
}

/// A signing subkey must itself agree to belong to the primary key, or anybody could adopt it.
fn has_back_signature(binding: &Signature, primary: &PublicKey, subkey: &PublicSubkey) -> bool {
    binding.embedded_signature().is_some_and(|back| {
        acceptable(back).is_ok() && back.verify_primary_key_binding(subkey, primary).is_ok()
    })
}

fn component<K: KeyDetails>(key: K, revoked: bool, bindings: Vec<Binding>) -> Component<K> {
    Component {
        fingerprint: key.fingerprint(),
        key_id: key.legacy_key_id(),
        created: i64::from(key.created_at().as_secs()),
        key,
        revoked,
        bindings,
    }
}

/// Reads what a self-signature says of `key`. Without key flags a key keeps the default of its
/// kind: an old primary key may sign, a subkey may not.
fn binding(signature: &Signature, key: &impl KeyDetails, default_sign: bool) -> Option<Binding> {
    let created = creation(signature)?;
    let key_created = i64::from(key.created_at().as_secs());
    Some(Binding {
        created,
        expires: expiration(signature, created),
        key_expires: signature
            .key_expiration_time()
            .map(|lifetime| i64::from(lifetime.as_secs()))
            .filter(|lifetime| *lifetime != 0)
            .map(|lifetime| key_created + lifetime),
        can_sign: if has_key_flags(signature) {
            signature.key_flags().sign()
        } else {
            default_sign
        },
    })
}

fn has_key_flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)))
    })
}

fn is_by(signature: &Signature, key: &PublicKey) -> bool {
    signature.issuer_key_id().contains(&&key.legacy_key_id())
        || signature.issuer_fingerprint().contains(&&key.fingerprint())
}

fn creation(signature: &Signature) -> Option<i64> {
    signature.created().map(|time| i64::from(time.as_secs()))
}

fn expiration(signature: &Signature, created: i64) -> Option<i64> {
    signature
        .signature_expiration_time()
        .map(|lifetime| i64::from(lifetime.as_secs()))
        .filter(|lifetime| *lifetime != 0)
        .map(|lifetime| created + lifetime)
}

/// Checks the parts of a signature that are judged without its key: version, hash and critical
/// subpackets this program does not know (RFC 9580, 5.2.3.7).
fn acceptable(signature: &Signature) -> Result<(), &'static str> {
    let config = signature.config().ok_or("its version is not supported")?;
    if !matches!(config.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err("its version is not supported");
    }
    if !matches!(
        config.hash_alg,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    ) {
        return Err("its hash is weaker than SHA-256");
    }
    let unknown = config.hashed_subpackets().any(|subpacket| {
        subpacket.is_critical
            && matches!(
                subpacket.data,
                SubpacketData::Other(..)
                    | SubpacketData::Experimental(..)
                    | SubpacketData::Notation(_)
            )
    });
    if unknown { Err("it has a critical part that is not understood") } else { Ok(()) }
}

/// Describes why a key's algorithm is not accepted for signatures, if it is not.
fn weakness(params: &PublicParams) -> Option<String> {
    match params {
        PublicParams::RSA(rsa) => {
            // The parameters start with the modulus as an MPI, whose first two bytes are its bits.
            let bytes = rsa.to_bytes().unwrap_or_default();
            let bits = bytes.first_chunk().map_or(0, |bits| u16::from_be_bytes(*bits));
            (bits < MIN_RSA_BITS).then(|| format!("RSA with {bits} bits"))
        }
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => None,
        PublicParams::DSA(_) => Some("DSA".to_owned()),
        _ => Some("not a supported signing algorithm".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyring::Keyring;
    use super::*;

    /// Keys made by GnuPG in 2024: rPGP does not make such weak ones.
    fn state(armored: &str) -> Result<(), KeyProblem> {
        let keyring = Keyring::from_bytes(armored.as_bytes()).unwrap();
        keyring.certificates()[0].primary_state(1_720_000_000)
    }

    #[test]
    fn weak_keys_and_weak_self_signatures_are_refused() {
        assert_eq!(state(include_str!("../../testdata/rsa2048.asc")), Ok(()));
        assert_eq!(
            state(include_str!("../../testdata/rsa1024.asc")),
            Err(KeyProblem::Weak("RSA with 1024 bits".into()))
        );
        assert_eq!(
            state(include_str!("../../testdata/sha1-self-signature.asc")),
            Err(KeyProblem::Unbound)
        );
    }
}
