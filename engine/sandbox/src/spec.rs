//! What to run and how, and what came of it: plain values that cross process borders as JSON.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::emulator::Emulator;

/// A program to run inside a root directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The root directory of the program, as the helper sees it.
    #[serde(with = "path_bytes")]
    pub root: PathBuf,
    /// The program and its arguments; without a slash the program is looked up in `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment of the program, in this order.
    pub env: Vec<(String, String)>,
    /// The working directory inside the root.
    #[serde(with = "path_bytes")]
    pub cwd: PathBuf,
    /// Whether a working directory that does not exist is made, with its parents: they belong to
    /// `uid` and `gid`, have the mode 0755 and stay.
    pub make_cwd: bool,
    /// What the program reads from and writes to.
    pub stdio: Stdio,
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups inside; ignored where the id map has one id only.
    pub groups: Vec<u32>,
    /// Host name inside.
    pub hostname: String,
    /// Which network the program sees.
    pub network: Network,
    /// Content of `/etc/resolv.conf` while the program runs; `None` leaves the root's own.
    pub resolv_conf: Option<Vec<u8>>,
    /// Content of `/etc/hosts` while the program runs; `None` leaves the root's own.
    pub hosts: Option<Vec<u8>>,
    /// Emulator for programs of another architecture.
    pub emulator: Option<Emulator>,
    /// Whether the machine calls itself by the 32-bit name of its processor (`uname -m`), as one
    /// for 386 would on an amd64 host: personality(2), `PER_LINUX32`.
    pub bits32: bool,
    /// Further mounts, made in this order.
    pub mounts: Vec<Mount>,
    /// Whether owners are emulated: for an id map with one id.
    pub owners: OwnerEmulation,
    /// How many processes and threads there may be at a time; [`default_max_processes`] at first.
    /// Before Linux 6.14 it counts for each user, and root of [`IdMap::Full`](crate::IdMap::Full)
    /// has no limit.
    pub max_processes: u32,
    /// Space that the run must leave; `None` lets it fill the disk.
    pub min_free: Option<MinFree>,
}

/// A file system that must not get full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinFree {
    /// A file or directory on it, as the helper sees it.
    #[serde(with = "path_bytes")]
    pub path: PathBuf,
    /// The run is killed when fewer bytes than this are left.
    pub bytes: u64,
}

/// Gives the usual limit on the processes of a run: by the processors of the machine, so that a
/// fork bomb does no harm and a parallel build never notices.
pub fn default_max_processes() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(1024).clamp(4096, 32768)
}

impl RunSpec {
    /// Describes `argv` run as root in `root`: an empty environment, no input, the host's network,
    /// no mounts.
    pub fn new(
        root: impl Into<PathBuf>,
        argv: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            root: root.into(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            make_cwd: false,
            stdio: Stdio::Null,
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            hostname: "localhost".into(),
            network: Network::Host,
            resolv_conf: None,
            hosts: None,
            emulator: None,
            bits32: false,
            mounts: Vec::new(),
            owners: OwnerEmulation::None,
            max_processes: default_max_processes(),
            min_free: None,
        }
    }
}

/// What a program reads from and writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// Nothing to read; what it prints goes to the output of the call.
    Null,
    /// As `Null`, and it reads the standard input of the caller, for
    /// [`call_attached`](crate::call_attached).
    Inherit,
    /// A terminal of its own, which is shown in that of the caller, for
    /// [`call_attached`](crate::call_attached).
    Terminal {
        /// Height in characters.
        rows: u16,
        /// Width in characters.
        columns: u16,
    },
}

impl Stdio {
    /// Chooses for a program that is to be used by a person: a terminal as large as the caller's
    /// when its standard input and output are one, else its plain input and output.
    pub fn of_caller() -> Self {
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        match rustix::termios::tcgetwinsize(stdout) {
            Ok(size) if rustix::termios::isatty(stdin) => {
                Self::Terminal { rows: size.ws_row, columns: size.ws_col }
            }
            _ => Self::Inherit,
        }
    }
}

/// Which network the program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The network of the host.
    Host,
    /// A loopback device and nothing else.
    None,
}

/// One mount inside the root. A target that does not exist is made, and removed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: Source,
    /// Where, as a path inside the root; symlinks in it never leave the root.
    #[serde(with = "path_bytes")]
    pub target: PathBuf,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file or directory as the helper sees it, with what is mounted below it.
    Path(#[serde(with = "path_bytes")] PathBuf),
    /// An empty file system in memory.
    Tmpfs {
        /// Size limit in bytes; `None` is half of the memory.
        size: Option<u64>,
        /// Permission bits of its root directory.
        mode: u32,
    },
    /// A file in memory: its content never reaches a disk.
    Content {
        /// The bytes of the file.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner inside. Where the id map has one id only it is shown by owner emulation.
        uid: u32,
        /// Group inside; see `uid`.
        gid: u32,
    },
    /// Unpacked trees on top of each other.
    Overlay {
        /// The trees, topmost first; layers as [`Context::overlay`](crate::inside::Context::overlay)
        /// takes them.
        #[serde(with = "path_list")]
        lowers: Vec<PathBuf>,
        /// The file or directory in the trees that is shown; symlinks in it never leave them.
        #[serde(with = "path_bytes")]
        subpath: PathBuf,
        /// An empty directory that takes what is written, for the caller to throw away; `None`
        /// refuses writing.
        #[serde(with = "path_option")]
        upper: Option<PathBuf>,
    },
    /// A unix socket: connections to it are passed on to one of the host, such as that of an ssh
    /// agent. It is the helper who connects, so that any user inside may.
    Socket {
        /// The listening stream socket as the helper sees it.
        #[serde(with = "path_bytes")]
        path: PathBuf,
        /// Permission bits; connecting needs the right to write.
        mode: u32,
        /// Owner inside. Where the id map has one id only it is shown by owner emulation.
        uid: u32,
        /// Group inside; see `uid`.
        gid: u32,
    },
}

/// Whether the program's `chown` calls are recorded instead of done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerEmulation {
    /// Owners are real.
    None,
    /// Owners are recorded in [`OWNER_XATTR`](crate::OWNER_XATTR) and shown to programs from there.
    Record {
        /// Owner of a file without a record.
        uid: u32,
        /// Group of a file without a record.
        gid: u32,
    },
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// How the program ended: 127 is "not found", 126 "cannot be executed", as in a shell.
    pub exit: Exit,
    /// Memory of the largest process, in bytes.
    pub max_rss: u64,
    /// Processor time in user mode, of all processes.
    pub user_time: Duration,
    /// Processor time in the kernel, of all processes.
    pub system_time: Duration,
    /// Recorded owners (uid, gid) of entries that cannot carry an attribute (symlinks, fifos,
    /// sockets), by path relative to the root. Empty without owner emulation.
    #[serde(with = "owner_pairs")]
    pub side_owners: BTreeMap<Vec<u8>, (u32, u32)>,
}

/// Paths as bytes: a path need not be UTF-8, and JSON must.
pub(crate) mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(Vec::<u8>::deserialize(deserializer)?).into())
    }
}

/// As [`path_bytes`], for a list.
mod path_list {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| path.as_os_str().as_bytes()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<PathBuf>, D::Error> {
        let paths = Vec::<Vec<u8>>::deserialize(de)?;
        Ok(paths.into_iter().map(|path| OsString::from_vec(path).into()).collect())
    }
}

/// As [`path_bytes`], for what may be missing.
mod path_option {
    use std::path::PathBuf;

    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        super::path_list::serialize(path.as_slice(), to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Option<PathBuf>, D::Error> {
        super::path_list::deserialize(de).map(|paths| paths.into_iter().next())
    }
}

/// A map with byte keys as a list of pairs: the keys of a JSON object must be text.
mod owner_pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    type Owners = BTreeMap<Vec<u8>, (u32, u32)>;

    pub fn serialize<S: Serializer>(map: &Owners, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owners, D::Error> {
        Ok(Vec::<(Vec<u8>, (u32, u32))>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_spec_survives_the_wire_with_bytes_that_are_not_text() {
        let mut spec = RunSpec::new(OsString::from_vec(b"/r\xff".to_vec()), ["sh"]);
        spec.argv.push(OsString::from_vec(b"\xfe".to_vec()));
        spec.mounts.push(Mount {
            source: Source::Path(OsString::from_vec(b"/s\xfd".to_vec()).into()),
            target: "/t".into(),
            read_only: true,
        });
        spec.mounts.push(Mount {
            source: Source::Overlay {
                lowers: vec![OsString::from_vec(b"/l\xfc".to_vec()).into(), "/m".into()],
                subpath: PathBuf::new(),
                upper: Some(OsString::from_vec(b"/u\xfb".to_vec()).into()),
            },
            target: "/o".into(),
            read_only: false,
        });
        let json = serde_json::to_vec(&spec).unwrap();
        assert_eq!(serde_json::from_slice::<RunSpec>(&json).unwrap(), spec);
    }

    #[test]
    fn a_result_survives_the_wire() {
        let result = RunResult {
            exit: Exit::Signal(9),
            max_rss: 5,
            user_time: Duration::from_millis(3),
            system_time: Duration::ZERO,
            side_owners: BTreeMap::from([(b"a\xff".to_vec(), (1, 2))]),
        };
        let json = serde_json::to_vec(&result).unwrap();
        assert_eq!(serde_json::from_slice::<RunResult>(&json).unwrap(), result);
    }
}
