//! What runs in the sandbox's helper process, as root of its namespaces: unpacking a layer onto
//! an overlay, running a step and packing what it changed, removing trees.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mabuild_oci::layer::{
    ApplyOptions, Compression, DiffOptions, Limits, OwnerMode, OwnerTable, PackOptions, apply_tar,
    diff_upper, pack,
};
use mabuild_sandbox::inside::Context;
use mabuild_sandbox::{Exit, OwnerEmulation, RunSpec, remove_tree};
use serde::{Deserialize, Serialize};

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
    /// What to run; its root is set here.
    pub run: RunSpec,
    /// Owner of new files where owners are recorded.
    pub owner: (u32, u32),
    pub clamp_mtime: i64,
    pub threads: usize,
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
        "remove" => {
            let RemoveRequest { path } = read(request)?;
            remove_tree(&path).map_err(|e| e.to_string())?;
            serde_json::Value::Null
        }
        other => return Err(format!("the helper knows no operation `{other}`")),
    };
    serde_json::to_vec(&reply).map_err(|e| e.to_string())
}

fn failed<E: std::fmt::Display>(what: &str, path: &Path) -> impl Fn(E) -> String {
    let what = format!("cannot {what} {}", path.display());
    move |e| format!("{what}: {e}")
}

fn make_dir(path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(path).map_err(failed("make", path))
}

fn owner_mode(context: &Context) -> OwnerMode {
    if context.has_single_id() { OwnerMode::Recorded } else { OwnerMode::Real }
}

fn unpack(request: &UnpackRequest, context: &mut Context) -> Result<(), String> {
    let UnpackRequest { layer, below, tree } = request;
    let (fs, work, merged) = (tree.join("fs"), tree.join("work"), tree.join("merged"));
    for dir in [&fs, &work, &merged] {
        make_dir(dir)?;
    }
    context.overlay(below, &fs, &work, &merged)?;
    let what = format!("unpack the layer {}", layer.diff_id);
    let blob = File::open(&layer.blob).map_err(failed("open", &layer.blob))?;
    let limits = Limits { whiteouts: true, ..Limits::default() };
    let options = ApplyOptions { owners: owner_mode(context), limits };
    let spool = tempfile::tempfile_in(tree).map_err(failed("write in", tree))?;
    let stats = apply_tar(blob, spool, &merged, &options).map_err(failed(&what, tree))?;
    context.unmount(&merged)?;
    write_owners(&tree.join("owners"), &stats.owners)?;
    for dir in [&work, &merged] {
        remove_tree(dir).map_err(failed("remove", dir))?;
    }
    File::create(tree.join("done")).map_err(failed("finish", tree))?;
    Ok(())
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
    let RunRequest { job, trees, mut run, owner, clamp_mtime, threads } = request;
    let (upper, work, merged) = (job.join("upper"), job.join("work"), job.join("merged"));
    for dir in [&upper, &work, &merged] {
        make_dir(dir)?;
    }
    let lowers: Vec<PathBuf> = trees.iter().map(|t| t.join("fs")).collect();
    context.overlay(&lowers, &upper, &work, &merged)?;
    run.root.clone_from(&merged);
    if context.has_single_id() {
        // Files of the layers below have a record where they do not belong to root.
        run.owners = OwnerEmulation::Record { uid: 0, gid: 0 };
    }
    let begun = Instant::now();
    let result = context.run(&run)?;
    let run_seconds = begun.elapsed().as_secs_f64();
    context.unmount(&merged)?;
    let begun = Instant::now();
    let packed = match result.exit {
        Exit::Code(0) => {
            let mut owners: OwnerTable = BTreeMap::new();
            if context.has_single_id() {
                for tree in trees.iter().rev() {
                    owners.extend(read_owners(&tree.join("owners"))?);
                }
            }
            owners.extend(result.side_owners);
            let options = DiffOptions {
                owners: owner_mode(context),
                table: owners,
                new_owner: owner,
            };
            pack_changes(&job, &upper, &lowers, &options, clamp_mtime, threads)?
        }
        _ => None,
    };
    for dir in [&upper, &work, &merged] {
        remove_tree(dir).map_err(failed("remove", dir))?;
    }
    let exit = match result.exit {
        Exit::Code(code) => ExitReply::Code(code),
        Exit::Signal(signal) => ExitReply::Signal(signal),
    };
    Ok(RunReply { exit, packed, run_seconds, pack_seconds: begun.elapsed().as_secs_f64() })
}

fn pack_changes(
    job: &Path,
    upper: &Path,
    lowers: &[PathBuf],
    options: &DiffOptions,
    clamp_mtime: i64,
    threads: usize,
) -> Result<Option<PackedReply>, String> {
    let entries = diff_upper(upper, lowers, options).map_err(failed("read the changes in", upper))?;
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
