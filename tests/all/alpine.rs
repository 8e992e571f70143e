//! The Alpine example with the real archives where they are, and with small ones elsewhere.

use std::path::PathBuf;

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, host, skip, source_tree};
use mabuild_tests::fixture::{alpine_releases, busybox};
use sha2::{Digest, Sha512};

const FILE: &str = "examples/alpine";

/// Platform, Alpine's name for it, what `uname -m` may say.
const PLATFORMS: [(&str, &str, &[&str]); 8] = [
    ("linux/amd64", "x86_64", &["x86_64"]),
    ("linux/arm64", "aarch64", &["aarch64"]),
    ("linux/arm/v6", "armhf", &["armv6l", "armv7l"]),
    ("linux/arm/v7", "armv7", &["armv7l"]),
    ("linux/386", "x86", &["i686"]),
    ("linux/ppc64le", "ppc64le", &["ppc64le"]),
    ("linux/riscv64", "riscv64", &["riscv64"]),
    ("linux/s390x", "s390x", &["s390x"]),
];

fn archives() -> Option<PathBuf> {
    alpine_releases().map_err(skip).ok()
}

#[test]
fn real_archives_on_all_platforms() {
    let Some(folder) = archives() else { return };
    let mut env = TestEnv::new();
    if let Err(e) = env.with_mirror() {
        return skip(&e);
    }
    env.copy_in(&source_tree().join(FILE));
    let set = format!("releases={}", folder.display());
    let counts = env.rebuild(&["--set", &set]);
    assert_eq!((counts.built, counts.executed), (16, 16), "{counts:?}");
    for (platform, _, machines) in PLATFORMS {
        let root = env.unpacked("release:latest", platform);
        let text = std::fs::read_to_string(root.join("etc/built-on")).unwrap();
        let (release, machine) = text.trim().split_once(' ').unwrap();
        assert_eq!(release, "3.20.3", "{platform}");
        assert!(machines.contains(&machine), "{platform}: {machine}");
        assert!(!root.join("etc/motd").exists() && root.join("etc/passwd").exists());
    }
    let counts = env.rebuild(&["--set", &set, "--offline"]);
    assert_eq!((counts.built, counts.kept, counts.executed), (0, 16, 0));
}

#[test]
fn release_that_lacks_a_platform_names_it() {
    let Some(folder) = archives() else { return };
    let env = TestEnv::new();
    env.copy_in(&source_tree().join(FILE));
    let releases = format!("releases={}", folder.display());
    let set = ["--set", &releases, "--set", "release=3.19.4", "--platform", "linux/s390x"];
    let run = env.mabuild(&[&["graph", "rebuild"][..], &set].concat());
    assert!(matches!(run.code, Some(1..=3)), "{}", run.stderr);
    let _ = run.says(&["s390x", "3.19.4"]);
}

#[test]
fn small_archive_in_its_place() {
    let env = TestEnv::new();
    env.copy_in(&source_tree().join(FILE));
    let Ok(program) = busybox(host()) else { return skip("no static busybox is here") };
    let name = PLATFORMS.iter().find(|(platform, ..)| *platform == host()).unwrap().1;
    let archive = root(&program);
    let file = format!("alpine-minirootfs-3.20.3-{name}.tar.gz");
    let sum = hex::encode(Sha512::digest(&archive));
    let checksums = "releases/3.20.3/checksums.sha512";
    env.write(&format!("releases/3.20.3/{file}"), &archive);
    env.write(checksums, format!("{sum}  {file}\n"));
    let counts = env.rebuild(&["--platform", host()]);
    assert_eq!((counts.built, counts.executed), (2, 2), "{counts:?}");

    // Bytes that are not those of the checksum are refused, and what was built stays.
    env.write(checksums, format!("{}  {file}\n", "0".repeat(128)));
    let run = env.mabuild(&["graph", "rebuild", "--platform", host()]);
    assert!(matches!(run.code, Some(1..=3)), "{}", run.stderr);
    let _ = run.says(&[&file]);
    env.write(checksums, format!("{sum}  another.tar.gz\n"));
    let run = env.mabuild(&["graph", "rebuild", "--platform", host()]);
    assert!(matches!(run.code, Some(1..=3)), "{}", run.stderr);
    let _ = run.says(&[&file, "checksums.sha512"]);
    env.write(checksums, format!("{sum}  {file}\n"));
    let counts = env.rebuild(&["--platform", host()]);
    assert_eq!((counts.built, counts.kept), (0, 2), "{counts:?}");
}

/// A root file system as small as the example needs.
fn root(busybox: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(busybox);
    std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
    let size = plain[512 + 124..512 + 135].iter().fold(0, |n, d| n * 8 + usize::from(d - b'0'));
    let program = &plain[1024..1024 + size];
    Tar::default()
        .dir("bin/", 0o755)
        .file("bin/busybox", 0o755, program)
        .symlink("bin/sh", "busybox")
        .symlink("bin/cat", "busybox")
        .symlink("bin/uname", "busybox")
        .dir("etc/", 0o755)
        .file("etc/alpine-release", 0o644, "3.20.3\n")
        .file("etc/motd", 0o644, "hello\n")
        .gzip(6)
}
