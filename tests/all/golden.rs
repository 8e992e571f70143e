//! Keys and digests that must never move without a new version of their format.

use std::sync::Arc;

use mabuild_engine::facts::{
    DebianPin, DebianVariant, FileFact, FileKind, FileSet, Match, PackagePin, PackageSet, Pin,
};
use mabuild_engine::key::{Record, file_set_digest, key};
use mabuild_engine::spec::{
    Arg, BuildSpec, Command, Copy, Healthcheck, Image, Input, Op, ParentDigest, Program, Run,
    Settings, Source, Spec, Stage, Step,
};
use mabuild_lang::platform::Platform;
use mabuild_lang::source::{FileId, Span};
use mabuild_tests::archive::Tar;
use mabuild_tests::env::TestEnv;

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn files() -> Arc<FileSet> {
    let file = |path: &str, mode, kind| FileFact { path: path.to_owned(), mode, kind };
    let content = |byte| FileKind::File { digest: [byte; 32], size: 3 };
    let matches = vec![
        Match {
            path: "conf".to_owned(),
            directory: true,
            files: vec![
                file("conf/a", 0o644, content(1)),
                file("conf/d", 0o755, FileKind::Dir),
                file("conf/l", 0o777, FileKind::Symlink("a".to_owned())),
            ],
        },
        Match {
            path: "one".to_owned(),
            directory: false,
            files: vec![file("one", 0o755, content(2))],
        },
    ];
    let digest = file_set_digest(&matches);
    Arc::new(FileSet { root: "/anywhere".into(), matches, digest, fetched: false })
}

/// A spec with every instruction and every setting.
fn whole(span: Span) -> BuildSpec {
    let copy = |input, add| {
        Op::Copy(Box::new(Copy {
            add,
            owner: Some("1:2".to_owned()),
            mode: Some("0640".to_owned()),
            ..Copy::of(vec![input], strings(&["conf", "one"]), "/dest/")
        }))
    };
    let run = |program, network| Op::Run(Box::new(Run { program, mounts: Vec::new(), network }));
    let shell = |text: &str| Program::Command(Command::Shell(text.to_owned()));
    let exec = |words: &[&str]| Command::Exec(strings(words));
    let parent = |digit: &str| ParentDigest(format!("sha256:{}", digit.repeat(64)).into());
    let ops = vec![
        copy(Input::Files(files()), false),
        copy(
            Input::Image { image: Image::Parent(parent("b")), sources: strings(&["/x", "/y*"]) },
            false,
        ),
        copy(Input::Files(files()), true),
        Op::File {
            path: "/f".to_owned(),
            content: "text\n".to_owned(),
            owner: None,
            mode: Some(0o600),
        },
        Op::Mkdir { paths: strings(&["/d", "/e/f"]), owner: None, mode: None },
        Op::Symlink { target: "f".to_owned(), path: "/l".to_owned() },
        Op::Remove { paths: strings(&["/gone"]) },
        run(shell("echo hello"), true),
        run(Program::Command(exec(&["/bin/true", "word"])), false),
        run(Program::Script { name: "EOF".to_owned(), content: "#!/bin/sh\n".to_owned() }, true),
        Op::Env(pairs(&[("A", "1"), ("B", "")])),
        Op::Workdir("/w".to_owned()),
        Op::User("app".to_owned()),
        Op::Shell(strings(&["/bin/sh", "-ec"])),
        Op::Arg(vec![Arg {
            name: "V".to_owned(),
            default: Some("1".to_owned()),
            value: Some("1.2".to_owned()),
        }]),
        Op::Label(pairs(&[("a", "b")])),
        Op::Expose(strings(&["80/tcp"])),
        Op::Volume(strings(&["/v"])),
        Op::Entrypoint(exec(&["/e"])),
        Op::Cmd(Command::Shell("c".to_owned())),
        Op::StopSignal("SIGINT".to_owned()),
        Op::Healthcheck(Healthcheck { test: strings(&["NONE"]), ..Healthcheck::default() }),
        Op::Onbuild("RUN x".to_owned()),
        Op::Maintainer("m".to_owned()),
    ];
    Spec {
        platform: Platform::parse("linux/arm/v7").unwrap(),
        source_date: Some(1_700_000_000),
        stages: vec![Stage::of(
            Platform::parse("linux/arm/v7").unwrap(),
            Source::Parent(parent("a")),
            ops.into_iter().map(|op| Step { span, text: None, op }).collect(),
        )],
        settings: Settings {
            env: pairs(&[("PATH", "/bin")]),
            labels: pairs(&[("org.example", "label")]),
            unlisted: Vec::new(),
            entrypoint: Some(strings(&["/app"])),
            cmd: Some(Vec::new()),
            expose: strings(&["80/tcp"]),
            volumes: strings(&["/data"]),
            workdir: Some("/".to_owned()),
            user: Some("1:1".to_owned()),
            stop_signal: Some("SIGTERM".to_owned()),
        },
        watched: Vec::new(),
    }
}

fn plain(source: Source<mabuild_engine::spec::Built>) -> BuildSpec {
    Spec {
        platform: Platform::parse("linux/amd64").unwrap(),
        source_date: None,
        stages: vec![Stage::of(Platform::parse("linux/amd64").unwrap(), source, Vec::new())],
        settings: Settings::default(),
        watched: Vec::new(),
    }
}

fn span(start: u32) -> Span {
    Span { file: FileId(0), start, end: start + 1 }
}

#[test]
fn keys() {
    let package = PackagePin {
        name: "busybox-static".to_owned(),
        version: "1:1.35.0-4".to_owned(),
        arch: "armhf".to_owned(),
        sha256: "c".repeat(64),
        size: 1,
        archive: 0,
        path: "pool/b.deb".to_owned(),
    };
    let set = PackageSet { packages: vec![package], ..PackageSet::default() };
    let debian = Pin::Debian(DebianPin { variant: DebianVariant::Extract, trim: Vec::new(), set });
    let archive = Pin::Archive {
        digest: format!("sha256:{}", "d".repeat(64)),
        location: "/x".to_owned(),
        version: None,
    };
    let layout =
        Pin::Layout { manifest: format!("sha256:{}", "e".repeat(64)), path: "/x".to_owned() };
    let found: Vec<(&str, String)> = vec![
        ("whole", key(&whole(span(0))).hex()),
        ("scratch", key(&plain(Source::Scratch)).hex()),
        ("debian", key(&plain(Source::Upstream(Arc::new(debian)))).hex()),
        ("archive", key(&plain(Source::Upstream(Arc::new(archive)))).hex()),
        ("layout", key(&plain(Source::Upstream(Arc::new(layout)))).hex()),
    ];
    let text: String = found.iter().map(|(name, key)| format!("{name} {key}\n")).collect();
    assert_eq!(text, include_str!("golden/keys-2.txt"), "a new encoding needs a new KEY_FORMAT");
}

#[test]
fn places_in_the_file_are_not_in_a_key() {
    assert_eq!(key(&whole(span(0))), key(&whole(span(77))));
}

#[test]
fn record_of_version_1_is_read() {
    let text = include_str!("golden/record-1.json");
    if std::env::var_os("MABUILD_BLESS").is_some() {
        let file = mabuild_tests::env::source_tree().join("tests/all/golden/record-1.json");
        let text = serde_json::to_string_pretty(&Record::of(&whole(span(0)))).unwrap();
        std::fs::write(file, text + "\n").unwrap();
    }
    let record: Record = serde_json::from_str(text).unwrap();
    assert_eq!(record.version, 1);
    let now = Record::of(&whole(span(0)));
    let changes = mabuild_engine::key::diff(&record, &now);
    assert!(changes.is_empty(), "{changes:#?}");
    let again = serde_json::to_string_pretty(&now).unwrap();
    assert_eq!(again.trim(), text.trim());
}

/// Everything that does not run a program, from an archive that is written here, must give the
/// same bytes on every machine and with every version of the program.
#[test]
fn index_digest_of_a_whole_build() {
    let env = TestEnv::new();
    let tree = Tar::default()
        .dir("./", 0o755)
        .dir("etc/", 0o755)
        .file("etc/hello", 0o644, "hello\n")
        .owned("etc/secret", 0o600, (7, 8), "secret\n")
        .dir("gone/", 0o755)
        .file("gone/x", 0o644, "x")
        .symlink("link", "etc/hello")
        .hardlink("hard", "etc/hello");
    env.write("tree.tar.gz", tree.gzip(6)).write("site/index.html", "<p>page\n");
    env.write(
        "mabuild.kdl",
        r#"mabuild 1
platforms "linux/amd64" "linux/arm64" "linux/arm/v7"
base "tree" { rootfs "tree.tar.gz"; cmd "/bin/sh"; env A="1" }
image "site" {
    from "tree"
    steps {
        copy "site/" "/srv/" mode="0644" chown="7:8"
        file "/etc/platform" "{{platform}}\n"
        mkdir "/var/empty" mode="0700"
        symlink "../srv" "/var/srv"
        remove "/gone"
        env B="2"
        workdir "/srv"
        copy "/etc/hello" "/hello" from="tree"
        copy "/" "/copied/" from="tree"
    }
    label "org.example.title" "site"
    entrypoint "/bin/server" "--port" "80"
    expose "80/tcp"
    user "7:8"
}
image "empty" { steps { file "/only" "file\n" }; from "scratch" }
"#,
    );
    env.rebuild(&[]);
    let text: String =
        env.digests().iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
    assert_eq!(text, include_str!("golden/images.txt"));
}
