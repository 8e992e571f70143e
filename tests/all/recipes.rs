//! Dockerfiles of a project: what they mean, what they share, what makes them stale.

use std::path::Path;

use serde_json::Value;

use mabuild_tests::env::{Counts, TestEnv, host, skip};
use mabuild_tests::fixture::busybox;

const FILE: &str = r#"mabuild 1
platforms HOST
base "bb" { rootfs "root.tar.gz" }
image "tools" {
    from "bb"
    steps {
        run "/bin/busybox" "--install" "-s" "/bin"
        file "/etc/passwd" "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"
        file "/etc/group" "root:x:0:\napp:x:1001:\n"
    }
}
"#;

/// A project with busybox's tools under the name `tools`.
fn project(rest: &str) -> Option<TestEnv> {
    let env = TestEnv::new();
    match busybox(host()) {
        Ok(archive) => env.write("root.tar.gz", archive),
        Err(e) => {
            skip(&e);
            return None;
        }
    };
    write(&env, rest);
    Some(env)
}

/// Writes the description: the tools, and the rest.
fn write(env: &TestEnv, rest: &str) {
    let text = format!("{FILE}{rest}");
    env.write("mabuild.kdl", text.replace("HOST", &format!("{:?}", host())));
}

fn read(env: &TestEnv, image: &str, path: &str) -> String {
    let path = env.unpacked(image, host()).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What was built and executed.
fn did(counts: Counts) -> (u64, u64) {
    (counts.built, counts.executed)
}

#[test]
fn steps_and_a_dockerfile_that_say_the_same_are_one_image() {
    let steps = r#"
image "steps" {
    from "tools"
    arg "V" "7"
    steps {
        env A="x" B="y z"
        arg "V"
        workdir "/srv"
        copy "conf/" "/srv/conf/" chown="app:1001" mode="0640"
        copy "one" "two" "/srv/" chown="5"
        run "echo $V > /srv/v; id -u >> /srv/v"
        run "/bin/touch" "/srv/a b"
        shell "/bin/sh" "-ec"
        copy "/bin/busybox" "/opt/" from="bb"
        add "pack.tar.gz" "/opt/"
        user "app"
        workdir "sub"
        run "umask; pwd > where"
    }
    env C="c"
    label "l" "some text"
    expose "80"
    volume "/data"
    entrypoint "/bin/sh" "-c"
    cmd "true"
    stop-signal "SIGINT"
}
"#;
    let dockerfile = r#"FROM tools
ENV A="x" B="y z"
ARG V
WORKDIR /srv
COPY --chown=app:1001 --chmod=0640 conf/ /srv/conf/
COPY --chown=5 one two /srv/
RUN echo $V > /srv/v; id -u >> /srv/v
RUN ["/bin/touch", "/srv/a b"]
SHELL ["/bin/sh", "-ec"]
COPY --from=bb /bin/busybox /opt/
ADD pack.tar.gz /opt/
USER app
WORKDIR sub
RUN umask; pwd > where
ENV C=c
LABEL l="some text"
EXPOSE 80
VOLUME /data
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["true"]
STOPSIGNAL SIGINT
"#;
    let rest = format!("{steps}image \"file\" {{ dockerfile \"Dockerfile\"; arg \"V\" \"7\" }}\n");
    let Some(env) = project(&rest) else { return };
    let pack = mabuild_tests::archive::Tar::default().file("packed", 0o600, "p").gzip(6);
    env.write("Dockerfile", dockerfile).write("conf/a", "a").write("conf/d/b", "b");
    env.write("one", "1").write("two", "2").write("pack.tar.gz", pack);
    env.rebuild(&[]);
    let shown = |image| env.mabuild(&["image", "inspect", image, "--format", "json"]).ok().json();
    let (steps, file) = (shown("steps"), shown("file"));
    assert_eq!(steps["configs"], file["configs"]);
    // The indexes differ in the keys of the nodes, which stand there and nowhere else.
    let digest = |image: &Value| image["index"]["manifests"][0]["digest"].clone();
    assert!(digest(&steps).is_string());
    assert_eq!(digest(&steps), digest(&file));
    assert_eq!(read(&env, "file", "srv/sub/where"), "/srv/sub\n");
    assert_eq!(read(&env, "file", "opt/packed"), "p");
}

#[test]
fn only_what_the_target_needs_is_built_and_shared_stages_run_once() {
    let rest = r#"
image "one" { dockerfile "Dockerfile"; target "one" }
image "two" { dockerfile "Dockerfile"; target "two" }
"#;
    let Some(env) = project(rest) else { return };
    env.write(
        "Dockerfile",
        "FROM tools AS common\nRUN echo common > /c\n\
         FROM tools AS broken\nRUN false\n\
         FROM common AS one\nRUN cat /c > /one\n\
         FROM common AS two\nCOPY --from=one /one /two\nRUN echo two >> /two\n",
    );
    // The install step of `tools`, the common one, that of each of the two.
    assert_eq!(did(env.rebuild(&[])), (4, 4));
    assert_eq!(read(&env, "two", "two"), "common\ntwo\n");
}

#[test]
fn a_stage_of_the_build_platform_runs_once_for_all_targets() {
    let foreign = if host() == "linux/amd64" { "linux/arm64" } else { "linux/amd64" };
    let rest = format!(
        "image \"cross\" {{ dockerfile \"Dockerfile\"; mode \"cross\"; platforms {:?} {foreign:?} }}\n",
        host()
    );
    let Some(env) = project(&rest) else { return };
    env.write(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM tools AS build\nRUN echo made > /made\n\
         ARG TARGETARCH\nRUN echo $TARGETARCH > /arch\n\
         FROM scratch\nCOPY --from=build /made /arch /\n",
    );
    // Tools, the first step once, the second for each architecture.
    assert_eq!(did(env.rebuild(&[])), (4, 4));
    let arch = std::fs::read_to_string(env.unpacked("cross", foreign).join("arch")).unwrap();
    assert_eq!(arch.trim(), foreign.split('/').nth(1).unwrap());
    env.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /x\nRUN [\"/x\"]\n");
    env.try_rebuild(&["--platform", foreign]).fails(2).says(&["mode \"cross\"", "Dockerfile:3:1"]);
}

#[test]
fn a_moved_base_runs_nothing_in_images_that_copy() {
    let rest =
        "image \"site\" { dockerfile \"Dockerfile\" }\nimage \"top\" { dockerfile \"Top\" }\n";
    let Some(env) = project(rest) else { return };
    env.write("index.html", "page").write(
        "Dockerfile",
        "FROM tools\nWORKDIR /srv\nCOPY index.html www/\nADD --chown=app index.html /a/b/c\nCMD x\n",
    );
    env.write("Top", "FROM site\nCOPY --link index.html /top/\n");
    env.rebuild(&[]);
    let before = env.blobs().len();
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write(
        "mabuild.kdl",
        text.replace(
            "        file \"/etc/group\"",
            "        run \"echo moved > /moved\"\n        file \"/etc/group\"",
        ),
    );
    let plan = env.mabuild(&["graph", "plan"]).ok();
    assert!(plan.stdout.contains("maybe"), "{}", plan.stdout);
    let counts = env.rebuild(&[]);
    assert_eq!(did(counts), (3, 1));
    assert_eq!(read(&env, "top", "moved"), "moved\n");
    // New: the layer of the step that is new, a config, a manifest and an index for each image; no
    // layer of what is copied.
    let new = env.blobs().len() - before;
    assert_eq!(new, 1 + 3 * 3);
    // Now the base brings a directory that a copy goes into, and another mode: layers are made anew.
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    env.write("mabuild.kdl", text.replace("echo moved > /moved", "ln -s /srv /a"));
    env.rebuild(&[]);
    assert_eq!(read(&env, "top", "srv/b/c"), "page");
}

#[test]
fn variables_and_triggers_of_what_lies_below_count() {
    let rest = r#"
image "below" { dockerfile "below/Dockerfile" }
image "above" { dockerfile "Dockerfile" }
"#;
    let Some(env) = project(rest) else { return };
    let below = |from: &str| {
        format!(
            "FROM tools\nENV FROM={from} DIR=/opt/$FROM\nONBUILD COPY $FROM /by-trigger\nONBUILD RUN echo ran > /ran\n"
        )
    };
    env.write("below/Dockerfile", below("a")).write("a", "A").write("b", "B");
    env.write("Dockerfile", "FROM below\nCOPY $FROM $DIR/\nRUN echo $FROM > /from\n");
    env.rebuild(&[]);
    assert_eq!(read(&env, "above", "by-trigger"), "A");
    assert_eq!(read(&env, "above", "from"), "a\n");
    assert_eq!(read(&env, "above", "ran"), "ran\n");
    assert_eq!(did(env.rebuild(&[])), (0, 0));
    // A file that nothing copies makes nothing stale, the one that is named below does.
    env.write("b", "BB");
    assert_eq!(did(env.rebuild(&[])), (0, 0));
    env.write("a", "AA");
    assert_eq!(env.rebuild(&[]).built, 1);
    env.write("below/Dockerfile", below("b"));
    assert_eq!(env.rebuild(&[]).built, 2);
    assert_eq!(read(&env, "above", "by-trigger"), "BB");
}

#[test]
fn mounts_show_what_they_should_and_leave_nothing() {
    let rest = r#"
image "m" {
    dockerfile "Dockerfile"
    secret "token" env="TOKEN"
    secret "note" file="note.txt"
}
"#;
    let Some(mut env) = project(rest) else { return };
    let secret = "s3cr3t-value-of-a-token";
    env.var("TOKEN", secret);
    env.write("note.txt", "a note that nobody sees").write("src/x", "X");
    env.write(
        "Dockerfile",
        "FROM tools AS other\nRUN mkdir /o && echo other > /o/f\n\
         FROM tools\n\
         RUN --mount=type=secret,id=token --mount=type=secret,id=note,target=/n,mode=0444 \\\n\
             wc -c < /run/secrets/token > /length; wc -c < /n >> /length\n\
         RUN --mount=type=secret,id=token,env=T test \"$(echo -n $T | wc -c)\" = 23\n\
         RUN test ! -e /run/secrets/token && test -z \"$T\"\n\
         RUN --mount=type=bind,from=other,source=/o,target=/o --mount=src,target=/s,rw \\\n\
             cat /o/f /s/x > /got; echo lost > /s/y; ! touch /o/no\n\
         RUN --mount=type=cache,target=/cache,id=c echo 1 >> /cache/n\n\
         RUN --mount=type=cache,target=/elsewhere,id=c cat /elsewhere/n > /seen\n\
         RUN --mount=type=tmpfs,target=/t,size=1m echo x > /t/x\n"
            .replace("--mount=src", "--mount=source=src"),
    );
    let run = env.try_rebuild(&[]).ok();
    assert_eq!(read(&env, "m", "length"), "23\n23\n");
    assert_eq!(read(&env, "m", "got"), "other\nX");
    assert_eq!(read(&env, "m", "seen"), "1\n");
    let root = env.unpacked("m", host());
    for gone in ["o", "s", "cache", "elsewhere", "t", "n", "run/secrets"] {
        assert!(!root.join(gone).exists(), "/{gone} is left");
    }
    for (path, _) in env.blobs() {
        assert!(!contains(&path, secret), "{} holds the secret", path.display());
    }
    assert!(!run.stderr.contains(secret) && !run.stdout.contains(secret));
    for file in mabuild_tests::env::walk(&env.store()) {
        assert!(!contains(&file, secret), "{} holds the secret", file.display());
    }
    // A secret is no input: another value runs nothing. One that is not there is an error.
    env.var("TOKEN", "another");
    assert_eq!(did(env.rebuild(&[])), (0, 0));
    env.write("Dockerfile", "FROM tools\nRUN --mount=type=secret,id=nothing,required=true true\n");
    env.try_rebuild(&[]).fails(1).says(&["nothing", "Dockerfile:2:1"]);
}

fn contains(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let plain = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => gunzip(&bytes),
        false => bytes,
    };
    plain.windows(text.len()).any(|window| window == text.as_bytes())
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    let _ = flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out);
    out
}

#[test]
fn the_last_line_runs_the_last_line() {
    let rest = "image \"chain\" { dockerfile \"Dockerfile\" }\n";
    let Some(env) = project(rest) else { return };
    let text = |last: &str| {
        format!(
            "FROM tools\nCOPY Dockerfile /d\nRUN echo 1 > /one\n# a comment\nRUN echo {last} > /last\n"
        )
    };
    env.write("Dockerfile", "FROM tools\nRUN echo 1 > /one\nRUN echo a > /last\n");
    env.rebuild(&[]);
    env.write("Dockerfile", "FROM tools\n\n# a comment\nRUN echo 1 > /one\nRUN echo b > /last\n");
    assert_eq!(did(env.rebuild(&[])), (1, 1));
    env.write("Dockerfile", text("c"));
    env.rebuild(&[]);
    // The file that is copied is the Dockerfile itself, so every edit of it counts from there.
    env.write("Dockerfile", text("d"));
    assert_eq!(did(env.rebuild(&[])), (1, 2));
}

#[test]
fn what_cannot_be_done_is_said_by_the_plan() {
    let rest = "image \"bad\" { dockerfile \"Dockerfile\" }\n";
    let Some(env) = project(rest) else { return };
    for (line, words) in [
        ("RUN --security=insecure true", "--security=insecure"),
        ("COPY missing /x", "missing"),
        ("COPY --from=9 /x /x", "9"),
    ] {
        env.write("Dockerfile", format!("FROM tools\n{line}\n"));
        let plan = env.mabuild(&["graph", "rebuild"]);
        let said = format!("{}{}", plan.stdout, plan.stderr);
        assert!(said.contains(words) && said.contains("Dockerfile:2:"), "{line}: {said}");
    }
    env.write("Dockerfile", "FROM tools\nRUN echo before; exit 7\n");
    let run = env.try_rebuild(&[]).fails(1);
    let said = ["exit code 7", "| before", "mabuild image run --at "];
    assert!(said.iter().all(|words| run.stderr.contains(words)), "{}", run.stderr);
}
