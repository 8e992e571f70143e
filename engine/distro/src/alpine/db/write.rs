//! Writing the database.

use super::super::dependency;
use super::super::files::Access;
use super::super::package::Script;
use super::{Database, DatabaseFile, InstalledPackage, Setup, USUAL_FILE, USUAL_FOLDER};
use tar_core::{EntryBuilder, EntryType, HeaderError};

/// The path below the root of the folder with the database.
const FOLDER: &str = "lib/apk/db";

impl Database {
    /// Gives the text of `/lib/apk/db/installed`, sorted by name as apk writes it.
    pub fn installed_text(&self) -> String {
        let mut out = String::new();
        for installed in self.sorted() {
            write_package(installed, &mut out);
        }
        out
    }

    /// Gives the text of `/lib/apk/db/triggers`.
    pub fn triggers_text(&self) -> String {
        let with_triggers = self.sorted().into_iter().filter(|one| !one.triggers.is_empty());
        with_triggers
            .map(|one| format!("{} {}\n", one.package.checksum, one.triggers.join(" ")))
            .collect()
    }

    /// Gives `/lib/apk/db/scripts.tar`, uncompressed as apk 2.14 writes it.
    pub fn scripts_tar(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for installed in self.sorted() {
            for (script, text) in &installed.scripts {
                // Only a length or time beyond what tar can say fails, and no checked package
                // has one.
                if let Ok(header) = script_header(installed, *script, text.len()) {
                    out.extend(header);
                    out.extend(text);
                    out.resize(out.len().next_multiple_of(512), 0);
                }
            }
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    /// Gives all files that apk keeps about a root file system: the database, its lock, the
    /// world, the architecture, the repositories and the keys.
    pub fn files(&self, setup: &Setup) -> Vec<DatabaseFile> {
        let file = |path: String, bytes: Vec<u8>, mode| DatabaseFile { path, bytes, mode };
        let mut world = setup.world.clone();
        world.sort();
        world.dedup();
        let lines = |lines: &[String]| {
            lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes()
        };
        let world = dependency::join(&world, "\n") + "\n";
        let mut files = vec![
            file(format!("{FOLDER}/installed"), self.installed_text().into_bytes(), 0o644),
            file(format!("{FOLDER}/lock"), Vec::new(), 0o600),
            file(format!("{FOLDER}/scripts.tar"), self.scripts_tar(), 0o644),
            file(format!("{FOLDER}/triggers"), self.triggers_text().into_bytes(), 0o644),
            file("etc/apk/arch".into(), format!("{}\n", setup.arch).into_bytes(), 0o644),
            file("etc/apk/repositories".into(), lines(&setup.repositories), 0o644),
            file("etc/apk/world".into(), world.into_bytes(), 0o644),
        ];
        files.extend(setup.keys.iter().map(|(name, pem)| {
            file(format!("etc/apk/keys/{name}"), pem.as_bytes().to_vec(), 0o644)
        }));
        files
    }

    fn sorted(&self) -> Vec<&InstalledPackage> {
        let mut packages: Vec<&InstalledPackage> = self.packages.iter().collect();
        packages.sort_by_key(|one| (one.package.name.to_ascii_lowercase(), &one.package.name));
        packages
    }
}

fn write_package(installed: &InstalledPackage, out: &mut String) {
    let package = &installed.package;
    package.write_fields(out);
    let mut line = |parts: &[&str]| {
        parts.iter().for_each(|part| out.push_str(part));
        out.push('\n');
    };
    if !package.replaces.is_empty() {
        line(&["r:", &dependency::join(&package.replaces, " ")]);
    }
    if package.replaces_priority != 0 {
        line(&["q:", &package.replaces_priority.to_string()]);
    }
    installed.tag.iter().for_each(|tag| line(&["s:", tag]));
    installed.flags.iter().for_each(|flags| line(&["f:", flags]));
    for folder in &installed.folders {
        line(&["F:", &folder.path]);
        if folder.access != USUAL_FOLDER {
            line(&["M:", &access_text(folder.access)]);
        }
        for file in &folder.files {
            line(&["R:", &file.name]);
            if file.access != USUAL_FILE {
                line(&["a:", &access_text(file.access)]);
            }
            file.checksum.iter().for_each(|checksum| line(&["Z:", &checksum.to_string()]));
        }
    }
    line(&[]);
}

fn access_text(access: Access) -> String {
    let Access { mode, uid, gid, xattrs } = access;
    let xattrs = xattrs.map(|sum| format!(":{sum}")).unwrap_or_default();
    format!("{uid}:{gid}:{mode:o}{xattrs}")
}

fn script_header(
    installed: &InstalledPackage,
    script: Script,
    length: usize,
) -> Result<Vec<u8>, HeaderError> {
    let package = &installed.package;
    let name =
        format!("{}-{}.{}.{}", package.name, package.version, package.checksum, script.as_str());
    let mut entry = EntryBuilder::new_gnu();
    entry.path(name).entry_type(EntryType::Regular);
    entry.mode(0o755)?.uid(0)?.gid(0)?.size(length as u64)?;
    entry.mtime(package.build_time.unwrap_or(0))?;
    Ok(entry.finish_bytes())
}
