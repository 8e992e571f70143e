//! Debian systems out of Debian's own archive, judged by mmdebstrap, dpkg and apt.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use mabuild_tests::emulated;
use mabuild_tests::env::{TestEnv, User, am_root, has, host, skip, source_tree};
use mabuild_tests::tree::sha256;

const SUITE: &str = "bookworm";

/// What of a path is compared: type and permission bits, owner, content or target.
type Seen = (u32, (u32, u32), String);

/// Everything in a folder by path.
fn seen(root: &Path) -> BTreeMap<String, Seen> {
    let mut out = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                std::fs::read_link(&path).unwrap().to_str().unwrap().to_owned()
            } else if meta.is_file() {
                sha256(&std::fs::read(&path).unwrap())
            } else {
                String::new()
            };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            out.insert(name, (meta.mode(), (meta.uid(), meta.gid()), content));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    out
}

/// Whether a path may differ from what mmdebstrap makes, and why.
fn may_differ(path: &str) -> bool {
    // Whatever runs a container brings its own devices, names and tables of mounts.
    path.starts_with("dev/")
        || ["etc/fstab", "etc/hostname", "etc/resolv.conf"].contains(&path)
        // The archive is named by its public address, in the newer form.
        || ["etc/apt/sources.list", "etc/apt/sources.list.d/debian.sources"].contains(&path)
        // Copies from before the last change, and locks.
        || path.ends_with("-old")
        || ["etc/group-", "etc/passwd-", "etc/shadow-", "etc/gshadow-"].contains(&path)
        || path.ends_with("/lock")
        // apt makes these its own when it first needs them.
        || path.starts_with("var/cache/apt/archives/partial")
        || path.starts_with("var/lib/apt/lists/partial")
        // The day of the last change of a password is that of the newest package.
        || path == "etc/shadow"
}

/// Files whose lines are compared without their order.
const UNORDERED: [&str; 2] = ["etc/shells", "var/lib/apt/extended_states"];

/// The lines of a file without their order.
fn lines(path: &Path) -> BTreeSet<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn minbase(env: &TestEnv, platform: &str) {
    let text = format!(
        "mabuild 1\nplatforms {platform:?}\nbase \"min\" {{ debian \"{SUITE}\" {{ variant \"minbase\" }} }}\n"
    );
    env.write("mabuild.kdl", text);
}

/// Runs a command to its end; it must succeed.
fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What differs between a system of ours and that of an archive, as root sees it.
fn differences(env: &TestEnv, platform: &str, tar: &Path) -> Vec<String> {
    let ours = env.unpacked("min", platform);
    let theirs = env.root.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    run(Command::new("tar").arg("xpf").arg(tar).arg("--numeric-owner").arg("-C").arg(&theirs));
    // The packages come in another order, and the shells and what apt notes with them.
    for path in UNORDERED {
        assert_eq!(lines(&ours.join(path)), lines(&theirs.join(path)), "{path}");
    }
    let (ours, theirs) = (seen(&ours), seen(&theirs));
    assert!(theirs.len() > 5000, "{}", theirs.len());
    let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    paths
        .into_iter()
        .filter(|path| !may_differ(path) && !UNORDERED.contains(&path.as_str()))
        .filter(|path| ours.get(*path) != theirs.get(*path))
        .map(|path| format!("{path}: {:?} {:?}", ours.get(path), theirs.get(path)))
        .collect()
}

#[test]
fn a_minimal_system_is_that_of_mmdebstrap() {
    if !am_root() || !has("mmdebstrap") {
        return skip("only root with mmdebstrap can compare systems");
    }
    let mut env = TestEnv::new();
    if let Err(why) = env.with_mirror() {
        return skip(&why);
    }
    let mirror = mabuild_tests::server::mirror().unwrap().address.clone();
    minbase(&env, host());
    env.rebuild(&[]);
    let tar = env.root.path().join("theirs.tar");
    let source = format!("deb {mirror} {SUITE} main");
    run(Command::new("mmdebstrap").args(["--variant=minbase", SUITE]).arg(&tar).arg(source));
    let differing = differences(&env, host(), &tar);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_minimal_system_of_another_processor_is_that_of_mmdebstrap() {
    let foreign = match host() {
        "linux/arm64" => return skip("this is no machine of another processor"),
        _ => "linux/arm64",
    };
    if !am_root() || !has("mmdebstrap") || !emulated::has_own_formats() {
        return skip("only root with mmdebstrap and Linux 6.7 can compare foreign systems");
    }
    let mut env = TestEnv::new();
    if let Err(why) = env.with_mirror() {
        return skip(&why);
    }
    let mirror = mabuild_tests::server::mirror().unwrap().address.clone();
    minbase(&env, foreign);
    env.rebuild(&[]);
    let emulator = emulated::of_arm64(&env.store()).unwrap();
    let target = mabuild_distro::qemu::emulator("linux", "arm64").unwrap();
    let line = target.register_line("arm64", emulator.to_str().unwrap(), "FP").unwrap();
    let tar = env.root.path().join("theirs.tar");
    let mut command = emulated::command(&env.root.path().join("emulated"), &line);
    command.args(["mmdebstrap", "--mode=root", "--arch=arm64", "--variant=minbase", SUITE]);
    run(command.arg(&tar).arg(format!("deb {mirror} {SUITE} main")));
    let differing = differences(&env, foreign, &tar);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_system_is_sound_and_the_same_for_everybody() {
    let mut digests = BTreeSet::new();
    for user in [User::Me, User::Ranges, User::Single] {
        let Ok(mut env) = TestEnv::of(user) else { continue };
        if let Err(why) = env.with_mirror() {
            return skip(&why);
        }
        minbase(&env, host());
        env.rebuild(&[]);
        digests.insert(env.digest("min:latest"));
        if user == User::Me {
            // The memory of this machine is not enough for so many at once: it goes to the disk.
            let store = env.root.path().join("other-store");
            let other = ["-j", "1000000", "--store", store.to_str().unwrap()];
            env.rebuild(&other);
            let listed = ["image", "ls", "--format", "json", "--store", store.to_str().unwrap()];
            let listed = env.mabuild(&listed).ok().json();
            digests.insert(listed["images"][0]["digest"].as_str().unwrap().to_owned());
            let script = "dpkg --audit && dpkg --verify && apt-get check";
            let run = env.mabuild(&["image", "run", "min", "/bin/sh", "-c", script]).ok();
            assert!(!run.stdout.contains("missing"), "{}", run.stdout);
            env.rebuild(&["--verify-reproducible"]);
        }
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn the_example_follows_debian_and_installs_packages() {
    let mut env = TestEnv::new();
    if let Err(why) = env.with_mirror() {
        return skip(&why);
    }
    let text = source_tree().join("examples/minideb/mabuild.kdl");
    let text = std::fs::read_to_string(text).unwrap();
    let narrow = |line: &str| match line.trim() {
        line if line.starts_with("platforms ") => format!("platforms {:?}\n", host()),
        // The relay has Debian's main archive alone.
        "security" => String::new(),
        _ => format!("{line}\n"),
    };
    env.write("mabuild.kdl", text.lines().map(narrow).collect::<String>());
    let run = env.mabuild(&["upstream", "check"]).fails(2);
    assert!(run.stdout.contains("minideb is new in the lock"), "{}", run.stdout);
    let counts = env.rebuild(&[]);
    assert_eq!((counts.built, counts.failed), (2, 0), "{counts:?}");
    let lock = std::fs::read_to_string(env.project().join("mabuild.lock")).unwrap();
    assert!(lock.contains(" packages package curl "), "{lock}");
    assert!(!lock.contains(" packages package libc6 "), "it is below: {lock}");
    let _ = env.mabuild(&["upstream", "check"]).ok();
    assert_eq!(env.rebuild(&["--update"]).built, 0);
    let root = env.unpacked("fetch", host());
    assert!(root.join("usr/bin/curl").exists() && root.join("etc/curl-version").exists());
    assert!(!root.join("var/cache/apt/pkgcache.bin").exists());
    let lists = std::fs::read_dir(root.join("var/lib/apt/lists")).unwrap();
    assert!(lists.flatten().all(|entry| entry.path().is_dir()), "no lists are left");
}
