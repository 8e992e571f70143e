//! `copy`, `add`, `file`, `mkdir`, `symlink`, `remove`, `workdir`: instructions whose layer is
//! made from a view of what lies below, without mounting or unpacking anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mabuild_oci::layer::{Content, Entry, EntryKind, FsView};

use crate::exec::Fault;
use crate::facts::{FileKind, FileSet, glob_fits};
use crate::key::{Key, Value, hash_fields};

/// An entry with the identity of its content, for the key of the layer.
pub(super) struct Item {
    pub entry: Entry,
    pub id: [u8; 32],
}

impl Item {
    pub fn plain(entry: Entry) -> Self {
        let id = match &entry.kind {
            EntryKind::File { content: Content::Bytes(bytes), .. } => {
                *blake3::hash(bytes).as_bytes()
            }
            _ => [0; 32],
        };
        Self { entry, id }
    }
}

/// Owner and permission bits that an instruction asks for.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub owner: (u64, u64),
    /// Whether the owner was written, in place of root by default.
    pub owned: bool,
    pub mode: Option<u32>,
    pub date: i64,
}

/// Gives the entries of a file that is an archive; none for any other file.
pub(super) type Unpack<'a> = &'a mut dyn FnMut(&Path) -> Result<Option<Vec<Entry>>, Fault>;

/// Collects the entries of one layer over a view of what lies below.
pub(super) struct Layering<'v> {
    view: &'v FsView,
    items: BTreeMap<Vec<u8>, Item>,
    dirs: BTreeSet<Vec<u8>>,
}

fn text(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

impl<'v> Layering<'v> {
    pub fn new(view: &'v FsView) -> Self {
        Self { view, items: BTreeMap::new(), dirs: BTreeSet::new() }
    }

    pub fn items(self) -> Vec<Item> {
        self.items.into_values().collect()
    }

    /// A path with every link in it followed, and the last one too.
    fn follow(&self, path: &str) -> Result<Vec<u8>, Fault> {
        self.view
            .resolve(path.as_bytes())
            .map(|found| found.path)
            .map_err(|e| Fault::step(format!("the path {path} in the image: {e}")))
    }

    /// A path with every link but the last followed.
    fn follow_parents(&self, path: &str) -> Result<Vec<u8>, Fault> {
        self.view
            .resolve_parent(path.as_bytes())
            .map(|found| found.path)
            .map_err(|e| Fault::step(format!("the path {path} in the image: {e}")))
    }

    fn is_dir(&self, path: &[u8]) -> bool {
        path.is_empty() || self.view.is_dir(path) || self.dirs.contains(path)
    }

    fn put(&mut self, item: Item) -> Result<(), Fault> {
        let path = item.entry.path.clone();
        if path.is_empty() {
            return Err(Fault::step("the root directory itself cannot be written over"));
        }
        if !item.entry.is_dir() && self.is_dir(&path) {
            return Err(Fault::step(format!(
                "{} is a directory in the image; end the destination with `/` to copy into it",
                text(&path)
            )));
        }
        if let Some(at) = path.iter().rposition(|b| *b == b'/') {
            self.make_dirs(&path[..at], (0, 0), 0o755, item.entry.mtime)?;
        }
        if item.entry.is_dir() {
            self.dirs.insert(path.clone());
        }
        self.items.insert(path, item);
        Ok(())
    }

    /// Makes what is missing of a directory and its parents.
    fn make_dirs(
        &mut self,
        path: &[u8],
        owner: (u64, u64),
        mode: u32,
        date: i64,
    ) -> Result<(), Fault> {
        let ends: Vec<usize> = path
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'/')
            .map(|(at, _)| at)
            .chain([path.len()])
            .collect();
        for end in ends {
            let dir = &path[..end];
            if self.is_dir(dir) {
                continue;
            }
            if self.view.lookup(dir).is_some() || self.items.contains_key(dir) {
                return Err(Fault::step(format!(
                    "{} is in the way: it is no directory",
                    text(dir)
                )));
            }
            let entry = Entry::new(dir, EntryKind::Dir)
                .with_mode(mode)
                .with_owner(owner.0, owner.1)
                .with_mtime(date);
            self.dirs.insert(dir.to_vec());
            self.items.insert(dir.to_vec(), Item::plain(entry));
        }
        Ok(())
    }

    pub fn mkdir(&mut self, path: &str, wish: Wish) -> Result<(), Fault> {
        let path = self.follow(path)?;
        let parent = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        self.make_dirs(&path[..parent], (0, 0), 0o755, wish.date)?;
        let Some(known) = self.view.lookup(&path).filter(|_| self.is_dir(&path)) else {
            return self.make_dirs(&path, wish.owner, wish.mode.unwrap_or(0o755), wish.date);
        };
        // A directory that is there already takes what is written of it and keeps the rest.
        let mode = wish.mode.unwrap_or(known.mode);
        let (uid, gid) = if wish.owned { wish.owner } else { (known.uid, known.gid) };
        if (mode, uid, gid) != (known.mode, known.uid, known.gid) && !path.is_empty() {
            let entry = Entry::new(path.clone(), EntryKind::Dir)
                .with_mode(mode)
                .with_owner(uid, gid)
                .with_mtime(wish.date);
            self.items.insert(path, Item::plain(entry));
        }
        Ok(())
    }

    pub fn file(&mut self, path: &str, content: &str, wish: Wish) -> Result<(), Fault> {
        let path = self.follow(path)?;
        let entry = Entry::file(path, content)
            .with_mode(wish.mode.unwrap_or(0o644))
            .with_owner(wish.owner.0, wish.owner.1)
            .with_mtime(wish.date);
        self.put(Item::plain(entry))
    }

    pub fn symlink(&mut self, target: &str, path: &str, date: i64) -> Result<(), Fault> {
        let path = self.follow_parents(path)?;
        let kind = EntryKind::Symlink { target: target.as_bytes().to_vec() };
        self.put(Item::plain(Entry::new(path, kind).with_mtime(date)))
    }

    pub fn remove(&mut self, path: &str) -> Result<(), Fault> {
        let path = self.follow_parents(path)?;
        if self.view.lookup(&path).is_none() {
            return Err(Fault::step(format!(
                "cannot remove {}: the image has no such path",
                text(&path)
            )));
        }
        let item = Item::plain(Entry::new(path.clone(), EntryKind::Whiteout));
        self.items.insert(path, item);
        Ok(())
    }

    /// The path that a source lands on: into a directory under its own name, or the destination
    /// itself. `dest` is absolute and ends in `/` where a directory is meant.
    fn landing(&self, dest: &str, name: &[u8], into: bool) -> Result<Vec<u8>, Fault> {
        let mut path = self.follow(dest)?;
        if into || self.is_dir(&path) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        Ok(path)
    }

    /// Copies files of a context. Files that `unpack` gives entries for are put as those.
    pub fn copy_context(
        &mut self,
        set: &FileSet,
        dest: &str,
        wish: Wish,
        unpack: Unpack<'_>,
    ) -> Result<(), Fault> {
        let into = dest.ends_with('/');
        if set.matches.len() > 1 && !into {
            return Err(Fault::step(format!(
                "{} files are copied to one destination; end `{dest}` with `/`",
                set.matches.len()
            )));
        }
        for found in &set.matches {
            if found.directory {
                let root = self.follow(dest)?;
                self.make_dirs(&root, wish.owner, 0o755, wish.date)?;
            }
            for file in &found.files {
                let full = Path::new(&*set.root).join(&file.path);
                let path = if found.directory {
                    let below = file.path.strip_prefix(&found.path).unwrap_or(&file.path);
                    let mut path = self.follow(dest)?;
                    for part in below.split('/').filter(|p| !p.is_empty() && *p != ".") {
                        if !path.is_empty() {
                            path.push(b'/');
                        }
                        path.extend_from_slice(part.as_bytes());
                    }
                    path
                } else {
                    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
                    if let FileKind::File { digest, .. } = &file.kind
                        && let Some(entries) = unpack(&full)?
                    {
                        self.unpacked(dest, entries, digest)?;
                        continue;
                    }
                    self.landing(dest, name.as_bytes(), into)?
                };
                if path.is_empty() || file.kind == FileKind::Dir && self.is_dir(&path) {
                    continue;
                }
                let (kind, id) = match &file.kind {
                    FileKind::File { digest, size } => {
                        let content = Content::Path(full);
                        (EntryKind::File { content, size: *size }, *digest)
                    }
                    FileKind::Dir => (EntryKind::Dir, [0; 32]),
                    FileKind::Symlink(to) => {
                        (EntryKind::Symlink { target: to.as_bytes().to_vec() }, [0; 32])
                    }
                };
                let mode = match kind {
                    EntryKind::Symlink { .. } => 0o777,
                    _ => wish.mode.unwrap_or(file.mode & 0o7777),
                };
                let entry = Entry::new(path, kind)
                    .with_mode(mode)
                    .with_owner(wish.owner.0, wish.owner.1)
                    .with_mtime(wish.date);
                self.put(Item { entry, id })?;
            }
        }
        Ok(())
    }

    fn unpacked(
        &mut self,
        dest: &str,
        entries: Vec<Entry>,
        archive: &[u8; 32],
    ) -> Result<(), Fault> {
        let root = self.follow(dest)?;
        self.make_dirs(&root, (0, 0), 0o755, 0)?;
        for mut entry in entries {
            let id = identity(archive, &entry.path);
            entry.path = joined(&root, &entry.path);
            if let EntryKind::Hardlink { target } = &mut entry.kind {
                *target = joined(&root, target);
            }
            if entry.path.is_empty() || entry.is_dir() && self.is_dir(&entry.path) {
                continue;
            }
            self.put(Item { entry, id })?;
        }
        Ok(())
    }

    /// Copies paths out of another image, given as its merged entries.
    pub fn copy_image(
        &mut self,
        image: &str,
        tree: &BTreeMap<Vec<u8>, Entry>,
        view: &FsView,
        sources: &[String],
        dest: &str,
        wish: Wish,
    ) -> Result<(), Fault> {
        let mut found = Vec::new();
        for source in sources {
            let before = found.len();
            matches(view, tree, source, &mut found);
            if found.len() == before {
                return Err(Fault::step(format!(
                    "`{source}` is not in the image that is copied from"
                )));
            }
        }
        let into = dest.ends_with('/');
        if found.len() > 1 && !into {
            return Err(Fault::step(format!(
                "{} paths are copied to one destination; end `{dest}` with `/`",
                found.len()
            )));
        }
        for source in found {
            let directory = source.is_empty() || view.is_dir(&source);
            let target = if directory {
                let target = self.follow(dest)?;
                self.make_dirs(&target, wish.owner, 0o755, wish.date)?;
                target
            } else {
                let name = source.rsplit(|b| *b == b'/').next().unwrap_or(&source);
                self.landing(dest, name, into)?
            };
            for (path, entry) in below(tree, &source) {
                let rest = path.get(source.len()..).unwrap_or_default();
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                let mut entry = entry.clone();
                entry.path = joined(&target, rest);
                if entry.path.is_empty() || entry.is_dir() && self.is_dir(&entry.path) {
                    continue;
                }
                (entry.uid, entry.gid) = wish.owner;
                if let (Some(mode), false) =
                    (wish.mode, matches!(entry.kind, EntryKind::Symlink { .. }))
                {
                    entry.mode = mode;
                }
                let id = identity(image.as_bytes(), path);
                self.put(Item { entry, id })?;
            }
        }
        Ok(())
    }
}

fn joined(root: &[u8], path: &[u8]) -> Vec<u8> {
    let mut out = root.to_vec();
    if !out.is_empty() && !path.is_empty() {
        out.push(b'/');
    }
    out.extend_from_slice(path);
    out
}

/// Identity of a content that is named by what it is taken from and its path there.
fn identity(from: &[u8], path: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(from.len() as u64).to_le_bytes());
    hasher.update(from);
    hasher.update(path);
    *hasher.finalize().as_bytes()
}

/// A path and all that is below it.
fn below<'t>(
    tree: &'t BTreeMap<Vec<u8>, Entry>,
    root: &'t [u8],
) -> impl Iterator<Item = (&'t Vec<u8>, &'t Entry)> {
    tree.range(root.to_vec()..).take_while(|(path, _)| path.starts_with(root)).filter(
        |(path, _)| {
            // `a.b` sorts between `a` and `a/b`.
            root.is_empty() || matches!(path.get(root.len()), None | Some(b'/'))
        },
    )
}

/// The paths of an image that a source names.
fn matches(view: &FsView, tree: &BTreeMap<Vec<u8>, Entry>, source: &str, found: &mut Vec<Vec<u8>>) {
    let clean = source.trim_matches('/');
    if !clean.contains(['*', '?', '[']) {
        if let Ok(real) = view.resolve(clean.as_bytes())
            && (real.path.is_empty() || tree.contains_key(&real.path))
        {
            found.push(real.path);
        }
        return;
    }
    let fits = |path: &&Vec<u8>| std::str::from_utf8(path).is_ok_and(|p| glob_fits(clean, p));
    found.extend(tree.keys().filter(fits).cloned());
}

/// The key of a layer made of entries: everything that its bytes are made of.
pub(super) fn layer_key(items: &[Item], clamp_mtime: i64) -> Key {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for Item { entry, id } in items {
        let Entry { path, kind, mode, uid, gid, mtime, xattrs } = entry;
        bytes(path);
        for number in [u64::from(*mode), *uid, *gid, *mtime as u64] {
            bytes(&number.to_le_bytes());
        }
        let (tag, link): (u8, &[u8]) = match kind {
            EntryKind::Dir => (0, b""),
            EntryKind::File { .. } => (1, b""),
            EntryKind::Symlink { target } => (2, target),
            EntryKind::Hardlink { target } => (3, target),
            EntryKind::CharDev { .. } => (4, b""),
            EntryKind::BlockDev { .. } => (5, b""),
            EntryKind::Fifo => (6, b""),
            EntryKind::Whiteout => (7, b""),
            EntryKind::Opaque => (8, b""),
        };
        bytes(&[tag]);
        bytes(link);
        if let EntryKind::CharDev { major, minor } | EntryKind::BlockDev { major, minor } = kind {
            bytes(&major.to_le_bytes());
            bytes(&minor.to_le_bytes());
        }
        bytes(id);
        for (name, value) in xattrs {
            bytes(name);
            bytes(value);
        }
    }
    let list = *hasher.finalize().as_bytes();
    hash_fields(
        "layer",
        &[("entries", Value::Digest(&list)), ("clamp", Value::Number(clamp_mtime))],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mabuild_oci::layer::LayerIndex;

    fn below() -> FsView {
        let entries = [
            Entry::new("etc", EntryKind::Dir).with_mode(0o700).with_owner(3, 4),
            Entry::new("bin", EntryKind::Symlink { target: b"usr/bin".to_vec() }),
            Entry::new("usr", EntryKind::Dir),
            Entry::new("usr/bin", EntryKind::Dir),
            Entry::file("file", "x"),
        ];
        FsView::new(vec![LayerIndex::from_entries(&entries)])
    }

    const WISH: Wish = Wish { owner: (0, 0), owned: false, mode: None, date: 5 };

    fn made(fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>) -> Vec<String> {
        let view = below();
        let mut layering = Layering::new(&view);
        fill(&mut layering).unwrap();
        let show = |i: Item| {
            let Entry { path, mode, uid, gid, .. } = i.entry;
            format!("{} {mode:o} {uid}:{gid}", String::from_utf8(path).unwrap())
        };
        layering.items().into_iter().map(show).collect()
    }

    fn refused(fill: impl FnOnce(&mut Layering<'_>) -> Result<(), Fault>) -> String {
        fill(&mut Layering::new(&below())).unwrap_err().message
    }

    #[test]
    fn only_missing_directories_are_made_and_the_mode_is_the_last_ones() {
        let wish = Wish { mode: Some(0o750), owner: (7, 8), owned: true, ..WISH };
        assert_eq!(made(|l| l.mkdir("/etc/a/b", wish)), ["etc/a 755 0:0", "etc/a/b 750 7:8"]);
        assert_eq!(made(|l| l.mkdir("/usr/bin", WISH)), [""; 0]);
    }

    #[test]
    fn a_directory_that_is_there_takes_what_is_written_of_it() {
        let wish = Wish { mode: Some(0o1777), ..WISH };
        assert_eq!(made(|l| l.mkdir("/etc", wish)), ["etc 1777 3:4"]);
        let wish = Wish { owner: (0, 0), owned: true, ..WISH };
        assert_eq!(made(|l| l.mkdir("/etc", wish)), ["etc 700 0:0"]);
    }

    #[test]
    fn links_on_the_way_are_followed() {
        assert_eq!(made(|l| l.file("/bin/x", "y", WISH)), ["usr/bin/x 644 0:0"]);
        assert_eq!(made(|l| l.symlink("x", "/bin/y", 0)), ["usr/bin/y 777 0:0"]);
        assert_eq!(made(|l| l.remove("/bin")), ["bin 0 0:0"]);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        assert!(refused(|l| l.file("/etc", "x", WISH)).contains("/etc is a directory"));
        assert!(refused(|l| l.mkdir("/file/a", WISH)).contains("/file"));
        assert!(refused(|l| l.remove("/none")).contains("/none"));
        assert!(refused(|l| l.file("/", "x", WISH)).contains("root directory"));
    }

    #[test]
    fn the_key_of_a_layer_moves_with_its_bytes_alone() {
        let item =
            |content: &str, mtime| vec![Item::plain(Entry::file("a", content).with_mtime(mtime))];
        assert_eq!(layer_key(&item("x", 1), 9), layer_key(&item("x", 1), 9));
        assert_ne!(layer_key(&item("x", 1), 9), layer_key(&item("y", 1), 9));
        assert_ne!(layer_key(&item("x", 1), 9), layer_key(&item("x", 2), 9));
        assert_ne!(layer_key(&item("x", 1), 9), layer_key(&item("x", 1), 8));
    }
}
