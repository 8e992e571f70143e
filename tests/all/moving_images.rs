//! Images between registries, layouts, archives and runtimes, and images of registries that are
//! read without being copied. Judges: skopeo, umoci's layouts, podman.

use std::path::{Path, PathBuf};
use std::process::Command;

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, has};
use mabuild_tests::fixture::{blob, manifests};
use mabuild_tests::podman::Podman;
use mabuild_tests::registry::{Kind, Registry};
use serde_json::Value;

/// An image of two layers on three platforms; nothing runs.
fn built(text: &str) -> TestEnv {
    let env = TestEnv::new();
    let tree = Tar::default()
        .dir("./", 0o755)
        .dir("etc", 0o755)
        .file("etc/text", 0o644, text.as_bytes())
        .owned("etc/secret", 0o600, (7, 8), "secret\n")
        .symlink("link", "etc/text");
    env.write("tree.tar", tree.plain());
    env.write(
        "mabuild.kdl",
        r#"mabuild 1
platforms "linux/amd64" "linux/arm64" "linux/arm/v7"
base "tree" { rootfs "tree.tar" }
image "site" {
    from "tree"
    steps { file "/platform" "{{platform}}\n" mode="0640" }
    env SITE="1"
    tags "1.0" "latest"
}
"#,
    );
    env.rebuild(&[]);
    env
}

/// A registry, and the program that judges it; none where one of them is missing.
fn registry() -> Option<Registry> {
    has("skopeo").then(|| Registry::start(Kind::Plain)).flatten()
}

fn tool(name: &str, args: &[&str]) -> String {
    let out = Command::new(name).args(args).output().unwrap();
    let talk = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{name} {args:?}: {talk}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The digest that a registry has under a name, as skopeo sees it.
fn served(reference: &str) -> String {
    let place = format!("docker://{reference}");
    let raw = tool("skopeo", &["inspect", "--tls-verify=false", "--raw", &place]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), raw).unwrap();
    tool("skopeo", &["manifest-digest", file.path().to_str().unwrap()]).trim().to_owned()
}

/// Copies, and gives what was told as JSON.
fn copy(env: &TestEnv, from: &str, to: &str, more: &[&str]) -> Value {
    let words = [&["copy", from, to, "--format", "json"], more].concat();
    env.mabuild(&words).ok().json()
}

/// Requests of a kind since the start: method, and a part of the path.
fn asked(registry: &Registry, method: &str, part: &str) -> usize {
    let requests = registry.requests();
    requests.iter().filter(|r| r.method == method && r.path.contains(part)).count()
}

/// Blobs that were sent or fetched so far.
fn traffic(registry: &Registry) -> usize {
    let requests = registry.requests();
    let moved = requests.iter().filter(|r| {
        let moves = match r.method.as_str() {
            "GET" => r.path.contains("/blobs/sha256:"),
            "PUT" | "PATCH" => r.path.contains("/blobs/uploads/"),
            _ => false,
        };
        moves && r.status < 300
    });
    moved.count()
}

fn path(env: &TestEnv, name: &str) -> (PathBuf, String) {
    let path = env.root.path().join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

#[test]
fn copies_keep_their_digest_wherever_they_go() {
    let Some(registry) = registry() else { return };
    let env = built("one\n");
    let digest = env.digest("site:1.0");
    let at = |name: &str| format!("{}/{name}", registry.host);

    let told = copy(&env, "store:site:1.0", &at("team/site:1.0"), &[]);
    assert_eq!(told["digest"], *digest);
    assert_eq!(told["sent"]["mounted"], 0, "{told}");
    assert_eq!(served(&at("team/site:1.0")), digest);
    let before = (traffic(&registry), asked(&registry, "PUT", "/manifests/"));
    let again = env.mabuild(&["copy", "store:site:1.0", &at("team/site:1.0")]).ok();
    assert_eq!(again.stdout.trim(), digest);
    again.says(&["nothing sent"]);
    let after = (traffic(&registry), asked(&registry, "PUT", "/manifests/"));
    assert_eq!(after, before, "what is there is not sent again");

    // From an empty store on another machine.
    let other = TestEnv::new();
    let told = copy(&other, &at("team/site:1.0"), &at("mirror/site:2"), &[]);
    assert_eq!(served(&at("mirror/site:2")), digest);
    assert_eq!(told["sent"]["blobs"], 0, "within a registry blobs are mounted: {told}");
    assert!(told["sent"]["mounted"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(other.blobs().len(), 1, "of the image only its index came here");

    let (layout, folder) = path(&other, "layout");
    copy(&other, &at("team/site:1.0"), &format!("oci:{folder}:1.0"), &[]);
    assert_eq!(manifests(&layout, &digest).len(), 3);
    let raw = tool(
        "skopeo",
        &["--override-arch", "arm64", "inspect", "--config", &format!("oci:{folder}:1.0")],
    );
    assert!(raw.contains("arm64"), "{raw}");
    let (_, file) = path(&other, "site.tar");
    copy(&other, &format!("oci:{folder}"), &format!("oci-archive:{file}:a"), &[]);
    let third = TestEnv::new();
    copy(&third, &format!("oci-archive:{file}:a"), &at("third/site"), &[]);
    assert_eq!(served(&at("third/site:latest")), digest);
}

#[test]
fn platforms_are_chosen() {
    let Some(registry) = registry() else { return };
    let env = built("one\n");
    let all = manifests(&env.store(), &env.digest("site:1.0"));
    let of = |platform: &str| all.iter().find(|(p, _)| p == platform).unwrap().1.clone();
    let at = |name: &str| format!("{}/{name}", registry.host);
    copy(&env, "store:site:1.0", &at("team/one:1"), &["--platform", "linux/arm64"]);
    assert_eq!(served(&at("team/one:1")), of("linux/arm64"));
    copy(&env, "store:site:1.0", &at("team/site:1"), &[]);
    // From the store and from a registry the same choice is the same image.
    let choice = ["--platform", "arm64,arm"];
    let two = copy(&env, "store:site:1.0", &at("team/two:1"), &choice);
    assert_eq!(
        copy(&env, &at("team/site:1"), &at("team/three:1"), &choice)["digest"],
        two["digest"]
    );
    let raw = tool(
        "skopeo",
        &["inspect", "--tls-verify=false", "--raw", &format!("docker://{}", at("team/two:1"))],
    );
    let index: Value = serde_json::from_str(&raw).unwrap();
    let digests: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["digest"].as_str().unwrap())
        .collect();
    assert_eq!(digests, [of("linux/arm64"), of("linux/arm/v7")]);
    let run =
        env.mabuild(&["copy", "store:site:1.0", &at("team/no:1"), "--platform", "s390x"]).fails(2);
    run.says(&["no image for linux/s390x", "linux/arm64"]);
}

#[test]
fn archives_of_docker_come_and_go() {
    let Some(registry) = registry() else { return };
    let env = built("one\n");
    let at = |name: &str| format!("{}/{name}", registry.host);
    let (_, ours) = path(&env, "ours.tar");
    let words = ["--platform", "linux/arm/v7"];
    copy(&env, "store:site:1.0", &format!("docker-archive:{ours}:acme/site:7"), &words);
    let list = tool("skopeo", &["list-tags", &format!("docker-archive:{ours}")]);
    assert!(list.contains("acme/site:7"), "{list}");
    let told = copy(&env, &format!("docker-archive:{ours}"), &at("team/ours:1"), &[]);
    let again = copy(&env, &format!("docker-archive:{ours}:acme/site:7"), &at("team/ours:2"), &[]);
    assert_eq!(told["digest"], again["digest"], "the same archive gives the same image");
    let place = format!("docker://{}", at("team/ours:1"));
    let raw = tool("skopeo", &["inspect", "--tls-verify=false", "--config", &place]);
    let config: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!((&config["architecture"], &config["variant"]), (&"arm".into(), &"v7".into()));

    // What skopeo writes, also compressed as a whole.
    let (_, theirs) = path(&env, "theirs.tar");
    tool(
        "skopeo",
        &["copy", "--src-tls-verify=false", &place, &format!("docker-archive:{theirs}:x/y:1")],
    );
    tool("gzip", &[&theirs]);
    copy(&env, &format!("docker-archive:{theirs}.gz:x/y:1"), &at("team/theirs:1"), &[]);
    let files = ["image", "files", &at("team/theirs:1"), "/etc"];
    let files = env.mabuild(&files).ok().stdout;
    assert!(files.contains("7:8") && files.contains("/etc/secret"), "{files}");
    let run = env.mabuild(&["copy", &format!("docker-archive:{ours}:z"), &at("z:1")]).fails(2);
    run.says(&["acme/site:7"]);
    // Half an archive is none.
    let whole = std::fs::read(&ours).unwrap();
    std::fs::write(&ours, &whole[..whole.len() / 2]).unwrap();
    env.mabuild(&["copy", &format!("docker-archive:{ours}"), &at("team/half:1")]).fails(2);
    let run = env.mabuild(&["image", "inspect", &at("team/half:1")]).fails(2);
    run.says(&["there is no image"]);
}

#[test]
fn images_of_registries_are_read_as_those_of_the_store() {
    let Some(registry) = registry() else { return };
    let env = built("one\n");
    let (digest, site) = (env.digest("site:1.0"), format!("{}/team/site:1.0", registry.host));
    copy(&env, "store:site:1.0", &site, &[]);

    let far = TestEnv::new();
    let see = |env: &TestEnv, args: &[&str]| env.mabuild(&[&["image"], args].concat()).ok();
    let json =
        |env: &TestEnv, args: &[&str]| see(env, &[args, &["--format", "json"]].concat()).json();
    let before = registry.requests().len();
    assert_eq!(json(&far, &["inspect", &site]), json(&env, &["inspect", "site:1.0"]));
    let asked: Vec<String> = registry.requests()[before..].iter().map(|r| r.path.clone()).collect();
    assert_eq!(asked.len(), 7, "the index, three manifests, three configs: {asked:?}");
    // With its digest, what is here needs nobody.
    let exact = format!("{}/team/site@{digest}", registry.host);
    let before = registry.requests().len();
    let mut tree = json(&far, &["tree", &exact, "--offline"]);
    let mut own = json(&env, &["tree", "site:1.0"]);
    assert_eq!(registry.requests().len(), before);
    assert_eq!(tree["name"].take(), *exact);
    own["name"].take();
    assert_eq!(tree, own);
    assert_eq!(tree["manifests"][1]["layers"].as_array().unwrap().len(), 2);

    let told =
        far.mabuild(&["image", "files", &exact, "--platform", "arm64", "--offline"]).fails(3);
    told.says(&["without --offline"]);
    let before = traffic(&registry);
    let files = json(&far, &["files", &format!("{site}@arm64")]);
    assert_eq!(traffic(&registry) - before, 2, "the layers of one platform");
    assert_eq!(files["files"], json(&env, &["files", "site:1.0@arm64"])["files"]);
    let row = |path: &str| {
        files["files"].as_array().unwrap().iter().find(|f| f["path"] == path).unwrap().clone()
    };
    let secret = row("/etc/secret");
    assert_eq!((&secret["uid"], &secret["mode"]), (&7.into(), &0o600.into()), "{secret}");
    assert_eq!(
        (&row("/platform")["layer"], &row("/link")["target"]),
        (&1.into(), &"etc/text".into())
    );
    see(&far, &["files", &exact, "--platform", "arm64", "--offline"]);

    let (layout, folder) = path(&far, "layout");
    see(&far, &["export", &site, "--to", "oci-dir", &folder]);
    assert_eq!(manifests(&layout, &digest).len(), 3);
    let (root, folder) = path(&far, "root");
    see(&far, &["export", &site, "--to", "directory", &folder, "--platform", "arm"]);
    assert_eq!(std::fs::read_to_string(root.join("platform")).unwrap(), "linux/arm/v7\n");
    let missing = format!("{}/team/none:1", registry.host);
    far.mabuild(&["image", "inspect", &missing]).fails(2).says(&["there is no image"]);
    far.mabuild(&["image", "inspect", "127.0.0.1:1/a/b:1"]).fails(3);
    far.mabuild(&["image", "inspect", "nothing"]).fails(2).says(&["the store has no image"]);
}

/// A bill of materials, as far as a registry sees one.
fn sbom(layout: &Path, subject: &str, size: usize) -> String {
    let put = |bytes: &[u8]| -> (String, usize) {
        use sha2::Digest;
        let hex = hex::encode(sha2::Sha256::digest(bytes));
        std::fs::write(layout.join("blobs/sha256").join(&hex), bytes).unwrap();
        (format!("sha256:{hex}"), bytes.len())
    };
    let entry = |kind: &str, (digest, size): (String, usize)| serde_json::json!({"mediaType": kind, "digest": digest, "size": size});
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/spdx+json",
        "config": entry("application/vnd.oci.empty.v1+json", put(b"{}")),
        "layers": [entry("application/spdx+json", put(b"{\"packages\": []}"))],
        "subject": entry("application/vnd.oci.image.index.v1+json", (subject.to_owned(), size)),
    });
    let made = put(manifest.to_string().as_bytes());
    let mut listed = entry("application/vnd.oci.image.manifest.v1+json", made.clone());
    listed["artifactType"] = "application/spdx+json".into();
    let path = layout.join("index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    index["manifests"].as_array_mut().unwrap().push(listed);
    std::fs::write(&path, index.to_string()).unwrap();
    made.0
}

#[test]
fn what_refers_to_an_image_goes_with_it() {
    let Some(registry) = registry() else { return };
    let env = built("one\n");
    let digest = env.digest("site:1.0");
    let (layout, folder) = path(&env, "layout");
    copy(&env, "store:site:1.0", &format!("oci:{folder}:1"), &[]);
    let size =
        std::fs::metadata(layout.join("blobs").join(digest.replace(':', "/"))).unwrap().len();
    let about = sbom(&layout, &digest, size as usize);
    let at = |name: &str| format!("{}/{name}", registry.host);
    let referrers = |reference: &str| -> Vec<String> {
        let far = TestEnv::new();
        let words = ["image", "tree", reference, "--referrers", "--format", "json"];
        let tree = far.mabuild(&words).ok().json();
        let list = tree["referrers"].as_array().unwrap().clone();
        list.iter().map(|r| r["manifest"]["digest"].as_str().unwrap().to_owned()).collect()
    };
    copy(&env, &format!("oci:{folder}"), &at("bare/site:1"), &[]);
    assert!(referrers(&at("bare/site:1")).is_empty());
    copy(&env, &format!("oci:{folder}"), &at("team/site:1"), &["--referrers"]);
    assert_eq!(referrers(&at("team/site:1")), [about.as_str()]);
    let far = TestEnv::new();
    copy(&far, &at("team/site:1"), &at("mirror/site:1"), &["--referrers"]);
    assert_eq!(referrers(&at("mirror/site:1")), [about.as_str()]);
    assert_eq!(served(&at("mirror/site:1")), digest);
    let (copied, folder) = path(&far, "copied");
    copy(&far, &at("mirror/site:1"), &format!("oci:{folder}:1"), &["--referrers"]);
    assert_eq!(blob(&copied, &about)["artifactType"], "application/spdx+json");
    let index = std::fs::read_to_string(copied.join("index.json")).unwrap();
    assert!(index.contains(&about), "{index}");
    let run = far.mabuild(&["copy", &at("mirror/site:1"), "oci-archive:x", "--referrers"]);
    run.fails(2).says(&["registries and layouts only"]);
}

#[test]
fn image_of_a_registry_is_run() {
    let Some(registry) = registry() else { return };
    let Ok(busybox) = mabuild_tests::fixture::busybox(mabuild_tests::env::host()) else { return };
    let env = TestEnv::new();
    env.write("busybox.tar.gz", busybox);
    let platform = mabuild_tests::env::host();
    let text = format!(
        "mabuild 1\nplatforms {platform:?}\nbase \"box\" {{ rootfs \"busybox.tar.gz\" }}\n\
         image \"app\" {{ from \"box\"; cmd \"/bin/busybox\" \"echo\" \"from afar\" }}\n"
    );
    env.write("mabuild.kdl", text);
    env.rebuild(&[]);
    let app = format!("{}/team/app:1", registry.host);
    copy(&env, "store:app", &app, &[]);
    let far = TestEnv::new();
    assert_eq!(far.mabuild(&["image", "run", &app]).ok().stdout, "from afar\n");
    let before = traffic(&registry);
    let run = far.mabuild(&["image", "run", &app, "/bin/busybox", "echo", "again"]).ok();
    assert_eq!((run.stdout.as_str(), traffic(&registry)), ("again\n", before));
}

#[test]
fn differences_are_told_with_their_reasons() {
    let Some(registry) = registry() else { return };
    let (one, two) = (built("one\n"), built("two, longer\n"));
    let site = format!("{}/team/site:1.0", registry.host);
    copy(&one, "store:site:1.0", &site, &[]);
    let same = one.mabuild(&["image", "diff", &site, "site:1.0", "--exit-code"]).ok();
    assert!(same.stdout.contains("linux/arm/v7 is the same"), "{}", same.stdout);
    let words = ["image", "diff", &site, "site:1.0", "--format", "json", "--exit-code"];
    let told = two.mabuild(&words).fails(2).json();
    assert_eq!(told["platforms"].as_array().unwrap().len(), 3);
    for platform in told["platforms"].as_array().unwrap() {
        let files = platform["files"].as_array().unwrap();
        assert_eq!(files.len(), 1, "{platform}");
        assert_eq!(
            (&files[0]["path"], &files[0]["why"]),
            (&"/etc/text".into(), &serde_json::json!(["content"]))
        );
        assert_eq!(platform["config"], serde_json::json!([]));
    }
    let words = ["image", "diff", "site:1.0@amd64", "site:1.0@arm64", "--format", "json"];
    let told = one.mabuild(&words).ok().json();
    let only = &told["platforms"][0];
    assert_eq!(only["config"][0]["name"], "Platform", "{only}");
    assert_eq!(only["files"][0]["path"], "/platform", "{only}");
    let text = one.mabuild(&["image", "diff", "site:1.0@amd64", "tree"]).ok().stdout;
    assert!(
        text.contains("removed   /platform") && text.contains("Env SITE: \"1\" → nothing"),
        "{text}"
    );
}

/// A config that names the layers of another image would put its files into that.
#[test]
fn image_that_lies_about_its_layers_is_not_believed() {
    let Some(registry) = registry() else { return };
    let env = built("one\n");
    let (layout, folder) = path(&env, "lie");
    env.mabuild(&["image", "export", "tree", "--to", "oci-dir", &folder]).ok();
    let other = Tar::default().file("evil", 0o644, "evil\n").gzip(6);
    let honest = manifests(&layout, &env.digest("tree:latest")).remove(0).1;
    let put = |bytes: &[u8]| -> String {
        use sha2::Digest;
        let hex = hex::encode(sha2::Sha256::digest(bytes));
        std::fs::write(layout.join("blobs/sha256").join(&hex), bytes).unwrap();
        format!("sha256:{hex}")
    };
    let mut manifest = blob(&layout, &honest);
    manifest["layers"][0]["digest"] = put(&other).into();
    manifest["layers"][0]["size"] = other.len().into();
    let bytes = manifest.to_string();
    let digest = put(bytes.as_bytes());
    let entry = serde_json::json!({
        "mediaType": manifest["mediaType"], "digest": digest, "size": bytes.len(),
    });
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let lie = format!("{}/team/lie:1", registry.host);
    let far = TestEnv::new();
    copy(&far, &format!("oci:{folder}"), &lie, &[]);
    far.mabuild(&["image", "files", &lie]).fails(3).says(&["uncompressed"]);
    far.mabuild(&["image", "run", &digest, "/evil"]).fails(3).says(&["uncompressed"]);
    // The honest image is seen as it is, here and where its layer is known.
    let true_one = format!("{}/team/tree:1", registry.host);
    copy(&env, "store:tree", &true_one, &[]);
    for env in [&far, &env] {
        let run = env.mabuild(&["image", "run", &lie, "/evil"]).fails(3);
        run.says(&["uncompressed"]);
        let text = env.mabuild(&["image", "files", &true_one]).ok().stdout;
        assert!(text.contains("/etc/secret") && !text.contains("evil"), "{text}");
    }
}

#[test]
fn list_of_what_is_published_says_how_it_stands() {
    let Some(mut registry) = registry() else { return };
    let env = built("one\n");
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    let publish = format!("publish \"{}/team/site\"\n    tags", registry.host);
    env.write("mabuild.kdl", text.replace("tags", &publish));
    let standing = |env: &TestEnv| -> Vec<String> {
        let told = env.mabuild(&["image", "ls", "--remote", "--format", "json"]).ok().json();
        let rows = told["published"].as_array().unwrap().clone();
        rows.iter().map(|row| row["standing"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(standing(&env), ["absent", "absent"]);
    copy(&env, "store:site:1.0", &format!("{}/team/site:1.0", registry.host), &[]);
    assert_eq!(standing(&env), ["equal", "absent"]);
    let other = built("two\n");
    copy(&other, "store:site:1.0", &format!("{}/team/site:latest", registry.host), &[]);
    assert_eq!(standing(&env), ["equal", "differs"]);
    let text = env.mabuild(&["image", "ls", "--remote"]).ok().stdout;
    assert!(text.contains("linux/amd64 linux/arm/v7 linux/arm64"), "{text}");
    let mut empty = TestEnv::new();
    empty.copy_in(&env.project());
    assert_eq!(standing(&empty), ["unbuilt", "unbuilt"]);
    registry.stop();
    empty.var("MABUILD_STORE", "other");
    empty.mabuild(&["image", "ls", "--remote"]).fails(3).says(&[&registry.host]);
}

#[test]
fn podman_has_what_is_loaded() {
    let mut env = built("one\n");
    let Some(podman) = Podman::new(&env.root.path().join("podman")) else { return };
    for (name, value) in podman.variables() {
        env.var(name, &value);
    }
    let run = env.mabuild(&["image", "load", "site:1.0", "--into", "podman"]).ok();
    run.says(&["podman has site:1.0"]);
    let id = podman.ask(&["image", "inspect", "--format", "{{.Id}} {{.Architecture}}", "site:1.0"]);
    let amd64 = manifests(&env.store(), &env.digest("site:1.0"));
    let own = amd64.iter().find(|(p, _)| *p == mabuild_tests::env::host()).unwrap();
    let config = blob(&env.store(), &own.1)["config"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(id.split(' ').next().unwrap(), config.trim_start_matches("sha256:"));
    env.mabuild(&["image", "load", "site", "--into", "podman", "--platform", "arm64"]).ok();
    let arm = ["image", "inspect", "--format", "{{.Architecture}}", "site:latest"];
    assert_eq!(podman.ask(&arm), "arm64");
}

#[test]
fn load_says_why_nobody_takes_an_image() {
    let mut env = built("one\n");
    env.write("bin/docker", "#!/bin/sh\necho 'Cannot connect to the daemon' >&2\nexit 1\n");
    make_program(&env.path("bin/docker"));
    let bin = env.path("bin");
    env.var("PATH", &format!("{}:/usr/sbin:/sbin", bin.display()));
    let run = env.mabuild(&["image", "load", "site:1.0"]).fails(1);
    run.says(&["Cannot connect to the daemon", "podman cannot be started", "docker-archive"]);
    // One that runs, and breaks in the middle.
    let script = "#!/bin/sh\n[ \"$1\" = version ] && exit 0\nhead -c 600 >/dev/null\necho 'no room' >&2\nexit 1\n";
    env.write("bin/docker", script);
    make_program(&env.path("bin/docker"));
    env.var("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    let run = env.mabuild(&["image", "load", "site:1.0", "--into", "docker"]).fails(1);
    run.says(&["docker did not take `site:1.0`: no room"]);
}

fn make_program(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_a_project_says_of_registries_holds_for_images() {
    let Some(registry) = Registry::start(Kind::Tls) else { return };
    let env = built("one\n");
    let (host, digest) = (&registry.host, env.digest("site:1.0"));
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write("ca.pem", registry.certificate());
    env.write("mabuild.kdl", format!("{text}registry {host:?} {{ ca \"ca.pem\" }}\n"));
    let site = format!("{host}/team/site:1.0");
    copy(&env, "store:site:1.0", &site, &[]);
    assert_eq!(copy(&env, &site, &format!("{host}/mirror/site:2"), &[])["digest"], *digest);

    // Elsewhere nobody knows of the authority.
    let far = TestEnv::new();
    let (layout, folder) = path(&far, "layout");
    let layout_at = format!("oci:{folder}:1");
    let words: [&[&str]; 5] = [
        &["image", "inspect", &site],
        &["image", "tree", &site],
        &["image", "files", &format!("{site}@arm64")],
        &["image", "diff", &format!("{site}@amd64"), &format!("{site}@arm64")],
        &["copy", &site, &layout_at],
    ];
    for words in words {
        far.mabuild(words).fails(3).says(&[host, "TLS"]);
    }
    assert!(!layout.exists());
    let file = env.path("mabuild.kdl").display().to_string();
    for words in words {
        far.mabuild(&[&["-f", &file], words].concat()).ok();
    }
    assert_eq!(manifests(&layout, &digest).len(), 3);
    far.mabuild(&["image", "tree", &site, "-f", "none.kdl"]).fails(2).says(&["none.kdl"]);

    // Mistakes of a project keep nobody from an image.
    far.write("mabuild.kdl", "mabuild 1\nregistry \"a.example\" { mirror }\n");
    let exact = format!("{host}/team/site@{digest}");
    let run = far.mabuild(&["image", "tree", &exact]).ok();
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    run.says(&["warning: ", "mabuild.kdl", "`mabuild check`"]);
    assert_eq!(far.mabuild(&["image", "tree", &exact, "--offline"]).ok().stderr, "");
}
