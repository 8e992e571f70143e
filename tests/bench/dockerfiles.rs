//! Dockerfiles built by mabuild, by BuildKit (all targets of a bake file at once), and by buildah:
//!
//! - `cold`: 20 Dockerfiles of two stages on 2 platforms, from nothing;
//! - `edit`: one line changed in the last of a chain of 10 images;
//! - `noop`: 50 targets on 2 platforms, nothing changed;
//! - `base`: 100 images that only copy, and the base below them has moved.
//!
//! To run all, or those that are named:
//!
//!     cargo build --release -p mabuild && tests/judge
//!     cargo bench -p mabuild-tests --bench dockerfiles [-- NAME…]
//!
//! With `MABUILD_BENCH_ASSERT` set, ends with an error when another one is faster.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot be set up fails by a panic"
)]

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use mabuild_tests::buildkit::{Judge, judge};
use mabuild_tests::cases;
use mabuild_tests::env::TestEnv;
use mabuild_tests::layout::layout;
use serde_json::{Value, json};

/// The second runs the same program: that one is for a 64 bit processor does not matter to it.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/386"];
/// With 100 targets at once, BuildKit gives up: its deadlines pass.
const AT_ONCE: usize = 50;
/// Of the runs that change nothing for the next one, the best counts.
const TRIES: usize = 3;

/// Images of a benchmark, the same for all builders.
struct Fleet {
    env: TestEnv,
    images: usize,
    /// Whether each stands on the one before.
    chain: bool,
}

fn main() {
    let judge = match judge() {
        Ok(judge) => judge,
        Err(e) => return println!("SKIPPED: {e}"),
    };
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    if asked("cold") {
        cold(judge);
    }
    if asked("edit") {
        edit(judge);
    }
    if asked("noop") {
        noop(judge);
    }
    if asked("base") {
        base(judge);
    }
}

fn cold(judge: &Judge) {
    let fleet = Fleet::new(20, false, |image| {
        format!(
            "ARG BASE=base\nFROM $BASE AS build\nCOPY src/ /src/\n\
             RUN --network=none cat /src/* > /out && sha256sum /out > /sum\n\
             FROM $BASE\nCOPY --from=build /out /sum /srv/\n\
             RUN --network=none test -s /srv/out && echo {image} > /srv/number\n"
        )
    });
    let theirs = timed(|| fleet.bake(judge));
    let buildah = timed(|| fleet.buildah(judge));
    let ours = timed(|| fleet.mabuild());
    let what = "20 Dockerfiles × 2 platforms, from nothing";
    show(what, ours, &[("bake", theirs), ("buildah", buildah)]);
}

fn edit(judge: &Judge) {
    let fleet = Fleet::new(10, true, |image| {
        format!(
            "ARG BASE=base\nFROM $BASE\nCOPY src/ /src-{image}/\n\
             RUN --network=none cat /src-{image}/* | sha256sum > /sum-{image}\n"
        )
    });
    fleet.bake(judge);
    fleet.mabuild();
    let mut turn = 0;
    let mut change = || {
        turn += 1;
        fleet.env.write("9/src/file-0", format!("changed {turn}\n"));
    };
    let theirs = best(&mut change, || fleet.bake(judge));
    let ours = best(&mut change, || fleet.mabuild());
    show("one line in the last of 10 images, each on the one before", ours, &[("bake", theirs)]);
}

fn noop(judge: &Judge) {
    let fleet = Fleet::new(50, false, |image| {
        format!(
            "ARG BASE=base\nFROM $BASE\nCOPY src/ /src/\nRUN --network=none echo {image} > /number\n"
        )
    });
    fleet.bake(judge);
    fleet.mabuild();
    let theirs = best(&mut || {}, || fleet.bake(judge));
    let ours = best(&mut || {}, || fleet.mabuild());
    show("50 targets × 2 platforms, nothing changed", ours, &[("bake", theirs)]);
}

fn base(judge: &Judge) {
    // With --link, BuildKit need not copy again either.
    let fleet = Fleet::new(100, false, |image| {
        format!("ARG BASE=base\nFROM $BASE\nCOPY --link src/ /src/\nLABEL image={image}\n")
    });
    fleet.bake(judge);
    fleet.mabuild();
    let mut turn = 0;
    let mut change = || {
        turn += 1;
        fleet.make_base(&format!("moved {turn}\n"));
    };
    let theirs = best(&mut change, || fleet.bake(judge));
    let ours = best(&mut change, || fleet.mabuild());
    show("a base moved below 100 images that only copy", ours, &[("bake", theirs)]);
}

impl Fleet {
    /// Writes the Dockerfiles with three files each, and what mabuild and bake want beside them.
    fn new(images: usize, chain: bool, dockerfile: impl Fn(usize) -> String) -> Self {
        let fleet = Self { env: TestEnv::new(), images, chain };
        fleet.make_base("first\n");
        let platforms = PLATFORMS.map(|p| format!("\"{p}\"")).join(" ");
        let mut kdl = format!(
            "mabuild 1\nplatforms {platforms}\nbase \"base\" {{ rootfs \"base.tar.gz\" }}\n"
        );
        for image in 0..images {
            fleet.env.write(&format!("{image}/Dockerfile"), dockerfile(image));
            for file in 0..3 {
                let text = format!("{image} {file}\n").repeat(100);
                fleet.env.write(&format!("{image}/src/file-{file}"), text);
            }
            let below = fleet.below(image);
            let arg = match below.as_str() {
                "base" => String::new(),
                below => format!("arg \"BASE\" \"{below}\"; "),
            };
            writeln!(kdl, "image \"i{image}\" {{ {arg}dockerfile \"{image}/Dockerfile\" }}")
                .unwrap();
        }
        fleet.env.write("mabuild.kdl", kdl);
        fleet.env.write("bake.json", fleet.bake_file().to_string());
        fleet
    }

    /// Name of what an image stands on.
    fn below(&self, image: usize) -> String {
        match image.checked_sub(1) {
            Some(below) if self.chain => format!("i{below}"),
            _ => "base".to_owned(),
        }
    }

    /// The base as an archive for mabuild and as a layout for the others.
    fn make_base(&self, text: &str) {
        let tree = match cases::base() {
            Ok(tree) => tree.file("etc/version", 0o644, text).gzip(1),
            Err(e) => panic!("{e}"),
        };
        self.env.write("base.tar.gz", &tree);
        let config = json!({"Env": ["PATH=/bin"]});
        let folder = self.env.path("base");
        std::fs::remove_dir_all(&folder).ok();
        layout(&folder, &PLATFORMS, &[("base", tree)], &config);
    }

    fn bake_file(&self) -> Value {
        let folder = self.env.project();
        let target = |image: usize| {
            let (below, name) = (self.below(image), format!("i{image}"));
            let from = match below.as_str() {
                "base" => format!("oci-layout://{}/base:latest", folder.display()),
                image => format!("target:{image}"),
            };
            let target = json!({
                "context": folder.join(image.to_string()),
                "contexts": {"below": from},
                "args": {"BASE": "below"},
                "platforms": PLATFORMS,
                "attest": ["type=provenance,disabled=true"],
                "output": [format!("type=image,name=bench/{name},unpack=false")],
            });
            (name, target)
        };
        let targets: serde_json::Map<String, Value> = (0..self.images).map(target).collect();
        json!({"target": targets})
    }

    fn bake(&self, judge: &Judge) {
        let file = self.env.path("bake.json").display().to_string();
        let names: Vec<String> = (0..self.images).map(|image| format!("i{image}")).collect();
        for part in names.chunks(AT_ONCE) {
            let words = ["bake", "--builder", "default", "--progress", "plain", "--file", &file];
            let targets = part.iter().map(String::as_str);
            if let Err(e) = judge.buildx(&words.into_iter().chain(targets).collect::<Vec<_>>()) {
                panic!("bake failed: {e}");
            }
        }
    }

    /// Builds one image after the other, each for all platforms: buildah knows no graph.
    fn buildah(&self, judge: &Judge) {
        let folder = judge.work().join("fleet");
        copy(&self.env.project(), &folder);
        let script = format!(
            "for image in $(busybox seq 0 {}); do $buildah bud --isolation oci --network none \
             --ulimit nproc=4096:4096 --ulimit nofile=1024:1024 --jobs 2 --layers \
             --platform {} --build-arg BASE=oci:{folder}/base:latest --manifest i$image \
             {folder}/$image; done",
            self.images - 1,
            PLATFORMS.join(","),
            folder = folder.display(),
        );
        if let Err(e) = judge.buildah(&script) {
            panic!("buildah failed: {e}");
        }
    }

    fn mabuild(&self) {
        self.env.mabuild(&["graph", "rebuild", "--progress", "plain"]).ok();
    }
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success(), "{} cannot be copied", from.display());
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// The shortest of some runs, each after a change that does not count.
fn best(change: &mut dyn FnMut(), run: impl Fn()) -> Duration {
    let once = |_| {
        change();
        timed(&run)
    };
    (0..TRIES).map(once).min().unwrap()
}

fn show(what: &str, ours: Duration, theirs: &[(&str, Duration)]) {
    println!("{what}: mabuild {:.2} s", ours.as_secs_f64());
    for (name, took) in theirs {
        let ratio = took.as_secs_f64() / ours.as_secs_f64();
        println!("  {name} {:.2} s, {ratio:.1} times that", took.as_secs_f64());
        let asked = std::env::var_os("MABUILD_BENCH_ASSERT").is_some();
        assert!(!asked || ratio >= 1.0, "{name} is faster");
    }
}
