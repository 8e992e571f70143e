//! Owners: real ones where ids are mapped, recorded ones where there is one id. What programs see
//! must be the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use mabuild_sandbox::{NODE_XATTR, OWNER_XATTR};

use crate::Test;
use crate::world::{Outcome, Ran, World};

pub const TESTS: &[Test] = &[
    ("programs_see_the_owner_that_they_set", programs_see_the_owner_that_they_set),
    ("owners_are_recorded", owners_are_recorded),
    ("chown_clears_setuid", chown_clears_setuid),
    ("paths_are_those_of_the_program", paths_are_those_of_the_program),
    ("symlinks_keep_their_owner_when_renamed", symlinks_keep_their_owner_when_renamed),
    ("devices_are_recorded", devices_are_recorded),
    ("a_process_can_drop_its_rights", a_process_can_drop_its_rights),
    ("a_setgid_directory_gives_its_group", a_setgid_directory_gives_its_group),
    ("archives_keep_their_owners", archives_keep_their_owners),
];

/// Tells the owner that a changed file has in the layer.
fn owner(world: &World, ran: &Ran, path: &str) -> String {
    if world.is_single() {
        return ran.attribute(path, OWNER_XATTR).unwrap_or_else(|| "0:0".into());
    }
    let meta = fs::symlink_metadata(ran.upper.join(path)).unwrap();
    let outside = if world.kind == "ranges" { (100_000, 200_000) } else { (0, 0) };
    format!("{}:{}", meta.uid() - outside.0, meta.gid() - outside.1)
}

fn programs_see_the_owner_that_they_set(world: &World) -> Outcome {
    let ran = world.sh(
        "stat -c %u:%g data/old; chown 1000:1001 data/old; stat -c %u:%g data/old; chown :7 data/old; \
         ls -ln data/old | { read a b c d e; echo $c:$d; }; stat -L -c %u:%g data/link; \
         chown -h 5:6 data/link; stat -c %u:%g data/link; stat -L -c %u:%g data/link; \
         chown -R 8:9 data; stat -c %u:%g data data/old data/link; chown 0:0 data/old; \
         stat -c %u:%g data/old; stat -c %u:%g /dev/null /proc /proc/self",
    )?;
    let expected = "0:0\n1000:1001\n1000:7\n1000:7\n5:6\n1000:7\n8:9\n8:9\n8:9\n0:0\n";
    // What is the host's belongs to nobody in a map without its root.
    let host = if world.kind == "ranges" { "65534:65534\n" } else { "0:0\n" };
    assert_eq!(ran.output, format!("{expected}{}", host.repeat(3)));
    Ok(())
}

fn owners_are_recorded(world: &World) -> Outcome {
    let ran = world.sh(
        "mkdir a; echo x > a/f; chown 1:2 a; chown 3 a/f; echo y > g; chown 4:4 g; chown 0:0 g; \
         ln -s x s; chown -h 5:6 s; mkfifo p; chown 7:8 p; cp -p a/f a/copy",
    )?;
    assert_eq!(ran.output, "");
    for (path, expected) in [("a", "1:2"), ("a/f", "3:0"), ("g", "0:0"), ("a/copy", "3:0")] {
        assert_eq!(owner(world, &ran, path), expected, "{path}");
    }
    if world.is_single() {
        assert_eq!(ran.attribute("g", OWNER_XATTR), None);
        let side = BTreeMap::from([(b"p".to_vec(), (7, 8)), (b"s".to_vec(), (5, 6))]);
        assert_eq!(*ran.side_owners(), side);
    } else {
        assert_eq!(
            (owner(world, &ran, "s"), owner(world, &ran, "p")),
            ("5:6".into(), "7:8".into())
        );
        assert!(ran.side_owners().is_empty());
    }
    Ok(())
}

fn chown_clears_setuid(world: &World) -> Outcome {
    let ran = world
        .sh("touch f; chmod 6755 f; chown 1:1 f; stat -c %a f; chmod 4755 f; stat -c %a f; \
         touch /nowhere/f; chown 1 /nowhere/f; echo $?")?;
    let lines: Vec<_> = ran.output.lines().collect();
    assert_eq!(lines[..2], ["755", "4755"]);
    assert!(lines.last() == Some(&"1") && ran.output.contains("No such file"), "{}", ran.output);
    assert_eq!(fs::metadata(ran.upper.join("f")).unwrap().permissions().mode() & 0o7777, 0o4755);
    Ok(())
}

fn paths_are_those_of_the_program(world: &World) -> Outcome {
    let ran = world.sh(
        "chown 4:4 /dev/stdout /proc/self/fd/2 || echo no; mkdir -p d/e j/data; ln -s /data/old d/abs; ln -s ../../../../data d/e/up; \
         cd d/e; chown 1:1 ../abs; chown 2:2 up/../data; chown 3:3 .; cd ..; stat -c %u e /data/old /data",
    )?;
    assert_eq!(ran.output, "3\n1\n2\n");
    assert_eq!(owner(world, &ran, "d/e"), "3:3");
    assert_eq!(owner(world, &ran, "data/old"), "1:1");
    Ok(())
}

fn symlinks_keep_their_owner_when_renamed(world: &World) -> Outcome {
    let ran = world.sh(
        "mkdir d; ln -s x d/new; chown -h 5:6 d/new; mv d/new d/final; mv d e; stat -c %u e/final; \
         ln -s x gone; chown -h 1:1 gone; rm gone; ln -s y gone; stat -c %u gone",
    )?;
    assert_eq!(ran.output, "5\n0\n");
    if world.is_single() {
        assert_eq!(*ran.side_owners(), BTreeMap::from([(b"e/final".to_vec(), (5, 6))]));
    }
    Ok(())
}

fn devices_are_recorded(world: &World) -> Outcome {
    let ran = world.sh(
        "mknod -m 640 n c 1 3; mknod b b 259 70000; chown 1:1 b; stat -c '%F %t %T %a %u' n b; \
         test -c n && echo device; mknod n c 1 3; mknod white c 0 0; mknod p p; umask 077; \
         mknod q c 1 5; su -s /bin/sh _apt -c 'mknod /tmp/x c 1 3'",
    )?;
    if world.is_single() {
        let expected =
            "character special file 1 3 640 0\nblock special file 103 11170 644 1\ndevice\n";
        assert!(ran.output.starts_with(expected), "{}", ran.output);
    } else {
        // Real ids are not watched at every stat: programs see what stands for the device.
        let expected = "regular empty file 0 0 640 0\nregular empty file 0 0 644 1\n";
        assert!(ran.output.starts_with(expected), "{}", ran.output);
    }
    assert!(ran.output.contains("mknod: n: File exists"), "{}", ran.output);
    // This number says that a file was removed; and devices are for root.
    assert!(ran.output.contains("mknod: white: Operation not permitted"), "{}", ran.output);
    assert!(ran.output.contains("mknod: /tmp/x: Operation not permitted"), "{}", ran.output);
    assert_eq!(ran.changed(), ["b", "n", "p", "q"]);
    assert_eq!(ran.attribute("n", NODE_XATTR).as_deref(), Some("c 1 3"));
    assert_eq!(ran.attribute("b", NODE_XATTR).as_deref(), Some("b 259 70000"));
    let mode = |path| fs::metadata(ran.upper.join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("n"), mode("q")), (0o640, 0o600));
    assert_eq!((owner(world, &ran, "n"), owner(world, &ran, "b")), ("0:0".into(), "1:1".into()));
    Ok(())
}

fn a_process_can_drop_its_rights(world: &World) -> Outcome {
    let ran = world.sh("mkdir /w; chmod 777 /w; id -u; \
         su -s /bin/sh _apt -c 'id -u; id -g; id -G; touch /w/f; mkdir /w/d; ln -s x /w/s; \
         stat -c %u:%g /w/f /w/d /w/s; chown 0:0 /w/f; sh -c \"id -u; echo x > /w/g\"'; \
         id -u; touch /w/root; stat -c %u:%g /w/g /w/root")?;
    let refused = "chown: /w/f: Operation not permitted\n";
    let expected = format!("0\n42\n43\n43 44\n42:43\n42:43\n42:43\n{refused}42\n0\n42:43\n0:0\n");
    assert_eq!(ran.output, expected);
    for path in ["w/f", "w/d", "w/g"] {
        assert_eq!(owner(world, &ran, path), "42:43", "{path}");
    }
    Ok(())
}

fn a_setgid_directory_gives_its_group(world: &World) -> Outcome {
    let ran = world.sh(
        "mkdir d; chown 0:50 d; chmod 2775 d; echo x > d/f; mkdir d/e; stat -c '%g %a' d/f d/e",
    )?;
    assert_eq!(ran.output, "50 644\n50 2755\n");
    assert_eq!(owner(world, &ran, "d/f"), "0:50");
    assert_eq!(owner(world, &ran, "d/e"), "0:50");
    Ok(())
}

fn archives_keep_their_owners(world: &World) -> Outcome {
    let ran = world.sh(
        "mkdir d; echo x > d/f; chown 11:12 d/f; chown 13:14 d; tar cf a.tar d; rm -r d; tar xf a.tar; \
         stat -c %u:%g d d/f; tar tvf a.tar",
    )?;
    assert!(ran.output.starts_with("13:14\n11:12\n"), "{}", ran.output);
    assert!(ran.output.contains("11/12"), "{}", ran.output);
    Ok(())
}
