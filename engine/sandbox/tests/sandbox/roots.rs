//! Calls, overlays, mounts, results.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use mabuild_sandbox::{CallError, Exit, Mount, Network, RunSpec, Source};

use crate::Test;
use crate::world::{Outcome, World};

pub const TESTS: &[Test] = &[
    ("the_handler_answers", the_handler_answers),
    ("output_arrives", output_arrives),
    ("a_dying_helper_is_an_error", a_dying_helper_is_an_error),
    ("the_machine_is_probed", the_machine_is_probed),
    ("exit_codes_and_signals", exit_codes_and_signals),
    ("what_cannot_run_is_explained", what_cannot_run_is_explained),
    ("the_environment_is_exact", the_environment_is_exact),
    ("changes_land_in_upper_and_nothing_else", changes_land_in_upper_and_nothing_else),
    ("many_layers", many_layers),
    ("no_layer_at_all", no_layer_at_all),
    ("mounts_appear_and_go", mounts_appear_and_go),
    ("hostile_symlinks_stay_inside", hostile_symlinks_stay_inside),
    ("two_runs_follow_each_other", two_runs_follow_each_other),
    ("trees_of_mapped_ids_are_removed", trees_of_mapped_ids_are_removed),
    ("a_wrong_request_is_an_error", a_wrong_request_is_an_error),
    ("usage_is_measured", usage_is_measured),
    ("a_missing_working_directory_is_made", a_missing_working_directory_is_made),
];

fn the_handler_answers(world: &World) -> Outcome {
    let big = vec![3; 3_000_000];
    assert_eq!(world.call("echo", &big).unwrap(), big);
    assert!(
        matches!(world.call("fail", &[]), Err(CallError::Handler(why)) if why == "as it should")
    );
    Ok(())
}

fn output_arrives(world: &World) -> Outcome {
    let printed = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let copy = printed.clone();
    mabuild_sandbox::call(mabuild_sandbox::Call {
        op: "print",
        request: &[],
        id_map: world.id_map.clone(),
        output: Some(Box::new(move |b| copy.lock().unwrap().push_str(&String::from_utf8_lossy(b)))),
        cancel: mabuild_sandbox::CancelHandle::new(),
        deadline: None,
    })
    .unwrap();
    assert_eq!(*printed.lock().unwrap(), "on stdout\non stderr\n");
    Ok(())
}

fn a_dying_helper_is_an_error(world: &World) -> Outcome {
    assert!(matches!(world.call("die", &[]), Err(CallError::Killed(6))));
    Ok(())
}

fn the_machine_is_probed(world: &World) -> Outcome {
    let host = mabuild_sandbox::probe();
    println!("     {host:?}");
    assert_eq!(host.single, Ok(()));
    assert_eq!(host.full.is_ok(), !world.is_single());
    assert!(host.id_map.is_some() && host.kernel_version >= (5, 0));
    Ok(())
}

fn exit_codes_and_signals(world: &World) -> Outcome {
    assert_eq!(world.sh("exit 7")?.exit(), Exit::Code(7));
    assert_eq!(world.sh("kill -9 $$")?.exit(), Exit::Signal(9));
    assert_eq!(world.sh("kill -PIPE $$")?.exit(), Exit::Signal(13));
    Ok(())
}

fn what_cannot_run_is_explained(world: &World) -> Outcome {
    let lower = world.dir();
    let file = |name: &str, content: &[u8], mode| {
        fs::write(lower.join(name), content).unwrap();
        fs::set_permissions(lower.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    file("script", b"#!/no/such -x\n", 0o755);
    file("closed", b"#!/bin/sh\n", 0o644);
    file("text", b"echo hi\n", 0o755);
    let mut foreign = vec![0; 128];
    foreign[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    foreign[16] = 2;
    foreign[18] = 22;
    file("foreign", &foreign, 0o755);
    for (program, code, words) in [
        ("nothing", 127, "nothing: not found in PATH"),
        ("/no/nothing", 127, "/no/nothing: not found"),
        ("/script", 127, "/no/such"),
        ("/closed", 126, "not executable"),
        ("/text", 126, "exec format error"),
        ("/foreign", 126, "s390x"),
        ("/etc", 126, "is a directory"),
    ] {
        let mut request = world.request(vec![RunSpec::new("/", [program])])?;
        request.lowers.insert(0, lower.clone());
        request.specs[0].root = request.target.clone();
        let ran = world.run_request(&request);
        assert_eq!(ran.exit(), Exit::Code(code), "{program}: {}", ran.output);
        assert!(ran.output.contains(words), "{program}: {}", ran.output);
    }
    let mut spec = world.script("true");
    spec.cwd = "/nowhere".into();
    let ran = world.run(vec![spec])?;
    assert_eq!(ran.exit(), Exit::Code(126));
    assert!(ran.output.contains("/nowhere"), "{}", ran.output);
    Ok(())
}

fn the_environment_is_exact(world: &World) -> Outcome {
    let mut spec = RunSpec::new("/", ["env"]);
    spec.env = vec![("PATH".into(), "/bin".into()), ("B".into(), "ü =x".into())];
    assert_eq!(world.run(vec![spec])?.output, "PATH=/bin\nB=ü =x\n");
    let ran = world.sh("umask; ls /proc/self/fd; cat /proc/1/environ; ulimit -c; pwd; cat")?;
    let lines: Vec<_> = ran.output.lines().collect();
    // The directory that ls itself reads is descriptor 3; /proc/1 is closed even to root.
    assert_eq!(lines[..5], ["0022", "0", "1", "2", "3"], "{}", ran.output);
    assert!(lines[5].contains("Permission denied"), "{}", ran.output);
    assert_eq!(lines[6..], ["0", "/"]);
    Ok(())
}

fn changes_land_in_upper_and_nothing_else(world: &World) -> Outcome {
    let mut spec =
        world.script("echo new > /data/new; rm /data/old; cat /etc/resolv.conf /etc/hosts");
    spec.resolv_conf = Some(b"nameserver 192.0.2.1\n".to_vec());
    spec.hosts = Some(b"192.0.2.2 x\n".to_vec());
    spec.network = Network::None;
    let before = fs::metadata(world.lower()?).unwrap();
    let ran = world.run(vec![spec])?;
    assert_eq!(ran.output, "nameserver 192.0.2.1\n192.0.2.2 x\n");
    // "etc" was copied up to make the mount points in it, and is as it was.
    assert_eq!(ran.changed(), ["data", "data/new", "data/old", "etc"]);
    let etc = |root: PathBuf| {
        let meta = fs::metadata(root.join("etc")).unwrap();
        (meta.mtime(), meta.mtime_nsec(), meta.mode())
    };
    assert_eq!(etc(ran.upper.clone()), etc(world.lower()?));
    let gone = fs::symlink_metadata(ran.upper.join("data/old")).unwrap();
    assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0));
    let after = fs::metadata(world.lower()?).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    assert_eq!(fs::read(world.lower()?.join("data/old")).unwrap(), b"old\n");
    Ok(())
}

fn many_layers(world: &World) -> Outcome {
    let mut request = world.request(vec![world.script("cat /which; ls / | wc -l")])?;
    let base = world.dir();
    for index in 0..150 {
        let layer = base.join(format!("layer-{index}-{}", "long-name,with:odd\\signs".repeat(5)));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join("which"), format!("{index}\n")).unwrap();
        fs::write(layer.join(format!("file-{index}")), "").unwrap();
        request.lowers.insert(index, layer);
    }
    let ran = world.run_request(&request);
    // Also bin, etc, tmp, data, which, and the mount points proc, dev and sys.
    assert_eq!(ran.output, "0\n158\n");
    assert_eq!(ran.changed(), Vec::<String>::new());
    let error = world.try_request(&request).0.unwrap_err().to_string();
    assert!(error.contains("was used by an overlay before"), "{error}");
    request.lowers = vec![request.lowers[0].clone(); 501];
    assert!(
        matches!(world.try_request(&request).0, Err(CallError::Handler(why)) if why.contains("500"))
    );
    Ok(())
}

fn no_layer_at_all(world: &World) -> Outcome {
    let mut request = world.request(vec![world.script("echo x > /file; id -u")])?;
    request.lowers.clear();
    fs::create_dir(request.upper.join("bin")).unwrap();
    fs::copy(world.lower()?.join("bin/busybox"), request.upper.join("bin/busybox")).unwrap();
    symlink("busybox", request.upper.join("bin/sh")).unwrap();
    symlink("busybox", request.upper.join("bin/id")).unwrap();
    let ran = world.run_request(&request);
    assert_eq!(ran.output, "0\n");
    assert_eq!(ran.changed(), ["bin", "bin/busybox", "bin/id", "bin/sh", "file"]);
    Ok(())
}

fn mounts_appear_and_go(world: &World) -> Outcome {
    let dir = world.dir();
    fs::write(dir.join("inside"), "from host\n").unwrap();
    let mount =
        |source, target: &str, read_only| Mount { source, target: target.into(), read_only };
    let secret =
        |bytes: &[u8]| Source::Content { bytes: bytes.to_vec(), mode: 0o400, uid: 0, gid: 0 };
    let mut spec = world.script(
        "cat /run/secrets/key /new/dir/inside /dev/key; stat -c %a /run/secrets/key; \
         touch /new/dir/x || echo read-only; touch /cache/kept; stat -c %a /tmp/mem; touch /tmp/mem/y; \
         cat /tmp/mem/deep/key",
    );
    spec.mounts = vec![
        mount(secret(b"secret\n"), "/run/secrets/key", true),
        mount(Source::Path(dir.clone()), "/new/dir", true),
        mount(Source::Path(dir.clone()), "cache", false),
        mount(Source::Tmpfs { size: Some(1 << 20), mode: 0o1777 }, "/tmp/mem", false),
        mount(secret(b"deep\n"), "/tmp/mem/deep/key", true),
        mount(secret(b"device\n"), "/dev/key", true),
    ];
    let ran = world.run(vec![spec])?;
    let expected = "secret\nfrom host\ndevice\n400\n\
                    touch: /new/dir/x: Read-only file system\nread-only\n1777\ndeep\n";
    assert_eq!(ran.output, expected);
    assert!(dir.join("kept").exists());
    assert_eq!(ran.changed(), ["tmp"]);
    Ok(())
}

fn hostile_symlinks_stay_inside(world: &World) -> Outcome {
    let canary = world.dir();
    fs::write(canary.join("resolv.conf"), "host\n").unwrap();
    let lower = world.dir();
    symlink(&canary, lower.join("run")).unwrap();
    fs::create_dir(lower.join("etc")).unwrap();
    symlink("../../../../run/resolv.conf", lower.join("etc/resolv.conf")).unwrap();
    symlink("/data", lower.join("proc")).unwrap();
    let mut spec =
        world.script("cat /etc/resolv.conf; cat /proc/self/comm; echo y > /etc/resolv.conf");
    spec.resolv_conf = Some(b"inside\n".to_vec());
    let mut request = world.request(vec![spec])?;
    request.lowers.insert(0, lower);
    let ran = world.run_request(&request);
    assert_eq!(ran.output, "inside\ncat\n");
    assert_eq!(fs::read_to_string(canary.join("resolv.conf")).unwrap(), "host\n");
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 1);
    Ok(())
}

fn two_runs_follow_each_other(world: &World) -> Outcome {
    let ran = world.run(vec![
        world.script("echo one > /data/one; sleep 100 & echo $$"),
        world.script("cat /data/one; ps > /data/list; wc -l < /data/list"),
    ])?;
    // The line of titles, pid 1, the shell and ps.
    assert_eq!(ran.output, "2\none\n4\n");
    Ok(())
}

fn trees_of_mapped_ids_are_removed(world: &World) -> Outcome {
    let dir = world.dir();
    world.call("write", dir.to_str().unwrap().as_bytes()).unwrap();
    fs::set_permissions(dir.join("theirs"), PermissionsExt::from_mode(0o0)).unwrap();
    let path = dir.join("theirs");
    world.call("remove", path.to_str().unwrap().as_bytes()).unwrap();
    assert!(!path.exists());
    Ok(())
}

fn a_wrong_request_is_an_error(world: &World) -> Outcome {
    let failing = |change: fn(&mut RunSpec), words: &str| {
        let mut request = world.request(vec![world.script("true")]).unwrap();
        change(&mut request.specs[0]);
        let (result, output) = world.try_request(&request);
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error} {output}");
    };
    world.lower()?;
    failing(|spec| spec.argv.clear(), "command is empty");
    failing(|spec| spec.env.push(("A=B".into(), String::new())), "A=B");
    failing(|spec| spec.root = "/no/root".into(), "/no/root");
    failing(
        |spec| {
            let source = Source::Path("/no/source".into());
            spec.mounts.push(Mount { source, target: "/x".into(), read_only: true });
        },
        "/no/source",
    );
    if world.kind == "ranges" {
        failing(|spec| spec.uid = 70_000, "70000");
    }
    Ok(())
}

fn a_missing_working_directory_is_made(world: &World) -> Outcome {
    let show = "pwd; stat -c '%a %u:%g' . .. /; touch own";
    let mut spec = world.script(show);
    spec.cwd = "/data/a/b".into();
    spec.make_cwd = true;
    (spec.uid, spec.gid) = (1000, 1001);
    let ran = world.run(vec![spec.clone(), spec])?;
    let once = "/data/a/b\n755 1000:1001\n755 1000:1001\n755 0:0\n";
    assert_eq!(ran.output, once.repeat(2));
    assert_eq!(ran.changed(), ["data", "data/a", "data/a/b", "data/a/b/own"]);
    // A mount over it hides it, so that it is made there and not in the root.
    let mut spec = world.script(show);
    spec.cwd = "/m/a".into();
    spec.make_cwd = true;
    spec.mounts = vec![Mount {
        source: Source::Tmpfs { size: None, mode: 0o777 },
        target: "/m".into(),
        read_only: false,
    }];
    let ran = world.run(vec![spec])?;
    assert_eq!(ran.output, "/m/a\n755 0:0\n777 0:0\n755 0:0\n");
    assert_eq!(ran.changed(), Vec::<String>::new());
    let lower = world.dir();
    symlink("/data", lower.join("out")).unwrap();
    symlink("../../../../etc/new", lower.join("up")).unwrap();
    for (cwd, pwd) in [("out/x", "/data/x"), ("/up", "/etc/new")] {
        let mut spec = world.script("readlink /proc/self/cwd");
        spec.cwd = cwd.into();
        spec.make_cwd = true;
        let mut request = world.request(vec![spec])?;
        request.lowers.insert(0, lower.clone());
        assert_eq!(world.run_request(&request).output, format!("{pwd}\n"));
    }
    Ok(())
}

fn usage_is_measured(world: &World) -> Outcome {
    let ran = world.sh("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")?;
    let result = &ran.results[0];
    assert!(result.max_rss > 100_000 && result.max_rss < 1 << 30, "{result:?}");
    assert!(result.user_time.as_millis() > 5, "{result:?}");
    Ok(())
}
