//! What other programs make of what mabuild publishes and loads, and mabuild of what they push:
//! buildx, a Docker daemon, and Podman, which also runs a foreign image under an emulator.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use mabuild_tests::buildkit::{Judge, judge};
use mabuild_tests::emulated;
use mabuild_tests::env::{TestEnv, host, skip, walk};
use mabuild_tests::fixture::{HELLO, blob, hello, manifests};
use mabuild_tests::podman::Podman;
use mabuild_tests::registry::{Kind, Registry, Served};
use mabuild_tests::tree::sha256;
use serde_json::Value;

use crate::publish::{World, get, members};

/// What every image here is for.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];
/// An image of one program a platform.
const HELLO_FILE: &str = r#"mabuild 1
platforms "linux/amd64" "linux/arm64"
image "hello" {
    dockerfile "hello/Dockerfile"
    tags "1"
    publish "HOST/team/hello"
    MORE
}
"#;
const HELLO_DOCKERFILE: &str = "FROM scratch\nARG TARGETARCH\nENV SITE=here\n\
    COPY --chmod=0755 ${TARGETARCH} /hello\nENTRYPOINT [\"/hello\"]\n";

/// Both programs, unless it was said that one of them is missing.
fn buildx_and_registry() -> Option<(&'static Judge, Registry)> {
    match judge() {
        Ok(judge) => Registry::start(Kind::Plain).map(|registry| (judge, registry)),
        Err(e) => {
            skip(e);
            None
        }
    }
}

/// A project with the image that says hello.
fn hello_project(host: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("mabuild.kdl", HELLO_FILE.replace("HOST", host).replace("MORE", ""));
    env.write("hello/Dockerfile", HELLO_DOCKERFILE);
    for platform in PLATFORMS {
        let (_, arch) = platform.split_once('/').unwrap();
        env.write(&format!("hello/{arch}"), hello(platform).unwrap());
    }
    env
}

/// The config of an image of the store, and its digest.
fn config(env: &TestEnv, image: &str, platform: &str) -> (String, Value) {
    let all = manifests(&env.store(), &env.digest(image));
    let (_, manifest) = all.iter().find(|(of, _)| of == platform).unwrap();
    let manifest = blob(&env.store(), manifest);
    let digest = manifest["config"]["digest"].as_str().unwrap().to_owned();
    let config = blob(&env.store(), &digest);
    (digest, config)
}

/// The digests of everything that an index or manifest of a registry holds, with its own.
fn everything(host: &str, repository: &str, reference: &str) -> BTreeSet<String> {
    let answer = get(host, &format!("/v2/{repository}/manifests/{reference}"));
    assert_eq!(answer.status, 200, "{reference}");
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let mut all = BTreeSet::from([format!("sha256:{}", sha256(&answer.body))]);
    let text = |of: &Value| of["digest"].as_str().unwrap().to_owned();
    if document["manifests"].is_array() {
        for member in members(&document) {
            all.extend(everything(host, repository, &text(member)));
        }
    } else {
        all.insert(text(&document["config"]));
        all.extend(document["layers"].as_array().unwrap().iter().map(text));
    }
    all
}

#[test]
fn buildx_reads_what_is_published_in_both_formats() {
    let Some((judge, registry)) = buildx_and_registry() else { return };
    for (number, more) in ["annotation \"a\" \"b\"", "format \"docker\""].into_iter().enumerate() {
        let world = World::new(&registry.host, more);
        world.content("amd64", more);
        world.rebuild(&[]).ok();
        let (digest, index) = world.tag("team/app", "1");
        let name = format!("{}/team/app:1", registry.host);
        let inspect = |more: &[&str]| {
            let words = [&["imagetools", "inspect", &name], more].concat();
            judge.buildx(&words).unwrap()
        };
        let raw = get(&registry.host, "/v2/team/app/manifests/1").body;
        assert_eq!(inspect(&["--raw"]).as_bytes(), raw);
        let shown = inspect(&[]);
        let kind = index["mediaType"].as_str().unwrap();
        for text in [&digest, kind, PLATFORMS[0], PLATFORMS[1]] {
            assert!(shown.contains(text), "{text} is not in:\n{shown}");
        }
        // It finds the config of each platform, and what that says fits its manifest.
        let images: Value =
            serde_json::from_str(&inspect(&["--format", "{{json .Image}}"])).unwrap();
        for platform in PLATFORMS {
            let image = &images[platform];
            assert_eq!(format!("linux/{}", image["architecture"].as_str().unwrap()), platform);
            assert_eq!(image["rootfs"], config(&world.env, "app:1", platform).1["rootfs"]);
        }
        // It gives the same index another name.
        let copy = format!("{}/team/app:copy-{number}", registry.host);
        judge.buildx(&["imagetools", "create", "--tag", &copy, &name]).unwrap();
        assert_eq!(world.digest(&format!("copy-{number}")), digest);
    }
}

/// An index of BuildKit also lists what is said about the build, as images of no platform.
#[test]
fn what_buildx_pushed_is_copied_whole_and_built_on() {
    if let Some((judge, registry)) = buildx_and_registry() {
        copied_and_built_on(judge, &registry);
    }
}

/// Pushes an image of two platforms with buildx, copies it, and builds on it.
pub(crate) fn copied_and_built_on(judge: &Judge, registry: &dyn Served) {
    let served = registry.host();
    let env = TestEnv::new();
    env.write("theirs/text", "theirs\n");
    let dockerfile = "FROM scratch\nARG TARGETARCH\nCOPY text /text\nCOPY text /${TARGETARCH}\n\
                      ENV SITE=theirs\nLABEL from=buildx\n";
    env.write("theirs/Dockerfile", dockerfile);
    let theirs = format!("{}/team/theirs:1", served);
    let platforms = PLATFORMS.join(",");
    let context = env.path("theirs");
    let fixed = ["build", "--builder", "default", "--progress", "plain", "--push"];
    let more = ["--provenance=mode=max", "--platform", &platforms, "--tag", &theirs];
    let context = [context.to_str().unwrap()];
    judge.buildx(&[&fixed[..], &more, &context].concat()).unwrap();

    let raw = get(served, "/v2/team/theirs/manifests/1").body;
    let digest = format!("sha256:{}", sha256(&raw));
    let index: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(members(&index).len(), 4, "two images, two statements: {index:#}");
    let shown = env.mabuild(&["image", "inspect", &theirs]).ok().stdout;
    assert!(PLATFORMS.iter().all(|platform| shown.contains(platform)), "{shown}");

    // All of it is copied: within the registry, and into files.
    let copy = format!("{}/mirror/theirs:2", served);
    let copied = env.mabuild(&["copy", &theirs, &copy]).ok();
    assert_eq!(copied.stdout.trim(), digest);
    let all = everything(served, "team/theirs", "1");
    assert_eq!(all.len(), 1 + 2 * 4 + 3 + 2, "manifests with configs, layers, statements: {all:?}");
    assert_eq!(everything(served, "mirror/theirs", "2"), all);
    assert_eq!(judge.buildx(&["imagetools", "inspect", "--raw", &copy]).unwrap().as_bytes(), raw);
    let folder = env.root.path().join("layout");
    env.mabuild(&["copy", &theirs, &format!("oci:{}:1", folder.display())]).ok();
    let mut files = BTreeSet::new();
    for file in walk(&folder.join("blobs/sha256")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(sha256(&std::fs::read(&file).unwrap()), name);
        files.insert(format!("sha256:{name}"));
    }
    assert_eq!(files, all);

    // It is a base as it is, without the statements.
    let text = format!(
        "mabuild 1\nplatforms {:?} {:?}\nbase \"theirs\" {{ registry {theirs:?} }}\n\
         image \"app\" {{ from \"theirs\"; steps {{ file \"/own\" \"own\\n\" }} }}\n",
        PLATFORMS[0], PLATFORMS[1]
    );
    env.write("mabuild.kdl", text);
    assert_eq!(env.rebuild(&[]).built, 4);
    let own = |member: &&Value| member["platform"]["os"] == "linux";
    let pushed: Vec<&Value> = members(&index).into_iter().filter(own).collect();
    let taken = manifests(&env.store(), &env.digest("theirs:latest"));
    for ((platform, taken), pushed) in taken.iter().zip(&pushed) {
        assert_eq!(pushed["digest"], **taken, "{platform}");
        let root = env.unpacked("app", platform);
        let (_, arch) = platform.split_once('/').unwrap();
        for (name, text) in [("text", "theirs\n"), (arch, "theirs\n"), ("own", "own\n")] {
            assert_eq!(std::fs::read_to_string(root.join(name)).unwrap(), text, "{name}");
        }
        let config = &config(&env, "app:latest", platform).1["config"];
        assert_eq!(config["Labels"]["from"], "buildx");
        assert!(config["Env"].to_string().contains("SITE=theirs"), "{config}");
    }
    assert_eq!((taken.len(), pushed.len()), (2, 2));
}

#[test]
fn docker_has_and_runs_what_is_loaded() {
    let judge = match judge() {
        Ok(judge) => judge,
        Err(e) => return skip(e),
    };
    let mut env = hello_project("127.0.0.1:1");
    env.rebuild(&[]);
    env.write("bin/docker", judge.docker_script().unwrap());
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(env.path("bin/docker"), mode).unwrap();
    let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
    env.var("PATH", &path).var("DOCKER_HOST", &judge.address());
    for platform in PLATFORMS {
        let words = ["image", "load", "hello:1", "--into", "docker", "--platform", platform];
        env.mabuild(&words).ok().says(&["docker has hello:1"]);
        let told = judge.docker(&["image", "inspect", "hello:1"]).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let (_, config) = config(&env, "hello:1", platform);
        let (told, own) = (&told[0], &config["config"]);
        assert_eq!(told["RootFS"]["Layers"], config["rootfs"]["diff_ids"], "{told:#}");
        assert_eq!(told["Config"]["Env"], own["Env"]);
        assert_eq!(told["Config"]["Entrypoint"], own["Entrypoint"]);
        assert_eq!((&told["Architecture"], &told["Os"]), (&config["architecture"], &config["os"]));
        if platform == host() {
            let words = ["run", "--rm", "--pull", "never", "--network", "none", "hello:1"];
            assert_eq!(judge.docker(&words).unwrap(), HELLO);
        }
    }
}

/// Lets Podman run where the control groups of this machine are of a kind that its runtime does
/// not take: it sees none.
const WITHOUT_GROUPS: &str = "mount -t tmpfs tmpfs /sys/fs/cgroup; exec \"$@\"";

#[test]
fn podman_pulls_every_platform_and_runs_it() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let mut env = hello_project(&registry.host);
    let Some(podman) = Podman::new(&env.root.path().join("podman")) else { return };
    let name = format!("{}/team/hello:1", registry.host);
    let mut runs = Vec::new();
    for more in ["format \"docker\"", ""] {
        let text = HELLO_FILE.replace("HOST", &registry.host).replace("MORE", more);
        env.write("mabuild.kdl", text);
        env.mabuild(&["graph", "rebuild", "--progress", "plain", "--publish"]).ok();
        runs.clear();
        for platform in PLATFORMS {
            let words = ["pull", "--quiet", "--tls-verify=false", "--platform", platform, &name];
            let id = podman.ask(&words);
            assert_eq!(format!("sha256:{id}"), config(&env, "hello:1", platform).0, "{more}");
            runs.push(format!("podman run --rm --pull never {id}"));
        }
    }
    if host() != PLATFORMS[0] || !emulated::has_own_formats() {
        return skip("only Linux 6.7 on amd64 can emulate arm64 for Podman alone");
    }
    // Where this machine has no emulator, a step of a build makes mabuild fetch one.
    if emulated::of_arm64(&env.store()).is_none() {
        if let Err(why) = env.with_mirror() {
            return skip(&why);
        }
        env.write("hello/Dockerfile", format!("{HELLO_DOCKERFILE}RUN [\"/hello\"]\n"));
        env.rebuild(&[]);
    }
    let emulator = emulated::of_arm64(&env.store()).unwrap();
    let target = mabuild_distro::qemu::emulator("linux", "arm64").unwrap();
    let line = target.register_line("arm64", emulator.to_str().unwrap(), "FP").unwrap();
    let mut command = emulated::command(&env.root.path().join("emulated"), &line);
    command.args(["sh", "-ec", WITHOUT_GROUPS, "sh", "sh", "-c"]).arg(runs.join(" && "));
    assert_eq!(podman.ask_by(&mut command), format!("{HELLO}{HELLO}").trim());
}
