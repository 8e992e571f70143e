//! How `graph plan` grows: 100, 1,000 and 10,000 images on 9 platforms, with time and memory.
//!
//!     cargo build --release -p mabuild && cargo bench -p mabuild-tests --bench plan
//!
//! With `MABUILD_BENCH_ASSERT` set, ends with an error when a limit is passed.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up fails by a panic")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;

const LIMIT: Duration = Duration::from_secs(3);
const MEMORY: u64 = 400 << 20;
const PLATFORMS: &str = r#""linux/amd64" "linux/arm64" "linux/arm/v7" "linux/arm/v6" "linux/arm/v5" "linux/386" "linux/ppc64le" "linux/s390x" "linux/riscv64""#;

fn main() {
    let mut last = None;
    for images in [100, 1000, 10_000] {
        let env = TestEnv::new();
        set_up(&env, images);
        // The first plan hashes the archive; the second is what is asked for.
        measure(&env);
        let (took, memory) = measure(&env);
        let growth = last.map_or(String::new(), |before: Duration| {
            format!(", {:.1} × that of a tenth", took.as_secs_f64() / before.as_secs_f64())
        });
        println!(
            "plan of {images} images × 9 platforms: {} ms, {} MB{growth}",
            took.as_millis(),
            memory >> 20
        );
        if images == 10_000 {
            println!("limits: {} ms, {} MB", LIMIT.as_millis(), MEMORY >> 20);
            let held = took <= LIMIT && memory <= MEMORY;
            assert!(std::env::var_os("MABUILD_BENCH_ASSERT").is_none() || held, "over the limit");
        }
        last = Some(took);
    }
}

fn set_up(env: &TestEnv, images: usize) {
    let tree = Tar::default().dir("./", 0o755).file("hello", 0o644, "hello\n");
    env.write("tree.tar", tree.plain());
    let mut file =
        format!("mabuild 1\nplatforms {PLATFORMS}\nbase \"tree\" {{ rootfs \"tree.tar\" }}\n");
    for image in 0..images {
        let below =
            if image % 10 == 0 { "tree".to_owned() } else { format!("image-{}", image - 1) };
        file.push_str(&format!(
            "image \"image-{image}\" {{\n    from \"{below}\"\n    steps {{\n        file \"/number\" \"{image}\\n\"\n        \
             env PLATFORM=\"{{{{platform}}}}\"\n    }}\n    label \"org.example.number\" \"{image}\"\n}}\n\n"
        ));
    }
    env.write("mabuild.kdl", file);
}

/// Wall time and highest memory of one plan.
fn measure(env: &TestEnv) -> (Duration, u64) {
    let output = std::fs::File::create(env.root.path().join("plan.json")).unwrap();
    let mut command = env.command(&["graph", "plan", "--format", "json"]);
    command.stdout(output).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut memory = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let high = status.ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        memory = memory.max(high.unwrap_or(0) << 10);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return (start.elapsed(), memory);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
