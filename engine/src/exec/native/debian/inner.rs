//! The helper's side: unpacks packages into a root directory of its own, sets them up in the
//! sandbox and packs what came of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mabuild_distro::debian::dpkg::{Filter, Unpacked, automatic, extended_states, unpacking};
use mabuild_oci::layer::{
    ApplyOptions, DiffOptions, Entry, EntryKind, Limits, OwnerTable, apply, diff_trees,
};
use mabuild_sandbox::inside::Context;
use mabuild_sandbox::{Exit, MinFree, Mount, OwnerEmulation, RunSpec, Source, remove_tree};
use serde::{Deserialize, Serialize};

use super::clean::clean;
use super::unpack;
use super::{DebFile, script};
use crate::exec::native::inner::{
    ExitReply, PackedReply, failed, make_dir, owner_mode, pack_changes,
};

/// What is taken for the size of packages that are unpacked, with what is added to them, as a
/// multiple of their files: xz makes of a Debian system a fourth to a fifth of its size, and it is
/// there twice for a moment.
const UNPACKED: u64 = 16;

/// Sets a system up.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::exec::native) struct BootstrapRequest {
    /// A folder of the store for this alone.
    pub job: PathBuf,
    pub packages: Vec<DebFile>,
    /// Debian architecture.
    pub arch: String,
    /// Files of the configuration: path, permission bits, content.
    pub config: Vec<(String, u32, Vec<u8>)>,
    /// What is left out: rules of [`Filter::add`].
    pub filter: Vec<String>,
    /// How programs run; the root, the words and the date are set here.
    pub run: RunSpec,
    /// The date that is given from outside.
    pub date: Option<i64>,
    pub threads: usize,
    /// Bytes of memory that it may be set up in; none to do it on the disk.
    pub memory: Option<u64>,
    /// Whether there is no overlayfs.
    pub copy: bool,
}

/// What came of it. The layer and its index are the files `layer` and `index` of the job.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::exec::native) struct BootstrapReply {
    /// What is wrong with the packages themselves.
    pub problem: Option<String>,
    /// How setting them up ended; none where it did not begin.
    pub exit: Option<ExitReply>,
    pub packed: Option<PackedReply>,
    pub date: i64,
    pub unpack_seconds: f64,
    pub run_seconds: f64,
    pub pack_seconds: f64,
}

/// Folders that a system is set up in.
struct Folders {
    /// Nothing is in it.
    empty: PathBuf,
    /// The new system.
    upper: PathBuf,
    work: PathBuf,
    merged: PathBuf,
    /// Whether they are in memory, and how much of it must stay free.
    memory: Option<MinFree>,
}

impl Folders {
    fn below(path: &Path, memory: Option<MinFree>) -> Result<Self, String> {
        let [empty, upper, work, merged] =
            ["empty", "upper", "work", "merged"].map(|name| path.join(name));
        for dir in [&empty, &upper, &work, &merged] {
            make_dir(dir)?;
        }
        Ok(Self { empty, upper, work, merged, memory })
    }
}

/// The handler.
pub(in crate::exec::native) fn bootstrap(
    request: BootstrapRequest,
    context: &mut Context,
) -> Result<BootstrapReply, String> {
    if let Some(reply) = in_memory(&request, context)? {
        return Ok(reply);
    }
    let folders = Folders::below(&request.job, None)?;
    let reply = attempt(&request, &request.job, &folders, context)?;
    for dir in [&folders.empty, &folders.upper, &folders.work, &folders.merged] {
        remove_tree(dir).map_err(failed("remove", dir))?;
    }
    Ok(reply)
}

/// Sets a system up in memory: dpkg and scripts write many small files, and none of them is needed
/// once the layer is made. None where that cannot be, or did not go well: on the disk there is more
/// room.
fn in_memory(
    request: &BootstrapRequest,
    context: &mut Context,
) -> Result<Option<BootstrapReply>, String> {
    let packed: u64 = request.packages.iter().map(|package| package.size).sum();
    let Some(bytes) = request.memory.filter(|bytes| packed.saturating_mul(UNPACKED) <= *bytes)
    else {
        return Ok(None);
    };
    let place = request.job.join("memory");
    make_dir(&place)?;
    if context.memory(&place, bytes).is_err() {
        return Ok(None);
    }
    let spare = MinFree { path: place.clone(), bytes: bytes / 4 };
    let reply = Folders::below(&place, Some(spare))
        .and_then(|folders| attempt(request, &place, &folders, context));
    context.unmount(&place)?;
    Ok(reply.ok().filter(|reply| reply.problem.is_none()))
}

/// Unpacks a system and sets it up.
fn attempt(
    request: &BootstrapRequest,
    spool: &Path,
    folders: &Folders,
    context: &mut Context,
) -> Result<BootstrapReply, String> {
    let mut reply = BootstrapReply::default();
    let begun = Instant::now();
    match plan(request, spool) {
        Ok(plan) => {
            reply.date = plan.date;
            let upper = &folders.upper;
            let options = ApplyOptions { owners: owner_mode(context), limits: Limits::default() };
            let stats = apply(&plan.entries, upper, &options)
                .map_err(failed("unpack the packages in", upper))?;
            reply.unpack_seconds = begun.elapsed().as_secs_f64();
            set_up(request, folders, (plan, stats.owners), context, &mut reply)?;
        }
        Err(problem) => reply.problem = Some(problem),
    }
    Ok(reply)
}

/// Sets an unpacked system up in the sandbox and packs it.
fn set_up(
    request: &BootstrapRequest,
    folders: &Folders,
    (plan, mut table): (Plan, OwnerTable),
    context: &mut Context,
    reply: &mut BootstrapReply,
) -> Result<(), String> {
    let Folders { empty, upper, work, merged, memory } = folders;
    let Plan { entries, script, late, date } = plan;
    // What was unpacked lies in the system now; its contents take as much again.
    drop(entries);
    let begun = Instant::now();
    if request.copy || memory.is_some() {
        rustix::mount::mount_bind(upper, merged).map_err(failed("show", upper))?;
    } else {
        // An overlay, since its changes need not reach the disk: dpkg waits for that all the time.
        context.overlay(std::slice::from_ref(empty), upper, work, merged)?;
    }
    let mut run = request.run.clone();
    run.root.clone_from(merged);
    script::put(&mut run, script);
    run.env.push(("SOURCE_DATE_EPOCH".to_owned(), date.to_string()));
    if let Some(spare) = memory {
        run.min_free = Some(spare.clone());
    }
    if context.has_single_id() {
        run.owners = OwnerEmulation::Record { uid: 0, gid: 0 };
    }
    for (name, path) in late {
        let target = Path::new(script::LATE).join(name);
        run.mounts.push(Mount { source: Source::Path(path), target, read_only: true });
    }
    let result = context.run(&run)?;
    context.unmount(merged)?;
    reply.run_seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    if matches!(result.exit, Exit::Code(0)) {
        table.extend(result.side_owners);
        let options = DiffOptions { owners: owner_mode(context), table, new_owner: (0, 0) };
        let entries = diff_trees(empty, upper, &options).map_err(failed("read", upper))?;
        let entries = trimmed(clean(entries, date)?, &filter(&request.filter));
        reply.packed = pack_changes(&request.job, entries, date, request.threads)?;
    }
    reply.exit = Some(result.exit.into());
    reply.pack_seconds = begun.elapsed().as_secs_f64();
    Ok(())
}

fn filter(rules: &[String]) -> Filter {
    let mut filter = Filter::default();
    filter.add(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    filter
}

/// What is unpacked, and what is left to do.
struct Plan {
    entries: Vec<Entry>,
    script: String,
    /// Files of packages that the script unpacks, by the names it knows them by.
    late: Vec<(String, PathBuf)>,
    date: i64,
}

/// Reads the packages, their contents into unnamed files in `spool`; what fails here is their fault.
fn plan(request: &BootstrapRequest, spool: &Path) -> Result<Plan, String> {
    let packages = unpack::read(&request.packages, spool, request.threads)?;
    let date = request.date.unwrap_or_else(|| unpack::newest(&packages));
    let unpacked: Vec<Unpacked> = packages.iter().map(|package| package.unpacked.clone()).collect();
    let order = unpacking(&unpacked);
    let script = script::script(&unpacked, &order)?;
    let late: Vec<usize> = order.late.iter().flat_map(|round| &round.unpack).copied().collect();
    let files = late
        .iter()
        .filter_map(|at| Some((format!("{at}.deb"), request.packages.get(*at)?.path.clone())));
    let files = files.collect();
    let waiting = order.scripts.iter().flat_map(|at| {
        let files = unpacked.get(*at).map(|package| &package.files).into_iter().flatten();
        files.map(|(name, file)| {
            let path = format!("{}/{name}", script::control_folder(*at));
            Entry::file(path, file.data.clone()).with_mode(file.mode).with_mtime(date)
        })
    });
    let has_apt = unpacked.iter().any(|package| package.name() == "apt");
    let automatic = has_apt.then(|| {
        let names = automatic(&unpacked).into_iter().filter_map(|at| unpacked.get(at));
        let text = extended_states(names.map(Unpacked::name), &request.arch);
        (script::AUTOMATIC.to_owned(), 0o644, text.into_bytes())
    });
    let early = packages.into_iter().enumerate().filter(|(at, _)| !late.contains(at));
    let early = early.map(|(_, package)| package).collect();
    let config = request.config.iter().chain(&automatic).map(|(path, mode, bytes)| {
        Entry::file(path.as_str(), bytes.clone()).with_mode(*mode).with_mtime(date)
    });
    let filter = filter(&request.filter);
    let more = config.chain(waiting).collect();
    let entries = unpack::lay(early, more, &filter, &request.arch, date)?;
    Ok(Plan { entries, script, late: files, date })
}

/// Leaves out what scripts have made where nothing is to be, and folders that are empty since.
fn trimmed(entries: Vec<Entry>, filter: &Filter) -> Vec<Entry> {
    let stays = |entry: &Entry| {
        let is_link = matches!(entry.kind, EntryKind::Symlink { .. });
        entry.is_dir() || !filter.skips(&entry.path, is_link)
    };
    let entries: Vec<Entry> = entries.into_iter().filter(stays).collect();
    let mut full: HashSet<Vec<u8>> = HashSet::new();
    for entry in entries.iter().filter(|entry| !entry.is_dir()) {
        let slashes = entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        full.extend(slashes.filter_map(|(at, _)| entry.path.get(..at)).map(<[u8]>::to_vec));
    }
    let stays = |entry: &Entry| {
        !entry.is_dir() || full.contains(&entry.path) || !filter.skips(&entry.path, false)
    };
    entries.into_iter().filter(stays).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_folders_of_what_is_left_out_go() {
        let filter = filter(&["-/doc/*".to_owned(), "+/doc/*/copyright".to_owned()]);
        let entries = vec![
            Entry::new("doc", EntryKind::Dir),
            Entry::new("doc/a", EntryKind::Dir),
            Entry::new("doc/a/examples", EntryKind::Dir),
            Entry::file("doc/a/examples/x", ""),
            Entry::file("doc/a/copyright", ""),
            Entry::new("doc/b", EntryKind::Dir),
            Entry::new("doc/l", EntryKind::Symlink { target: b"a".to_vec() }),
            Entry::new("empty", EntryKind::Dir),
        ];
        let left: Vec<Vec<u8>> = trimmed(entries, &filter).into_iter().map(|e| e.path).collect();
        let wanted: [&[u8]; 5] = [b"doc", b"doc/a", b"doc/a/copyright", b"doc/l", b"empty"];
        assert_eq!(left, wanted);
    }
}
