//! One context of a run: its folders as they were read, and its files as they were hashed.

use std::collections::HashMap;
use std::fs::{DirEntry, Metadata};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use super::hash::hash;
use crate::facts::{FileFact, FileKind, Ignore};
use crate::store::Stat;

/// A file that hides others from builds.
const IGNORE: &str = ".dockerignore";
/// The largest such file.
const LARGEST_IGNORE: u64 = 1 << 20;
/// Folders in folders.
const DEEPEST: usize = 200;

/// A context.
pub(super) struct Root {
    /// Absolute folder.
    pub name: Arc<str>,
    ignore: Ignore,
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
    /// Something that no image can get from a context, in words.
    Other(&'static str),
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
        Ok(Self {
            name: name.clone(),
            ignore: read_ignore(&path.join(IGNORE))?,
            known,
            fresh: Mutex::default(),
            folders: Mutex::default(),
        })
    }

    /// Whether a path does not exist for builds.
    pub fn ignores(&self, path: &str) -> bool {
        !self.ignore.is_empty() && self.ignore.ignores(path)
    }

    /// Whether nothing below a folder exists for builds.
    pub fn prunes(&self, folder: &str) -> bool {
        !self.ignore.is_empty() && self.ignore.prunes(folder)
    }

    /// The place of a path on disk.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        Path::new(&*self.name).join(path)
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

    /// Everything below a folder that is not ignored, sorted by path.
    pub fn below(&self, folder: &str) -> Result<Vec<FileFact>, String> {
        let mut files = self.gather(folder, 0)?;
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn gather(&self, folder: &str, depth: usize) -> Result<Vec<FileFact>, String> {
        if depth > DEEPEST {
            let disk = self.on_disk(folder);
            return Err(format!("{} is nested too deep to be copied", disk.display()));
        }
        let nodes = self.list(folder)?;
        let one = |node: &Node| -> Result<Vec<FileFact>, String> {
            let path = join(folder, &node.name);
            if !matches!(node.kind, NodeKind::Dir) {
                return Ok(if self.ignores(&path) { vec![] } else { vec![self.fact(path, node)?] });
            }
            if self.prunes(&path) {
                return Ok(vec![]);
            }
            let mut files = self.gather(&path, depth + 1)?;
            // An ignored folder is still made for a file below it that is taken back.
            if !files.is_empty() || !self.ignores(&path) {
                files.push(self.fact(path, node)?);
            }
            Ok(files)
        };
        let lists: Result<Vec<_>, String> = match nodes.len() {
            0..32 => nodes.iter().map(one).collect(),
            _ => nodes.par_iter().with_min_len(32).map(one).collect(),
        };
        Ok(lists?.into_iter().flatten().collect())
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
            NodeKind::Other(what) => {
                let disk = self.on_disk(&path);
                return Err(format!(
                    "{} is {what}, which cannot be copied; name it in {IGNORE}",
                    disk.display()
                ));
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

fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn read_ignore(path: &Path) -> Result<Ignore, String> {
    let failed = |e: &dyn std::fmt::Display| format!("cannot read {}: {e}", path.display());
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > LARGEST_IGNORE => Err(failed(&"it is larger than 1 MiB")),
        Ok(meta) if meta.is_file() => {
            let bytes = std::fs::read(path).map_err(|e| failed(&e))?;
            Ok(Ignore::parse(&String::from_utf8_lossy(&bytes)))
        }
        Ok(_) => Ok(Ignore::default()),
        Err(e) if is_absent(&e) => Ok(Ignore::default()),
        Err(e) => Err(failed(&e)),
    }
}

fn read_folder(folder: &Path) -> Result<Vec<Node>, String> {
    let failed = |e: std::io::Error| format!("cannot read the folder {}: {e}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let entries: Vec<DirEntry> = entries.collect::<std::io::Result<_>>().map_err(failed)?;
    let one = |entry: &DirEntry| {
        let path = entry.path();
        let meta = entry.metadata().map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        match entry.file_name().into_string() {
            Ok(name) => node(name, &path, &meta),
            Err(name) => Ok(Node {
                name: name.to_string_lossy().into_owned(),
                kind: NodeKind::Other("a name that is not UTF-8"),
                mode: 0,
            }),
        }
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
        match target.into_os_string().into_string() {
            Ok(target) => NodeKind::Symlink(target),
            Err(_) => NodeKind::Other("a symbolic link to a name that is not UTF-8"),
        }
    } else if kind.is_fifo() {
        NodeKind::Other("a named pipe")
    } else if kind.is_socket() {
        NodeKind::Other("a socket")
    } else {
        NodeKind::Other("a device")
    };
    Ok(Node { name, kind, mode: meta.permissions().mode() & 0o7777 })
}
