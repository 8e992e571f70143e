//! Bases out of a registry: Debian's own `docker-registry`, filled by skopeo.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{Run, TestEnv, has};
use mabuild_tests::fixture::{blob, manifests};
use sha2::{Digest, Sha256};

/// `joe` with the password `geheim`, as htpasswd writes it.
const LOGIN: &str = "joe:$2b$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n";

/// A registry that ends with the test.
struct Registry {
    /// `127.0.0.1:PORT`
    host: String,
    child: Child,
    /// Taken away with the registry.
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts a registry, perhaps for `joe` alone; none where the programs are missing.
    fn start(is_closed: bool) -> Option<Self> {
        if !has("docker-registry") || !has("skopeo") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: info\n  formatter: text\nstorage:\n  filesystem:\n    \
             rootdirectory: {:?}\nhttp:\n  addr: 127.0.0.1:0\n",
            path("data")
        );
        if is_closed {
            std::fs::write(path("logins"), LOGIN).unwrap();
            config +=
                &format!("auth:\n  htpasswd:\n    realm: r\n    path: {:?}\n", path("logins"));
        }
        std::fs::write(path("config.yml"), config).unwrap();
        let mut child = Command::new("docker-registry")
            .args(["serve", &path("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let host = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect())
        });
        // Whoever talks to nobody waits when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { host: host.unwrap(), child, _folder: folder })
    }

    /// Builds an image with a file for three platforms and pushes it; gives its manifests.
    fn push(&self, name: &str, text: &str, more: &[&str]) -> Vec<(String, String)> {
        let env = TestEnv::new();
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
            .arg(format!("docker://{}/{name}", self.host))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        manifests(&env.store(), &env.digest("site:latest"))
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A project whose base is an image of the registry.
    fn project(&self, reference: &str, platforms: &str) -> TestEnv {
        let env = TestEnv::new();
        let host = &self.host;
        env.write(
            "mabuild.kdl",
            format!(
                "mabuild 1\nplatforms {platforms}\nbase \"site\" {{ registry \"{host}/{reference}\" }}\n\
                 image \"app\" {{ from \"site\"; steps {{ file \"/own\" \"own\\n\" }} }}\n"
            ),
        );
        env
    }
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

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn image_that_skopeo_pushed_is_a_base() {
    let Some(mut registry) = Registry::start(false) else { return };
    let pushed = registry.push("team/site:1", "one\n", &[]);
    let env = registry.project("team/site:1", "\"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"");
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
    registry.push("team/site:1", "two\n", &[]);
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
    let Some(mut registry) = Registry::start(false) else { return };
    let pushed = registry.push("site", "one\n", &[]);
    let (_, amd) = pushed.iter().find(|(platform, _)| platform == "linux/amd64").unwrap();
    let env = registry.project(&format!("site@{amd}"), "\"linux/amd64\"");
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
    let Some(registry) = Registry::start(false) else { return };
    registry.push("team/site:1", "one\n", &[]);
    let env = registry.project("team/site:1", "\"linux/riscv64\"");
    let words = ["no image for linux/riscv64", "linux/amd64, linux/arm/v6, linux/arm64"];
    says(&env.mabuild(&["graph", "plan"]).fails(2), &words);
    for (name, code) in [("team/site:2", "MANIFEST_UNKNOWN"), ("team/sight:1", "team/sight:1")] {
        let env = registry.project(name, "\"linux/amd64\"");
        says(&env.mabuild(&["graph", "plan"]).fails(2), &["404", code, "spelling", "mabuild.kdl"]);
    }
    let env = registry.project("team/site:1", "\"linux/amd64\"");
    says(&env.mabuild(&["graph", "rebuild", "--offline"]).fails(3), &["--offline"]);
}

#[test]
fn image_that_no_base_declares_is_read_too() {
    let Some(registry) = Registry::start(false) else { return };
    registry.push("team/site:1", "one\n", &[]);
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
    let Some(registry) = Registry::start(true) else { return };
    registry.push("team/site:1", "one\n", &["--dest-creds", "joe:geheim"]);
    let platform = "\"linux/amd64\"";
    let env = registry.project("team/site:1", platform);
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
    let mut other = registry.project("team/site:1", platform);
    other.var("DOCKER_CONFIG", tools.to_str().unwrap());
    let failed = other.mabuild(&["graph", "rebuild"]).fails(2);
    says(&failed, &["401", "docker-credential-kept failed"]);
    other.var("PATH", &format!("{}:/usr/bin:/bin", tools.display()));
    assert_eq!(other.rebuild(&[]).built, 2);
}
