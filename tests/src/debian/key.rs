//! A key for an archive, made at run time, with the dates that a test asks for.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, SignedKeyDetails, SignedPublicKey,
};
use pgp::crypto::ed25519;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, SecretKey, SignatureConfig, SignatureType, Subpacket,
    SubpacketData, UserId,
};
use pgp::types::{
    Duration, KeyDetails, KeyVersion, PacketHeaderVersion, Password, PlainSecretParams,
    PublicParams, SecretParams, SignedUser, Tag, Timestamp,
};

/// An Ed25519 key that signs releases.
#[derive(Debug)]
pub struct Key {
    secret: SecretKey,
    public: SignedPublicKey,
}

impl Key {
    /// Makes a key that is dated so, in seconds since 1970, and counts for so many seconds; for
    /// ever without.
    pub fn new(created: i64, lifetime: Option<u32>) -> Self {
        let pair = ed25519::SecretKey::generate(rand::thread_rng(), ed25519::Mode::Ed25519);
        let params = PublicParams::Ed25519((&pair).into());
        let (version, kind) = (KeyVersion::V4, PublicKeyAlgorithm::Ed25519);
        let inner = PubKeyInner::new(version, kind, time(created), None, params).expect("a key");
        let public = PublicKey::from_inner(inner).expect("a key");
        let plain = SecretParams::Plain(PlainSecretParams::Ed25519(pair));
        let secret = SecretKey::new(public.clone(), plain).expect("a key");

        let mut flags = KeyFlags::default();
        flags.set_certify(true);
        flags.set_sign(true);
        let mut parts = vec![SubpacketData::KeyFlags(flags)];
        let lifetime = lifetime.map(Duration::from_secs);
        parts.extend(lifetime.map(SubpacketData::KeyExpirationTime));
        let id = UserId::from_str(PacketHeaderVersion::New, "archive").expect("a user id");
        let certification = config(&secret, SignatureType::CertPositive, created, parts)
            .sign_certification(&secret, &public, &Password::empty(), Tag::UserId, &id)
            .expect("a signature");
        let users = vec![SignedUser::new(id, vec![certification])];
        let details = SignedKeyDetails::new(Vec::new(), Vec::new(), users, Vec::new());
        Self { public: SignedPublicKey::new(public, details, Vec::new()), secret }
    }

    /// The public key in ASCII armour.
    pub fn public(&self) -> String {
        self.public.to_armored_string(ArmorOptions::default()).expect("armour")
    }

    /// The fingerprint in capital letters.
    pub fn fingerprint(&self) -> String {
        hex::encode_upper(self.secret.fingerprint().as_bytes())
    }

    /// A text with its signature around it, as `InRelease` is; the signature counts for so many
    /// seconds, for ever without.
    pub fn clear_sign(&self, text: &str, created: i64, lifetime: Option<u32>) -> String {
        let lifetime = lifetime.map(Duration::from_secs);
        let parts = lifetime.map(SubpacketData::SignatureExpirationTime).into_iter().collect();
        let config = config(&self.secret, SignatureType::Text, created, parts);
        let sign = |text: &str| config.sign(&self.secret, &Password::empty(), text.as_bytes());
        let signed = CleartextSignedMessage::new_many(text, |text| Ok(vec![sign(text)?]));
        let signed = signed.expect("a signature");
        signed.to_armored_string(ArmorOptions::default()).expect("armour")
    }

    /// A signature that stands beside its text, as `Release.gpg` is.
    pub fn detach_sign(&self, text: &str, created: i64) -> String {
        let config = config(&self.secret, SignatureType::Binary, created, Vec::new());
        let signed = config.sign(&self.secret, &Password::empty(), text.as_bytes());
        let signed = DetachedSignature::new(signed.expect("a signature"));
        signed.to_armored_string(ArmorOptions::default()).expect("armour")
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_secs(u32::try_from(seconds).expect("a date after 1970"))
}

fn config(
    key: &SecretKey,
    kind: SignatureType,
    created: i64,
    more: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha256);
    let parts = [
        SubpacketData::SignatureCreationTime(time(created)),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ];
    let parts = parts.into_iter().chain(more);
    config.hashed_subpackets =
        parts.map(|part| Subpacket::regular(part).expect("a part of a signature")).collect();
    config
}
