//! What is kept between runs: an OCI image layout with everything that was built, and beside it
//! in `mabuild/` a small database (key to result, records, file digests, runs),
//! downloads, layer indexes, unpacked trees, logs and locks.
//!
//! Blocking. One [`Store`] serves many threads, and many processes may open one folder at once:
//! blobs appear by rename, rows by transaction, equal work is kept apart by [`Store::lock`], and
//! [`Store::gc`] runs only while nobody holds [`Store::use_guard`]. No room of the graph or of
//! the language is known here, and no clock is read: `now` is an argument, in Unix seconds.

mod database;
mod downloads;
mod elsewhere;
mod error;
mod files;
mod gc;
mod generations;
mod history;
mod image_files;
mod known;
mod locks;
mod memo;
mod project;
mod reach;
mod records;
mod temp;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mabuild_oci::Layout;
use mabuild_oci::layer::LayerIndex;
use rusqlite::Connection;

pub use error::StoreError;
pub use files::Stat;
pub use gc::{GcReport, GcRequest, Usage};
pub use history::{BuildRow, RunCounts, RunEnd, RunRow};
pub use locks::Guard;
pub use memo::{ResultKind, ResultRow, StepRow};
pub use records::{At, KeptRow, StateRow};
pub use verify::Problem;

/// The result of every call that can fail.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Folders below `mabuild/`.
const FOLDERS: [&str; 7] = ["downloads", "indexes", "trees", "emulators", "logs", "locks", "tmp"];

/// A store in a folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    layout: Layout,
    database: Mutex<Connection>,
    temp: temp::Temp,
}

impl Store {
    /// Opens a store and makes what it lacks. Fails when the folder cannot be written, or when a
    /// newer program has changed the form of the database.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).map_err(StoreError::io("find", dir))?;
        let own = dir.join("mabuild");
        for folder in FOLDERS {
            let path = own.join(folder);
            std::fs::create_dir_all(&path).map_err(StoreError::io("make", &path))?;
        }
        // Whoever opens a new store at the same time waits until it is whole.
        let _guard = locks::acquire(&own.join("locks/open"), locks::Mode::Kept)?;
        let layout = Layout::create(&dir)?;
        let database = database::open(&own.join("state.db"))?;
        let temp = temp::Temp::open(&own.join("tmp"))?;
        Ok(Self { dir, layout, database: Mutex::new(database), temp })
    }

    /// The image layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The folder of the store, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until nobody else, in this process or another, holds the lock of that name.
    pub fn lock(&self, name: &str) -> Result<Guard> {
        locks::acquire(&self.lock_path(name), locks::Mode::Exclusive)
    }

    /// As [`Store::lock`], but gives none at once when somebody else holds it.
    pub fn try_lock(&self, name: &str) -> Result<Option<Guard>> {
        locks::try_acquire(&self.lock_path(name))
    }

    /// Keeps [`Store::gc`] away for as long as it is held. Every run holds one.
    pub fn use_guard(&self) -> Result<Guard> {
        locks::acquire(&self.own("locks/use"), locks::Mode::Shared)
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.own("locks").join(format!("on-{}", file_name(name)))
    }

    /// What a layer holds, by its diff id, when it is known.
    pub fn index(&self, diff_id: &str) -> Option<LayerIndex> {
        let bytes = std::fs::read(self.index_path(diff_id)).ok()?;
        LayerIndex::from_bytes(&bytes).ok()
    }

    /// Remembers what a layer holds.
    pub fn put_index(&self, diff_id: &str, index: &LayerIndex) -> Result<()> {
        self.write(&self.index_path(diff_id), &index.to_bytes())
    }

    fn index_path(&self, diff_id: &str) -> PathBuf {
        self.own("indexes").join(file_name(diff_id))
    }

    /// Where the unpacked tree of a chain of layers is or belongs; `id_mode` says whose ids its
    /// files have. It is whole when it has a file `done`.
    pub fn tree_path(&self, id_mode: &str, chain_id: &str) -> PathBuf {
        self.own("trees").join(file_name(id_mode)).join(file_name(chain_id))
    }

    /// The folder of a cache mount, as an id map sees it.
    pub fn cache_path(&self, id_mode: &str, name: &str) -> PathBuf {
        self.own("caches").join(file_name(id_mode)).join(name)
    }

    /// Where the log of a node in a run belongs. The folder may have to be made.
    pub fn log_path(&self, run: i64, node: &str) -> PathBuf {
        self.own("logs").join(run.to_string()).join(format!("{}.log", file_name(node)))
    }

    /// The folder of emulators that were taken out of a package, by the sha256 of the package.
    pub fn emulator_path(&self, package: &str) -> PathBuf {
        self.own("emulators").join(file_name(package))
    }

    fn own(&self, path: &str) -> PathBuf {
        self.dir.join("mabuild").join(path)
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        // A panic of another thread leaves no transaction open: they roll back when dropped.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database_error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.own("state.db"), source }
    }

    /// Writes a file so that a kill leaves the old content or the new.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        use std::io::Write;
        let mut file = self.temp_named()?;
        file.write_all(bytes).map_err(StoreError::io("write", path))?;
        self.place(file, path)
    }

    /// Moves a finished temporary file to its place, synced.
    fn place(&self, file: tempfile::NamedTempFile, path: &Path) -> Result<()> {
        file.as_file().sync_all().map_err(StoreError::io("write", path))?;
        let parent = path.parent().unwrap_or(&self.dir);
        std::fs::create_dir_all(parent).map_err(StoreError::io("make", parent))?;
        file.persist(path).map_err(|e| StoreError::io("write", path)(e.error))?;
        let synced = std::fs::File::open(parent).and_then(|dir| dir.sync_all());
        synced.map_err(StoreError::io("sync", parent))
    }
}

/// A name of any text that is one plain file name. Different texts give different names: what had
/// to be changed or cut carries the digest of the whole.
fn file_name(text: &str) -> String {
    let digest_like = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("sha512:"));
    if let Some(hex) = digest_like
        && matches!(hex.len(), 64 | 128)
        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return text.replacen(':', "-", 1);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    let clean: String = text.chars().take(100).map(|c| if plain(c) { c } else { '_' }).collect();
    if clean == text && !text.starts_with('.') && !text.is_empty() {
        return clean;
    }
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let clean = clean.trim_start_matches('.');
    format!("{clean}~{}", digest.as_str().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests;
