//! Keys for tests, made on the spot, with the creation times and lifetimes a test asks for.

use super::keyring::Keyring;
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, SignedKeyDetails, SignedPublicKey,
    SignedPublicSubKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, Signature,
    SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{
    Duration, KeyDetails, KeyVersion, PacketHeaderVersion, Password, SignatureBytes, SignedUser,
    SigningKey, Tag, Timestamp,
};
use rand::thread_rng;

/// A day in 2024; the tests' "now" is near it.
pub(crate) const T0: i64 = 1_720_000_000;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const YEAR: i64 = 365 * DAY;

type RawKey = (PublicKeyAlgorithm, pgp::types::PublicParams, pgp::types::SecretParams);

/// A certificate with its secret parts.
pub(crate) struct TestKey {
    primary: SecretKey,
    subkey: Option<SecretSubkey>,
    public: SignedPublicKey,
}

/// What a test wants to be odd about a key.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) created: i64,
    pub(crate) lifetime: Option<i64>,
    pub(crate) can_sign: bool,
    pub(crate) revoked: bool,
    pub(crate) subkey: Option<SubkeyRecipe>,
}

#[derive(Clone, Copy)]
pub(crate) struct SubkeyRecipe {
    pub(crate) lifetime: Option<i64>,
    pub(crate) can_sign: bool,
    pub(crate) back_signature: bool,
    pub(crate) revoked: bool,
}

impl Recipe {
    pub(crate) const PLAIN: Recipe =
        Recipe { created: T0, lifetime: None, can_sign: true, revoked: false, subkey: None };
}

impl SubkeyRecipe {
    pub(crate) const PLAIN: SubkeyRecipe =
        SubkeyRecipe { lifetime: None, can_sign: true, back_signature: true, revoked: false };
}

fn seconds(time: i64) -> Timestamp {
    Timestamp::from_secs(u32::try_from(time).unwrap())
}

fn raw_key() -> RawKey {
    let secret = pgp::crypto::ed25519::SecretKey::generate(
        thread_rng(),
        pgp::crypto::ed25519::Mode::Ed25519,
    );
    let public = pgp::types::PublicParams::Ed25519((&secret).into());
    let secret = pgp::types::PlainSecretParams::Ed25519(secret);
    (PublicKeyAlgorithm::Ed25519, public, pgp::types::SecretParams::Plain(secret))
}

fn inner(
    created: i64,
    algorithm: PublicKeyAlgorithm,
    params: pgp::types::PublicParams,
) -> PubKeyInner {
    PubKeyInner::new(KeyVersion::V4, algorithm, seconds(created), None, params).unwrap()
}

fn config(
    typ: SignatureType,
    key: &impl SigningKey,
    created: i64,
    hash: HashAlgorithm,
    more: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(typ, key.algorithm(), hash);
    config.hashed_subpackets = [
        SubpacketData::SignatureCreationTime(seconds(created)),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ]
    .into_iter()
    .chain(more)
    .map(|data| Subpacket::regular(data).unwrap())
    .collect();
    config
}

fn binding_parts(lifetime: Option<i64>, sign: bool) -> Vec<SubpacketData> {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(sign);
    let mut parts = vec![SubpacketData::KeyFlags(flags)];
    if let Some(lifetime) = lifetime {
        let lifetime = Duration::from_secs(u32::try_from(lifetime).unwrap());
        parts.push(SubpacketData::KeyExpirationTime(lifetime));
    }
    parts
}

impl TestKey {
    pub(crate) fn new(created: i64, lifetime: Option<i64>) -> Self {
        Self::with(Recipe { created, lifetime, ..Recipe::PLAIN })
    }

    pub(crate) fn with(recipe: Recipe) -> Self {
        let (algorithm, public, secret) = raw_key();
        let public = PublicKey::from_inner(inner(recipe.created, algorithm, public)).unwrap();
        let primary = SecretKey::new(public.clone(), secret).unwrap();
        let (created, hash, none) = (recipe.created, HashAlgorithm::Sha256, Password::empty());

        let id = UserId::from_str(PacketHeaderVersion::New, "test key").unwrap();
        let parts = binding_parts(recipe.lifetime, recipe.can_sign);
        let certification = config(SignatureType::CertPositive, &primary, created, hash, parts)
            .sign_certification(&primary, &public, &none, Tag::UserId, &id)
            .unwrap();
        let revocations = recipe
            .revoked
            .then(|| {
                config(SignatureType::KeyRevocation, &primary, created, hash, Vec::new())
                    .sign_key(&primary, &none, &public)
                    .unwrap()
            })
            .into_iter()
            .collect();
        let details = SignedKeyDetails::new(
            revocations,
            Vec::new(),
            vec![SignedUser::new(id, vec![certification])],
            Vec::new(),
        );
        let subkey = recipe.subkey.map(|sub| make_subkey(&primary, &public, created, sub));
        let (subkey, signed_subkeys) = match subkey {
            Some((secret, signed)) => (Some(secret), vec![signed]),
            None => (None, Vec::new()),
        };
        let public = SignedPublicKey::new(public, details, signed_subkeys);
        TestKey { primary, subkey, public }
    }

    pub(crate) fn public(&self) -> &SignedPublicKey {
        &self.public
    }

    pub(crate) fn fingerprint(&self) -> String {
        hex::encode_upper(self.primary.fingerprint().as_bytes())
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::from_bytes(&self.public.to_bytes().unwrap()).unwrap()
    }

    /// Signs a text as `gpg --clearsign` does.
    pub(crate) fn clear_sign(&self, text: &str, created: i64) -> String {
        self.clear_sign_with(text, created, HashAlgorithm::Sha256, Vec::new())
    }

    pub(crate) fn clear_sign_with(
        &self,
        text: &str,
        created: i64,
        hash: HashAlgorithm,
        more: Vec<SubpacketData>,
    ) -> String {
        clear_sign_many(text, &[(self, created, hash, more)])
    }

    /// Signs a text as `gpg --detach-sign --armor` does.
    pub(crate) fn detach_sign(&self, text: &str, created: i64) -> DetachedSignature {
        let hash = HashAlgorithm::Sha512;
        DetachedSignature::new(self.sign(SignatureType::Binary, text, created, hash, Vec::new()))
    }

    fn sign(
        &self,
        typ: SignatureType,
        text: &str,
        created: i64,
        hash: HashAlgorithm,
        more: Vec<SubpacketData>,
    ) -> Signature {
        let (data, none) = (text.as_bytes(), Password::empty());
        if hash == HashAlgorithm::Sha1 {
            // rPGP makes none with such a hash, so this one has a made-up value.
            let config = config(typ, &self.primary, created, hash, more);
            let value = SignatureBytes::Native(vec![7; 64].into());
            return Signature::from_config(config, [7; 2], value).unwrap();
        }
        match &self.subkey {
            Some(key) => config(typ, key, created, hash, more).sign(key, &none, data).unwrap(),
            None => {
                let key = &self.primary;
                config(typ, key, created, hash, more).sign(key, &none, data).unwrap()
            }
        }
    }
}

pub(crate) fn clear_sign_many(
    text: &str,
    signers: &[(&TestKey, i64, HashAlgorithm, Vec<SubpacketData>)],
) -> String {
    CleartextSignedMessage::new_many(text, |canonical| {
        Ok(signers
            .iter()
            .map(|(key, created, hash, more)| {
                key.sign(SignatureType::Text, canonical, *created, *hash, more.clone())
            })
            .collect())
    })
    .unwrap()
    .to_armored_string(ArmorOptions::default())
    .unwrap()
}

fn make_subkey(
    primary: &SecretKey,
    public: &PublicKey,
    created: i64,
    recipe: SubkeyRecipe,
) -> (SecretSubkey, SignedPublicSubKey) {
    let (hash, none) = (HashAlgorithm::Sha256, Password::empty());
    let (algorithm, params, secret) = raw_key();
    let public_subkey = PublicSubkey::from_inner(inner(created, algorithm, params)).unwrap();
    let subkey = SecretSubkey::new(public_subkey.clone(), secret).unwrap();
    let mut parts = binding_parts(recipe.lifetime, recipe.can_sign);
    if recipe.back_signature {
        let back = config(SignatureType::KeyBinding, &subkey, created, hash, Vec::new())
            .sign_primary_key_binding(&subkey, &public_subkey, &none, public)
            .unwrap();
        parts.push(SubpacketData::EmbeddedSignature(Box::new(back)));
    }
    let bind = |typ, parts| {
        config(typ, primary, created, hash, parts)
            .sign_subkey_binding(primary, public, &none, &public_subkey)
            .unwrap()
    };
    let mut signatures = vec![bind(SignatureType::SubkeyBinding, parts)];
    if recipe.revoked {
        signatures.push(bind(SignatureType::SubkeyRevocation, Vec::new()));
    }
    (subkey, SignedPublicSubKey::new(public_subkey, signatures))
}
