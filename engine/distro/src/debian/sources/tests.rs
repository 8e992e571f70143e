use super::super::keyring::Keyring;
use super::super::testkeys::{T0, TestKey};
use super::*;
use proptest::prelude::*;

const DEB822: &str = "\
# the main archive
Types: deb deb-src
# http://snapshot.test/archive
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: trixie
Components: main
";

#[test]
fn one_line_entries_are_read() {
    let list = "\
# deb http://comment.test/debian bookworm main
deb http://mirror.test/debian bookworm main contrib # tail
deb-src [ arch=amd64,arm64 signed-by=/k.gpg trusted=yes ] https://src.test/debian sid main
deb cdrom:[Debian 12 - Official]/ bookworm main
deb
deb [broken http://x.test/ a
rpm http://x.test/ a b
";
    let sources = parse_list(list);
    assert_eq!(sources.len(), 3);
    assert_eq!(sources[0].uris, ["http://mirror.test/debian"]);
    assert_eq!(sources[0].components, ["main", "contrib"]);
    assert_eq!(sources[1].types, ["deb-src"]);
    assert_eq!(sources[1].architectures, ["amd64", "arm64"]);
    assert_eq!(sources[1].signed_by, "/k.gpg");
    assert_eq!(sources[2].uris, ["cdrom:[Debian 12 - Official]/"]);
}

#[test]
fn deb822_entries_are_read() {
    let sources = parse_deb822(DEB822);
    assert_eq!(sources.len(), 3);
    assert_eq!(sources[0].types, ["deb", "deb-src"]);
    assert_eq!(sources[0].uris, ["http://mirror.test/debian/"]);
    assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
    assert_eq!(sources[0].components, ["main", "contrib"]);
    assert!(sources[0].enabled && !sources[2].enabled);
    // A broken entry does not hide its neighbours.
    assert_eq!(parse_deb822(&format!("nonsense\n\n{DEB822}")).len(), 3);
}

#[test]
fn the_mirror_is_the_one_that_has_debian() {
    let sources = parse_deb822(DEB822);
    let mirror = Some("http://mirror.test/debian".to_owned());
    assert_eq!(mirror_for(&sources, "bookworm"), mirror);
    // Another suite of the same mirror serves too; a disabled source does not.
    assert_eq!(mirror_for(&sources, "trixie"), mirror);
    let security = Some("https://mirror.test/debian-security".to_owned());
    assert_eq!(security_mirror_for(&sources, "bookworm"), security);
    assert_eq!(security_mirror_for(&sources, "trixie"), security);
    assert_eq!(mirror_for(&sources[1..], "bookworm"), None);
    assert_eq!(mirror_for(&[], "bookworm"), None);
}

#[test]
fn archives_of_others_are_not_taken_for_debian() {
    let others = "\
deb [signed-by=/usr/share/keyrings/vendor.gpg] https://apt.vendor.test bookworm main
deb https://node.test/node_20.x nodistro main
deb https://db.test/apt bookworm-pgdg main
deb https://flat.test/debian ./
deb https://nomain.test/debian bookworm stable
deb file:///mnt/debian bookworm main
deb-src http://source.test/debian bookworm main
";
    assert_eq!(mirror_for(&parse_list(others), "bookworm"), None);
    let list = format!(
        "{others}deb https://root.test bookworm main\ndeb http://path.test/debian/ bookworm main\n"
    );
    assert_eq!(mirror_for(&parse_list(&list), "bookworm").unwrap(), "http://path.test/debian");
}

#[test]
fn a_key_may_stand_in_the_entry_itself() {
    let key = TestKey::new(T0, None);
    let armor = key.public().to_armored_string(pgp::composed::ArmorOptions::default()).unwrap();
    let lines: String = armor
        .lines()
        .map(|line| if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") })
        .collect();
    let entry = format!("Types: deb\nURIs: http://x.test/\nSuites: s\nSigned-By:\n{lines}");
    let [source] = parse_deb822(&entry).try_into().unwrap();
    let ring = Keyring::from_bytes(source.embedded_key().unwrap().as_bytes()).unwrap();
    assert_eq!(ring.fingerprints().collect::<Vec<_>>(), [key.fingerprint()]);
    assert_eq!(parse_deb822(DEB822)[0].embedded_key(), None);
}

#[test]
fn debians_own_archive_is_known_by_its_hosts() {
    for (uri, suite) in [
        ("http://ftp.us.debian.org/debian", "bookworm"),
        ("http://ftp.us.debian.org/debian/", "bookworm-updates"),
        ("https://FTP.us.debian.org:443/debian", "sid"),
        ("http://ftp.debian.org/debian", "bookworm-backports"),
        ("http://ftp.de.debian.org/debian", "trixie"),
        ("http://security.debian.org/debian-security", "bookworm-security"),
        ("http://security.debian.org", "bookworm-security"),
        ("http://security.debian.org/", "buster/updates"),
        ("http://ftp.us.debian.org/debian-security", "bookworm-security"),
    ] {
        assert!(own(uri, suite), "{uri} {suite}");
    }
    for (uri, suite) in [
        ("http://archive.debian.org/debian", "buster"),
        ("http://snapshot.debian.org/archive/debian/20240101T000000Z", "bookworm"),
        ("http://ftp.ports.debian.org/debian-ports", "sid"),
        ("http://ftp.us.debian.org/debian-debug", "sid"),
        ("http://ftp.us.debian.org/debian", "bookworm-security"),
        ("http://security.debian.org/debian-security", "bookworm"),
        ("http://ftp.us.debian.org.evil.test/debian", "bookworm"),
        ("http://evildebian.org/debian", "bookworm"),
        ("http://x@ftp.us.debian.org/debian", "bookworm"),
        ("ftp://ftp.debian.org/debian", "bookworm"),
        ("http://mirror.test/debian", "bookworm"),
        ("http://ftp..debian.org/debian", "bookworm"),
        ("", ""),
    ] {
        assert!(!own(uri, suite), "{uri} {suite}");
    }
}

proptest! {
    #[test]
    fn any_text_is_handled(text in "(deb |Types: |URIs: http://| |\n|\\[|\\]|#|=|[a-zé]{0,5}){0,30}") {
        let sources: Vec<_> = parse_list(&text).into_iter().chain(parse_deb822(&text)).collect();
        let _ = mirror_for(&sources, "sid");
    }
}
