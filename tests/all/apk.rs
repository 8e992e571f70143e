//! Systems and packages of Alpine out of repositories on the loopback: signed, pinned, set up by
//! whoever runs the program to the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mabuild_distro::alpine::testrepo::{Built, Recipe, Signer, signed_index};
use mabuild_tests::env::{TestEnv, User, host, skip, source_tree};
use mabuild_tests::fixture::alpine_releases;
use mabuild_tests::server::{Answer, Server};

type Files = BTreeMap<String, Vec<u8>>;

/// A mirror with a branch `v3`; its second repository is empty.
struct Mirror {
    server: Server,
    files: Arc<Mutex<Files>>,
}

fn signer() -> Arc<Signer> {
    Signer::shared("apk-test")
}

/// Alpine's name for the architecture of this machine.
fn arch() -> &'static str {
    match host() {
        "linux/amd64" => "x86_64",
        "linux/arm64" => "aarch64",
        other => panic!("no test knows {other}"),
    }
}

impl Mirror {
    fn start(packages: &[Built]) -> Self {
        let files = Arc::new(Mutex::new(Files::new()));
        let served = files.clone();
        let server =
            Server::start(move |request, _| match served.lock().unwrap().get(&request.path) {
                Some(bytes) => Answer::ok(bytes.clone()),
                None => Answer::status(404),
            });
        let mirror = Self { server, files };
        mirror.publish(packages);
        mirror
    }

    fn publish(&self, packages: &[Built]) {
        self.files.lock().unwrap().clear();
        self.publish_branch("v3", packages);
    }

    /// Puts a branch in place, beside others.
    fn publish_branch(&self, branch: &str, packages: &[Built]) {
        let mut files = self.files.lock().unwrap();
        let place =
            |repository: &str, name: &str| format!("/{branch}/{repository}/{}/{name}", arch());
        files.insert(place("main", "APKINDEX.tar.gz"), signed_index(packages, &signer()));
        files.insert(place("community", "APKINDEX.tar.gz"), signed_index([], &signer()));
        for built in packages {
            files.insert(place("main", &built.package.file_name()), built.bytes.clone());
        }
    }
}

fn package(name: &str, version: &str) -> Recipe {
    Recipe::new(name, version).arch(arch())
}

fn build(recipe: Recipe) -> Built {
    recipe.build(&signer())
}

/// A project with the key beside it.
fn project(env: &TestEnv, text: &str) {
    env.write("mabuild.kdl", format!("mabuild 1\nplatforms {:?}\n{text}", host()));
    env.write(&format!("keys/{}", signer().file_name()), signer().pem());
}

fn read(root: &Path, path: &str) -> String {
    let read = std::fs::read_to_string(root.join(path));
    read.unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The kinds of users that this machine has.
fn users() -> Vec<TestEnv> {
    let env = |user| TestEnv::of(user).map_err(|e| skip(&e)).ok();
    [User::Me, User::Single, User::Ranges].into_iter().filter_map(env).collect()
}

#[test]
fn a_system_without_scripts_is_unpacked_by_everybody_alike() {
    let mirror = Mirror::start(&[
        build(package("app", "2-r0").depends("data").file("usr/bin/app", 0o4755, b"app")),
        build(
            package("data", "1-r0").folder("srv/data", 0o1777, (7, 8)).file("srv/f", 0o640, b"f"),
        ),
    ]);
    let text = "base \"b\" { alpine \"3\" signed-by=\"keys\" { include \"app\" } }\n\
                image \"i\" { from \"b\"; steps { file \"/etc/x\" \"x\" } }\n";
    let mut digests = Vec::new();
    for mut env in users() {
        env.var("ALPINE_MIRROR", &mirror.server.address);
        project(&env, text);
        let counts = env.rebuild(&[]);
        assert_eq!((counts.built, counts.executed), (2, 0), "{counts:?}");
        let root = env.unpacked("i:latest", host());
        assert_eq!(read(&root, "usr/bin/app"), "app");
        assert_eq!(read(&root, "etc/apk/world"), "app\n");
        // The address is the public one, wherever this machine got the packages from.
        let list = "https://dl-cdn.alpinelinux.org/alpine/v3/main\n\
                    https://dl-cdn.alpinelinux.org/alpine/v3/community\n";
        assert_eq!(read(&root, "etc/apk/repositories"), list);
        let asked = mirror.server.paths().len();
        assert_eq!(env.rebuild(&[]).built, 0);
        let again = mirror.server.paths().split_off(asked);
        assert!(again.iter().all(|path| path.ends_with("APKINDEX.tar.gz")), "{again:?}");
        digests.push(env.digest("i:latest"));
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

/// A shell, when this machine has one that runs anywhere.
fn busybox() -> Option<Built> {
    let found = ["/bin/busybox", "/usr/bin/busybox"].iter().find_map(|p| std::fs::read(p).ok());
    let Some(program) = found else {
        skip("no static busybox is here");
        return None;
    };
    let recipe = package("busybox", "1-r0")
        .file("bin/busybox", 0o755, &program)
        .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")
        .file("etc/group", 0o644, b"root:x:0:root\n")
        .file("etc/shadow", 0o640, b"root:*::0:::::\n")
        .symlink("bin/sh", "busybox")
        .script("post-install", "#!/bin/busybox sh\necho \"busybox $1\" >> /etc/order\n")
        .script("trigger", "#!/bin/busybox sh\necho \"trigger $*\" >> /etc/order\n")
        .triggers("/usr/* /bin");
    Some(build(recipe))
}

#[test]
fn scripts_of_packages_run_in_the_sandbox() {
    let Some(busybox) = busybox() else { return };
    let app = package("app", "2-r0")
        .depends("busybox")
        .file("usr/bin/app", 0o755, b"app")
        .script(
            "pre-install",
            "#!/bin/sh\n[ ! -e /usr/bin/app ] || exit 1\necho \"app before $1\" >> /etc/order\n\
             echo who:x:100:101::/:/bin/false >> /etc/passwd\n\
             echo \"who:!:$(($(/bin/busybox date +%s) / 86400)):0:99999:7:::\" >> /etc/shadow\n\
             /bin/busybox cp /etc/passwd /etc/passwd-\n\
             /bin/busybox mkdir -p /var/lib/who /tmp/x /var/log\n\
             /bin/busybox chown who /var/lib/who\necho log > /var/log/who\n",
        )
        .script(
            "post-install",
            "#!/bin/sh\n[ -e /usr/bin/app ] && echo \"app $1\" >> /etc/order\n",
        );
    let mirror = Mirror::start(&[busybox, build(app)]);
    let text = format!(
        "base \"b\" {{ alpine \"3\" mirror={:?} signed-by=\"keys\" {{ include \"app\" }} }}\n\
         image \"i\" {{ from \"b\"; steps {{ file \"/etc/x\" \"x\" }} }}\n",
        mirror.server.address
    );
    let mut digests = Vec::new();
    for env in users() {
        project(&env, &text);
        let counts = env.rebuild(&[]);
        assert_eq!((counts.built, counts.executed), (2, 1), "{counts:?}");
        let root = env.unpacked("i:latest", host());
        assert_eq!(
            read(&root, "etc/order"),
            "busybox 1-r0\napp before 2-r0\napp 2-r0\ntrigger /bin /usr/bin\n"
        );
        assert!(read(&root, "etc/passwd").contains("\nwho:x:100:"));
        // 14 November 2023, when the packages were built.
        assert!(
            read(&root, "etc/shadow").contains("\nwho:!:19675:"),
            "{}",
            read(&root, "etc/shadow")
        );
        assert!(root.join("var/lib/who").is_dir());
        assert!(!root.join("tmp/x").exists() && !root.join("etc/passwd-").exists());
        assert!(!root.join("run/mabuild-script").exists());
        digests.push(env.digest("i:latest"));
        env.assert_quiet();
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn a_script_that_fails_is_named() {
    let Some(busybox) = busybox() else { return };
    let app =
        package("app", "2-r0").depends("busybox").script("post-install", "#!/bin/sh\nexit 3\n");
    let mirror = Mirror::start(&[busybox, build(app)]);
    let env = TestEnv::new();
    let text = format!(
        "base \"b\" {{ alpine \"3\" mirror={:?} signed-by=\"keys\" {{ include \"app\" }} }}\n\
         image \"i\" {{ from \"b\" }}\n",
        mirror.server.address
    );
    project(&env, &text);
    let run = env.mabuild(&["graph", "rebuild"]);
    assert!(run.code != Some(0));
    let _ = run.says(&["the script post-install of app 2-r0 ended with exit code 3"]);
}

/// The real root file system of Alpine for this machine.
fn minirootfs() -> Option<PathBuf> {
    let folder = alpine_releases().map_err(skip).ok()?;
    Some(folder.join(format!("3.20.3/alpine-minirootfs-3.20.3-{}.tar.gz", arch())))
}

#[test]
fn packages_are_installed_by_the_apk_of_a_real_image() {
    let Some(rootfs) = minirootfs() else { return };
    let version = |version: &str| {
        [
            build(
                package("app", version)
                    .depends("app-data so:libc.musl-x86_64.so.1 !nothing")
                    .file("usr/bin/app", 0o755, version.as_bytes())
                    .script("post-install", "#!/bin/sh\necho \"$1\" > /etc/app-installed\n"),
            ),
            build(package("app-data", version).folder("srv/app", 0o750, (33, 33))),
            build(package("other", version)),
        ]
    };
    let mirror = Mirror::start(&version("1-r0"));
    let text = format!(
        "base \"alpine\" {{ rootfs {:?} }}\n\
         image \"set-up\" {{ from \"alpine\"; steps {{\n\
             file \"/etc/apk/repositories\" \"{}/v3/main\\n\"\n\
             copy \"keys/{}\" \"/etc/apk/keys/\"\n\
         }} }}\n\
         image \"i\" {{ from \"set-up\"; steps {{ packages \"app\" }} }}\n",
        rootfs.display().to_string(),
        mirror.server.address,
        signer().file_name()
    );
    let mut digests = Vec::new();
    for (nth, env) in users().into_iter().enumerate() {
        mirror.publish(&version("1-r0"));
        project(&env, &text);
        env.rebuild(&[]);
        let root = env.unpacked("i:latest", host());
        assert_eq!(read(&root, "usr/bin/app"), "1-r0");
        assert_eq!(read(&root, "etc/app-installed"), "1-r0\n");
        let world = read(&root, "etc/apk/world");
        let new: Vec<&str> = world
            .lines()
            .filter(|line| {
                !line.starts_with("alpine-")
                    && !["apk-tools", "busybox", "libc-utils"].contains(line)
            })
            .collect();
        assert_eq!(new, ["app"], "{world}");
        let installed = read(&root, "lib/apk/db/installed");
        assert!(
            installed.contains("P:app\nV:1-r0\n") && installed.contains("P:app-data\nV:1-r0\n")
        );
        assert!(!installed.contains("P:other\n"));
        assert_eq!(
            read(&root, "etc/apk/repositories"),
            format!("{}/v3/main\n", mirror.server.address)
        );
        assert_eq!(std::fs::read_dir(root.join("var/cache/apk")).map_or(0, Iterator::count), 0);
        assert!(
            !root.join("run/mabuild-packages").exists() && !root.join("var/log/apk.log").exists()
        );
        digests.push(env.digest("i:latest"));
        assert_eq!(env.rebuild(&[]).built, 0);
        if nth == 0 {
            // The lock holds a version until it is moved.
            mirror.publish(&version("2-r0"));
            assert_eq!(env.rebuild(&[]).built, 0);
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn the_example_has_the_python_of_each_release() {
    let folder = match alpine_releases() {
        Ok(folder) => folder,
        Err(why) => return skip(why),
    };
    // What is called Python is a script: there is no mirror of Alpine with the real one.
    let python = |version: &str| {
        let text = format!("#!/bin/sh\n[ -f \"$1\" ] && echo {version} > /srv/ran\n");
        let file = package("python3", version).depends("/bin/sh");
        build(file.file("usr/bin/python3", 0o755, text.as_bytes()))
    };
    let mirror = Mirror::start(&[]);
    mirror.publish_branch("v3.19", &[python("3.11.9-r0"), python("3.10.1-r0")]);
    mirror.publish_branch("v3.20", &[python("3.12.6-r0"), python("3.13.1-r0")]);
    let env = TestEnv::new();
    env.copy_in(&source_tree().join("examples/alpine-python"));
    env.write(&format!("keys/{}", signer().file_name()), signer().pem());
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    let before = "remove \"/etc/motd\"\n";
    let set_up = format!(
        "{before}file \"/etc/apk/repositories\" \"{}/v{{{{alpine}}}}/main\\n\"\n\
         copy \"keys/{}\" \"/etc/apk/keys/\"\n",
        mirror.server.address,
        signer().file_name()
    );
    let all = "platforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"";
    assert!(text.contains(before) && text.contains(all), "{text}");
    let text = text.replace(all, &format!("platforms {:?}", host()));
    env.write("mabuild.kdl", text.replace(before, &set_up));
    let set = format!("releases={}", folder.display());
    let args = ["--set", &set];
    let counts = env.rebuild(&args);
    assert_eq!((counts.built, counts.failed), (8, 0), "{counts:?}");
    for (image, release, version) in
        [("hello:3.11", "3.19.4", "3.11.9-r0"), ("hello:3.12", "3.20.3", "3.12.6-r0")]
    {
        let root = env.unpacked(image, host());
        assert_eq!(read(&root, "etc/alpine-release"), format!("{release}\n"));
        assert_eq!(read(&root, "srv/ran"), format!("{version}\n"));
        assert!(!root.join("etc/motd").exists());
    }
    let lock = read(&env.project(), "mabuild.lock");
    assert!(lock.contains(" python3 3.11.9-r0 ") && lock.contains(" python3 3.12.6-r0 "), "{lock}");
    // One release of Python makes what is on it stale, and nothing else.
    mirror.publish_branch("v3.20", &[python("3.12.7-r0")]);
    assert_eq!(env.rebuild(&args).built, 0);
    assert_eq!(env.rebuild(&[&args[..], &["--update"]].concat()).built, 2);
    let root = env.unpacked("hello:3.12", host());
    assert_eq!(read(&root, "srv/ran"), "3.12.7-r0\n");
}
