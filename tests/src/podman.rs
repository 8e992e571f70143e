//! Podman with a storage of its own, which nothing else on this machine sees.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::env::{am_root, has, skip};

/// A Podman that can run programs where others cannot: without network and without a control
/// group of its own, and with limits that nobody has to raise.
const SETTINGS: &str = r#"[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "TMP"
[containers]
cgroups = "disabled"
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"#;

/// A Podman whose images lie in a folder.
pub struct Podman {
    folder: PathBuf,
}

impl Podman {
    /// Makes one; none where it is not installed or only another user could run it, which is said.
    /// Where it has its own user ids from is its own affair.
    pub fn new(folder: &Path) -> Option<Self> {
        if !has("podman") {
            return None;
        }
        if !am_root() {
            skip("only root is sure to have user ids for podman");
            return None;
        }
        std::fs::create_dir(folder).expect("own folder");
        let path = |name: &str| folder.join(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
            path("graph"),
            path("run")
        );
        std::fs::write(folder.join("storage.conf"), storage).expect("own folder");
        let settings = SETTINGS.replace("TMP", &path("tmp"));
        std::fs::write(folder.join("containers.conf"), settings).expect("own folder");
        Some(Self { folder: folder.to_owned() })
    }

    /// The variables that make `podman` this one.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let path = |name: &str| self.folder.join(name).display().to_string();
        [
            ("CONTAINERS_STORAGE_CONF", path("storage.conf")),
            ("CONTAINERS_CONF", path("containers.conf")),
        ]
    }

    /// Runs it with arguments, and gives what it wrote to its standard output.
    pub fn ask(&self, words: &[&str]) -> String {
        self.ask_by(Command::new("podman").args(words))
    }

    /// Runs a command that starts it, as [`Self::ask`] does.
    pub fn ask_by(&self, command: &mut Command) -> String {
        let out = command.envs(self.variables()).output().expect("it is installed");
        let talk = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{command:?}: {talk}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }
}
