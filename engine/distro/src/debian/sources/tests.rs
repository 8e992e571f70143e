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

proptest! {
    #[test]
    fn any_text_is_handled(text in "(deb |Types: |URIs: http://| |\n|\\[|\\]|#|=|[a-zé]{0,5}){0,30}") {
        let sources: Vec<_> = parse_list(&text).into_iter().chain(parse_deb822(&text)).collect();
        let _ = mirror_for(&sources, "sid");
    }
}
