use super::super::files::list;
use super::super::package::Apk;
use super::super::testrepo::{Recipe, Signer};
use super::*;

fn installed(recipe: &Recipe) -> InstalledPackage {
    let built = recipe.build(&Signer::shared("one"));
    let apk = Apk::open(&built.bytes[..], &built.package).unwrap();
    let (control, scripts, triggers) =
        (apk.package.clone(), apk.scripts.clone(), apk.triggers.clone());
    let entries = list(&mut apk.data()).unwrap();
    InstalledPackage::new(built.package, &control, &entries, scripts, triggers)
}

fn recipe(name: &str, path: &str) -> Recipe {
    Recipe::new(name, "1").file(path, 0o755, name.as_bytes())
}

fn paths(database: &Database, name: &str) -> Vec<String> {
    database.get(name).unwrap().paths().collect()
}

#[test]
fn fields_are_written_in_the_order_of_apk() {
    let recipe = Recipe::new("a", "1-r0")
        .depends("b")
        .provides("cmd:a=1-r0")
        .install_if("c d")
        .replaces("e f<2", 7)
        .provider_priority(9)
        .folder("var/tmp", 0o1777, (0, 5))
        .file("etc/a", 0o600, b"x")
        .file("etc/b", 0o644, b"y")
        .file("top", 0o644, b"")
        .xattr("etc/b", "user.a", "1")
        .triggers("/etc /usr/*")
        .script("trigger", "#!/bin/sh\n");
    let mut database = Database::new();
    database.install(installed(&recipe)).unwrap();
    let text = database.installed_text();
    let letters: String = text.lines().filter_map(|line| line.chars().next()).collect();
    assert_eq!(letters, "CPVASITULomtkDpirqFRaZRaZFRZFFM");
    assert!(text.contains("\nr:e f<2\nq:7\nF:etc\nR:a\na:0:0:600\nZ:Q1"), "{text}");
    assert!(text.contains("\nR:b\na:0:0:644:Q1"), "{text}");
    assert!(text.contains("\nF:\nR:top\nZ:Q1"), "{text}");
    assert!(text.ends_with("F:var\nF:var/tmp\nM:0:5:1777\n\n"), "{text}");
    let checksum = database.packages()[0].package.checksum;
    assert_eq!(database.triggers_text(), format!("{checksum} /etc /usr/*\n"));

    let mut again = Database::read(&text).unwrap();
    again.read_scripts(&super::super::testrepo::gzip(&database.scripts_tar())).unwrap();
    again.read_triggers(&database.triggers_text());
    assert_eq!(again, database);
}

#[test]
fn the_files_of_a_root_are_complete() {
    let keys = Signer::shared("one").keys();
    let setup = Setup {
        arch: "x86_64".into(),
        world: read_world("b a>1\n  c@edge\nb\n").unwrap(),
        repositories: vec!["https://example.org/main".into(), "@edge https://example.org/e".into()],
        keys,
    };
    let files = Database::new().files(&setup);
    let find = |path: &str| {
        let file = files.iter().find(|file| file.path == path).unwrap();
        (String::from_utf8(file.bytes.clone()).unwrap(), file.mode)
    };
    assert_eq!(find("etc/apk/world"), ("a>1\nb\nc@edge\n".into(), 0o644));
    assert_eq!(find("etc/apk/arch"), ("x86_64\n".into(), 0o644));
    assert_eq!(
        find("etc/apk/repositories").0,
        "https://example.org/main\n@edge https://example.org/e\n"
    );
    assert_eq!(find("lib/apk/db/lock"), (String::new(), 0o600));
    assert_eq!(find("lib/apk/db/scripts.tar").0.len(), 1024);
    assert!(find("etc/apk/keys/one.rsa.pub").0.contains("BEGIN PUBLIC KEY"));
    assert_eq!(files.len(), 8);
}

#[test]
fn replaces_decides_whose_a_common_file_is() {
    let plain = recipe("a", "usr/f");
    let conflict = |a: &Recipe, b: &Recipe| {
        let mut database = Database::new();
        database.install(installed(a)).unwrap();
        let outcome = database.install(installed(b));
        (outcome, database)
    };
    let (outcome, database) = conflict(&plain, &recipe("b", "usr/f"));
    let error = outcome.unwrap_err();
    assert_eq!((error.owner.as_str(), error.new.as_str()), ("a", "b"));
    assert!(error.to_string().contains("b and a both have the file /usr/f"), "{error}");
    assert_eq!(database.packages().len(), 1);

    for newer_wins in [
        recipe("b", "usr/f").replaces("a", 0),
        recipe("b", "usr/f").replaces("a<2", 3),
        recipe("b", "usr/f").origin("a"),
    ] {
        let (outcome, database) = conflict(&plain, &newer_wins);
        assert_eq!(outcome.unwrap(), FileChanges::default());
        assert_eq!(paths(&database, "a"), [""; 0]);
        assert_eq!(paths(&database, "b"), ["usr/f"]);
    }
    let older = recipe("a", "usr/f").replaces("b", 5);
    for b in [recipe("b", "usr/f"), recipe("b", "usr/f").replaces("a", 4)] {
        let (outcome, database) = conflict(&older, &b);
        assert_eq!(outcome.unwrap().kept, BTreeSet::from(["usr/f".to_owned()]));
        assert_eq!(paths(&database, "a"), ["usr/f"]);
        assert_eq!(paths(&database, "b"), [""; 0]);
    }
    let (outcome, _) = conflict(&plain, &recipe("b", "usr/f").replaces("a>1", 0));
    assert!(outcome.is_err(), "another version is replaced");
}

#[test]
fn an_upgrade_takes_the_place_and_tells_what_is_left_over() {
    let mut database = Database::new();
    let old = recipe("a", "usr/f").file("usr/old", 0o644, b"");
    database.install(installed(&old)).unwrap();
    database.install(installed(&recipe("b", "usr/b"))).unwrap();
    let new = Recipe::new("a", "2").file("usr/f", 0o755, b"2").file("usr/new", 0o644, b"");
    let changes = database.install(installed(&new)).unwrap();
    assert_eq!(changes.removed, BTreeSet::from(["usr/old".to_owned()]));
    assert_eq!(database.packages().len(), 2);
    assert_eq!(database.packages()[0].package.version, "2");
    // What was given up is free for others.
    database.install(installed(&recipe("c", "usr/old"))).unwrap();
    assert!(database.install(installed(&recipe("d", "usr/new"))).is_err());
}

#[test]
fn damaged_databases_are_refused_with_their_line() {
    for (text, want) in [
        ("P:a\nV:1\nR:f\n", "line 3 of lib/apk/db/installed: the field R: stands before"),
        ("P:a\nV:1\nM:0:0:755\n", "stands before"),
        ("P:a\nV:1\nF:usr\nZ:Q1AAAA\n", "stands before"),
        ("P:a\nV:1\nF:usr\nR:f\nZ:Q1AAAA\n", "line 5 of lib/apk/db/installed: Z: is no SHA-1"),
        ("P:a\nV:1\nF:usr\nM:0:0:99999\n", "no owners and mode"),
        ("P:a\nV:1\nF:usr\nM:0:0\n", "no owners and mode"),
        ("P:a\nV:1\nF:../etc\n", "leaves the root"),
        ("P:a\n\n", "line 2 of lib/apk/db/installed: the package before it"),
        ("P:a\nV:1\nY:x\n", "newer mabuild"),
        ("junk\n", "no field"),
    ] {
        let error = Database::read(text).unwrap_err().to_string();
        assert!(error.contains(want), "{text:?}: {error}");
    }
    assert!(Database::new().read_scripts(&[0x33; 600]).is_err());
    let mut none = Database::new();
    none.read_triggers("junk\n\nQ1AAAA /x\n");
    assert_eq!(none, Database::new());
}
