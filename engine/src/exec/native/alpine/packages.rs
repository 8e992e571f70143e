//! Packages that the apk of an image installs: it sees them as a repository in a folder.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use mabuild_distro::alpine::{Database, Index};
use mabuild_sandbox::{Network, RunSpec};

use super::{DebFile, read, script};
use crate::exec::Fault;
use crate::exec::native::debian::script::LATE as FOLDER;
use crate::exec::native::stage::Build;
use crate::facts::{Archive, PackageSet, PackagesPin};

/// The list of repositories in it.
const LIST: &str = "repositories";
/// Where apk is, and where it was.
const PROGRAMS: [&str; 3] = ["sbin/apk", "usr/sbin/apk", "usr/bin/apk"];
/// Where the list of what is installed is, and where it will be.
const DATABASES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// The packages that the image below has not, or in another version.
pub(in crate::exec::native) fn missing(
    build: &Build<'_>,
    set: &PackageSet,
) -> Result<PackageSet, Fault> {
    let native = build.native;
    let view = native.view(&build.layers)?;
    let found = |path: &&str| {
        let found = view.resolve(path.as_bytes()).ok()?;
        view.lookup(&found.path).is_some().then_some(found.path)
    };
    let database = DATABASES.iter().find_map(found);
    let (true, Some(database)) = (PROGRAMS.iter().any(|path| found(path).is_some()), database)
    else {
        return Err(Fault::step(
            "packages cannot be installed here: the image below has no apk. Install them in a \
             stage that has one, and copy what is needed",
        ));
    };
    let text = native.read_file(&build.layers, &view, &database)?.unwrap_or_default();
    let bad = |e: &dyn std::fmt::Display| {
        Fault::step(format!("the list of packages of the image below cannot be read: {e}"))
    };
    let text = String::from_utf8(text).map_err(|e| bad(&e))?;
    let database = Database::read(&text).map_err(|e| bad(&e))?;
    let installed: HashSet<(&str, &str)> = database
        .packages()
        .iter()
        .map(|one| (one.package.name.as_str(), one.package.version.as_str()))
        .collect();
    let lacks = |one: &&crate::facts::PackagePin| !installed.contains(&(&*one.name, &*one.version));
    let packages = set.packages.iter().filter(lacks).cloned().collect();
    Ok(PackageSet { packages, ..set.clone() })
}

/// Makes a repository of packages in a folder; gives the date of the newest.
pub(in crate::exec::native) fn offer(
    files: &[DebFile],
    set: &PackageSet,
    arch: &str,
    folder: &Path,
) -> Result<i64, Fault> {
    let failed = |e: std::io::Error| {
        Fault::environment(format!("cannot write in {}: {e}", folder.display()))
    };
    let place = folder.join(arch);
    std::fs::create_dir_all(&place).map_err(failed)?;
    let mut index = Index::default();
    for file in files {
        let package = read::open(file).map_err(Fault::upstream)?.package;
        let path = place.join(package.file_name());
        // A file on another disk is copied.
        std::fs::hard_link(&file.path, &path)
            .or_else(|_| std::fs::copy(&file.path, &path).map(drop))
            .map_err(failed)?;
        index.packages.push(package);
    }
    let archive = index.to_archive().map_err(failed)?;
    std::fs::write(place.join("APKINDEX.tar.gz"), archive).map_err(failed)?;
    // What is asked for under a tag has to come from a repository with that tag.
    let tags: BTreeSet<&str> = set
        .archives
        .iter()
        .filter_map(|archive| match archive {
            Archive::Alpine(archive) => archive.tag.as_deref(),
            Archive::Debian(_) => None,
        })
        .collect();
    let mut list = format!("{FOLDER}\n");
    tags.iter().for_each(|tag| list.push_str(&format!("@{tag} {FOLDER}\n")));
    std::fs::write(folder.join(LIST), list).map_err(failed)?;
    let dates = index.packages.iter().filter_map(|one| one.build_time?.try_into().ok());
    Ok(dates.max().unwrap_or(0))
}

/// The call of apk.
pub(in crate::exec::native) fn run_spec(pin: &PackagesPin) -> RunSpec {
    let list = format!("{FOLDER}/{LIST}");
    let fixed = [
        "apk",
        "add",
        "--no-network",
        "--no-cache",
        "--no-progress",
        "--allow-untrusted",
        "--repositories-file",
        &list,
        "--",
    ];
    let mut run = RunSpec::new("/", [""; 0]);
    run.argv = fixed.into_iter().map(Into::into).chain(pin.names.iter().map(Into::into)).collect();
    run.env = vec![("PATH".to_owned(), script::PATH.to_owned())];
    run.network = Network::None;
    run
}
