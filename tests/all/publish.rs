//! One tag for all architectures: what is published to Debian's own `docker-registry`, and what
//! others see of it meanwhile.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mabuild_tests::archive::Tar;
use mabuild_tests::env::{Run, TestEnv, has, walk};
use mabuild_tests::gate::Gate;
use mabuild_tests::registry::{Kind, Registry, Served};
use mabuild_tests::schema;
use rustix::process::Signal;
use serde_json::Value;

/// A base and an image on it, for two platforms. The image has a file of its own on each, so that
/// one platform can fail alone.
const FILE: &str = r#"mabuild 1
platforms "linux/amd64" "linux/arm64"
base "tree" { rootfs "tree.tar"; tags "1"; publish "HOST/tree" }
image "app" {
    from "tree"
    dockerfile "app/Dockerfile"
    tags "1" "latest"
    publish "HOST/team/app"
    MORE
}
"#;
const DOCKERFILE: &str = "FROM tree\nARG TARGETARCH\nCOPY ${TARGETARCH}.txt /text\n";

/// A project that is published to a registry.
pub(crate) struct World {
    pub(crate) env: TestEnv,
    host: String,
}

impl World {
    pub(crate) fn new(host: &str, more: &str) -> Self {
        let world = Self { env: TestEnv::new(), host: host.to_owned() };
        let tree = Tar::default().dir("./", 0o755).file("name", 0o644, "tree\n");
        world.env.write("tree.tar", tree.plain()).write("app/Dockerfile", DOCKERFILE);
        world.describe(more);
        world.content("amd64", "one\n");
        world.content("arm64", "one\n");
        world
    }

    /// Writes the file with more in its image.
    fn describe(&self, more: &str) {
        let text = FILE.replace("HOST", &self.host).replace("MORE", more);
        self.env.write("mabuild.kdl", text);
    }

    /// The same project on a machine with an empty store.
    fn elsewhere(&self) -> Self {
        let other = Self { env: TestEnv::new(), host: self.host.clone() };
        other.env.copy_in(&self.env.project());
        other
    }

    /// How far the generations are, oldest first.
    fn progress(&self) -> Vec<String> {
        let list = self.document(&["publish", "ls"]);
        let each = list["generations"].as_array().unwrap().iter();
        each.map(|generation| generation["progress"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn content(&self, arch: &str, text: &str) {
        self.env.write(&format!("app/{arch}.txt"), text);
    }

    /// Makes a platform fail.
    fn breaks(&self, arch: &str) {
        std::fs::remove_file(self.env.path(&format!("app/{arch}.txt"))).unwrap();
    }

    pub(crate) fn rebuild(&self, args: &[&str]) -> Run {
        let all = [&["graph", "rebuild", "--progress", "plain", "--publish"], args].concat();
        self.env.mabuild(&all)
    }

    /// What a tag says: its digest and its document.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> (String, Value) {
        let answer = get(&self.host, &format!("/v2/{repository}/manifests/{tag}"));
        assert_eq!(answer.status, 200, "{repository}:{tag}");
        (answer.digest.unwrap(), serde_json::from_slice(&answer.body).unwrap())
    }

    pub(crate) fn digest(&self, tag: &str) -> String {
        self.tag("team/app", tag).0
    }

    fn has(&self, repository: &str, reference: &str) -> bool {
        get(&self.host, &format!("/v2/{repository}/manifests/{reference}")).status == 200
    }

    /// A JSON document of a command that fits the schema that the command prints.
    fn document(&self, args: &[&str]) -> Value {
        let document = self.env.mabuild(&[args, &["--format", "json"]].concat()).json();
        let schema = self.env.mabuild(&[args, &["--schema"]].concat()).ok().json();
        let faults = schema::faults(&schema, &document);
        assert!(faults.is_empty(), "{args:?}: {faults:#?}\n{document:#}");
        document
    }
}

/// An answer to a plain question.
pub(crate) struct Answer {
    pub(crate) status: u16,
    digest: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Asks a registry without TLS for anything.
pub(crate) fn get(host: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(host).unwrap();
    let accept = "application/vnd.oci.image.index.v1+json, \
                  application/vnd.oci.image.manifest.v1+json, \
                  application/vnd.docker.distribution.manifest.list.v2+json, \
                  application/vnd.docker.distribution.manifest.v2+json";
    let head = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let digest = fields.find(|(name, _)| name.eq_ignore_ascii_case("docker-content-digest"));
    let digest = digest.map(|(_, digest)| digest.to_owned());
    Answer { status, digest, body: bytes[end + 4..].to_vec() }
}

pub(crate) fn members(index: &Value) -> Vec<&Value> {
    index["manifests"].as_array().unwrap().iter().collect()
}

fn architectures(index: &Value) -> BTreeSet<String> {
    let of = |member: &Value| member["platform"]["architecture"].as_str().unwrap().to_owned();
    members(index).into_iter().map(of).collect()
}

fn skopeo(args: &[&str]) -> String {
    let out = Command::new("skopeo").args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn writes(registry: &dyn Served) -> Vec<String> {
    let requests = registry.requests().into_iter();
    let writes = requests.filter(|request| !["GET", "HEAD"].contains(&request.method.as_str()));
    writes.map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[test]
fn one_tag_has_all_architectures_and_is_written_once() {
    if let Some(registry) = Registry::start(Kind::Plain).filter(|_| has("skopeo")) {
        all_architectures_once(&registry);
    }
}

/// Publishes an image of two platforms, again without a change, and with one of one platform.
pub(crate) fn all_architectures_once(registry: &dyn Served) {
    let world = World::new(registry.host(), "arch-tags");
    let run = world.rebuild(&[]).ok().says(&["7 tags moved", "generation 1", "(new)"]);
    assert!(run.stderr.contains("linux/amd64 linux/arm64"), "{}", run.stderr);
    // What others see is what was built.
    let (digest, index) = world.tag("team/app", "1");
    assert_eq!(world.digest("latest"), digest);
    let raw: Value = serde_json::from_str(&skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{}/team/app:1", registry.host()),
    ]))
    .unwrap();
    assert_eq!(raw, index);
    assert_eq!(index["annotations"]["org.opencontainers.image.version"], "1");
    for member in members(&index) {
        let arch = member["platform"]["architecture"].as_str().unwrap();
        let notes = &member["annotations"];
        assert_eq!(notes["dev.mabuild.key.v1"].as_str().unwrap().len(), 64);
        let base = world.tag("tree", "1").1;
        let of_base = members(&base).into_iter().find(|m| m["platform"] == member["platform"]);
        assert_eq!(notes["org.opencontainers.image.base.digest"], of_base.unwrap()["digest"]);
        let name = format!("{}/tree:1", registry.host());
        assert_eq!(notes["org.opencontainers.image.base.name"], *name);
        let own = world.tag("team/app", &format!("1-{arch}"));
        assert_eq!(own.0, member["digest"]);
        let text = own.1.to_string();
        assert!(!text.contains("annotations"), "a manifest says no more than its content: {text}");
    }
    let to = world.env.root.path().join("copied");
    let (from, to) =
        (format!("docker://{}/team/app:1", registry.host()), format!("oci:{}", to.display()));
    skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &to]);
    // Nothing changed: nothing is written, not even what the commit says.
    let before = writes(registry).len();
    let asked = registry.requests().len();
    world.env.mabuild(&["publish"]).ok();
    world.rebuild(&[]).ok().says(&["0 tags moved, 7 kept"]);
    assert_eq!(writes(registry).len(), before);
    assert!(registry.requests().len() - asked <= 2 * 7, "a question a tag");
    // A change of one platform sends that alone.
    world.content("arm64", "two\n");
    world.rebuild(&[]).ok().says(&["4 tags moved, 3 kept"]);
    let sent = writes(registry).split_off(before);
    let of_base = sent.iter().filter(|line| line.contains("/tree/")).count();
    assert_eq!(of_base, 0, "{sent:#?}");
    let manifests =
        sent.iter().filter(|line| line.starts_with("PUT") && line.contains("manifests/"));
    assert_eq!(manifests.count(), 2 + 4, "one manifest, one index, four tags: {sent:#?}");
    let now = world.tag("team/app", "1").1;
    assert_eq!(members(&now)[0], members(&index)[0]);
    assert_ne!(members(&now)[1], members(&index)[1]);
}

#[test]
fn report_of_a_run_says_what_was_published() {
    let Some(mut registry) = Registry::start(Kind::Plain) else { return };
    let world = World::new(&registry.host, "");
    let schema = |words: &[&str]| world.env.mabuild(&[words, &["--schema"]].concat()).ok().json();
    let schemas = (schema(&["graph", "rebuild"]), schema(&["publish"]));
    let fits = |report: &Value| {
        let mut faults = schema::faults(&schemas.0, report);
        if let Some(publish) = report.get("publish") {
            faults.extend(schema::faults(&schemas.1, publish));
        }
        assert!(faults.is_empty(), "{faults:#?}\n{report:#}");
    };
    let report = world.rebuild(&["--report", "json"]).ok().json();
    fits(&report);
    let publish = &report["publish"];
    assert_eq!((&publish["generation"], &report["result"]), (&1.into(), &"ok".into()));
    assert_eq!(publish["images"][1]["tags"][0]["after"], world.digest("1"));
    assert_eq!(publish["images"][1]["outcome"], "published");
    // What failed stands there, too, and in a file as well.
    world.content("arm64", "two\n");
    world.env.rebuild(&[]);
    registry.stop();
    world.rebuild(&["--report", "report.json"]).fails(3);
    let text = std::fs::read_to_string(world.env.path("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    fits(&report);
    assert_eq!(report["publish"]["images"][1]["outcome"], "failed", "{report:#}");
    let report = world.env.try_rebuild(&[]).json();
    fits(&report);
    assert!(report.get("publish").is_none(), "{report:#}");
}

#[test]
fn layers_of_a_base_are_mounted_from_there() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let world = World::new(&registry.host, "");
    world.rebuild(&[]).ok();
    let posts: Vec<String> =
        writes(&registry).into_iter().filter(|line| line.starts_with("POST")).collect();
    let mounts = posts.iter().filter(|line| line.contains("from=tree"));
    assert!(mounts.count() >= 1, "{posts:#?}");
}

#[test]
fn what_is_not_up_to_date_keeps_its_tags() {
    let Some(mut registry) = Registry::start(Kind::Plain) else { return };
    let world = World::new(&registry.host, "");
    // Nothing is built.
    let run = world.env.mabuild(&["publish"]).fails(1);
    let run = run.says(&["app is not published to", "linux/arm64", "mabuild graph rebuild"]);
    assert!(run.stdout.contains("2 images not published"), "{}", run.stdout);
    assert!(writes(&registry).is_empty());
    world.rebuild(&[]).ok();
    let first = world.digest("1");
    world.breaks("arm64");
    world.content("amd64", "two\n");
    let run = world.rebuild(&[]);
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("nothing is published after a failure"), "{}", run.stderr);
    let run = world.rebuild(&["-k"]);
    assert_ne!(run.code, Some(0));
    run.says(&["app is not published to", "linux/arm64: failed"]);
    assert_eq!(world.digest("1"), first);
    let document = world.document(&["publish"]);
    assert_eq!(document["images"][1]["blocked"][0]["platform"], "linux/arm64");
    // A dry run says what would be done and does nothing.
    world.content("arm64", "two\n");
    world.env.rebuild(&[]);
    let run = world.env.mabuild(&["publish", "--dry-run"]).ok();
    assert!(run.stdout.contains("would publish: 2 tags to move, 1 kept"), "{}", run.stdout);
    let document = world.document(&["publish", "--dry-run"]);
    assert_eq!(document["images"][1]["outcome"], "planned");
    assert_eq!(world.digest("1"), first);
    registry.stop();
    world.env.mabuild(&["publish"]).fails(3).says(&[&registry.host]);
}

#[test]
fn project_that_publishes_nothing_says_so() {
    let env = TestEnv::new();
    env.write("tree.tar", Tar::default().dir("./", 0o755).plain());
    env.write(
        "mabuild.kdl",
        "mabuild 1\nplatforms \"linux/amd64\"\nbase \"tree\" { rootfs \"tree.tar\" }\n",
    );
    env.mabuild(&["publish"]).fails(2).says(&["nothing of", "is published", "publish \""]);
    let run = env.mabuild(&["graph", "rebuild", "--publish"]).fails(2);
    assert!(!run.stderr.contains("built"), "it is told before anything is built: {}", run.stderr);
    env.mabuild(&["publish", "rollback"]).fails(2).says(&["no generation"]);
    env.mabuild(&["publish", "prune", "--keep", "1"]).fails(2).says(&["nothing to prune"]);
}

#[test]
fn publish_that_was_killed_is_finished_by_the_next() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let gate = Gate::start(&registry.host);
    let world = World::new(&gate.host, "");
    world.rebuild(&[]).ok();
    let (app, tree) = (world.digest("1"), world.tag("tree", "1").0);
    world.content("amd64", "two\n");
    let base = Tar::default().dir("./", 0o755).file("name", 0o644, "another\n");
    world.env.write("tree.tar", base.plain());
    world.env.rebuild(&["--update"]);
    // Killed between the tags of the base and those of the image, at the first of these.
    gate.close("PUT /v2/team/app/manifests/1 ");
    let running = world.env.spawn(&["publish"]);
    assert!(gate.wait(), "the tag is written at the end");
    assert_ne!(world.tag("tree", "1").0, tree, "parents come before children");
    running.signal(Signal::KILL);
    running.wait();
    gate.open();
    assert_eq!(world.progress(), ["done", "open"]);
    // Another change waits for its own generation; what was begun is finished first.
    world.content("arm64", "three\n");
    world.env.rebuild(&[]);
    let run = world.env.mabuild(&["publish"]).ok();
    assert!(run.stdout.contains("finished generation 2"), "{}", run.stdout);
    assert_ne!(world.digest("1"), app);
    assert_eq!(world.progress(), ["done", "done", "done"]);
}

#[test]
fn publish_that_was_killed_can_be_undone() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let gate = Gate::start(&registry.host);
    let world = World::new(&gate.host, "");
    world.rebuild(&[]).ok();
    let (app, tree) = (world.digest("1"), world.tag("tree", "1").0);
    let base = Tar::default().dir("./", 0o755).file("name", 0o644, "another\n");
    world.env.write("tree.tar", base.plain());
    world.env.rebuild(&["--update"]);
    gate.close("PUT /v2/team/app/manifests/latest ");
    let running = world.env.spawn(&["publish"]);
    assert!(gate.wait());
    running.signal(Signal::KILL);
    running.wait();
    gate.open();
    assert_ne!(world.tag("tree", "1").0, tree);
    let shown = world.document(&["publish", "rollback", "--dry-run"]);
    assert_eq!(shown["generations"], serde_json::json!([2]));
    let run = world.env.mabuild(&["publish", "rollback"]).ok();
    assert!(run.stdout.contains("rolled back generation 2"), "{}", run.stdout);
    assert_eq!((world.digest("1"), world.tag("tree", "1").0), (app.clone(), tree));
    assert_eq!(world.digest("latest"), app);
}

/// A job that begins with an empty store each night must be able to undo and prune what an
/// earlier one has published.
#[test]
fn machines_that_share_a_cache_share_the_journal() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let gate = Gate::start(&registry.host);
    let one = World::new(&gate.host, "");
    one.rebuild(&[]).ok();
    let first = one.digest("1");
    // What the store knows by then is taken over.
    let text = std::fs::read_to_string(one.env.path("mabuild.kdl")).unwrap();
    one.env.write("mabuild.kdl", format!("{text}remote-cache \"{}/cache\"\n", gate.host));
    one.content("amd64", "two\n");
    one.rebuild(&[]).ok();
    let second = one.digest("1");

    let night = one.elsewhere();
    assert_eq!(night.progress(), ["done", "done"]);
    night.content("amd64", "three\n");
    night.env.rebuild(&[]);
    gate.close("PUT /v2/team/app/manifests/latest ");
    let running = night.env.spawn(&["publish"]);
    assert!(gate.wait());
    running.signal(Signal::KILL);
    running.wait();
    gate.open();
    assert_eq!(one.digest("latest"), second);
    assert_eq!(one.progress(), ["done", "done", "open"]);
    one.content("amd64", "three\n");
    one.env.rebuild(&[]);
    let run = one.env.mabuild(&["publish"]).ok();
    assert!(run.stdout.contains("finished generation 3"), "{}", run.stdout);
    let third = one.digest("latest");
    assert_ne!(third, second);

    let other = one.elsewhere();
    let run = other.env.mabuild(&["publish", "rollback", "2"]).ok();
    assert!(run.stdout.contains("rolled back generations 3, 2"), "{}", run.stdout);
    assert_eq!((one.digest("1"), one.digest("latest")), (first.clone(), first.clone()));
    assert_eq!(one.progress(), ["done", "undone", "undone"]);
    one.elsewhere().env.mabuild(&["publish", "prune", "--keep", "1", "--yes"]).ok();
    assert!(one.has("team/app", &first));
    assert!(!one.has("team/app", &second) && !one.has("team/app", &third));

    // Who cannot read the journal touches nothing.
    one.content("arm64", "four\n");
    one.env.rebuild(&[]);
    one.env.write("mabuild.kdl", format!("{text}remote-cache \"127.0.0.1:9/cache\"\n"));
    one.env.mabuild(&["publish"]).fails(3).says(&["the journal of publishes", "cannot be read"]);
    assert_eq!(one.digest("1"), first);
}

#[test]
fn tags_go_back_and_what_nothing_needs_is_pruned() {
    if let Some(registry) = Registry::start(Kind::Plain) {
        go_back_and_prune(&registry);
    }
}

/// Publishes four times, goes back, and prunes.
pub(crate) fn go_back_and_prune(registry: &dyn Served) {
    let world = World::new(registry.host(), "arch-tags");
    let mut digests = Vec::new();
    for text in ["one\n", "two\n", "three\n", "four\n"] {
        world.content("amd64", text);
        world.rebuild(&[]).ok();
        digests.push(world.digest("1"));
    }
    // Somebody else moves one of the tags back to the first.
    let (_, first) = world.tag("team/app", &digests[0]);
    let from = format!("docker://{}/team/app@{}", registry.host(), digests[0]);
    if has("skopeo") {
        let to = format!("docker://{}/team/app:latest", registry.host());
        let flags = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        skopeo(&["copy", "--all", flags[0], flags[1], &from, &to]);
        let run = world.env.mabuild(&["publish", "rollback"]).fails(1);
        run.says(&["team/app:latest was left alone", &digests[0]]);
        assert_eq!(world.digest("latest"), digests[0]);
    } else {
        world.env.mabuild(&["publish", "rollback"]).ok();
    }
    assert_eq!(world.digest("1"), digests[2], "the others went back");
    // What is shown first is deleted only when that is said.
    let shown = world.document(&["publish", "prune", "--keep", "1"]);
    let repository = &shown["repositories"][0];
    assert_eq!(repository["repository"], format!("{}/team/app", registry.host()));
    assert_eq!(
        (&shown["deleted"], repository["digests"].as_array().unwrap().len()),
        (&0.into(), 2)
    );
    assert!(world.has("team/app", &digests[3]));
    world.env.mabuild(&["publish", "prune", "--keep", "1", "--yes"]).ok();
    assert!(!world.has("team/app", &digests[3]), "an undone generation needs nothing");
    for kept in &digests[..3] {
        let (_, index) = world.tag("team/app", kept);
        for member in members(&index) {
            assert!(world.has("team/app", member["digest"].as_str().unwrap()), "{kept}");
        }
    }
    let (_, again) = world.tag("team/app", &digests[0]);
    assert_eq!(again, first);
    // The first generation made the tags, and its undoing deletes them, on a registry that deletes
    // contents alone.
    world.env.mabuild(&["publish", "rollback", "1"]);
    for tag in ["1", "1-amd64", "latest-arm64"] {
        assert!(!world.has("team/app", tag), "{tag}");
    }
    assert!(!world.has("tree", "1"));
}

#[test]
fn logins_are_never_shown() {
    let Some(registry) = Registry::start(Kind::Login) else { return };
    let world = World::new(&registry.host, "");
    let run = world.rebuild(&["-v"]).fails(1).says(&["docker login", &registry.host]);
    let mut said = run.stdout + &run.stderr;
    let home = world.env.root.path().join("home/.docker");
    std::fs::create_dir(&home).unwrap();
    // joe:geheim
    let secret = "am9lOmdlaGVpbQ==";
    let auths = format!(r#"{{"auths":{{"{}":{{"auth":"{secret}"}}}}}}"#, registry.host);
    std::fs::write(home.join("config.json"), auths).unwrap();
    let mut runs = vec![world.rebuild(&["-v"]).ok()];
    world.content("amd64", "two\n");
    runs.push(world.rebuild(&["-v", "--progress", "json"]));
    runs.push(world.rebuild(&["-v"]));
    for args in [
        &["publish", "ls", "-v"][..],
        &["publish", "rollback", "-v"],
        &["publish", "--dry-run", "--format", "json"],
        &["publish", "prune", "--keep", "0", "--yes"],
    ] {
        runs.push(world.env.mabuild(args).ok());
    }
    for run in runs {
        said += &(run.stdout + &run.stderr);
    }
    assert!(!said.contains("geheim") && !said.contains(secret), "{said}");
    let store = world.env.store();
    let kept = |path: &Path| std::fs::read(path).unwrap_or_default();
    for path in walk(&store) {
        let bytes = kept(&path);
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!holds("geheim") && !holds(secret), "{}", path.display());
    }
}

/// Reads a tag all the time, and everything that it names.
struct Poller {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, BTreeSet<String>)>,
}

impl Poller {
    fn start(host: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (until, host) = (stop.clone(), host.to_owned());
        let thread = std::thread::spawn(move || {
            let (mut rounds, mut seen) = (0, BTreeSet::new());
            while !until.load(Ordering::SeqCst) {
                rounds += 1;
                seen.insert(whole(&host));
            }
            (rounds, seen)
        });
        Self { stop, thread }
    }

    /// How often the tag was read, and the digests that it had.
    fn end(self) -> (usize, BTreeSet<String>) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// The digest of an index that has all its architectures and all its contents.
fn whole(host: &str) -> String {
    let read = |reference: &str| {
        let path = format!("/v2/team/app/manifests/{reference}");
        // This registry writes a content that it gets again over itself; who reads it in that
        // moment has to ask once more.
        let mut answers = (0..20).map(|_| get(host, &path));
        let answer = answers.find(|answer| answer.status != 500).unwrap();
        assert_eq!(answer.status, 200, "{reference}");
        (answer.digest.unwrap(), serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    let (digest, index) = read("1");
    let both = BTreeSet::from(["amd64".to_owned(), "arm64".to_owned()]);
    assert_eq!(architectures(&index), both, "an architecture is missing in {index:#}");
    for member in members(&index) {
        let (_, manifest) = read(member["digest"].as_str().unwrap());
        let layers = manifest["layers"].as_array().unwrap();
        for blob in layers.iter().chain([&manifest["config"]]) {
            let path = format!("/v2/team/app/blobs/{}", blob["digest"].as_str().unwrap());
            assert_eq!(get(host, &path).status, 200, "{path}");
        }
    }
    digest
}

#[test]
fn nobody_sees_an_architecture_vanish() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let world = World::new(&registry.host, "late \"carry\" \"7d\"");
    world.rebuild(&[]).ok();
    let poller = Poller::start(&registry.host);
    let mut published = BTreeSet::from([world.digest("1")]);
    for (round, text) in ["two\n", "three\n", "four\n", "five\n"].into_iter().enumerate() {
        world.content("amd64", text);
        match round % 2 {
            0 => world.breaks("arm64"),
            _ => world.content("arm64", text),
        }
        let run = world.rebuild(&["-k"]);
        assert_eq!(run.code == Some(0), round % 2 == 1, "{}", run.stderr);
        let (digest, index) = world.tag("team/app", "1");
        published.insert(digest);
        let late = members(&index)[1]["annotations"].get("dev.mabuild.late.v1").is_some();
        assert_eq!(late, round % 2 == 0, "{index:#}");
        assert_eq!(run.stderr.contains("linux/arm64 (carried since "), late, "{}", run.stderr);
    }
    let (rounds, seen) = poller.end();
    assert!(rounds > 10, "it was read {rounds} times");
    assert!(seen.is_subset(&published), "{seen:?} are not all of {published:?}");
    assert_eq!(published.len(), 5);
    // While nothing else is newer, lateness alone moves no tag.
    world.breaks("arm64");
    let before = writes(&registry).len();
    assert_ne!(world.rebuild(&["-k"]).code, Some(0));
    assert_eq!(writes(&registry).len(), before);
}

#[test]
fn platform_that_is_not_required_does_not_hold_the_others_up() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let world = World::new(&registry.host, "require \"linux/amd64\"");
    world.breaks("arm64");
    assert_ne!(world.rebuild(&["-k"]).code, Some(0));
    let (_, index) = world.tag("team/app", "1");
    assert_eq!(architectures(&index), BTreeSet::from(["amd64".to_owned()]));
    world.content("arm64", "one\n");
    world.rebuild(&[]).ok();
    assert_eq!(architectures(&world.tag("team/app", "1").1).len(), 2);
    // Once it was published it stays.
    world.breaks("arm64");
    world.content("amd64", "two\n");
    assert_ne!(world.rebuild(&["-k"]).code, Some(0));
    assert_eq!(architectures(&world.tag("team/app", "1").1).len(), 2);
    world.breaks("amd64");
    world.content("arm64", "two\n");
    let before = world.digest("1");
    world.rebuild(&["-k"]).says(&["app is not published to", "linux/amd64"]);
    assert_eq!(world.digest("1"), before);
}

#[test]
fn docker_format_is_one_that_docker_reads() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let world = World::new(&registry.host, "format \"docker\"; annotation \"a\" \"b\"");
    world.rebuild(&[]).ok();
    let (_, list) = world.tag("team/app", "1");
    assert_eq!(list["mediaType"], "application/vnd.docker.distribution.manifest.list.v2+json");
    assert!(!list.to_string().contains("annotations"));
    for member in members(&list) {
        let (_, manifest) = world.tag("team/app", member["digest"].as_str().unwrap());
        let text = manifest.to_string();
        assert!(text.contains("vnd.docker") && !text.contains("vnd.oci"), "{text}");
    }
    world.env.mabuild(&["publish"]).ok();
    if has("skopeo") {
        let to = world.env.root.path().join("copied");
        let from = format!("docker://{}/team/app:1", registry.host);
        let to = format!("dir:{}", to.display());
        skopeo(&["copy", "--all", "--src-tls-verify=false", &from, &to]);
    }
    let before = writes(&registry).len();
    world.rebuild(&[]).ok();
    assert_eq!(writes(&registry).len(), before);
    // And back.
    world.describe("annotation \"a\" \"b\"");
    world.rebuild(&[]).ok();
    let (_, index) = world.tag("team/app", "1");
    assert_eq!(index["annotations"]["a"], "b");
}

/// Docker's form of a manifest is made of the manifest, which a machine that has built nothing
/// lacks: what is up to date is kept in a registry alone.
#[test]
fn docker_format_needs_no_store_of_before() {
    let Some(registry) = Registry::start(Kind::Plain) else { return };
    let one = World::new(&registry.host, "");
    one.rebuild(&[]).ok();
    let oci = one.tag("team/app", "1").1;
    let night = one.elsewhere();
    night.describe("format \"docker\"");
    let run = night.rebuild(&[]).ok().says(&["nothing to do", "2 tags moved"]);
    assert!(run.stderr.contains("linux/amd64 linux/arm64"), "{}", run.stderr);
    let docker = night.tag("team/app", "1").1;
    for (one, other) in members(&oci).into_iter().zip(members(&docker)) {
        let content = |member: &Value| {
            let manifest = night.tag("team/app", member["digest"].as_str().unwrap()).1;
            let digests =
                manifest["layers"].as_array().unwrap().iter().map(|l| l["digest"].clone());
            (manifest["config"]["digest"].clone(), digests.collect::<Vec<_>>())
        };
        assert_eq!(one["platform"], other["platform"]);
        assert_ne!(one["digest"], other["digest"]);
        assert_eq!(content(one), content(other));
    }
    // Docker's index has no keys, but a cache has them.
    let text = std::fs::read_to_string(night.env.path("mabuild.kdl")).unwrap();
    let cached = format!("{text}remote-cache \"{}/cache\"\n", registry.host);
    night.env.write("mabuild.kdl", cached);
    night.content("arm64", "two\n");
    night.rebuild(&[]).ok();
    let two = night.tag("team/app", "1").1;
    let third = night.elsewhere();
    third.content("amd64", "two\n");
    third.rebuild(&[]).ok().says(&["1 built"]);
    let three = third.tag("team/app", "1").1;
    assert_ne!(members(&three)[0], members(&two)[0]);
    assert_eq!(members(&three)[1], members(&two)[1]);
}
