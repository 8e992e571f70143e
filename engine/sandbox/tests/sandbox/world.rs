//! What the tests have in common: a small root, an overlay over it, and a handler that runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mabuild_sandbox::inside::{Context, Error};
use mabuild_sandbox::{
    Call, CallError, CancelHandle, Exit, IdMap, Mount, OwnerEmulation, RunResult, RunSpec, Source,
    call, remove_tree,
};
use serde::{Deserialize, Serialize};

/// A test passes, fails by a panic, or says why it cannot run here.
pub type Outcome = Result<(), String>;

/// What the helper is asked to do.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub specs: Vec<RunSpec>,
    pub lowers: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub target: PathBuf,
    /// A directory that gets a file system in memory of 64 MiB.
    pub disk: Option<PathBuf>,
}

/// The handler of this program.
pub fn handle(op: &str, request: &[u8], context: &mut Context) -> Result<Vec<u8>, String> {
    match op {
        "run" => {
            let request: Request = serde_json::from_slice(request).unwrap();
            if let Some(disk) = &request.disk {
                context.memory(disk, 64 << 20)?;
            }
            context.overlay(&request.lowers, &request.upper, &request.work, &request.target)?;
            let mut results = Vec::new();
            for spec in &request.specs {
                results.push(context.run(spec).map_err(|error| match error {
                    Error::DiskFull(why) => format!("disk full: {why}"),
                    other => other.to_string(),
                })?);
            }
            context.unmount(&request.target)?;
            Ok(serde_json::to_vec(&results).unwrap())
        }
        "echo" => Ok(request.to_vec()),
        "fail" => Err("as it should".into()),
        "print" => {
            println!("on stdout");
            eprintln!("on stderr");
            Ok(Vec::new())
        }
        "sleep" => {
            std::thread::sleep(Duration::from_secs(60));
            Ok(Vec::new())
        }
        "signals" => {
            use rustix::process::{Signal, getpgrp, getpid, kill_process};
            for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
                kill_process(getpid(), signal).unwrap();
            }
            Ok(getpgrp().as_raw_pid().to_string().into_bytes())
        }
        "capability" => {
            let mut value = [0; 64];
            let path = String::from_utf8(request.to_vec()).unwrap();
            let count = rustix::fs::getxattr(path, "security.capability", &mut value).unwrap();
            Ok(value[..count].to_vec())
        }
        "die" => std::process::abort(),
        "write" => {
            let dir = PathBuf::from(String::from_utf8(request.to_vec()).unwrap());
            fs::create_dir(dir.join("theirs")).map_err(|error| error.to_string())?;
            fs::write(dir.join("theirs/file"), "x").map_err(|error| error.to_string())?;
            let id = if context.has_single_id() { 0 } else { 1000 };
            std::os::unix::fs::chown(dir.join("theirs"), Some(id), Some(id))
                .map_err(|error| error.to_string())?;
            Ok(Vec::new())
        }
        "remove" => {
            let path = PathBuf::from(String::from_utf8(request.to_vec()).unwrap());
            remove_tree(&path)?;
            Ok(Vec::new())
        }
        other => Err(format!("unknown operation {other}")),
    }
}

/// One id map and a root to try it on.
pub struct World {
    pub kind: &'static str,
    pub id_map: IdMap,
    /// The lower layer: a static busybox and a few files.
    lower: Option<PathBuf>,
    base: PathBuf,
}

/// What a program printed, how it ended, and what it changed.
pub struct Ran {
    pub output: String,
    pub results: Vec<RunResult>,
    pub upper: PathBuf,
}

impl Ran {
    pub fn exit(&self) -> Exit {
        self.results.last().unwrap().exit
    }

    pub fn side_owners(&self) -> &BTreeMap<Vec<u8>, (u32, u32)> {
        &self.results.last().unwrap().side_owners
    }

    /// Lists what is in the upper directory, as sorted relative paths.
    pub fn changed(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![self.upper.clone()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                let relative = path.strip_prefix(&self.upper).unwrap();
                found.push(relative.to_str().unwrap().to_string());
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    left.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// Reads an attribute of a changed file.
    pub fn attribute(&self, path: &str, name: &str) -> Option<String> {
        let mut value = [0; 64];
        let length = rustix::fs::lgetxattr(self.upper.join(path), name, &mut value).ok()?;
        Some(String::from_utf8(value[..length].to_vec()).unwrap())
    }
}

impl World {
    pub fn new(kind: &'static str, id_map: IdMap) -> Self {
        let base = tempfile::Builder::new().prefix("mabuild-sandbox-").tempdir().unwrap().keep();
        fs::set_permissions(&base, PermissionsExt::from_mode(0o755)).unwrap();
        let lower = base.join("lower");
        let world = Self { kind, id_map, lower: make_root(&lower).then_some(lower), base };
        world.give_away(&world.base);
        world
    }

    /// In the ranges map, root inside is not root outside: what it shall change must be its own.
    pub fn give_away(&self, path: &Path) {
        let IdMap::Ranges { uid, gid } = &self.id_map else { return };
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                self.give_away(&path);
            }
            std::os::unix::fs::lchown(&path, Some(uid[0].outside), Some(gid[0].outside)).unwrap();
        }
        std::os::unix::fs::chown(path, Some(uid[0].outside), Some(gid[0].outside)).unwrap();
    }

    pub fn is_single(&self) -> bool {
        self.id_map == IdMap::Single
    }

    /// A new directory that the helper may write to.
    pub fn dir(&self) -> PathBuf {
        let dir = tempfile::tempdir_in(&self.base).unwrap().keep();
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        self.give_away(&dir);
        dir
    }

    pub fn lower(&self) -> Result<PathBuf, String> {
        self.lower.clone().ok_or_else(|| "no static busybox here (package busybox-static)".into())
    }

    pub fn call(&self, op: &str, request: &[u8]) -> Result<Vec<u8>, CallError> {
        call(Call {
            op,
            request,
            id_map: self.id_map.clone(),
            output: None,
            cancel: CancelHandle::new(),
            deadline: Some(Duration::from_secs(60)),
        })
    }

    /// Prepares a request: an overlay over the small root, where `specs` run.
    pub fn request(&self, mut specs: Vec<RunSpec>) -> Result<Request, String> {
        let dir = self.dir();
        let [upper, work, target] = ["upper", "work", "target"].map(|name| dir.join(name));
        for path in [&upper, &work, &target] {
            fs::create_dir(path).unwrap();
        }
        self.give_away(&dir);
        specs.iter_mut().for_each(|spec| spec.root = target.clone());
        Ok(Request { specs, lowers: vec![self.lower()?], upper, work, target, disk: None })
    }

    /// The specification of a shell script, with owners recorded where there is one id only.
    pub fn script(&self, script: &str) -> RunSpec {
        let mut spec = RunSpec::new("/", ["/bin/sh", "-c", script]);
        spec.env = vec![("PATH".into(), "/bin".into())];
        if self.is_single() {
            spec.owners = OwnerEmulation::Record { uid: 0, gid: 0 };
        }
        spec
    }

    /// The specification of this program as a probe (see `probe.rs`), with the host's libraries. It
    /// is `/bin/probe`.
    pub fn probe(&self, args: &[&str]) -> RunSpec {
        let program = std::env::current_exe().unwrap();
        let mut spec = RunSpec::new("/", ["/bin/probe", crate::probe::PROBE]);
        spec.argv.extend(args.iter().map(Into::into));
        spec.owners = self.script("").owners;
        let libraries = ["/lib", "/lib64", "/usr/lib"].into_iter().map(PathBuf::from);
        let libraries = libraries.filter(|path| path.is_dir()).map(|path| (path.clone(), path));
        let mounts = libraries.chain([(program, "/bin/probe".into())]);
        spec.mounts = mounts
            .map(|(from, target)| Mount { source: Source::Path(from), target, read_only: true })
            .collect();
        spec
    }

    /// Runs a shell script in the small root.
    pub fn sh(&self, script: &str) -> Result<Ran, String> {
        self.run(vec![self.script(script)])
    }

    /// Runs programs in the small root, one after the other.
    pub fn run(&self, specs: Vec<RunSpec>) -> Result<Ran, String> {
        Ok(self.run_request(&self.request(specs)?))
    }

    pub fn run_request(&self, request: &Request) -> Ran {
        let (results, output) = self.try_request(request);
        match results {
            Ok(results) => Ran { output, results, upper: request.upper.clone() },
            Err(error) => panic!("{error}\n{output}"),
        }
    }

    pub fn try_request(&self, request: &Request) -> (Result<Vec<RunResult>, CallError>, String) {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&printed);
        let result = call(Call {
            op: "run",
            request: &serde_json::to_vec(&request).unwrap(),
            id_map: self.id_map.clone(),
            output: Some(Box::new(move |bytes| copy.lock().unwrap().extend_from_slice(bytes))),
            cancel: CancelHandle::new(),
            deadline: Some(Duration::from_secs(60)),
        });
        let output = String::from_utf8_lossy(&printed.lock().unwrap()).into_owned();
        (result.map(|json| serde_json::from_slice(&json).unwrap()), output)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Also proves that what mapped ids own can be removed.
        let path = self.base.join("x");
        let _ = fs::create_dir(&path);
        self.call("remove", self.base.join("lower").to_str().unwrap().as_bytes()).ok();
        remove_tree(&self.base).unwrap();
    }
}

const TOOLS: [&str; 40] = [
    "sh", "cat", "chmod", "chown", "cp", "dd", "echo", "env", "false", "head", "hostname", "id",
    "ip", "kill", "ln", "ls", "mkdir", "mkfifo", "mknod", "mount", "mv", "nc", "ps", "readlink",
    "rm", "rmdir", "setsid", "sleep", "stat", "stty", "su", "tar", "test", "touch", "true", "tty",
    "ulimit", "uname", "unshare", "wc",
];

/// Makes a root from the host's static busybox; false when there is none.
fn make_root(root: &Path) -> bool {
    let Some(busybox) =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| is_static(path))
    else {
        return false;
    };
    for dir in ["bin", "etc", "tmp", "data"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    fs::set_permissions(root.join("bin/busybox"), PermissionsExt::from_mode(0o755)).unwrap();
    for tool in TOOLS {
        symlink("busybox", root.join("bin").join(tool)).unwrap();
    }
    fs::write(root.join("data/old"), "old\n").unwrap();
    symlink("old", root.join("data/link")).unwrap();
    let users = "root:x:0:0::/:/bin/sh\n_apt:x:42:43::/:/bin/sh\n";
    fs::write(root.join("etc/passwd"), users).unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\n_apt:x:43:\nmore:x:44:_apt\n").unwrap();
    true
}

/// Whether a program exists and asks for no ELF interpreter.
fn is_static(path: &str) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    (0..count).all(|index| bytes[64 + index * 56] != 3)
}
