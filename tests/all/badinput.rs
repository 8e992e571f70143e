//! Bad files and bad arguments: the program says what is wrong, ends with 2, and never panics.

use std::time::Duration;

use mabuild_tests::env::TestEnv;

const GOOD: &str = "mabuild 1\nplatforms \"linux/amd64\"\nbase \"b\" { rootfs \"b.tar\" }\n";

/// Name, text after the good beginning, words of the message.
const FILES: &[(&str, &str, &[&str])] = &[
    ("unclosed block", "image \"a\" { from \"b\"\n", &["image \"a\" {"]),
    ("unclosed string", "image \"a { from \"b\" }\n", &["image"]),
    ("stray brace", "}\n", &["}"]),
    ("bare true", "let a true\n", &["#true"]),
    ("unknown node", "imgae \"a\" { from \"b\" }\n", &["imgae", "image"]),
    ("unknown child", "image \"a\" { form \"b\" }\n", &["form", "from"]),
    (
        "unknown property",
        "image \"a\" { from \"b\"; steps { file \"/a\" \"\" mod=\"0644\" } }\n",
        &["mod", "mode"],
    ),
    (
        "unknown step",
        "image \"a\" { from \"b\"; steps { cpoy \"a\" \"/a\" } }\n",
        &["cpoy", "copy"],
    ),
    ("later node", "image \"a\" { from \"b\"; dockerfile \"D\" }\n", &["dockerfile"]),
    ("number for text", "image \"a\" { from 7 }\n", &["7"]),
    ("missing argument", "image { from \"b\" }\n", &["image"]),
    ("stray argument", "image \"a\" \"c\" { from \"b\" }\n", &["\"c\""]),
    ("unknown parent", "image \"a\" { from \"bb\" }\n", &["bb"]),
    (
        "outside reference",
        "strict-bases\nimage \"a\" { from \"docker.io/library/debian:12\" }\n",
        &["docker.io/library/debian:12"],
    ),
    ("unknown name", "image \"a\" { from \"b\"; label \"a\" \"{{nmae}}\" }\n", &["nmae"]),
    ("bad name", "image \"Big Name\" { from \"b\" }\n", &["Big Name"]),
    ("duplicate name", "image \"b\" { from \"b\" }\n", &["b"]),
    (
        "cycle",
        "image \"x\" { from \"y\" }\nimage \"y\" { from \"z\" }\nimage \"z\" { from \"x\" }\n",
        &["x", "y", "z"],
    ),
    ("own parent", "image \"x\" { from \"x\" }\n", &["x"]),
    (
        "platform not below",
        "image \"a\" { from \"b\"; platforms \"linux/s390x\" }\n",
        &["linux/s390x", "linux/amd64"],
    ),
    ("bad platform", "image \"a\" { from \"b\"; platforms \"linux//x/y\" }\n", &["linux//x/y"]),
    (
        "bad mode",
        "image \"a\" { from \"b\"; steps { file \"/a\" \"\" mode=\"0999\" } }\n",
        &["0999"],
    ),
    ("bad port", "image \"a\" { from \"b\"; expose \"99999\" }\n", &["99999"]),
    ("bad tag", "image \"a\" { from \"b\"; tags \".x\" }\n", &[".x"]),
    ("second version", "mabuild 2\n", &["mabuild"]),
    ("base without a source", "base \"c\" { cmd \"x\" }\n", &["c"]),
    ("unknown group member", "group \"g\" { image \"nobody\" }\n", &["nobody"]),
    ("missing include", "include \"nothing.kdl\"\n", &["nothing.kdl"]),
    ("control characters", "image \"a\u{7}\u{1b}[31m\" { from \"b\" }\n", &["image"]),
];

#[test]
fn every_bad_file_has_a_message_with_its_line() {
    let env = TestEnv::new();
    env.write("b.tar", "");
    for (name, text, words) in FILES {
        env.write("mabuild.kdl", format!("{GOOD}{text}"));
        for command in [&["check"][..], &["graph", "plan"], &["graph", "rebuild"]] {
            let run = env.mabuild(command);
            assert_eq!(run.code, Some(2), "{name} {command:?}: {}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains("mabuild.kdl"), "{name}: {}", run.stderr);
            assert!(
                !run.stderr.contains('\u{1b}'),
                "{name}: escapes reach the terminal: {}",
                run.stderr
            );
            for word in *words {
                assert!(run.stderr.contains(word), "{name}: no {word:?} in\n{}", run.stderr);
            }
        }
    }
}

#[test]
fn all_errors_of_a_file_come_at_once() {
    let env = TestEnv::new();
    env.write(
        "mabuild.kdl",
        format!("{GOOD}image \"a\" {{ form \"b\" }}\nimage \"c\" {{ from \"nobody\" }}\nlet x {{}}\nimage \"C\" {{ from \"b\" }}\n"),
    );
    env.mabuild(&["check"]).fails(2).says(&["form", "nobody", "`C`", "errors"]);
}

#[test]
fn hostile_files_end_in_time() {
    let env = TestEnv::new();
    let nested =
        |open: &str, close: &str| format!("{GOOD}{}{}", open.repeat(10_000), close.repeat(10_000));
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("10,000 blocks in each other", nested("a {\n", "}\n").into_bytes()),
        ("10,000 images in each other", nested("image \"a\" {\n", "}\n").into_bytes()),
        ("10,000 open blocks", nested("a {", "").into_bytes()),
        ("10,000 commented blocks", nested("a /-{", "}").into_bytes()),
        ("10,000 open comments", nested("/*", "").into_bytes()),
        ("10,000 parentheses", nested("(a", ")b\n").into_bytes()),
        ("nul bytes", b"mabuild 1\0\0\0".to_vec()),
        ("invalid UTF-8", [GOOD.as_bytes(), b"image \"\xff\xfe\" {}\n"].concat()),
        ("UTF-16", GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("50 MB", [GOOD.as_bytes(), &vec![b'a'; 50 << 20]].concat()),
        ("one long string", [GOOD.as_bytes(), b"let a \"", &vec![b'x'; 8 << 20]].concat()),
    ];
    let many: String =
        (0..20_000).map(|at| format!("imgae \"i{at}\" {{ from \"b\" }}\n")).collect();
    cases.push(("20,000 errors", format!("{GOOD}{many}").into_bytes()));
    for (name, bytes) in cases {
        env.write("mabuild.kdl", bytes);
        let run = env.mabuild(&["check"]);
        assert_eq!(run.code, Some(2), "{name}: {}", &run.stderr[..run.stderr.len().min(2000)]);
        assert!(run.stderr.contains("mabuild.kdl"), "{name}");
        assert!(run.took < Duration::from_secs(30), "{name} took {:?}", run.took);
        assert!(run.stderr.len() < 1 << 20, "{name}: {} bytes of talk", run.stderr.len());
        if name == "invalid UTF-8" {
            assert!(run.stderr.contains("UTF-8"), "{}", run.stderr);
        }
    }
}

#[test]
fn missing_inputs_are_named() {
    let env = TestEnv::new();
    env.mabuild(&["check"]).fails(2).says(&["mabuild.kdl"]);
    env.mabuild(&["check", "-f", "nowhere/x.kdl"]).fails(2).says(&["nowhere/x.kdl"]);
    env.write("mabuild.kdl", GOOD);
    let run = env.mabuild(&["graph", "rebuild"]);
    assert!(matches!(run.code, Some(1 | 2)), "{}", run.stderr);
    let _ = run.says(&["b.tar"]);
    let tar = mabuild_tests::archive::Tar::default().file("a", 0o644, "a").plain();
    env.write("b.tar", tar).write("there.txt", "");
    let image = "image \"a\" { from \"b\"; steps { copy \"theer.txt\" \"/a\" } }\n";
    env.write("mabuild.kdl", format!("{GOOD}{image}"));
    let run = env.mabuild(&["graph", "rebuild"]);
    assert!(matches!(run.code, Some(1 | 2)), "{}", run.stderr);
    let _ = run.says(&["theer.txt", "there.txt"]);
    let image = "image \"a\" { from \"b\"; steps { copy \"../../etc/passwd\" \"/a\" } }\n";
    env.write("mabuild.kdl", format!("{GOOD}{image}"));
    let run = env.mabuild(&["graph", "rebuild"]);
    assert!(matches!(run.code, Some(1 | 2)), "{}", run.stderr);
    let _ = run.says(&["../../etc/passwd"]);
}

#[test]
fn bad_archives_are_refused() {
    use mabuild_tests::archive::Tar;
    let env = TestEnv::new();
    env.write("mabuild.kdl", GOOD);
    let hostile = Tar::default().file("../../escape", 0o644, "x").plain();
    let truncated = Tar::default().file("a", 0o644, vec![b'x'; 9000]).plain()[..3000].to_vec();
    let cut = Tar::default().file("a", 0o644, vec![b'x'; 90_000]).gzip(6);
    let cut = cut[..cut.len() - 20].to_vec();
    for (name, bytes) in [
        ("escape", hostile),
        ("truncated", truncated),
        ("cut gzip", cut),
        ("no archive", b"hello".repeat(1000)),
    ] {
        env.write("b.tar", bytes);
        let run = env.mabuild(&["graph", "rebuild"]);
        assert!(matches!(run.code, Some(1..=3)), "{name}: {:?} {}", run.code, run.stderr);
        assert!(run.stderr.contains("b.tar"), "{name}: {}", run.stderr);
        assert!(!env.root.path().parent().unwrap().join("escape").exists());
    }
}

#[test]
fn bad_arguments_are_usage() {
    let env = TestEnv::new();
    env.write("mabuild.kdl", GOOD);
    for args in [
        &["nonsense"][..],
        &["graph"],
        &["graph", "rebuild", "--nonsense"],
        &["graph", "rebuild", "-j", "none"],
        &["graph", "rebuild", "-j", "0"],
        &["graph", "rebuild", "nobody"],
        &["graph", "rebuild", "--platform", "a/b/c/d"],
        &["graph", "rebuild", "--set", "noequals"],
        &["graph", "explain"],
        &["graph", "dot", "--by", "colour"],
        &["image", "inspect", "nobody"],
        &["image", "export", "nobody", "--to", "directory", "x"],
    ] {
        let run = env.mabuild(args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty(), "{args:?} says nothing");
    }
    for args in
        [&["--help"][..], &["--version"], &["graph", "rebuild", "--help"], &["completions", "bash"]]
    {
        let run = env.mabuild(args).ok();
        assert!(!run.stdout.is_empty(), "{args:?} prints nothing");
    }
}

#[test]
fn closed_pipe_is_no_panic() {
    let env = TestEnv::new();
    let images: String =
        (0..3000).map(|at| format!("image \"i{at}\" {{ from \"b\" }}\n")).collect();
    env.write("mabuild.kdl", format!("{GOOD}{images}"));
    let mut command = env.command(&["graph", "dot"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&out.stderr);
    assert!(!talk.contains("panicked"), "{talk}");
}
