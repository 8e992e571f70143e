//! The corpus `tests/dockerfiles`: a folder a case, with a Dockerfile, its context, and what BuildKit
//! makes of it. These files of a folder are no part of its context:
//!
//! - `expected.txt`: the image as [`Flat::show`] shows it beside the base, or why it fails;
//! - `setup.sh`: run in a copy of the context, for files that a repository cannot hold;
//! - `case.txt`: lines `name: value`, those with `#` are comments. `arg` is an argument of the
//!   build, in which `{context}` is the context and `{bases}` the folder of the layouts; `fails` a part of the reason why BuildKit fails;
//!   `instead` a line of `expected.txt`, ` => `, and what mabuild gives in its place, nothing for no
//!   line; a comment says why; `root` why only
//!   root can build it; `ids` why a user with one id cannot; `unjudged` why the BuildKit of the tests cannot say what is right.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::Tar;
use crate::env::{host, source_tree, walk};
use crate::fixture;
use crate::flat::{Flat, difference};
use crate::layout::layout;

/// Files of a case that are no part of its context.
const OWN: [&str; 3] = ["case.txt", "expected.txt", "setup.sh"];

/// One case.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    folder: PathBuf,
    args: Vec<String>,
    fails: Option<String>,
    instead: Vec<(String, String)>,
    /// Why only root can build it.
    pub root: Option<String>,
    /// Why a user with one id cannot build it.
    pub ids: Option<String>,
    /// Why the BuildKit of the tests cannot say what is right.
    pub unjudged: Option<String>,
}

/// All cases, by name.
pub fn cases() -> Vec<Case> {
    let folder = source_tree().join("tests/dockerfiles");
    let entries = std::fs::read_dir(&folder).expect("the corpus").flatten();
    let mut all: Vec<Case> = entries.map(|entry| Case::read(entry.path())).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let mut case = Self { name, ..Self::default() };
        let text = std::fs::read_to_string(folder.join("case.txt")).unwrap_or_default();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let value = value.to_owned();
            match name {
                "arg" => case.args.push(value),
                "fails" => case.fails = Some(value),
                "instead" => {
                    let (theirs, ours) = value.split_once(" => ").expect("two lines");
                    case.instead.push((theirs.to_owned(), ours.to_owned()));
                }
                "root" => case.root = Some(value),
                "ids" => case.ids = Some(value),
                "unjudged" => case.unjudged = Some(value),
                _ => panic!("{}/case.txt: what is {line:?}?", folder.display()),
            }
        }
        case.folder = folder;
        case
    }

    /// Makes the context in a new folder.
    pub fn prepare(&self, to: &Path) {
        std::fs::create_dir_all(to).expect("own folder");
        open(to, 0o755);
        for file in walk(&self.folder) {
            let name = file.strip_prefix(&self.folder).expect("below it");
            if OWN.iter().any(|own| Path::new(own) == name) {
                continue;
            }
            let target = to.join(name);
            let parent = target.parent().expect("below the folder");
            std::fs::create_dir_all(parent).expect("own folder");
            // A repository keeps one bit of the mode; the rest is the umask of who checked it out.
            for folder in parent.ancestors().take_while(|folder| *folder != to) {
                open(folder, 0o755);
            }
            let mode = std::fs::metadata(&file).expect("the source tree").permissions().mode();
            std::fs::copy(&file, &target).expect("the source tree");
            open(&target, if mode & 0o100 == 0 { 0o644 } else { 0o755 });
        }
        let script = self.folder.join("setup.sh");
        if script.is_file() {
            let mut command = Command::new("/bin/sh");
            command.args(["-euc", "umask 022; . \"$0\""]).arg(script).current_dir(to);
            assert!(command.status().expect("a shell").success(), "setup.sh of {}", self.name);
        }
    }

    /// The arguments of the build but for the context, for one that [`Self::prepare`] made.
    pub fn args(&self, context: &Path, bases: &Bases) -> Vec<String> {
        let context = context.to_str().expect("plain names");
        let mut all = bases.args();
        let folder = bases.folder.to_str().expect("plain names");
        let place = |arg: &String| arg.replace("{context}", context).replace("{bases}", folder);
        all.extend(self.args.iter().map(place));
        all
    }

    /// What BuildKit gave when the case was written.
    pub fn expected(&self) -> String {
        let path = self.folder.join("expected.txt");
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Keeps what BuildKit gives now.
    pub fn bless(&self, text: &str) {
        std::fs::write(self.folder.join("expected.txt"), text).expect("the source tree");
    }

    /// What a build by BuildKit gave, as it is kept: the image, or why there is none.
    pub fn outcome(
        &self,
        built: Result<(), String>,
        archive: &Path,
        bases: &Bases,
    ) -> Result<String, String> {
        match (built, &self.fails) {
            (Ok(()), None) => bases.show(archive),
            (Ok(()), Some(_)) => Err("was built, and should fail".to_owned()),
            (Err(talk), Some(why)) if talk.contains(why) => Ok(format!("fails: {why}\n")),
            (Err(talk), _) => Err(format!("fails:\n{talk}")),
        }
    }

    /// Whether the case must fail.
    pub fn must_fail(&self) -> bool {
        self.fails.is_some()
    }

    /// What differs from [`Self::expected`] in what BuildKit gives now.
    pub fn drift(&self, now: &str) -> Option<String> {
        difference(&self.expected(), now)
    }

    /// What differs from [`Self::expected`] in what mabuild gives, but for what is meant to.
    pub fn difference(&self, ours: &str) -> Option<String> {
        let mut expected = String::new();
        for line in self.expected().lines() {
            let other = self.instead.iter().find(|(theirs, _)| theirs == line);
            let line = other.map_or(line, |(_, ours)| ours);
            if !line.is_empty() {
                expected.push_str(line);
                expected.push('\n');
            }
        }
        difference(&expected, ours)
    }

    /// Lines that mabuild gives otherwise, but that are not in [`Self::expected`].
    pub fn stale_lines(&self) -> Vec<&str> {
        let expected = self.expected();
        let theirs = self.instead.iter().map(|(theirs, _)| theirs.as_str());
        theirs.filter(|line| !expected.lines().any(|known| known == *line)).collect()
    }
}

/// The images that the Dockerfiles of the corpus stand on, as OCI layouts.
pub struct Bases {
    folder: PathBuf,
    flat: Vec<(&'static str, Flat)>,
}

/// Words of busybox that the base has.
const APPLETS: &str = "sh ash cat chgrp chmod chown cp cut dd echo env expr false find grep head \
    hostname id install ln ls mkdir mkfifo mknod mktemp mv nproc od printf ps pwd readlink rm \
    rmdir sed seq sha256sum sleep sort stat tail tar tee test touch tr true truncate uname uniq wc \
    xargs";

impl Bases {
    /// Makes the layouts in a folder; the error says what this machine lacks.
    pub fn make(folder: &Path) -> Result<Self, String> {
        let tree = base()?.gzip(6);
        let path = json!({"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["sh"]});
        layout(&folder.join("base"), &[host()], &[("base files", tree.clone())], &path);
        let onbuild = json!({
            "Env": ["PATH=/bin"],
            "WorkingDir": "/srv",
            "OnBuild": ["ARG WHO=nobody", "COPY . /src", "RUN ls /src > /listed && echo $WHO > who", "LABEL trigger=yes"],
        });
        layout(&folder.join("onbuild"), &[host()], &[("base files", tree.clone())], &onbuild);
        layout(
            &folder.join("fancy"),
            &[host()],
            &[("base files", tree), ("fancy files", fancy())],
            &fancy_config(),
        );
        let flat = |name| Ok((name, Flat::of_layout(&folder.join(name))?));
        let flat = ["base", "fancy"].into_iter().map(flat).collect::<Result<_, String>>()?;
        Ok(Self { folder: folder.to_owned(), flat })
    }

    /// An archive of an image as a text, beside the base that it stands on.
    pub fn show(&self, archive: &Path) -> Result<String, String> {
        Ok(Flat::of_archive(archive)?.show(&self.flat))
    }

    /// The arguments that name them.
    pub fn args(&self) -> Vec<String> {
        let names = ["base", "onbuild", "fancy"];
        let folder = self.folder.display();
        let arg = |name| {
            ["--build-context".to_owned(), format!("{name}=oci-layout://{folder}/{name}:latest")]
        };
        names.into_iter().flat_map(arg).collect()
    }
}

/// The files of the base: busybox, and a few users and groups. The error says what this machine
/// lacks.
pub fn base() -> Result<Tar, String> {
    let program = fixture::installed().ok_or("this machine has no static busybox")?;
    let mut tree = Tar::default().dir("bin/", 0o755).file("bin/busybox", 0o755, program);
    for name in APPLETS.split_whitespace() {
        tree = tree.symlink(&format!("bin/{name}"), "busybox");
    }
    for (name, mode) in
        [("dev", 0o755), ("proc", 0o555), ("root", 0o700), ("sys", 0o555), ("tmp", 0o1777)]
    {
        tree = tree.dir(&format!("{name}/"), mode);
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n\
        app:x:1000:1001:An app:/home/app:/bin/sh\nhomeless:x:1002:1001::/nowhere:/bin/sh\n";
    let group = "root:x:0:\ndaemon:x:1:\nstaff:x:50:app\nusers:x:100:daemon,app\napp:x:1001:\n";
    Ok(tree
        .dir("etc/", 0o755)
        .file("etc/passwd", 0o644, passwd)
        .file("etc/group", 0o644, group)
        .dir("home/", 0o755)
        .entry("home/app/", b'5', 0o755, (1000, 1001), "", &[]))
}

/// A second layer: links of both kinds, a capability, an owner, a setuid bit, something taken away.
fn fancy() -> Vec<u8> {
    // cap_net_raw+ep: revision 2 with the effective bit, then the permitted set.
    let capability = [&[1, 0, 0, 2, 0, 0x20][..], &[0; 14]].concat();
    let record = [b" SCHILY.xattr.security.capability=", &capability[..], b"\n"].concat();
    let record = [format!("{}", record.len() + 2).as_bytes(), &record].concat();
    Tar::default()
        .dir("opt/", 0o755)
        .entry("PaxHeaders/net", b'x', 0o644, (0, 0), "", &record)
        .file("opt/net", 0o755, "net\n")
        .owned("opt/owned", 0o640, (1000, 1001), "owned\n")
        .file("opt/setuid", 0o4755, "setuid\n")
        .file("opt/one", 0o644, "one\n")
        .hardlink("opt/two", "opt/one")
        .symlink("opt/link", "one")
        .symlink("data", "opt/real")
        .dir("opt/real/", 0o755)
        .file("opt/real/file", 0o644, "real\n")
        .dir("home/", 0o755)
        .file("home/.wh.app", 0o644, "")
        .gzip(6)
}

fn fancy_config() -> Value {
    json!({
        "User": "app:users",
        "WorkingDir": "/opt",
        "Env": ["PATH=/usr/bin:/bin", "COLOR=red", "EMPTY=", "SPACED=a b"],
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo fancy"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/var/data": {}},
        "Labels": {"a": "1", "b": "2"},
        "StopSignal": "SIGQUIT",
        "Shell": ["/bin/sh", "-ec"],
        "Healthcheck": {"Test": ["CMD", "/bin/true"], "Interval": 30_000_000_000_u64, "Retries": 3},
    })
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own file");
}
