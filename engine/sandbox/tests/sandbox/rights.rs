//! What programs may become and give.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mabuild_sandbox::RunSpec;

use crate::Test;
use crate::probe::CAPABILITY;
use crate::world::{Outcome, World};

pub const TESTS: &[Test] = &[
    ("setuid_programs_work", setuid_programs_work),
    ("a_user_becomes_root_by_su", a_user_becomes_root_by_su),
    ("nothing_of_a_mount_is_setuid", nothing_of_a_mount_is_setuid),
    ("capabilities_of_files_are_kept", capabilities_of_files_are_kept),
    ("capabilities_of_files_work", capabilities_of_files_work),
];

/// What CapEff is for a program with the default set, and with none.
const DEFAULT: &str = "00000000a80425fb";
const NONE: &str = "0000000000000000";

fn as_user(mut spec: RunSpec) -> RunSpec {
    (spec.uid, spec.gid) = (1000, 1000);
    spec
}

/// Copies the probe into the root, where it may have rights of its own.
fn install(world: &World, script: &str) -> RunSpec {
    let mut spec = world.script(&format!("cp /bin/probe /data/own; {script}"));
    spec.mounts = world.probe(&[]).mounts;
    spec
}

fn own_probe(world: &World, args: &[&str]) -> RunSpec {
    let mut spec = as_user(world.probe(args));
    spec.argv[0] = "/data/own".into();
    spec
}

fn setuid_programs_work(world: &World) -> Outcome {
    let ran =
        world.run(vec![install(world, "chmod 4755 /data/own"), own_probe(world, &["rights"])])?;
    let expected = match world.is_single() {
        // There is no other id to become.
        true => format!("1000 1000 {NONE}\n"),
        false => format!("1000 0 {DEFAULT}\n"),
    };
    assert_eq!(ran.output, expected);
    Ok(())
}

fn a_user_becomes_root_by_su(world: &World) -> Outcome {
    let prepare = world.script(
        "cp /bin/busybox /bin/own-busybox; chmod 4755 /bin/own-busybox; rm /bin/su; \
         ln -s own-busybox /bin/su; echo 'root::0:0::/:/bin/sh' > /etc/passwd; \
         echo 'user:x:1000:1000::/:/bin/sh' >> /etc/passwd",
    );
    let su = as_user(world.script("id -u; /bin/su -s /bin/sh root -c 'id -u; echo x > /etc/x'"));
    let ran = world.run(vec![prepare, su])?;
    if world.is_single() {
        assert!(
            ran.output.starts_with("1000\n") && !ran.output.contains("\n0\n"),
            "{}",
            ran.output
        );
    } else {
        assert_eq!(ran.output, "1000\n0\n");
    }
    Ok(())
}

fn nothing_of_a_mount_is_setuid(world: &World) -> Outcome {
    world.lower()?;
    let dir = world.dir();
    let program = dir.join("own");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).unwrap();
    let mut spec = own_probe(world, &["rights"]);
    spec.mounts.push(mabuild_sandbox::Mount {
        source: mabuild_sandbox::Source::Path(program),
        target: "/data/own".into(),
        read_only: false,
    });
    assert_eq!(world.run(vec![spec])?.output, format!("1000 1000 {NONE}\n"));
    Ok(())
}

fn capabilities_of_files_are_kept(world: &World) -> Outcome {
    let show = |file: &str| world.probe(&["getcap", file]);
    let ran = world.run(vec![
        install(world, "touch /data/plain"),
        world.probe(&["setcap", "/data/own"]),
        world.probe(&["setcap", "/data/old"]),
        show("/data/own"),
        show("/data/plain"),
        as_user(world.probe(&["setcap", "/data/plain"])),
        world.script("chown 5:5 /data/old"),
        show("/data/old"),
    ])?;
    let refused = "Operation not permitted (os error 1)";
    let none = "No data available (os error 61)";
    assert_eq!(ran.output, format!("true\ntrue\ntrue\n{none}\n{refused}\n{none}\n"));
    // As the helper sees it, who packs the layer.
    let path = ran.upper.join("data/own");
    let value = world.call("capability", path.to_str().unwrap().as_bytes()).unwrap();
    assert_eq!(value, CAPABILITY);
    Ok(())
}

fn capabilities_of_files_work(world: &World) -> Outcome {
    let ran = world.run(vec![
        install(world, "true"),
        world.probe(&["setcap", "/data/own"]),
        own_probe(world, &["rights"]),
    ])?;
    assert_eq!(ran.output, "true\n1000 1000 0000000000002000\n");
    Ok(())
}
