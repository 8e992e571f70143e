//! What is rebuilt, and above all what is not: every test counts what was executed.

use std::fs::FileTimes;
use std::time::{Duration, SystemTime};

use mabuild_tests::archive::gzip;
use mabuild_tests::env::{Counts, TestEnv, host, skip};
use mabuild_tests::fixture::busybox;

/// A project with a chain and a node beside it.
struct Project {
    env: TestEnv,
    platforms: Vec<&'static str>,
    file: String,
}

const FILE: &str = r#"mabuild 1
platforms PLATFORMS
base "bb" {
    rootfs "root-{{platform.debian}}.tar.gz"
}
image "tools" {
    from "bb"
    steps {
        run "/bin/busybox" "--install" "-s" "/bin"
        copy "tools.txt" "/tools.txt" mode="0644"
        run "uname -m > /arch"
    }
    label "of" "tools"
}
image "app" {
    from "tools"
    steps {
        copy "conf/" "/conf/" mode="0644"
        run "cat /tools.txt /conf/app.txt > /both"
    }
    label "of" "app"
}
image "side" {
    from "bb"
    steps { file "/side" "beside\n" }
}
"#;

impl Project {
    /// For this machine's platform and, when the mirror can be reached, a foreign one.
    fn new() -> Option<Self> {
        let foreign = if host() == "linux/arm64" { "linux/amd64" } else { "linux/arm64" };
        let mut env = TestEnv::new();
        let mut platforms = vec![host()];
        match (busybox(foreign), env.with_mirror()) {
            (Ok(archive), Ok(_)) => {
                platforms.push(foreign);
                self::archive(&env, foreign, &archive);
            }
            (Err(e), _) | (_, Err(e)) => skip(&format!("nothing is built for {foreign}: {e}")),
        }
        match busybox(host()) {
            Ok(archive) => self::archive(&env, host(), &archive),
            Err(e) => {
                skip(&e);
                return None;
            }
        }
        env.write("tools.txt", "tools\n").write("conf/app.txt", "app\n");
        let project = Self { env, platforms, file: String::new() };
        Some(project.edit("", ""))
    }

    fn n(&self) -> u64 {
        self.platforms.len() as u64
    }

    /// The file with a piece replaced; pieces of earlier edits are back to what they were.
    fn edit(mut self, from: &str, to: &str) -> Self {
        let list: Vec<String> = self.platforms.iter().map(|p| format!("{p:?}")).collect();
        assert!(FILE.contains(from));
        self.file = FILE.replace(from, to).replace("PLATFORMS", &list.join(" "));
        self.env.write("mabuild.kdl", &self.file);
        self
    }

    /// Nothing was built and nothing was executed.
    fn assert_idle(&self, counts: Counts) {
        let all = 4 * self.n();
        assert_eq!(counts, Counts { built: 0, kept: all, executed: 0, failed: 0, skipped: 0 });
    }

    fn assert_did(&self, counts: Counts, built: u64, executed: u64) {
        let kept = 4 * self.n() - built;
        assert_eq!(counts, Counts { built, kept, executed, failed: 0, skipped: 0 });
    }
}

fn archive(env: &TestEnv, platform: &str, bytes: &[u8]) {
    let name = if platform == "linux/arm64" { "arm64" } else { "amd64" };
    env.write(&format!("root-{name}.tar.gz"), bytes);
}

#[test]
fn second_run_does_nothing_and_says_so_in_one_line() {
    let Some(project) = Project::new() else { return };
    let first = project.env.rebuild(&[]);
    project.assert_did(first, 4 * project.n(), 3 * project.n());
    let (blobs, digests) = (project.env.blobs(), project.env.digests());
    let again = project.env.mabuild(&["graph", "rebuild"]).ok();
    assert_eq!(again.stderr.lines().count(), 1, "{}", again.stderr);
    assert!(again.stderr.contains("up to date"), "{}", again.stderr);
    project.assert_idle(project.env.rebuild(&[]));
    assert_eq!(project.env.blobs(), blobs);
    assert_eq!(project.env.digests(), digests);
}

#[test]
fn touched_times_build_nothing() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    for file in ["tools.txt", "conf/app.txt", "root-amd64.tar.gz", "mabuild.kdl"] {
        let Ok(file) = std::fs::File::options().write(true).open(project.env.path(file)) else {
            continue;
        };
        let time = SystemTime::now() - Duration::from_secs(86_400);
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
    project.assert_idle(project.env.rebuild(&[]));
}

#[test]
fn changed_file_builds_its_image_and_what_is_below() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    project.env.write("conf/app.txt", "other\n");
    project.assert_did(project.env.rebuild(&[]), project.n(), project.n());
    project.env.write("tools.txt", "other\n");
    // The step before the copy is not executed again, those after it are.
    project.assert_did(project.env.rebuild(&[]), 2 * project.n(), 2 * project.n());
    let folder = project.env.unpacked("app:latest", host());
    assert_eq!(std::fs::read_to_string(folder.join("both")).unwrap(), "other\nother\n");
}

#[test]
fn changed_content_of_the_same_size_and_time_is_seen() {
    let Some(project) = Project::new() else { return };
    project.env.write("conf/app.txt", "aaaa\n");
    let path = project.env.path("conf/app.txt");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    project.env.rebuild(&[]);
    project.env.write("conf/app.txt", "bbbb\n");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
    project.assert_did(project.env.rebuild(&[]), project.n(), project.n());
}

#[test]
fn label_executes_no_step() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    let project = project.edit(r#"label "of" "tools""#, r#"label "of" "other tools""#);
    // The label stands in the config of the image, so that its children get a new parent.
    let counts = project.env.rebuild(&[]);
    project.assert_did(counts, 2 * project.n(), 0);
}

#[test]
fn added_platform_builds_that_platform_alone() {
    let Some(mut project) = Project::new() else { return };
    let all = project.platforms.clone();
    if all.len() < 2 {
        return;
    }
    project.platforms.truncate(1);
    let mut project = project.edit("", "");
    project.env.rebuild(&[]);
    let before = project.env.digest("side:latest");
    project.platforms = all;
    let project = project.edit("", "");
    project.assert_did(project.env.rebuild(&[]), 4, 3);
    assert_ne!(project.env.digest("side:latest"), before, "the index has one more member");
}

#[test]
fn platform_added_to_a_copy_of_the_project_builds_that_platform_alone() {
    let Some(mut project) = Project::new() else { return };
    let all = project.platforms.clone();
    if all.len() < 2 {
        return;
    }
    project.platforms.truncate(1);
    let mut project = project.edit("", "");
    project.env.rebuild(&[]);
    for file in ["tools.txt", "conf/app.txt", "root-amd64.tar.gz", "root-arm64.tar.gz"] {
        let bytes = std::fs::read(project.env.path(file)).unwrap();
        project.env.write(&format!("copy/{file}"), bytes);
    }
    project.platforms = all;
    let project = project.edit("", "");
    project.env.write("copy/mabuild.kdl", &project.file);
    project.assert_did(project.env.rebuild(&["-f", "copy/mabuild.kdl"]), 4, 3);
}

#[test]
fn base_of_identical_bytes_builds_nothing_below() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    // The index of the base carries the key it was built by, which did change.
    let digests = |project: &Project| {
        let mut list = project.env.digests();
        list.retain(|(name, _)| name != "bb:latest");
        list
    };
    let before = digests(&project);
    for platform in &project.platforms {
        let mut plain = Vec::new();
        let archive = busybox(platform).unwrap();
        let mut reader = flate2::read::GzDecoder::new(&archive[..]);
        std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
        self::archive(&project.env, platform, &gzip(&plain, 6));
    }
    project.assert_did(project.env.rebuild(&[]), project.n(), 0);
    assert_eq!(digests(&project), before);
}

#[test]
fn undone_edit_takes_the_earlier_result() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    let digests = project.env.digests();
    project.env.write("tools.txt", "other\n");
    project.env.rebuild(&[]);
    assert_ne!(project.env.digests(), digests);
    project.env.write("tools.txt", "tools\n");
    project.assert_idle(project.env.rebuild(&[]));
    assert_eq!(project.env.digests(), digests);
}

#[test]
fn comments_order_and_place_are_not_inputs() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    let side = FILE.find("image \"side\"").unwrap();
    let tools = FILE.find("image \"tools\"").unwrap();
    let (head, middle) = FILE.split_at(tools);
    let (middle, side) = middle.split_at(side - tools);
    let list: Vec<String> = project.platforms.iter().map(|p| format!("{p:?}")).collect();
    let text =
        format!("// New order.\n{head}{side}\n{middle}").replace("PLATFORMS", &list.join(" "));
    project.env.write("mabuild.kdl", text);
    std::fs::rename(project.env.project(), project.env.root.path().join("moved")).unwrap();
    std::fs::create_dir(project.env.project()).unwrap();
    let moved = project.env.root.path().join("moved/mabuild.kdl");
    let counts = project.env.rebuild(&["-f", moved.to_str().unwrap()]);
    project.assert_idle(counts);
}

#[test]
fn forced_node_is_built_again_to_the_same_bytes() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    let digests = project.env.digests();
    let counts = project.env.rebuild(&["--force", "app"]);
    assert_eq!(counts.built, project.n(), "{counts:?}");
    assert_eq!(project.env.digests(), digests);
}

#[test]
fn targets_and_platforms_narrow_the_work() {
    let Some(project) = Project::new() else { return };
    let counts = project.env.rebuild(&["side", "--platform", host()]);
    assert_eq!((counts.built, counts.executed), (2, 0));
    let counts = project.env.rebuild(&["app", "--platform", host()]);
    assert_eq!((counts.built, counts.executed, counts.kept), (2, 3, 1));
    project.env.mabuild(&["graph", "rebuild", "ap"]).fails(2).says(&["ap", "app"]);
}

#[test]
fn dry_run_changes_nothing() {
    let Some(project) = Project::new() else { return };
    let run = project.env.mabuild(&["graph", "rebuild", "--dry-run"]).ok();
    assert!(run.stdout.contains("tools"), "{}", run.stdout);
    assert_eq!(project.env.blobs(), []);
    let stale = project.env.mabuild(&["graph", "plan", "--exit-code"]);
    assert_eq!(stale.code, Some(2));
    project.env.rebuild(&[]);
    project.env.mabuild(&["graph", "plan", "--exit-code"]).ok();
    project.env.write("tools.txt", "other\n");
    let (blobs, digests) = (project.env.blobs(), project.env.digests());
    project.env.mabuild(&["graph", "rebuild", "--dry-run"]).ok();
    project.env.mabuild(&["graph", "plan", "--exit-code"]).fails(2);
    assert_eq!((project.env.blobs(), project.env.digests()), (blobs, digests));
}

#[test]
fn explains_the_file_that_changed_and_the_way_from_it() {
    let Some(project) = Project::new() else { return };
    project.env.rebuild(&[]);
    project.env.write("tools.txt", "other\n");
    let run = project.env.mabuild(&["graph", "explain", "app"]).ok();
    assert!(run.stdout.contains("tools.txt"), "{}", run.stdout);
    assert!(run.stdout.contains("tools"), "{}", run.stdout);
    assert!(!run.stdout.contains("conf/app.txt"), "{}", run.stdout);
}

#[test]
fn failing_step_shows_its_line_its_output_and_its_log() {
    let Some(project) = Project::new() else { return };
    let project = project.edit(r#"run "uname -m > /arch""#, r#"run "echo before it; exit 3""#);
    let run = project.env.mabuild(&["graph", "rebuild", "--progress", "plain"]).fails(1);
    let run = run.says(&["tools", r#"run "echo before it; exit 3""#, "before it", "3"]);
    let log =
        run.stderr.split_whitespace().find(|w| w.trim_end_matches([')', '.']).ends_with(".log"));
    let log = log.unwrap_or_else(|| panic!("no log is named:\n{}", run.stderr));
    let log = log.trim_matches(['(', ')', '`', '.']);
    let text = std::fs::read_to_string(log).unwrap_or_else(|e| panic!("{log}: {e}"));
    assert!(text.contains("before it"), "{text}");
}

#[test]
fn failure_skips_only_what_depends_on_it() {
    let Some(project) = Project::new() else { return };
    let project = project.edit(r#"run "uname -m > /arch""#, r#"run "exit 3""#);
    let run = project.env.try_rebuild(&["-k"]).fails(1).says(&["app"]);
    let (n, counts) = (project.n(), run.counts());
    assert_eq!((counts.failed, counts.built), (n, 2 * n), "{counts:?}");
    assert!(counts.skipped >= n, "{counts:?}");
    // What was built stays built; the mended file goes on from there.
    let project = project.edit("", "");
    let counts = project.env.rebuild(&[]);
    assert_eq!((counts.built, counts.executed), (2 * n, 2 * n), "{counts:?}");
}

#[test]
fn offline_needs_no_network_for_what_is_here() {
    let Some(mut project) = Project::new() else { return };
    project.platforms.truncate(1);
    let mut project = project.edit("", "");
    project.env.var("DEBIAN_MIRROR", "http://127.0.0.1:1/debian");
    let counts = project.env.rebuild(&["--offline"]);
    project.assert_did(counts, 4, 3);
}

#[test]
fn two_runs_at_once_build_each_node_once() {
    let Some(project) = Project::new() else { return };
    let args = ["graph", "rebuild", "--report", "json", "--progress", "plain"];
    let (one, two) = (project.env.spawn(&args), project.env.spawn(&args));
    let (one, two) = (one.wait().ok().counts(), two.wait().ok().counts());
    assert_eq!(one.executed + two.executed, 3 * project.n(), "{one:?} {two:?}");
    project.assert_idle(project.env.rebuild(&[]));
    project.env.mabuild(&["store", "verify"]).ok();
}

#[test]
fn set_changes_what_uses_the_value_alone() {
    let Some(project) = Project::new() else { return };
    let project = project
        .edit(r#"steps { file "/side" "beside\n" }"#, "steps { file \"/side\" \"{{word}}\\n\" }");
    let text = std::fs::read_to_string(project.env.path("mabuild.kdl")).unwrap();
    project.env.write("mabuild.kdl", text.replacen("base ", "let word default=\"one\"\nbase ", 1));
    project.env.rebuild(&[]);
    let counts = project.env.rebuild(&["--set", "word=two"]);
    project.assert_did(counts, project.n(), 0);
    project
        .env
        .mabuild(&["graph", "rebuild", "--set", "wrod=two"])
        .fails(2)
        .says(&["wrod", "word"]);
}
