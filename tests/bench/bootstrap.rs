//! A minimal Debian system from an empty store, beside what mmdebstrap and debootstrap need for
//! the same, and minideb for all its processors. Everything is downloaded out of a relay that has
//! it in memory, so that the network does not count.
//!
//!     cargo build --release -p mabuild && cargo bench -p mabuild-tests --bench bootstrap
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up fails by a panic")]

use std::process::Command;
use std::time::Instant;

use mabuild_tests::env::{TestEnv, has, host};
use mabuild_tests::server::mirror;

#[path = "children.rs"]
mod children;

const SUITE: &str = "bookworm";
const ROUNDS: usize = 3;
const ALL: &str = r#""linux/amd64" "linux/arm64" "linux/arm/v7" "linux/arm/v5" "linux/386" "linux/ppc64le" "linux/s390x" "linux/mips64le""#;

/// What one system took, in seconds.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    processor: f64,
}

fn main() {
    let relay = match mirror() {
        Ok(relay) => relay,
        Err(e) => return println!("SKIPPED: {e}"),
    };
    let host = format!("{:?}", host());
    let best = |what: &str, f: &dyn Fn() -> Option<Took>| {
        // The first fills the relay.
        f()?;
        let runs: Vec<Took> = (0..ROUNDS).map(|_| f()).collect::<Option<_>>()?;
        let best = runs.into_iter().min_by(|a, b| a.wall.total_cmp(&b.wall))?;
        println!("{what:<12} {:6.2} s, processors busy for {:6.2} s", best.wall, best.processor);
        Some(best)
    };
    println!("minbase of {SUITE} for {host}, the best of {ROUNDS}");
    let Some(ours) = best("mabuild", &|| mabuild("minbase", &host)) else { return };
    for (peer, asked) in [("mmdebstrap", 2.0), ("debootstrap", 4.0)] {
        if !has(peer) {
            println!("SKIPPED: {peer} is not installed");
            continue;
        }
        let theirs = best(peer, &|| Some(other(peer, &relay.address))).unwrap();
        println!("  {:.1} times ours; asked for: {asked}", theirs.wall / ours.wall);
    }
    println!("minideb of {SUITE} for eight processors in one run");
    let one = mabuild("minideb", ALL).and_then(|_| mabuild("minideb", ALL));
    if let Some(Took { wall, processor }) = one {
        println!("{:<12} {wall:6.2} s, processors busy for {processor:6.2} s", "mabuild");
    }
}

/// Builds a base from an empty store.
fn mabuild(variant: &str, platforms: &str) -> Option<Took> {
    let mut env = TestEnv::new();
    if let Err(e) = env.with_mirror() {
        println!("SKIPPED: {e}");
        return None;
    }
    env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms {platforms}\n\
             base \"min\" {{ debian \"{SUITE}\" {{ variant \"{variant}\" }} }}\n"
        ),
    );
    Some(measured(|| drop(env.try_rebuild(&[]).ok())))
}

/// Builds a system as a folder by another tool, which takes root.
fn other(tool: &str, mirror: &str) -> Took {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("root");
    let mut command = Command::new(tool);
    command.args(["--variant=minbase", SUITE]).arg(&target).arg(mirror);
    measured(|| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    })
}

fn measured(work: impl FnOnce()) -> Took {
    let (before, start) = (children::busy(), Instant::now());
    work();
    let wall = start.elapsed().as_secs_f64();
    Took { wall, processor: (children::busy() - before).as_secs_f64() }
}
