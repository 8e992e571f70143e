//! What is published is remembered: a machine with an empty store builds what changed, and asks
//! and brings no more than that needs.

use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;
use mabuild_tests::registry::{Kind, Registry, Request};

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

/// A fleet whose machines share a repository.
fn sharing_fleet(env: &TestEnv, host: &str, cache: &str, images: usize) {
    fleet(env, host, images);
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write("mabuild.kdl", format!("{text}remote-cache \"{cache}/cache\"\n"));
}

/// The same project on a machine that has built nothing yet.
fn elsewhere(env: &TestEnv) -> TestEnv {
    let other = TestEnv::new();
    other.copy_in(&env.project());
    other
}

/// Requests of a method, or of all.
fn count(requests: &[Request], method: &str, part: &str) -> usize {
    let is = |r: &&Request| method.is_empty() || r.method == method;
    requests.iter().filter(is).filter(|r| r.path.contains(part)).count()
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
fn an_empty_machine_says_what_differs() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let env = TestEnv::new();
    sharing_fleet(&env, &registry.host, &registry.host, 2);
    env.rebuild(&["--publish"]);
    let of_records =
        |seen: &[Request], method| count(seen, method, "/v2/cache/manifests/record-v1-");
    assert_eq!(of_records(&registry.requests(), "PUT"), 12);
    let asked = |env: &TestEnv, args: &[&str]| {
        let before = registry.requests().len();
        let run = env.mabuild(args).ok();
        (run, registry.requests().split_off(before))
    };
    // Nothing was built, so nothing is kept; nothing is stale, so nothing is asked for.
    let (_, seen) = asked(&env, &["graph", "rebuild", "--publish"]);
    assert_eq!(of_records(&seen, ""), 0, "{seen:#?}");
    let same = elsewhere(&env);
    let (_, seen) = asked(&same, &["graph", "plan", "--exit-code"]);
    assert_eq!(count(&seen, "", "/v2/cache/"), 0, "{seen:#?}");
    let (_, seen) = asked(&same, &["graph", "explain", "i1"]);
    assert_eq!(count(&seen, "", "/v2/cache/"), 0, "{seen:#?}");

    let other = elsewhere(&env);
    other.write("files/1", "changed\n");
    let (run, seen) = asked(&other, &["graph", "plan"]);
    assert!(run.stdout.contains("i1    all 3      files/1 differs"), "{}", run.stdout);
    assert_eq!(of_records(&seen, "GET"), 3, "{seen:#?}");
    assert_eq!(count(&seen, "", "/v2/cache/"), 6, "{seen:#?}");
    // The store remembers it.
    let (run, seen) = asked(&other, &["graph", "explain", "i1@linux/arm64"]);
    let wanted = "i1@linux/arm64 ← files/1 differs\n  1 input of i1 differs from the last build";
    assert!(run.stdout.contains(wanted), "{}", run.stdout);
    assert_eq!(count(&seen, "", "/v2/cache/"), 0, "{seen:#?}");
    let (run, _) = asked(&other, &["graph", "plan", "--offline"]);
    assert!(run.stdout.contains("never built"), "{}", run.stdout);

    // What waits for another one says whose fault it is, and what differs of itself.
    let waiting = elsewhere(&env);
    waiting.write("files/0", "changed\n");
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    waiting.write("mabuild.kdl", text.replace("own\\n", "new\\n"));
    let (run, seen) = asked(&waiting, &["graph", "explain", "child@linux/amd64"]);
    for wanted in ["child@linux/amd64 ← i0 ← files/0 differs", "1 input of child differs"] {
        assert!(run.stdout.contains(wanted), "{}", run.stdout);
    }
    assert_eq!(of_records(&seen, "GET"), 2, "{seen:#?}");

    let before = registry.requests().len();
    assert_eq!(other.rebuild(&["--publish"]).built, 3);
    let seen = registry.requests().split_off(before);
    assert_eq!((of_records(&seen, "GET"), of_records(&seen, "PUT")), (0, 3), "{seen:#?}");
    // Its store is gone in the morning, and the report says why it built.
    let night = elsewhere(&other);
    night.write("files/1", "fourth\n");
    let report = night.mabuild(&["graph", "rebuild", "--report", "json"]).ok().json();
    let mut nodes = report["nodes"].as_array().unwrap().iter();
    let node = nodes.find(|node| node["node"] == "i1@linux/arm64").unwrap();
    let field = &node["reason"]["changes"][0]["field"];
    assert!(field.as_str().unwrap().contains("files/1"), "{node:#}");
    // The first machine was not there, and goes by its own last build.
    env.write("files/1", "third\n");
    let (run, seen) = asked(&env, &["graph", "plan"]);
    assert!(run.stdout.contains("files/1 differs"), "{}", run.stdout);
    assert_eq!(count(&seen, "", "/v2/cache/"), 0, "{seen:#?}");
}

/// Whoever may write records must not make others tell what is not so.
#[test]
fn forged_records_are_not_believed_and_missing_ones_missed_by_nobody() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let env = TestEnv::new();
    sharing_fleet(&env, &registry.host, &registry.host, 2);
    env.rebuild(&["--publish"]);
    let plan = |env: &TestEnv, why: &str| {
        let run = env.mabuild(&["graph", "plan"]).ok();
        let row = format!("i1    all 3      {why}");
        assert!(run.stdout.contains(&row), "{}{}", run.stdout, run.stderr);
        run.stderr
    };
    let stale = || {
        let stale = elsewhere(&env);
        stale.write("files/1", "changed\n");
        stale
    };
    plan(&stale(), "files/1 differs");

    // Every tag gets the record of another one.
    let tags = registry.data().join("docker/registry/v2/repositories/cache/_manifests/tags");
    let tag = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path();
    let links: Vec<_> = std::fs::read_dir(&tags)
        .unwrap()
        .map(|entry| tag(entry).join("current/link"))
        .filter(|path| path.to_str().unwrap().contains("/record-v1-"))
        .collect();
    assert_eq!(links.len(), 12);
    let mut contents: Vec<_> = links.iter().map(|link| std::fs::read(link).unwrap()).collect();
    contents.rotate_left(1);
    links.iter().zip(contents).for_each(|(link, content)| std::fs::write(link, content).unwrap());
    let forged = stale();
    assert_eq!(plan(&forged, "published from other inputs"), "");
    assert_eq!(forged.rebuild(&["--publish"]).built, 3);

    std::fs::remove_dir_all(&tags).unwrap();
    let third = stale();
    third.write("files/1", "third\n");
    assert_eq!(plan(&third, "published from other inputs"), "");

    // A cache that cannot be reached is a warning.
    let alone = stale();
    alone.write("files/1", "fourth\n");
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    let gone = text.replace(&format!("{}/cache", registry.host), "127.0.0.1:9/cache");
    alone.write("mabuild.kdl", gone);
    let warning = plan(&alone, "published from other inputs");
    assert!(warning.contains("what was built elsewhere is not known"), "{warning}");
    let run = alone.mabuild(&["graph", "rebuild"]).ok();
    assert!(run.stderr.contains("not all is kept for other machines"), "{}", run.stderr);
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
