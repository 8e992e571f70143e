//! The texts that are open in an editor, and the files on the disk beneath them.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gen_lsp_types as lsp;
use mabuild_engine::ops::Disk;
use mabuild_lang::{Files, Git, MAX_FILE};
use url::Url;

use super::text::{Encoding, Lines};

/// How long the files of a pattern are remembered, unless the editor tells of a change.
const GLOB_AGE: Duration = Duration::from_secs(2);

/// A text in an editor.
#[derive(Clone, Debug)]
pub struct Doc {
    /// Its address, in the editor's own spelling.
    pub uri: lsp::Uri,
    /// The editor's number of this text.
    pub version: i32,
    /// The text itself.
    pub text: Arc<str>,
}

/// What a pattern gave, and when.
type Globs = HashMap<PathBuf, (Instant, Result<Vec<String>, String>)>;

/// The texts that are open by their paths. A clone is a picture of the moment.
#[derive(Clone, Default)]
pub struct Docs {
    open: HashMap<PathBuf, Doc>,
    globs: Arc<Mutex<Globs>>,
}

impl Docs {
    /// A text and its path.
    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Doc)> {
        self.open.iter()
    }

    /// An open text.
    pub fn get(&self, path: &Path) -> Option<&Doc> {
        self.open.get(path)
    }

    /// The editor opens a text.
    pub fn open(&mut self, item: lsp::TextDocumentItem) {
        let path = path_of(&item.uri);
        let doc = Doc { uri: item.uri, version: item.version, text: item.text.into() };
        self.open.insert(path, doc);
        self.changed_on_disk();
    }

    /// The editor changes a text.
    pub fn change(&mut self, params: lsp::DidChangeTextDocumentParams, encoding: Encoding) {
        let id = params.text_document;
        let Some(doc) = self.open.get_mut(&path_of(&id.text_document_identifier.uri)) else {
            return;
        };
        let mut text = doc.text.to_string();
        for change in params.content_changes {
            match change {
                lsp::TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(
                    new,
                ) => {
                    text = new.text;
                }
                lsp::TextDocumentContentChangeEvent::TextDocumentContentChangePartial(part) => {
                    let lines = Lines::new(&text, encoding);
                    let start = lines.offset(part.range.start);
                    let end = lines.offset(part.range.end).max(start);
                    text.replace_range(start..end, &part.text);
                }
            }
        }
        (doc.version, doc.text) = (id.version, text.into());
    }

    /// The editor closes a text: now the file on the disk counts.
    pub fn close(&mut self, uri: &lsp::Uri) {
        self.open.remove(&path_of(uri));
        self.changed_on_disk();
    }

    /// Forgets what is remembered of the disk.
    pub fn changed_on_disk(&self) {
        self.globs.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether there is a file, on the disk or in the editor.
    pub fn is_file(&self, path: &Path) -> bool {
        self.open.contains_key(path) || path.is_file()
    }

    /// The address of a file, in the editor's spelling where it has it open.
    pub fn uri(&self, path: &Path) -> lsp::Uri {
        match (self.open.get(path), Url::from_file_path(path)) {
            (Some(doc), _) => doc.uri.clone(),
            (None, Ok(url)) => lsp::Uri(url.into()),
            (None, Err(())) => lsp::Uri(path.to_string_lossy().into_owned()),
        }
    }

    /// The files below a folder, as the language reads them.
    pub fn below(&self, root: &Path) -> Below<'_> {
        Below { docs: self, disk: Disk { root: root.to_owned() } }
    }
}

/// The path of an address. One that is no file, as of a text without a name, stands for itself.
pub fn path_of(uri: &lsp::Uri) -> PathBuf {
    let file = Url::parse(&uri.0).ok().filter(|url| url.scheme() == "file");
    match file.and_then(|url| url.to_file_path().ok()) {
        Some(path) => normal(&path),
        None => PathBuf::from(&uri.0),
    }
}

/// A path without `.` and `..`, by its letters alone.
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Files below a folder: open texts before the disk.
pub struct Below<'d> {
    docs: &'d Docs,
    disk: Disk,
}

impl Files for Below<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let full = self.disk.root.join(path);
        if let Some(doc) = self.docs.get(&full).or_else(|| self.docs.get(&normal(&full))) {
            return Ok(doc.text.as_bytes().to_vec());
        }
        // While a path is typed it may be that of anything.
        let file = std::fs::metadata(&full).map_err(|e| e.to_string())?;
        if !file.is_file() {
            return Err("it is not a file".to_owned());
        }
        if file.len() > MAX_FILE as u64 {
            return Err(format!("it has more than {} MiB", MAX_FILE >> 20));
        }
        self.disk.read(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let key = self.disk.root.join(pattern);
        let lock = || self.docs.globs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, found)) = lock().get(&key)
            && when.elapsed() < GLOB_AGE
        {
            return found.clone();
        }
        let found = self.disk.glob(pattern);
        let mut globs = lock();
        globs.retain(|_, (when, _)| when.elapsed() < GLOB_AGE);
        globs.insert(key, (Instant::now(), found.clone()));
        found
    }

    fn git(&self, what: Git) -> Result<String, String> {
        self.disk.git(what)
    }
}
