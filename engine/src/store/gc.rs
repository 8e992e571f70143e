//! Garbage collection and sizes.
//!
//! Images that a root or `index.json` names are kept with all they need: manifests, configs,
//! layers, layer indexes and trees. Everything else that was built goes, the young only when no
//! age is asked for. Downloads, emulators, logs and the folders of cache mounts are reached by no
//! image: they go by the time of their last use. Of the history old runs go, with what was hashed for them alone.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mabuild_oci::Digest;
use rusqlite::TransactionBehavior;

use super::{Result, Store, StoreError, file_name, locks, temp};

const DAY: i64 = 86_400;
/// Days that downloads, emulators, logs and cache mounts are kept for when no age is asked for.
const CACHE_DAYS: i64 = 30;

/// Where the layout has blobs that are not finished.
const INGEST: &str = ".ingest";

/// What garbage collection is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct GcRequest {
    /// Days that something must not have been used for; none takes builds of any age, and
    /// downloads, logs and cache mounts of 30 days.
    pub older_than_days: Option<u32>,
    /// Whether downloads, emulators, logs and cache mounts go whatever their age, unless one is
    /// given.
    pub all: bool,
    /// Whether to count only.
    pub dry_run: bool,
    /// Unix seconds.
    pub now: i64,
}

/// What garbage collection removed, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What one kind of content takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// `blobs`, `trees`, `downloads`, …
    pub kind: &'static str,
    /// Files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Removes a tree whose files may belong to mapped ids.
type Remover<'a> = &'a dyn Fn(&Path) -> Result<(), String>;

impl Store {
    /// Removes what no image needs. Refuses while a run uses the store. `remover` removes trees.
    pub fn gc(&self, request: &GcRequest, remover: Remover<'_>) -> Result<GcReport> {
        let Some(_alone) = locks::try_keep(&self.own("locks/use"))? else {
            return Err(StoreError::InUse { path: self.dir().to_owned() });
        };
        let given = request.older_than_days.map(i64::from);
        let built = request.now - given.unwrap_or(0) * DAY;
        let cache_days = if request.all { 0 } else { CACHE_DAYS };
        let cached = request.now - given.unwrap_or(cache_days) * DAY;
        let mut sweep = Sweep {
            dry: request.dry_run,
            remover,
            seen: HashSet::new(),
            report: GcReport::default(),
        };
        let reach = self.reach(self.root_digests()?);

        for (path, digest) in self.blobs()? {
            if !digest.is_some_and(|d| reach.blobs.contains(&d)) {
                sweep.file(&path, built)?;
            }
        }
        let keep: HashSet<String> =
            reach.diff_ids.iter().map(|d| file_name(&d.to_string())).collect();
        for path in children(&self.own("indexes"))? {
            if !name_in(&path, &keep) {
                sweep.file(&path, built)?;
            }
        }
        let keep: HashSet<String> =
            reach.chains.iter().map(|d| file_name(&d.to_string())).collect();
        for tree in grandchildren(&self.own("trees"))? {
            // Nobody builds now, so a tree that is not whole never will be.
            match std::fs::metadata(tree.join("done")) {
                Ok(done) if name_in(&tree, &keep) || last_use(&done) > built => {}
                _ => sweep.tree(&tree)?,
            }
        }
        for folder in ["downloads", "emulators", "logs"] {
            for path in grandchildren(&self.own(folder))? {
                sweep.aged(&path, cached)?;
            }
        }
        for path in grandchildren(&self.own("caches"))? {
            // What is in a cache may belong to ids that may not be looked at; its mark is ours, and
            // is written anew with each use.
            match std::fs::metadata(path.join("done")) {
                Ok(done) if done.mtime() > cached => {}
                _ => sweep.tree(&path)?,
            }
        }
        for path in temp::dead(&self.own("tmp"))? {
            sweep.tree(&path)?;
        }
        for folder in [self.own("damaged"), self.dir().join(INGEST)] {
            for path in children(&folder)? {
                sweep.file(&path, i64::MAX)?;
            }
        }
        self.sweep_locks(request.dry_run)?;
        if !request.dry_run {
            self.forget_gone()?;
            self.forget_gone_folders()?;
            self.forget_runs(request.now)?;
        }
        Ok(sweep.report)
    }

    /// What each kind of content takes.
    pub fn du(&self) -> Result<Vec<Usage>> {
        let mut out = Vec::new();
        let mut seen = HashSet::new();
        let mut add = |kind: &'static str, paths: &[PathBuf]| {
            let mut total = GcReport::default();
            for path in paths {
                measure(path, &mut seen, &mut total);
            }
            out.push(Usage { kind, files: total.files, bytes: total.bytes });
        };
        add("blobs", &[self.dir().join("blobs")]);
        for kind in ["trees", "downloads", "caches", "emulators", "indexes", "logs"] {
            add(kind, &[self.own(kind)]);
        }
        add("temporary", &[self.own("tmp"), self.own("damaged"), self.dir().join(INGEST)]);
        add("state", &["state.db", "state.db-wal", "state.db-shm"].map(|name| self.own(name)));
        Ok(out)
    }

    /// Every file of `blobs`, with its digest when its name is one.
    pub(super) fn blobs(&self) -> Result<Vec<(PathBuf, Option<Digest>)>> {
        let mut out = Vec::new();
        for path in grandchildren(&self.dir().join("blobs"))? {
            let part = |p: Option<&std::ffi::OsStr>| p.map(|n| n.to_string_lossy().into_owned());
            let algorithm = part(path.parent().and_then(Path::file_name)).unwrap_or_default();
            let hex = part(path.file_name()).unwrap_or_default();
            let digest = Digest::parse(&format!("{algorithm}:{hex}")).ok();
            out.push((path, digest));
        }
        Ok(out)
    }

    /// Forgets results and steps whose blobs are gone.
    pub(super) fn forget_gone(&self) -> Result<()> {
        let there: HashSet<String> =
            self.blobs()?.into_iter().filter_map(|(_, d)| d.map(|d| d.to_string())).collect();
        let forget = || -> rusqlite::Result<()> {
            let mut database = self.database();
            let change = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for table in ["results", "steps"] {
                let sql = format!("SELECT key, digest FROM {table} WHERE digest IS NOT NULL");
                let mut query = change.prepare(&sql)?;
                let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let rows: Vec<(Vec<u8>, String)> = rows.collect::<rusqlite::Result<_>>()?;
                for (key, _) in rows.iter().filter(|(_, digest)| !there.contains(digest)) {
                    change.execute(&format!("DELETE FROM {table} WHERE key = ?1"), [key])?;
                }
            }
            change.commit()
        };
        forget().map_err(|e| self.database_error(e))
    }

    fn sweep_locks(&self, dry: bool) -> Result<()> {
        for path in children(&self.own("locks"))? {
            let ours = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("on-"));
            if ours && !dry {
                // A lock that was free takes its file with it when it is dropped.
                drop(locks::try_acquire(&path)?);
            }
        }
        Ok(())
    }
}

struct Sweep<'a> {
    dry: bool,
    remover: Remover<'a>,
    seen: HashSet<(u64, u64)>,
    report: GcReport,
}

impl Sweep<'_> {
    /// Removes a file that was last used at `limit` or before.
    fn file(&mut self, path: &Path, limit: i64) -> Result<()> {
        let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
        if last_use(&meta) > limit {
            return Ok(());
        }
        if meta.is_dir() {
            return self.tree(path);
        }
        measure(path, &mut self.seen, &mut self.report);
        if self.dry {
            return Ok(());
        }
        std::fs::remove_file(path).map_err(StoreError::io("remove", path))
    }

    /// Removes a file or a folder whose files were all last used at `limit` or before.
    fn aged(&mut self, path: &Path, limit: i64) -> Result<()> {
        match newest_use(path) {
            Some(used) if used > limit => Ok(()),
            _ => self.file(path, i64::MAX),
        }
    }

    fn tree(&mut self, path: &Path) -> Result<()> {
        measure(path, &mut self.seen, &mut self.report);
        if self.dry {
            return Ok(());
        }
        if std::fs::remove_dir_all(path).is_ok() || !path.exists() {
            return Ok(());
        }
        (self.remover)(path)
            .map_err(|message| StoreError::Remove { path: path.to_owned(), message })
    }
}

/// When a file was last read or written, as far as the file system notes it.
fn last_use(meta: &Metadata) -> i64 {
    meta.mtime().max(meta.atime())
}

fn newest_use(path: &Path) -> Option<i64> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    if !meta.is_dir() {
        return Some(last_use(&meta));
    }
    // Reading a folder is no use of it: only what is in it counts.
    let inner = children(path).ok()?.into_iter().filter_map(|p| newest_use(&p)).max();
    Some(inner.unwrap_or_else(|| meta.mtime()))
}

fn name_in(path: &Path, names: &HashSet<String>) -> bool {
    path.file_name().is_some_and(|name| names.contains(&*name.to_string_lossy()))
}

/// What is in a folder; nothing when there is none.
pub(super) fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::io("read", folder)(e)),
    };
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|e| e.map(|e| e.path())).collect();
    paths.map_err(StoreError::io("read", folder))
}

/// What is in the folders of a folder.
pub(super) fn grandchildren(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for child in children(folder)? {
        if child.is_dir() {
            out.extend(children(&child)?);
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// Counts files and their bytes, each inode once. What may not be read counts as nothing.
fn measure(path: &Path, seen: &mut HashSet<(u64, u64)>, total: &mut GcReport) {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return };
    if meta.is_dir() {
        for child in children(path).unwrap_or_default() {
            measure(&child, seen, total);
        }
    } else if meta.nlink() == 1 || seen.insert((meta.dev(), meta.ino())) {
        total.files += 1;
        total.bytes += meta.len();
    }
}
