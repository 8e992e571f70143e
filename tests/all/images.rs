//! Looking into images, taking them out, and keeping the store whole.

use std::path::Path;
use std::process::Command;

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, has, walk};
use mabuild_tests::fixture::{blob, manifests};

/// Two images on three platforms; nothing runs.
fn built() -> TestEnv {
    let env = TestEnv::new();
    let tree = Tar::default()
        .dir("./", 0o755)
        .file("etc-file", 0o644, "hello\n")
        .owned("secret", 0o600, (7, 8), "secret\n")
        .symlink("link", "etc-file");
    env.write("tree.tar", tree.plain());
    env.write(
        "mabuild.kdl",
        r#"mabuild 1
platforms "linux/amd64" "linux/arm64" "linux/arm/v7"
base "tree" { rootfs "tree.tar" }
image "site" {
    from "tree"
    steps { file "/platform" "{{platform}}\n" mode="0640"; remove "/link" }
    tags "1.0" "latest"
}
"#,
    );
    env.rebuild(&[]);
    env
}

fn export(env: &TestEnv, form: &str, name: &str, more: &[&str]) -> std::path::PathBuf {
    let target = env.root.path().join(name);
    let mut args = vec!["image", "export", "site:1.0", "--to", form, target.to_str().unwrap()];
    args.extend(more);
    env.mabuild(&args).ok();
    target
}

fn tool(name: &str, args: &[&str]) -> String {
    let out = Command::new(name).args(args).output().unwrap();
    let talk = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{name} {args:?}: {talk}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn list_names_tags_platforms() {
    let env = built();
    let text = env.mabuild(&["image", "ls"]).ok().stdout;
    for word in ["site", "tree", "1.0", "latest"] {
        assert!(text.contains(word), "{text}");
    }
    let names: Vec<String> = env.digests().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["site:1.0", "site:latest", "tree:latest"]);
    assert_eq!(env.digest("site:1.0"), env.digest("site:latest"));
}

#[test]
fn inspect_shows_index_manifests_configs() {
    let env = built();
    let json = env.mabuild(&["image", "inspect", "site", "--format", "json"]).ok().json();
    let text = json.to_string();
    for (platform, manifest) in manifests(&env.store(), &env.digest("site:1.0")) {
        assert!(text.contains(&manifest), "{platform}: {text}");
    }
    assert!(text.contains("arm") && text.contains("v7"), "{text}");
    env.mabuild(&["image", "inspect", "site"]).ok();
}

#[test]
fn nothing_that_moves_by_itself_is_in_a_manifest() {
    let env = built();
    let index = env.digest("site:1.0");
    for (_, manifest) in manifests(&env.store(), &index) {
        let manifest = blob(&env.store(), &manifest);
        let config = blob(&env.store(), manifest["config"]["digest"].as_str().unwrap());
        assert_eq!(config["created"], "2024-01-02T03:04:05Z", "the newest date of the inputs");
        let text = format!("{manifest}{config}");
        let place = env.root.path().to_str().unwrap();
        assert!(!text.contains(place), "a path of this machine is in {text}");
    }
}

#[test]
fn layout_and_archive_are_read_by_skopeo() {
    let env = built();
    if !has("skopeo") {
        return;
    }
    let index = env.digest("site:1.0");
    let layout = export(&env, "oci-dir", "layout", &[]);
    assert_eq!(manifests(&layout, &index).len(), 3);
    let archive = export(&env, "oci-archive", "site.tar", &[]);
    let unpacked = env.root.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    tool("tar", &["-xf", archive.to_str().unwrap(), "-C", unpacked.to_str().unwrap()]);
    let (ours, theirs) = (files(&unpacked), files(&layout));
    let names = |list: &[(String, Vec<u8>)]| list.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours == theirs, "{} differs", ours.0);
    }
    for source in
        [format!("oci:{}", layout.display()), format!("oci-archive:{}", archive.display())]
    {
        let raw = tool("skopeo", &["--override-arch", "arm64", "inspect", "--config", &source]);
        let config: serde_json::Value = serde_json::from_str(&raw).unwrap();
        assert_eq!(config["architecture"], "arm64", "{source}: {config}");
    }
    let docker = export(&env, "docker-archive", "docker.tar", &["--platform", "linux/arm/v7"]);
    let source = format!("docker-archive:{}", docker.display());
    let config: serde_json::Value =
        serde_json::from_str(&tool("skopeo", &["inspect", "--config", &source])).unwrap();
    assert_eq!((&config["architecture"], &config["variant"]), (&"arm".into(), &"v7".into()));
    let seen: serde_json::Value =
        serde_json::from_str(&tool("skopeo", &["inspect", &source])).unwrap();
    assert_eq!(seen["Layers"].as_array().unwrap().len(), 3, "base, file and remove: {seen}");
}

/// Name and content of every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
    walk(folder).iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn directory_is_the_flattened_tree() {
    let env = built();
    let folder = env.unpacked("site:1.0", "linux/arm/v7");
    let found = files(&folder);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etc-file", "platform", "secret"]);
    assert_eq!(found[1].1, b"linux/arm/v7\n");
}

#[test]
fn exports_are_the_same_bytes_each_time() {
    let env = built();
    for (form, more) in
        [("oci-archive", &[][..]), ("docker-archive", &["--platform", "linux/arm64"])]
    {
        let one = export(&env, form, &format!("{form}-1"), more);
        let two = export(&env, form, &format!("{form}-2"), more);
        assert!(std::fs::read(one).unwrap() == std::fs::read(two).unwrap(), "{form}");
    }
}

#[test]
fn flipped_bit_is_found_and_built_again() {
    let env = built();
    let digests = env.digests();
    env.mabuild(&["store", "verify"]).ok();
    for (path, _) in env.blobs() {
        use std::os::unix::fs::PermissionsExt;
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 4;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let run = env.mabuild(&["store", "verify"]);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
        let hex = path.file_name().unwrap().to_str().unwrap();
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains(&hex[..12]), "{hex} is not in {told}");
        env.rebuild(&[]);
        assert_eq!(env.digests(), digests, "after damage to {hex}");
        env.mabuild(&["store", "verify"]).ok();
    }
}

#[test]
fn gc_keeps_what_is_named_and_drops_the_rest() {
    let env = built();
    let first = env.blobs();
    let kept = env.digests();
    env.mabuild(&["store", "gc", "--all"]).ok();
    assert_eq!(env.digests(), kept);
    env.mabuild(&["store", "verify"]).ok();
    assert_eq!(env.rebuild(&[]).built, 0);
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write("mabuild.kdl", text.replace("0640", "0600"));
    env.rebuild(&[]);
    let grown = env.blobs().len();
    let dry = env.mabuild(&["store", "gc", "--all", "--dry-run"]).ok();
    assert_eq!(env.blobs().len(), grown, "{}", dry.stderr);
    env.mabuild(&["store", "gc", "--all"]).ok();
    assert!(env.blobs().len() < grown, "{grown} blobs stay");
    assert!(env.blobs().len() <= first.len());
    env.mabuild(&["store", "verify"]).ok();
    assert_eq!(env.rebuild(&[]).built, 0);
    let text = env.mabuild(&["store", "du"]).ok().stdout;
    assert!(text.contains("blobs"), "{text}");
    assert!(env.mabuild(&["store", "du", "--format", "json"]).ok().json().is_object());
}
