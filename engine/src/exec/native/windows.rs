//! Layers of Windows images, as BuildKit makes them on Linux: the files stand below `Files`, with
//! records of their attributes and of who may do what with them, which here is always the same.
//! Nothing of Windows is run, so such images are built by copying.

use mabuild_oci::layer::tree_index::{IndexEntry, NodeKind};
use mabuild_oci::layer::{Entry, EntryKind, FsView, LayerIndex};

use super::Native;
use super::item::Item;
use super::layers::Layer;
use crate::exec::Fault;

/// Where the files stand in a layer.
pub(super) const FILES: &[u8] = b"Files/";

/// Security descriptor of a folder in base64: administrators and the system may do everything,
/// users may read and make things in it (`O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)
/// (A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)`).
const OF_FOLDERS: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA";
/// Security descriptor of a file: users may read it
/// (`O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)`).
const OF_FILES: &str = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==";

/// What a layer of Windows is made of.
pub(super) fn wrapped(items: Vec<Item>, date: i64) -> Vec<Item> {
    let top = |name: &str| {
        let mut entry = Entry::new(name, EntryKind::Dir).with_mtime(date);
        attributes(&mut entry, None);
        Item::plain(entry)
    };
    let mut out = vec![top("Files"), top("Hives")];
    for mut item in items {
        let entry = &mut item.entry;
        entry.path.splice(0..0, FILES.iter().copied());
        (entry.uid, entry.gid) = (0, 0);
        match &mut entry.kind {
            EntryKind::Hardlink { target } | EntryKind::Symlink { target } => {
                target.splice(0..0, FILES.iter().copied());
            }
            _ => {}
        }
        let descriptor = match entry.kind {
            EntryKind::Dir => Some(OF_FOLDERS),
            EntryKind::File { .. } => Some(OF_FILES),
            _ => None,
        };
        if !entry.is_marker() {
            attributes(entry, descriptor);
        }
        out.push(item);
    }
    out
}

/// Sets the records of an entry.
fn attributes(entry: &mut Entry, descriptor: Option<&str>) {
    entry.xattrs.clear();
    let mut set = |name: &str, value: String| {
        entry.xattrs.insert(name.into(), value.into_bytes());
    };
    // FILE_ATTRIBUTE_DIRECTORY and FILE_ATTRIBUTE_ARCHIVE.
    match entry.kind {
        EntryKind::Dir => set("MSWINDOWS.fileattr", "16".to_owned()),
        EntryKind::File { .. } => set("MSWINDOWS.fileattr", "32".to_owned()),
        _ => {}
    }
    if let Some(descriptor) = descriptor {
        set("MSWINDOWS.rawsd", descriptor.to_owned());
    }
    set("LIBARCHIVE.creationtime", format!("{}.0", entry.mtime.max(0)));
}

/// The list of a layer of Windows as the list of its files.
fn unwrapped(index: LayerIndex) -> LayerIndex {
    let inner = |mut entry: IndexEntry| {
        entry.path = entry.path.strip_prefix(FILES)?.to_vec();
        if let Some(target) = entry.target.strip_prefix(FILES) {
            entry.target = target.to_vec();
        }
        // Links of Windows are written with drive and backslashes.
        if entry.kind == NodeKind::Symlink && entry.target.contains(&b'\\') {
            let text = String::from_utf8_lossy(&entry.target).into_owned();
            entry.target = slashed(&text).unwrap_or(text).into_bytes();
        }
        entry.xattrs.clear();
        Some(entry)
    };
    LayerIndex { entries: index.entries.into_iter().filter_map(inner).collect() }
}

impl Native {
    /// The merged view of the files of a chain of layers of Windows, bottom first.
    pub(super) fn windows_view(&self, layers: &[Layer]) -> Result<FsView, Fault> {
        let indexes: Result<Vec<_>, Fault> =
            layers.iter().map(|layer| self.layer_index(layer).map(unwrapped)).collect();
        Ok(FsView::new(indexes?))
    }
}

/// A path without drive and with `/` between its parts; it stays relative if it was.
fn slashed(path: &str) -> Result<String, Fault> {
    let text = path.replace('\\', "/");
    let refuse = |why: &str| Err(Fault::step(format!("`{path}` {why}")));
    if text.starts_with("//") {
        return refuse("is a path of another machine, which no image has");
    }
    match text.split_once(':') {
        None => Ok(text),
        Some((_, "")) => refuse("names a drive and nothing on it; write `C:\\`"),
        Some((drive, rest)) if drive.eq_ignore_ascii_case("c") => Ok(rest.to_owned()),
        Some(_) => refuse("is not on the system drive C:, the only one that an image has"),
    }
}

/// A path of an instruction, absolute, with `/` between its parts. A `/` at its end stays.
pub(super) fn absolute(current: &str, path: &str) -> Result<String, Fault> {
    let text = slashed(path)?;
    let whole = match text.starts_with('/') {
        true => text.clone(),
        false => format!("{}/{text}", slashed(current)?),
    };
    let mut out = super::config::normal(&whole);
    if (text.ends_with('/') || text.ends_with("/.") || text == ".") && out != "/" {
        out.push('/');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
