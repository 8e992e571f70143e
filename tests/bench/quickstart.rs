//! The quickstart from an empty store: where the time goes, and how busy the processors are.
//! Downloads come out of a relay that has them in memory, so that the network does not count.
//!
//!     cargo build --release -p mabuild && cargo bench -p mabuild-tests --bench quickstart
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up fails by a panic")]

use mabuild_tests::env::{TestEnv, source_tree};

#[path = "children.rs"]
mod children;

const PHASES: [&str; 5] = ["download", "unpack", "run_native", "run_emulated", "pack"];

fn main() {
    let build = || {
        let mut env = TestEnv::new();
        if let Err(e) = env.with_mirror() {
            println!("SKIPPED: {e}");
            return None;
        }
        env.copy_in(&source_tree().join("examples/quickstart"));
        let before = children::busy();
        let run = env.try_rebuild(&[]).ok();
        Some((run, children::busy() - before))
    };
    // The first run fills the relay.
    let (Some(_), Some((run, busy))) = (build(), build()) else { return };
    let report = run.json();
    let wall = run.took.as_secs_f64();
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    println!("quickstart from an empty store: {wall:.2} s");
    for phase in PHASES {
        let seconds = report["summary"]["phases"][phase].as_f64().unwrap();
        println!(
            "  {phase:<13} {seconds:6.2} s of work, {:3.0} % of the wall time",
            100.0 * seconds / wall
        );
    }
    println!(
        "  processor time {:.2} s: {:.0} % of {cores} cores",
        busy.as_secs_f64(),
        100.0 * busy.as_secs_f64() / wall / cores
    );
}
