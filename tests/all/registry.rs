//! Bases out of a registry: Debian's own `docker-registry`, filled by skopeo.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{Run, TestEnv, has};
use mabuild_tests::fixture::{blob, manifests};
use mabuild_tests::registry::{Kind, Registry};
use sha2::{Digest, Sha256};

/// Starts a registry that skopeo can fill; none where a program is missing.
fn start(kind: Kind<'_>) -> Option<Registry> {
    if has("skopeo") { Registry::start(kind) } else { None }
}

/// Builds an image with a file for three platforms and pushes it; gives its manifests.
fn push(registry: &Registry, name: &str, text: &str, more: &[&str]) -> Vec<(String, String)> {
    push_from(TestEnv::new(), registry, name, text, more)
}

/// The same, as if it had been built some hours ago.
fn push_old(registry: &Registry, name: &str, text: &str, hours: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut env = TestEnv::new();
    env.var("SOURCE_DATE_EPOCH", &(now - hours * 3600).to_string());
    push_from(env, registry, name, text, &[]);
}

fn push_from(
    env: TestEnv,
    registry: &Registry,
    name: &str,
    text: &str,
    more: &[&str],
) -> Vec<(String, String)> {
    let tree = Tar::default().dir("./", 0o755).file("text", 0o644, text.as_bytes());
    env.write("tree.tar", tree.plain());
    env.write(
        "mabuild.kdl",
        r#"mabuild 1
platforms "linux/amd64" "linux/arm64" "linux/arm/v6"
base "tree" { rootfs "tree.tar" }
image "site" { from "tree"; steps { file "/platform" "{{platform}}\n" }; env SITE="1" }
"#,
    );
    env.rebuild(&[]);
    let layout = env.root.path().join("layout");
    let target = layout.to_str().unwrap();
    env.mabuild(&["image", "export", "site", "--to", "oci-dir", target]).ok();
    let out = Command::new("skopeo")
        .args(["copy", "--all", "--dest-tls-verify=false"])
        .args(more)
        .arg(format!("oci:{target}"))
        .arg(format!("docker://{}/{name}", registry.host))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    manifests(&env.store(), &env.digest("site:latest"))
}

/// A project whose base is an image of the registry.
fn project(registry: &Registry, reference: &str, platforms: &str) -> TestEnv {
    let env = TestEnv::new();
    let host = &registry.host;
    env.write(
            "mabuild.kdl",
            format!(
                "mabuild 1\nplatforms {platforms}\nbase \"site\" {{ registry \"{host}/{reference}\" }}\n\
                 image \"app\" {{ from \"site\"; steps {{ file \"/own\" \"own\\n\" }} }}\n"
            ),
        );
    env
}

/// Fails when the talk of a run does not have some words, wherever its lines are broken.
fn says(run: &Run, words: &[&str]) {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| !c.is_whitespace() && *c != '|').collect()
    };
    for word in words {
        assert!(plain(&run.stderr).contains(&plain(word)), "{word:?} is not in:\n{}", run.stderr);
    }
}

#[test]
fn image_that_skopeo_pushed_is_a_base() {
    let Some(mut registry) = start(Kind::Plain) else { return };
    let pushed = push(&registry, "team/site:1", "one\n", &[]);
    let env = project(&registry, "team/site:1", "\"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"");
    assert_eq!(env.rebuild(&[]).built, 6);
    let taken = manifests(&env.store(), &env.digest("site:latest"));
    let of = |list: &[(String, String)], platform: &str| {
        list.iter().find(|(p, _)| p == platform).map(|(_, digest)| digest.clone())
    };
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(of(&taken, platform), of(&pushed, platform), "a base is taken as it is");
    }
    assert_ne!(of(&taken, "linux/arm/v7"), of(&pushed, "linux/arm/v6"), "it says v7 now");
    let files = env.unpacked("app", "linux/arm/v7");
    assert_eq!(std::fs::read_to_string(files.join("platform")).unwrap(), "linux/arm/v6\n");
    assert_eq!(std::fs::read_to_string(files.join("own")).unwrap(), "own\n");
    env.mabuild(&["store", "verify"]).ok();
    // Nothing moved, then the tag does.
    assert_eq!(env.rebuild(&[]).built, 0);
    push(&registry, "team/site:1", "two\n", &[]);
    assert_eq!(env.rebuild(&[]).built, 0, "the lock holds what is built");
    assert_eq!(env.rebuild(&["--update"]).built, 6);
    let files = env.unpacked("app", "linux/amd64");
    assert_eq!(std::fs::read_to_string(files.join("text")).unwrap(), "two\n");
    // What is locked and built needs no network; to ask what moved does.
    registry.stop();
    let run = env.mabuild(&["upstream", "check"]).fails(1);
    assert!(run.stdout.contains(&registry.host), "{}", run.stdout);
    assert_eq!(env.rebuild(&[]).built, 0);
    assert_eq!(env.rebuild(&["--offline"]).built, 0);
}

#[test]
fn an_image_is_followed_once_it_is_old_enough() {
    let Some(registry) = start(Kind::Plain) else { return };
    push_old(&registry, "team/site:1", "one\n", 240);
    let env = project(&registry, "team/site:1", "\"linux/amd64\"");
    let plain = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    let follow = |age: &str| {
        let base = format!("team/site:1\"; follow \"digest\" min-age={age:?} }}\nimage");
        assert!(plain.contains("team/site:1\" }\nimage"), "{plain}");
        env.write("mabuild.kdl", plain.replace("team/site:1\" }\nimage", &base));
    };
    let text = || {
        let root = env.unpacked("app", "linux/amd64");
        std::fs::read_to_string(root.join("text")).unwrap()
    };
    follow("3d");
    assert_eq!(env.rebuild(&[]).built, 2);
    push_old(&registry, "team/site:1", "two\n", 2);
    // The image says itself when it was made: that somebody sees it for the first time is no age.
    let run = env.mabuild(&["upstream", "check"]).ok();
    for word in ["waiting: site", "was published", "is taken from"] {
        assert!(run.stdout.contains(word), "{}", run.stdout);
    }
    assert_eq!(env.rebuild(&["--update"]).built, 0);
    assert_eq!(text(), "one\n");
    follow("1h");
    let run = env.mabuild(&["upstream", "check"]).fails(2);
    assert!(!run.stdout.contains("waiting"), "{}", run.stdout);
    assert_eq!(env.rebuild(&["--update"]).built, 2);
    assert_eq!(text(), "two\n");
}

/// A base whose config names the layers of another one would put its files into that.
#[test]
fn base_that_lies_about_its_layers_is_refused() {
    let env = TestEnv::new();
    env.write("tree.tar", Tar::default().file("text", 0o644, "one\n").plain());
    let file = |base: &str| {
        format!(
            "mabuild 1\nplatforms {:?}\nbase \"site\" {{ {base} }}\n",
            mabuild_tests::env::host()
        )
    };
    env.write("mabuild.kdl", file("rootfs \"tree.tar\""));
    env.rebuild(&[]);
    let layout = env.path("layout");
    env.mabuild(&["image", "export", "site", "--to", "oci-dir", layout.to_str().unwrap()]).ok();
    let (_, manifest) = manifests(&layout, &env.digest("site:latest")).remove(0);
    let put = |value: &serde_json::Value| {
        let bytes = serde_json::to_vec(value).unwrap();
        let hex = hex::encode(Sha256::digest(&bytes));
        std::fs::write(layout.join("blobs/sha256").join(&hex), &bytes).unwrap();
        (format!("sha256:{hex}"), bytes.len())
    };
    let mut manifest = blob(&layout, &manifest);
    let mut config = blob(&layout, manifest["config"]["digest"].as_str().unwrap());
    config["rootfs"]["diff_ids"][0] = format!("sha256:{}", "a".repeat(64)).into();
    let (digest, size) = put(&config);
    manifest["config"]["digest"] = digest.into();
    manifest["config"]["size"] = size.into();
    let (digest, size) = put(&manifest);
    let kind = manifest["mediaType"].clone();
    let entry = serde_json::json!({"mediaType": kind, "digest": digest, "size": size});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    env.write("mabuild.kdl", file("oci-layout \"layout\""));
    says(&env.mabuild(&["graph", "rebuild"]).fails(3), &["when it is uncompressed", "aaaa"]);
}

#[test]
fn digest_needs_no_registry_once_it_is_there() {
    let Some(mut registry) = start(Kind::Plain) else { return };
    let pushed = push(&registry, "site", "one\n", &[]);
    let (_, amd) = pushed.iter().find(|(platform, _)| platform == "linux/amd64").unwrap();
    let env = project(&registry, &format!("site@{amd}"), "\"linux/amd64\"");
    // Planning reads no layer.
    env.mabuild(&["graph", "plan"]).ok();
    assert!(env.blobs().iter().all(|(_, size)| *size < 1024), "{:?}", env.blobs());
    assert_eq!(env.rebuild(&[]).built, 2);
    registry.stop();
    assert_eq!(env.rebuild(&[]).built, 0);
    let file = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write("mabuild.kdl", file.replace("own\\n", "other\\n"));
    assert_eq!(env.rebuild(&[]).built, 1);
    assert_eq!(env.rebuild(&["--force"]).built, 2);
}

#[test]
fn what_a_registry_does_not_have_is_told() {
    let Some(registry) = start(Kind::Plain) else { return };
    push(&registry, "team/site:1", "one\n", &[]);
    let env = project(&registry, "team/site:1", "\"linux/riscv64\"");
    let words = ["no image for linux/riscv64", "linux/amd64, linux/arm/v6, linux/arm64"];
    says(&env.mabuild(&["graph", "plan"]).fails(2), &words);
    for (name, code) in [("team/site:2", "MANIFEST_UNKNOWN"), ("team/sight:1", "team/sight:1")] {
        let env = project(&registry, name, "\"linux/amd64\"");
        says(&env.mabuild(&["graph", "plan"]).fails(2), &["404", code, "spelling", "mabuild.kdl"]);
    }
    let env = project(&registry, "team/site:1", "\"linux/amd64\"");
    says(&env.mabuild(&["graph", "rebuild", "--offline"]).fails(3), &["--offline"]);
}

#[test]
fn image_that_no_base_declares_is_read_too() {
    let Some(registry) = start(Kind::Plain) else { return };
    push(&registry, "team/site:1", "one\n", &[]);
    let env = TestEnv::new();
    let from = format!("{}/team/site:1", registry.host);
    env.write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms \"linux/arm64\"\nimage \"app\" {{ from {from:?}; steps {{ copy \"/text\" \"/copied\" from={from:?} }} }}\n"
        ),
    );
    env.rebuild(&[]);
    let files = env.unpacked("app", "linux/arm64");
    assert_eq!(std::fs::read_to_string(files.join("copied")).unwrap(), "one\n");
}

#[test]
fn logins_of_docker_are_used_and_not_shown() {
    let Some(registry) = start(Kind::Login) else { return };
    push(&registry, "team/site:1", "one\n", &["--dest-creds", "joe:geheim"]);
    let platform = "\"linux/amd64\"";
    let env = project(&registry, "team/site:1", platform);
    let login = format!("docker login {}", registry.host);
    says(&env.mabuild(&["graph", "rebuild"]).fails(2), &["401", &login]);
    let home = env.root.path().join("home/.docker");
    std::fs::create_dir(&home).unwrap();
    let auths = |auth: &str| format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.host);
    // joe:falsch
    std::fs::write(home.join("config.json"), auths("am9lOmZhbHNjaA==")).unwrap();
    let run = env.mabuild(&["graph", "rebuild"]).fails(2);
    says(&run, &["401", "log in again"]);
    assert!(!run.stderr.contains("falsch") && !run.stderr.contains("am9l"), "{}", run.stderr);
    // joe:geheim
    std::fs::write(home.join("config.json"), auths("am9lOmdlaGVpbQ==")).unwrap();
    assert_eq!(env.rebuild(&[]).built, 2);
    // A program that keeps logins, named by another folder.
    let tools = env.root.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let program = tools.join("docker-credential-kept");
    let script = format!(
        "#!/bin/sh\nread server\n[ \"$1 $server\" = \"get {}\" ] || exit 1\n\
         echo '{{\"Username\":\"joe\",\"Secret\":\"geheim\"}}'\n",
        registry.host
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(tools.join("config.json"), r#"{"credsStore":"kept"}"#).unwrap();
    let mut other = project(&registry, "team/site:1", platform);
    other.var("DOCKER_CONFIG", tools.to_str().unwrap());
    let failed = other.mabuild(&["graph", "rebuild"]).fails(2);
    says(&failed, &["401", "docker-credential-kept failed"]);
    other.var("PATH", &format!("{}:/usr/bin:/bin", tools.display()));
    assert_eq!(other.rebuild(&[]).built, 2);
}
