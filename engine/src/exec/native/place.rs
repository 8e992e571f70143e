//! Where a `copy` puts trees and files, as BuildKit does it: the destination is found through
//! every link of the image, and below it no link is followed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mabuild_dockerfile::Ignore;
use mabuild_oci::layer::tree_index::{IndexEntry, NodeKind, Origin};
use mabuild_oci::layer::{Content, Entry, EntryKind, FsView};

use super::chmod::Chmod;
use super::files::{Layering, Wish, joined, shown, split};
use super::item::{Held, Item, Place, entry_of};
use super::layers::Layer;
use crate::exec::Fault;
use crate::facts::{FileFact, FileKind, FileSet, Match, name_of};
use crate::key::{Value, hash_fields};

/// How a `copy` puts what it reads.
pub(super) struct Copying<'a> {
    /// Absolute; ends in `/` where a directory is meant.
    pub dest: &'a str,
    pub wish: Wish,
    pub mode: Option<Chmod>,
    /// What is left out of trees that nobody has filtered yet.
    pub exclude: &'a Ignore,
}

/// Takes a file with the digest of its content, when it is an archive.
type Unpack<'a, L> = &'a mut dyn FnMut(&mut L, &Path, &[u8; 32]) -> Result<bool, Fault>;

/// One path of a source.
pub(super) struct Piece {
    /// Below the source; empty for the source itself.
    pub path: Vec<u8>,
    /// What is there; its path means nothing, and a hard link names a path below the source.
    pub item: Item,
    /// Whether it is a directory that only comes along for what is in it.
    pub is_parent: bool,
}

impl Copying<'_> {
    fn mode(&self, before: u32, is_dir: bool) -> u32 {
        self.mode.as_ref().map_or(before & 0o7777, |mode| mode.of(before, is_dir))
    }
}

impl Layering<'_> {
    /// Puts one source: a file under `name` into a directory or as the destination itself, the
    /// content of a directory into the destination.
    pub fn place(
        &mut self,
        copying: &Copying<'_>,
        name: &[u8],
        directory: bool,
        pieces: Vec<Piece>,
    ) -> Result<(), Fault> {
        let Copying { dest, wish, .. } = copying;
        let into = dest.rfind('/').and_then(|at| dest.get(..at)).unwrap_or_default();
        let into = self.follow(into.as_bytes())?;
        self.make_dirs(&into, wish.owner, 0o755, wish.date)?;
        let mut target = self.follow(dest.as_bytes())?;
        if !directory && self.is_dir(&target) {
            target = joined(&target, name);
        }
        self.make_dirs(split(&target).0, wish.owner, 0o755, wish.date)?;
        let is_new = self.lstat(&target).is_none() && !target.is_empty();
        let is_whole = pieces.iter().any(|piece| piece.path.is_empty());
        if directory && !(is_whole && is_new) {
            self.make_dirs(&target, wish.owner, 0o755, wish.date)?;
        }
        for piece in pieces {
            if !directory || is_new || !piece.path.is_empty() {
                self.piece(copying, &target, piece)?;
            }
        }
        Ok(())
    }

    fn piece(&mut self, copying: &Copying<'_>, root: &[u8], piece: Piece) -> Result<(), Fault> {
        let Piece { path, mut item, is_parent } = piece;
        let entry = &mut item.entry;
        entry.path = joined(root, &path);
        let seen = self.lstat(&entry.path);
        if copying.wish.owned {
            (entry.uid, entry.gid) = copying.wish.owner;
        }
        let before = entry.mode;
        let is_dir = entry.is_dir();
        entry.mode = match entry.kind {
            EntryKind::Symlink { .. } => 0o777,
            _ => copying.mode(before, is_dir),
        };
        if let EntryKind::Hardlink { target } = &mut entry.kind {
            *target = joined(root, target);
        }
        match seen {
            Some(seen) if is_dir && seen.is_dir && is_parent => {
                let path = item.entry.path;
                self.change_dir(&path, before & 0o7777, seen.owner, copying.wish.date)
            }
            Some(seen) if is_dir && seen.is_dir && item.entry.xattrs.is_empty() => {
                let Entry { path, mode, uid, gid, mtime, .. } = item.entry;
                self.change_dir(&path, mode, (uid, gid), mtime)
            }
            Some(seen) if is_dir && !seen.is_dir => Err(Fault::step(format!(
                "{} is no directory in the image, and a directory of the source would go there",
                shown(&item.entry.path)
            ))),
            Some(seen) if !is_dir && seen.is_dir => Err(Fault::step(format!(
                "{} is a directory in the image, and a file of the source would go there",
                shown(&item.entry.path)
            ))),
            _ => self.put(item),
        }
    }

    /// Copies files of a context. What `unpack` takes is done with.
    pub fn copy_context(
        &mut self,
        copying: &Copying<'_>,
        set: &FileSet,
        unpack: Unpack<'_, Self>,
    ) -> Result<(), Fault> {
        for found in &set.matches {
            let Match { path, files, directory } = found;
            if *directory {
                let left_out = |file: &&FileFact| {
                    !set.fetched || !copying.exclude.excluded(below(&file.path, path))
                };
                let files = files.iter().filter(left_out);
                let pieces = files.map(|file| piece_of(set, path, file, copying.wish.date));
                self.place(copying, b"", true, pieces.collect())?;
                continue;
            }
            // Nothing where the file is left out.
            let Some(file) = files.first() else { continue };
            if let FileKind::File { digest, .. } = &file.kind
                && unpack(self, &on_disk(set, &file.path), digest)?
            {
                continue;
            }
            let name = path.rsplit('/').next().unwrap_or(path);
            let piece = piece_of(set, &file.path, file, copying.wish.date);
            self.place(copying, &name_of(name), false, vec![piece])?;
        }
        Ok(())
    }

    /// Puts files of a context under their own paths.
    pub fn mirror(&mut self, set: &FileSet, wish: Wish) -> Result<(), Fault> {
        let nothing = Ignore::default();
        let copying = Copying { dest: "/", wish, mode: None, exclude: &nothing };
        for found in &set.matches {
            let pieces = found.files.iter().map(|file| piece_of(set, "", file, wish.date));
            self.place(&copying, b"", true, pieces.collect())?;
        }
        Ok(())
    }

    /// Writes a file that an instruction holds itself.
    pub fn copy_inline(
        &mut self,
        copying: &Copying<'_>,
        name: &str,
        content: &str,
    ) -> Result<(), Fault> {
        let entry = Entry::file("", content).with_mtime(copying.wish.date);
        let piece = Piece { path: Vec::new(), item: Item::plain(entry), is_parent: false };
        self.place(copying, name.rsplit('/').next().unwrap_or(name).as_bytes(), false, vec![piece])
    }
}

/// A file of a set on disk.
fn on_disk(set: &FileSet, path: &str) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(&*set.root).join(std::ffi::OsStr::from_bytes(&name_of(path)))
}

/// A path of a context below a folder of it.
fn below<'p>(path: &'p str, folder: &str) -> &'p str {
    path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/')
}

fn piece_of(set: &FileSet, folder: &str, file: &FileFact, date: i64) -> Piece {
    let mut id = [0; 32];
    let kind = match &file.kind {
        FileKind::File { digest, size } => {
            id = *digest;
            let content = match size {
                // A socket stands for an empty file and cannot be read.
                0 => Content::Bytes(Vec::new()),
                _ => Content::Path(on_disk(set, &file.path)),
            };
            EntryKind::File { content, size: *size }
        }
        FileKind::Dir | FileKind::Parent => EntryKind::Dir,
        FileKind::Symlink(to) => EntryKind::Symlink { target: name_of(to).into_owned() },
        FileKind::Hardlink(to) => {
            EntryKind::Hardlink { target: name_of(below(to, folder)).into_owned() }
        }
        FileKind::Fifo => EntryKind::Fifo,
        FileKind::Device { character: true, major, minor } => {
            EntryKind::CharDev { major: *major, minor: *minor }
        }
        FileKind::Device { character: false, major, minor } => {
            EntryKind::BlockDev { major: *major, minor: *minor }
        }
    };
    let mode = match kind {
        EntryKind::Symlink { .. } => 0o777,
        _ => file.mode & 0o7777,
    };
    let entry = Entry::new("", kind).with_mode(mode).with_mtime(date);
    Piece {
        path: name_of(below(&file.path, folder)).into_owned(),
        item: Item { entry, id, held: None },
        is_parent: file.kind == FileKind::Parent,
    }
}

/// An image that is copied from.
pub(super) struct From {
    pub view: Arc<FsView>,
    /// The layers of the view.
    pub layers: Vec<Arc<Layer>>,
    /// What stands before the paths of the view in the layers.
    pub prefix: &'static [u8],
    /// Names the layers for contents that nobody has hashed.
    pub name: String,
}

impl From {
    /// A path of the image below a source.
    pub fn piece(&self, entry: &IndexEntry, path: &[u8], is_parent: bool) -> Result<Piece, Fault> {
        let mut item = Item::plain(entry_of(entry));
        if entry.kind == NodeKind::File {
            let origin = self.origin(&entry.path)?;
            let lost = || Fault::environment("a layer of the image is not known");
            let layer = self.layers.get(origin.layer).ok_or_else(lost)?.clone();
            let path = [self.prefix, origin.path].concat();
            item.held = Some(Held { place: Place::Layer(layer), path, nth: None });
            item.id = entry.digest.unwrap_or_else(|| self.unhashed(&entry.path));
        }
        Ok(Piece { path: path.to_vec(), item, is_parent })
    }

    fn origin(&self, path: &[u8]) -> Result<Origin<'_>, Fault> {
        let lost = || Fault::environment("a file of the image is not known");
        self.view.origin(path).ok_or_else(lost)
    }

    /// Names a content by what it is in.
    fn unhashed(&self, path: &[u8]) -> [u8; 32] {
        let path = hex::encode(path);
        let fields = [("image", Value::Text(&self.name)), ("path", Value::Text(&path))];
        hash_fields("content", &fields).0
    }

    /// All that is below a directory of the image and is wanted, in the order of the view.
    /// Directories that are not wanted come along for what is in them.
    pub fn tree(&self, root: &[u8], wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Piece>, Fault> {
        let mut first: HashMap<Origin<'_>, Vec<u8>> = HashMap::new();
        let mut out = Vec::new();
        // Directories on the way down that nothing has needed yet.
        let mut waiting: Vec<(&IndexEntry, &[u8])> = Vec::new();
        for entry in self.view.below(root).skip(1) {
            let path = entry.path.get(root.len()..).unwrap_or_default();
            let path = path.strip_prefix(b"/").unwrap_or(path);
            let is_below =
                |above: &[u8]| path.strip_prefix(above).is_some_and(|rest| rest.starts_with(b"/"));
            while waiting.last().is_some_and(|(_, above)| !is_below(above)) {
                waiting.pop();
            }
            if !wanted(&String::from_utf8_lossy(path)) {
                if entry.kind == NodeKind::Dir {
                    waiting.push((entry, path));
                }
                continue;
            }
            for (above, path) in waiting.drain(..) {
                out.push(self.piece(above, path, true)?);
            }
            let mut piece = self.piece(entry, path, false)?;
            if entry.kind == NodeKind::File {
                match first.entry(self.origin(&entry.path)?) {
                    std::collections::hash_map::Entry::Occupied(known) => {
                        let target = known.get().clone();
                        piece.item.entry.kind = EntryKind::Hardlink { target };
                        (piece.item.held, piece.item.id) = (None, [0; 32]);
                    }
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(path.to_vec());
                    }
                }
            }
            out.push(piece);
        }
        Ok(out)
    }
}
