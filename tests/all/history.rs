//! What is known afterwards: runs, what differs between them, why something is to be built, and
//! what a change would reach. One chain of three, built again and again with changes.

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{Run, TestEnv, host, skip};
use mabuild_tests::fixture::{blob, busybox, manifests};
use mabuild_tests::schema;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const FILE: &str = r#"mabuild 1
platforms "linux/amd64" "linux/arm64"
base "minideb" { rootfs "tree.tar.gz" }
image "python" {
    from "minideb"
    steps { copy "lib/" "/lib/" mode="0644" }
    label "of" "python"
}
image "app" {
    from "python"
    steps {
        copy "conf/*.txt" "/conf/" mode="0644"
        file "/platform" "{{platform}}\n"
    }
    label "of" "app"
}
image "side" { from "minideb"; steps { file "/side" "beside\n" } }
"#;

/// The project after its first build, which is run 1.
fn built() -> TestEnv {
    let env = TestEnv::new();
    env.write("mabuild.kdl", FILE).write("tree.tar.gz", tree("3.0.15"));
    env.write("lib/a.py", "a\n").write("lib/b.py", "b\n").write("conf/app.txt", "app\n");
    assert_eq!(env.rebuild(&[]).built, 8);
    env
}

fn tree(version: &str) -> Vec<u8> {
    Tar::default().dir("etc/", 0o755).file("etc/version", 0o644, version).gzip(6)
}

/// Standard output with the digits of every time masked, and without what follows it in the line
/// of sums: the chain is told apart.
fn masked(run: Run) -> String {
    let run = run.ok();
    let words: Vec<&str> = run.stdout.split_inclusive(' ').collect();
    let unit =
        |at: usize| words.get(at + 1).is_some_and(|w| w.starts_with('s') && !w.starts_with("si"));
    let mask = |(at, word): (usize, &&str)| match word.trim().parse::<f64>() {
        Ok(_) if unit(at) => word.replace(|c: char| c.is_ascii_digit(), "N"),
        _ => (*word).to_owned(),
    };
    words.iter().enumerate().map(mask).collect()
}

/// A JSON document that fits the schema that the program prints for it.
fn document(env: &TestEnv, args: &[&str]) -> Value {
    let document = env.mabuild(&[args, &["--format", "json"]].concat()).json();
    let schema = env.mabuild(&[args, &["--schema"]].concat()).ok().json();
    let faults = schema::faults(&schema, &document);
    assert!(faults.is_empty(), "{args:?}: {faults:#?}\n{document:#}");
    document
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn names(nodes: &Value) -> Vec<&str> {
    nodes.as_array().unwrap().iter().map(|node| node["node"].as_str().unwrap()).collect()
}

/// Another base, another file of the image on it, and another label of the image on that.
fn change(env: &TestEnv) {
    env.write("tree.tar.gz", tree("3.0.16")).write("lib/b.py", "other\n");
    env.write("mabuild.kdl", FILE.replace(r#""of" "app""#, r#""of" "the app""#));
}

/// What is said of the change above; `since` is what it is compared with.
fn causes(since: &str) -> String {
    let (before, now) = (sha256(&tree("3.0.15")), sha256(&tree("3.0.16")));
    let short = |digest: &str| format!("{}…", &digest[..19]);
    let hash = |text: &str| blake3_of(text);
    format!(
        "  app@linux/{{amd64,arm64}} ← label.of: app → the app
  1 input of app differs from {since}
    label.of
      before app
      now    the app
  app@linux/{{amd64,arm64}} ← python ← lib/b.py differs
  1 input of python differs from {since}
    steps[0].files.lib/b.py.content
      before blake3 {}
      now    blake3 {}
  app@linux/{{amd64,arm64}} ← python ← minideb ← archive: {} → {}
  1 input of minideb differs from {since}
    archive
      before {before}
      now    {now}
",
        hash("b"),
        hash("other"),
        short(&before),
        short(&now),
    )
}

/// The digests of two small files, as `b3sum` shows them.
fn blake3_of(text: &str) -> &'static str {
    match text {
        "b" => "9d902f9864f3043dca97e40698eee07a",
        _ => "c0d6c8281a3879ca493d73b4b2372662",
    }
}

#[test]
fn a_change_is_explained_before_it_is_built_and_between_runs_after_it() {
    let env = built();
    change(&env);
    let text = env.mabuild(&["graph", "explain", "app"]).ok().stdout;
    let head = "app linux/{amd64,arm64} is to be built if what it needs comes out different\n";
    assert_eq!(text, format!("{head}{}", causes("the last build")));
    let json = document(&env, &["graph", "explain", "app"]);
    assert_eq!(names(&json["nodes"]), ["app@linux/amd64", "app@linux/arm64"]);
    let causes_of = |json: &Value| json["nodes"][0]["causes"].as_array().unwrap().clone();
    assert_eq!(json["nodes"][0]["action"], "maybe");
    assert_eq!(
        causes_of(&json)[2]["path"],
        json!(["app@linux/amd64", "python@linux/amd64", "minideb@linux/amd64"])
    );
    let plan = document(&env, &["graph", "plan"]);
    assert_eq!(plan["counts"], json!({"build": 2, "maybe": 6, "keep": 0, "refused": 0}));

    assert_eq!(env.rebuild(&[]).built, 8);
    env.mabuild(&["graph", "explain", "app", "--offline"]).ok();
    let run = env.mabuild(&["graph", "explain", "app", "--between", "last~1", "last"]).ok();
    let (runs, rest) = run.stdout.split_once('\n').unwrap();
    assert!(runs.starts_with("run 1, 2") && runs.contains(" → run 2, 2"), "{runs}");
    assert_eq!(rest, format!("app linux/{{amd64,arm64}} came out different\n{}", causes("run 1")));
    let between = document(&env, &["graph", "explain", "app", "--between", "1", "2"]);
    assert_eq!(causes_of(&between), causes_of(&json), "before and after are told alike");
    let all = document(&env, &["graph", "explain", "--between", "1", "2"]);
    assert_eq!(names(&all["nodes"]).len(), 8);
    // The other way round is a question as well.
    let back = document(&env, &["graph", "explain", "app@linux/arm64", "--between", "#2", "#1"]);
    assert_eq!(back["nodes"][0]["causes"][0]["reason"]["changes"][0]["now"], "app");
}

#[test]
fn runs_are_listed_and_a_run_that_changes_nothing_differs_in_nothing() {
    let env = built();
    env.rebuild(&[]);
    // An edit and its undoing: nothing is built the second time, yet the nodes are others.
    change(&env);
    env.rebuild(&[]);
    env.write("mabuild.kdl", FILE).write("tree.tar.gz", tree("3.0.15")).write("lib/b.py", "b\n");
    assert_eq!(env.rebuild(&[]).built, 0);

    let runs = document(&env, &["graph", "runs"]);
    let list = runs["runs"].as_array().unwrap();
    let row = |run: &Value| (run["id"].as_u64(), run["built"].as_u64(), run["kept"].as_u64());
    let rows: Vec<_> = list.iter().map(row).collect();
    let expected = [(4, 0, 8), (3, 8, 0), (2, 0, 8), (1, 8, 0)];
    assert_eq!(rows, expected.map(|(id, built, kept)| (Some(id), Some(built), Some(kept))));
    let file = env.path("mabuild.kdl");
    for run in list {
        assert_eq!((&run["outcome"], &run["comparable"]), (&json!("ok"), &json!(true)));
        assert_eq!(run["file"].as_str(), file.to_str());
    }
    let table = env.mabuild(&["graph", "runs", "--limit", "1"]).ok().stdout;
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.starts_with("RUN  STARTED (UTC)"), "{table}");

    let differing = |from: &str, to: &str| {
        let json = document(&env, &["graph", "explain", "--between", from, to]);
        names(&json["nodes"]).len()
    };
    assert_eq!((differing("1", "2"), differing("1", "4")), (0, 0));
    assert_eq!((differing("2", "3"), differing("3", "4")), (8, 8));
    env.mabuild(&["store", "gc"]).ok();
    assert_eq!((differing("1", "2"), differing("2", "3")), (0, 8), "what runs need is kept");
    let text = env.mabuild(&["graph", "explain", "--between", "1", "2"]).ok().stdout;
    assert!(text.ends_with("\nno node differs\n"), "{text}");
}

#[test]
fn runs_that_cannot_be_compared_say_why() {
    let env = built();
    env.write("other.kdl", FILE);
    env.rebuild(&["-f", "other.kdl"]);
    let between = |args: &[&str]| env.mabuild(&[&["graph", "explain", "--between"], args].concat());
    between(&["1", "9"]).fails(2).says(&["there is no run 9", "graph runs"]);
    between(&["1", "2"]).fails(2).says(&["run 2 is one of", "other.kdl"]);
    between(&["last~1", "last"]).fails(2).says(&["there are not 2 finished runs"]);
    between(&["1", "newest"]).fails(2).says(&["last~1"]);
    between(&["1", "1", "nothing"]).fails(2).says(&["nothing is called `nothing`"]);
    let all = document(&env, &["graph", "runs", "--all"]);
    assert_eq!(all["runs"].as_array().unwrap().len(), 2);

    // A node that the file does not have any more is still known by its runs.
    env.write("mabuild.kdl", FILE.split("image \"side\"").next().unwrap());
    env.rebuild(&[]);
    let gone = between(&["1", "3", "side"]).ok().stdout;
    assert!(gone.contains("side linux/{amd64,arm64} is the same in both runs"), "{gone}");
    // A run that failed is one as well, and what it built is known.
    env.write("mabuild.kdl", FILE.replace("conf/*.txt", "missing.txt").replace("lib/", "conf/"));
    env.try_rebuild(&["-k"]).fails(2);
    let runs = document(&env, &["graph", "runs", "--limit", "1"]);
    assert_eq!(runs["runs"][0]["outcome"], "failed");
    let failed = document(&env, &["graph", "explain", "--between", "last~1", "last"]);
    assert_eq!(names(&failed["nodes"]), ["python@linux/amd64", "python@linux/arm64"]);
    let refused = document(&env, &["graph", "explain", "app"]);
    assert_eq!(refused["nodes"][0]["causes"][0]["reason"]["kind"], "unknowable");
    assert_eq!(document(&env, &["graph", "plan"])["counts"]["refused"], 2);
}

#[test]
fn what_if_names_what_is_below_and_sums_the_past() {
    let env = built();
    let what_if = |args: &[&str]| env.mabuild(&[&["graph", "plan", "--what-if"], args].concat());
    let text = masked(what_if(&["minideb"]));
    let (head, chain) = text.split_once("N.NN s: ").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(
        head,
        "\
ACTION  NODE     PLATFORMS  TIME    LAYERS  WHY
build   minideb  all 2      N.NN s  244 B   changes
maybe   python   all 2      N.NN s  264 B   needs minideb
maybe   app      all 2      N.NN s  455 B   needs python
maybe   side     all 2      N.NN s  188 B   needs minideb
a change of minideb: 2 to build, 6 to build if what they need changes
time:  up to N.NN s of work, by past builds; the longest chain takes "
    );
    let (chain, bytes) = chain.split_once('\n').unwrap();
    let chain: Vec<&str> = chain.split(" → ").map(|n| n.split('@').next().unwrap()).collect();
    assert_eq!(chain, ["minideb", "python", "app"]);
    assert_eq!(bytes, "bytes: up to 1.12 KiB of layers to write, 10.9 KiB to push\n");

    let json = document(&env, &["graph", "plan", "--what-if", "python@linux/arm64"]);
    assert_eq!(json["kind"], "node");
    let mut nodes = names(&json["nodes"]);
    nodes.sort_unstable();
    assert_eq!(nodes, ["app", "app@linux/arm64", "python", "python@linux/arm64"]);
    assert_eq!(json["counts"], json!({"build": 1, "maybe": 1, "untouched": 6, "refused": 0}));
    assert_eq!((&json["seconds"]["unknown"], &json["bytes"]["unknown"]), (&json!(0), &json!(0)));
    let layers = json["bytes"]["layers"].as_u64().unwrap();
    assert!(layers < json["bytes"]["push"].as_u64().unwrap(), "{json:#}");
    // Nothing was built or planned by asking.
    assert_eq!(env.rebuild(&[]).built, 0);

    // Without a past there are no sums, and nothing is made up.
    let fresh = TestEnv::new();
    fresh.write("mabuild.kdl", FILE);
    let run = fresh.mabuild(&["graph", "plan", "--what-if", "side"]).ok();
    assert!(
        run.stdout.contains("build   side  all 2      ?     ?       changes"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("2 nodes of unknown time"), "{}", run.stdout);
    assert!(!run.stdout.contains("up to"), "{}", run.stdout);
}

#[test]
fn what_if_knows_who_reads_a_file() {
    let env = built();
    env.write(".dockerignore", "conf/secret.txt\n").write("conf/run.sh", "").write("README", "");
    let reached = |file: &str| {
        let json = document(&env, &["graph", "plan", "--what-if", file]);
        assert_eq!(json["kind"], "file");
        let nodes = json["nodes"].as_array().unwrap().clone();
        let on = |node: &&Value| node["platform"] == "linux/arm64";
        let word = |node: &Value| {
            format!("{} {}", node["action"].as_str().unwrap(), node["name"].as_str().unwrap())
        };
        nodes.iter().filter(on).map(word).collect::<Vec<_>>()
    };
    let below_lib = ["build python", "maybe app"];
    assert_eq!(reached("lib/a.py"), below_lib);
    assert_eq!(reached("./lib"), below_lib);
    assert_eq!(reached(env.path("lib/a.py").to_str().unwrap()), below_lib);
    assert_eq!(reached("conf/app.txt"), ["build app"]);
    assert_eq!(reached("conf/yet-to-come.txt"), ["build app"]);
    assert_eq!(reached("conf/run.sh"), [""; 0]);
    assert_eq!(reached("README"), [""; 0]);
    let mut all = reached("tree.tar.gz");
    all.sort_unstable();
    assert_eq!(all, ["build minideb", "maybe app", "maybe python", "maybe side"]);
    // What it hides may be the same after a change.
    assert_eq!(reached(".dockerignore"), ["maybe python", "maybe app"]);

    let what_if = |args: &[&str]| env.mabuild(&[&["graph", "plan", "--what-if"], args].concat());
    let narrow = what_if(&["tree.tar.gz", "side", "--platform", "linux/arm64"]).ok().stdout;
    assert!(narrow.contains("1 to build, 1 to build if what they need changes\n"), "{narrow}");
    let none = what_if(&["README"]).ok().stdout;
    assert_eq!(none, "no node reads README: a change of it builds nothing\n");
    what_if(&["conf/secret.txt"]).fails(2).says(&["there is no such file"]);
    what_if(&["nothing"]).fails(2).says(&["nothing is called `nothing`"]);
    what_if(&["app@linux/riscv64"]).fails(2).says(&["it has linux/amd64"]);
    what_if(&["mabuild.kdl"]).fails(2).says(&["describes the graph", "graph plan"]);
}

#[test]
fn a_step_that_is_not_reproducible_is_told_from_a_change() {
    let root = match busybox(host()) {
        Ok(root) => root,
        Err(e) => return skip(&e),
    };
    let env = TestEnv::new();
    env.write("root.tar.gz", root).write(
        "mabuild.kdl",
        format!(
            "mabuild 1\nplatforms {:?}\nbase \"bb\" {{ rootfs \"root.tar.gz\" }}\n\
             image \"odd\" {{ from \"bb\"; steps {{ shell \"/bin/busybox\" \"sh\" \"-c\"; \
             run \"/bin/busybox cat /proc/sys/kernel/random/uuid > /id\" }} }}\n\
             image \"app\" {{ from \"odd\"; steps {{ file \"/a\" \"a\" }} }}\n",
            host()
        ),
    );
    env.rebuild(&[]);
    // With its layer gone the step is run again.
    let (_, manifest) = manifests(&env.store(), &env.digest("odd:latest")).remove(0);
    let layers = blob(&env.store(), &manifest)["layers"].as_array().unwrap().clone();
    let layer = layers.last().unwrap()["digest"].as_str().unwrap().replace(':', "/");
    std::fs::remove_file(env.store().join("blobs").join(layer)).unwrap();
    env.rebuild(&["--force", "odd"]);
    let text = env.mabuild(&["graph", "explain", "app", "--between", "1", "2"]).ok().stdout;
    let chain = format!("  app@{} ← odd ← the same inputs, another result\n", host());
    assert!(text.contains(&chain), "{text}");
    let json = document(&env, &["graph", "explain", "--between", "1", "2"]);
    assert_eq!(names(&json["nodes"]), [format!("app@{}", host()), format!("odd@{}", host())]);
}

#[test]
fn documents_fit_their_schemas_in_every_state() {
    let env = TestEnv::new();
    env.write("mabuild.kdl", FILE).write("tree.tar.gz", tree("1"));
    env.write("lib/a.py", "a\n").write("conf/app.txt", "app\n");
    let state = |kind: &str| {
        let plan = document(&env, &["graph", "plan"]);
        document(&env, &["graph", "explain", "*"]);
        let nodes = plan["nodes"].as_array().unwrap();
        assert!(nodes.iter().any(|n| n["reason"]["kind"] == kind), "no {kind} in {plan:#}");
    };
    state("never-built");
    env.rebuild(&[]);
    state("up-to-date");
    let forced = document(&env, &["graph", "plan", "--force", "app"]);
    assert_eq!(forced["counts"]["build"], 2);
    env.write("lib/a.py", "b\n");
    state("changed");
    state("members");
    state("waits");
    std::fs::remove_file(env.path("lib/a.py")).unwrap();
    std::fs::remove_dir(env.path("lib")).unwrap();
    state("unknowable");
    state("below");
    // A schema that says nothing would fit everything.
    let schema = env.mabuild(&["graph", "plan", "--schema"]).ok().json();
    let faults = |document: Value| schema::faults(&schema, &document).len();
    let counts = json!({"build": 0, "maybe": 0, "keep": 0, "refused": 0});
    assert_eq!(faults(json!({"version": 1, "clean": true, "counts": counts, "nodes": []})), 0);
    assert_eq!(faults(json!({"version": 2, "clean": 1, "counts": {}, "nodes": [{}]})), 15);
}

#[test]
fn documents_tell_of_variants_and_of_what_is_refused() {
    let env = TestEnv::new();
    let digest = "0123456789abcdef".repeat(4);
    let file = r#"mabuild 1
platforms "linux/amd64" "linux/arm/v7"
base "root" { rootfs "root.tar" }
image "python" {
    matrix { version "3.11" "3.12"; suite "bookworm" }
    from "root"
    steps { copy "a.txt" "/a"; file "/version" "{{version}}\n" }
    tags "{{version}}"
}
image "web" { from "python" version="3.12"; platforms "linux/amd64"; steps { copy "b.txt" "/b" } }
image "tested" { from "root"; steps { copy "t.txt" "/t" }; test "runs" { run "x" } }
image "dock" { dockerfile "Dockerfile" }
image "ext" { from "ghcr.io/acme/base:1.2@sha256:DIGEST"; steps { file "/x" "y" } }
image "short" { from "debian:12" }
image "packed" { from "scratch"; steps { packages "x" } }
"#;
    env.write("mabuild.kdl", file.replace("DIGEST", &digest));
    env.write("root.tar", tree("1")).write("Dockerfile", "FROM root\nCOPY d.txt /d\n");
    for name in ["a.txt", "b.txt", "d.txt", "t.txt"] {
        env.write(name, name);
    }
    let variant = |document: &Value| {
        let nodes = document["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|n| n["node"] == "python[3.12,bookworm]@linux/arm/v7");
        let node = node.unwrap_or_else(|| panic!("{document:#}"));
        assert_eq!(node["name"], "python[3.12,bookworm]");
        assert_eq!(node["family"], "python");
        assert_eq!(node["axes"], json!({"version": "3.12", "suite": "bookworm"}));
        assert_eq!(node["platform"], "linux/arm/v7");
    };
    for args in [&["graph", "plan"][..], &["graph", "explain", "*"]] {
        let document = document(&env, args);
        variant(&document);
        let ext = document["nodes"].as_array().unwrap().iter().find(|n| n["name"] == "ext");
        let ext = ext.unwrap();
        assert_eq!((&ext["action"], &ext["family"]), (&"refused".into(), &Value::Null));
        assert_eq!(ext["axes"], json!({}));
    }
    variant(&document(&env, &["graph", "plan", "--what-if", "root"]));
    // Two platforms of the image whose packages have nothing to be installed on.
    let counts =
        |name: &str| document(&env, &["graph", "plan", "--what-if", name])["counts"].clone();
    assert_eq!(
        counts("t.txt"),
        json!({"build": 2, "maybe": 0, "untouched": 17, "refused": 2}),
        "tests are no reason not to know what an image reads"
    );
    let unknown = env.mabuild(&["graph", "plan", "--what-if", "d.txt"]).ok().stdout;
    assert!(unknown.contains("2 nodes are refused: what they read is not known"), "{unknown}");
    assert!(!unknown.contains("builds nothing"), "{unknown}");
    // One name with a digest does not move the other rows.
    let table = env.mabuild(&["graph", "plan"]).stdout;
    let row = table.lines().find(|line| line.contains(" root ")).unwrap();
    assert!(row.chars().count() < 90, "{table}");
    let check = env.mabuild(&["check", "--format", "json"]).ok().json();
    let implicit = check["implicit_bases"].as_array().unwrap();
    let debian = json!({"name": "docker.io/library/debian:12", "place": "mabuild.kdl:14:22"});
    assert!(implicit.len() == 2 && implicit.contains(&debian), "{check:#}");
    // A platform that nothing has is no reason to say that all is well.
    let nowhere = env.mabuild(&["graph", "plan", "--platform", "linux/s390x"]).fails(2);
    assert!(nowhere.stderr.contains("has a platform linux/s390x"), "{}", nowhere.stderr);
    // What is refused is no more up to date than what is stale, and not because of a change.
    let stale = env.mabuild(&["graph", "query", "stale()"]);
    assert_ne!(stale.code, Some(0), "{stale:?}");
    assert!(stale.stdout.contains("packed") && stale.stderr.contains("`packages`"), "{stale:?}");
    env.mabuild(&["graph", "query", "stale() ^ root"]).ok();
    let query = env.mabuild(&["graph", "query", "rdeps(debian:12)"]).ok().stdout;
    assert!(query.contains("docker.io/library/debian:12") && query.contains("short"), "{query}");
    for args in [&["graph", "show"][..], &["graph", "query", "all()"]] {
        let document = env.mabuild(&[args, &["--format", "json"]].concat()).ok().json();
        let images = document["images"].as_array().unwrap();
        let image = images.iter().find(|i| i["name"] == "python[3.11,bookworm]").unwrap();
        assert_eq!(
            (&image["family"], &image["axes"]["version"]),
            (&json!("python"), &json!("3.11"))
        );
    }
}

#[test]
fn runs_compared_name_variants_that_are_gone() {
    let env = TestEnv::new();
    let write = |versions: &str| {
        let file = format!(
            "mabuild 1\nplatforms \"linux/amd64\"\nbase \"root\" {{ rootfs \"root.tar\" }}\nimage \"python\" {{\n    \
             matrix {{ version {versions} }}\n    from \"root\"\n    steps {{ copy \"a.txt\" \"/a\" }}\n    tags \"{{{{version}}}}\"\n}}\n"
        );
        env.write("mabuild.kdl", file);
    };
    env.write("root.tar", tree("1")).write("a.txt", "1\n");
    write("\"3.11\"");
    env.rebuild(&[]);
    write("\"3.11\" \"3.12\"");
    env.write("a.txt", "2\n");
    env.rebuild(&[]);
    write("\"3.12\"");
    let became = |target: &str, from: &str, to: &str| {
        let json = document(&env, &["graph", "explain", target, "--between", from, to]);
        let nodes = json["nodes"].as_array().unwrap();
        let line = |n: &Value| {
            format!("{} {}", n["node"].as_str().unwrap(), n["became"].as_str().unwrap())
        };
        nodes.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(became("python[version=3.11]", "1", "2"), ["python[3.11]@linux/amd64 different"]);
    assert_eq!(became("python", "1", "2"), ["python[3.12]@linux/amd64 new"]);
    assert_eq!(became("python", "2", "1"), ["python[3.12]@linux/amd64 gone"]);
    let text = env.mabuild(&["graph", "explain", "--between", "2", "1"]).ok().stdout;
    assert!(
        text.contains("python[3.12] linux/amd64 is in the first of the two runs alone"),
        "{text}"
    );
}
