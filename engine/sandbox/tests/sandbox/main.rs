//! Tests of the sandbox on a real kernel. The program needs a `main` of its own, because the
//! sandbox runs it again as its helper. As root it tests the full and the ranges map, and then runs
//! itself once more as an ordinary user for the single map.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by a panic, and this program is nothing but tests"
)]

mod emulation;
mod hostile;
mod isolation;
mod lifetime;
mod mounts;
mod owners;
mod probe;
mod rights;
mod roots;
mod terminal;
mod world;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use mabuild_sandbox::{IdMap, Range};
use world::{Outcome, World};

/// An id that no user of the system has.
const NOBODY_ELSE: u32 = 12345;

/// What this program does as a part of a test, by its first argument.
const MODES: &[Mode] = &[
    (lifetime::OUTER, lifetime::outer),
    (terminal::ATTACHED, terminal::attached),
    (probe::PROBE, probe::main),
];

type Mode = (&'static str, fn(&[String]));

type Test = (&'static str, fn(&World) -> Outcome);

fn tests() -> Vec<Test> {
    [
        roots::TESTS,
        mounts::TESTS,
        isolation::TESTS,
        rights::TESTS,
        lifetime::TESTS,
        hostile::TESTS,
        terminal::TESTS,
        owners::TESTS,
        emulation::TESTS,
    ]
    .concat()
}

fn main() -> ExitCode {
    mabuild_sandbox::init(world::handle);
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    if let [mode, rest @ ..] = args.as_slice()
        && let Some((_, run)) = MODES.iter().find(|(name, _)| name == mode)
    {
        run(rest);
        return ExitCode::SUCCESS;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-')).cloned().unwrap_or_default();
    let mut failed = 0;
    if rustix::process::geteuid().is_root() {
        let range = |outside| vec![Range { inside: 0, outside, count: 65536 }];
        failed += run_all("full", IdMap::Full, &filter);
        let ranges = IdMap::Ranges { uid: range(100_000), gid: range(200_000) };
        failed += run_all("ranges", ranges, &filter);
        failed += run_as_user(&filter);
    } else {
        failed += run_all("single", IdMap::Single, &filter);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(kind: &'static str, id_map: IdMap, filter: &str) -> usize {
    let world = World::new(kind, id_map);
    let mut failed = 0;
    for (name, test) in tests() {
        let name = format!("{kind}::{name}");
        if !name.contains(filter) {
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| test(&world))) {
            Ok(Ok(())) => println!("test {name} ... ok"),
            Ok(Err(reason)) => println!("test {name} ... skipped: {reason}"),
            Err(_) => {
                println!("test {name} ... FAILED");
                failed += 1;
            }
        }
    }
    failed
}

/// Runs this program again as an ordinary user, from a place that every user can read.
fn run_as_user(filter: &str) -> usize {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = dir.path().join("sandbox-tests");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let status = Command::new(&copy)
        .arg(filter)
        .env("TMPDIR", "/tmp")
        .current_dir("/")
        .uid(NOBODY_ELSE)
        .gid(NOBODY_ELSE)
        .status()
        .unwrap();
    usize::from(!status.success())
}
