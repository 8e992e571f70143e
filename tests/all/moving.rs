//! Upstreams that move: the lock says what is built until it is moved, and a move rebuilds what has
//! the moved thing in it and no more.

use std::path::PathBuf;

use mabuild_tests::archive::Tar;
use mabuild_tests::debian::{Archive, Pkg};
use mabuild_tests::env::{Run, TestEnv, host, skip};
use mabuild_tests::fixture::installed;
use mabuild_tests::server::Answer;

/// A day of the past; releases of later days come after it.
const DAY: i64 = 1_700_000_000;
const DAYS: i64 = 86_400;

/// A signed archive with two packages, and a base and an image on each.
struct World {
    env: TestEnv,
    archive: Archive,
}

fn debian_arch() -> &'static str {
    host().strip_prefix("linux/").unwrap()
}

fn tool(name: &str, version: &str, content: &str) -> Pkg {
    Pkg::new(name, version).arch(debian_arch()).file(&format!("opt/{name}"), content)
}

impl World {
    fn new() -> Self {
        let env = TestEnv::new();
        let mut archive = Archive::new(&env.project(), "stable", &[debian_arch()]);
        archive.package(tool("left", "1.0", "left 1\n")).package(tool("right", "1.0", "right 1\n"));
        archive.publish(DAY);
        let world = Self { env, archive };
        world.write("");
        world
    }

    /// The description; `more` goes into the base `left`.
    fn write(&self, more: &str) {
        let base = |name: &str, more: &str| {
            format!(
                "base \"{name}\" {{ debian \"stable\" mirror={:?} signed-by=\"archive-key.asc\" \
                 {{ variant \"extract\"; include \"{name}\" }}; {more} }}\n\
                 image \"on-{name}\" {{ from \"{name}\"; steps {{ file \"/f\" \"{name}\" }} }}\n",
                self.archive.uri()
            )
        };
        let text = format!(
            "mabuild 1\nplatforms {:?}\n{}{}image \"alone\" {{ from \"scratch\"; steps {{ file \
             \"/f\" \"alone\" }} }}\n",
            host(),
            base("left", more),
            base("right", "")
        );
        self.env.write("mabuild.kdl", text);
    }

    fn lock_path(&self) -> PathBuf {
        self.env.project().join("mabuild.lock")
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.lock_path()).unwrap()
    }

    /// Moves the package `left`.
    fn moves(&mut self, version: &str, content: &str, day: i64) {
        self.archive.package(tool("left", version, content));
        self.archive.publish(DAY + day * DAYS);
    }

    fn check(&self, args: &[&str]) -> Run {
        self.env.mabuild(&[&["upstream", "check"], args].concat())
    }

    fn built(&self, args: &[&str]) -> u64 {
        self.env.rebuild(args).built
    }
}

#[test]
fn a_move_rebuilds_what_has_the_package_and_no_more() {
    let mut world = World::new();
    assert_eq!(world.built(&[]), 5);
    let first = world.lock();
    assert!(first.contains(" base package left 1.0 "), "{first}");
    assert!(world.check(&[]).ok().stdout.contains("nothing moved"));

    world.moves("2.0", "left 2\n", 1);
    // The lock holds what is built until it is moved.
    assert_eq!(world.built(&[]), 0);
    let run = world.check(&[]).fails(2);
    let line = format!("left 1.0 → 2.0 in left on {}: makes 1 image stale", host());
    assert!(run.stdout.contains(&line), "{}", run.stdout);
    assert!(!run.stdout.contains("right"), "{}", run.stdout);
    assert_eq!(world.lock(), first, "a check writes nothing");
    let json = world.check(&["--format", "json"]).fails(2).json();
    assert_eq!(json["moved"][0]["name"], "left");
    assert_eq!(json["stale"], serde_json::json!(["on-left"]));

    // The base and the image on it; the other pair and the image alone are as they were.
    assert_eq!(world.built(&["--update"]), 2);
    let second = world.lock();
    assert!(second.contains(" base package left 2.0 "), "{second}");
    assert!(second.contains(" base package right 1.0 "), "{second}");
    let _ = world.check(&[]).ok();
    assert_eq!(world.built(&["--update"]), 0);
    assert_eq!(world.lock(), second);
}

/// The digest of the only manifest of an image; its index says with which key it was made.
fn manifest_of(env: &TestEnv, name: &str) -> String {
    let run = env.mabuild(&["image", "inspect", name, "--format", "json"]).ok();
    run.json()["index"]["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_base_whose_bytes_come_out_equal_stops_the_wave() {
    let mut world = World::new();
    world.built(&[]);
    let manifest = |name| manifest_of(&world.env, name);
    let before = (manifest("left"), manifest("on-left"));
    // Another version of the same files.
    world.archive.package(tool("left", "1.0-1", "left 1\n"));
    world.archive.publish(DAY + DAYS);
    assert_eq!(world.built(&["--update"]), 1, "the base alone");
    assert_eq!((manifest("left"), manifest("on-left")), before);
}

#[test]
fn another_date_of_a_release_alone_moves_nothing() {
    let world = World::new();
    world.built(&[]);
    let lock = world.lock();
    world.archive.publish(DAY + 3 * DAYS);
    assert!(world.check(&[]).ok().stdout.contains("nothing moved"));
    let _ = world.env.mabuild(&["upstream", "update"]).ok();
    assert_eq!(world.lock(), lock);
}

#[test]
fn a_lock_that_may_not_grow_says_what_it_lacks() {
    let world = World::new();
    let run = world.env.try_rebuild(&["--locked"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let _ = run.says(&["--locked", "mabuild upstream update left"]);
    assert!(!world.lock_path().exists());
    world.built(&[]);
    assert_eq!(world.built(&["--locked", "--force"]), 5);
}

#[test]
fn an_empty_store_builds_what_the_lock_says() {
    let mut world = World::new();
    world.built(&[]);
    let digests = world.env.digests();
    world.moves("2.0", "left 2\n", 1);
    // The old package is still in the pool, as Debian keeps it for a while.
    let other = TestEnv::new();
    other.copy_in(&world.env.project());
    let gone = other.try_rebuild(&[]);
    // This archive gives up what it has replaced: the message names the file, the line of the lock,
    // and the command that moves it.
    assert_eq!(gone.code, Some(3), "{}", gone.stderr);
    let line = 1 + world.lock().lines().position(|l| l.contains(" package left ")).unwrap();
    let _ = gone.says(&["left 1.0", &format!("mabuild.lock:{line}"), "upstream update left"]);
    world.moves("1.0", "left 1\n", 2);
    other.rebuild(&[]);
    assert_eq!(other.digests(), digests);
}

#[test]
fn named_upstreams_move_alone_and_what_is_pinned_only_so() {
    let mut world = World::new();
    world.write("pin");
    world.built(&[]);
    world.archive.package(tool("right", "2.0", "right 2\n"));
    world.moves("2.0", "left 2\n", 1);
    let run = world.check(&[]).fails(2);
    assert!(run.stdout.contains("right 1.0 → 2.0"), "{}", run.stdout);
    assert!(!run.stdout.contains("left 1.0 →"), "{}", run.stdout);
    assert!(run.stdout.contains("waiting: left"), "{}", run.stdout);
    let _ = world.env.mabuild(&["upstream", "update", "left"]).ok();
    let lock = world.lock();
    assert!(lock.contains(" package left 2.0 ") && lock.contains(" package right 1.0 "), "{lock}");
}

#[test]
fn what_is_held_waits_for_its_day() {
    let mut world = World::new();
    world.write("hold until=\"2999-01-01\" reason=\"freeze\"");
    world.built(&[]);
    world.moves("2.0", "left 2\n", 1);
    let run = world.check(&[]).ok();
    assert!(run.stdout.contains("held until 2999-01-01"), "{}", run.stdout);
    assert!(run.stdout.contains("freeze"), "{}", run.stdout);
    world.write("hold until=\"2020-01-01\"");
    let _ = world.check(&[]).fails(2);
}

#[test]
fn locks_that_cannot_be_read_say_what_to_do() {
    let world = World::new();
    world.built(&[]);
    let lock = world.lock();
    let write = |text: String| world.env.write("mabuild.lock", text);
    write(lock.replace("mabuild-lock 1", "mabuild-lock 99"));
    let _ = world.env.try_rebuild(&[]).fails(2).says(&["mabuild.lock:", "newer"]);
    let middle = lock.find("left").unwrap();
    let (a, b) = lock.split_at(middle);
    write(format!("{a}<<<<<<< ours\n{b}=======\n>>>>>>> theirs\n"));
    let _ = world.env.try_rebuild(&[]).fails(2).says(&["mabuild.lock:", "conflict"]);
    assert_eq!(world.env.digests().len(), 5, "what was built stays");
}

#[test]
fn an_upstream_that_fails_stays_and_the_others_go_on() {
    let mut world = World::new();
    world.built(&[]);
    world.moves("2.0", "left 2\n", 1);
    // The file of the package is cut short; what the index says of it is right.
    world.archive.fault(|path| path.contains("pool/").then(|| Answer::status(404)));
    let _ = world.env.mabuild(&["upstream", "update"]).ok();
    let run = world.env.try_rebuild(&["-k"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let _ = run.says(&["left 2.0"]);
    world.archive.heal();
    assert_eq!(world.built(&[]), 2);
}

/// A base whose files say that `hello` 1.0 is installed out of an archive, and an image on it that
/// runs something.
fn watching(world: &World, busybox: &[u8], watch: &str) {
    let status = "Package: hello\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\n";
    let list =
        format!("deb [signed-by=/etc/apt/keyrings/key.asc] {} stable main\n", world.archive.uri());
    let key = std::fs::read(world.archive.keys()).unwrap();
    let tar = Tar::default()
        .file("busybox", 0o755, busybox)
        .file("var/lib/dpkg/status", 0o644, status)
        .file("etc/apt/sources.list", 0o644, &list)
        .file("etc/apt/keyrings/key.asc", 0o644, key)
        .plain();
    world.env.write("root.tar", tar);
    world.env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms {:?}\nbase \"root\" {{ rootfs \"root.tar\" }}\n\
             image \"app\" {{ from \"root\"; {watch}; steps {{ run \"/busybox\" \"touch\" \"/x\" }} }}\n\
             image \"other\" {{ from \"root\"; steps {{ run \"/busybox\" \"touch\" \"/y\" }} }}\n",
            host()
        ),
    );
}

#[test]
fn watched_packages_have_steps_run_again_once() {
    let Some(busybox) = installed() else {
        return skip("there is no static busybox to run steps with");
    };
    let mut world = World::new();
    let hello = |version| Pkg::new("hello", version).file("opt/hello", version);
    world.archive.package(hello("1.0"));
    world.archive.publish(DAY + DAYS);
    watching(&world, &busybox, "watch \"packages\"");
    assert_eq!(world.built(&[]), 3);
    let _ = world.check(&[]).ok();
    world.archive.package(hello("2.0"));
    world.archive.publish(DAY + 2 * DAYS);
    assert_eq!(world.built(&[]), 0);
    let run = world.check(&[]).fails(2);
    assert!(run.stdout.contains("hello") && run.stdout.contains("2.0"), "{}", run.stdout);
    assert!(run.stdout.contains("makes 1 image stale"), "{}", run.stdout);
    let counts = world.env.rebuild(&["--update"]);
    assert_eq!((counts.built, counts.executed), (1, 1), "{counts:?}");
    // What the steps did not bring in is no reason to run them for ever.
    let counts = world.env.rebuild(&["--update"]);
    assert_eq!((counts.built, counts.executed), (0, 0), "{counts:?}");
    // Packages of other archives than those for security do not count here.
    watching(&world, &busybox, "watch \"packages\" only=\"security\"");
    std::fs::remove_file(world.lock_path()).unwrap();
    world.env.rebuild(&[]);
    let _ = world.check(&[]).ok();
}
