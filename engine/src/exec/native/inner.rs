//! What runs in the sandbox's helper process, as root of its namespaces: unpacking a layer onto
//! an overlay, running a step and packing what it changed, removing trees.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mabuild_oci::layer::{
    ApplyOptions, Compression, DiffOptions, Entry, Limits, OwnerMode, OwnerTable, PackOptions,
    apply, apply_tar, diff_trees, diff_upper, pack,
};
use mabuild_sandbox::inside::Context;
use mabuild_sandbox::{Exit, Mount, OwnerEmulation, RunSpec, Source, remove_tree};
use serde::{Deserialize, Serialize};

use super::{alpine, debian};

/// A layer to unpack.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UnpackLayer {
    pub blob: PathBuf,
    pub diff_id: String,
}

/// Unpacks one layer over the trees below it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UnpackRequest {
    pub layer: UnpackLayer,
    /// `fs` folders, topmost first.
    pub below: Vec<PathBuf>,
    /// Where the tree comes to be: `fs`, `owners` and, when it is whole, `done`.
    pub tree: PathBuf,
    /// Whether there is no overlayfs: the tree is a copy of the one below with the layer on it.
    pub copy: bool,
}

/// Removes a tree.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RemoveRequest {
    pub path: PathBuf,
}

/// Runs a step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunRequest {
    /// A folder of the store for this step alone.
    pub job: PathBuf,
    /// Trees, topmost first.
    pub trees: Vec<PathBuf>,
    /// What to run; its root and its mounts are set here.
    pub run: RunSpec,
    pub mounts: Vec<MountRequest>,
    /// Owner of new files where owners are recorded.
    pub owner: (u32, u32),
    pub clamp_mtime: i64,
    pub threads: usize,
    /// Whether there is no overlayfs: the step runs on a copy of the topmost tree.
    pub copy: bool,
    /// Whether what it changes becomes a layer; else that is lost.
    pub keep: bool,
    /// Whether it installs packages: what that leaves behind goes.
    pub installs: bool,
}

/// A mount of a step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MountRequest {
    pub target: PathBuf,
    pub read_only: bool,
    pub source: MountSource,
}

/// What a mount shows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum MountSource {
    /// A path in unpacked trees, topmost first. What is written is lost with the folder `work`.
    Trees {
        trees: Vec<PathBuf>,
        path: PathBuf,
        work: PathBuf,
    },
    Folder(PathBuf),
    Plain(Source),
    /// The socket of an agent.
    Agent {
        socket: PathBuf,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

/// Makes the folder of a cache mount.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CacheRequest {
    /// Where `fs` and, when it is whole, `done` come to be.
    pub path: PathBuf,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Trees and a path in them whose files it begins with.
    pub seed: Option<(Vec<PathBuf>, PathBuf)>,
    /// Whether there is no overlayfs.
    pub copy: bool,
}

/// What came of a step. The layer and its index are the files `layer` and `index` of the job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunReply {
    pub exit: ExitReply,
    pub packed: Option<PackedReply>,
    pub run_seconds: f64,
    pub pack_seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ExitReply {
    Code(i32),
    Signal(i32),
}

impl From<Exit> for ExitReply {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl ExitReply {
    /// How a program failed; none when it did not.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Code(0) => None,
            Self::Code(code) => Some(format!("ended with exit code {code}")),
            Self::Signal(signal) => Some(format!("was killed by signal {signal}")),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedReply {
    pub diff_id: String,
    pub digest: String,
    pub size: u64,
    pub media_type: String,
}

/// The handler of the helper.
pub(super) fn handle(op: &str, request: &[u8], context: &mut Context) -> Result<Vec<u8>, String> {
    fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("bad request to the helper: {e}"))
    }
    let reply = match op {
        "unpack" => unpack(&read(request)?, context).map(|()| serde_json::Value::Null)?,
        "run" => serde_json::to_value(run(read(request)?, context)?).map_err(|e| e.to_string())?,
        "cache" => cache(&read(request)?, context).map(|()| serde_json::Value::Null)?,
        "alpine" => {
            let reply = alpine::install(read(request)?, context)?;
            serde_json::to_value(reply).map_err(|e| e.to_string())?
        }
        "bootstrap" => {
            let reply = debian::bootstrap(read(request)?, context)?;
            serde_json::to_value(reply).map_err(|e| e.to_string())?
        }
        "remove" => {
            let RemoveRequest { path } = read(request)?;
            remove_tree(&path).map_err(|e| e.to_string())?;
            serde_json::Value::Null
        }
        other => return Err(format!("the helper knows no operation `{other}`")),
    };
    serde_json::to_vec(&reply).map_err(|e| e.to_string())
}

pub(super) fn failed<E: std::fmt::Display>(what: &str, path: &Path) -> impl Fn(E) -> String {
    let what = format!("cannot {what} {}", path.display());
    move |e| format!("{what}: {e}")
}

/// Makes a folder that may become a root directory, whatever the umask is.
pub(super) fn make_dir(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)))
        .map_err(failed("make", path))
}

pub(super) fn owner_mode(context: &Context) -> OwnerMode {
    if context.has_single_id() { OwnerMode::Recorded } else { OwnerMode::Real }
}

fn unpack(request: &UnpackRequest, context: &mut Context) -> Result<(), String> {
    let UnpackRequest { layer, below, tree, copy } = request;
    let (fs, work, merged) = (tree.join("fs"), tree.join("work"), tree.join("merged"));
    for dir in [&fs, &work, &merged] {
        make_dir(dir)?;
    }
    let mut owners = OwnerTable::new();
    let onto = if *copy {
        if let Some(below) = below.first() {
            owners = copy_tree(below, &fs, &work, context)?;
        }
        &fs
    } else {
        context.overlay(below, &fs, &work, &merged)?;
        &merged
    };
    let what = format!("unpack the layer {}", layer.diff_id);
    let blob = File::open(&layer.blob).map_err(failed("open", &layer.blob))?;
    let limits = Limits { whiteouts: true, ..Limits::default() };
    let options = ApplyOptions { owners: owner_mode(context), limits };
    let spool = tempfile::tempfile_in(tree).map_err(failed("write in", tree))?;
    let stats = apply_tar(blob, spool, onto, &options).map_err(failed(&what, tree))?;
    if !copy {
        context.unmount(&merged)?;
    }
    owners.extend(stats.owners);
    write_owners(&tree.join("owners"), &owners)?;
    for dir in [&work, &merged] {
        remove_tree(dir).map_err(failed("remove", dir))?;
    }
    File::create(tree.join("done")).map_err(failed("finish", tree))?;
    Ok(())
}

/// Copies the `fs` of a tree with everything that a layer can say of it; gives the owners that
/// the copy cannot carry itself. `empty` is an empty folder.
fn copy_tree(
    from: &Path,
    to: &Path,
    empty: &Path,
    context: &Context,
) -> Result<OwnerTable, String> {
    let owners = owner_mode(context);
    let table = match owners {
        OwnerMode::Recorded => read_owners(&from.with_file_name("owners"))?,
        OwnerMode::Real => OwnerTable::new(),
    };
    let options = DiffOptions { owners, table, ..DiffOptions::default() };
    let entries = diff_trees(empty, from, &options).map_err(failed("read", from))?;
    let options = ApplyOptions { owners, limits: Limits::default() };
    apply(&entries, to, &options).map(|stats| stats.owners).map_err(failed("copy to", to))
}

/// Owners of what cannot carry an attribute, by path: JSON pairs, as paths need not be text.
fn write_owners(path: &Path, owners: &OwnerTable) -> Result<(), String> {
    let pairs: Vec<(&Vec<u8>, &(u32, u32))> = owners.iter().collect();
    let text = serde_json::to_vec(&pairs).map_err(failed("write", path))?;
    std::fs::write(path, text).map_err(failed("write", path))
}

fn read_owners(path: &Path) -> Result<OwnerTable, String> {
    let text = std::fs::read(path).map_err(failed("read", path))?;
    let pairs: Vec<(Vec<u8>, (u32, u32))> =
        serde_json::from_slice(&text).map_err(failed("read", path))?;
    Ok(pairs.into_iter().collect())
}

fn run(request: RunRequest, context: &mut Context) -> Result<RunReply, String> {
    let RunRequest {
        job,
        trees,
        mut run,
        mounts,
        owner,
        clamp_mtime,
        threads,
        copy,
        keep,
        installs,
    } = request;
    let (upper, work, merged) = (job.join("upper"), job.join("work"), job.join("merged"));
    for dir in [&upper, &work, &merged] {
        make_dir(dir)?;
    }
    let lowers: Vec<PathBuf> = trees.iter().map(|t| t.join("fs")).collect();
    match lowers.first().filter(|_| copy) {
        Some(below) => drop(copy_tree(below, &merged, &work, context)?),
        None if copy => {}
        None => context.overlay(&lowers, &upper, &work, &merged)?,
    }
    run.root.clone_from(&merged);
    if context.has_single_id() {
        // Files of the layers below have a record where they do not belong to root.
        run.owners = OwnerEmulation::Record { uid: 0, gid: 0 };
    }
    let works = show(mounts, copy, &mut run, context)?;
    let begun = Instant::now();
    let result = context.run(&run)?;
    let run_seconds = begun.elapsed().as_secs_f64();
    for work in works {
        remove_tree(&work).map_err(failed("remove", &work))?;
    }
    if !copy {
        context.unmount(&merged)?;
    }
    let begun = Instant::now();
    let packed = match result.exit {
        Exit::Code(0) if keep => {
            let mut owners: OwnerTable = BTreeMap::new();
            if context.has_single_id() {
                for tree in trees.iter().rev() {
                    owners.extend(read_owners(&tree.join("owners"))?);
                }
            }
            owners.extend(result.side_owners);
            let options =
                DiffOptions { owners: owner_mode(context), table: owners, new_owner: owner };
            let entries = if copy {
                // Without a layer below there is an empty folder to compare with.
                diff_trees(lowers.first().unwrap_or(&upper), &merged, &options)
            } else {
                diff_upper(&upper, &lowers, &options)
            };
            let mut entries = entries.map_err(failed("read the changes in", &job))?;
            if installs {
                entries = debian::clean::clean(entries, clamp_mtime)?;
            }
            pack_changes(&job, entries, clamp_mtime, threads)?
        }
        _ => None,
    };
    for dir in [&upper, &work, &merged] {
        remove_tree(dir).map_err(failed("remove", dir))?;
    }
    let exit = result.exit.into();
    Ok(RunReply { exit, packed, run_seconds, pack_seconds: begun.elapsed().as_secs_f64() })
}

/// Puts the mounts of a step into its description; gives the folders that are to be removed.
fn show(
    mounts: Vec<MountRequest>,
    copy: bool,
    run: &mut RunSpec,
    context: &mut Context,
) -> Result<Vec<PathBuf>, String> {
    let mut works = Vec::new();
    for MountRequest { target, read_only, source } in mounts {
        let source = match source {
            MountSource::Folder(path) => Source::Path(path),
            MountSource::Plain(source) => source,
            MountSource::Agent { socket, mode, uid, gid } => {
                Source::Socket { path: socket, mode, uid, gid }
            }
            MountSource::Trees { trees, path, work } if copy => {
                let merged = merge(&trees, &work, copy, context)?;
                works.push(work);
                Source::Path(merged.join(path))
            }
            MountSource::Trees { trees, path, work } => {
                let lowers = trees.iter().map(|tree| tree.join("fs")).collect();
                let upper = match read_only {
                    true => None,
                    false => {
                        make_dir(&work)?;
                        works.push(work.clone());
                        Some(work)
                    }
                };
                Source::Overlay { lowers, subpath: path, upper }
            }
        };
        run.mounts.push(Mount { source, target, read_only });
    }
    Ok(works)
}

/// Shows trees, topmost first, as one that may be written to; all of it is below `work`.
fn merge(
    trees: &[PathBuf],
    work: &Path,
    copy: bool,
    context: &mut Context,
) -> Result<PathBuf, String> {
    let (upper, inner, merged) = (work.join("upper"), work.join("work"), work.join("merged"));
    for dir in [&upper, &inner, &merged] {
        make_dir(dir)?;
    }
    let lowers: Vec<PathBuf> = trees.iter().map(|tree| tree.join("fs")).collect();
    match lowers.first() {
        Some(below) if copy => drop(copy_tree(below, &merged, &inner, context)?),
        None if copy => {}
        _ => context.overlay(&lowers, &upper, &inner, &merged)?,
    }
    Ok(merged)
}

/// Makes the folder of a cache.
fn cache(request: &CacheRequest, context: &mut Context) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let CacheRequest { path, mode, owner, seed, copy } = request;
    let fs = path.join("fs");
    // Left by a step that was killed while it made it.
    if fs.exists() {
        remove_tree(&fs).map_err(failed("remove", &fs))?;
    }
    make_dir(&fs)?;
    if let Some((trees, inside)) = seed {
        let work = path.join("seed");
        let merged = merge(trees, &work, *copy, context)?;
        let empty = work.join("empty");
        make_dir(&empty)?;
        let options = DiffOptions { owners: owner_mode(context), ..DiffOptions::default() };
        let from = merged.join(inside);
        let entries = diff_trees(&empty, &from, &options).map_err(failed("read", &from))?;
        let options = ApplyOptions { owners: owner_mode(context), limits: Limits::default() };
        apply(&entries, &fs, &options).map_err(failed("fill", &fs))?;
        if !copy {
            context.unmount(&merged)?;
        }
        remove_tree(&work).map_err(failed("remove", &work))?;
    } else {
        std::fs::set_permissions(&fs, std::fs::Permissions::from_mode(*mode))
            .map_err(failed("set the mode of", &fs))?;
        own(&fs, *owner, context)?;
    }
    File::create(path.join("done")).map_err(failed("finish", path))?;
    Ok(())
}

/// Gives a folder its owner, or its record where there is one id.
fn own(path: &Path, (uid, gid): (u32, u32), context: &Context) -> Result<(), String> {
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    if context.has_single_id() {
        let text = format!("{uid}:{gid}");
        let flags = rustix::fs::XattrFlags::empty();
        return rustix::fs::setxattr(path, mabuild_sandbox::OWNER_XATTR, text.as_bytes(), flags)
            .map_err(failed("own", path));
    }
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(failed("own", path))
}

pub(super) fn pack_changes(
    job: &Path,
    entries: Vec<Entry>,
    clamp_mtime: i64,
    threads: usize,
) -> Result<Option<PackedReply>, String> {
    if entries.is_empty() {
        return Ok(None);
    }
    let path = job.join("layer");
    let mut file = File::create(&path).map_err(failed("write", &path))?;
    let options = PackOptions { compression: Compression::Gzip, clamp_mtime, threads };
    let packed = pack(entries, &options, &mut file).map_err(failed("make the layer", &path))?;
    file.sync_all().map_err(failed("write", &path))?;
    let index = job.join("index");
    std::fs::write(&index, packed.index.to_bytes()).map_err(failed("write", &index))?;
    Ok(Some(PackedReply {
        diff_id: packed.diff_id.to_string(),
        digest: packed.digest.to_string(),
        size: packed.size,
        media_type: packed.media_type.to_owned(),
    }))
}
