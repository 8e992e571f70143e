//! Moving images to and from a registry, beside skopeo: an image of three platforms with a gibibyte
//! in twelve layers; and how long a machine with an empty store needs to see that 1,000 published
//! images are up to date.
//!
//!     cargo build --release -p mabuild && cargo bench -p mabuild-tests --bench registry
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up fails by a panic")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use mabuild_oci::{Descriptor, ImageConfig, Index, Layout, Manifest, Platform, media_type};
use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, has, program};
use mabuild_tests::random::Random;
use mabuild_tests::registry::{Kind, Registry};

#[path = "children.rs"]
mod children;

const ROUNDS: usize = 3;
const LAYERS: usize = 4;
/// Bytes of a layer: twelve of them are a gibibyte.
const LAYER: usize = (1 << 30) / (LAYERS * ARCHES.len());
const ARCHES: [&str; 3] = ["amd64", "arm64", "riscv64"];
const IMAGES: usize = 1000;

/// What something took, in seconds.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    processor: f64,
}

fn main() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    if !has("skopeo") {
        return println!("SKIPPED: skopeo is not installed");
    }
    moving(&registry);
    checking(&registry);
}

fn moving(registry: &Registry) {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("image");
    fill(&from);
    let (oci, host) = (format!("oci:{}:big", from.display()), registry.host.as_str());
    println!("an image of {} platforms, 1 GiB in {} layers", ARCHES.len(), LAYERS * ARCHES.len());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // What one registry has once, skopeo remembers and mounts.
        let Some(fresh) = Registry::start(Kind::Plain) else { return };
        ours.push(measured(mabuild(&["copy", &oci, &format!("{}/big:1", fresh.host)])));
        let Some(fresh) = Registry::start(Kind::Plain) else { return };
        let name = format!("docker://{}/big:1", fresh.host);
        theirs.push(measured(skopeo(&["--dest-tls-verify=false", &oci, &name])));
    }
    told("push", &ours, &theirs);
    measured(mabuild(&["copy", &oci, &format!("{host}/big:1")]));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let target = format!("oci:{}:big", folder.path().join(format!("o{round}")).display());
        ours.push(measured(mabuild(&["copy", &format!("{host}/big:1"), &target])));
        let target = format!("oci:{}:big", folder.path().join(format!("t{round}")).display());
        let name = format!("docker://{host}/big:1");
        theirs.push(measured(skopeo(&["--src-tls-verify=false", &name, &target])));
    }
    told("pull", &ours, &theirs);
    for (what, from, to) in [
        ("push again", oci.clone(), format!("{host}/big:1")),
        ("to another repository", format!("{host}/big:1"), format!("{host}/third:1")),
    ] {
        let before = registry.requests().len();
        let took = measured(mabuild(&["copy", &from, &to]));
        let seen = registry.requests().split_off(before);
        let is_blob = |method: &str| {
            let of = seen.iter().filter(|r| r.method == method && r.path.contains("/blobs/"));
            of.filter(|r| !r.path.contains("mount=")).count()
        };
        let blobs = is_blob("GET") + is_blob("POST") + is_blob("PATCH") + is_blob("PUT");
        println!("{what:<24} {:6.3} s, {blobs} transfers of blobs", took.wall);
    }
}

fn checking(registry: &Registry) {
    let env = TestEnv::new();
    env.write("tree.tar", Tar::default().dir("./", 0o755).file("text", 0o644, "base\n").plain());
    let mut text = format!(
        "mabuild 1\nplatforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"\n\
         registry \"{}/many\"\nbase \"tree\" {{ rootfs \"tree.tar\"; publish \"tree\" }}\n",
        registry.host
    );
    for at in 1..IMAGES {
        text += &format!(
            "image \"i{at}\" {{ from \"tree\"; steps {{ file \"/n\" \"{at}\" }}; publish \"i{at}\" }}\n"
        );
    }
    env.write("mabuild.kdl", text);
    let published = env.try_rebuild(&["--publish"]).ok();
    println!("{IMAGES} images built and published: {:.2} s", published.took.as_secs_f64());
    for _ in 0..ROUNDS {
        let other = TestEnv::new();
        other.copy_in(&env.project());
        let run = other.mabuild(&["graph", "plan", "--exit-code"]).ok();
        println!(
            "{IMAGES} images on an empty store: {:.2} s; asked for: 3",
            run.took.as_secs_f64()
        );
    }
}

/// Writes the image into a layout under the name `big`.
fn fill(folder: &Path) {
    let layout = Layout::create(folder).unwrap();
    let mut random = Random(1);
    let mut members = Vec::new();
    for arch in ARCHES {
        let platform = Platform::new("linux", arch);
        let mut layers = Vec::new();
        for _ in 0..LAYERS {
            let bytes: Vec<u8> =
                (0..LAYER / 8).flat_map(|_| random.number().to_le_bytes()).collect();
            layers.push(layout.write_blob(media_type::LAYER_GZIP, &bytes).unwrap());
        }
        let mut config = ImageConfig::new(&platform);
        config.rootfs.diff_ids = layers.iter().map(|layer: &Descriptor| layer.digest).collect();
        let config = layout.write_blob(media_type::CONFIG, &config.to_bytes().unwrap()).unwrap();
        let manifest = Manifest::new(config, layers).to_bytes().unwrap();
        let manifest = layout.write_blob(media_type::MANIFEST, &manifest).unwrap();
        members.push(manifest.with_platform(platform));
    }
    let index = layout.write_blob(media_type::INDEX, &Index::new(members).to_bytes().unwrap());
    layout.set_ref("big", index.unwrap()).unwrap();
}

fn mabuild(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args);
    command
}

fn skopeo(args: &[&str]) -> Command {
    let mut command = Command::new("skopeo");
    command.args(["copy", "--all", "--quiet"]).args(args);
    command
}

fn measured(mut command: Command) -> Took {
    let (before, start) = (children::busy(), Instant::now());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wall = start.elapsed().as_secs_f64();
    Took { wall, processor: (children::busy() - before).as_secs_f64() }
}

/// Tells the best of each.
fn told(what: &str, ours: &[Took], theirs: &[Took]) {
    let best = |all: &[Took]| all.iter().copied().min_by(|a, b| a.wall.total_cmp(&b.wall)).unwrap();
    let (ours, theirs) = (best(ours), best(theirs));
    println!(
        "{what}: mabuild {:.2} s ({:.2} s of processor time), skopeo {:.2} s ({:.2} s): {:.2} of \
         its time, {:.2} of its processor time",
        ours.wall,
        ours.processor,
        theirs.wall,
        theirs.processor,
        ours.wall / theirs.wall,
        ours.processor / theirs.processor
    );
}
