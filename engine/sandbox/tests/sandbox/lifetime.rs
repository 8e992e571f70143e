//! Nothing outlives its call.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mabuild_sandbox::{Call, CallError, CancelHandle, call};

use crate::Test;
use crate::world::{Outcome, Request, World};

pub const TESTS: &[Test] = &[
    ("cancel_kills_everything", cancel_kills_everything),
    ("a_cancelled_handle_starts_nothing", a_cancelled_handle_starts_nothing),
    ("the_deadline_kills_everything", the_deadline_kills_everything),
    ("left_over_processes_die_with_the_program", left_over_processes_die_with_the_program),
    ("nothing_survives_a_killed_program", nothing_survives_a_killed_program),
    ("nothing_stays_mounted", nothing_stays_mounted),
    ("the_helper_hears_of_no_ctrl_c", the_helper_hears_of_no_ctrl_c),
];

/// First argument of the program that is to be killed.
pub const OUTER: &str = "--outer";

/// Forks into the background, out of the session, with closed outputs; the mark is an argument
/// that no other process has.
fn stubborn(mark: &str) -> String {
    format!(
        "(trap '' TERM HUP INT; exec sleep 300.{mark}) >/dev/null 2>&1 & sleep 300.{mark} & \
         echo up; wait; sleep 300.{mark}"
    )
}

/// Counts the processes of the host whose command line holds `mark`.
pub fn count(mark: &str) -> usize {
    let wanted = format!("300.{mark}");
    let is_it = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|arg| arg == wanted.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().filter(is_it).count()
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn mark(world: &World, test: u32) -> String {
    format!("{}{test}{}", std::process::id(), world.kind.len())
}

fn cancel_kills_everything(world: &World) -> Outcome {
    let mark = mark(world, 1);
    let request = world.request(vec![world.script(&stubborn(&mark))])?;
    let cancel = CancelHandle::new();
    let result = std::thread::scope(|scope| {
        let running = scope.spawn(|| start(world, &request, cancel.clone(), None));
        eventually("the program did not start", || count(&mark) >= 2);
        let since = Instant::now();
        cancel.cancel();
        let result = running.join().unwrap();
        assert!(since.elapsed() < Duration::from_secs(2));
        result
    });
    assert!(matches!(result, Err(CallError::Cancelled)), "{result:?}");
    assert_eq!(count(&mark), 0);
    Ok(())
}

fn start(
    world: &World,
    request: &Request,
    cancel: CancelHandle,
    deadline: Option<Duration>,
) -> Result<Vec<u8>, CallError> {
    call(Call {
        op: "run",
        request: &serde_json::to_vec(request).unwrap(),
        id_map: world.id_map.clone(),
        output: Some(Box::new(|_| ())),
        cancel,
        deadline,
    })
}

fn a_cancelled_handle_starts_nothing(world: &World) -> Outcome {
    let cancel = CancelHandle::new();
    cancel.cancel();
    let request = world.request(Vec::new())?;
    assert!(matches!(start(world, &request, cancel, None), Err(CallError::Cancelled)));
    Ok(())
}

fn the_deadline_kills_everything(world: &World) -> Outcome {
    let mark = mark(world, 2);
    let request = world.request(vec![world.script(&stubborn(&mark))])?;
    let limit = Duration::from_millis(700);
    let result = start(world, &request, CancelHandle::new(), Some(limit));
    assert!(matches!(result, Err(CallError::TimedOut(after)) if after == limit), "{result:?}");
    assert_eq!(count(&mark), 0);
    Ok(())
}

fn left_over_processes_die_with_the_program(world: &World) -> Outcome {
    let mark = mark(world, 3);
    let ran =
        world.sh(&format!("(sleep 300.{mark} >/dev/null 2>&1 &); sleep 300.{mark} & echo done"))?;
    assert_eq!(ran.output, "done\n");
    assert_eq!(count(&mark), 0);
    Ok(())
}

/// The program that is killed: runs a request from a file.
pub fn outer(args: &[String]) {
    let [file, kind] = args else { panic!("{args:?}") };
    let request: Request = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let id_map = match kind.as_str() {
        "full" => mabuild_sandbox::IdMap::Full,
        _ => mabuild_sandbox::IdMap::Single,
    };
    let result = call(Call {
        op: "run",
        request: &serde_json::to_vec(&request).unwrap(),
        id_map,
        output: Some(Box::new(|_| ())),
        cancel: CancelHandle::new(),
        deadline: None,
    });
    panic!("{result:?}");
}

fn nothing_survives_a_killed_program(world: &World) -> Outcome {
    if world.kind == "ranges" {
        return Err("the same as with the full map".into());
    }
    let mark = mark(world, 4);
    let request = world.request(vec![world.script(&stubborn(&mark))])?;
    let file = world.dir().join("request");
    fs::write(&file, serde_json::to_vec(&request).unwrap()).unwrap();
    let mut program = Command::new("/proc/self/exe")
        .args([OUTER, file.to_str().unwrap(), world.kind])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the program did not start", || count(&mark) >= 2);
    program.kill().unwrap();
    program.wait().unwrap();
    eventually("processes survived", || count(&mark) == 0);
    Ok(())
}

fn nothing_stays_mounted(world: &World) -> Outcome {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    world.sh("true")?;
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    Ok(())
}

fn the_helper_hears_of_no_ctrl_c(world: &World) -> Outcome {
    // The helper sends these to itself and lives; a terminal cannot even reach it.
    let group = world.call("signals", &[]).unwrap();
    let group: i32 = String::from_utf8(group).unwrap().parse().unwrap();
    assert_ne!(group, rustix::process::getpgrp().as_raw_pid());
    // The programs inside are as sensible to signals as ever.
    assert_eq!(world.sh("kill -INT $$; echo lives")?.exit(), mabuild_sandbox::Exit::Signal(2));
    Ok(())
}
