//! Plans measured in a process of their own, so that the highest memory is that of one plan.
//! Everything counts from the open file to the plan: load, link, lower, facts, keys, plan. Only
//! printing does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mabuild_engine::graph::Part;
use mabuild_engine::ops::{self, Env, Project, ProjectRequest, RunRequest};
use mabuild_engine::plan::Action;
use mabuild_engine::store::{ResultKind, ResultRow, Store};
use mabuild_oci::Digest;

/// First argument of the process that is measured.
const CHILD: &str = "--child";
/// Nodes of the graph that share one blob in a filled store, so that a large one is quickly made.
const SHARED: u32 = 16;

/// What one plan took.
pub struct Plan {
    /// Load, link and lower.
    pub open: Duration,
    /// Selection, facts, keys, plan.
    pub plan: Duration,
    /// Time of all processors, which says more than the others on a busy machine.
    pub busy: Duration,
    /// Highest resident memory, in bytes.
    pub peak: u64,
    /// Nodes of the plan, indexes included.
    pub nodes: u32,
    /// How many of them are up to date.
    pub kept: u32,
}

impl Plan {
    /// All of it.
    pub fn took(&self) -> Duration {
        self.open + self.plan
    }

    /// One line for a person.
    pub fn show(&self, what: &str) -> String {
        let Self { open, plan, busy, peak, nodes, kept } = self;
        format!(
            "{what}: {} ms ({} ms load, link, lower; {} ms facts, keys, plan: {} ns a node; \
             processors busy for {} ms), {} MB, {kept} of {nodes} nodes up to date",
            self.took().as_millis(),
            open.as_millis(),
            plan.as_millis(),
            plan.as_nanos() / u128::from(*nodes).max(1),
            busy.as_millis(),
            peak >> 20,
        )
    }

    /// Holds a plan against its limits.
    pub fn hold(&self, took: Duration, limit: Duration, memory: u64) {
        println!("  limits: {} ms, {} MB", limit.as_millis(), memory >> 20);
        must(took <= limit && self.peak <= memory, "over the limit");
    }
}

/// Ends with an error when `MABUILD_BENCH_ASSERT` is set and a limit is not held.
pub fn must(held: bool, what: &str) {
    assert!(std::env::var_os("MABUILD_BENCH_ASSERT").is_none() || held, "{what}");
}

/// Does what this process was started for when it is one that is measured.
pub fn be_child() -> bool {
    let args: Vec<String> = std::env::args().collect();
    match args.as_slice() {
        [_, child, what, project, store] if child == CHILD => {
            let (project, store) = (Path::new(project), Path::new(store));
            match what.as_str() {
                "fill" => fill(project, store),
                _ => measure(project, store),
            }
            true
        }
        _ => false,
    }
}

/// The best of some plans of the project in a folder.
pub fn plan(project: &Path, store: &Path, tries: usize) -> Plan {
    let plans = (0..tries).map(|_| {
        let text = start("plan", project, store);
        let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let [open, plan, busy, peak, nodes, kept] = numbers[..] else { panic!("{text}") };
        Plan {
            open: Duration::from_micros(open),
            plan: Duration::from_micros(plan),
            busy: Duration::from_micros(busy),
            peak,
            nodes: nodes as u32,
            kept: kept as u32,
        }
    });
    plans.min_by_key(Plan::took).unwrap()
}

/// Puts a result for every node into the store, as if all had been built.
pub fn fill_store(project: &Path, store: &Path) {
    start("fill", project, store);
}

fn start(what: &str, project: &Path, store: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args([CHILD, what]).arg(project).arg(store).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn env(project: &Path) -> Env {
    Env { cwd: project.to_owned(), vars: BTreeMap::new(), now: 1_700_000_000 }
}

fn open(env: &Env) -> Project {
    let project = ops::open(env, &ProjectRequest::default()).unwrap();
    assert!(!project.loaded.has_errors(), "{:?}", project.loaded.diagnostics.first());
    project
}

fn request(store: &Path) -> RunRequest {
    RunRequest { store: store.to_owned(), offline: true, ..RunRequest::default() }
}

fn measure(project: &Path, store: &Path) {
    let env = env(project);
    let start = Instant::now();
    let project = open(&env);
    let opened = start.elapsed();
    let planning = ops::plan(&env, &project, &request(store)).unwrap();
    let all = start.elapsed();
    let nodes = &planning.plan.nodes;
    let kept = nodes.iter().filter(|n| matches!(n.action, Action::Keep { .. })).count();
    println!(
        "{} {} {} {} {} {kept}",
        opened.as_micros(),
        (all - opened).as_micros(),
        busy().as_micros(),
        peak(),
        nodes.len()
    );
}

/// Processor time of this process, from proc(5): fields 14 and 15 in hundredths of a second, the
/// 12th and 13th behind the bracket.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Highest resident memory of this process, from proc(5).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Gives every node that would be built a result, level by level, until nothing is left.
fn fill(project: &Path, store: &Path) {
    let env = env(project);
    let project = open(&env);
    let graph = &project.lowered.as_ref().unwrap().graph;
    let open = Store::open(store).unwrap();
    loop {
        let planning = ops::plan(&env, &project, &request(store)).unwrap();
        if planning.plan.is_clean() {
            return;
        }
        let mut filled = 0;
        for planned in planning.plan.nodes.iter().filter(|n| n.action == Action::Build) {
            let Some(key) = planned.key else { continue };
            let index = graph.node(planned.node).part == Part::Index;
            let content = format!("{} {index}", planned.node.0 / SHARED);
            let digest = Digest::sha256(&content);
            let blob = open.layout().path_of(&digest);
            if !blob.exists() {
                std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
                std::fs::write(blob, content).unwrap();
            }
            let kind = if index { ResultKind::Index } else { ResultKind::Manifest };
            let row = ResultRow { digest: digest.to_string(), kind, seconds: 1.0 };
            open.put_result(&key, &row).unwrap();
            filled += 1;
        }
        assert!(filled > 0, "a plan that cannot be filled: {:?}", planning.plan.nodes.first());
    }
}
