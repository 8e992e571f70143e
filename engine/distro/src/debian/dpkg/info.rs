//! The files of the database.

use std::collections::BTreeMap;

use super::{Overwritten, Unpacked, status, triggers};

/// A file of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFile {
    /// Path below the root, `var/lib/dpkg/status`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub data: Vec<u8>,
}

/// Gives the whole database of packages that are unpacked and not configured.
pub fn database(packages: &[Unpacked], overwritten: &Overwritten, arch: &str) -> Vec<DatabaseFile> {
    let mut files: BTreeMap<String, (u32, Vec<u8>)> = BTreeMap::new();
    let mut status = String::new();
    for (at, package) in packages.iter().enumerate() {
        if at > 0 {
            status.push('\n');
        }
        status += &status::stanza(package);
        let name = package.qualified_name();
        for (kind, file) in package.files.iter().filter(|(kind, _)| *kind != "control") {
            files.insert(format!("info/{name}.{kind}"), (file.mode, file.data.clone()));
        }
        files.insert(format!("info/{name}.list"), (0o644, list(at, package, overwritten)));
    }
    for (name, text) in triggers::files(packages) {
        files.insert(format!("triggers/{name}"), (0o644, text.into_bytes()));
    }
    files.insert("status".to_owned(), (0o644, status.into_bytes()));
    files.insert("info/format".to_owned(), (0o644, b"1\n".to_vec()));
    files.insert("arch".to_owned(), (0o644, format!("{arch}\n").into_bytes()));
    let file =
        |(name, (mode, data))| DatabaseFile { path: format!("var/lib/dpkg/{name}"), mode, data };
    files.into_iter().map(file).collect()
}

/// The list of a package's paths.
fn list(at: usize, package: &Unpacked, overwritten: &Overwritten) -> Vec<u8> {
    let mut out = Vec::new();
    for path in &package.paths {
        if overwritten.has_lost(at, path) {
            continue;
        }
        out.push(b'/');
        // dpkg's name of the root.
        out.extend_from_slice(if path.is_empty() { b"." } else { path });
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    #[test]
    fn all_that_dpkg_reads_is_there() {
        let same = "Package: libc6\nVersion: 2\nArchitecture: arm64\nMulti-Arch: same";
        let packages = [
            package(
                same,
                &[("control", "x"), ("postinst", "#!"), ("triggers", "interest t\n")],
                &["", "usr", "usr/lost"],
            ),
            package("Package: b\nVersion: 1\nArchitecture: all", &[("md5sums", "")], &["", "etc"]),
        ];
        let lost = Overwritten { lost: [(0, vec![b"usr/lost".to_vec()])].into() };
        let files = database(&packages, &lost, "arm64");
        let text = |path: &str| {
            let file = files.iter().find(|file| file.path == format!("var/lib/dpkg/{path}"));
            file.map(|file| String::from_utf8_lossy(&file.data).into_owned())
        };
        assert_eq!(text("info/libc6:arm64.list").unwrap(), "/.\n/usr\n");
        assert_eq!(text("info/libc6:arm64.postinst").unwrap(), "#!");
        assert_eq!(text("info/libc6:arm64.control"), None);
        assert_eq!(text("info/b.list").unwrap(), "/.\n/etc\n");
        assert_eq!(text("triggers/t").unwrap(), "libc6:arm64\n");
        assert_eq!(text("arch").unwrap(), "arm64\n");
        let status = text("status").unwrap();
        assert_eq!(status.matches("Status: install ok unpacked\n").count(), 2);
        assert!(status.contains("\n\nPackage: b\n"));
    }
}
