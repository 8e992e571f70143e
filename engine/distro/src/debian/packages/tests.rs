use super::*;
use proptest::prelude::*;

fn stanza(name: &str, version: &str, more: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Jos\u{e9} <j@x>\n{more}\
         Description: a: b\n . more\nFilename: pool/main/{name}_{version}.deb\nSize: 42\nSHA256: {}\n\n",
        "0f".repeat(32)
    )
}

fn problem(text: &str) -> String {
    PackageIndex::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn fields_are_kept_as_written() {
    let more = "Essential: yes\nPriority: required\nSection: libs\nSource: glibc (2.36-1)\n\
                Installed-Size: 12987\nDepends: libgcc-s1, libcrypt1 (>= 1:4.4.10)\n\
                Pre-Depends: a\nRecommends: b\nProvides: c (= 1)\nConflicts: d\nBreaks: e\n\
                Replaces: f\nMulti-Arch: same\n";
    let text = stanza("libc6", "2.36-9+deb12u4", more) + &stanza("zsh", "5.9", "");
    let index = PackageIndex::parse(text.as_bytes()).unwrap();
    assert_eq!(index.len(), 2);
    let package = index.highest("libc6").unwrap();
    let want = Package {
        name: "libc6",
        version: "2.36-9+deb12u4",
        architecture: "amd64",
        filename: "pool/main/libc6_2.36-9+deb12u4.deb",
        size: 42,
        sha256: &"0f".repeat(32),
        installed_size: 12987,
        depends: "libgcc-s1, libcrypt1 (>= 1:4.4.10)",
        pre_depends: "a",
        recommends: "b",
        provides: "c (= 1)",
        conflicts: "d",
        breaks: "e",
        replaces: "f",
        essential: true,
        priority: "required",
        multi_arch: "same",
        section: "libs",
        source: "glibc (2.36-1)",
        archive: 0,
    };
    assert_eq!(package, want);
    let plain = index.highest("zsh").unwrap();
    assert_eq!((plain.depends, plain.essential, plain.installed_size), ("", false, 0));
    assert!(index.highest("zs").is_none() && index.highest("").is_none());
}

#[test]
fn the_highest_version_over_all_archives_wins() {
    let mut index = PackageIndex::default();
    assert!(index.is_empty());
    let main = stanza("b", "1.9", "") + &stanza("b", "1.10", "") + &stanza("a", "1", "");
    assert_eq!(index.add(main.as_bytes()), Ok(0));
    assert_eq!(index.add(stanza("b", "1.10+deb12u1", "").as_bytes()), Ok(1));
    let best = index.highest("b").unwrap();
    assert_eq!((best.version, best.archive), ("1.10+deb12u1", 1));
    assert_eq!(index.versions("b").count(), 3);
    assert_eq!(index.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(index.iter().map(|p| p.name).collect::<Vec<_>>(), ["b", "b", "a", "b"]);
}

#[test]
fn providers_are_found_by_each_name_they_provide() {
    let mut index = PackageIndex::default();
    let main = stanza("b", "1", "Provides: v (= 1),\n w:any , x\n") + &stanza("v", "1", "");
    index.add(main.as_bytes()).unwrap();
    index.add(stanza("a", "2", "Provides: w,,v\n").as_bytes()).unwrap();
    let bad = stanza("c", "1", "Provides: w\n") + "Package: d\n";
    assert!(index.add(bad.as_bytes()).is_err());
    let names = |name: &str| index.providers(name).map(|p| p.name).collect::<Vec<_>>();
    assert_eq!((names("v"), names("w"), names("x")), (vec!["b", "a"], vec!["b", "a"], vec!["b"]));
    assert!(names("").is_empty() && names("y").is_empty());
}

#[test]
fn a_damaged_file_leaves_the_index_as_it_was() {
    let mut index = PackageIndex::parse(stanza("a", "1", "").as_bytes()).unwrap();
    assert!(index.add((stanza("b", "1", "") + "Package: c\n").as_bytes()).is_err());
    assert_eq!((index.len(), index.names().count()), (1, 1));
    assert_eq!(index.add(stanza("b", "2", "").as_bytes()), Ok(1));
    assert_eq!(index.highest("b").unwrap().version, "2");
}

#[test]
fn damaged_stanzas_are_named() {
    let good = stanza("a", "1", "");
    let bad = |from: &str, to: &str| {
        let text = stanza("bad", "1", "").replacen(from, to, 1);
        problem(&format!("{good}{text}"))
    };
    for (from, to, want) in [
        (
            "Version: 1\n",
            "",
            "stanza 2 of the package index (package bad): field Version is missing",
        ),
        ("Size: 42\n", "", "field Size is missing"),
        ("Size: 42", "Size: -1", "Size is not a number"),
        ("Size: 42", "Size: 99999999999999999999", "too large"),
        ("SHA256: 0f", "SHA256: xf", "SHA256 is not"),
        ("SHA256: 0f", "SHA256: ", "SHA256 is not"),
        ("Filename: ", "Filename: ../", "Filename leaves"),
        ("Filename: ", "Filename: /", "Filename leaves"),
        ("Filename: pool", "Filename: po?ol", "Filename leaves"),
        ("Filename: pool", "Filename: po\n ol", "Filename leaves"),
        ("Package: bad", "Package: ../bad", "not a package name"),
        ("Version: 1", "Version: 1/2", "not a version"),
        ("Architecture: amd64", "Architecture: a/b", "not an architecture"),
        ("Version: 1\n", "Version: 1\nVersion: 2\n", "Version is there twice"),
        ("Version: 1\n", "nonsense\n", "neither a field"),
        ("Package: bad\n", "", "of unknown name"),
    ] {
        let error = bad(from, to);
        assert!(error.contains(want), "{error}");
    }
    let mut bytes = stanza("a", "1", "Depends: x").into_bytes();
    let at = bytes.windows(9).position(|w| w == b"Depends: ").unwrap() + 9;
    bytes[at] = 0xff;
    let error = PackageIndex::parse(&bytes).unwrap_err().to_string();
    assert!(error.contains("(package a): field Depends is not UTF-8"), "{error}");
}

#[test]
fn a_huge_line_is_no_trouble() {
    let huge = format!("Provides: {}\n", "x".repeat(8 << 20));
    let index = PackageIndex::parse(stanza("a", "1", &huge).as_bytes()).unwrap();
    assert_eq!(index.highest("a").unwrap().provides.len(), 8 << 20);
    let error = problem(&format!("Package: {}\n", "y".repeat(1 << 20)));
    assert!(error.len() < 300, "{}", error.len());
}

proptest! {
    #[test]
    fn any_text_is_handled(text in "([A-Z][a-z]{0,3}: .{0,9}\n|\n| x\n|Size: [0-9]\n){0,12}") {
        let _ = PackageIndex::parse(text.as_bytes());
    }

    #[test]
    fn a_damaged_byte_is_handled(at in 0usize..250, byte: u8) {
        let mut text = stanza("a", "1", "").into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(index) = PackageIndex::parse(&text) {
            prop_assert!(index.iter().all(|p| !p.filename.contains("..") && p.sha256.len() == 64));
        }
    }
}
