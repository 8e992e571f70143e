//! Interrupted and killed runs: nothing finished is lost, nothing is left behind.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use mabuild_tests::env::{Running, TestEnv, host, skip};
use mabuild_tests::fixture::busybox;
use mabuild_tests::random::Random;

/// A chain whose steps take some time, for this machine's platform.
fn project(step: &str) -> Option<TestEnv> {
    let env = TestEnv::new();
    match busybox(host()) {
        Ok(archive) => env.write("root.tar.gz", archive),
        Err(e) => {
            skip(&e);
            return None;
        }
    };
    let mut file =
        format!("mabuild 1\nplatforms {:?}\nbase \"bb\" {{ rootfs \"root.tar.gz\" }}\n", host());
    let mark = env.root.path().display();
    let mut below = "bb".to_owned();
    for at in 1..=5 {
        // The variable makes every process of a step one that the test can find.
        let links = match at {
            1 => {
                format!("env MARK=\"{mark}\"; run \"/bin/busybox\" \"--install\" \"-s\" \"/bin\"; ")
            }
            _ => String::new(),
        };
        file.push_str(&format!(
            "image \"i{at}\" {{ from \"{below}\"; steps {{ {links}run \"{step}; echo {at} > /f{at}\" }} }}\n"
        ));
        below = format!("i{at}");
    }
    env.write("mabuild.kdl", file);
    Some(env)
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < end, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start(env: &TestEnv) -> Running {
    env.spawn(&["graph", "rebuild", "--report", "json", "--progress", "plain"])
}

#[test]
fn interrupt_stops_soon_and_keeps_what_is_finished() {
    let Some(env) = project("sleep $(test -e /f2 && echo 60 || echo 0)") else { return };
    for whole_group in [true, false] {
        let running = start(&env);
        wait_for("the long step", || env.processes().iter().any(|line| line.contains("sleep 60")));
        let at = Instant::now();
        if whole_group {
            running.signal(Signal::INT);
        } else {
            running.signal_alone(Signal::INT);
        }
        let run = running.wait().fails(130);
        assert!(at.elapsed() < Duration::from_secs(5), "{:?}\n{}", at.elapsed(), run.stderr);
        env.assert_quiet();
    }
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write("mabuild.kdl", text.replace("echo 60", "echo 00"));
    env.rebuild(&["i5"]);
    let plain = TestEnv::new();
    plain.copy_in(&env.project());
    plain.rebuild(&[]);
    assert_eq!(env.digest("i5:latest"), plain.digest("i5:latest"));
}

#[test]
fn finished_nodes_survive_an_interrupt() {
    let Some(env) = project("sleep $(test -e /f2 && echo 60 || echo 0)") else { return };
    let running = start(&env);
    wait_for("the long step", || env.processes().iter().any(|line| line.contains("sleep 60")));
    running.signal(Signal::INT);
    running.wait().fails(130);
    let counts = env.rebuild(&["i2"]);
    assert_eq!((counts.built, counts.executed, counts.kept), (0, 0, 3), "{counts:?}");
}

#[test]
fn killed_at_any_moment_leaves_nothing_to_trip_over() {
    let Some(env) = project("sleep 0.02") else { return };
    let whole = TestEnv::new();
    whole.copy_in(&env.project());
    let run = whole.try_rebuild(&[]).ok();
    let digests = whole.digests();
    let mut random = Random(7);
    for _ in 0..12 {
        let running = start(&env);
        let micros = run.took.as_micros() as usize;
        std::thread::sleep(Duration::from_micros(random.below(micros) as u64));
        running.signal_alone(Signal::KILL);
        running.wait();
        env.assert_quiet();
        let text = env.mabuild(&["image", "ls", "--format", "json"]).ok().stdout;
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
    env.rebuild(&[]);
    assert_eq!(env.digests(), digests);
    env.mabuild(&["store", "verify"]).ok();
}

#[test]
fn killed_runs_lose_no_finished_node() {
    let Some(env) = project("sleep 0.2") else { return };
    let mut executed = 0;
    for _ in 0..30 {
        let running = start(&env);
        std::thread::sleep(Duration::from_millis(900));
        running.signal_alone(Signal::KILL);
        let run = running.wait();
        if run.code == Some(0) {
            executed = 1;
            break;
        }
    }
    assert_eq!(executed, 1, "runs of a fifth of the whole time never got to the end");
}
