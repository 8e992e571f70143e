//! The same bytes from another store, path, user, umask, time zone and locale.

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, User, host, skip};
use mabuild_tests::fixture::busybox;

const FILE: &str = r#"mabuild 1
platforms HOST
base "bb" { rootfs "root.tar.gz" }
base "tree" { rootfs "tree.tar" }
image "tools" {
    from "bb"
    steps {
        run "/bin/busybox" "--install" "-s" "/bin"
        mkdir "/etc" "/data"
        mkdir "/tmp" mode="1777"
        file "/etc/passwd" "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n"
        file "/etc/group" "root:x:0:\napp:x:1001:\n"
    }
}
image "owners" {
    from "tools"
    steps {
        run "echo a > /data/a && chown 1000:1001 /data/a && chmod 4755 /data/a"
        run "mkdir -p /data/d/e && chown -R app:app /data/d && chmod 2750 /data/d"
        run "ln -s a /data/link && chown -h 12:13 /data/link"
        run "echo b > /data/b && ln /data/b /data/b2 && chown 5:6 /data/b2"
        run "test \"$(stat -c %u:%g /data/a)\" = 1000:1001"
        run "cp -p /data/a /data/copy && mv /data/d /data/moved && rm /data/b"
        copy "conf.txt" "/data/conf.txt" chown="app:app" mode="0640"
        run "echo more >> /data/conf.txt; chmod 600 /data/conf.txt"
        run "mkfifo /data/pipe; touch -d @0 /data/old"
        user "app"
        workdir "/tmp"
        run "id -u > mine; mkdir sub; chmod 711 sub; umask >> mine"
    }
}
image "changes" {
    from "tree"
    steps {
        copy "/bin/" "/bin/" from="tools"
        run "rm -r /gone /dir/one && rm /hard1 && echo x >> /file"
        run "rm -rf /dir && mkdir /dir && echo new > /dir/three"
        run "chmod 0700 /kept; rmdir /empty; ln -sf nowhere /link"
        remove "/hard2"
    }
}
"#;

fn tree() -> Vec<u8> {
    Tar::default()
        .dir("./", 0o755)
        .file("file", 0o644, "file\n")
        .dir("dir/", 0o755)
        .file("dir/one", 0o644, "1")
        .file("dir/two", 0o600, "2")
        .dir("gone/", 0o755)
        .owned("gone/x", 0o644, (33, 33), "x")
        .dir("kept/", 0o755)
        .owned("kept/x", 0o4711, (1000, 5), "x")
        .dir("empty/", 0o700)
        .file("hard1", 0o644, "hard")
        .hardlink("hard2", "hard1")
        .hardlink("hard3", "hard1")
        .symlink("link", "file")
        .plain()
}

fn project(env: &TestEnv) -> Result<(), String> {
    env.write("mabuild.kdl", FILE.replace("HOST", &format!("{:?}", host())));
    env.write("root.tar.gz", busybox(host())?).write("tree.tar", tree());
    env.write("conf.txt", "conf\n");
    Ok(())
}

/// Digests of the images when a user builds them in a world that is set up by a function.
fn build(user: User, set_up: impl Fn(&mut TestEnv)) -> Result<Vec<(String, String)>, String> {
    let mut env = TestEnv::of(user)?;
    project(&env)?;
    set_up(&mut env);
    env.rebuild(&[]);
    let digests = env.digests();
    assert_eq!(digests.len(), 5, "{digests:?}");
    env.mabuild(&["store", "verify", "--deep"]).ok();
    env.assert_quiet();
    Ok(digests)
}

#[test]
fn same_digests_on_another_path_day_and_locale() {
    let plain = match build(User::Me, |_| {}) {
        Ok(plain) => plain,
        Err(e) => return skip(&e),
    };
    let other = build(User::Me, |env| {
        env.var("TZ", "Pacific/Auckland").var("LANG", "de_DE.UTF-8").var("LC_ALL", "tr_TR.UTF-8");
        let store = env.root.path().join("a long way from/the other one");
        let store = store.to_str().unwrap().to_owned();
        env.var("MABUILD_STORE", &store);
    });
    assert_eq!(other.unwrap(), plain);
}

#[test]
fn same_digests_under_a_strict_umask() {
    let plain = match build(User::Me, |_| {}) {
        Ok(plain) => plain,
        Err(e) => return skip(&e),
    };
    for user in [User::Me, User::Single, User::Ranges] {
        match build(user, |env| env.umask = "077") {
            Ok(digests) => assert_eq!(digests, plain, "built by {user:?}"),
            Err(e) => skip(&format!("{user:?}: {e}")),
        }
    }
}

#[test]
fn same_digests_whoever_builds() {
    let plain = match build(User::Me, |_| {}) {
        Ok(plain) => plain,
        Err(e) => return skip(&e),
    };
    for user in [User::Single, User::Ranges] {
        match build(user, |_| {}) {
            Ok(digests) => assert_eq!(digests, plain, "built by {user:?}"),
            Err(e) => skip(&format!("{user:?}: {e}")),
        }
    }
}

#[test]
fn same_digests_one_job_or_many() {
    let build = |jobs: &str| {
        let env = TestEnv::new();
        project(&env)?;
        env.rebuild(&["-j", jobs]);
        Ok::<_, String>(env.digests())
    };
    match (build("1"), build("7")) {
        (Ok(one), Ok(many)) => assert_eq!(one, many),
        (Err(e), _) | (_, Err(e)) => skip(&e),
    }
}

#[test]
fn source_date_is_an_input() {
    let build = |date: Option<&str>| {
        let mut env = TestEnv::new();
        project(&env)?;
        if let Some(date) = date {
            env.var("SOURCE_DATE_EPOCH", date);
        }
        env.rebuild(&[]);
        Ok::<_, String>(env.digests())
    };
    match (build(None), build(Some("1000000000")), build(Some("1000000000"))) {
        (Ok(none), Ok(one), Ok(again)) => {
            assert_eq!(one, again);
            assert_ne!(none, one);
        }
        (Err(e), ..) | (_, Err(e), _) | (.., Err(e)) => skip(&e),
    }
}

#[test]
fn layer_has_what_the_steps_did_and_nothing_else() {
    let env = TestEnv::new();
    if let Err(e) = project(&env) {
        return skip(&e);
    }
    env.rebuild(&[]);
    let listing = |image: &str| {
        let index = env.digest(image);
        let (_, manifest) = mabuild_tests::fixture::manifests(&env.store(), &index).remove(0);
        let layers = mabuild_tests::fixture::blob(&env.store(), &manifest);
        let mut out = String::new();
        for layer in layers["layers"].as_array().unwrap() {
            let hex = layer["digest"].as_str().unwrap().replace("sha256:", "");
            let tar = std::process::Command::new("tar")
                .args(["--numeric-owner", "--full-time", "-tvzf"])
                .arg(env.store().join("blobs/sha256").join(hex))
                .env("TZ", "UTC0")
                .output()
                .unwrap();
            assert!(tar.status.success(), "{tar:?}");
            out.push_str(&String::from_utf8(tar.stdout).unwrap());
        }
        out
    };
    let owners = listing("owners:latest");
    for line in [
        "-rwsr-xr-x 1000/1001",
        "drwxr-s--- 1000/1001",
        "lrwxrwxrwx 12/13",
        "-rw-r----- 1000/1001",
        "drwx--x--x 1000/1001",
        "data/.wh.b",
    ] {
        assert!(owners.contains(line), "{line} is not in:\n{owners}");
    }
    for stray in ["proc", "dev/", "sys", "etc/resolv.conf", "etc/hosts"] {
        let path = format!(" {stray}");
        assert!(!owners.contains(&path), "{stray} is in:\n{owners}");
    }
    let changes = listing("changes:latest");
    for line in [".wh.gone", ".wh.hard1", ".wh.empty", ".wh.hard2"] {
        assert!(changes.contains(line), "{line} is not in:\n{changes}");
    }
}
