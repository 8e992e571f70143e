//! How long a rebuild takes that has nothing to do: 1,000 images on 4 platforms with 10,000
//! files. Beside it, in the same run, what `git status` takes for the same files.
//!
//!     cargo build --release -p mabuild && cargo bench -p mabuild-tests --bench noop
//!
//! With `MABUILD_BENCH_ASSERT` set, ends with an error when the limit is passed.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up fails by a panic")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;

const IMAGES: usize = 1000;
const FILES: usize = 10;
const LIMIT: Duration = Duration::from_millis(250);
const TRIES: usize = 7;

fn main() {
    let env = TestEnv::new();
    set_up(&env);
    let start = Instant::now();
    let counts = env.rebuild(&[]);
    println!("first run: {} nodes built in {:.1} s", counts.built, start.elapsed().as_secs_f64());
    // Files hashed within the clock's resolution are not remembered; the next run does that.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(env.rebuild(&[]).built, 0);
    let ours = best(|| {
        let run = env.mabuild(&["graph", "rebuild"]).ok();
        assert!(run.stderr.contains("up to date"), "{}", run.stderr);
        run.took
    });
    let git = best(|| git_status(&env));
    let ratio = ours.as_secs_f64() / git.as_secs_f64();
    println!(
        "no-op rebuild of {IMAGES} images × 4 platforms, {} files: {} ms (limit {} ms); \
         git status of the same files: {} ms, ratio {ratio:.1}",
        IMAGES * FILES,
        ours.as_millis(),
        LIMIT.as_millis(),
        git.as_millis(),
    );
    assert!(std::env::var_os("MABUILD_BENCH_ASSERT").is_none() || ours <= LIMIT, "too slow");
}

fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..TRIES).map(|_| run()).min().unwrap()
}

fn set_up(env: &TestEnv) {
    let tree = Tar::default().dir("./", 0o755).file("hello", 0o644, "hello\n");
    env.write("tree.tar", tree.plain());
    let mut file = String::from(
        "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\" \"linux/s390x\"\n\
         base \"tree\" { rootfs \"tree.tar\" }\n",
    );
    for image in 0..IMAGES {
        // Chains of ten, so that the graph has depth.
        let below =
            if image % 10 == 0 { "tree".to_owned() } else { format!("image-{}", image - 1) };
        file.push_str(&format!(
            "image \"image-{image}\" {{\n    from \"{below}\"\n    context \"ctx/{image}\"\n    steps {{\n        \
             copy \".\" \"/srv/{image}/\" mode=\"0644\"\n        env IMAGE=\"{image}\" PLATFORM=\"{{{{platform}}}}\"\n    \
             }}\n    label \"org.example.number\" \"{image}\"\n    tags \"1.{image}\" \"latest\"\n}}\n\n"
        ));
        for at in 0..FILES {
            env.write(&format!("ctx/{image}/file-{at}.txt"), format!("{image} {at}\n").repeat(20));
        }
    }
    println!("mabuild.kdl has {} KB", file.len() / 1000);
    env.write("mabuild.kdl", file);
}

fn git_status(env: &TestEnv) -> Duration {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(env.project()).args(args).stdout(Stdio::null());
        assert!(command.status().unwrap().success());
    };
    if !env.path(".git").exists() {
        git(&["init", "-q"]);
        git(&["add", "."]);
    }
    let start = Instant::now();
    git(&["status", "--porcelain"]);
    start.elapsed()
}
