//! The files of an image, made by putting layers on each other.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::tar::{self, Header, Kind};

/// Files of at most so many bytes are shown with their content.
pub const SHOWN: usize = 400;

/// What a path is. Hard links to each other have the same `inode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which file it is.
    pub inode: usize,
    /// What it is.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Numbers of user and group.
    pub owner: (u64, u64),
    /// What is in it.
    pub content: Content,
    /// Target of a symbolic link.
    pub link: Vec<u8>,
    /// Major and minor number.
    pub device: (u64, u64),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Length in bytes.
    pub size: u64,
    /// Digest in hexadecimal.
    pub sha256: String,
    /// The bytes of a short text.
    pub text: Option<Vec<u8>>,
}

impl Entry {
    fn folder(inode: usize) -> Self {
        Self {
            inode,
            kind: Kind::Folder,
            mode: 0o755,
            owner: (0, 0),
            content: Content::default(),
            link: Vec::new(),
            device: (0, 0),
            xattrs: BTreeMap::new(),
        }
    }
}

/// Files while layers are put on each other.
pub struct Tree {
    /// What every path is.
    pub files: BTreeMap<Vec<u8>, Entry>,
    inodes: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree with nothing but its root.
    pub fn new() -> Self {
        Self { files: BTreeMap::from([(b"/".to_vec(), Entry::folder(0))]), inodes: 1 }
    }

    /// Puts a layer on what is there.
    pub fn apply(&mut self, layer: &[u8]) -> Result<(), String> {
        // What a layer takes away lies below it: its own entries stay, whatever their order.
        let mut own = BTreeSet::new();
        for entry in tar::read(layer) {
            let (header, content) = entry?;
            let path = clean(&header.path);
            let (parent, name) = split(&path);
            if name == b".wh..wh..opq" {
                self.remove_below(parent, &own);
            } else if let Some(name) = name.strip_prefix(b".wh.") {
                let hidden = join(parent, name);
                self.remove_below(&hidden, &own);
                if !own.contains(&hidden) {
                    self.files.remove(&hidden);
                }
            } else {
                self.put(path.clone(), &header, content, &mut own)?;
                own.insert(path);
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        path: Vec<u8>,
        header: &Header,
        content: &[u8],
        own: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), String> {
        let mut parent = split(&path).0.to_vec();
        while !self.files.contains_key(&parent) {
            self.files.insert(parent.clone(), Entry::folder(self.inodes));
            own.insert(parent.clone());
            self.inodes += 1;
            parent = split(&parent).0.to_vec();
        }
        if header.kind == Kind::HardLink {
            let target = self.files.get(&clean(&header.link));
            let target = target.ok_or_else(|| format!("{} links to nothing", escape(&path)))?;
            self.files.insert(path, target.clone());
            return Ok(());
        }
        if header.kind != Kind::Folder {
            self.remove_below(&path, &BTreeSet::new());
        }
        let short = content.len() <= SHOWN && std::str::from_utf8(content).is_ok();
        let file = header.kind == Kind::File;
        let entry = Entry {
            inode: self.inodes,
            kind: header.kind,
            mode: header.mode,
            owner: header.owner,
            content: Content {
                size: content.len() as u64,
                sha256: if file { sha256(content) } else { String::new() },
                text: (file && short).then(|| content.to_vec()),
            },
            link: header.link.clone(),
            device: header.device,
            xattrs: header.xattrs.clone(),
        };
        self.inodes += 1;
        self.files.insert(path, entry);
        Ok(())
    }

    fn remove_below(&mut self, folder: &[u8], keep: &BTreeSet<Vec<u8>>) {
        let prefix = join(folder, b"");
        self.files
            .retain(|path, _| path == &prefix || !path.starts_with(&prefix) || keep.contains(path));
    }
}

/// A path as `/a/b`, whatever it was written like.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    [b"/", &*parts.join(&b"/"[..])].concat()
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let (parent, name) = path.split_at(at);
    (if parent.is_empty() { b"/" } else { parent }, name.get(1..).unwrap_or_default())
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    [folder, b"/", name].concat()
}

/// Bytes as a word: blanks and what cannot be seen as `\x20`.
pub fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace(' ', "\\x20")
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
