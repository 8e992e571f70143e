//! Finished layers: packing entries into the store, and reading back what is in an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use mabuild_oci::layer::tree_index::NodeKind;
use mabuild_oci::layer::{
    Compression, Entry, EntryKind, Limits, PackOptions, decompress, pack, read_tar,
};
use mabuild_oci::layer::{FsView, LayerIndex};
use mabuild_oci::{Descriptor, Digest};

use super::Native;
use crate::exec::{Fault, Knobs};
use crate::key::Key;
use crate::store::StepRow;

/// A layer of an image.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// The blob.
    pub descriptor: Descriptor,
}

impl Layer {
    pub fn of_row(row: &StepRow) -> Option<Self> {
        let diff_id = Digest::parse(&row.diff_id).ok()?;
        let digest = Digest::parse(&row.digest).ok()?;
        let descriptor = Descriptor::new(row.media_type.clone(), digest, row.size);
        Some(Self { diff_id, descriptor })
    }

    pub fn row(&self) -> StepRow {
        StepRow {
            diff_id: self.diff_id.to_string(),
            digest: self.descriptor.digest.to_string(),
            size: self.descriptor.size,
            media_type: self.descriptor.media_type.clone(),
        }
    }
}

fn fault(what: &str) -> impl Fn(mabuild_oci::Error) -> Fault + '_ {
    move |e| Fault::environment(format!("{what}: {e}"))
}

impl Native {
    /// How layers are packed; part of every key of a step.
    pub(super) fn packing(&self, clamp_mtime: i64, knobs: &Knobs) -> PackOptions {
        PackOptions { compression: Compression::Gzip, clamp_mtime, threads: knobs.threads }
    }

    /// Packs entries into the store and remembers the layer under a step key.
    pub(super) fn put_layer(
        &self,
        key: &Key,
        entries: Vec<Entry>,
        options: &PackOptions,
    ) -> Result<Layer, Fault> {
        let layout = self.store.layout();
        let mut blob = layout.blob_writer().map_err(fault("cannot write a layer"))?;
        let packed = pack(entries, options, &mut blob).map_err(fault("cannot make a layer"))?;
        blob.commit(Some(packed.digest)).map_err(fault("cannot store a layer"))?;
        let descriptor = Descriptor::new(packed.media_type, packed.digest, packed.size);
        let layer = Layer { diff_id: packed.diff_id, descriptor };
        let stored = self
            .store
            .put_index(&packed.diff_id.to_string(), &packed.index)
            .and_then(|()| self.store.put_step(key, &Some(layer.row())));
        stored.map_err(|e| Fault::environment(e.to_string()))?;
        Ok(layer)
    }

    /// What a layer holds, from the store's index of it or from the blob itself.
    pub(super) fn layer_index(&self, layer: &Layer) -> Result<LayerIndex, Fault> {
        let name = layer.diff_id.to_string();
        if let Some(index) = self.store.index(&name) {
            return Ok(index);
        }
        let entries = self.layer_entries(layer)?;
        let index = LayerIndex::from_entries(&entries);
        self.store.put_index(&name, &index).map_err(|e| Fault::environment(e.to_string()))?;
        Ok(index)
    }

    /// The merged view of a chain of layers, bottom first.
    pub(super) fn view(&self, layers: &[Layer]) -> Result<FsView, Fault> {
        let indexes: Result<Vec<_>, _> = layers.iter().map(|l| self.layer_index(l)).collect();
        Ok(FsView::new(indexes?))
    }

    /// All entries of a layer, contents in a temporary file.
    pub(super) fn layer_entries(&self, layer: &Layer) -> Result<Vec<Entry>, Fault> {
        let digest = &layer.descriptor.digest;
        let what = format!("cannot read the layer {digest}");
        let (blob, _) = self.store.layout().open_blob(digest).map_err(fault(&what))?;
        let reader = decompress(blob).map_err(fault(&what))?;
        let spool = self.spool()?;
        let limits = Limits { whiteouts: true, ..Limits::default() };
        read_tar(reader, spool, &limits).map_err(fault(&what))
    }

    /// An unnamed file for contents.
    pub(super) fn spool(&self) -> Result<std::fs::File, Fault> {
        self.store.temp_file().map_err(|e| Fault::environment(e.to_string()))
    }

    /// All entries of a chain of layers, merged: path to entry, hard links turned into the files
    /// they name.
    pub(super) fn flatten(&self, layers: &[Layer]) -> Result<BTreeMap<Vec<u8>, Entry>, Fault> {
        let mut tree: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        for layer in layers {
            // What a layer takes away, it takes from the layers below, not from itself.
            let entries = self.layer_entries(layer)?;
            for entry in entries.iter().filter(|e| e.is_marker()) {
                remove_below(&mut tree, &entry.path);
                if matches!(entry.kind, EntryKind::Whiteout) {
                    tree.remove(&entry.path);
                }
            }
            for entry in entries.into_iter().filter(|e| !e.is_marker()) {
                put(&mut tree, entry);
            }
        }
        Ok(tree)
    }

    /// The content of one file of a chain of layers, following no link at its end.
    pub(super) fn read_file(
        &self,
        layers: &[Layer],
        path: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        for layer in layers.iter().rev() {
            let index = self.layer_index(layer)?;
            if !index.entries.iter().any(|e| e.path == path && e.kind == NodeKind::File) {
                continue;
            }
            let found = self.layer_entries(layer)?.into_iter().find(|e| e.path == path);
            return match found.map(|e| e.kind) {
                Some(EntryKind::File { content, size }) => {
                    super::content::bytes(&content, size).map(Some)
                }
                _ => Ok(None),
            };
        }
        Ok(None)
    }
}

fn remove_below(tree: &mut BTreeMap<Vec<u8>, Entry>, path: &[u8]) {
    let mut prefix = path.to_vec();
    prefix.push(b'/');
    let gone: Vec<Vec<u8>> = tree
        .range(prefix.clone()..)
        .take_while(|(p, _)| p.starts_with(&prefix))
        .map(|(p, _)| p.clone())
        .collect();
    for path in gone {
        tree.remove(&path);
    }
}

fn put(tree: &mut BTreeMap<Vec<u8>, Entry>, mut entry: Entry) {
    if let EntryKind::Hardlink { target } = &entry.kind
        && let Some(file) = tree.get(target)
    {
        entry.kind = file.kind.clone();
    }
    if !entry.is_dir() {
        remove_below(tree, &entry.path);
    }
    tree.insert(entry.path.clone(), entry);
}

/// Shared reading of a parent: its config and layers.
pub(super) struct Below {
    pub config: mabuild_oci::ImageConfig,
    pub layers: Vec<Layer>,
}

impl Native {
    /// The config and layers of a manifest in the store.
    pub(super) fn below(&self, manifest: &Arc<str>) -> Result<Below, Fault> {
        let what = format!("cannot read the image {manifest} in the store");
        let layout = self.store.layout();
        let digest = Digest::parse(manifest).map_err(fault(&what))?;
        let bytes = layout.read(&digest).map_err(fault(&what))?;
        let manifest = mabuild_oci::Manifest::from_bytes(&bytes).map_err(fault(&what))?;
        let bytes = layout.read(&manifest.config.digest).map_err(fault(&what))?;
        let config = mabuild_oci::ImageConfig::from_bytes(&bytes).map_err(fault(&what))?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Fault::environment(format!(
                "{what}: {} layers, but {} diff ids",
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            )));
        }
        let layers = config.rootfs.diff_ids.iter().copied().zip(manifest.layers);
        let layers = layers.map(|(diff_id, descriptor)| Layer { diff_id, descriptor }).collect();
        Ok(Below { config, layers })
    }
}
