//! One context of a run: its folders as they were read, and its files as they were hashed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{DirEntry, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use super::hash::hash;
use crate::facts::{FileFact, FileKind, name_of, text_of};
use crate::store::Stat;

/// A context.
pub(super) struct Root {
    /// Absolute folder.
    pub name: Arc<str>,
    /// Files as they were when they were last hashed.
    known: HashMap<String, Stat>,
    /// Files that were hashed in this run.
    fresh: Mutex<HashMap<String, Stat>>,
    folders: Mutex<HashMap<String, Cell>>,
}

type Cell = Arc<OnceLock<Result<Arc<Vec<Node>>, String>>>;

/// One name of a folder.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The name.
    pub name: String,
    /// What it names.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// Device and inode of a file that has more names than one.
    pub shared: Option<(u64, u64)>,
}

/// What a name of a folder is.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    /// A directory.
    Dir,
    /// A regular file; the digest is not set.
    File(Stat),
    /// A symbolic link with its target.
    Symlink(String),
    /// A named pipe.
    Fifo,
    /// A socket, which is copied as an empty file.
    Socket,
    /// A device: whether it is one of characters, its major and minor number.
    Device(bool, u32, u32),
}

impl Root {
    /// Opens a context whose files were `known` when they were last hashed.
    pub fn open(name: &Arc<str>, known: HashMap<String, Stat>) -> Result<Self, String> {
        let path = Path::new(&**name);
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(format!("the context {name} is not a directory")),
            Err(e) => return Err(format!("cannot open the context {name}: {e}")),
        }
        Ok(Self { name: name.clone(), known, fresh: Mutex::default(), folders: Mutex::default() })
    }

    /// The place of a path on disk.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        Path::new(&*self.name).join(OsStr::from_bytes(&name_of(path)))
    }

    /// What is at a path; none when there is nothing.
    pub fn node(&self, path: &str) -> Result<Option<Node>, String> {
        let disk = self.on_disk(path);
        match std::fs::symlink_metadata(&disk) {
            Ok(meta) => node(String::new(), &disk, &meta).map(Some),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(format!("cannot read {}: {e}", disk.display())),
        }
    }

    /// What a folder has, sorted by name; read once in a run.
    pub fn list(&self, folder: &str) -> Result<Arc<Vec<Node>>, String> {
        let cell = {
            let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.entry(folder.to_owned()).or_default().clone()
        };
        cell.get_or_init(|| read_folder(&self.on_disk(folder)).map(Arc::new)).clone()
    }

    /// What a build sees of a node.
    pub fn fact(&self, path: String, node: &Node) -> Result<FileFact, String> {
        let kind = match &node.kind {
            NodeKind::Dir => FileKind::Dir,
            NodeKind::Symlink(target) => FileKind::Symlink(target.clone()),
            NodeKind::File(stat) => {
                let stat = self.hashed(&path, stat)?;
                FileKind::File { digest: stat.digest, size: stat.size }
            }
            NodeKind::Socket => FileKind::File { digest: *blake3::hash(&[]).as_bytes(), size: 0 },
            NodeKind::Fifo => FileKind::Fifo,
            NodeKind::Device(character, major, minor) => {
                FileKind::Device { character: *character, major: *major, minor: *minor }
            }
        };
        Ok(FileFact { path, mode: node.mode, kind })
    }

    fn hashed(&self, path: &str, stat: &Stat) -> Result<Stat, String> {
        if let Some(known) = self.known.get(path).filter(|known| known.same_file(stat)) {
            return Ok(*known);
        }
        let fresh = || self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = fresh().get(path) {
            return Ok(*known);
        }
        let stat = hash(&self.on_disk(path))?;
        fresh().insert(path.to_owned(), stat);
        Ok(stat)
    }

    /// The files that were hashed in this run.
    pub fn take_fresh(&self) -> Vec<(String, Stat)> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.iter().map(|(path, stat)| (path.clone(), *stat)).collect()
    }
}

/// A path below a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether an error says that nothing is there.
pub(super) fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn read_folder(folder: &Path) -> Result<Vec<Node>, String> {
    let failed = |e: std::io::Error| format!("cannot read the folder {}: {e}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let entries: Vec<DirEntry> = entries.collect::<std::io::Result<_>>().map_err(failed)?;
    let one = |entry: &DirEntry| {
        let path = entry.path();
        let meta = entry.metadata().map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        node(text_of(entry.file_name().as_bytes()).into_owned(), &path, &meta)
    };
    let nodes: Result<Vec<Node>, String> = match entries.len() {
        0..64 => entries.iter().map(one).collect(),
        _ => entries.par_iter().with_min_len(64).map(one).collect(),
    };
    let mut nodes = nodes?;
    nodes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

fn node(name: String, path: &Path, meta: &Metadata) -> Result<Node, String> {
    let kind = meta.file_type();
    let kind = if kind.is_dir() {
        NodeKind::Dir
    } else if kind.is_file() {
        NodeKind::File(Stat::of(meta))
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path);
        let target = target.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        NodeKind::Symlink(text_of(target.as_os_str().as_bytes()).into_owned())
    } else if kind.is_fifo() {
        NodeKind::Fifo
    } else if kind.is_socket() {
        NodeKind::Socket
    } else {
        let number = meta.rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        NodeKind::Device(kind.is_char_device(), major, minor)
    };
    let shared = (meta.is_file() && meta.nlink() > 1).then(|| (meta.dev(), meta.ino()));
    Ok(Node { name, kind, mode: meta.permissions().mode() & 0o7777, shared })
}
