//! From package files to one tree: all of them read at once, then laid over each other as dpkg
//! would have done.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mabuild_distro::debian::Deb;
use mabuild_distro::debian::deb::ControlFile;
use mabuild_distro::debian::dpkg::{
    Filter, Overwritten, Unpacked, conffiles, database, md5, merged_directories, overwritten,
};
use mabuild_oci::layer::{Content, Entry, EntryKind, Limits, merge, read_tar};

use super::DebFile;

/// A package that was read; its contents lie in a spool file.
pub(super) struct Package {
    pub unpacked: Unpacked,
    /// What is in its data archive, one for each path of it.
    pub entries: Vec<Entry>,
}

/// Reads packages on some threads; gives them in the order of the files. Contents go to unnamed
/// files in `folder`.
pub(super) fn read(
    debs: &[DebFile],
    folder: &Path,
    threads: usize,
) -> Result<Vec<Package>, String> {
    let mut order: Vec<usize> = (0..debs.len()).collect();
    // The largest first, so that no thread is left alone with it in the end.
    order.sort_by_key(|at| std::cmp::Reverse(debs.get(*at).map_or(0, |deb| deb.size)));
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Package>> = Mutex::default();
    let work = || -> Result<(), String> {
        let spool = tempfile::tempfile_in(folder)
            .map_err(|e| format!("cannot write in {}: {e}", folder.display()))?;
        while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(deb) = debs.get(*at) else { continue };
            let package = read_one(deb, &spool).map_err(|e| {
                format!("the package {} {} cannot be unpacked: {e}", deb.name, deb.version)
            })?;
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(*at, package);
        }
        Ok(())
    };
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err("a thread that unpacks packages died".to_owned()))
        })
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
}

fn read_one(deb: &DebFile, spool: &File) -> Result<Package, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let file = File::open(&deb.path).map_err(|e| text(&e))?;
    let mut archive = Deb::open(file).map_err(|e| text(&e))?;
    let control = archive.control().map_err(|e| text(&e))?;
    let files = archive.control_files().map_err(|e| text(&e))?;
    let data = archive.data().map_err(|e| text(&e))?;
    let spool = spool.try_clone().map_err(|e| text(&e))?;
    let limits = Limits { whiteouts: false, ..Limits::default() };
    let entries = read_tar(data, spool, &limits).map_err(|e| text(&e))?;
    let paths = entries.iter().map(|entry| entry.path.clone()).collect();
    let mut unpacked = Unpacked { control, files, paths, hashes: BTreeMap::new() };
    if unpacked.name() != deb.name || unpacked.field("Version") != deb.version {
        return Err(format!(
            "it says that it is {} {}",
            unpacked.name(),
            unpacked.field("Version")
        ));
    }
    let wanted: HashSet<Vec<u8>> = conffiles(&unpacked).into_iter().map(|file| file.path).collect();
    // dpkg makes a list of hashes where a package has none.
    let has_list = unpacked.files.contains_key("md5sums");
    let mut list = String::new();
    for entry in entries.iter().filter(|entry| !has_list || wanted.contains(&entry.path)) {
        let EntryKind::File { content, size } = &entry.kind else { continue };
        let hash = hashed(content, *size).map_err(|e| text(&e))?;
        if !has_list {
            list += &format!("{hash}  {}\n", String::from_utf8_lossy(&entry.path));
        }
        if wanted.contains(&entry.path) {
            unpacked.hashes.insert(entry.path.clone(), hash);
        }
    }
    if !has_list {
        let file = ControlFile { mode: 0o644, data: list.into_bytes() };
        unpacked.files.insert("md5sums".to_owned(), file);
    }
    Ok(Package { unpacked, entries })
}

/// The md5 of a content in a spool file.
fn hashed(content: &Content, size: u64) -> std::io::Result<String> {
    match content {
        Content::Bytes(bytes) => md5(bytes.as_slice()),
        Content::Path(path) => md5(File::open(path)?),
        Content::Slice { file, offset } => md5(Slice { file, at: *offset, left: size }),
    }
}

/// A part of a file as a stream.
struct Slice<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// The newest time of the files of packages.
pub(super) fn newest(packages: &[Package]) -> i64 {
    let entries = packages.iter().flat_map(|package| &package.entries);
    let files = entries.filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
    files.map(|entry| entry.mtime).max().unwrap_or(0).max(0)
}

/// Lays packages over each other, with dpkg's database of them. `more` is written on top.
pub(super) fn lay(
    mut packages: Vec<Package>,
    more: Vec<Entry>,
    filter: &Filter,
    arch: &str,
    date: i64,
) -> Result<Vec<Entry>, String> {
    // dpkg leaves a directory that is there as it is, and base-files says how the first are.
    packages.sort_by_key(|package| package.unpacked.name() != "base-files");
    let (unpacked, lists): (Vec<Unpacked>, Vec<Vec<Entry>>) =
        packages.into_iter().map(|package| (package.unpacked, package.entries)).unzip();
    let is_file = |package: usize, path: usize| {
        let entry = lists.get(package).and_then(|list| list.get(path));
        entry.is_some_and(|entry| !entry.is_dir())
    };
    let overwritten = overwritten(&unpacked, is_file)?;
    let is_link = |package: usize, path: usize| {
        let entry = lists.get(package).and_then(|list| list.get(path));
        entry.is_some_and(|entry| matches!(entry.kind, EntryKind::Symlink { .. }))
    };
    let links = merged_directories(&unpacked, arch, is_link);
    let mut all = vec![ground(&links, date)];
    let database = database(&unpacked, &overwritten, arch);
    let mut directories: BTreeSet<Vec<u8>> =
        links.iter().map(|name| name.as_bytes().to_vec()).collect();
    for (at, list) in lists.into_iter().enumerate() {
        all.push(kept(at, list, &overwritten, filter, &mut directories));
    }
    let file = |file: mabuild_distro::debian::dpkg::DatabaseFile| {
        Entry::file(file.path, file.data).with_mode(file.mode).with_mtime(date)
    };
    all.push(database.into_iter().map(file).collect());
    all.push(more);
    merge(all).map_err(|e| format!("the packages cannot be unpacked over each other: {e}"))
}

/// Links of a system whose programs are all in `/usr`.
fn ground(links: &[&str], date: i64) -> Vec<Entry> {
    let dir = |path: String| Entry::new(path, EntryKind::Dir).with_mtime(date);
    let mut out = Vec::new();
    for name in links {
        out.push(dir(format!("usr/{name}")));
        let target = format!("usr/{name}").into_bytes();
        out.push(Entry::new(*name, EntryKind::Symlink { target }).with_mtime(date));
    }
    if !links.is_empty() {
        out.insert(0, dir("usr".to_owned()));
    }
    out
}

/// What comes of a package: not what is another one's, not what is left out, and no directory
/// that is there.
fn kept(
    at: usize,
    list: Vec<Entry>,
    overwritten: &Overwritten,
    filter: &Filter,
    directories: &mut BTreeSet<Vec<u8>>,
) -> Vec<Entry> {
    let keeps = |entry: &Entry| {
        // The root belongs to whoever unpacks the image.
        if entry.path.is_empty() || overwritten.has_lost(at, &entry.path) {
            return false;
        }
        let is_link = matches!(entry.kind, EntryKind::Symlink { .. });
        if filter.skips(&entry.path, entry.is_dir() || is_link) {
            return false;
        }
        // The links of the ground stand already, for those that are packed with them as well.
        match entry.is_dir() {
            true => directories.insert(entry.path.clone()),
            false => !directories.contains(&entry.path),
        }
    };
    list.into_iter().filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mabuild_distro::debian::deb::Control;

    fn package(name: &str, fields: &[(&str, &str)], entries: Vec<Entry>) -> Package {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut all = vec![("Package".to_owned(), name.to_owned())];
        all.extend(fields.iter().map(owned));
        if !fields.iter().any(|(name, _)| *name == "Version") {
            all.push(("Version".to_owned(), "1".to_owned()));
        }
        let paths = entries.iter().map(|entry| entry.path.clone()).collect();
        let (files, hashes) = Default::default();
        Package { unpacked: Unpacked { control: Control::of(all), files, paths, hashes }, entries }
    }

    fn dir(path: &str) -> Entry {
        Entry::new(path, EntryKind::Dir)
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry::new(path, EntryKind::Symlink { target: target.into() })
    }

    /// The lines of a laid system outside of the database; and the list of a package.
    fn laid(packages: Vec<Package>, filter: &Filter) -> Result<Vec<String>, String> {
        let entries = lay(packages, Vec::new(), filter, "amd64", 7)?;
        let line = |entry: &Entry| {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            match &entry.kind {
                EntryKind::Dir => format!("{path}/ {:o}", entry.mode),
                EntryKind::File { content: Content::Bytes(bytes), .. } => {
                    format!("{path}={}", String::from_utf8_lossy(bytes))
                }
                EntryKind::Symlink { target } => {
                    format!("{path}->{}", String::from_utf8_lossy(target))
                }
                _ => path,
            }
        };
        let is_list = |line: &&String| line.contains(".list=");
        let lines: Vec<String> = entries.iter().map(line).collect();
        Ok(lines.iter().filter(|l| !l.starts_with("var/lib/dpkg") || is_list(l)).cloned().collect())
    }

    #[test]
    fn a_new_system_has_its_programs_in_usr_whatever_its_packages_say() {
        let base = package(
            "base-files",
            &[("Version", "12.4")],
            vec![dir(""), dir("bin"), dir("tmp").with_mode(0o1777)],
        );
        let a = package(
            "a",
            &[],
            vec![
                dir(""),
                dir("bin"),
                Entry::file("bin/a", "1"),
                dir("lib64"),
                Entry::file("lib64/ld", "2"),
                // The first who has a directory says how it is.
                dir("tmp"),
            ],
        );
        assert_eq!(
            laid(vec![a, base], &Filter::default()).unwrap(),
            [
                "bin->usr/bin",
                "lib->usr/lib",
                "lib32->usr/lib32",
                "lib64->usr/lib64",
                "libx32->usr/libx32",
                "sbin->usr/sbin",
                "tmp/ 1777",
                "usr/ 755",
                "usr/bin/ 755",
                "usr/bin/a=1",
                "usr/lib/ 755",
                "usr/lib32/ 755",
                "usr/lib64/ 755",
                "usr/lib64/ld=2",
                "usr/libx32/ 755",
                "usr/sbin/ 755",
                "var/lib/dpkg/info/a.list=/.\n/bin\n/bin/a\n/lib64\n/lib64/ld\n/tmp\n",
                "var/lib/dpkg/info/base-files.list=/.\n/bin\n/tmp\n",
            ]
        );
    }

    #[test]
    fn a_file_belongs_to_who_replaces_and_what_is_trimmed_stays_in_the_list() {
        let old =
            || package("old", &[], vec![Entry::file("f", "old"), link("usr/share/doc/l", "x")]);
        let new = || {
            package(
                "new",
                &[("Replaces", "old (<< 2)")],
                vec![Entry::file("f", "new"), Entry::file("usr/share/doc/new/README", "")],
            )
        };
        let mut filter = Filter::default();
        filter.add(&["-/usr/share/doc/*", "+/usr/share/doc/*/copyright"]);
        let wanted = [
            "f=new",
            "usr/share/doc/l->x",
            "var/lib/dpkg/info/new.list=/f\n/usr/share/doc/new/README\n",
            "var/lib/dpkg/info/old.list=/usr/share/doc/l\n",
        ];
        assert_eq!(laid(vec![old(), new()], &filter).unwrap(), wanted);
        assert_eq!(laid(vec![new(), old()], &filter).unwrap(), wanted);
        let stranger = package("stranger", &[], vec![Entry::file("f", "")]);
        assert!(laid(vec![old(), stranger], &filter).unwrap_err().contains("stranger"));
    }
}
