//! Steps that would hurt the machine: they are ended, told of, and leave nothing behind.

use std::time::{Duration, Instant};

use mabuild_tests::env::{TestEnv, am_root, host, skip};
use mabuild_tests::fixture::busybox;

/// A project with one image of a Dockerfile on busybox.
fn project(dockerfile: &str) -> Option<TestEnv> {
    let env = TestEnv::new();
    match busybox(host()) {
        Ok(archive) => env.write("root.tar.gz", archive),
        Err(e) => {
            skip(&e);
            return None;
        }
    };
    env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms {:?}\nbase \"bb\" {{ rootfs \"root.tar.gz\" }}\n\
             image \"bad\" {{ dockerfile \"Dockerfile\" }}\n",
            host()
        ),
    );
    let shell = "SHELL [\"/bin/busybox\", \"sh\", \"-c\"]";
    env.write("Dockerfile", format!("FROM bb\n{shell}\n{dockerfile}\n"));
    Some(env)
}

#[test]
fn a_step_that_prints_without_end_fills_neither_memory_nor_disk() {
    let Some(env) = project(
        "RUN busybox dd if=/dev/zero bs=1M count=300 2>/dev/null | busybox tr '\\0' 'x'; \
         echo; echo the end",
    ) else {
        return;
    };
    env.try_rebuild(&[]).ok();
    let logs: u64 = mabuild_tests::env::walk(&env.store())
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|meta| meta.len())
        .sum();
    assert!(logs < 100 << 20, "{logs} bytes of logs");
    env.assert_quiet();
}

#[test]
fn what_a_step_leaves_running_ends_with_it() {
    let Some(env) = project(
        "RUN (trap '' TERM HUP INT; while :; do busybox sleep 1; done) & \
         (busybox setsid busybox sleep 1000 >/dev/null 2>&1 &) ; echo started",
    ) else {
        return;
    };
    let begun = Instant::now();
    env.try_rebuild(&[]).ok();
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    env.assert_quiet();
}

#[test]
fn a_full_disk_ends_the_step_and_is_told() {
    if !am_root() {
        return skip("only root can make a small disk");
    }
    let Some(env) = project("RUN busybox dd if=/dev/zero of=/big bs=1M count=4000; echo done")
    else {
        return;
    };
    let store = env.store();
    std::fs::create_dir_all(&store).unwrap();
    let small = Mounted::tmpfs(&store, "700m");
    let run = env.try_rebuild(&[]);
    assert_ne!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("free") || run.stderr.contains("space"), "{}", run.stderr);
    drop(small);
    env.assert_quiet();
}

/// A mount that goes with its value.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(path: &std::path::Path, size: &str) -> Self {
        let size = format!("size={size},mode=0777");
        let mut mount = std::process::Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).status();
        assert!(status.unwrap().success(), "cannot mount a tmpfs");
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let status = std::process::Command::new("umount").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

#[test]
fn archives_of_strangers_stay_in_their_root() {
    let Some(env) = project("ADD evil.tar /in/\nRUN busybox test ! -e /escaped") else { return };
    let evil = mabuild_tests::archive::Tar::default()
        .symlink("out", "/")
        .symlink("up", "../../..")
        .file("up/escaped-by-link", 0o644, "x")
        .file("fine", 0o644, "fine")
        .plain();
    env.write("evil.tar", evil);
    let run = env.try_rebuild(&[]);
    assert!(!env.project().join("escaped-by-link").exists());
    assert!(!std::path::Path::new("/escaped-by-link").exists());
    assert!(run.code == Some(0) || run.stderr.contains("evil.tar"), "{}", run.stderr);
    env.assert_quiet();
}
