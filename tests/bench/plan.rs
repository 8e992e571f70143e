//! How a plan grows: 1,000, 10,000 and 100,000 variants of images with a matrix on 9 platforms, with
//! time and memory, once with nothing in the store but what upstreams are, and once with a result
//! for every node.
//!
//!     cargo bench -p mabuild-tests --bench plan [-- SIZE…]
//!
//! With `MABUILD_BENCH_ASSERT` set, ends with an error when a limit is passed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark that cannot be set up fails by a panic"
)]

mod measure;

use std::fmt::Write;
use std::time::Duration;

use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;
use measure::Plan;

/// For 100,000 images; a smaller graph has its share and [`SMALLEST`].
const LIMIT: Duration = Duration::from_secs(8);
const SMALLEST: Duration = Duration::from_millis(100);
const MEMORY: u64 = 2 << 30;
/// How far from a straight line the time may be.
const STRAIGHT: f64 = 2.0;
const SIZES: [usize; 3] = [1000, 10_000, 100_000];
/// Images in one file.
const FILE: usize = 10_000;
/// Variants of one image of the file.
const VARIANTS: usize = 100;
const PLATFORMS: &str = r#""linux/amd64" "linux/arm64" "linux/arm/v7" "linux/arm/v6" "linux/arm/v5" "linux/386" "linux/ppc64le" "linux/s390x" "linux/riscv64""#;

fn main() {
    if measure::be_child() {
        return;
    }
    let wanted: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let mut before: [Option<(usize, Plan)>; 2] = [None, None];
    for images in SIZES.into_iter().filter(|n| wanted.is_empty() || wanted.contains(n)) {
        let env = TestEnv::new();
        set_up(&env, images);
        let (project, store) = (env.project(), env.root.path().join("store"));
        // The first plan hashes the archive; the second is what is asked for.
        measure::plan(&project, &store, 1);
        let stale = measure::plan(&project, &store, 3);
        measure::fill_store(&project, &store);
        let fresh = measure::plan(&project, &store, 3);
        assert_eq!(fresh.kept, fresh.nodes);
        for ((plan, how), before) in
            [(stale, "stale"), (fresh, "fresh")].into_iter().zip(&mut before)
        {
            println!("{}", plan.show(&format!("{images} images × 9 platforms, {how}")));
            if let Some((fewer, last)) = before {
                let images = images / *fewer;
                let growth = plan.took().as_secs_f64() / last.took().as_secs_f64();
                let memory = plan.peak as f64 / last.peak as f64;
                println!(
                    "  {images} × the images: {growth:.1} × the time, {memory:.1} × the memory"
                );
                measure::must(growth <= STRAIGHT * images as f64, "more than linear");
            }
            let limit = SMALLEST + LIMIT.mul_f64(images as f64 / 100_000.0);
            plan.hold(plan.took(), limit, MEMORY);
            *before = Some((images, plan));
        }
    }
}

fn set_up(env: &TestEnv, images: usize) {
    let tree = Tar::default().dir("./", 0o755).file("hello", 0o644, "hello\n");
    env.write("tree.tar", tree.plain());
    let main = format!(
        "mabuild 1\nplatforms {PLATFORMS}\nbase \"tree\" {{ rootfs \"tree.tar\" }}\ninclude \"images-*.kdl\"\n"
    );
    env.write("mabuild.kdl", main);
    for from in (0..images).step_by(FILE) {
        let mut file = String::new();
        for image in (from..images.min(from + FILE)).step_by(VARIANTS) {
            let family = image / VARIANTS;
            let below = match family % 10 {
                0 => "tree".to_owned(),
                _ => format!("image-{}", family - 1),
            };
            let axis = |name: &str| {
                let values: Vec<String> =
                    (0..10).map(|value| format!("\"{name}{value}\"")).collect();
                format!("{name} {}", values.join(" "))
            };
            write!(
                file,
                "image \"image-{family}\" {{\n    matrix {{ {}; {} }}\n    from \"{below}\"\n    steps {{\n        \
                 file \"/number\" \"{family} {{{{a}}}} {{{{b}}}}\\n\"\n        env PLATFORM=\"{{{{platform}}}}\"\n    }}\n    \
                 label \"org.example.number\" \"{family}\"\n}}\n\n",
                axis("a"),
                axis("b"),
            )
            .unwrap();
        }
        env.write(&format!("images-{from:06}.kdl"), file);
    }
}
