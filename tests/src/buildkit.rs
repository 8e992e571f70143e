//! The builders that mabuild is judged by: BuildKit in a Docker daemon of its own, driven by
//! buildx, and buildah. Both come out of the folder that `tests/judge` makes, need root, reach no
//! network, and end with the process of the tests.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;

use crate::env::{am_root, source_tree};

/// What the daemon says when it listens.
const READY: &str = "API listen on";
/// Type of an overlay in statfs(2); no overlay lies on another.
const OVERLAYFS: i64 = 0x794c_7630;

/// A running BuildKit.
pub struct Judge {
    folder: PathBuf,
    work: PathBuf,
    /// The daemon ends when this does.
    _life: ChildStdin,
}

/// The one daemon of this process, started when it is first asked for; the error says why there
/// is none.
pub fn judge() -> Result<&'static Judge, &'static str> {
    static JUDGE: OnceLock<Result<Judge, String>> = OnceLock::new();
    JUDGE.get_or_init(Judge::start).as_ref().map_err(String::as_str)
}

impl Judge {
    fn start() -> Result<Self, String> {
        let given = std::env::var_os("MABUILD_JUDGE").map(PathBuf::from);
        let folder = given.unwrap_or_else(|| source_tree().join("target/judge"));
        if !folder.join("root/made").is_file() {
            return Err(format!("{} has no BuildKit: run tests/judge", folder.display()));
        }
        if !am_root() {
            return Err("only root can run BuildKit".to_owned());
        }
        let work = tempfile::Builder::new().prefix("mabuild-judge-").tempdir();
        let work = work.map_err(|e| e.to_string())?.keep();
        let life = daemon(&folder, &work)?;
        let judge = Self { folder, work, _life: life };
        judge.can_run()?;
        Ok(judge)
    }

    /// Runs `docker buildx` with arguments, where the daemon and the caller see the same files, and
    /// gives what it wrote to its standard output. The error is all that it said.
    pub fn buildx<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, String> {
        self.client("usr/libexec/docker/cli-plugins/docker-buildx", args)
    }

    /// Runs `docker` with arguments, as [`Self::buildx`] does.
    pub fn docker<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, String> {
        self.client("usr/bin/docker", args)
    }

    /// The address of the daemon, for `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.work.join("socket").display())
    }

    /// The text of a shell script that is `docker`, for programs that start that themselves. Which
    /// daemon it talks to is said by its caller.
    pub fn docker_script(&self) -> Result<String, String> {
        let [loader, libraries, program] =
            self.program("usr/bin/docker")?.map(|path| format!("'{}'", path.display()));
        Ok(format!("#!/bin/sh\nexec {loader} --library-path {libraries} {program} \"$@\"\n"))
    }

    fn client<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Result<String, String> {
        let [loader, libraries, program] = self.program(program)?;
        let mut command = Command::new(loader);
        command.arg("--library-path").arg(libraries).arg(program).args(args);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.work);
        command.env("DOCKER_HOST", self.address());
        command.env("DOCKER_CONFIG", self.work.join("config")).env("TMPDIR", &self.work);
        let out = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
        said(&out).map(|()| text(&out.stdout))
    }

    /// What starts a program of the judge on this machine: loader, libraries, program. Programs of
    /// Debian's next release do not run with the libraries of this machine.
    fn program(&self, path: &str) -> Result<[PathBuf; 3], String> {
        let root = self.folder.join("root");
        let libraries = std::fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
        let mut libraries = libraries.map(|l| l.path()).filter(|l| l.join("libc.so.6").is_file());
        let libraries = libraries.next().ok_or("the judge has no C library")?;
        let names = std::fs::read_dir(&libraries).into_iter().flatten().flatten();
        let mut names = names.filter(|n| n.file_name().to_string_lossy().starts_with("ld-linux"));
        let loader = names.next().ok_or("the judge has no loader of programs")?.path();
        Ok([loader, libraries, root.join(path)])
    }

    /// Builds a context with BuildKit's own frontend into an archive that holds an OCI layout.
    /// The error is what the builder says.
    pub fn build(&self, context: &Path, args: &[String], archive: &Path) -> Result<(), String> {
        let fixed = ["build", "--builder", "default", "--progress", "plain", "--network", "none"];
        let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
        all.extend(["--provenance=false".to_owned(), "--output".to_owned()]);
        all.push(format!("type=oci,dest={}", archive.display()));
        all.extend(args.iter().cloned());
        all.push(context.display().to_string());
        self.buildx(&all).map(drop)
    }

    /// Runs a script in which `$buildah` is the program with its storage, for several builds in one
    /// go. Of this machine's files it sees those below [`Self::work`].
    pub fn buildah(&self, script: &str) -> Result<(), String> {
        let state = self.work.join("buildah");
        let driver = if overlay_works(&self.work) { "overlay" } else { "vfs" };
        let begin = format!(
            "set -eu; buildah='buildah --root {0}/root --runroot {0}/run --storage-driver {driver}'\n",
            state.display()
        );
        let mut command = enter(&self.folder, &self.work);
        command.args(["/usr/bin/busybox", "sh", "-c", &(begin + script)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        // The script may live as long as its input is open, which waiting would close.
        let life = child.stdin.take();
        let out = child.wait_with_output().map_err(|e| e.to_string())?;
        drop(life);
        said(&out)
    }

    /// A folder that both builders see; it goes with the daemon.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Tries a step, for what a daemon that runs may still lack: control groups, namespaces.
    fn can_run(&self) -> Result<(), String> {
        let context = self.work.join("probe");
        let text = "FROM scratch\nCOPY busybox /\nRUN [\"/busybox\", \"true\"]\n";
        let program = self.folder.join("root/usr/bin/busybox");
        let set_up = || {
            std::fs::create_dir(&context)?;
            std::fs::write(context.join("Dockerfile"), text)?;
            std::fs::copy(program, context.join("busybox"))
        };
        set_up().map_err(|e| e.to_string())?;
        self.build(&context, &[], &self.work.join("probe.tar"))
            .map_err(|e| format!("BuildKit cannot run a step here: {}", last_line(&e)))
    }
}

/// Starts the daemon and gives back its standard input once it listens.
fn daemon(folder: &Path, work: &Path) -> Result<ChildStdin, String> {
    let settings = work.join("daemon.json");
    std::fs::write(&settings, r#"{"features": {"containerd-snapshotter": true}}"#)
        .map_err(|e| e.to_string())?;
    // The shell outlives this process, to remove what the daemon leaves.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#""$@"; rm -rf -- "$0""#]).arg(work);
    let inner = enter(folder, work);
    command.arg(inner.get_program()).args(inner.get_args()).process_group(0);
    let path = |name: &str| work.join(name).display().to_string();
    command.args(["dockerd", "--config-file", &path("daemon.json")]);
    command.args(["--data-root", &path("data"), "--exec-root", &path("exec")]);
    command.args(["--pidfile", &path("pid"), "--host", &format!("unix://{}", path("socket"))]);
    command.args(["--storage-driver", if overlay_works(work) { "overlayfs" } else { "native" }]);
    command.args(["--iptables=false", "--ip6tables=false", "--ip-masq=false"]);
    command.args(["--ip-forward=false", "--bridge=none"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let (life, talk) = (child.stdin.take(), child.stderr.take());
    let (Some(life), Some(talk)) = (life, talk) else { return Err("no pipes".to_owned()) };
    let mut lines = BufReader::new(talk).lines().map_while(Result::ok);
    let mut last = String::new();
    for line in lines.by_ref() {
        if line.contains(READY) {
            // Nobody reads on after a failed test, and a full pipe would stop the daemon.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(life);
        }
        last = line;
    }
    Err(format!("the Docker daemon does not start: {last}"))
}

fn enter(folder: &Path, work: &Path) -> Command {
    let mut command = Command::new(source_tree().join("tests/judge"));
    command.arg("in").arg(folder).arg(work);
    command
}

fn overlay_works(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|s| s.f_type != OVERLAYFS)
}

/// Nothing when a program succeeded, else all that it said.
fn said(out: &Output) -> Result<(), String> {
    if out.status.success() {
        return Ok(());
    }
    Err(text(&out.stdout) + &text(&out.stderr))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last line of what a program said: its reason, for those that end with it.
fn last_line(talk: &str) -> &str {
    talk.trim_end().lines().last().unwrap_or_default()
}
