//! What an `add` fetches: files behind addresses, and repositories.

use std::path::PathBuf;
use std::sync::Arc;

use mabuild_oci::Digest;
use serde::{Deserialize, Serialize};

use super::http::{Condition, Downloaded, Expected, mask};
use super::{Shared, doubtful, git, local, wrong};
use crate::facts::{FactError, FileFact, FileKind, FileSet, GitAsk, Match};
use crate::key::file_set_digest;

/// Kind of the notes of addresses, and their form.
const NOTES: &str = "added";
const FORM: u32 = 1;
/// The name of what is behind an address without a name, as in BuildKit.
const UNNAMED: &str = "__unnamed__";

/// What is noted of an address.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    form: u32,
    /// `sha256:…` of what it served.
    digest: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// The file behind an address. BuildKit gives such a file mode 0600. Without a checksum it is
/// what the address serves now, which is asked for on condition that it changed; without a
/// network it is what was served last.
pub(super) async fn file(
    shared: &Arc<Shared>,
    source: &str,
    checksum: Option<&str>,
) -> Result<FileSet, String> {
    let name = file_name(source)?;
    let digest = match checksum {
        Some(checksum) => written(shared, source, checksum).await.map_err(|e| e.message)?,
        None => served(shared, source).await.map_err(|e| e.message)?,
    };
    let store = shared.store.clone();
    let hashed = tokio::task::spawn_blocking(move || {
        let digest = digest.to_string();
        let path = store.download_path(&digest);
        let folder = store.named_download(&digest, &name).map_err(|e| e.to_string())?;
        let failed = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
        let mut hasher = blake3::Hasher::new();
        let file = std::fs::File::open(&path).map_err(failed)?;
        let size = hasher.update_reader(file).map_err(failed)?.count();
        let kind = FileKind::File { digest: *hasher.finalize().as_bytes(), size };
        Ok((folder, FileFact { path: name, mode: 0o600, kind }))
    });
    let (folder, file) = hashed.await.map_err(|e| e.to_string()).flatten()?;
    let found = Match { path: file.path.clone(), files: vec![file], directory: false };
    Ok(set(folder, found))
}

/// A set of files that came over the network.
fn set(root: PathBuf, found: Match) -> FileSet {
    let matches = vec![found];
    let root = root.to_string_lossy().as_ref().into();
    FileSet { root, digest: file_set_digest(&matches), matches, fetched: true }
}

/// Brings the file of a checksum into the store, from an address that may have moved on.
async fn written(shared: &Arc<Shared>, source: &str, checksum: &str) -> Result<Digest, FactError> {
    let digest = local::digest(checksum)?;
    let expected = Expected { digest, size: None };
    let name = file_name(source).map_err(wrong)?;
    let got = shared.download_as(source, expected, &name).await;
    got.map_err(|mut e| {
        // What is served in its place is named where there is something.
        if matches!(e.status, Some(404 | 410)) {
            e.message.push_str(&format!("; {checksum} is written down for it"));
        }
        FactError::from(e)
    })?;
    Ok(digest)
}

/// The digest of what an address serves now; the file is in the store. It is asked for on
/// condition that it changed; without a network it is what was served last.
pub(super) async fn served(shared: &Arc<Shared>, source: &str) -> Result<Digest, FactError> {
    let store = &shared.store;
    let note = store.memo(NOTES, source);
    let note = note.and_then(|text| serde_json::from_str::<Note>(&text).ok());
    let known = note.filter(|note| note.form == FORM).and_then(|note| {
        let digest = Digest::parse(&note.digest).ok()?;
        store.download_path(&note.digest).is_file().then_some((digest, note))
    });
    if shared.client.is_offline()
        && let Some((digest, _)) = known
    {
        return Ok(digest);
    }
    let condition = known.as_ref().map(|(_, note)| Condition {
        etag: note.etag.clone(),
        last_modified: note.last_modified.clone(),
    });
    let condition = condition.unwrap_or_default();
    let name = file_name(source).map_err(wrong)?;
    let progress = shared.progress(&name);
    match (shared.client.download_any(source, condition, store, &*progress).await?, known) {
        (Downloaded::NotModified, Some((digest, _))) => Ok(digest),
        (Downloaded::NotModified, None) => {
            let source = mask(source);
            Err(doubtful(format!("{source} was not asked conditionally, but answers 304")))
        }
        (Downloaded::New { digest, condition }, _) => {
            let Condition { etag, last_modified } = condition;
            let note = Note { form: FORM, digest: digest.to_string(), etag, last_modified };
            let text = serde_json::to_string(&note).map_err(|e| wrong(e.to_string()))?;
            let (store, source) = (store.clone(), source.to_owned());
            local::blocking(move || {
                store.put_memo(NOTES, &source, &text).map_err(|e| wrong(e.to_string()))
            })
            .await?;
            Ok(digest)
        }
    }
}

/// The last part of the path of an address, percent signs resolved.
fn file_name(address: &str) -> Result<String, String> {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let rest = address.get(..end).and_then(|address| address.split_once("://"));
    let (_, path) = rest.and_then(|(_, rest)| rest.split_once('/')).unwrap_or_default();
    let path = decoded(path);
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match name {
        "" | "." => Ok(UNNAMED.to_owned()),
        ".." => Err(format!("{} names no file", mask(address))),
        name if name.contains('\0') => Err(format!("{} names no file", mask(address))),
        name => Ok(name.to_owned()),
    }
}

/// A text of an address with its percent signs resolved; a broken one stays.
pub(super) fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *byte == b'%');
        let value = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = value.and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 16).ok()
        });
        out.push(value.unwrap_or(*byte));
        rest = after.get(if value.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The files of a git repository, as git writes them.
pub(super) async fn repository(shared: &Arc<Shared>, ask: &GitAsk) -> Result<FileSet, String> {
    let (shared, ask) = (shared.clone(), ask.clone());
    let done = tokio::task::spawn_blocking(move || {
        let folder = git::checkout(&shared, &ask).map_err(|e| e.message)?;
        let root = folder.to_str().ok_or("the store is in a folder that is not UTF-8")?;
        let mut files = shared.contexts.whole(root)?;
        shared.contexts.remember();
        for file in &mut files {
            // Git knows no more than this; the rest is the umask of whoever ran it.
            file.mode = match (&file.kind, file.mode & 0o100) {
                (FileKind::File { .. } | FileKind::Hardlink(_), 0) => 0o644,
                (FileKind::Symlink(_), _) => 0o777,
                _ => 0o755,
            };
        }
        // The folder itself comes along to where there is none.
        files.insert(0, FileFact { path: String::new(), mode: 0o755, kind: FileKind::Dir });
        Ok(set(folder, Match { path: String::new(), files, directory: true }))
    });
    done.await.map_err(|e| e.to_string()).flatten()
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn files_are_named_after_the_end_of_the_path() {
        for (address, name) in [
            ("https://h/a/b.tar.gz", "b.tar.gz"),
            ("https://h/a/b?x=/y#z", "b"),
            ("https://h/a/dir/", "dir"),
            ("https://h/a%20b%2Fc%zz", "c%zz"),
            ("https://h/", "__unnamed__"),
            ("https://h", "__unnamed__"),
            ("https://h/x/.", "__unnamed__"),
            ("https://user:p/w@h/%C3%A9", "é"),
        ] {
            assert_eq!(file_name(address).unwrap(), name, "{address}");
        }
        assert!(file_name("https://h/..").is_err());
        assert!(file_name("https://h/a%00b").is_err());
    }
}
