//! The files of a package, as its data segment lists them and apk's database keeps them.

use super::index::Checksum;
use super::segment::{FormatError, malformed, walk_tar};
use sha1::{Digest as _, Sha1};
use std::collections::HashMap;
use std::io::{self, Read};
use tar_core::PaxExtensions;
use tar_core::parse::ParsedEntry;

/// More files than any package has.
const MAX_FILES: usize = 4_000_000;

/// Mode and owners of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// User number.
    pub uid: u64,
    /// Group number.
    pub gid: u64,
    /// Checksum of the extended attributes, when there are any.
    pub xattrs: Option<Checksum>,
}

/// What a path of a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file, a link, or a special file.
    File,
}

/// A path of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path below the root, without slashes at its ends.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Mode and owners.
    pub access: Access,
    /// Names of user and group, which apk looks up in the system before it takes the numbers.
    pub names: [Option<String>; 2],
    /// SHA-1 of the content, or of the target of a symbolic link; none for special files.
    pub checksum: Option<Checksum>,
}

/// Lists the files of a data segment; reads it to its end.
///
/// # Errors
/// When the stream is damaged or a path would leave the root.
pub fn list(data: &mut dyn Read) -> Result<Vec<Entry>, FormatError> {
    let mut entries = Vec::new();
    let mut sums: HashMap<String, Checksum> = HashMap::new();
    walk_tar::<FormatError>(data, |tar, content| {
        let Some(path) = clean_path(&tar.path)? else {
            return Ok(());
        };
        if entries.len() >= MAX_FILES {
            return Err(malformed("the package has too many files"));
        }
        let kind = if tar.is_dir() { Kind::Folder } else { Kind::File };
        let checksum = if tar.is_hard_link() {
            let target = tar.link_target.as_deref().unwrap_or_default();
            clean_path(target)?.and_then(|target| sums.get(&target).copied())
        } else {
            checksum(tar, content)?
        };
        sums.extend(checksum.map(|sum| (path.clone(), sum)));
        let name =
            |name: &Option<_>| name.as_deref().map(|n| String::from_utf8_lossy(n).into_owned());
        let names = [name(&tar.uname), name(&tar.gname)];
        entries.push(Entry { path, kind, access: access(tar), names, checksum });
        Ok(())
    })?;
    // The checksum of the whole is looked at when the end is read.
    io::copy(data, &mut io::sink())?;
    Ok(entries)
}

/// Gives a path below the root, or none for the root itself.
fn clean_path(path: &[u8]) -> Result<Option<String>, FormatError> {
    let shown = || String::from_utf8_lossy(path).chars().take(200).collect::<String>();
    let odd = || malformed(format!("it has the odd path {:?}", shown()));
    let path = std::str::from_utf8(path).map_err(|_| odd())?;
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if path.is_empty() || path == "." {
        return Ok(None);
    }
    let bad = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(bad) || path.contains(char::is_control) {
        return Err(odd());
    }
    Ok(Some(path.to_owned()))
}

fn access(tar: &ParsedEntry) -> Access {
    Access { mode: tar.mode & 0o7777, uid: tar.uid, gid: tar.gid, xattrs: xattrs(tar) }
}

/// SHA-1 over the sorted attributes, each name and value with its length before it, as apk does.
fn xattrs(tar: &ParsedEntry) -> Option<Checksum> {
    let mut list: Vec<(&[u8], &[u8])> = tar.xattrs.iter().map(|(n, v)| (&**n, &**v)).collect();
    list.sort_unstable();
    let mut hash = Sha1::new();
    for (name, value) in &list {
        for bytes in [name, value] {
            hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(bytes);
        }
    }
    (!list.is_empty()).then(|| Checksum(hash.finalize().into()))
}

/// The checksum that stands in the extended header, or one of the content.
fn checksum(tar: &ParsedEntry, content: &mut dyn Read) -> Result<Option<Checksum>, FormatError> {
    let stated = tar.pax.and_then(|pax| PaxExtensions::new(pax).get("APK-TOOLS.checksum.SHA1"));
    if let Some(stated) = stated {
        let mut sum = [0; 20];
        hex::decode_to_slice(stated, &mut sum)
            .map_err(|_| malformed("a checksum in its tar stream is no SHA-1"))?;
        return Ok(Some(Checksum(sum)));
    }
    if tar.is_symlink() {
        return Ok(Some(Checksum::of(tar.link_target.as_deref().unwrap_or_default())));
    }
    if !tar.is_file() {
        return Ok(None);
    }
    let mut hash = Sha1::new();
    let mut buffer = [0; 1 << 13];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(Some(Checksum(hash.finalize().into()))),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::package::Apk;
    use super::super::testrepo::{Recipe, Signer, tar_entry};
    use super::*;

    #[test]
    fn files_are_listed_with_their_checksums() {
        let built = Recipe::new("a", "1")
            .folder("var/lib/a", 0o1777, (100, 101))
            .file("usr/bin/a", 0o4755, b"content")
            .symlink("usr/bin/b", "a")
            .hard_link("usr/bin/c", "usr/bin/a")
            .xattr("usr/bin/a", "user.x", "1")
            .build(&Signer::shared("one"));
        let apk = Apk::open(&built.bytes[..], &built.package).unwrap();
        let entries = list(&mut apk.data()).unwrap();
        let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "usr",
                "usr/bin",
                "usr/bin/a",
                "usr/bin/b",
                "usr/bin/c",
                "var",
                "var/lib",
                "var/lib/a"
            ]
        );
        assert_eq!(entries[2].checksum, Some(Checksum::of(b"content")));
        assert_eq!(entries[3].checksum, Some(Checksum::of(b"a")));
        assert_eq!(entries[4].checksum, entries[2].checksum);
        assert_eq!(entries[2].access.mode, 0o4755);
        assert_eq!(entries[2].names, [Some("root".to_owned()), Some("root".to_owned())]);
        assert!(entries[2].access.xattrs.is_some() && entries[3].access.xattrs.is_none());
        let folder = &entries[7];
        assert_eq!(
            (folder.kind, folder.access.mode, folder.access.uid),
            (Kind::Folder, 0o1777, 100)
        );
    }

    #[test]
    fn a_missing_checksum_is_computed() {
        let entries = list(&mut &tar_entry("./a", b"content", &[])[..]).unwrap();
        assert_eq!(
            (entries[0].path.as_str(), entries[0].checksum),
            ("a", Some(Checksum::of(b"content")))
        );
        let pax = [("APK-TOOLS.checksum.SHA1", "zz")];
        assert!(list(&mut &tar_entry("a", b"", &pax)[..]).is_err());
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in ["../a", "a/../../b", "/etc/passwd", "a//b", "a/./b", "a\nF:etc", "a/.."] {
            let error = list(&mut &tar_entry(path, b"", &[])[..]).unwrap_err().to_string();
            assert!(error.contains("odd path"), "{path}: {error}");
        }
        assert_eq!(list(&mut &tar_entry("./", b"", &[])[..]).unwrap(), []);
    }
}
