//! What is published is remembered: a machine with an empty store builds what changed, and asks
//! and brings no more than that needs.

use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;
use mabuild_tests::registry::{Kind, Registry};

const PLATFORMS: &str = r#""linux/amd64" "linux/arm64" "linux/arm/v7""#;

/// A base, images on it that copy a file each, and one on the first of them.
fn fleet(env: &TestEnv, host: &str, images: usize) {
    let tree = Tar::default().dir("./", 0o755).file("text", 0o644, "base\n");
    env.write("tree.tar", tree.plain());
    let mut text = format!(
        "mabuild 1\nplatforms {PLATFORMS}\nregistry \"{host}/fleet\"\n\
         base \"tree\" {{ rootfs \"tree.tar\"; publish \"tree\" }}\n"
    );
    for at in 0..images {
        env.write(&format!("files/{at}"), format!("{at}\n"));
        text += &format!(
            "image \"i{at}\" {{ from \"tree\"; steps {{ copy \"files/{at}\" \"/n\" }}; publish \
             \"i{at}\" }}\n"
        );
    }
    text +=
        "image \"child\" { from \"i0\"; steps { file \"/own\" \"own\\n\" }; publish \"child\" }\n";
    env.write("mabuild.kdl", text);
}

/// The same project on a machine that has built nothing yet.
fn elsewhere(env: &TestEnv) -> TestEnv {
    let other = TestEnv::new();
    other.copy_in(&env.project());
    other
}

fn count(requests: &[mabuild_tests::registry::Request], method: &str, part: &str) -> usize {
    requests.iter().filter(|r| r.method == method && r.path.contains(part)).count()
}

#[test]
fn an_empty_machine_asks_once_an_image_and_brings_what_changed_needs() {
    const IMAGES: usize = 200;
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let env = TestEnv::new();
    fleet(&env, &registry.host, IMAGES);
    let counts = env.rebuild(&["--publish"]);
    assert_eq!(counts.built, (IMAGES as u64 + 2) * 3);

    let same = elsewhere(&env);
    let before = registry.requests().len();
    same.mabuild(&["graph", "plan", "--exit-code"]).ok();
    let seen = registry.requests().split_off(before);
    assert!(seen.len() <= IMAGES + 2 + 1, "{} requests for a plan", seen.len());
    assert_eq!(count(&seen, "GET", "/blobs/"), 0);
    let counts = same.rebuild(&[]);
    assert_eq!((counts.built, counts.kept), (0, (IMAGES as u64 + 2) * 3));
    same.mabuild(&["store", "verify"]).ok();
    let list = same.mabuild(&["image", "ls"]).ok();
    assert!(list.stdout.contains("i199"), "{}", list.stdout);

    // One file of one image: that image and what stands on it, on every platform.
    let other = elsewhere(&env);
    other.write("files/0", "changed\n");
    let before = registry.requests().len();
    let counts = other.rebuild(&["--publish"]);
    assert_eq!((counts.built, counts.kept), (6, IMAGES as u64 * 3));
    let seen = registry.requests().split_off(before);
    let indexes = count(&seen, "GET", "/manifests/latest");
    // Those of the two images that move are asked for once more before they do.
    assert!(indexes <= IMAGES + 2 + 2, "{indexes} indexes");
    // The base of the image: a manifest, a config and a layer for each platform.
    assert!(count(&seen, "GET", "/manifests/sha256") <= 3, "{seen:#?}");
    assert!(count(&seen, "GET", "/blobs/") <= 6, "{seen:#?}");
    // Two images are written: six manifests, two indexes, two tags.
    assert_eq!(count(&seen, "PUT", "/manifests/"), 10, "{seen:#?}");
    let bytes: u64 = seen.iter().filter(|r| r.method == "GET").map(|r| r.bytes).sum();
    assert!(bytes < (IMAGES as u64 + 2) * 2048 + 20_000, "{bytes} bytes");

    // The first machine learns of it without having built it.
    env.write("files/0", "changed\n");
    let counts = env.rebuild(&[]);
    assert_eq!(counts.built, 0, "{counts:?}");
    let run = env.mabuild(&["image", "run", "i0", "/nothing"]).fails(127);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

/// Other content under a key that is ours must not be taken.
#[test]
fn another_key_or_a_registry_that_is_gone_builds_and_says_so() {
    let Some(mut registry) = Registry::start(Kind::Plain) else { return };
    let env = TestEnv::new();
    fleet(&env, &registry.host, 2);
    env.rebuild(&["--publish"]);
    let narrow = elsewhere(&env);
    narrow.write("files/1", "other\n");
    let run = narrow.mabuild(&["graph", "plan"]).ok();
    assert!(run.stdout.contains("i1    all 3      published from other inputs"), "{}", run.stdout);
    assert_eq!(narrow.rebuild(&["--platform", "linux/arm64"]).built, 1);

    let alone = elsewhere(&env);
    registry.stop();
    let run = alone.mabuild(&["graph", "rebuild"]).ok();
    assert!(run.stderr.contains("is not known"), "{}", run.stderr);
    assert_eq!(alone.rebuild(&["--offline"]).built, 0);
}

#[test]
fn steps_of_other_machines_are_reused() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let env = TestEnv::new();
    match mabuild_tests::fixture::busybox(mabuild_tests::env::host()) {
        Ok(tree) => env.write("tree.tar.gz", tree),
        Err(why) => return mabuild_tests::env::skip(&why),
    };
    env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms {:?}\nremote-cache \"{}/cache\"\n\
             base \"tree\" {{ rootfs \"tree.tar.gz\" }}\n\
             image \"app\" {{ from \"tree\"; steps {{ shell \"/bin/busybox\" \"sh\" \"-c\"\n run \
             \"echo ran > /ran\"\n run \":\" }} }}\n",
            mabuild_tests::env::host(),
            registry.host
        ),
    );
    assert_eq!(env.rebuild(&[]).executed, 2);
    let other = elsewhere(&env);
    let counts = other.rebuild(&[]);
    assert_eq!((counts.built, counts.executed), (2, 0), "{counts:?}");
    assert_eq!(other.digest("app:latest"), env.digest("app:latest"));
    let files = other.unpacked("app", mabuild_tests::env::host());
    assert_eq!(std::fs::read_to_string(files.join("ran")).unwrap(), "ran\n");
}
