//! One Dockerfile without a description: `image build`, what comes out of it, and `image run`.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{Run, TestEnv, User, am_root, has, host, skip, walk};
use mabuild_tests::fixture::{blob, busybox, manifests};
use serde_json::Value;

/// A world with an image layout `base` that has a shell and a few users, and an empty context.
fn world() -> TestEnv {
    world_of(User::Me).unwrap()
}

fn world_of(user: User) -> Result<TestEnv, String> {
    let env = TestEnv::of(user)?;
    env.write("base/root.tgz", busybox(host())?);
    env.write(
        "base/mabuild.kdl",
        format!(
            r#"mabuild 1
platforms "{}"
base "busybox" {{ rootfs "root.tgz" }}
image "base" {{
    from "busybox"
    steps {{
        run "/bin/busybox" "--install" "-s" "/bin"
        mkdir "/tmp" mode="1777"
        file "/etc/passwd" "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/srv:/bin/sh\n"
        file "/etc/group" "root:x:0:\nweb:x:33:\n"
    }}
    env PATH="/bin"
}}
"#,
            host()
        ),
    );
    env.rebuild(&["-f", "base/mabuild.kdl"]);
    env.mabuild(&["image", "export", "base", "--to", "oci-dir", "layout"]).ok();
    env.write("app/file", "content\n");
    Ok(env)
}

const BASE: &str = "base=oci-layout://layout";

fn build(env: &TestEnv, args: &[&str]) -> Run {
    let all = ["image", "build", "app", "--build-context", BASE, "--progress", "plain"];
    env.mabuild(&[&all[..], args].concat())
}

/// The config of the one platform of an image that was just built.
fn config(env: &TestEnv, run: &Run) -> Value {
    let index = run.stdout.trim();
    let [(_, manifest)] = manifests(&env.store(), index).try_into().unwrap();
    let manifest = blob(&env.store(), &manifest);
    blob(&env.store(), manifest["config"]["digest"].as_str().unwrap())
}

/// A process that reads this as its standard input.
fn with_stdin(env: &TestEnv, args: &[&str], text: &str) -> (Option<i32>, String, String) {
    env.write("stdin", text);
    let mut command = env.command(args);
    command.stdin(std::fs::File::open(env.path("stdin")).unwrap());
    let out = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

const TWO: &str = "\
ARG WHO=world
FROM base AS one
ARG WHO
RUN echo \"hello $WHO\" > /hello
FROM base
COPY --from=one /hello /hello
COPY file /srv/
LABEL a=file b=file
CMD [\"cat\", \"/hello\"]
";

#[test]
fn a_dockerfile_becomes_an_image_of_the_store() {
    let env = world();
    env.write("app/Dockerfile", TWO);
    let run = build(&env, &["--build-arg", "WHO=me", "-t", "web", "-t", "host:5000/web:2"]).ok();
    assert_eq!(run.stdout.trim(), env.digest("web:latest"));
    assert_eq!(run.stdout.trim(), env.digest("host:5000/web:2"));
    let names: Vec<String> = env.digests().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["base:latest", "busybox:latest", "host:5000/web:2", "web:latest"]);
    assert_eq!(env.mabuild(&["image", "run", "host:5000/web:2"]).ok().stdout, "hello me\n");
    // The same again, also when it is called otherwise.
    build(&env, &["--build-arg", "WHO=me"]).ok().says(&["nothing to do"]);
    build(&env, &["-f", "app/../app/Dockerfile", "--build-arg=WHO=me"])
        .ok()
        .says(&["nothing to do"]);
    // The next build takes from the last what it can.
    let run = build(&env, &["--build-arg", "WHO=you"]).ok();
    run.says(&["COPY file /srv/ (reused)", "RUN echo"]);
    let run = build(&env, &["--build-arg", "WHO=you", "--no-cache"]).ok();
    assert!(run.stderr.contains("1 step run"), "{}", run.stderr);
}

#[test]
fn labels_of_the_call_count_last_and_leave_no_line() {
    let env = world();
    env.write("app/Dockerfile", TWO);
    let plain = config(&env, &build(&env, &[]).ok());
    let run =
        build(&env, &["--label", "b=call", "--label", "c={{x}} \"q\"\n\\", "--label", "d"]).ok();
    let labelled = config(&env, &run);
    let labels = &labelled["config"]["Labels"];
    assert_eq!(labels["a"], "file");
    assert_eq!(labels["b"], "call");
    assert_eq!(labels["c"], "{{x}} \"q\"\n\\");
    assert_eq!(labels["d"], "");
    assert_eq!(plain["history"], labelled["history"]);
    assert_eq!(plain["rootfs"], labelled["rootfs"]);
}

#[test]
fn the_network_of_the_call_is_that_of_steps_that_say_nothing() {
    let env = world();
    let links = "ls /sys/class/net | wc -l";
    env.write(
        "app/Dockerfile",
        format!("FROM base\nRUN echo 1: $({links})\nRUN --network=host echo 2: $({links})\nRUN --network=none echo 3: $({links})\n"),
    );
    let count = |run: &Run, step: &str| -> usize {
        let line = run.stderr.split(&format!("| {step}: ")).nth(1).unwrap();
        line.lines().next().unwrap().trim().parse().unwrap()
    };
    let free = build(&env, &[]).ok();
    let shut = build(&env, &["--network", "none"]).ok();
    assert_eq!(count(&free, "1"), count(&free, "2"));
    // Under no sysfs nothing is listed; else it is the loopback alone.
    assert_eq!(count(&shut, "1"), count(&free, "3"));
    assert!(count(&shut, "1") <= 1);
    build(&env, &["--network=host"]).ok().says(&["nothing to do"]);
}

#[test]
fn the_dockerfile_may_be_anywhere() {
    let env = world();
    let text = "FROM base\nCOPY file /\nRUN cat /file\n";
    let all = ["image", "build", "app", "--build-context", BASE, "--progress=plain", "-f"];
    let (code, _, talk) = with_stdin(&env, &[&all[..], &["-"]].concat(), text);
    assert_eq!(code, Some(0), "{talk}");
    assert!(talk.contains("| content"), "{talk}");
    env.write("other/My.Dockerfile", format!("{text}RUN echo other\n"));
    // A path of -f starts where the program is called.
    env.mabuild(&[&all[..], &["other/My.Dockerfile"]].concat()).ok().says(&["| other"]);
    let run = env.mabuild(&["image", "build", "other"]).fails(2);
    run.says(&["other/Dockerfile", "-f FILE"]);
}

#[test]
fn mistakes_are_told_of_the_dockerfile_or_of_the_flag() {
    let env = world();
    env.write("app/Dockerfile", TWO);
    let said = |args: &[&str], code: i32, words: &[&str]| {
        let run = build(&env, args).fails(code).says(words);
        let hidden = ["mabuild.kdl", "named-context", "oci-layout \"", "platforms \""];
        for word in hidden {
            assert!(!run.stderr.contains(word), "{word} is seen:\n{}", run.stderr);
        }
    };
    said(&["--target", "on"], 2, &["--target on", "did you mean `one`?"]);
    said(&["--platform", "linux/amd64,a/b/c/d"], 2, &["--platform", "a/b/c/d"]);
    said(&["--build-arg", "=x"], 2, &["--build-arg"]);
    said(&["-t", "Upper"], 2, &["--tag Upper"]);
    said(&["-t", "a@sha256:00"], 2, &["--tag"]);
    said(&["-o", "type=zip,dest=x"], 2, &["zip", "oci"]);
    said(&["-o", "type=docker"], 2, &["docker load"]);
    said(&["--secret", "id=a,src=nope"], 2, &["--secret a", "nope"]);
    said(&["--ssh", "default"], 2, &["--ssh default", "SSH_AUTH_SOCK"]);
    said(&["--build-context", "x=nope"], 2, &["`x`", "nope"]);
    said(&["--build-context", "base=oci-layout://layout:9"], 2, &["--build-context base", "`9`"]);
    env.write("app/Dockerfile", "FROM base\nRUNN x\n");
    said(&[], 2, &["app/Dockerfile:2:1", "did you mean `RUN`?"]);
    env.write("app/Dockerfile", "FROM base\nRUN exit 7\n");
    said(&[], 1, &["app/Dockerfile:2:1", "exit code 7"]);
    let run = build(&env, &["--build-arg", "NOBODY=1", "--check"]).fails(1);
    run.says(&["--build-arg NOBODY", "no ARG"]);
}

#[test]
fn values_of_flags_may_hold_anything() {
    let env = world();
    env.write("app/Dockerfile", "FROM base\nARG A\nENV B=$A\n");
    for value in [
        "",
        " ",
        "{{a}} {{{{",
        "\"\\\"\\n",
        "a\nb\tc",
        "é\u{2028}\u{feff}\u{202e}",
        "#x //y /*",
        "{",
        "$A",
    ] {
        let run =
            build(&env, &["--build-arg", &format!("A={value}"), "--label", &format!("k={value}")]);
        let config = config(&env, &run.ok());
        assert_eq!(config["config"]["Labels"]["k"], value);
        let env = config["config"]["Env"].as_array().unwrap();
        assert!(env.contains(&format!("B={value}").into()), "{value:?}: {env:?}");
    }
}

#[test]
fn proxies_are_seen_by_steps_and_by_nothing_else() {
    let mut env = world();
    env.var("NO_PROXY", "from-env");
    env.write(
        "app/Dockerfile",
        "FROM base\nRUN echo \"1 $http_proxy 2 $HTTP_PROXY 3 $no_proxy\"\n",
    );
    let run =
        build(&env, &["--build-arg", "http_proxy=http://one", "--build-arg", "NO_PROXY"]).ok();
    run.clone().says(&["| 1 http://one 2 http://one 3 from-env"]);
    let all = config(&env, &run).to_string();
    assert!(!all.contains("http://one") && !all.contains("from-env"), "{all}");
    build(&env, &["--build-arg", "HTTP_PROXY=http://two"]).ok().says(&["nothing to do"]);
    // Where an ARG declares it, it is an argument like others.
    env.write("app/Dockerfile", "FROM base\nARG HTTP_PROXY\nENV P=$HTTP_PROXY\n");
    let run = build(&env, &["--build-arg", "HTTP_PROXY=http://two"]).ok();
    assert!(config(&env, &run).to_string().contains("P=http://two"));
}

#[test]
fn a_secret_is_seen_by_its_step_and_printed_nowhere() {
    let mut env = world();
    env.var("TOKEN", "s3cr3t-of-env").write("key", "s3cr3t-of-file\n");
    env.write(
        "app/Dockerfile",
        "FROM base\nRUN --mount=type=secret,id=k --mount=type=secret,id=TOKEN,env=T \
         cat /run/secrets/k; cd /run/secrets; head -c 5 k; sleep 0.1; tail -c +6 k; echo \"and $T\"; wc -c k\n",
    );
    let run = build(&env, &["--secret", "id=k,src=key", "--secret", "id=TOKEN"]).ok();
    let run = run.says(&["| ***\n", "| and ***\n", "| 15 k"]);
    assert_eq!(run.stderr.matches("| ***\n").count(), 2, "{}", run.stderr);
    assert!(!run.stderr.contains("s3cr3t"), "{}", run.stderr);
    for file in walk(&env.store()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"s3cr3t"), "{}", file.display());
    }
    // Another value changes nothing that is built.
    env.write("key", "other");
    let run = build(&env, &["--secret", "id=k,src=key", "--secret", "id=TOKEN"]);
    run.ok().says(&["nothing to do"]);
}

#[test]
fn a_log_without_end_does_not_fill_the_disk() {
    let env = world();
    env.write(
        "app/Dockerfile",
        "FROM base\nRUN echo begin; yes 0123456789 | head -c 150000000; echo; echo end\n",
    );
    let run = env.mabuild(&["image", "build", "app", "--build-context", BASE, "-q"]).ok();
    assert!(run.stdout.starts_with("sha256:"), "{}", run.stdout);
    let logs = walk(&env.store().join("mabuild/logs"));
    let (path, size) = logs
        .iter()
        .map(|path| (path, std::fs::metadata(path).unwrap().len()))
        .max_by_key(|(_, size)| *size)
        .unwrap();
    assert!((48 << 20..=65 << 20).contains(&size), "{size}");
    let log = std::fs::read_to_string(path).unwrap();
    assert!(log.contains("begin\n") && log.ends_with("end\n"));
    assert!(log.contains("bytes of output are left out here"));
}

/// A Dockerfile whose files need more than names and contents.
const FILES: &str = "\
FROM base
RUN mkdir /t && cd /t && echo a > a && ln a b && ln -s /etc c && echo x > gone && chown 33:34 a && chmod 4751 a
RUN rm /t/gone && mkdir /t/d && chmod 500 /t/d && chown 33:33 /t/d
";

#[test]
fn a_tar_has_the_files_as_root_sees_them() {
    for user in [User::Me, User::Single, User::Ranges] {
        let env = match world_of(user) {
            Ok(env) => env,
            Err(why) => {
                skip(&why);
                continue;
            }
        };
        env.write("app/Dockerfile", FILES);
        let mut command = env.command(&[
            "image",
            "build",
            "app",
            "--build-context",
            BASE,
            "-o",
            "-",
            "--progress",
            "plain",
        ]);
        let out = command.output().unwrap();
        let talk = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{user:?}: {talk}");
        env.write("out.tar", &out.stdout);
        let mut list = Command::new("tar");
        let list = list.args(["--numeric-owner", "-tvf"]).arg(env.path("out.tar")).output();
        let list = String::from_utf8_lossy(&list.unwrap().stdout).into_owned();
        for line in ["-rwsr-x--x 33/34 ", " t/b link to t/a", " t/c -> /etc", "dr-x------ 33/33 "] {
            assert!(list.contains(line), "{user:?}: {line:?} is not in\n{list}");
        }
        assert!(!list.contains("gone"), "{list}");
    }
}

#[test]
fn a_folder_has_the_files_as_the_callers_own() {
    for user in [User::Me, User::Single, User::Ranges] {
        let env = match world_of(user) {
            Ok(env) => env,
            Err(why) => {
                skip(&why);
                continue;
            }
        };
        env.write("app/Dockerfile", FILES);
        // What is there stays, and a link that lies about leads nowhere.
        env.write("out/t/kept", "kept\n");
        env.write("outside/a", "outside\n");
        std::os::unix::fs::symlink(env.path("outside/a"), env.path("out/t/a")).unwrap();
        std::os::unix::fs::symlink(env.path("outside"), env.path("out/etc")).unwrap();
        build(&env, &["-o", "out"]).ok();
        let own = std::fs::metadata(env.path("out/t/kept")).unwrap();
        let meta = |path: &str| std::fs::symlink_metadata(env.path("out/t").join(path)).unwrap();
        let a = meta("a");
        assert!(a.is_file() && a.mode() & 0o7777 == 0o4751, "{:o}", a.mode());
        assert_eq!((a.uid(), a.ino()), (own.uid(), meta("b").ino()));
        assert_eq!((meta("d").uid(), meta("d").mode() & 0o777), (own.uid(), 0o500));
        assert_eq!(std::fs::read_link(env.path("out/t/c")).unwrap(), Path::new("/etc"));
        assert_eq!(std::fs::read_to_string(env.path("outside/a")).unwrap(), "outside\n");
        assert!(env.path("out/etc/passwd").is_file() && !env.path("outside/passwd").exists());
        // A second time over it.
        build(&env, &["-o", "out"]).ok();
    }
}

/// An archive with the device 1:3 and a pipe.
fn with_device() -> Vec<u8> {
    let tar = Tar::default().entry("null", b'3', 0o666, (0, 0), "", &[]);
    let mut bytes = tar.entry("pipe", b'6', 0o600, (0, 0), "", &[]).plain();
    // The numbers of the device, and the sum over the first header.
    bytes[329..336].copy_from_slice(b"0000001");
    bytes[337..344].copy_from_slice(b"0000003");
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

#[test]
fn devices_are_in_a_tar_and_in_a_folder_of_root() {
    for user in [User::Me, User::Single] {
        let env = match world_of(user) {
            Ok(env) => env,
            Err(why) => {
                skip(&why);
                continue;
            }
        };
        env.write("app/root.tar", with_device());
        env.write("app/Dockerfile", "FROM scratch\nADD root.tar /\n");
        let run = build(&env, &["-o", "type=tar,dest=out.tar", "-o", "type=local,dest=out"]).ok();
        let list = Command::new("tar").arg("-tvf").arg(env.path("out.tar")).output().unwrap();
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(list.contains("crw-rw-rw-"), "{list}");
        let kind = |name: &str| {
            std::fs::symlink_metadata(env.path("out").join(name)).map(|meta| meta.file_type())
        };
        assert!(kind("pipe").unwrap().is_fifo());
        if user == User::Me && am_root() {
            assert!(kind("null").unwrap().is_char_device());
        } else {
            assert!(kind("null").is_err());
            run.says(&["1 device left out"]);
        }
    }
}

#[test]
fn several_platforms_are_one_index_or_a_folder_each() {
    let env = world();
    env.write("app/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY file /$TARGETARCH\n");
    let platforms = ["--platform", "linux/arm64,linux/arm/v7", "--platform=linux/s390x"];
    let with = |more: &[&str]| build(&env, &[&platforms[..], more].concat());
    with(&["-o", "type=oci,dest=out,tar=false", "-t", "web:1"]).ok();
    let index: Value =
        serde_json::from_slice(&std::fs::read(env.path("out/index.json")).unwrap()).unwrap();
    let entry = &index["manifests"][0];
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "1");
    assert_eq!(entry["annotations"]["io.containerd.image.name"], "docker.io/library/web:1");
    let members = manifests(&env.path("out"), entry["digest"].as_str().unwrap());
    let mut names: Vec<&str> = members.iter().map(|(platform, _)| platform.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["linux/arm/v7", "linux/arm64", "linux/s390x"]);
    with(&["-o", "files"]).ok();
    assert!(
        env.path("files/linux_arm_v7/arm").is_file()
            && env.path("files/linux_s390x/s390x").is_file()
    );
    with(&["-o", "type=tar,dest=files.tar"]).ok();
    let list = Command::new("tar").arg("-tf").arg(env.path("files.tar")).output().unwrap();
    assert!(String::from_utf8_lossy(&list.stdout).contains("linux_arm64/arm64\n"));
    with(&["-o", "type=docker,dest=d.tar"]).fails(2).says(&["one platform", "type=oci"]);
    assert!(!env.path("d.tar").exists());
}

#[test]
fn archives_are_read_by_other_tools() {
    let env = world();
    env.write("app/Dockerfile", TWO);
    build(
        &env,
        &["-t", "web:1", "-o", "type=oci,dest=oci.tar", "-o", "type=docker,dest=docker.tar"],
    )
    .ok();
    let run = build(&env, &["-t", "web:1", "--iidfile", "id", "--metadata-file", "meta"]).ok();
    let meta: Value = serde_json::from_slice(&std::fs::read(env.path("meta")).unwrap()).unwrap();
    let id = std::fs::read_to_string(env.path("id")).unwrap();
    assert_eq!(meta["containerimage.config.digest"], id.as_str());
    assert_eq!(meta["image.name"], "docker.io/library/web:1");
    assert_ne!(meta["containerimage.digest"], run.stdout.trim());
    if !has("skopeo") {
        return;
    }
    for (transport, tag) in
        [("oci-archive:oci.tar:1", true), ("docker-archive:docker.tar:web:1", false)]
    {
        let out = Command::new("skopeo")
            .args(["inspect", transport])
            .current_dir(env.project())
            .output()
            .unwrap();
        assert!(out.status.success(), "{transport}: {}", String::from_utf8_lossy(&out.stderr));
        let image: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(image["Labels"]["a"], "file");
        if tag {
            assert_eq!(image["Digest"], meta["containerimage.digest"]);
        }
    }
}

#[test]
fn contexts_are_known_by_every_form_of_their_name() {
    let env = world();
    env.write("more/text", "more\n");
    env.write(
        "app/Dockerfile",
        "FROM docker.io/library/base:latest\nCOPY --from=more text /a\nCOPY --from=app file /b\nRUN cat /a /b\n",
    );
    // A context may have the name of the folder that is built.
    let args = ["--build-context", "more=more", "--build-context", "app=app"];
    build(&env, &args).ok().says(&["| more", "| content"]);
    let args =
        ["--build-context", "docker.io/library/more:latest=more", "--build-context", "app=app"];
    build(&env, &args).ok().says(&["nothing to do"]);
    let args =
        ["--build-context", "more=docker-image://x:1", "--build-context", "app=app", "--offline"];
    let run = build(&env, &args);
    assert_ne!(run.code, Some(0), "{}", run.stderr);
    run.says(&["docker.io/library/x:1"]);
}

#[test]
fn the_check_builds_nothing_and_is_strict() {
    let env = world();
    env.write("app/Dockerfile", TWO);
    let blobs = env.blobs();
    build(&env, &["--check"]).ok().says(&["no mistakes"]);
    env.write("app/Dockerfile", "FROM base\nCMD [\"a\"]\nCMD [\"b\"]\n");
    build(&env, &["--check"]).fails(1).says(&["app/Dockerfile:2:1"]);
    env.write("app/Dockerfile", "FROM base\nCOPYY a b\n");
    let report = build(&env, &["--check", "--format", "json"]).fails(1).json();
    assert_eq!(report["errors"], 1);
    assert_eq!(report["diagnostics"][0]["labels"][0]["path"], "app/Dockerfile");
    assert_eq!(report["diagnostics"][0]["labels"][0]["line"], 2);
    assert_eq!(blobs, env.blobs());
    assert!(build(&env, &["--format", "json"]).code == Some(2));
}

#[test]
fn a_failed_step_leaves_a_point_to_look_from() {
    let env = world();
    env.write(
        "app/Dockerfile",
        "FROM base\nENV MODE=test\nRUN echo made > /made\nWORKDIR /w\nUSER web\nRUN --network=none test -e /missing\n",
    );
    let run = build(&env, &[]).fails(1).says(&["exit code 1", "--at "]);
    let point = run.stderr.split("--at ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let at = |words: &[&str]| env.mabuild(&[&["image", "run", "--at", &point], words].concat());
    let run =
        at(&["sh", "-c", "cat /made; id -u; pwd; echo $MODE; echo x > /tmp/x; exit 9"]).fails(9);
    assert_eq!(run.stdout, "made\n33\n/w\ntest\n");
    assert!(run.stderr.contains("test -e /missing"), "{}", run.stderr);
    // Nothing of it stays, and no network is where the step had none.
    at(&["test", "!", "-e", "/tmp/x"]).ok();
    let links = at(&["ls", "/sys/class/net"]).stdout;
    assert!(links.is_empty() || links == "lo\n", "{links}");
    at(&["sh", "-c", "kill -9 $$"]).fails(137);
    // The events tell the point too.
    let args = ["image", "build", "app", "--build-context", BASE, "--progress", "json"];
    let events = env.mabuild(&args).fails(1).stdout;
    assert!(events.contains(&format!("\"point\":\"{point}\"")), "{events}");
    env.mabuild(&["image", "run", "--at", "nope"]).fails(2).says(&["no point `nope`"]);
    env.mabuild(&["store", "gc"]).ok();
    at(&["true"]).fails(2).says(&["swept", "build again"]);
}

#[test]
fn an_image_is_run_as_its_config_says() {
    let env = world();
    env.write(
        "app/Dockerfile",
        "FROM base\nENV A=image\nUSER web\nWORKDIR /srv\nENTRYPOINT [\"/bin/sh\", \"-c\", \"echo $0 $A $HOME $(pwd) $(id -u)\"]\nCMD [\"cmd\"]\n",
    );
    build(&env, &["-t", "web"]).ok();
    let out = |args: &[&str]| env.mabuild(&[&["image", "run"], args].concat()).ok().stdout;
    assert_eq!(out(&["web"]), "cmd image /srv /srv 33\n");
    assert_eq!(
        out(&["-e", "A=mine", "-u", "root", "-w", "/tmp", "web", "x"]),
        "x mine /root /tmp 0\n"
    );
    assert_eq!(out(&["--entrypoint", "echo", &format!("web@{}", host()), "-n", "hi"]), "hi");
    env.mabuild(&["image", "run", "web@linux/s390x"]).fails(2).says(&["no image for linux/s390x"]);
    env.mabuild(&["image", "run", "wab"]).fails(2).says(&["did you mean `web:latest`?"]);
    env.mabuild(&["image", "run"]).fails(2).says(&["nothing to run"]);
    // Its input is that of the caller.
    let (code, out, _) = with_stdin(&env, &["image", "run", "--entrypoint", "cat", "web"], "typed");
    assert_eq!((code, out.as_str()), (Some(0), "typed"));
    env.assert_quiet();
}
