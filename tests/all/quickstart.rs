//! The quickstart on all its platforms, judged by tools of others.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mabuild_tests::env::{Counts, TestEnv, has, skip, source_tree, walk};
use mabuild_tests::fixture::{blob, manifests};
use mabuild_tests::server::{Server, own_mirror};

/// Platform, what `uname -m` may say there.
const PLATFORMS: [(&str, &[&str]); 7] = [
    ("linux/amd64", &["x86_64"]),
    ("linux/arm64", &["aarch64"]),
    ("linux/arm/v7", &["armv7l"]),
    // The emulator runs such programs on a newer processor than they need.
    ("linux/arm/v5", &["armv5tel", "armv7l"]),
    ("linux/386", &["i686"]),
    ("linux/ppc64le", &["ppc64le"]),
    ("linux/s390x", &["s390x"]),
];

/// A quickstart that was built.
struct Built {
    env: TestEnv,
    /// What that took.
    counts: Counts,
    /// Where the packages came from.
    mirror: Server,
}

/// Builds the quickstart once for all tests that run at about the same time; the last one that
/// lets go of it removes it.
fn built() -> Option<Arc<Built>> {
    static BUILT: Mutex<Weak<Built>> = Mutex::new(Weak::new());
    let mut shared = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = shared.upgrade() {
        return Some(built);
    }
    let mirror = own_mirror().map_err(skip).ok()?;
    let mut env = TestEnv::new();
    env.var("DEBIAN_MIRROR", &mirror.address);
    env.copy_in(&source_tree().join("examples/quickstart"));
    let counts = env.rebuild(&[]);
    let built = Arc::new(Built { env, counts, mirror });
    *shared = Arc::downgrade(&built);
    Some(built)
}

fn run(tool: &str, args: &[&str]) -> String {
    let out = Command::new(tool).args(args).output().unwrap();
    let talk = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{tool} {args:?}: {talk}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn every_platform_ran_its_own_steps() {
    let Some(built) = built() else { return };
    let Built { env, counts, .. } = &*built;
    assert_eq!((counts.built, counts.failed, counts.executed), (28, 0, 42), "{counts:?}");
    for (platform, machines) in PLATFORMS {
        let folder = env.unpacked("web:latest", platform);
        let machine = std::fs::read_to_string(folder.join("etc/machine-arch")).unwrap();
        assert!(machines.contains(&machine.trim()), "{platform}: {machine}");
        let release = std::fs::read_to_string(folder.join("etc/busybox-release")).unwrap();
        assert!(release.starts_with("BusyBox v"), "{platform}: {release}");
        let page = std::fs::read_to_string(folder.join("srv/www/index.html")).unwrap();
        assert!(page.contains("Hello from") && page.contains(machine.trim()), "{platform}: {page}");
        let name = std::fs::read_to_string(folder.join("srv/www/platform.txt")).unwrap();
        assert_eq!(name.trim(), platform);
        let link = std::fs::read_link(folder.join("bin/sh")).unwrap();
        assert!(link.ends_with("busybox"), "{link:?}");
    }
}

#[test]
fn configs_say_what_the_file_says() {
    let Some(built) = built() else { return };
    let env = &built.env;
    let members = manifests(&env.store(), &env.digest("web:1.0"));
    let names: Vec<&str> = members.iter().map(|(platform, _)| platform.as_str()).collect();
    assert_eq!(names, PLATFORMS.map(|(platform, _)| platform));
    for (platform, manifest) in &members {
        let manifest = blob(&env.store(), manifest);
        let config = blob(&env.store(), manifest["config"]["digest"].as_str().unwrap());
        let expected = serde_json::json!({
            "User": "www",
            "WorkingDir": "/srv/www",
            "ExposedPorts": { "8080/tcp": {} },
            "Entrypoint": ["httpd", "-f", "-p", "8080", "-h", "/srv/www"],
            "StopSignal": "SIGINT",
            "Labels": { "org.opencontainers.image.title": "web" },
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&config["config"][name], value, "{platform}: {name} of {config}");
        }
        // The command of the image below ends where an entry point is set.
        assert!(config["config"]["Cmd"].is_null(), "{config}");
        let layers = manifest["layers"].as_array().unwrap().len();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), layers);
    }
}

#[test]
fn second_run_asks_for_nothing_as_all_is_locked() {
    let Some(built) = built() else { return };
    let Built { env, mirror, .. } = &*built;
    let before = mirror.requests().len();
    let counts = env.rebuild(&["--offline"]);
    assert_eq!((counts.built, counts.executed, counts.kept), (0, 0, 28), "{counts:?}");
    assert_eq!(mirror.requests().len(), before);
    let run = env.mabuild(&["graph", "rebuild"]).ok();
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert_eq!(mirror.paths()[before..], [""; 0]);
}

#[test]
fn other_tools_read_the_store() {
    let Some(built) = built() else { return };
    let env = &built.env;
    if !(has("skopeo") && has("umoci")) {
        return;
    }
    let store = env.store();
    let source = format!("oci:{}:web:latest", store.display());
    for (platform, _) in PLATFORMS {
        let parts: Vec<&str> = platform.split('/').collect();
        let mut args = vec!["--override-os", "linux", "--override-arch", parts[1]];
        if let Some(variant) = parts.get(2) {
            args.extend(["--override-variant", variant]);
        }
        args.extend(["inspect", &source]);
        let seen: serde_json::Value = serde_json::from_str(&run("skopeo", &args)).unwrap();
        assert_eq!(seen["Architecture"], parts[1], "{platform}");
        assert_eq!(seen["Labels"]["org.opencontainers.image.title"], "web");
    }
    let copy = env.root.path().join("copy");
    let target = format!("oci:{}:web", copy.display());
    run("skopeo", &["--insecure-policy", "copy", "--all", "--quiet", &source, &target]);
    for (platform, _) in PLATFORMS {
        umoci_agrees(env, platform);
    }
}

/// Unpacks one platform with umoci and with the program, and compares the trees.
fn umoci_agrees(env: &TestEnv, platform: &str) {
    let name = platform.replace('/', "-");
    let layout = env.root.path().join(format!("layout-{name}"));
    let bundle = env.root.path().join(format!("bundle-{name}"));
    let to = layout.to_str().unwrap();
    env.mabuild(&["image", "export", "web", "--platform", platform, "--to", "oci-dir", to]).ok();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let reference = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        .as_str()
        .unwrap_or_else(|| panic!("no name in {index}"));
    let image = format!("{to}:{reference}");
    run("umoci", &["unpack", "--rootless", "--image", &image, bundle.to_str().unwrap()]);
    assert_eq!(
        listing(&bundle.join("rootfs")),
        listing(&env.unpacked("web:latest", platform)),
        "{platform}"
    );
}

/// Path, permission bits, and content or link target of everything below a folder.
fn listing(root: &Path) -> Vec<(String, u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt;
    let entry = |path: &Path| {
        let meta = std::fs::symlink_metadata(path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if meta.is_symlink() {
            let target = std::fs::read_link(path).unwrap();
            return (name, 0, target.to_string_lossy().into_owned().into_bytes());
        }
        (name, meta.permissions().mode() & 0o7777, std::fs::read(path).unwrap())
    };
    walk(root).iter().map(|path| entry(path)).collect()
}
