use super::super::testkeys::{DAY, Recipe, SubkeyRecipe, T0, TestKey, YEAR, clear_sign_many};
use super::*;
use pgp::composed::ArmorOptions;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::SubpacketData;
use pgp::ser::Serialize;
use pgp::types::Duration;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Made two days after the keys, looked at an hour later.
const SIGNED: i64 = T0 + 2 * DAY;
const NOW: i64 = SIGNED + 3600;

fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

fn release_text(date: i64, valid_until: Option<i64>) -> String {
    let valid = valid_until.map(|t| format!("Valid-Until: {}\n", http_date(t))).unwrap_or_default();
    let (a, b) = ("a".repeat(64), hex::encode(Sha256::digest(b"packages")));
    format!(
        "Origin: Debian\nLabel: Debian\nSuite: stable\nVersion: 12.5\nCodename: bookworm\nDate: {}\n\
         {valid}Acquire-By-Hash: yes\nArchitectures: all amd64 arm64\nComponents: main contrib\n\
         Description: Debian - with dashes\nMD5Sum:\n 0123 1 main/x\nSHA256:\n \
         {a}     1234 main/binary-amd64/Packages\n {b} 8 main/binary-amd64/Packages.xz\n",
        http_date(date)
    )
}

fn good_text() -> String {
    release_text(SIGNED, Some(NOW + 7 * DAY))
}

fn verify(message: &str, key: &TestKey, now: i64) -> Result<Release, ReleaseError> {
    verify_inrelease(message.as_bytes(), &key.keyring(), now)
}

fn refusal(result: Result<Release, ReleaseError>) -> String {
    match result {
        Err(ReleaseError::Untrusted { reasons }) => reasons.join("; "),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_good_release_is_read() {
    let key = TestKey::new(T0, Some(YEAR));
    let release = verify(&key.clear_sign(&good_text(), SIGNED), &key, NOW).unwrap();
    assert_eq!((release.origin.as_str(), release.suite.as_str()), ("Debian", "stable"));
    assert_eq!((release.codename.as_str(), release.version.as_str()), ("bookworm", "12.5"));
    assert_eq!((release.date, release.valid_until), (SIGNED, Some(NOW + 7 * DAY)));
    assert_eq!(release.architectures, ["all", "amd64", "arm64"]);
    assert_eq!(release.components, ["main", "contrib"]);
    assert_eq!(release.signed_by, [key.fingerprint()]);
    assert!(release.acquire_by_hash && release.separate_all);
    let one = good_text().replace("Label: Debian", "No-Support-for-Architecture-all: Packages");
    assert!(!verify(&key.clear_sign(&one, SIGNED), &key, NOW).unwrap().separate_all);
    let indexes = release.packages_indexes("main", "amd64");
    let listed: Vec<_> = indexes.iter().map(|(path, file)| (path.as_str(), file.size)).collect();
    assert_eq!(
        listed,
        [("main/binary-amd64/Packages.xz", 8), ("main/binary-amd64/Packages", 1234)]
    );
    assert_eq!(
        release.by_hash_path("main/binary-amd64/Packages").unwrap(),
        format!("main/binary-amd64/by-hash/SHA256/{}", "a".repeat(64))
    );
    assert_eq!(release.by_hash_path("main/none"), None);
}

#[test]
fn altered_text_is_refused() {
    let key = TestKey::new(T0, None);
    let message = key.clear_sign(&good_text(), SIGNED);
    for (from, to) in [("bookworm", "bookworn"), ("aaaa ", "aaab "), ("Origin: Debian\n", "")] {
        let altered = message.replacen(from, to, 1);
        assert_ne!(altered, message);
        assert!(
            matches!(verify(&altered, &key, NOW), Err(ReleaseError::Tampered { key: k }) if k == key.fingerprint()),
            "{from}"
        );
    }
    // Blanks at line ends are not part of what is signed.
    assert!(verify(&message.replace("Debian\n", "Debian \t\r\n"), &key, NOW).is_ok());
}

#[test]
fn text_around_the_signed_block_is_refused() {
    let key = TestKey::new(T0, None);
    let message = key.clear_sign(&good_text(), SIGNED);
    let second = message.replacen("Origin: Debian", "Origin: Evil", 1);
    for around in [
        format!("Origin: Evil\n{message}"),
        format!("{message}Origin: Evil\n"),
        format!("{second}{message}"),
        message.replacen("\n\n", "\nSuite: evil\n\n", 1),
        good_text(),
        String::new(),
    ] {
        assert!(matches!(verify(&around, &key, NOW), Err(ReleaseError::Signature(_))));
    }
}

#[test]
fn an_unknown_key_is_named() {
    let (signer, other) = (TestKey::new(T0, None), TestKey::new(T0, None));
    let message = signer.clear_sign(&good_text(), SIGNED);
    let reason = refusal(verify(&message, &other, NOW));
    assert_eq!(reason, format!("key {} is not in the keyring", signer.fingerprint()));
}

#[test]
fn keys_that_must_not_sign_are_refused() {
    let cases = [
        (Recipe { lifetime: Some(2 * DAY), ..Recipe::PLAIN }, "expired at 2024-07-0"),
        (Recipe { revoked: true, ..Recipe::PLAIN }, "revoked"),
        (Recipe { can_sign: false, ..Recipe::PLAIN }, "not marked as a signing key"),
        (Recipe { created: NOW + 2 * DAY, ..Recipe::PLAIN }, "made in the future"),
    ];
    for (recipe, want) in cases {
        let key = TestKey::with(recipe);
        let reason = refusal(verify(&key.clear_sign(&good_text(), SIGNED), &key, NOW));
        assert!(reason.contains(want), "{reason}");
    }
}

#[test]
fn signing_subkeys_count_only_when_properly_bound() {
    let with = |subkey| {
        let subkey = Some(subkey);
        TestKey::with(Recipe { can_sign: false, lifetime: Some(YEAR), subkey, ..Recipe::PLAIN })
    };
    let good = with(SubkeyRecipe::PLAIN);
    let message = good.clear_sign(&good_text(), SIGNED);
    // The certificate is reported, not the subkey.
    assert_eq!(verify(&message, &good, NOW).unwrap().signed_by, [good.fingerprint()]);
    // An expired primary key takes its subkeys with it.
    assert!(refusal(verify(&message, &good, T0 + YEAR)).contains("expired"));
    let cases = [
        (SubkeyRecipe { back_signature: false, ..SubkeyRecipe::PLAIN }, "not marked"),
        (SubkeyRecipe { can_sign: false, ..SubkeyRecipe::PLAIN }, "not marked"),
        (SubkeyRecipe { revoked: true, ..SubkeyRecipe::PLAIN }, "revoked"),
        (SubkeyRecipe { lifetime: Some(DAY), ..SubkeyRecipe::PLAIN }, "expired"),
    ];
    for (recipe, want) in cases {
        let key = with(recipe);
        let reason = refusal(verify(&key.clear_sign(&good_text(), SIGNED), &key, NOW));
        assert!(reason.contains(want), "{reason}");
    }
}

#[test]
fn weak_future_expired_and_odd_signatures_are_refused() {
    let key = TestKey::new(T0, None);
    let sign = |created, hash, more| key.clear_sign_with(&good_text(), created, hash, more);
    let lifetime = SubpacketData::SignatureExpirationTime(Duration::from_secs(60));
    let cases = [
        (sign(SIGNED, HashAlgorithm::Sha1, vec![]), "weaker than SHA-256"),
        (sign(NOW + 2 * DAY, HashAlgorithm::Sha256, vec![]), "from the future"),
        (sign(T0 - DAY, HashAlgorithm::Sha256, vec![]), "older than the key"),
        (sign(SIGNED, HashAlgorithm::Sha256, vec![lifetime]), "itself is expired"),
    ];
    for (message, want) in cases {
        let reason = refusal(verify(&message, &key, NOW));
        assert!(reason.contains(want), "{reason}");
    }
    // A clock that is a little behind is no reason to refuse.
    assert!(verify(&sign(NOW + 3600, HashAlgorithm::Sha512, vec![]), &key, NOW).is_ok());
}

#[test]
fn one_good_signature_is_enough_but_a_bad_one_is_too_much() {
    let (a, b) = (TestKey::new(T0, None), TestKey::new(T0, None));
    let by = |key, created| (key, created, HashAlgorithm::Sha256, vec![]);
    let both = clear_sign_many(&good_text(), &[by(&a, SIGNED), by(&b, SIGNED)]);
    assert_eq!(verify(&both, &b, NOW).unwrap().signed_by, [b.fingerprint()]);
    let mut ring = a.keyring();
    ring.extend(b.keyring());
    let release = verify_inrelease(both.as_bytes(), &ring, NOW).unwrap();
    assert_eq!(release.signed_by, [a.fingerprint(), b.fingerprint()]);
    // A signature by b over another text, put beside the good one of a.
    let armor_of = |message: &str| {
        let start = message.find("-----BEGIN PGP SIGNATURE").unwrap();
        read_signatures(&message.as_bytes()[start..]).unwrap()
    };
    let mut signatures = armor_of(&a.clear_sign(&good_text(), SIGNED));
    signatures.extend(armor_of(&b.clear_sign("other", SIGNED)));
    let canonical = clearsign::split(both.as_bytes()).unwrap().canonical;
    let result = check_signatures(&signatures, &canonical, &ring, NOW);
    assert!(matches!(result, Err(ReleaseError::Tampered { key }) if key == b.fingerprint()));
}

#[test]
fn dates_have_errors_of_their_own() {
    let key = TestKey::new(T0, None);
    let old = key.clear_sign(&release_text(SIGNED, Some(NOW - 1)), SIGNED);
    assert!(matches!(
        verify(&old, &key, NOW),
        Err(ReleaseError::Expired { valid_until, .. }) if valid_until == NOW - 1
    ));
    let early = key.clear_sign(&release_text(NOW + 2 * DAY, None), SIGNED);
    assert!(matches!(verify(&early, &key, NOW), Err(ReleaseError::FromTheFuture { .. })));
    let endless = key.clear_sign(&release_text(SIGNED, None), SIGNED);
    assert_eq!(verify(&endless, &key, NOW + 20 * YEAR).unwrap().valid_until, None);
}

#[test]
fn detached_signatures_are_verified_in_both_forms() {
    let key = TestKey::new(T0, None);
    let (text, ring) = (good_text(), key.keyring());
    let signature = key.detach_sign(&text, SIGNED);
    let armored = signature.to_armored_bytes(ArmorOptions::default()).unwrap();
    let binary = signature.to_bytes().unwrap();
    for bytes in [&armored, &binary] {
        let release = verify_detached(text.as_bytes(), bytes, &ring, NOW).unwrap();
        assert_eq!(release.codename, "bookworm");
        let altered = text.replace("bookworm", "trixie");
        let result = verify_detached(altered.as_bytes(), bytes, &ring, NOW);
        assert!(matches!(result, Err(ReleaseError::Tampered { .. })));
    }
    for junk in [&b""[..], b"junk", b"\xff\xff", &armored[..60]] {
        assert!(verify_detached(text.as_bytes(), junk, &ring, NOW).is_err(), "{junk:?}");
    }
}

#[test]
fn a_malformed_release_is_refused_even_when_signed() {
    let key = TestKey::new(T0, None);
    let good = good_text();
    let cases = [
        (good.replace("Date:", "Dat:"), "no Date"),
        (good.replace(" UTC", " CET"), "not a date"),
        (good.replace("SHA256:", "SHA512:"), "no SHA256"),
        (good.replace(" main/binary-amd64/Packages\n", " ../../etc/passwd\n"), "line in SHA256"),
        (good.replace(" main/binary-amd64/Packages\n", " /etc/passwd\n"), "line in SHA256"),
        (good.replace(" 1234 ", " -5 "), "line in SHA256"),
        (good.replace("aaaa ", "AAAA "), "line in SHA256"),
        (good.replace("Packages.xz", "Packages"), "twice, with different"),
        (good.replace("Label: ", "suite: "), "twice"),
        (good.replace("Label", "\nLabel"), "more than one stanza"),
        (good.replace("Label: Debian", "nonsense"), "line 2"),
    ];
    for (text, want) in cases {
        assert_ne!(text, good, "{want}");
        match verify(&key.clear_sign(&text, SIGNED), &key, NOW) {
            Err(ReleaseError::Malformed(detail)) => assert!(detail.contains(want), "{detail}"),
            other => panic!("{want}: {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_is_never_accepted_nor_a_panic(at in 0usize..1500, byte: u8) {
        let key = TestKey::new(T0, None);
        let mut message = key.clear_sign(&good_text(), SIGNED).into_bytes();
        let at = at % message.len();
        let before = std::mem::replace(&mut message[at], byte);
        let canonical = |m: &[u8]| clearsign::split(m).map(|s| s.canonical);
        let damaged = canonical(&message);
        let accepted = verify_inrelease(&message, &key.keyring(), NOW).is_ok();
        message[at] = before;
        prop_assert!(!accepted || damaged == canonical(&message));
    }
}
