//! The helper's side: packages laid into a root directory of its own, their scripts run there in
//! the sandbox, and what came of it packed.

use std::path::PathBuf;
use std::time::Instant;

use mabuild_oci::layer::{
    ApplyOptions, DiffOptions, Entry, EntryKind, Limits, OwnerTable, apply, diff_trees, merge,
};
use mabuild_sandbox::inside::Context;
use mabuild_sandbox::{Mount, OwnerEmulation, RunSpec, Source, remove_tree};
use serde::{Deserialize, Serialize};

use super::scene::{Scene, set};
use super::script::Call;
use super::{DebFile, System, read};
use crate::exec::native::debian::clean::clean;
use crate::exec::native::inner::{
    ExitReply, PackedReply, failed, make_dir, owner_mode, pack_changes,
};

/// Where a script is shown.
const SCRIPT: &str = "/run/mabuild-script";

/// Sets a system up.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::exec::native) struct InstallRequest {
    /// A folder of the store for this alone.
    pub job: PathBuf,
    /// In the order in which they are installed.
    pub packages: Vec<DebFile>,
    pub system: System,
    /// How scripts run; the root and the words are set here.
    pub run: RunSpec,
    /// The date that is given from outside.
    pub date: Option<i64>,
    pub threads: usize,
}

/// What came of it. The layer and its index are the files `layer` and `index` of the job.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::exec::native) struct InstallReply {
    /// Which script failed and how.
    pub failed: Option<String>,
    pub packed: Option<PackedReply>,
    pub date: i64,
    pub unpack_seconds: f64,
    pub run_seconds: f64,
    pub pack_seconds: f64,
}

/// A root directory on the disk.
struct Folder<'a> {
    context: &'a mut Context,
    run: RunSpec,
    /// The files.
    tree: PathBuf,
    /// Where they are shown as a root.
    root: PathBuf,
    /// Not on the disk yet.
    pending: Vec<Vec<Entry>>,
    /// Directories and links that are: later files may lie behind them.
    skeleton: Vec<Entry>,
    owners: OwnerTable,
    run_seconds: f64,
    failed: Option<String>,
}

/// The handler.
pub(in crate::exec::native) fn install(
    request: InstallRequest,
    context: &mut Context,
) -> Result<InstallReply, String> {
    let InstallRequest { job, packages, system, run, date, threads } = request;
    let begun = Instant::now();
    let [empty, tree, root] = ["empty", "tree", "root"].map(|name| job.join(name));
    for dir in [&empty, &tree, &root] {
        make_dir(dir)?;
    }
    let packages = read::read(&packages, &job)?;
    let date = date.unwrap_or_else(|| read::newest(&packages));
    let mut scene = Folder::new(context, run, tree, root);
    let done = set(packages, &system, date, &mut scene).and_then(|()| scene.flush());
    let Folder { tree, root, owners: table, run_seconds, failed: stopped, .. } = scene;
    if stopped.is_none() {
        done?;
    }
    let unpack_seconds = begun.elapsed().as_secs_f64() - run_seconds;
    let begun = Instant::now();
    let mut packed = None;
    if stopped.is_none() {
        let options = DiffOptions { owners: owner_mode(context), table, new_owner: (0, 0) };
        let entries = diff_trees(&empty, &tree, &options).map_err(failed("read", &tree))?;
        packed = pack_changes(&job, clean(entries, date)?, date, threads)?;
    }
    for dir in [&empty, &tree, &root] {
        remove_tree(dir).map_err(failed("remove", dir))?;
    }
    let pack_seconds = begun.elapsed().as_secs_f64();
    Ok(InstallReply { failed: stopped, packed, date, unpack_seconds, run_seconds, pack_seconds })
}

impl<'a> Folder<'a> {
    fn new(context: &'a mut Context, mut run: RunSpec, tree: PathBuf, root: PathBuf) -> Self {
        if context.has_single_id() {
            run.owners = OwnerEmulation::Record { uid: 0, gid: 0 };
        }
        run.root.clone_from(&root);
        Self {
            context,
            run,
            tree,
            root,
            pending: Vec::new(),
            skeleton: Vec::new(),
            owners: OwnerTable::new(),
            run_seconds: 0.0,
            failed: None,
        }
    }

    /// Writes what is pending.
    fn flush(&mut self) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut lists = vec![self.skeleton.clone()];
        lists.append(&mut self.pending);
        let merged = merge(lists)
            .map_err(|e| format!("the packages cannot be unpacked over each other: {e}"))?;
        let known = |entry: &Entry| {
            let at = self.skeleton.binary_search_by(|other| other.path.cmp(&entry.path));
            at.ok().and_then(|at| self.skeleton.get(at)).is_some_and(|old| same(old, entry))
        };
        let new: Vec<Entry> = merged.iter().filter(|entry| !known(entry)).cloned().collect();
        let options = ApplyOptions { owners: owner_mode(self.context), limits: Limits::default() };
        let stats = apply(&new, &self.tree, &options)
            .map_err(failed("unpack the packages in", &self.tree))?;
        self.owners.extend(stats.owners);
        // A list that is merged is sorted by path.
        self.skeleton = merged;
        self.skeleton
            .retain(|entry| matches!(entry.kind, EntryKind::Dir | EntryKind::Symlink { .. }));
        Ok(())
    }
}

/// Whether two entries of one path are the same directory or link.
fn same(a: &Entry, b: &Entry) -> bool {
    let kinds = match (&a.kind, &b.kind) {
        (EntryKind::Dir, EntryKind::Dir) => true,
        (EntryKind::Symlink { target }, EntryKind::Symlink { target: other }) => target == other,
        _ => false,
    };
    let rest = |e: &Entry| (e.mode, e.uid, e.gid, e.mtime);
    kinds && rest(a) == rest(b) && a.xattrs == b.xattrs
}

impl Scene for Folder<'_> {
    fn put(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        self.pending.push(entries);
        Ok(())
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        self.flush()?;
        let path = self.tree.join(path);
        // A link could lead out of the system.
        match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => {
                std::fs::read(&path).map(Some).map_err(failed("read", &path))
            }
            _ => Ok(None),
        }
    }

    fn run(&mut self, call: &Call<'_>) -> Result<(), String> {
        self.flush()?;
        rustix::mount::mount_bind(&self.tree, &self.root).map_err(failed("show", &self.tree))?;
        let begun = Instant::now();
        let mut run = self.run.clone();
        run.argv = call.argv(SCRIPT);
        let source = Source::Content { bytes: call.text.to_vec(), mode: 0o755, uid: 0, gid: 0 };
        run.mounts.push(Mount { source, target: SCRIPT.into(), read_only: true });
        let result = self.context.run(&run);
        self.context.unmount(&self.root)?;
        let result = result?;
        self.run_seconds += begun.elapsed().as_secs_f64();
        self.owners.extend(result.side_owners);
        match ExitReply::from(result.exit).failure() {
            None => Ok(()),
            Some(how) => {
                let message = format!("{call} {how}");
                self.failed = Some(message.clone());
                Err(message)
            }
        }
    }
}
