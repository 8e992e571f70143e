//! Programs that mean no good, or are broken: they end with their step and harm nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mabuild_sandbox::{Call, CallError, CancelHandle, Exit, MinFree, Mount, Source, call};

use crate::Test;
use crate::lifetime::{count, eventually, mark};
use crate::world::{Outcome, Request, World};

pub const TESTS: &[Test] = &[
    ("processes_have_a_limit", processes_have_a_limit),
    ("a_fork_bomb_has_a_limit", a_fork_bomb_has_a_limit),
    ("output_without_end_is_stopped_in_time", output_without_end_is_stopped_in_time),
    ("a_lot_of_output_takes_little_memory", a_lot_of_output_takes_little_memory),
    ("daemons_die_with_the_program", daemons_die_with_the_program),
    ("a_stopped_program_can_be_killed", a_stopped_program_can_be_killed),
    ("the_disk_is_not_filled", the_disk_is_not_filled),
    ("a_full_disk_is_told_at_once", a_full_disk_is_told_at_once),
    ("limits_are_those_of_docker", limits_are_those_of_docker),
];

fn processes() -> usize {
    let is_number = |name: &std::ffi::OsStr| name.as_encoded_bytes()[0].is_ascii_digit();
    std::fs::read_dir("/proc").unwrap().flatten().filter(|e| is_number(&e.file_name())).count()
}

/// Says why there is no limit of processes here, where there is none.
fn limited(world: &World) -> Outcome {
    if world.kind == "full" && mabuild_sandbox::probe().kernel_version < (6, 14) {
        return Err("before Linux 6.14 nothing limits root".into());
    }
    Ok(())
}

fn processes_have_a_limit(world: &World) -> Outcome {
    limited(world)?;
    let mut spec = world.script("i=0; while sleep 60 & do i=$((i+1)); echo $i; done; echo never");
    spec.max_processes = 400;
    let ran = world.run(vec![spec])?;
    let count = ran.output.lines().filter_map(|line| line.parse::<u32>().ok()).next_back().unwrap();
    assert!((350..400).contains(&count), "{count}");
    assert!(ran.output.contains("can't fork") && !ran.output.contains("never"), "{}", ran.output);
    Ok(())
}

fn a_fork_bomb_has_a_limit(world: &World) -> Outcome {
    limited(world)?;
    let mut spec = world.script(
        "bomb() { bomb | bomb & }; bomb 2>/dev/null; i=0; \
         while [ $i -lt 40000 ]; do i=$((i+1)); done; echo survived",
    );
    spec.max_processes = 400;
    let request = world.request(vec![spec])?;
    let before = processes();
    let (done, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(processes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let ran = world.try_request(&request);
        done.store(true, Ordering::Relaxed);
        ran
    });
    assert!(ran.1.ends_with("survived\n"), "{:?} {}", ran.0, ran.1);
    // Others start processes, too.
    let most = most.into_inner();
    assert!(most < before + 700, "{most} {before}");
    Ok(())
}

fn start(
    world: &World,
    request: &Request,
    cancel: CancelHandle,
    deadline: Duration,
    output: impl FnMut(&[u8]) + Send + 'static,
) -> Result<Vec<u8>, CallError> {
    call(Call {
        op: "run",
        request: &serde_json::to_vec(request).unwrap(),
        id_map: world.id_map.clone(),
        output: Some(Box::new(output)),
        cancel,
        deadline: Some(deadline),
    })
}

fn output_without_end_is_stopped_in_time(world: &World) -> Outcome {
    let request = world.request(vec![world.script("cat /dev/zero")])?;
    let begun = Instant::now();
    let limit = Duration::from_millis(300);
    // Slower than the program, so that there is always more to read.
    let slow = |_: &[u8]| std::thread::sleep(Duration::from_micros(200));
    let result = start(world, &request, CancelHandle::new(), limit, slow);
    assert!(matches!(result, Err(CallError::TimedOut(_))), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    Ok(())
}

/// Memory of this process now, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn a_lot_of_output_takes_little_memory(world: &World) -> Outcome {
    const MIB: u64 = 1 << 20;
    let request =
        world.request(vec![world.script("dd if=/dev/zero bs=1M count=1000 2>/dev/null")])?;
    let arrived = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let seen = Arc::clone(&arrived);
    let before = memory();
    let mut pieces = 0_u64;
    start(world, &request, CancelHandle::new(), Duration::from_secs(60), move |bytes| {
        seen.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        pieces += 1;
        if pieces.is_multiple_of(1000) {
            seen.1.fetch_max(memory(), Ordering::Relaxed);
        }
    })
    .unwrap();
    assert_eq!(arrived.0.load(Ordering::Relaxed), 1000 * MIB);
    let grown = arrived.1.load(Ordering::Relaxed).saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown}");
    Ok(())
}

fn daemons_die_with_the_program(world: &World) -> Outcome {
    let mark = mark(world, 5);
    // Each holds the output open, in a session of its own, deaf to requests, with another parent.
    let daemon = format!("setsid sh -c 'trap \"\" TERM HUP INT; sleep 300.{mark}; true'");
    let begun = Instant::now();
    let ran = world.sh(&format!(
        "({daemon} &) ; ({daemon} & exec setsid {daemon}) & while [ $(ps | wc -l) -lt 8 ]; do :; done; \
         echo done"
    ))?;
    assert_eq!((ran.output.as_str(), ran.exit()), ("done\n", Exit::Code(0)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(count(&mark), 0);
    Ok(())
}

fn a_stopped_program_can_be_killed(world: &World) -> Outcome {
    let ran =
        world.sh("(kill -STOP $$; sleep 0.1; kill -CONT $$) & wait; kill -STOP 1; echo on")?;
    assert_eq!(ran.output, "on\n");
    let mark = mark(world, 6);
    let request =
        world.request(vec![world.script(&format!("sleep 300.{mark} & kill -STOP $$"))])?;
    let cancel = CancelHandle::new();
    let result = std::thread::scope(|scope| {
        let (request, handle, long) = (&request, cancel.clone(), Duration::from_secs(60));
        let running = scope.spawn(move || start(world, request, handle, long, |_| ()));
        eventually("the program did not start", || count(&mark) > 0);
        cancel.cancel();
        running.join().unwrap()
    });
    assert!(matches!(result, Err(CallError::Cancelled)), "{result:?}");
    assert_eq!(count(&mark), 0);
    Ok(())
}

/// A request whose program writes to a small disk at `/disk`, of which 32 MiB must stay free.
fn on_small_disk(world: &World, script: &str) -> Result<Request, String> {
    let disk = world.dir();
    let mut spec = world.script(script);
    spec.min_free = Some(MinFree { path: disk.clone(), bytes: 32 << 20 });
    let source = Source::Path(disk.clone());
    spec.mounts = vec![Mount { source, target: "/disk".into(), read_only: false }];
    Ok(Request { disk: Some(disk), ..world.request(vec![spec])? })
}

fn the_disk_is_not_filled(world: &World) -> Outcome {
    let mark = mark(world, 7);
    let few = "dd if=/dev/zero of=/disk/a bs=1M count=20 2>/dev/null; echo fits";
    let (result, output) = world.try_request(&on_small_disk(world, few)?);
    assert_eq!((result.unwrap()[0].exit, output.as_str()), (Exit::Code(0), "fits\n"));
    let many = format!("dd if=/dev/zero of=/disk/a bs=1M count=48 2>/dev/null; sleep 300.{mark}");
    let begun = Instant::now();
    let (result, _) = world.try_request(&on_small_disk(world, &many)?);
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("disk full: "), "{error}");
    assert!(error.contains("32 MiB must stay free"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(count(&mark), 0);
    Ok(())
}

fn a_full_disk_is_told_at_once(world: &World) -> Outcome {
    let mut request = on_small_disk(world, "echo never")?;
    request.specs[0].min_free.as_mut().unwrap().bytes = 100 << 20;
    let (result, output) = world.try_request(&request);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("100 MiB must stay free"), "{error}");
    assert_eq!(output, "");
    Ok(())
}

fn limits_are_those_of_docker(world: &World) -> Outcome {
    let ran = world.sh("ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; umask")?;
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let files = most.map_or(1_048_576, |most| most.min(1_048_576));
    assert_eq!(ran.output, format!("{files}\n{files}\n0\n0\n0022\n"));
    Ok(())
}
