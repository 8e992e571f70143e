//! Pictures and plans of the examples, against what is checked in.

use std::io::Write;
use std::process::{Command, Stdio};

use mabuild_tests::env::{TestEnv, has, source_tree};

/// A world with an example in it.
fn example(name: &str) -> TestEnv {
    let env = TestEnv::new();
    env.copy_in(&source_tree().join("examples").join(name));
    env
}

/// Whether Graphviz reads it; the picture.
fn render(dot: &str) -> String {
    let mut child = Command::new("dot")
        .arg("-Tsvg")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(dot.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && !talk.contains("rror"), "{talk}\n{dot}");
    String::from_utf8(out.stdout).unwrap()
}

/// Compares with a file that is checked in; writes it when `MABUILD_BLESS` is set.
fn compare(name: &str, text: &str) {
    let file = source_tree().join("examples").join(name);
    if std::env::var_os("MABUILD_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        text,
        kept,
        "{} is not what the program prints; MABUILD_BLESS=1 writes it",
        file.display()
    );
}

#[test]
fn pictures_of_the_examples() {
    for name in ["quickstart", "alpine", "alpine-python", "fleet", "dockerfiles", "minideb"] {
        let env = example(name);
        let dot = env.mabuild(&["graph", "dot"]).ok().stdout;
        compare(&format!("{name}/expected/graph.dot"), &dot);
        if has("dot") {
            let picture = render(&dot);
            for node in ["busybox", "tools", "clock", "web"] {
                assert!(name != "quickstart" || picture.contains(node), "{picture}");
            }
        }
    }
}

#[test]
fn plan_of_an_empty_store() {
    for name in ["quickstart", "fleet", "dockerfiles", "minideb"] {
        let mut env = example(name);
        // The relay has Debian's main archive alone.
        let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
        env.write("mabuild.kdl", text.replace("\n        security\n", "\n"));
        let plan = match env.with_mirror() {
            Ok(_) => env.mabuild(&["graph", "plan"]).ok().stdout,
            Err(e) => return mabuild_tests::env::skip(&e),
        };
        compare(&format!("{name}/expected/plan.txt"), &plan);
    }
}

#[test]
fn plan_of_a_matrix_on_followed_archives() {
    let releases = match mabuild_tests::fixture::alpine_releases() {
        Ok(releases) => releases,
        Err(why) => return mabuild_tests::env::skip(why),
    };
    let env = example("alpine-python");
    let set = format!("releases={}", releases.display());
    let plan = env.mabuild(&["graph", "plan", "--set", &set]).ok().stdout;
    compare("alpine-python/expected/plan.txt", &plan);
}

#[test]
fn every_form_of_the_graph() {
    let env = example("quickstart");
    for args in [
        &["--by", "platform"][..],
        &["--cluster"],
        &["--reduce"],
        &["--by", "platform", "--cluster", "--reduce"],
        &["web"],
    ] {
        let dot = env.mabuild(&[&["graph", "dot"][..], args].concat()).ok().stdout;
        assert!(dot.contains("digraph"), "{args:?}: {dot}");
        if has("dot") {
            render(&dot);
        }
    }
    let tree = env.mabuild(&["graph", "show"]).ok().stdout;
    assert!(tree.contains("clock") && tree.contains("web"), "{tree}");
    let mermaid = env.mabuild(&["graph", "show", "--format", "mermaid"]).ok().stdout;
    assert!(mermaid.contains("graph LR") || mermaid.contains("flowchart LR"), "{mermaid}");
    let json = env.mabuild(&["graph", "show", "--format", "json"]).ok().json();
    assert_eq!(json["version"], 1, "{json}");
}

#[test]
fn hard_names_are_escaped() {
    let env = TestEnv::new();
    env.write(
        "mabuild.kdl",
        r#"mabuild 1
platforms "linux/amd64"
base "a-b.c_d" { rootfs "x.tar" }
image "node" { from "a-b.c_d"; tags "graph" }
image "digraph" { from "node"; steps { copy "/a" "/b" from="a-b.c_d" } }
image "0" { from "digraph" }
"#,
    );
    let dot = env.mabuild(&["graph", "dot"]).ok().stdout;
    if has("dot") {
        let picture = render(&dot);
        assert!(picture.contains("a-b.c_d") || picture.contains("a&#45;b.c_d"), "{picture}");
    }
}

#[test]
fn examples_are_in_canonical_layout() {
    for name in ["quickstart", "alpine", "alpine-python", "fleet", "dockerfiles", "minideb"] {
        let env = example(name);
        env.mabuild(&["fmt", "--check"]).ok();
        env.mabuild(&["check"]).ok();
    }
}

#[test]
fn layout_is_mended_and_comments_stay() {
    let env = TestEnv::new();
    env.write("mabuild.kdl", "mabuild    1\n// why\nbase   \"b\"   {rootfs \"x.tar\" // where\n}\nplatforms \"linux/amd64\"\n");
    let before = env.mabuild(&["graph", "show", "--format", "json"]).ok().json();
    assert_ne!(env.mabuild(&["fmt", "--check"]).code, Some(0));
    env.mabuild(&["fmt"]).ok();
    env.mabuild(&["fmt", "--check"]).ok();
    let text = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    assert!(text.contains("// why") && text.contains("// where"), "{text}");
    assert_eq!(env.mabuild(&["graph", "show", "--format", "json"]).ok().json(), before);
}
