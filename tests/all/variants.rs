//! Images with a matrix, templates and steps of some platforms, built for two platforms without
//! running anything.

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{TestEnv, host, skip, source_tree};

const FILE: &str = r#"mabuild 1
platforms "linux/amd64" "linux/arm/v7"
base "root" { rootfs "root.tar" }
template "labelled" {
    label "vendor" "Acme"
    label "for" "{{image.name}}"
    env MODE="template"
    steps { file "/first" "of the template\n" }
}
image "greeter" {
    matrix { language "en" "de"; style "plain" "loud"; exclude language="de" style="loud" }
    from "root"
    use "labelled"
    steps {
        copy "{{language}}.txt" "/words.txt"
        file "/name" "{{image.name}} {{language}} {{style}} {{platform.arch}}\n"
        on-platform "linux/arm/v7" { file "/small" "yes\n" }
    }
    env MODE="{{style}}"
    tags "{{language}}-{{style}}"
}
image "web" {
    matrix { language "en" "de" }
    from "greeter" style="plain"
    steps { copy "/words.txt" "/copied.txt" from="greeter[en,plain]" }
    on-platform "linux/arm/v7" { label "small" "yes"; file "/end" "arm\n" }
}
"#;

fn project() -> TestEnv {
    let env = TestEnv::new();
    env.write("mabuild.kdl", FILE);
    env.write("root.tar", Tar::default().dir("etc", 0o755).file("etc/base", 0o644, "x").plain());
    env.write("en.txt", "Good morning\n").write("de.txt", "Guten Morgen\n");
    env
}

#[test]
fn each_variant_has_what_its_axes_say() {
    let env = project();
    let counts = env.rebuild(&[]);
    // The base, three greeters and two webs, each twice.
    assert_eq!((counts.built, counts.failed), (12, 0), "{counts:?}");
    let read = |image: &str, platform: &str, file: &str| {
        std::fs::read_to_string(env.unpacked(image, platform).join(file)).ok()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(read("greeter:en-loud", "linux/amd64", "name"), text("greeter en loud amd64\n"));
    assert_eq!(read("greeter:de-plain", "linux/arm/v7", "words.txt"), text("Guten Morgen\n"));
    assert_eq!(read("greeter:de-plain", "linux/arm/v7", "small"), text("yes\n"));
    assert_eq!(read("greeter:de-plain", "linux/amd64", "small"), None);
    assert_eq!(read("greeter:de-plain", "linux/amd64", "first"), text("of the template\n"));
    assert_eq!(read("web:de", "linux/amd64", "words.txt"), text("Guten Morgen\n"));
    assert_eq!(read("web:de", "linux/amd64", "copied.txt"), text("Good morning\n"));
    assert_eq!(read("web:de", "linux/amd64", "end"), None);
    assert_eq!(read("web:de", "linux/arm/v7", "end"), text("arm\n"));
    let inspected = env.mabuild(&["image", "inspect", "greeter:en-loud", "--format", "json"]).ok();
    for word in ["MODE=loud", "Acme", "\"greeter\""] {
        assert!(inspected.stdout.contains(word), "{word}: {}", inspected.stdout);
    }
    assert_eq!(env.rebuild(&[]).built, 0);
}

#[test]
fn the_fleet_of_the_examples() {
    let mut env = TestEnv::new();
    if let Err(e) = env.with_mirror() {
        return skip(&e);
    }
    env.copy_in(&source_tree().join("examples/fleet"));
    // Emulated steps are tested elsewhere: here this machine's platform is enough.
    let file = std::fs::read_to_string(env.path("mabuild.kdl")).unwrap();
    let all = "platforms \"linux/amd64\" \"linux/arm64\" \"linux/arm/v7\"";
    assert!(file.contains(all), "{file}");
    env.write("mabuild.kdl", file.replace(all, &format!("platforms \"{}\"", host())));
    let counts = env.rebuild(&[]);
    // The base, five greeters, three webs, the printer.
    assert_eq!((counts.built, counts.failed), (10, 0), "{counts:?}");
    let read = |tag: &str, file: &str| {
        std::fs::read_to_string(env.unpacked(tag, host()).join(file)).unwrap()
    };
    assert_eq!(read("web:de", "srv/index.html"), "<p>Guten Morgen\n");
    assert_eq!(read("printer:latest", "srv/fr.txt"), "Bonjour\n");
}

#[test]
fn a_changed_file_rebuilds_its_variants_alone() {
    let env = project();
    env.rebuild(&[]);
    env.write("de.txt", "Moin\n");
    let plan = env.mabuild(&["graph", "plan", "--format", "json"]).ok().stdout;
    assert!(plan.contains("greeter[de,plain]") && plan.contains("de.txt"), "{plan}");
    let counts = env.rebuild(&[]);
    // greeter[de,plain] and web[de], each on two platforms.
    assert_eq!((counts.built, counts.kept), (4, 8), "{counts:?}");
}

#[test]
fn targets_pick_variants() {
    let env = project();
    let names = |target: &str| {
        let shown = env.mabuild(&["graph", "query", target]).ok().stdout;
        let names = shown.lines().filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("greeter[language=en]"), "greeter[en,plain] greeter[en,loud]");
    assert_eq!(names("greeter[plain]"), "greeter[en,plain] greeter[de,plain]");
    assert_eq!(names("web"), "web[en] web[de]");
    assert_eq!(names("web[de] ^ rdeps(greeter)"), "web[de]");
    let counts = env.rebuild(&["web[de]@linux/amd64"]);
    assert_eq!(counts.built, 4, "{counts:?}");
    let wrong = env.mabuild(&["graph", "query", "rdeps(greter)"]).fails(2);
    assert!(wrong.stderr.contains("did you mean `greeter`?"), "{}", wrong.stderr);
}

#[test]
fn what_is_not_built_yet_is_refused_before_anything_runs() {
    let env = project();
    let whole = |end: &str| env.write("mabuild.kdl", format!("{FILE}{end}"));
    whole("on \"failed\" { webhook \"https://chat.example.org/hook\" }\n");
    env.mabuild(&["graph", "plan"]).ok().says(&["calls nothing after a run"]);
    whole("image \"a\" { from \"root\"; test \"runs\" { run \"x\" } }\n");
    let run = env.mabuild(&["graph", "rebuild", "a"]).fails(2);
    assert!(
        run.stderr.contains("--no-test") && run.stderr.contains("mabuild.kdl"),
        "{}",
        run.stderr
    );
    env.mabuild(&["graph", "rebuild", "a", "--no-test"]).ok();
    for (end, words) in [
        ("image \"d\" { from \"scratch\"; steps { packages \"x\" } }\n", "`packages`"),
        (
            "image \"e\" { from \"root\"; mode \"cross\"; steps { run \"x\" }; platforms \"linux/arm/v7\" }\n",
            "runs nothing foreign",
        ),
    ] {
        env.write("Dockerfile", "FROM root\nRUN x\n");
        whole(end);
        let name = end.get(7..8).unwrap();
        let plan = env.mabuild(&["graph", "plan", name]);
        assert_ne!(plan.code, Some(0), "{end}: {}", plan.stdout);
        assert!(plan.stderr.contains(words), "{end}: {}", plan.stderr);
    }
}

#[test]
fn a_first_file_is_right_and_drafts_are_read() {
    let env = TestEnv::new();
    env.mabuild(&["init"]).ok();
    env.mabuild(&["check"]).ok();
    env.mabuild(&["fmt", "--check"]).ok();
    env.mabuild(&["init"]).fails(2).says(&["is there already", "--force"]);
    let env = TestEnv::new();
    env.write("base/Dockerfile", "FROM debian:12\nRUN true\n");
    env.write("app/Dockerfile", "FROM acme/base:1\nCOPY --from=tools /x /x\n");
    env.write("tools/Dockerfile", "FROM base\n");
    env.mabuild(&["init", "--from", "."]).ok();
    env.mabuild(&["check"]).ok();
    let edges = env.mabuild(&["graph", "query", "direct(app)"]).ok().stdout;
    assert!(edges.contains("base") && edges.contains("tools"), "{edges}");
    let data = source_tree().join("engine/draft/testdata");
    for file in ["docker-bake.hcl", "compose.yaml"] {
        let env = TestEnv::new();
        env.copy_in(&data);
        let text = env.mabuild(&["init", "--from", file, "--stdout"]).ok().stdout;
        assert!(text.contains("mabuild 1"), "{text}");
    }
    env.write("docker-bake.hcl", "target \"a\" {\n  tags = [\n");
    env.mabuild(&["init", "--from", "docker-bake.hcl", "--stdout"])
        .fails(2)
        .says(&["docker-bake.hcl:2"]);
}
