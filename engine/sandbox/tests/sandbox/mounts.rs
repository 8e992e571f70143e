//! What is mounted for a step, and what is left of it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mabuild_sandbox::{Call, CallError, CancelHandle, Mount, Source, call};

use crate::Test;
use crate::world::{Outcome, World};

pub const TESTS: &[Test] = &[
    ("mounts_cover_what_exists", mounts_cover_what_exists),
    ("nested_mounts_leave_no_trace", nested_mounts_leave_no_trace),
    ("a_memory_disk_has_its_size", a_memory_disk_has_its_size),
    ("secrets_belong_to_whom_they_should", secrets_belong_to_whom_they_should),
    ("trees_are_shown_read_only", trees_are_shown_read_only),
    ("parts_of_trees_never_lead_out_of_them", parts_of_trees_never_lead_out_of_them),
    ("changes_of_trees_are_thrown_away", changes_of_trees_are_thrown_away),
    ("a_socket_is_passed_on", a_socket_is_passed_on),
    ("connections_end_with_the_call", connections_end_with_the_call),
    ("too_many_connections_harm_nobody", too_many_connections_harm_nobody),
    ("mount_points_of_the_wrong_kind_are_errors", mount_points_of_the_wrong_kind_are_errors),
];

fn mount(source: Source, target: &str, read_only: bool) -> Mount {
    Mount { source, target: target.into(), read_only }
}

fn secret(bytes: &[u8], mode: u32, (uid, gid): (u32, u32)) -> Source {
    Source::Content { bytes: bytes.to_vec(), mode, uid, gid }
}

fn tmpfs() -> Source {
    Source::Tmpfs { size: Some(1 << 20), mode: 0o750 }
}

fn mounts_cover_what_exists(world: &World) -> Outcome {
    let file = world.dir().join("file");
    fs::write(&file, "host\n").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    let mut spec = world.script(
        "cat data/old; echo no > data/old; ls -A /tmp; echo more >> etc/group; cat etc/group",
    );
    spec.mounts = vec![
        mount(secret(b"covered\n", 0o444, (0, 0)), "/data/old", true),
        mount(tmpfs(), "/tmp", false),
        mount(Source::Path(file.clone()), "/etc/group", false),
    ];
    let mut before = world.script("echo below > /tmp/below");
    before.mounts.clear();
    let ran = world.run(vec![before, spec, world.script("cat data/old; ls -A /tmp")])?;
    let refused = "/bin/sh: can't create data/old: Read-only file system\n";
    assert_eq!(ran.output, format!("covered\n{refused}host\nmore\nold\nbelow\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "host\nmore\n");
    assert_eq!(ran.changed(), ["tmp", "tmp/below"]);
    Ok(())
}

fn nested_mounts_leave_no_trace(world: &World) -> Outcome {
    let dir = world.dir();
    fs::write(dir.join("f"), "host\n").unwrap();
    let mut spec = world.script(
        "cat /a/b/c/f /a/b/key /a/file /data/x/y; touch /a/b/c/new; stat -c %a /a/b; stat -c %a /a",
    );
    spec.mounts = vec![
        mount(tmpfs(), "/a/b", false),
        mount(Source::Path(dir.clone()), "/a/b/c", false),
        mount(secret(b"deep\n", 0o400, (0, 0)), "/a/b/key", true),
        mount(Source::Path(dir.join("f")), "/a/file", true),
        mount(Source::Path(dir.join("f")), "/data/x/y", true),
    ];
    let ran = world.run(vec![spec])?;
    assert_eq!(ran.output, "host\ndeep\nhost\nhost\n750\n755\n");
    assert!(dir.join("new").exists());
    // "data" was copied up for the mount point, and is as it was.
    assert_eq!(ran.changed(), ["data"]);
    let times = |root: &Path| {
        let meta = fs::metadata(root.join("data")).unwrap();
        (meta.mtime(), meta.mtime_nsec())
    };
    assert_eq!(times(&ran.upper), times(&world.lower()?));
    Ok(())
}

fn a_memory_disk_has_its_size(world: &World) -> Outcome {
    let mut spec = world.script(
        "dd if=/dev/zero of=/m/f bs=64k count=64 2>/dev/null || echo full; \
         test $(stat -c %s /m/f) -le 1048576 && echo small; stat -c '%a %u:%g' /m",
    );
    spec.mounts = vec![mount(tmpfs(), "/m", false)];
    assert_eq!(world.run(vec![spec])?.output, "full\nsmall\n750 0:0\n");
    Ok(())
}

fn secrets_belong_to_whom_they_should(world: &World) -> Outcome {
    let show = "stat -c '%a %u:%g' /run/secrets/*; cat /run/secrets/own";
    let mounts = vec![
        mount(secret(b"mine\n", 0o400, (1000, 1001)), "/run/secrets/own", true),
        mount(secret(b"root's\n", 0o400, (0, 0)), "/run/secrets/root", true),
        mount(secret(b"all\n", 0o444, (7, 8)), "/run/secrets/seven", true),
    ];
    let shown = "400 1000:1001\n400 0:0\n444 7:8\nmine\n";
    for (uid, gid) in [(0, 0), (1000, 1001)] {
        let mut spec = world.script(show);
        (spec.uid, spec.gid) = (uid, gid);
        spec.mounts = mounts.clone();
        let ran = world.run(vec![spec])?;
        assert_eq!(ran.output, shown, "as {uid}");
        assert_eq!(ran.changed(), Vec::<String>::new());
        assert!(ran.side_owners().is_empty());
    }
    Ok(())
}

/// Two trees, topmost first.
fn trees(world: &World) -> Vec<PathBuf> {
    let [top, low] = [world.dir(), world.dir()];
    fs::create_dir_all(top.join("d/e")).unwrap();
    fs::create_dir_all(low.join("d")).unwrap();
    fs::write(top.join("d/both"), "top\n").unwrap();
    fs::write(low.join("d/both"), "low\n").unwrap();
    fs::write(low.join("d/low"), "only low\n").unwrap();
    symlink("/d/both", top.join("d/e/absolute")).unwrap();
    symlink("../../../../../../../../etc/passwd", top.join("out")).unwrap();
    world.give_away(&top);
    world.give_away(&low);
    vec![top, low]
}

fn overlay(lowers: &[PathBuf], subpath: &str, upper: Option<PathBuf>) -> Source {
    Source::Overlay { lowers: lowers.to_vec(), subpath: subpath.into(), upper }
}

fn trees_are_shown_read_only(world: &World) -> Outcome {
    let trees = trees(world);
    let mut spec = world.script(
        "ls /all /all/d; cat /part/both /file /one/d/both; ls -A /none | wc -l; \
         touch /all/x /one/x /part/x",
    );
    spec.mounts = vec![
        mount(overlay(&trees, "", None), "/all", true),
        mount(overlay(&trees, "d", None), "/part", true),
        mount(overlay(&trees, "/d/low", None), "/file", true),
        mount(overlay(&trees[1..], "/", None), "/one", true),
        mount(overlay(&[], "", None), "/none", true),
    ];
    let ran = world.run(vec![spec])?;
    let listed = "/all:\nd\nout\n\n/all/d:\nboth\ne\nlow\n";
    assert!(ran.output.starts_with(&format!("{listed}top\nonly low\nlow\n0\n")), "{}", ran.output);
    assert_eq!(ran.output.matches("Read-only file system").count(), 3, "{}", ran.output);
    assert_eq!(ran.changed(), Vec::<String>::new());
    Ok(())
}

fn parts_of_trees_never_lead_out_of_them(world: &World) -> Outcome {
    let trees = trees(world);
    let mut spec = world.script("cat /file");
    spec.mounts = vec![mount(overlay(&trees, "d/e/absolute", None), "/file", true)];
    assert_eq!(world.run(vec![spec.clone()])?.output, "top\n");
    for missing in ["out", "../../etc/passwd", "no/such"] {
        spec.mounts = vec![mount(overlay(&trees, missing, None), "/file", true)];
        let (result, _) = world.try_request(&world.request(vec![spec.clone()])?);
        let error = result.unwrap_err().to_string();
        assert!(error.contains("cannot mount at /file"), "{error}");
        assert!(error.contains("No such file or directory"), "{error}");
    }
    Ok(())
}

fn changes_of_trees_are_thrown_away(world: &World) -> Outcome {
    let trees = trees(world);
    let scratch = [world.dir(), world.dir(), world.dir()];
    let mut spec = world.script(
        "echo changed > /t/d/both; rm /t/d/low; mkdir /t/new; cat /t/d/both; ls /t/d; \
         echo y > /one/y; cat /one/y; echo z > /none/z; ls /none; chown 5:6 /t/d/both; \
         stat -c %u:%g /t/d/both",
    );
    spec.mounts = vec![
        mount(overlay(&trees, "", Some(scratch[0].clone())), "/t", false),
        mount(overlay(&trees[1..], "d", Some(scratch[1].clone())), "/one", false),
        mount(overlay(&[], "", Some(scratch[2].clone())), "/none", false),
    ];
    let ran = world.run(vec![spec])?;
    assert_eq!(ran.output, "changed\nboth\ne\ny\nz\n5:6\n");
    assert_eq!(ran.changed(), Vec::<String>::new());
    assert_eq!(fs::read_to_string(trees[0].join("d/both")).unwrap(), "top\n");
    assert!(trees[1].join("d/low").exists() && !trees[1].join("d/y").exists());
    // For the caller to remove, whoever owns it.
    for dir in scratch {
        world.call("remove", dir.to_str().unwrap().as_bytes()).unwrap();
        assert!(!dir.exists());
    }
    Ok(())
}

/// Listens and answers every word with itself, as often as asked to.
fn echo_server(path: &Path, times: usize) -> impl FnOnce() + Send + 'static {
    let listener = UnixListener::bind(path).unwrap();
    // Only the owner may connect, as to an ssh agent.
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    move || {
        for stream in listener.incoming().take(times) {
            let mut stream = stream.unwrap();
            let mut word = String::new();
            stream.read_to_string(&mut word).unwrap();
            stream.write_all(format!("heard {word}").as_bytes()).unwrap();
        }
    }
}

/// A place whose path is short enough for a socket of the test, behind one that is too long.
fn socket_dir(world: &World) -> (PathBuf, PathBuf) {
    let dir = world.dir();
    let long = world.dir().join("long-name".repeat(15));
    symlink(&dir, &long).unwrap();
    (dir.join("agent"), long.join("agent"))
}

fn socket(path: &Path, mode: u32) -> Mount {
    let source = Source::Socket { path: path.into(), mode, uid: 1000, gid: 1001 };
    mount(source, "/run/agent/sock", false)
}

fn a_socket_is_passed_on(world: &World) -> Outcome {
    world.lower()?;
    let (path, long) = socket_dir(world);
    let server = std::thread::spawn(echo_server(&path, 2));
    give_to_root_inside(world, &path);
    for (uid, gid) in [(1000, 1001), (0, 0)] {
        let mut spec = world.probe(&["talk", "/run/agent/sock", "ping"]);
        (spec.uid, spec.gid) = (uid, gid);
        spec.mounts.push(socket(&long, 0o600));
        let ran = world.run(vec![spec])?;
        assert_eq!(ran.output, "heard ping\n", "as {uid}");
        // Of the mount point of the probe.
        assert_eq!(ran.changed(), ["bin"]);
    }
    server.join().unwrap();
    let mut show = world.script("stat -c '%a %u:%g %F' /run/agent/sock");
    show.mounts = vec![socket(&path, 0o640)];
    assert_eq!(world.run(vec![show])?.output, "640 1000:1001 socket\n");
    // The host's is gone: a connection is closed at once.
    let mut late = world.probe(&["talk", "/run/agent/sock", ""]);
    late.mounts.push(socket(&path, 0o600));
    assert_eq!(world.run(vec![late])?.output, "\n");
    let mut other = world.probe(&["talk", "/run/agent/sock", "ping"]);
    (other.uid, other.gid) = (7, 7);
    other.mounts.push(socket(&path, 0o600));
    // With one id everybody is the owner.
    let refused = if world.is_single() { "\n" } else { "permission denied\n" };
    let ran = world.run(vec![other])?;
    assert!(ran.output.ends_with(refused), "{}", ran.output);
    Ok(())
}

/// An agent belongs to the caller, who is root inside in every map that is used in earnest.
fn give_to_root_inside(world: &World, path: &Path) {
    if let mabuild_sandbox::IdMap::Ranges { uid, gid } = &world.id_map {
        std::os::unix::fs::chown(path, Some(uid[0].outside), Some(gid[0].outside)).unwrap();
    }
}

fn connections_end_with_the_call(world: &World) -> Outcome {
    world.lower()?;
    let (path, _) = socket_dir(world);
    let listener = UnixListener::bind(&path).unwrap();
    give_to_root_inside(world, &path);
    let mut spec = world.probe(&["hold", "/run/agent/sock"]);
    spec.mounts.push(socket(&path, 0o666));
    let request = serde_json::to_vec(&world.request(vec![spec])?).unwrap();
    let cancel = CancelHandle::new();
    let handle = cancel.clone();
    let ended = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        handle.cancel();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.read(&mut [0])
    });
    let result = call(Call {
        op: "run",
        request: &request,
        id_map: world.id_map.clone(),
        output: None,
        cancel,
        deadline: Some(Duration::from_secs(60)),
    });
    assert!(matches!(result, Err(CallError::Cancelled)), "{result:?}");
    // Whoever passed it on is gone, too.
    assert_eq!(ended.join().unwrap().unwrap(), 0);
    Ok(())
}

fn too_many_connections_harm_nobody(world: &World) -> Outcome {
    world.lower()?;
    let (path, _) = socket_dir(world);
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    give_to_root_inside(world, &path);
    let mut spec = world.probe(&["flood", "/run/agent/sock", "100"]);
    spec.mounts.push(socket(&path, 0o666));
    let request = world.request(vec![spec])?;
    std::thread::spawn(move || {
        // They are kept open and never read.
        let end = Instant::now() + Duration::from_secs(5);
        let mut kept = Vec::new();
        while Instant::now() < end {
            match listener.accept() {
                Ok(stream) => kept.push(stream),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    });
    assert_eq!(world.run_request(&request).output, "64 open\n");
    Ok(())
}

fn mount_points_of_the_wrong_kind_are_errors(world: &World) -> Outcome {
    for (source, target, words) in [
        (tmpfs(), "/data/old", "Not a directory"),
        (secret(b"", 0o400, (0, 0)), "/data", "Is a directory"),
        (tmpfs(), "/", "mount point /"),
        (tmpfs(), "/data/old/below", "Not a directory"),
        (socket(Path::new("/no/agent"), 0o600).source, "/a", "/no/agent"),
    ] {
        let mut spec = world.script("true");
        spec.mounts = vec![mount(source, target, false)];
        let request = world.request(vec![spec])?;
        let error = world.try_request(&request).0.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(fs::read_dir(&request.upper).unwrap().count(), 0, "{target}");
    }
    Ok(())
}
