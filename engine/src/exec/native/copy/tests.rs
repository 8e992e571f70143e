//! What BuildKit makes of the same instructions was tried with BuildKit; the expectations here
//! are what it gave, without the directories of the image that overlayfs brings along.

use crate::exec::native::testing::{World, entry};

/// An image and a context with everything that copies stumble over.
fn world() -> World {
    let world = World::new();
    world.archive(
        "base.tar",
        vec![
            entry('d', "etc", "", 0o755, (0, 0)),
            entry(
                'f',
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/x\n",
                0o644,
                (0, 0),
            ),
            entry('f', "etc/group", "grp:x:55:\n", 0o644, (0, 0)),
            entry('d', "d", "", 0o700, (7, 8)),
            entry('d', "d/sub", "", 0o711, (9, 9)),
            entry('f', "d/f", "old", 0o644, (0, 0)),
            entry('f', "file", "f", 0o644, (0, 0)),
            entry('d', "usr", "", 0o755, (0, 0)),
            entry('d', "usr/bin", "", 0o755, (0, 0)),
            entry('l', "bin", "usr/bin", 0o777, (0, 0)),
            entry('d', "real", "", 0o755, (0, 0)),
            entry('l', "ld", "/real", 0o777, (0, 0)),
            entry('l', "dangling", "nowhere", 0o777, (0, 0)),
            entry('l', "linkfile", "file", 0o777, (0, 0)),
        ],
    );
    world.write("a", "a", 0o600);
    world.write("b", "b", 0o644);
    world.write("src/f", "new", 0o4755);
    world.write("src/sub/g", "g", 0o644);
    let at = |path: &str| world.context().join(path);
    use std::os::unix::fs::{PermissionsExt, symlink};
    std::fs::set_permissions(at("src/sub"), PermissionsExt::from_mode(0o750)).unwrap();
    symlink("f", at("src/sl")).unwrap();
    std::fs::hard_link(at("src/f"), at("src/hard")).unwrap();
    symlink("src", at("srcl")).unwrap();
    symlink("src/f", at("fl")).unwrap();
    world
}

fn on_base(world: &World, steps: &str) -> Vec<String> {
    world.changes(&format!("FROM scratch\nADD base.tar /\nFROM 0\n{steps}"))
}

/// Compares what instructions change.
fn check(world: &World, cases: &[(&str, &[&str])]) {
    for (steps, want) in cases {
        assert_eq!(on_base(world, steps), *want, "{steps}");
    }
}

#[test]
fn files_land_where_buildkit_puts_them() {
    check(
        &world(),
        &[
            ("COPY a /d", &["f 600 0:0 d/a \"a\""]),
            ("COPY a /x/y", &["d 755 0:0 x", "f 600 0:0 x/y \"a\""]),
            (
                "COPY --chown=5:6 a /x/y/",
                &["d 755 5:6 x", "d 755 5:6 x/y", "f 600 5:6 x/y/a \"a\""],
            ),
            ("COPY a /linkfile", &["f 600 0:0 file \"a\""]),
            ("COPY a /dangling", &["f 600 0:0 nowhere \"a\""]),
            ("COPY a /ld", &["f 600 0:0 real/a \"a\""]),
            ("COPY a /ld/", &["f 600 0:0 real/a \"a\""]),
            ("COPY a /bin/x", &["f 600 0:0 usr/bin/x \"a\""]),
            ("COPY a b /x", &["f 644 0:0 x \"b\""]),
            ("COPY fl /x", &["f 4755 0:0 x \"new\""]),
            ("COPY fl /x/", &["d 755 0:0 x", "f 4755 0:0 x/fl \"new\""]),
            ("COPY f? /x", &["f 4755 0:0 x \"new\""]),
            ("COPY zz* /x/", &[]),
            ("COPY zz* a /x/", &["d 755 0:0 x", "f 600 0:0 x/a \"a\""]),
            ("COPY ../a /x", &["f 600 0:0 x \"a\""]),
            ("COPY --chmod=4755 a /x", &["f 4755 0:0 x \"a\""]),
            ("WORKDIR /w\nCOPY a .", &["d 755 0:0 w", "f 600 0:0 w/a \"a\""]),
            ("WORKDIR /w\nCOPY a q/.", &["d 755 0:0 w", "d 755 0:0 w/q", "f 600 0:0 w/q/a \"a\""]),
            ("WORKDIR /w\nCOPY a s/..", &["d 755 0:0 w", "f 600 0:0 w/a \"a\""]),
        ],
    );
}

#[test]
fn directories_are_merged_and_the_one_that_is_there_stays_as_it_is() {
    let into = |root: &str, owner: &str| -> Vec<String> {
        let line = |text: &str| text.replace('@', root).replace("0:0", owner);
        [
            "f 4755 0:0 @/f \"new\"",
            "h 4755 0:0 @/hard = @/f",
            "l 777 0:0 @/sl -> f",
            "d 750 0:0 @/sub",
            "f 644 0:0 @/sub/g \"g\"",
        ]
        .map(line)
        .to_vec()
    };
    let world = world();
    assert_eq!(on_base(&world, "COPY src /d"), into("d", "0:0"));
    assert_eq!(on_base(&world, "COPY src/ /d/"), into("d", "0:0"));
    assert_eq!(on_base(&world, "COPY srcl /d"), into("d", "0:0"));
    let new = [vec!["d 755 0:0 n".to_owned(), "d 755 0:0 n/m".to_owned()], into("n/m", "0:0")];
    assert_eq!(on_base(&world, "COPY src /n/m"), new.concat());
    let owned = [vec!["d 755 5:6 n".to_owned()], into("n", "5:6")];
    assert_eq!(on_base(&world, "COPY --chown=5:6 src /n"), owned.concat());
    assert_eq!(
        on_base(&world, "COPY --chown=5:6 --chmod=0640 src /d"),
        [
            "f 640 5:6 d/f \"new\"",
            "h 640 5:6 d/hard = d/f",
            "l 777 5:6 d/sl -> f",
            "d 640 5:6 d/sub",
            "f 640 5:6 d/sub/g \"g\"",
        ]
    );
    assert_eq!(
        on_base(&world, "COPY --chmod=u=rwX,go=rX src /n"),
        [
            "d 755 0:0 n",
            "f 755 0:0 n/f \"new\"",
            "h 755 0:0 n/hard = n/f",
            "l 777 0:0 n/sl -> f",
            "d 755 0:0 n/sub",
            "f 644 0:0 n/sub/g \"g\"",
        ]
    );
}

#[test]
fn what_does_not_fit_together_is_refused_or_gives_way() {
    let world = world();
    world.write("onto-file/file/x", "", 0o644);
    world.write("onto-folder/d", "", 0o644);
    world.write("onto-link/ld/y", "", 0o644);
    world.write("links/linkfile", "over", 0o644);
    world.write("links/dangling", "", 0o644);
    for (steps, why) in [
        ("COPY src /file", "/file is in the way"),
        ("COPY src /linkfile", "/file is in the way"),
        ("COPY src /file/x", "/file is in the way"),
        ("COPY a /file/", "/file is in the way"),
        ("COPY onto-file/ /", "/file is no directory"),
        ("COPY onto-folder/ /", "/d is a directory"),
        // No link below the destination is followed.
        ("COPY onto-link/ /", "/ld is no directory"),
        ("COPY nope /x", "`nope` matches no file"),
        ("COPY --chmod=99 a /x", "`99` is no mode"),
        ("ADD base.tar /file", "/file is in the way"),
    ] {
        let lines = on_base(&world, steps).concat();
        assert!(lines.starts_with("error: ") && lines.contains(why), "{steps}: {lines}");
    }
    check(
        &world,
        &[("COPY links/ /", &["f 644 0:0 dangling \"\"", "f 644 0:0 linkfile \"over\""])],
    );
}

#[test]
fn owners_are_looked_up_in_the_image() {
    check(
        &world(),
        &[
            ("COPY --chown=web a /x", &["f 600 33:34 x \"a\""]),
            ("COPY --chown=web:grp a /x", &["f 600 33:55 x \"a\""]),
            ("COPY --chown=33 a /x", &["f 600 33:33 x \"a\""]),
            ("COPY --chown=:grp a /x", &["f 600 0:55 x \"a\""]),
            ("COPY --chown=nobody-knows a /x", &["f 600 0:0 x \"a\""]),
            (
                "USER web\nWORKDIR /w/o\nUSER 44:45\nWORKDIR n",
                &["d 755 33:34 w", "d 755 33:34 w/o", "d 755 44:45 w/o/n"],
            ),
        ],
    );
    let world = world();
    let lines = world.changes("FROM scratch\nCOPY --chown=web a /x").concat();
    assert!(lines.contains("no image below") && lines.contains("`web`"), "{lines}");
}

#[test]
fn linked_copies_know_nothing_of_what_is_below() {
    check(
        &world(),
        &[
            ("COPY --link a /ld", &["f 600 0:0 ld \"a\""]),
            // The link gives way to the directory that is on the way.
            ("COPY --link a /bin/x", &["d 755 0:0 bin", "f 600 0:0 bin/x \"a\""]),
            ("COPY --link b /d/", &["d 755 0:0 d", "f 644 0:0 d/b \"b\""]),
            ("COPY --link --chown=1:2 a /q", &["f 600 1:2 q \"a\""]),
        ],
    );
    let lines = on_base(&world(), "COPY --link --chown=web a /q").concat();
    assert!(lines.contains("numbers"), "{lines}");
}

#[test]
fn inline_files_are_files() {
    check(
        &world(),
        &[
            (
                "COPY --chown=3:4 --chmod=600 <<a <<b /q/",
                &["d 755 3:4 q", "f 600 3:4 q/a \"<<a\"", "f 600 3:4 q/b \"<<b\""],
            ),
            ("COPY <<c /d", &["f 644 0:0 d/c \"<<c\""]),
            ("COPY <<x <<y /xy", &["f 644 0:0 xy \"<<y\""]),
            ("COPY <<x a /xy", &["f 644 0:0 xy \"<<x\""]),
        ],
    );
}

#[test]
fn parents_and_exclusions() {
    let world = world();
    world.write("d/sub/x", "x", 0o644);
    world.write("d/sub/y", "y", 0o644);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &str, mode| {
        let path = world.context().join(path);
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode("d", 0o755);
    mode("d/sub", 0o701);
    check(
        &world,
        &[
            // What only comes along gives its bits to what is there, and its owner to nothing.
            (
                "COPY --parents --chown=1:2 d/sub/x /",
                &["d 755 7:8 d", "d 701 9:9 d/sub", "f 644 1:2 d/sub/x \"x\""],
            ),
            (
                "COPY --parents --chmod=600 d/sub/x /n/",
                &["d 755 0:0 n", "d 600 0:0 n/d", "d 600 0:0 n/d/sub", "f 600 0:0 n/d/sub/x \"x\""],
            ),
            (
                "COPY --parents d/./sub/x /n/",
                &["d 755 0:0 n", "d 701 0:0 n/sub", "f 644 0:0 n/sub/x \"x\""],
            ),
            ("COPY --exclude=y d/sub /n", &["d 755 0:0 n", "f 644 0:0 n/x \"x\""]),
        ],
    );
    let stages =
        |step: &str| world.changes(&format!("FROM scratch\nCOPY d /d\nFROM scratch\n{step}"));
    assert_eq!(
        stages("COPY --from=0 --parents /d/sub/x /n/"),
        ["d 755 0:0 n", "d 755 0:0 n/d", "d 701 0:0 n/d/sub", "f 644 0:0 n/d/sub/x \"x\""]
    );
    assert_eq!(
        stages("COPY --from=0 --parents /d/./sub/* /"),
        ["d 701 0:0 sub", "f 644 0:0 sub/x \"x\"", "f 644 0:0 sub/y \"y\""]
    );
    assert_eq!(
        stages("COPY --from=0 --exclude=**/y /d /n"),
        ["d 755 0:0 n", "d 701 0:0 n/sub", "f 644 0:0 n/sub/x \"x\""]
    );
    assert_eq!(
        stages("COPY --from=0 --exclude=* --exclude=!sub/x /d /n"),
        ["d 755 0:0 n", "d 701 0:0 n/sub", "f 644 0:0 n/sub/x \"x\""]
    );
    assert!(stages("COPY --from=0 --parents /d/none /n/").concat().contains("`/d/none` is not in"));
}

#[test]
fn files_of_images_keep_what_they_are() {
    let world = world();
    let mut capable = entry('f', "cap", "c", 0o755, (1, 2));
    capable.xattrs.insert(b"security.capability".to_vec(), b"\x01\0\0\x02".to_vec());
    // Of attributes BuildKit writes no others.
    capable.xattrs.insert(b"user.note".to_vec(), b"n".to_vec());
    world.archive(
        "odd.tar",
        vec![
            capable,
            entry('d', "dir", "", 0o1777, (3, 4)),
            entry('f', "dir/one", "1", 0o4711, (5, 6)),
            entry('h', "dir/two", "dir/one", 0, (0, 0)),
            entry('l', "dir/l", "/dir/one", 0o777, (7, 8)),
            entry('l', "dir/out", "../../..", 0o777, (7, 8)),
            entry('l', "to", "dir", 0o777, (0, 0)),
            entry('p', "pipe", "", 0o600, (1, 1)),
            entry('c', "null", "", 0o666, (0, 0)),
        ],
    );
    let copy = |step: &str| {
        world.changes(&format!("FROM scratch\nADD odd.tar /\nFROM scratch\nCOPY --from=0 {step}"))
    };
    let dir = |root: &str| {
        [
            "l 777 7:8 @/l -> /dir/one",
            "f 4711 5:6 @/one \"1\"",
            "l 777 7:8 @/out -> ../../..",
            "h 4711 5:6 @/two = @/one",
        ]
        .map(|line| line.replace('@', root))
    };
    assert_eq!(
        copy("/ /n/"),
        [
            vec![
                "d 755 0:0 n".to_owned(),
                "f 755 1:2 n/cap \"c\" security.capability".to_owned(),
                "d 1777 3:4 n/dir".to_owned()
            ],
            dir("n/dir").to_vec(),
            vec![
                "c 666 0:0 n/null (1, 3)".to_owned(),
                "p 600 1:1 n/pipe".to_owned(),
                "l 777 0:0 n/to -> dir".to_owned()
            ]
        ]
        .concat()
    );
    assert_eq!(copy("/to /n"), [&["d 755 0:0 n".to_owned()][..], &dir("n")].concat());
    assert_eq!(copy("/to/one /n"), ["f 4711 5:6 n \"1\""]);
    assert_eq!(copy("/dir/l /n/"), ["d 755 0:0 n", "f 4711 5:6 n/l \"1\""]);
    assert_eq!(
        copy("/dir/one /dir/two /n/"),
        ["d 755 0:0 n", "f 4711 5:6 n/one \"1\"", "f 4711 5:6 n/two \"1\""]
    );
    assert_eq!(
        copy("/dir/[ot][nw]* /n/"),
        ["d 755 0:0 n", "f 4711 5:6 n/one \"1\"", "f 4711 5:6 n/two \"1\""]
    );
    assert_eq!(copy("--chown=9 --chmod=700 /cap /n"), ["f 700 9:9 n \"c\" security.capability"]);
    assert_eq!(
        copy("/dir/out/pipe /null /n/"),
        ["d 755 0:0 n", "c 666 0:0 n/null (1, 3)", "p 600 1:1 n/pipe"]
    );
    assert_eq!(copy("../cap /n"), ["f 755 1:2 n \"c\" security.capability"]);
    assert_eq!(copy("/no* /n"), [""; 0]);
    assert!(copy("/none /n").concat().contains("`/none` is not in the image"));
}

#[test]
fn names_that_are_no_text_are_copied() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let name = std::ffi::OsStr::from_bytes(b"l\xe4tin");
    std::fs::write(world.context().join(name), "x").unwrap();
    let spec = world.spec("FROM scratch\nCOPY . /a/\nCOPY l?tin /b/", "linux/amd64").unwrap();
    let view = world.native.view(&world.layers(&spec).unwrap()).unwrap();
    for path in [b"a/l\xe4tin", b"b/l\xe4tin"] {
        assert_eq!(view.lookup(path).unwrap().size, 1);
    }
}

#[test]
fn a_known_layer_is_found_without_reading_anything() {
    let world = world();
    let text = "FROM scratch\nADD base.tar /\nFROM scratch\nCOPY src /one\nCOPY --from=0 /d /two\n\
                FROM 0\nCOPY --chown=web --from=1 /one/ /x/\nCOPY a /y/\nCOPY --from=0 /etc /z";
    let spec = world.spec(text, "linux/amd64").unwrap();
    let layers = world.layers(&spec).unwrap();
    let stage = |stages: usize| {
        let stages = spec.stages[..stages].to_vec();
        world.layers(&crate::spec::Spec { stages, ..spec.clone() }).unwrap()
    };
    let all = [stage(1), stage(2), layers.clone()].concat();
    world.lose_contents(
        &all.into_iter()
            .map(|l| (l.diff_id, l))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_values()
            .collect::<Vec<_>>(),
    );
    let digests = |layers: &[crate::exec::native::layers::Layer]| {
        layers.iter().map(|l| l.diff_id).collect::<Vec<_>>()
    };
    assert_eq!(digests(&world.layers(&spec).unwrap()), digests(&layers));
    // Something else below: the layers that are copied are the same, and nothing was read.
    world.archive(
        "other.tar",
        vec![
            entry('d', "etc", "", 0o755, (0, 0)),
            entry(
                'f',
                "etc/passwd",
                "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/x\n",
                0o644,
                (0, 0),
            ),
            entry('f', "new", "n", 0o644, (0, 0)),
        ],
    );
    let moved = text.replace("FROM 0\nCOPY --chown", "FROM scratch\nADD other.tar /\nCOPY --chown");
    let moved = world.layers(&world.spec(&moved, "linux/amd64").unwrap()).unwrap();
    assert_ne!(moved[0].diff_id, layers[0].diff_id);
    assert_eq!(digests(&moved[1..]), digests(&layers[1..]));
}

#[test]
fn a_moved_base_costs_little() {
    use crate::exec::{Executor, Outcome};
    use crate::spec::{ParentDigest, Source};
    let world = world();
    let execute = |spec: &crate::spec::BuildSpec| match world.native.execute(spec, &world.knobs()) {
        Outcome::Done(built) => built,
        other => panic!("{other:?}"),
    };
    let base = |name: &str| {
        let entries = (0..5000).map(|n| entry('f', &format!("lib/{name}{n}"), name, 0o644, (0, 0)));
        world.archive("big.tar", entries.collect());
        let text = "FROM scratch\nADD base.tar /\nADD big.tar /usr";
        execute(&world.spec(text, "linux/amd64").unwrap()).digest
    };
    let bases = [base("one"), base("two")];
    let specs: Vec<crate::spec::BuildSpec> = (0..100)
        .map(|n| {
            let text = format!(
                "FROM scratch\nCOPY src /opt/{n}\nCOPY --chown=web a /srv/{n}/\nWORKDIR /w/{n}"
            );
            world.spec(&text, "linux/amd64").unwrap()
        })
        .collect();
    let all = |base: &std::sync::Arc<str>| {
        let start = std::time::Instant::now();
        for spec in &specs {
            let mut spec = spec.clone();
            spec.stages[0].source = Source::Parent(ParentDigest(base.clone()));
            execute(&spec);
        }
        start.elapsed()
    };
    let first = all(&bases[0]);
    let moved = all(&bases[1]);
    println!("built in {first:?}, on the moved base in {moved:?}");
    assert!(moved.as_secs() < 20, "{moved:?}");
}

mod archives;

#[test]
fn a_file_that_changes_meanwhile_is_no_result() {
    let world = world();
    let spec = world.spec("FROM scratch\nCOPY a /a", "linux/amd64").unwrap();
    // As long as it was, and with another content.
    world.write("a", "z", 0o600);
    let error = world.layers(&spec).map(|_| ()).unwrap_err();
    assert!(error.contains("/a changed while it was copied"), "{error}");
    // Nothing of it is remembered.
    world.write("a", "a", 0o600);
    assert!(world.layers(&spec).is_ok());
}
