//! `add` of an archive: its entries are unpacked over the image as if the destination were the
//! root of the process, so that none of them gets out of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use mabuild_distro::debian::{self, Compression};
use mabuild_oci::layer::tree_index::{IndexEntry, NodeKind};
use mabuild_oci::layer::{Entry, EntryKind, LayerIndex, Limits, index_tar};

use super::Native;
use super::files::{Layering, joined, prefixes, shown, split};
use super::item::{Held, Item, Place, entry_of};
use super::place::Copying;
use crate::exec::Fault;

/// Bytes of a tar block.
const BLOCK: usize = 512;
/// Where the checksum stands in a tar header.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What may be in an archive.
pub(super) fn limits() -> Limits {
    Limits { rooted: true, ..Limits::default() }
}

/// Decompresses by what the first bytes show.
pub(super) fn plain(file: &mut File) -> std::io::Result<Box<dyn Read + Send + '_>> {
    let mut start = Vec::with_capacity(6);
    file.by_ref().take(6).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    if start.starts_with(b"BZh") {
        return Ok(Box::new(bzip2::read::MultiBzDecoder::new(file)));
    }
    debian::decompress(Compression::from_magic(&start), file)
}

/// Whether a block is the header of an archive's entry: its bytes add up to its checksum, the
/// field of which counts as blanks.
fn is_header(block: &[u8]) -> bool {
    let Some(field) = block.get(CHECKSUM).filter(|_| block.len() == BLOCK) else { return false };
    let text = String::from_utf8_lossy(field);
    let text = text.trim_matches([' ', '\0']);
    let Ok(wanted) = i64::from_str_radix(text, 8) else { return false };
    let rest = || block.iter().enumerate().filter(|(at, _)| !CHECKSUM.contains(at));
    let blanks = 32 * CHECKSUM.len() as i64;
    let unsigned: i64 = rest().map(|(_, byte)| i64::from(*byte)).sum();
    let signed: i64 = rest().map(|(_, byte)| i64::from(byte.cast_signed())).sum();
    wanted == unsigned + blanks || wanted == signed + blanks
}

impl Native {
    /// What is in a file that is an archive; none for any other file. Known archives are not read
    /// again. `digest` names the content.
    pub(super) fn archive_index(
        &self,
        path: &Path,
        digest: &[u8; 32],
    ) -> Result<Option<LayerIndex>, Fault> {
        let name = format!("archive-{}", hex::encode(digest));
        if let Some(index) = self.store.index(&name) {
            return Ok(Some(index));
        }
        let unreadable =
            |e: std::io::Error| Fault::environment(format!("cannot read {}: {e}", path.display()));
        let mut file = File::open(path).map_err(unreadable)?;
        let mut start = Vec::with_capacity(BLOCK);
        let read = plain(&mut file).and_then(|r| r.take(BLOCK as u64).read_to_end(&mut start));
        if read.is_err() || !is_header(&start) {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let reader = plain(&mut file).map_err(unreadable)?;
        let index = index_tar(reader, &limits()).map_err(|e| {
            Fault::step(format!("cannot unpack the archive {}: {e}", path.display()))
        })?;
        self.store.put_index(&name, &index).map_err(|e| Fault::environment(e.to_string()))?;
        Ok(Some(index))
    }
}

impl Layering<'_> {
    /// Unpacks an archive. Owners and bits are those of the archive, whatever was asked for.
    pub fn unpack(
        &mut self,
        copying: &Copying<'_>,
        archive: &Path,
        index: &LayerIndex,
    ) -> Result<(), Fault> {
        let root = self.follow(copying.dest.as_bytes())?;
        self.make_dirs(&root, copying.wish.owner, 0o755, copying.wish.date)?;
        let archive: Arc<Path> = archive.into();
        let mut seen: HashMap<&[u8], usize> = HashMap::new();
        for known in &index.entries {
            let nth = seen.entry(&known.path).or_default();
            *nth += 1;
            if known.path.is_empty() {
                continue;
            }
            let place = Place::Archive(archive.clone());
            let held = Held { place, path: known.path.clone(), nth: Some(*nth - 1) };
            self.unpack_entry(&root, known, held)
                .map_err(|e| Fault::step(format!("{}: {}", archive.display(), e.message)))?;
        }
        Ok(())
    }

    fn unpack_entry(&mut self, root: &[u8], known: &IndexEntry, held: Held) -> Result<(), Fault> {
        let (folder, name) = split(&known.path);
        let parent = self.walk(root, folder, true)?;
        if parent != joined(root, folder) {
            self.no_dead_end(root, folder)?;
        }
        self.make_dirs(&parent, (0, 0), 0o755, known.mtime)?;
        let path = joined(&parent, name);
        let mut entry = Entry { path: path.clone(), ..entry_of(known) };
        if known.kind == NodeKind::Symlink {
            entry.mode = 0o777;
        }
        let is_link = known.kind == NodeKind::File && !known.target.is_empty();
        if is_link {
            let target = self.walk(root, &known.target, false)?;
            if target == path {
                return Ok(());
            }
            self.bring_up(&target, known)?;
            entry.kind = EntryKind::Hardlink { target };
        }
        let is_file = known.kind == NodeKind::File && !is_link;
        let id = known.digest.filter(|_| is_file).unwrap_or_default();
        if entry.is_dir() && self.is_dir(&path) && entry.xattrs.is_empty() {
            return self.change_dir(&path, entry.mode, (entry.uid, entry.gid), entry.mtime);
        }
        self.put(Item { entry, id, held: is_file.then_some(held) })
    }

    /// Fails where a link on the way leads to no directory: only what is not there at all is made.
    fn no_dead_end(&self, root: &[u8], folder: &[u8]) -> Result<(), Fault> {
        for above in prefixes(folder) {
            let is_link =
                self.lstat(&self.walk(root, above, false)?).is_some_and(|s| s.link.is_some());
            if is_link && !self.is_dir(&self.walk(root, above, true)?) {
                return Err(Fault::step(format!(
                    "an entry goes through the symbolic link {}, which leads to no directory",
                    shown(above)
                )));
            }
        }
        Ok(())
    }

    /// Makes what a hard link names part of the layer, with the owner and bits of the link: both
    /// are names of one file.
    fn bring_up(&mut self, path: &[u8], link: &IndexEntry) -> Result<(), Fault> {
        let missing = || {
            Fault::step(format!(
                "the hard link {} names {}, which is not there",
                shown(&link.path),
                shown(path)
            ))
        };
        let seen = self.lstat(path).ok_or_else(missing)?;
        if seen.is_dir {
            return Err(Fault::step(format!(
                "the hard link {} names the directory {}",
                shown(&link.path),
                shown(path)
            )));
        }
        if !self.items.contains_key(path) {
            let known = self.view.lookup(path).ok_or_else(missing)?;
            let mut item = Item::plain(entry_of(known));
            if known.kind == NodeKind::File {
                let origin = self.view.origin(path).ok_or_else(missing)?;
                let layer = self.below.get(origin.layer).ok_or_else(missing)?.clone();
                let place = Place::Layer(Arc::new(layer));
                item.held = Some(Held { place, path: origin.path.to_vec(), nth: None });
                item.id = known.digest.ok_or_else(missing)?;
            }
            self.put(item)?;
        }
        // The file itself may be a link to the first of its names.
        let mut at = path.to_vec();
        while let Some(item) = self.items.get_mut(&at) {
            let entry = &mut item.entry;
            if !matches!(entry.kind, EntryKind::Symlink { .. }) {
                entry.mode = link.mode;
            }
            (entry.uid, entry.gid, entry.mtime) = (link.uid, link.gid, link.mtime);
            match &entry.kind {
                EntryKind::Hardlink { target } => at = target.clone(),
                _ => break,
            }
        }
        Ok(())
    }
}
